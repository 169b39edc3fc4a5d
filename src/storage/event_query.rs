//! The SQL of looking at events, and its rows. Events and notifications without any are two tables that are read
//! as one list: each by its index and no further than asked, then put in one order.

use sqlx::Row;
use sqlx::any::AnyRow;
use time::OffsetDateTime;
use uuid::Uuid;

use super::StorageError;
use super::events::{EventId, EventRow, ReadEvent};
use super::instances::{moment, parsed};

/// The newest notification before a moment, and the oldest since: of a thousand near it, because a clock may
/// have been set back.
pub(super) const NEWEST_BEFORE: &str = "SELECT max(seq) FROM (SELECT seq FROM notifications WHERE received_at < $1 \
     ORDER BY received_at DESC, seq DESC LIMIT 1000) AS near";
pub(super) const OLDEST_SINCE: &str = "SELECT min(seq) FROM (SELECT seq FROM notifications WHERE received_at >= $1 \
     ORDER BY received_at, seq LIMIT 1000) AS near";

/// One event, or a notification without any, with what of its notification a page shows.
pub(super) const ONE: &str = "SELECT n.instance, n.notification_id, n.received_at, n.headers, \
     CAST(length(n.body) AS BIGINT) AS bytes, substr(n.body, 1, 65536) AS head, n.duplicates, n.same_id_as, n.payload_gone, n.read_back, \
     e.type, e.object_type, e.object_id, e.occurred_at, i.name \
     FROM notifications AS n LEFT JOIN events AS e ON e.notification = n.seq AND e.position = $2 \
     LEFT JOIN instances AS i ON i.id = n.instance WHERE n.seq = $1";

/// From a cursor into the past, or towards the present.
#[derive(Clone, Copy)]
pub(super) enum Order {
    Back,
    Forth,
}

/// What to look at.
#[derive(Clone, Copy)]
pub(super) struct Look {
    pub(super) order: Order,
    pub(super) instance: Option<Uuid>,
    /// Whether the payloads are wanted too.
    pub(super) bodies: bool,
}

impl Look {
    /// Takes the cursor as `$1` and `$2`, the limit as `$3`, the instance as `$4`.
    pub(super) fn sql(self) -> String {
        let (beyond, direction) = match self.order {
            Order::Back => ("<", "DESC"),
            Order::Forth => (">", "ASC"),
        };
        let whose = if self.instance.is_some() { "AND instance = $4" } else { "" };
        // A long payload is not worth the time.
        let body =
            if self.bodies { ", CASE WHEN length(n.body) <= 262144 THEN n.body END AS body" } else { "" };
        format!(
            "SELECT looked.notification, looked.position, looked.instance, looked.type, looked.object_type, \
             looked.object_id, looked.occurred_at, n.notification_id, n.received_at, n.read_back, i.name{body} FROM ( \
             SELECT * FROM (SELECT * FROM (SELECT notification, position, instance, type, object_type, object_id, \
             occurred_at FROM events WHERE (notification, position) {beyond} ($1, $2) {whose} \
             ORDER BY notification {direction}, position {direction} LIMIT $3) AS decoded \
             UNION ALL SELECT * FROM (SELECT notification, CAST(0 AS BIGINT) AS position, instance, \
             CAST(NULL AS TEXT) AS type, CAST(NULL AS TEXT) AS object_type, CAST(NULL AS TEXT) AS object_id, \
             CAST(NULL AS BIGINT) AS occurred_at FROM undecoded WHERE notification {beyond} $1 {whose} \
             ORDER BY notification {direction} LIMIT $3) AS bare) AS together \
             ORDER BY notification {direction}, position {direction} LIMIT $3) AS looked \
             JOIN notifications AS n ON n.seq = looked.notification LEFT JOIN instances AS i ON i.id = looked.instance \
             ORDER BY looked.notification {direction}, looked.position {direction}"
        )
    }
}

pub(super) fn read(row: &AnyRow, id: EventId) -> Result<EventRow, StorageError> {
    let event = match row.try_get::<Option<String>, _>("type")? {
        None => None,
        Some(event_type) => Some(ReadEvent {
            event_type,
            object_type: row.try_get("object_type")?,
            object_id: row.try_get("object_id")?,
            occurred_at: moment(row, "occurred_at")?,
        }),
    };
    Ok(EventRow {
        id,
        instance: parsed(row, "instance")?,
        instance_name: row.try_get("name")?,
        notification_id: row.try_get("notification_id")?,
        received_at: moment(row, "received_at")?.unwrap_or(OffsetDateTime::UNIX_EPOCH),
        read_back: row.try_get::<i64, _>("read_back")? != 0,
        event,
    })
}
