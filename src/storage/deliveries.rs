//! Deliveries as they are looked at: a list by state and endpoint, and one with its attempts. And one asked for
//! again.

use std::collections::HashMap;

use sqlx::Row;
use sqlx::any::AnyRow;
use time::OffsetDateTime;
use uuid::Uuid;

use super::statement::Statement;
use super::{Attempt, Storage, StorageError, instances};
use crate::clock::{from_milliseconds, to_milliseconds};

/// Passing one notification on to one endpoint.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// Its place in the order of arrival.
    pub seq: i64,
    /// Where to.
    pub endpoint: Uuid,
    /// The endpoint's address.
    pub url: String,
    /// The notification's place in the order of arrival.
    pub notification: i64,
    /// Cloud Elements' id of the notification.
    pub notification_id: Option<String>,
    /// What tells the notification from every other.
    pub fingerprint: Vec<u8>,
    /// Whose notification it is.
    pub instance: Uuid,
    /// How it stands.
    pub state: DeliveryState,
    /// So many attempts since it was made, or asked for again.
    pub attempts: i64,
    /// When the notification arrived.
    pub created_at: OffsetDateTime,
    /// When it is tried next.
    pub next_attempt_at: Option<OffsetDateTime>,
    /// Its endpoint is on and its payload still there, so that it can be asked for again.
    pub repeatable: bool,
}

/// How a delivery stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeliveryState {
    /// It will be tried.
    Pending,
    /// It arrived.
    Delivered,
    /// It did not, and will not be tried by itself.
    Failed,
}

impl DeliveryState {
    /// Every state.
    pub const ALL: [Self; 3] = [Self::Pending, Self::Delivered, Self::Failed];

    /// The word in the database and on pages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Delivered => "delivered",
            Self::Failed => "failed",
        }
    }

    /// The state a word names.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == word)
    }
}

/// Which deliveries.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DeliveryFilter {
    /// In this state.
    pub state: Option<DeliveryState>,
    /// To this endpoint.
    pub endpoint: Option<Uuid>,
}

const SELECT: &str = "SELECT deliveries.seq, endpoint, url, notification, notification_id, fingerprint, instance, \
     deliveries.state, attempts, deliveries.created_at, due_at, \
     CASE WHEN endpoints.state = 'on' AND payload_gone = 0 THEN 1 ELSE 0 END AS repeatable FROM deliveries \
     JOIN endpoints ON endpoints.id = endpoint JOIN notifications ON notifications.seq = notification";

/// The list, newest first. Every filter has its own words, so that each finds its own index.
pub(super) fn page_query(filter: DeliveryFilter) -> String {
    let condition = match (filter.state, filter.endpoint) {
        (None, None) => "",
        (Some(_), None) => "AND deliveries.state = $3",
        (None, Some(_)) => "AND endpoint = $3",
        (Some(_), Some(_)) => "AND deliveries.state = $3 AND endpoint = $4",
    };
    format!("{SELECT} WHERE deliveries.seq < $1 {condition} ORDER BY deliveries.seq DESC LIMIT $2")
}

impl Storage {
    /// The newest deliveries first, `limit` of them, from `after` on; and the cursor of the next ones, if there
    /// are any.
    pub async fn deliveries(
        &self,
        filter: DeliveryFilter,
        after: Option<i64>,
        limit: u16,
    ) -> Result<(Vec<Delivery>, Option<i64>), StorageError> {
        let query = sqlx::query(sqlx::AssertSqlSafe(page_query(filter)));
        let mut query = query.bind(after.unwrap_or(i64::MAX)).bind(i64::from(limit) + 1);
        if let Some(state) = filter.state {
            query = query.bind(state.as_str());
        }
        if let Some(endpoint) = filter.endpoint {
            query = query.bind(endpoint.to_string());
        }
        let rows = query.fetch_all(&self.readers).await?;
        let mut items = rows.iter().map(read).collect::<Result<Vec<_>, _>>()?;
        let more = items.len() > usize::from(limit);
        items.truncate(limit.into());
        let next = items.last().filter(|_| more).map(|last| last.seq);
        Ok((items, next))
    }

    /// One delivery.
    pub async fn delivery(&self, seq: i64) -> Result<Option<Delivery>, StorageError> {
        let query = sqlx::AssertSqlSafe(format!("{SELECT} WHERE deliveries.seq = $1"));
        let row = sqlx::query(query).bind(seq).fetch_optional(&self.readers).await?;
        row.as_ref().map(read).transpose()
    }

