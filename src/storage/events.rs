//! Events as they are looked at: a list by arrival, one with its notification, and what came after a cursor.
//! Nothing here counts rows or reads a whole table; how they are stored is `notifications`' business.

use std::fmt;
use std::str::FromStr;

use sqlx::Row;
use time::OffsetDateTime;
use uuid::Uuid;

use super::event_query::{self, Look, Order};
use super::{Storage, StorageError};
use crate::clock::to_milliseconds;
use crate::elements::EventType;

/// Of a payload so much is read for a page.
pub const PAYLOAD_HEAD: usize = 65_536;
/// So many events are looked through for one page of a list; then it says so.
pub(super) const LOOKED_THROUGH: usize = 5_000;
/// And so many bytes of payloads, where a text is looked for.
const SEARCHED_BYTES: usize = 16 * 1024 * 1024;
pub(super) const BATCH: usize = 500;
const SEARCHED_BATCH: usize = 50;

/// What names an event: the place of its notification in the order of arrival, and its own place in there. A
/// notification without events is named like its first. Written `42-0`; to everybody else an opaque text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct EventId {
    notification: i64,
    position: i64,
}

/// A text that names no event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not the id of an event")]
pub struct NoEventId;

impl EventId {
    /// The first of the notification in that place of the order of arrival.
    pub fn first_of(notification: i64) -> Self {
        Self { notification, position: 0 }
    }

    /// The place of its notification in the order of arrival.
    pub fn notification(self) -> i64 {
        self.notification
    }

    /// Before every event there is.
    pub const START: Self = Self { notification: 0, position: 0 };
    const END: Self = Self { notification: i64::MAX, position: 0 };
}

impl fmt::Display for EventId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}-{}", self.notification, self.position)
    }
}

impl FromStr for EventId {
    type Err = NoEventId;

    fn from_str(text: &str) -> Result<Self, NoEventId> {
        let (notification, position) = text.split_once('-').ok_or(NoEventId)?;
        let number = |text: &str| text.parse().map_err(|_| NoEventId);
        let id = Self { notification: number(notification)?, position: number(position)? };
        // One text for one event: no signs, no zeros in front.
        let natural = id.notification >= 0 && id.position >= 0;
        if natural && id.to_string() == text { Ok(id) } else { Err(NoEventId) }
    }
}

/// An event in a list; or, without `event`, a notification of which none could be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventRow {
    /// Its name.
    pub id: EventId,
    /// Whose it is.
    pub instance: Uuid,
    /// As Cloud Elements has it; `None` if there is no such instance any more.
    pub instance_name: Option<String>,
    /// Cloud Elements' id of the notification.
    pub notification_id: Option<String>,
    /// When it arrived.
    pub received_at: OffsetDateTime,
    /// It did not arrive by itself: it was read back, and nothing signs it.
    pub read_back: bool,
    /// What could be read.
    pub event: Option<ReadEvent>,
}

/// What could be read of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadEvent {
    /// `CREATED`, `UPDATED`, `DELETED` or `UNKNOWN`.
    pub event_type: String,
    /// Such as `contacts`.
    pub object_type: Option<String>,
    /// The vendor's id of it.
    pub object_id: Option<String>,
    /// When it happened.
    pub occurred_at: Option<OffsetDateTime>,
}

/// One event with the notification it came in.
#[derive(Debug)]
pub struct StoredEvent {
    /// As in a list.
    pub row: EventRow,
    /// The headers that were kept.
    pub headers: Vec<(String, String)>,
    /// The length of the payload.
    pub bytes: usize,
    /// Its first [`PAYLOAD_HEAD`] bytes.
    pub head: Vec<u8>,
    /// How often the notification came again.
    pub duplicates: i64,
    /// The first event of an earlier notification with the same id and another body.
    pub same_id_as: Option<EventId>,
    /// The payload was older than payloads are kept.
    pub payload_gone: bool,
}

/// Which events are meant; all that is given must hold.
#[derive(Debug, Clone, Default)]
pub struct EventFilter {
    /// Of this instance.
    pub instance: Option<Uuid>,
    /// Of this type.
    pub event_type: Option<EventType>,
    /// Of objects of this type.
    pub object_type: Option<String>,
    /// Arrived then or later.
    pub since: Option<OffsetDateTime>,
    /// Arrived before.
    pub until: Option<OffsetDateTime>,
    /// With this text in a payload of at most 256 KiB, whatever the case of its ASCII letters.
    pub text: Option<String>,
}

/// Some events, and where the next ones start.
#[derive(Debug, Default)]
pub struct EventPage {
    /// The newest arrival first.
    pub items: Vec<EventRow>,
    /// The next page starts after it, if there may be one.
    pub next: Option<EventId>,
    /// So many events were looked through, and there are more: the bound of one page was reached.
    pub stopped_after: Option<usize>,
}

/// One row as it was looked at.
pub(super) struct Looked {
    pub(super) row: EventRow,
    body: Option<Vec<u8>>,
}

impl EventFilter {
    pub(super) fn holds(&self, Looked { row, body }: &Looked) -> bool {
        let event = row.event.as_ref();
        let same = |wanted: Option<&str>, is: Option<&str>| wanted.is_none_or(|wanted| is == Some(wanted));
        same(self.event_type.map(EventType::as_str), event.map(|event| &*event.event_type))
            && same(self.object_type.as_deref(), event.and_then(|event| event.object_type.as_deref()))
            && self.since.is_none_or(|since| row.received_at >= since)
            && self.until.is_none_or(|until| row.received_at < until)
            && self.text.as_ref().is_none_or(|text| body.as_ref().is_some_and(|body| holds_text(body, text)))
    }

