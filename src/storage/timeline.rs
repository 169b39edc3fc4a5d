//! The timeline of an instance: one line for every step, with the reference number that finds it in the log.

use sqlx::AnyConnection;
use time::OffsetDateTime;
use uuid::Uuid;

use super::{Storage, StorageError, instances};
use crate::clock::to_milliseconds;
use crate::reference::Reference;

/// One line.
#[derive(Debug, Clone)]
pub struct Step {
    /// Ascending by time.
    pub id: Uuid,
    /// When.
    pub at: OffsetDateTime,
    /// What kind of step, as one word.
    pub kind: String,
    /// What happened, in a sentence for the operator.
    pub summary: String,
    /// Of the request that did it.
    pub reference: Reference,
}

/// More lines are not shown; a busy instance has a few dozen.
const LONGEST: i64 = 500;

impl Storage {
    /// The timeline of one instance, oldest first.
    pub async fn timeline(&self, instance: Uuid) -> Result<Vec<Step>, StorageError> {
        let query =
            "SELECT id, at, kind, summary, reference FROM timeline WHERE instance = $1 ORDER BY id LIMIT $2";
        let rows =
            sqlx::query(query).bind(instance.to_string()).bind(LONGEST).fetch_all(&self.readers).await?;
        rows.iter()
            .map(|row| {
                use sqlx::Row;
                Ok(Step {
                    id: instances::parsed(row, "id")?,
                    at: instances::moment(row, "at")?.unwrap_or(OffsetDateTime::UNIX_EPOCH),
                    kind: row.try_get("kind")?,
                    summary: row.try_get("summary")?,
                    reference: instances::parsed(row, "reference")?,
                })
            })
            .collect()
    }
}

pub(super) async fn insert(connection: &mut AnyConnection, instance: &str, step: &Step) -> sqlx::Result<()> {
    sqlx::query(
        "INSERT INTO timeline (id, instance, at, kind, summary, reference) VALUES ($1, $2, $3, $4, $5, $6)",
    )
    .bind(step.id.to_string())
    .bind(instance)
    .bind(to_milliseconds(step.at))
    .bind(step.kind.as_str())
    .bind(step.summary.as_str())
    .bind(step.reference.to_string())
    .execute(connection)
    .await?;
    Ok(())
}