    /// The deliveries of one notification, oldest first. There is one for each endpoint that wanted it.
    pub async fn deliveries_of(&self, notification: i64) -> Result<Vec<Delivery>, StorageError> {
        let query = format!("{SELECT} WHERE notification = $1 ORDER BY deliveries.seq LIMIT 200");
        let rows =
            sqlx::query(sqlx::AssertSqlSafe(query)).bind(notification).fetch_all(&self.readers).await?;
        rows.iter().map(read).collect()
    }

    /// Every attempt at a delivery, newest first.
    pub async fn attempts(&self, delivery: i64) -> Result<Vec<Attempt>, StorageError> {
        let query = "SELECT at, status, duration_ms, error, answer FROM delivery_attempts WHERE delivery = $1 ORDER BY seq DESC LIMIT 200";
        let rows = sqlx::query(query).bind(delivery).fetch_all(&self.readers).await?;
        rows.iter().map(read_attempt).collect()
    }

    /// The newest attempts at each of `deliveries`, at most `most` of them, the oldest of those first.
    pub async fn newest_attempts(
        &self,
        deliveries: &[i64],
        most: u16,
    ) -> Result<HashMap<i64, Vec<Attempt>>, StorageError> {
        if deliveries.is_empty() {
            return Ok(HashMap::new());
        }
        let places: Vec<String> = (2..deliveries.len() + 2).map(|place| format!("${place}")).collect();
        let query = sqlx::AssertSqlSafe(format!(
            "SELECT delivery, at, status, duration_ms, error, answer FROM (SELECT delivery, seq, at, status, duration_ms, \
             error, answer, row_number() OVER (PARTITION BY delivery ORDER BY seq DESC) AS place \
             FROM delivery_attempts WHERE delivery IN ({})) AS numbered WHERE place <= $1 ORDER BY seq",
            places.join(", ")
        ));
        let query = deliveries
            .iter()
            .fold(sqlx::query(query).bind(i64::from(most)), |query, &delivery| query.bind(delivery));
        let mut attempts = HashMap::<i64, Vec<Attempt>>::new();
        for row in query.fetch_all(&self.readers).await? {
            attempts.entry(row.try_get("delivery")?).or_default().push(read_attempt(&row)?);
        }
        Ok(attempts)
    }

    /// Asks for a delivery again, with all its attempts; answers whether its endpoint takes any and its payload is
    /// still there.
    pub async fn redeliver(&self, seq: i64, now: OffsetDateTime) -> Result<bool, StorageError> {
        let asked = self.writer.write(asking_again(seq, now)).await? > 0;
        if asked {
            self.deliveries_made.send_replace(());
        }
        Ok(asked)
    }
}

pub(super) fn asking_again(seq: i64, now: OffsetDateTime) -> Statement {
    Statement::new(
        "UPDATE deliveries SET state = 'pending', attempts = 0, due_at = $2 \
         WHERE seq = $1 AND endpoint IN (SELECT id FROM endpoints WHERE state = 'on') \
         AND EXISTS (SELECT 1 FROM notifications WHERE notifications.seq = notification AND payload_gone = 0)",
    )
    .bind(seq)
    .bind(to_milliseconds(now))
}

fn read_attempt(row: &AnyRow) -> Result<Attempt, StorageError> {
    let status: Option<i64> = row.try_get("status")?;
    let took: i64 = row.try_get("duration_ms")?;
    Ok(Attempt {
        at: from_milliseconds(row.try_get("at")?),
        status: status.and_then(|status| u16::try_from(status).ok()),
        took: std::time::Duration::from_millis(u64::try_from(took).unwrap_or_default()),
        error: row.try_get("error")?,
        answer: row.try_get("answer")?,
    })
}

fn read(row: &AnyRow) -> Result<Delivery, StorageError> {
    let word: String = row.try_get("state")?;
    let misfit = || StorageError::Inconsistent(format!("no state of a delivery: {word:?}"));
    Ok(Delivery {
        seq: row.try_get("seq")?,
        endpoint: instances::parsed(row, "endpoint")?,
        url: row.try_get("url")?,
        notification: row.try_get("notification")?,
        notification_id: row.try_get("notification_id")?,
        fingerprint: row.try_get("fingerprint")?,
        instance: instances::parsed(row, "instance")?,
        state: DeliveryState::parse(&word).ok_or_else(misfit)?,
        attempts: row.try_get("attempts")?,
        created_at: from_milliseconds(row.try_get("created_at")?),
        next_attempt_at: instances::moment(row, "due_at")?,
        repeatable: row.try_get::<i64, _>("repeatable")? == 1,
    })
}
