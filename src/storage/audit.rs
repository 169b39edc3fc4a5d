//! The trail of every act. Rows are added and read; the database itself refuses to change or remove one.

use sqlx::Row;
use time::OffsetDateTime;

use super::statement::Statement;
use super::{Storage, StorageError};
use crate::clock::{from_milliseconds, to_milliseconds};

/// Who did what, to what, when, and from where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Act {
    /// When.
    pub at: OffsetDateTime,
    /// An operator's name, `api key NAME`, or `command line`.
    pub who: String,
    /// `instance.check`, `sign_in.refused`, …
    pub act: String,
    /// The id it was done to, or its name.
    pub subject: Option<String>,
    /// The client's address.
    pub address: Option<String>,
    /// The reference number of the request.
    pub reference: Option<String>,
}

/// Which acts are looked for; empty texts are any.
#[derive(Debug, Clone, Default)]
pub struct ActFilter {
    /// Whose.
    pub who: String,
    /// Which.
    pub act: String,
}

/// The row of an act, for a write that makes the change and its row in one.
pub(super) fn recording(act: Act) -> Statement {
    let insert =
        "INSERT INTO audit (at, who, act, subject, address, reference) VALUES ($1, $2, $3, $4, $5, $6)";
    let insert = Statement::new(insert).bind(to_milliseconds(act.at)).bind(act.who).bind(act.act);
    insert.bind(act.subject).bind(act.address).bind(act.reference)
}

impl Storage {
    /// Adds an act to the trail.
    pub async fn record(&self, act: Act) -> Result<(), StorageError> {
        self.writer.write(recording(act)).await.map(drop)
    }

    /// The newest `limit` acts before `before`, each with its place in the trail.
    pub async fn acts(
        &self,
        filter: &ActFilter,
        before: Option<i64>,
        limit: usize,
    ) -> Result<Vec<(i64, Act)>, StorageError> {
        let query = "SELECT seq, at, who, act, subject, address, reference FROM audit \
                     WHERE seq < $1 AND ($2 = '' OR who = $2) AND ($3 = '' OR act = $3) ORDER BY seq DESC LIMIT $4";
        let rows = sqlx::query(query)
            .bind(before.unwrap_or(i64::MAX))
            .bind(filter.who.as_str())
            .bind(filter.act.as_str())
            .bind(i64::try_from(limit).unwrap_or(i64::MAX))
            .fetch_all(&self.readers)
            .await?;
        let read = |row: &sqlx::any::AnyRow| -> Result<(i64, Act), StorageError> {
            let act = Act {
                at: from_milliseconds(row.try_get("at")?),
                who: row.try_get("who")?,
                act: row.try_get("act")?,
                subject: row.try_get("subject")?,
                address: row.try_get("address")?,
                reference: row.try_get("reference")?,
            };
            Ok((row.try_get("seq")?, act))
        };
        rows.iter().map(read).collect()
    }
}
