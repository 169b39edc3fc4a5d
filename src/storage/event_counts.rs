//! How many events arrived in each minute and each hour, of all instances together and of each. Counted in the
//! transaction that stores them, once for a whole group, so that charts add up and no page counts rows.

use std::collections::BTreeMap;

use sqlx::AnyConnection;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use super::statement::Statement;
use super::{Storage, StorageError};
use crate::clock::{from_milliseconds, to_milliseconds};

/// What is counted together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Span {
    /// Kept for two hours.
    Minute,
    /// Kept for eight days.
    Hour,
}

impl Span {
    /// How long it is.
    pub fn length(self) -> Duration {
        match self {
            Self::Minute => Duration::MINUTE,
            Self::Hour => Duration::HOUR,
        }
    }

    /// When the one that holds `at` began.
    pub fn beginning(self, at: OffsetDateTime) -> OffsetDateTime {
        let at = to_milliseconds(at);
        from_milliseconds(at - at.rem_euclid(self.milliseconds()))
    }

    fn milliseconds(self) -> i64 {
        match self {
            Self::Minute => 60_000,
            Self::Hour => 3_600_000,
        }
    }

    fn kept_for(self) -> Duration {
        match self {
            Self::Minute => Duration::hours(2),
            Self::Hour => Duration::days(8),
        }
    }
}

/// The events of one span.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventCount {
    /// When it began.
    pub at: OffsetDateTime,
    /// How many arrived.
    pub events: i64,
}

/// Of all instances together.
const ALL: &str = "";

impl Storage {
    /// The spans since `since` in which something arrived, oldest first; of one instance, or of all together.
    pub async fn event_counts(
        &self,
        instance: Option<Uuid>,
        span: Span,
        since: OffsetDateTime,
    ) -> Result<Vec<EventCount>, StorageError> {
        let query =
            "SELECT at, events FROM event_counts WHERE instance = $1 AND span = $2 AND at >= $3 ORDER BY at";
        let rows: Vec<(i64, i64)> = sqlx::query_as(query)
            .bind(instance.map_or(ALL.to_owned(), |id| id.to_string()))
            .bind(span.milliseconds())
            .bind(to_milliseconds(since))
            .fetch_all(&self.readers)
            .await?;
        let count = |(at, events)| EventCount { at: from_milliseconds(at), events };
        Ok(rows.into_iter().map(count).collect())
    }

    /// Forgets the counts that no chart shows any more.
    pub async fn forget_old_event_counts(&self, now: OffsetDateTime) -> Result<(), StorageError> {
        let forget = |span: Span| {
            Statement::new("DELETE FROM event_counts WHERE span = $1 AND at < $2")
                .bind(span.milliseconds())
                .bind(to_milliseconds(now - span.kept_for()))
        };
        self.writer.write(vec![forget(Span::Minute), forget(Span::Hour)]).await
    }
}

/// What arrived in one transaction: of each instance how many notifications and when the last, and its events by
/// minute.
#[derive(Default)]
pub(super) struct Tally {
    notifications: BTreeMap<Uuid, (i64, i64)>,
    events: BTreeMap<(Uuid, i64), i64>,
}

impl Tally {
    /// One more notification, with so many events.
    pub(super) fn add(&mut self, instance: Uuid, at: OffsetDateTime, events: i64) {
        let (count, last) = self.notifications.entry(instance).or_default();
        *count += 1;
        *last = to_milliseconds(at).max(*last);
        *self.events.entry((instance, to_milliseconds(Span::Minute.beginning(at)))).or_default() += events;
    }

    /// A statement or two for each instance, always in the same order, so that two processes do not wait for one
    /// another in a circle.
    pub(super) async fn write(self, connection: &mut AnyConnection) -> sqlx::Result<()> {
        for (instance, (count, last)) in self.notifications {
            sqlx::query(
                "UPDATE instances SET last_event_at = $2, notification_count = notification_count + $3 WHERE id = $1",
            )
            .bind(instance.to_string())
            .bind(last)
            .bind(count)
            .execute(&mut *connection)
            .await?;
        }
        for ((instance, minute), events) in self.events {
            let hour = Span::Hour.beginning(from_milliseconds(minute));
            sqlx::query(
                "INSERT INTO event_counts (instance, span, at, events) \
                 VALUES ('', 60000, $2, $4), ('', 3600000, $3, $4), ($1, 60000, $2, $4), ($1, 3600000, $3, $4) \
                 ON CONFLICT (instance, span, at) DO UPDATE SET events = event_counts.events + excluded.events",
            )
            .bind(instance.to_string())
            .bind(minute)
            .bind(to_milliseconds(hour))
            .bind(events)
            .execute(&mut *connection)
            .await?;
        }
        Ok(())
    }
}
