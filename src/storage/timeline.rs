//! The timeline of an instance: one line for every step, with the reference number that finds it in the log.

use time::OffsetDateTime;
use uuid::Uuid;

use super::statement::Statement;
use super::{Storage, StorageError, instances};
use crate::clock::to_milliseconds;
use crate::reference::Reference;

/// One line.
#[derive(Debug, Clone)]
pub struct Step {
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
            "SELECT at, kind, summary, reference FROM timeline WHERE instance = $1 ORDER BY seq LIMIT $2";
        let rows =
            sqlx::query(query).bind(instance.to_string()).bind(LONGEST).fetch_all(&self.readers).await?;
        rows.iter()
            .map(|row| {
                use sqlx::Row;
                Ok(Step {
                    at: instances::moment(row, "at")?.unwrap_or(OffsetDateTime::UNIX_EPOCH),
                    kind: row.try_get("kind")?,
                    summary: row.try_get("summary")?,
                    reference: instances::parsed(row, "reference")?,
                })
            })
            .collect()
    }
}

pub(super) fn line(instance: Uuid, step: &Step) -> Statement {
    Statement::new(
        "INSERT INTO timeline (instance, at, kind, summary, reference) VALUES ($1, $2, $3, $4, $5)",
    )
    .bind(instance)
    .bind(to_milliseconds(step.at))
    .bind(step.kind.as_str())
    .bind(step.summary.as_str())
    .bind(step.reference.to_string())
}
