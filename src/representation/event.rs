//! One event.

use serde::Serialize;
use utoipa::ToSchema;

use super::Time;
use crate::storage::EventRow;

/// One event; or a notification that could not be decoded, with what it lacks null.
#[derive(Serialize, ToSchema)]
pub struct Event {
    /// Opaque; the same for ever.
    #[schema(example = "42-0")]
    pub id: String,
    /// The instance it came from.
    #[schema(format = "uuid")]
    instance: String,
    /// Cloud Elements' id of the notification it came in.
    #[schema(required)]
    notification_id: Option<String>,
    /// `CREATED`, `UPDATED`, `DELETED` or `UNKNOWN`.
    #[serde(rename = "type")]
    #[schema(required, example = "CREATED")]
    kind: Option<String>,
    /// Of what, such as `contacts`.
    #[schema(required)]
    object_type: Option<String>,
    /// The vendor's id of it.
    #[schema(required)]
    object_id: Option<String>,
    /// When it happened, as the vendor says.
    #[schema(required)]
    occurred_at: Option<Time>,
    /// When it arrived here.
    received_at: Time,
    /// It did not arrive by itself: Gangway read it from Cloud Elements, and nothing signs it.
    read_back: bool,
}

impl From<EventRow> for Event {
    fn from(row: EventRow) -> Self {
        let (kind, object_type, object_id, occurred_at) = match row.event {
            Some(event) => (Some(event.event_type), event.object_type, event.object_id, event.occurred_at),
            None => (None, None, None, None),
        };
        Self {
            id: row.id.to_string(),
            instance: row.instance.to_string(),
            notification_id: row.notification_id,
            kind,
            object_type,
            object_id,
            occurred_at: occurred_at.map(Time::from),
            received_at: row.received_at.into(),
            read_back: row.read_back,
        }
    }
}
