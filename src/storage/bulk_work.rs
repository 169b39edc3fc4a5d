//! The steps of an act on many instances. They walk those that its question means from the newest to the oldest, so
//! that what it changes moves nothing in its way; whoever takes a step claims it first.

use time::OffsetDateTime;
use uuid::Uuid;

use super::bulk::{COLUMNS, read};
use super::statement::{Deciding, Statement};
use super::{
    Bulk, Found, InstancePlace, InstanceQuestion, RunState, Storage, StorageError, TROUBLES, Trouble,
};
use crate::clock::to_milliseconds;

/// What came of a step.
#[derive(Debug, Default)]
pub struct BulkStep {
    /// So many instances.
    pub done: usize,
    /// What is to be said.
    pub troubles: Vec<Trouble>,
    /// The next step starts after it; `None`: that was all.
    pub next: Option<InstancePlace>,
}

impl Storage {
    /// Frees every step: whoever took one has ended. Only for a database that one process has to itself.
    pub(super) async fn free_all_bulks(&self) -> Result<(), StorageError> {
        let free = "UPDATE bulk_acts SET step_at = 0 WHERE state = 'running'";
        self.writer.write(Statement::new(free)).await.map(drop)
    }

    /// Those whose next step is due, each claimed until `until`.
    pub async fn claim_bulks(
        &self,
        now: OffsetDateTime,
        until: OffsetDateTime,
    ) -> Result<Vec<Bulk>, StorageError> {
        let query = format!("SELECT {COLUMNS} FROM bulk_acts WHERE state = 'running' AND step_at <= $1");
        let query = sqlx::query(sqlx::AssertSqlSafe(query)).bind(to_milliseconds(now));
        let mut claimed = Vec::new();
        for row in query.fetch_all(&self.readers).await? {
            let bulk = read(&row)?;
            let claim = Statement::new(
                "UPDATE bulk_acts SET step_at = $3 WHERE id = $1 AND step_at = $2 AND state = 'running'",
            );
            let claim = claim.bind(bulk.asked.id).bind(bulk.step_at).bind(to_milliseconds(until));
            if self.writer.write(claim).await? > 0 {
                claimed.push(Bulk { step_at: to_milliseconds(until), ..bulk });
            }
        }
        Ok(claimed)
    }

    /// The next instances of one, at most `limit`, and where those after them start.
    pub async fn next_of_bulk(
        &self,
        bulk: &Bulk,
        limit: usize,
        now: OffsetDateTime,
    ) -> Result<(Vec<Uuid>, Option<InstancePlace>), StorageError> {
        let asked = &bulk.asked.question;
        let question = InstanceQuestion { silent_at: asked.silent_at.map(|_| now), ..asked.clone() };
        let Some(question) = bulk.asked.act.narrowed(&question) else { return Ok((Vec::new(), None)) };
        let Found { items, next, .. } = self.find_instances(&question, bulk.position.as_ref(), limit).await?;
        let meant = items
            .iter()
            .filter(|instance| instance.state.in_use().is_some() && instance.created_at <= bulk.created_at);
        Ok((meant.map(|instance| instance.id).collect(), next))
    }

    /// Writes a step that was claimed; whoever's claim has ended writes nothing.
    pub async fn bulk_stepped(
        &self,
        bulk: &Bulk,
        step: BulkStep,
        next_at: OffsetDateTime,
    ) -> Result<(), StorageError> {
        let state = if step.next.is_some() { RunState::Running } else { RunState::Done };
        let count = |number| i64::try_from(number).unwrap_or_default();
        let first = Statement::new(
            "UPDATE bulk_acts SET done = done + $3, troubled = troubled + $4, position = $5, step_at = $6, \
             state = CASE WHEN state = 'stopped' THEN state ELSE $7 END \
             WHERE id = $1 AND step_at = $2 AND state <> 'done'",
        )
        .bind(bulk.asked.id)
        .bind(bulk.step_at)
        .bind(count(step.done))
        .bind(count(step.troubles.len()))
        .bind(step.next.map(|place| place.to_string()))
        .bind(to_milliseconds(next_at))
        .bind(state.as_str());
        let kept = |trouble: Trouble| {
            Statement::new(
                "INSERT INTO bulk_troubles (bulk, instance, why) SELECT CAST($1 AS TEXT), CAST($2 AS TEXT), \
                 CAST($3 AS TEXT) WHERE (SELECT count(*) FROM bulk_troubles WHERE bulk = $1) < $4 \
                 ON CONFLICT (bulk, instance) DO UPDATE SET why = excluded.why",
            )
            .bind(bulk.asked.id)
            .bind(trouble.instance)
            .bind(trouble.why)
            .bind(TROUBLES)
        };
        self.writer.write(Deciding { first, then: step.troubles.into_iter().map(kept).collect() }).await?;
        Ok(())
    }
}