    pub(super) fn looks_closer(&self) -> bool {
        self.event_type.is_some() || self.object_type.is_some() || self.text.is_some()
    }
}

fn holds_text(body: &[u8], text: &str) -> bool {
    let text = text.as_bytes();
    text.is_empty() || body.windows(text.len()).any(|part| part.eq_ignore_ascii_case(text))
}

impl Storage {
    /// The events that `filter` means, the newest arrival first, at most `limit` of them, from `after` on.
    pub async fn events(
        &self,
        filter: &EventFilter,
        after: Option<EventId>,
        limit: usize,
    ) -> Result<EventPage, StorageError> {
        let mut page = EventPage::default();
        let Some((start, floor)) = self.range(filter).await? else { return Ok(page) };
        let mut cursor = after.map_or(start, |after| after.min(start));
        let batch = match filter {
            EventFilter { text: Some(_), .. } => SEARCHED_BATCH,
            filter if filter.looks_closer() => BATCH,
            _ => limit + 1,
        };
        let look = Look { order: Order::Back, instance: filter.instance, bodies: filter.text.is_some() };
        let (mut looked_through, mut searched) = (0, 0);
        loop {
            let rows = self.look(look, cursor, batch).await?;
            let last = rows.len() < batch;
            looked_through += rows.len();
            for looked in rows {
                if looked.row.id.notification < floor {
                    return Ok(page);
                }
                cursor = looked.row.id;
                searched += looked.body.as_ref().map_or(0, Vec::len);
                if !filter.holds(&looked) {
                    continue;
                }
                if page.items.len() == limit {
                    page.next = page.items.last().map(|row| row.id);
                    return Ok(page);
                }
                page.items.push(looked.row);
            }
            if last {
                return Ok(page);
            }
            if looked_through >= LOOKED_THROUGH || searched >= SEARCHED_BYTES {
                page.next = Some(cursor);
                page.stopped_after = Some(looked_through);
                return Ok(page);
            }
        }
    }

    /// One event with its notification.
    pub async fn event(&self, id: EventId) -> Result<Option<StoredEvent>, StorageError> {
        let query = sqlx::query(event_query::ONE).bind(id.notification).bind(id.position);
        let Some(found) = query.fetch_optional(&self.readers).await? else { return Ok(None) };
        let row = event_query::read(&found, id)?;
        if row.event.is_none() && id.position > 0 {
            return Ok(None);
        }
        let headers: String = found.try_get("headers")?;
        let bytes: i64 = found.try_get("bytes")?;
        Ok(Some(StoredEvent {
            row,
            headers: serde_json::from_str(&headers).unwrap_or_default(),
            bytes: usize::try_from(bytes).unwrap_or_default(),
            // Of nothing, SQLite's substr makes NULL.
            head: found.try_get::<Option<_>, _>("head")?.unwrap_or_default(),
            duplicates: found.try_get("duplicates")?,
            same_id_as: found.try_get::<Option<i64>, _>("same_id_as")?.map(EventId::first_of),
            payload_gone: found.try_get::<i64, _>("payload_gone")? != 0,
        }))
    }

    /// The payload of the notification that `id` came in, as it came.
    pub async fn payload(&self, id: EventId) -> Result<Option<Vec<u8>>, StorageError> {
        let query = sqlx::query_scalar(
            "SELECT body FROM notifications WHERE seq = $1 AND ($2 = 0 OR EXISTS \
             (SELECT 1 FROM events WHERE notification = $1 AND position = $2))",
        );
        Ok(query.bind(id.notification).bind(id.position).fetch_optional(&self.readers).await?)
    }

    /// Where to begin, and below which notification to end; `None` where nothing can be meant. A clock that
    /// was set back is made up for as far as a thousand notifications reach.
    async fn range(&self, filter: &EventFilter) -> Result<Option<(EventId, i64)>, StorageError> {
        let (mut start, mut floor) = (EventId::END, 0);
        if let Some(until) = filter.until {
            let Some(newest) = self.bound(event_query::NEWEST_BEFORE, until).await? else { return Ok(None) };
            start = EventId::first_of(newest + 1);
        }
        if let Some(since) = filter.since {
            let Some(oldest) = self.bound(event_query::OLDEST_SINCE, since).await? else { return Ok(None) };
            floor = oldest;
        }
        Ok(Some((start, floor)))
    }

    async fn bound(&self, query: &'static str, at: OffsetDateTime) -> Result<Option<i64>, StorageError> {
        Ok(sqlx::query_scalar(query).bind(to_milliseconds(at)).fetch_one(&self.readers).await?)
    }

    pub(super) async fn look(
        &self,
        look: Look,
        cursor: EventId,
        limit: usize,
    ) -> Result<Vec<Looked>, StorageError> {
        let query = sqlx::query(sqlx::AssertSqlSafe(look.sql()))
            .bind(cursor.notification)
            .bind(cursor.position)
            .bind(i64::try_from(limit).unwrap_or(i64::MAX));
        let query = match look.instance {
            Some(instance) => query.bind(instance.to_string()),
            None => query,
        };
        let rows = query.fetch_all(&self.readers).await?;
        rows.iter()
            .map(|row| {
                let (notification, position) = (row.try_get("notification")?, row.try_get("position")?);
                let body = if look.bodies { row.try_get("body")? } else { None };
                Ok(Looked { row: event_query::read(row, EventId { notification, position })?, body })
            })
            .collect()
    }
}
