//! What programs asked for with an `Idempotency-Key`, and what they were answered. One insert decides who acts;
//! a claim ends by itself, so that a process that was lost keeps nobody from asking again.

use sha2::{Digest, Sha256};
use sqlx::Row;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use super::sealed::SealedColumn;
use super::statement::Statement;
use super::{Storage, StorageError};
use crate::clock::to_milliseconds;

/// So long one may act before it counts as lost; calls of Cloud Elements take up to a minute.
const LEASE: Duration = Duration::minutes(3);
/// So long an answer is repeated.
const KEPT: Duration = Duration::hours(24);
/// So many rows go in a step.
const STEP: i64 = 200;

/// A request that may act once.
#[derive(Debug, Clone)]
pub struct OnceOnly {
    /// Whose, which, and under what name, as one hash.
    id: String,
    /// What is asked.
    body_hash: Vec<u8>,
    /// Who acts, where it is this one.
    claim: Uuid,
}

/// What becomes of a request that may act once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Turn {
    /// It acts.
    Ours,
    /// Another one acts just now.
    UnderWay,
    /// It was done, and answered with this.
    Done(Vec<u8>),
    /// Something else was asked under the same name.
    Reused,
}

impl OnceOnly {
    /// Of the API key `asks`, to the route `to`, with the Idempotency-Key `name`; `claim` is fresh.
    pub fn new(asks: Uuid, to: &str, name: &str, claim: Uuid) -> Self {
        // A path and the key's text hold no control characters.
        let id = Sha256::digest(format!("{asks}\n{to}\n{name}"));
        let id = id.iter().map(|byte| format!("{byte:02x}")).collect();
        Self { id, body_hash: Vec::new(), claim }
    }

    /// With what is asked.
    #[must_use]
    pub fn asking(mut self, query: &str, body: &[u8]) -> Self {
        self.body_hash =
            Sha256::new().chain_update(query).chain_update(b"\n").chain_update(body).finalize().to_vec();
        self
    }
}

impl Storage {
    /// Takes the turn, if it is free.
    pub async fn take_turn(&self, once: &OnceOnly, now: OffsetDateTime) -> Result<Turn, StorageError> {
        let now_in = to_milliseconds(now);
        let insert = Statement::new(
            "INSERT INTO idempotent_requests (id, body_hash, claim, ends_at) VALUES ($1, $2, $3, $4) \
             ON CONFLICT (id) DO UPDATE SET body_hash = excluded.body_hash, claim = excluded.claim, \
             ends_at = excluded.ends_at, answer = NULL WHERE idempotent_requests.ends_at <= $5",
        )
        .bind(once.id.as_str())
        .bind(once.body_hash.clone())
        .bind(once.claim)
        .bind(to_milliseconds(now + LEASE))
        .bind(now_in);
        if self.writer.write(insert).await? > 0 {
            return Ok(Turn::Ours);
        }
        let row = sqlx::query("SELECT body_hash, answer FROM idempotent_requests WHERE id = $1")
            .bind(once.id.as_str())
            .fetch_optional(&self.readers)
            .await?;
        // Given back between the two: whoever comes again finds it free.
        let Some(row) = row else { return Ok(Turn::UnderWay) };
        if row.try_get::<Vec<u8>, _>("body_hash")? != once.body_hash {
            return Ok(Turn::Reused);
        }
        let Some(sealed) = row.try_get::<Option<Vec<u8>>, _>("answer")? else { return Ok(Turn::UnderWay) };
        Ok(Turn::Done(self.sealer.open(SealedColumn::IdempotentAnswer.place(&once.id), &sealed)?))
    }

    /// Keeps the answer for who asks again. Whoever lost the turn by taking too long keeps nothing.
    pub async fn keep_answer(
        &self,
        once: &OnceOnly,
        answer: &[u8],
        now: OffsetDateTime,
    ) -> Result<(), StorageError> {
        let sealed = self.sealer.seal(SealedColumn::IdempotentAnswer.place(&once.id), answer);
        let keep = Statement::new(
            "UPDATE idempotent_requests SET answer = $3, ends_at = $4 WHERE id = $1 AND claim = $2",
        );
        let keep = keep.bind(once.id.as_str()).bind(once.claim).bind(sealed);
        self.writer.write(keep.bind(to_milliseconds(now + KEPT))).await?;
        Ok(())
    }

    /// Gives the turn back: nothing was done.
    pub async fn give_back_turn(&self, once: &OnceOnly) -> Result<(), StorageError> {
        let free =
            Statement::new("DELETE FROM idempotent_requests WHERE id = $1 AND claim = $2 AND answer IS NULL");
        self.writer.write(free.bind(once.id.as_str()).bind(once.claim)).await?;
        Ok(())
    }

    /// Deletes what has ended, a step of it. Answers whether there may be more.
    pub async fn prune_idempotent_requests(&self, now: OffsetDateTime) -> Result<bool, StorageError> {
        let old = Statement::new(
            "DELETE FROM idempotent_requests WHERE id IN \
             (SELECT id FROM idempotent_requests WHERE ends_at <= $1 ORDER BY ends_at LIMIT $2)",
        );
        let gone = self.writer.write(old.bind(to_milliseconds(now)).bind(STEP)).await?;
        Ok(i64::try_from(gone).unwrap_or(STEP) >= STEP)
    }
}
