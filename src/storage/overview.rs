//! What the overview asks: how many instances stand how, and how those of late came to be. Nothing here reads more
//! than a bounded part of a table.

use sqlx::Row;
use time::{Duration, OffsetDateTime};

use super::instances::moment;
use super::statement::Statement;
use super::{Storage, StorageError};
use crate::clock::to_milliseconds;

/// Nobody counts further.
pub const COUNTED: i64 = 10_000;
/// So many of the latest trips are looked at.
pub const LATEST: i64 = 1_000;
/// Starts are kept for so long.
const KEPT: Duration = Duration::days(31);
/// A claim and the row it makes are of one moment; what an older row was claimed with renewed it.
const ONE_MOMENT: Duration = Duration::seconds(5);

pub(super) const IN_STATE: &str = "SELECT id FROM instances WHERE state = $1 LIMIT $2";
pub(super) const TRIPS: &str = "SELECT r.started_at, r.claimed_at, r.error, i.created_at, i.connected_at, i.first_event_at \
     FROM authorization_requests AS r LEFT JOIN instances AS i ON i.id = r.instance ORDER BY r.id DESC LIMIT $1";

/// A trip that came back, and how far it led.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TripOfLate {
    /// When its browser left.
    pub started_at: Option<OffsetDateTime>,
    /// When it came back.
    pub claimed_at: OffsetDateTime,
    /// It brought a grant.
    pub granted: bool,
    /// When its instance was settled.
    pub connected_at: Option<OffsetDateTime>,
    /// When the first event of that came.
    pub first_event_at: Option<OffsetDateTime>,
}

impl Storage {
    /// How many instances are in `state`; at [`COUNTED`] nobody counts on.
    pub async fn count_in_state(&self, state: &str) -> Result<i64, StorageError> {
        let query = sqlx::AssertSqlSafe(format!("SELECT count(*) FROM ({IN_STATE}) AS some"));
        let query = sqlx::query_scalar(query).bind(state.to_owned()).bind(COUNTED);
        Ok(query.fetch_one(&self.readers).await?)
    }

    /// The latest trips that came back since `since`, [`LATEST`] at most, without those that renewed an instance.
    pub async fn trips_of_late(&self, since: OffsetDateTime) -> Result<Vec<TripOfLate>, StorageError> {
        let rows = sqlx::query(TRIPS).bind(LATEST).fetch_all(&self.readers).await?;
        let mut trips = Vec::with_capacity(rows.len());
        for row in &rows {
            let claimed_at = moment(row, "claimed_at")?.unwrap_or(OffsetDateTime::UNIX_EPOCH);
            let renewed = moment(row, "created_at")?.is_some_and(|made| claimed_at - made > ONE_MOMENT);
            if claimed_at < since || renewed {
                continue;
            }
            trips.push(TripOfLate {
                started_at: moment(row, "started_at")?,
                claimed_at,
                granted: row.try_get::<Option<String>, _>("error")?.is_none(),
                connected_at: moment(row, "connected_at")?,
                first_event_at: moment(row, "first_event_at")?,
            });
        }
        Ok(trips)
    }

    /// How many trips were started since `since`, by whole hours.
    pub async fn starts_since(&self, since: OffsetDateTime) -> Result<i64, StorageError> {
        let query = "SELECT CAST(COALESCE(sum(starts), 0) AS BIGINT) FROM start_counts WHERE at >= $1";
        Ok(sqlx::query_scalar(query).bind(hour(since)).fetch_one(&self.readers).await?)
    }

    /// Adds what was counted in memory.
    pub async fn add_starts(&self, starts: i64, now: OffsetDateTime) -> Result<(), StorageError> {
        let add = Statement::new(
            "INSERT INTO start_counts (at, starts) VALUES ($1, $2) ON CONFLICT (at) DO UPDATE SET starts = start_counts.starts + excluded.starts",
        );
        let old = Statement::new("DELETE FROM start_counts WHERE at < $1").bind(hour(now - KEPT));
        self.writer.write(vec![add.bind(hour(now)).bind(starts), old]).await
    }
}

fn hour(at: OffsetDateTime) -> i64 {
    const HOUR: i64 = 3_600_000;
    let at = to_milliseconds(at);
    at - at.rem_euclid(HOUR)
}
