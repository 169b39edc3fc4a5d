//! Many deliveries asked for again: some each second, so that nobody is overrun, until the newest that was there
//! when it was asked for. A row goes on where it was after a restart, and can be stopped.

use sqlx::Row;
use sqlx::any::AnyRow;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use super::deliveries::asking_again;
use super::statement::{Deciding, Statement};
use super::{DeliveryFilter, DeliveryState, RunState, Storage, StorageError, instances};
use crate::clock::{from_milliseconds, to_milliseconds};

/// Between two steps.
const STEP: Duration = Duration::SECOND;

/// Which deliveries are asked for again: settled ones, to endpoints that are on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Again {
    /// In which state, to which endpoint.
    pub filter: DeliveryFilter,
    /// Of notifications that arrived from then on.
    pub since: OffsetDateTime,
}

/// Many deliveries asked for again.
#[derive(Debug, Clone)]
pub struct Redelivery {
    /// Ours.
    pub id: Uuid,
    /// How it stands.
    pub state: RunState,
    /// Which.
    pub again: Again,
    /// The newest that is meant.
    pub last: i64,
    /// So many a second.
    pub rate: u16,
    /// So many in all, when it was asked for.
    pub total: i64,
    /// So many so far.
    pub asked: i64,
    /// When it was asked for.
    pub created_at: OffsetDateTime,
    position: i64,
}

/// What a filter means, as its own columns: `$1` and `$2` may be null.
const MEANT: &str = "FROM deliveries WHERE state <> 'pending' AND (CAST($1 AS TEXT) IS NULL OR endpoint = $1) \
     AND (CAST($2 AS TEXT) IS NULL OR state = $2) AND created_at >= $3 AND seq > $4 AND seq <= $5 \
     AND endpoint IN (SELECT id FROM endpoints WHERE state = 'on')";

const COLUMNS: &str =
    "id, state, endpoint, delivery_state, since, last, rate, total, asked, position, created_at";

impl Storage {
    /// How many deliveries are meant, and the newest of them.
    pub async fn count_again(&self, again: &Again) -> Result<(i64, i64), StorageError> {
        let query = sqlx::AssertSqlSafe(format!("SELECT count(*), COALESCE(max(seq), 0) {MEANT}"));
        let counted = sqlx::query_as(query)
            .bind(again.filter.endpoint.map(|id| id.to_string()))
            .bind(again.filter.state.map(DeliveryState::as_str))
            .bind(to_milliseconds(again.since))
            .bind(0_i64)
            .bind(i64::MAX)
            .fetch_one(&self.readers)
            .await?;
        Ok(counted)
    }

    /// Begins to ask for them again, `rate` a second; what arrives or settles from now on is not meant.
    pub async fn begin_redelivery(
        &self,
        id: Uuid,
        again: &Again,
        rate: u16,
        now: OffsetDateTime,
    ) -> Result<(), StorageError> {
        let (total, last) = self.count_again(again).await?;
        let insert = Statement::new(
            "INSERT INTO redeliveries (id, state, endpoint, delivery_state, since, last, rate, total, step_at, created_at) \
             VALUES ($1, 'running', $2, $3, $4, $5, $6, $7, $8, $8)",
        )
        .bind(id)
        .bind(again.filter.endpoint.map(|id| id.to_string()))
        .bind(again.filter.state.map(|state| state.as_str().to_owned()))
        .bind(to_milliseconds(again.since))
        .bind(last)
        .bind(i64::from(rate))
        .bind(total)
        .bind(to_milliseconds(now));
        self.writer.write(insert).await?;
        self.deliveries_made.send_replace(());
        Ok(())
    }

    /// The latest of them, newest first.
    pub async fn redeliveries(&self, limit: u16) -> Result<Vec<Redelivery>, StorageError> {
        let query = format!("SELECT {COLUMNS} FROM redeliveries ORDER BY id DESC LIMIT $1");
        let rows =
            sqlx::query(sqlx::AssertSqlSafe(query)).bind(i64::from(limit)).fetch_all(&self.readers).await?;
        rows.iter().map(read).collect()
    }

    /// Stops one; answers whether it was running. What it has asked for already goes on.
    pub async fn stop_redelivery(&self, id: Uuid) -> Result<bool, StorageError> {
        let stop = "UPDATE redeliveries SET state = 'stopped' WHERE id = $1 AND state = 'running'";
        Ok(self.writer.write(Statement::new(stop).bind(id)).await? > 0)
    }

    /// Those whose next step is due.
    pub async fn due_redeliveries(&self, now: OffsetDateTime) -> Result<Vec<Redelivery>, StorageError> {
        let query = format!("SELECT {COLUMNS} FROM redeliveries WHERE state = 'running' AND step_at <= $1");
        let query = sqlx::query(sqlx::AssertSqlSafe(query)).bind(to_milliseconds(now));
        query.fetch_all(&self.readers).await?.iter().map(read).collect()
    }

    /// One step: as many as go in a second. Whoever was quicker has made it.
    pub async fn step_redelivery(&self, one: &Redelivery, now: OffsetDateTime) -> Result<(), StorageError> {
        let query = sqlx::AssertSqlSafe(format!("SELECT seq {MEANT} ORDER BY seq LIMIT $6"));
        let next: Vec<i64> = sqlx::query_scalar(query)
            .bind(one.again.filter.endpoint.map(|id| id.to_string()))
            .bind(one.again.filter.state.map(DeliveryState::as_str))
            .bind(to_milliseconds(one.again.since))
            .bind(one.position)
            .bind(one.last)
            .bind(i64::from(one.rate))
            .fetch_all(&self.readers)
            .await?;
        let position = next.last().copied().filter(|last| *last < one.last);
        let state = if position.is_some() { RunState::Running } else { RunState::Done };
        let first = Statement::new(
            "UPDATE redeliveries SET position = $3, asked = asked + $4, step_at = $5, state = $6 \
             WHERE id = $1 AND position = $2 AND state = 'running'",
        )
        .bind(one.id)
        .bind(one.position)
        .bind(position.unwrap_or(one.last.max(one.position + 1)))
        .bind(i64::try_from(next.len()).unwrap_or_default())
        .bind(to_milliseconds(now + STEP))
        .bind(state.as_str());
        let then = next.into_iter().map(|seq| asking_again(seq, now)).collect();
        if self.writer.write(Deciding { first, then }).await? {
            self.deliveries_made.send_replace(());
        }
        Ok(())
    }
}

fn read(row: &AnyRow) -> Result<Redelivery, StorageError> {
    let id: Uuid = instances::parsed(row, "id")?;
    let misfit = || StorageError::Inconsistent(format!("redelivery {id} does not fit any state"));
    let state: String = row.try_get("state")?;
    let endpoint: Option<String> = row.try_get("endpoint")?;
    let delivery_state: Option<String> = row.try_get("delivery_state")?;
    let filter = DeliveryFilter {
        state: delivery_state.map(|word| DeliveryState::parse(&word).ok_or_else(misfit)).transpose()?,
        endpoint: endpoint.map(|id| id.parse().map_err(|_| misfit())).transpose()?,
    };
    Ok(Redelivery {
        id,
        state: RunState::parse(&state).ok_or_else(misfit)?,
        again: Again { filter, since: from_milliseconds(row.try_get("since")?) },
        last: row.try_get("last")?,
        rate: u16::try_from(row.try_get::<i64, _>("rate")?).unwrap_or(1),
        total: row.try_get("total")?,
        asked: row.try_get("asked")?,
        created_at: from_milliseconds(row.try_get("created_at")?),
        position: row.try_get("position")?,
    })
}
