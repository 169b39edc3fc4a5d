//! What is old goes, a little at a time: first the payloads of notifications, then their rows. Each step walks
//! the order of arrival from where the last one stopped, so that none reads what is to stay.

use time::OffsetDateTime;

use super::statement::Statement;
use super::{Storage, StorageError};
use crate::clock::to_milliseconds;

pub(super) const SQLITE_SIZE: &str =
    "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()";
pub(super) const POSTGRES_SIZE: &str = "SELECT pg_database_size(current_database())";

/// So many rows a step: the writer is held for a few milliseconds at most.
const ROWS: i64 = 200;

/// How much is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sizes {
    /// Bytes of the database, free pages included.
    pub database_bytes: i64,
    /// Notifications: the span of their numbers, which a duplicate widens too.
    pub notifications: i64,
}

impl Storage {
    /// Empties the payloads of notifications that came before `cutoff`, a step of them. Answers whether there may
    /// be more. That they came is still known, and so is what was read of them.
    pub async fn prune_payloads(&self, cutoff: OffsetDateTime) -> Result<bool, StorageError> {
        const CURSOR: &str = "payloads_gone_through";
        let from: Option<Vec<u8>> = sqlx::query_scalar("SELECT value FROM settings WHERE name = $1")
            .bind(CURSOR)
            .fetch_optional(&self.readers)
            .await?;
        let from = from.and_then(|value| String::from_utf8(value).ok()?.parse::<i64>().ok()).unwrap_or(0);
        let Some((last, count)) = self.old_from(from, cutoff).await? else { return Ok(false) };
        let empty = Statement::new(
            "UPDATE notifications SET body = $3, payload_gone = 1 WHERE seq > $1 AND seq <= $2",
        );
        let note = "INSERT INTO settings (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value";
        let note = Statement::new(note).bind(CURSOR).bind(last.to_string().into_bytes());
        self.writer.write(vec![empty.bind(from).bind(last).bind(Vec::new()), note]).await?;
        Ok(count == ROWS)
    }

    /// Deletes notifications that came before `cutoff`, a step of them, with their events and deliveries. Answers whether there
    /// may be more. From then on one of them that came again would be new.
    pub async fn prune_notifications(&self, cutoff: OffsetDateTime) -> Result<bool, StorageError> {
        let Some((last, count)) = self.old_from(0, cutoff).await? else { return Ok(false) };
        let events = Statement::new("DELETE FROM events WHERE notification <= $1").bind(last);
        let notifications = Statement::new("DELETE FROM notifications WHERE seq <= $1").bind(last);
        let undecoded = Statement::new("DELETE FROM undecoded WHERE notification <= $1").bind(last);
        let attempts = Statement::new(
            "DELETE FROM delivery_attempts WHERE delivery IN (SELECT seq FROM deliveries WHERE notification <= $1)",
        );
        let deliveries = Statement::new("DELETE FROM deliveries WHERE notification <= $1").bind(last);
        self.writer.write(vec![attempts.bind(last), deliveries, events, undecoded, notifications]).await?;
        Ok(count == ROWS)
    }

    /// The last of a step of notifications after `from` that came before `cutoff`, and how many those are.
    async fn old_from(&self, from: i64, cutoff: OffsetDateTime) -> Result<Option<(i64, i64)>, StorageError> {
        let rows: Vec<(i64, i64)> =
            sqlx::query_as("SELECT seq, received_at FROM notifications WHERE seq > $1 ORDER BY seq LIMIT $2")
                .bind(from)
                .bind(ROWS)
                .fetch_all(&self.readers)
                .await?;
        let cutoff = to_milliseconds(cutoff);
        let old = rows.iter().take_while(|(_, received_at)| *received_at < cutoff);
        Ok(old.zip(1..).last().map(|((seq, _), count)| (*seq, count)))
    }

    /// How much is stored, without counting.
    pub async fn sizes(&self) -> Result<Sizes, StorageError> {
        let database_bytes = sqlx::query_scalar(self.size_query).fetch_one(&self.readers).await?;
        let span = "SELECT COALESCE((SELECT max(seq) FROM notifications) - (SELECT min(seq) FROM notifications) + 1, 0)";
        let notifications = sqlx::query_scalar(span).fetch_one(&self.readers).await?;
        Ok(Sizes { database_bytes, notifications })
    }
}
