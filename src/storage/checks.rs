//! When instances are looked after. Being due is claimed by moving it on, so that two processes do not check
//! the same one.

use time::OffsetDateTime;
use uuid::Uuid;

use super::statement::Statement;
use super::{Storage, StorageError};
use crate::clock::to_milliseconds;

pub(super) const DUE: &str =
    "SELECT id, next_check_at FROM instances WHERE next_check_at <= $1 ORDER BY next_check_at LIMIT $2";

impl Storage {
    /// At most `limit` instances whose check is due; each is put off to `next` and so claimed.
    pub async fn due_checks(
        &self,
        now: OffsetDateTime,
        next: OffsetDateTime,
        limit: u16,
    ) -> Result<Vec<Uuid>, StorageError> {
        let due: Vec<(String, i64)> = sqlx::query_as(DUE)
            .bind(to_milliseconds(now))
            .bind(i64::from(limit))
            .fetch_all(&self.readers)
            .await?;
        let mut claimed = Vec::with_capacity(due.len());
        for (id, at) in due {
            let claim = Statement::new(
                "UPDATE instances SET next_check_at = $3 WHERE id = $1 AND next_check_at = $2",
            )
            .bind(id.as_str())
            .bind(at)
            .bind(to_milliseconds(next));
            if self.writer.write(claim).await? > 0 {
                let inconsistent = || StorageError::Inconsistent(format!("no id: {id:?}"));
                claimed.push(id.parse().map_err(|_| inconsistent())?);
            }
        }
        Ok(claimed)
    }

    /// Notes that an instance was looked after, when it will be next, and its account's audiences where they
    /// were read: not while an approval is being worked on, which may be about to change whose they are.
    pub async fn looked_after(
        &self,
        id: Uuid,
        at: OffsetDateTime,
        next: OffsetDateTime,
        audiences: Option<Vec<String>>,
    ) -> Result<(), StorageError> {
        let audiences = audiences.map(|ids| serde_json::to_string(&ids).unwrap_or_default());
        let note = Statement::new(
            "UPDATE instances SET last_checked_at = $2, next_check_at = $3, audiences = CASE WHEN EXISTS \
             (SELECT 1 FROM open_work WHERE open_work.instance = instances.id) THEN audiences \
             ELSE COALESCE($4, audiences) END \
             WHERE id = $1 AND state IN ('connected', 'paused', 'needs_attention')",
        );
        let note = note.bind(id).bind(to_milliseconds(at)).bind(to_milliseconds(next)).bind(audiences);
        self.writer.write(note).await.map(drop)
    }

    /// Keeps whose account an instance is, where that was not known yet.
    pub async fn first_account(&self, id: Uuid, audiences: &[String]) -> Result<(), StorageError> {
        let audiences = serde_json::to_string(audiences).unwrap_or_default();
        let keep = Statement::new("UPDATE instances SET audiences = $2 WHERE id = $1 AND audiences IS NULL");
        self.writer.write(keep.bind(id).bind(audiences)).await.map(drop)
    }

    /// Forgets whose account an instance was; the next check learns it anew.
    pub async fn forget_account(&self, id: Uuid) -> Result<(), StorageError> {
        let forget = Statement::new("UPDATE instances SET audiences = NULL WHERE id = $1").bind(id);
        self.writer.write(forget).await.map(drop)
    }
}
