//! One event notification, decoded as leniently as its documentation is thin (reference section 6.3):
//! whatever is signed is stored as it came; what can be read of it is read here.

use serde::Deserialize;
use time::format_description::well_known::Rfc3339;
use time::{OffsetDateTime, UtcOffset};

use super::lenient::{AtMost, Object, Text};

/// Cloud Elements documents twenty events at most. Each is a row and takes many times the memory of its
/// shortest text, `{}`; with more than this, a body is kept as it came and none of it is read.
const MOST_EVENTS: usize = 1000;

/// What could be read of a notification.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Notification {
    /// Cloud Elements' id of it: the de-duplication key.
    pub id: Option<String>,
    /// One to twenty changes, as documented; never more than a thousand.
    pub events: Vec<Event>,
}

/// One change of one object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// What happened to it.
    pub event_type: EventType,
    /// Such as `contacts`.
    pub object_type: Option<String>,
    /// The vendor's id of it; may hold `|`.
    pub object_id: Option<String>,
    /// When it happened, in UTC.
    pub occurred_at: Option<OffsetDateTime>,
}

/// The kinds of change Cloud Elements documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventType {
    /// `CREATED`
    Created,
    /// `UPDATED`
    Updated,
    /// `DELETED`
    Deleted,
    /// `UNKNOWN`, and every word we do not know.
    Unknown,
}

impl EventType {
    /// Every type there is.
    pub const ALL: [Self; 4] = [Self::Created, Self::Updated, Self::Deleted, Self::Unknown];

    /// The word on the wire, in the database and on pages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Created => "CREATED",
            Self::Updated => "UPDATED",
            Self::Deleted => "DELETED",
            Self::Unknown => "UNKNOWN",
        }
    }

    /// The type that `word` names, letter by letter; what Cloud Elements writes is read more leniently.
    pub fn named(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.as_str() == word)
    }

    fn parse(word: Option<&str>) -> Self {
        [Self::Created, Self::Updated, Self::Deleted]
            .into_iter()
            .find(|known| word.is_some_and(|word| word.eq_ignore_ascii_case(known.as_str())))
            .unwrap_or(Self::Unknown)
    }
}

/// A body that is signed and yet no notification we can read.
#[derive(Debug, thiserror::Error)]
#[error("the notification cannot be decoded")]
pub struct Undecodable;

impl Notification {
    /// Reads `body`. Depth is bounded by the JSON reader (128), size by the caller; the memory it takes is a
    /// small multiple of that size.
    pub fn decode(body: &[u8]) -> Result<Self, Undecodable> {
        let Object(envelope): Object<Envelope> = serde_json::from_slice(body).map_err(|_| Undecodable)?;
        let Object(part) = envelope.message.or(envelope.response).ok_or(Undecodable)?;
        let id = envelope.id.or(envelope.notification_id).and_then(Text::into_string);
        Ok(Self { id, events: part.events.0.into_iter().map(|Object(raw)| Event::from(raw)).collect() })
    }
}

impl Event {
    /// One event on its own; `None` for what is none, because it names neither a kind nor an object.
    pub(super) fn read(value: serde_json::Value) -> Option<Self> {
        let Object(raw): Object<RawEvent> = serde_json::from_value(value).ok()?;
        let named = [&raw.event_type, &raw.object_type, &raw.object_id].into_iter().any(Option::is_some);
        named.then(|| Self::from(raw))
    }
}

/// The envelope of today (`id`, `message`), and the documents hub's of old (`notificationId`, `response`).
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Envelope {
    id: Option<Text>,
    notification_id: Option<Text>,
    message: Option<Object<Part>>,
    response: Option<Object<Part>>,
}

#[derive(Deserialize)]
struct Part {
    #[serde(default)]
    events: AtMost<MOST_EVENTS, Object<RawEvent>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawEvent {
    event_type: Option<Text>,
    object_type: Option<Text>,
    object_id: Option<Text>,
    date: Option<Text>,
}

impl From<RawEvent> for Event {
    fn from(raw: RawEvent) -> Self {
        let text = |field: Option<Text>| field.and_then(Text::into_string);
        Self {
            event_type: EventType::parse(text(raw.event_type).as_deref()),
            object_type: text(raw.object_type),
            object_id: text(raw.object_id),
            occurred_at: text(raw.date).and_then(|date| moment(&date)),
        }
    }
}

/// RFC 3339, if it is a moment of the calendar in UTC too, which is how it is kept.
pub(super) fn moment(date: &str) -> Option<OffsetDateTime> {
    OffsetDateTime::parse(date, &Rfc3339).ok()?.checked_to_offset(UtcOffset::UTC)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::clock::{from_milliseconds, to_milliseconds};

    #[test]
    fn the_documented_payload_is_read() {
        let body = r#"{"severity":"medium","createdDate":"Mon Feb 03 04:05:06 UTC 2020","id":"9001234",
            "message":{"instanceId":700123,"raw":{"a":[1,{"b":null}]},"events":[
            {"date":"2020-02-03T04:05:06Z","eventType":"CREATED","objectId":"abc|1","objectType":"contacts"}]}}"#;
        let notification = Notification::decode(body.as_bytes()).unwrap();
        assert_eq!(notification.id.as_deref(), Some("9001234"));
        let expected = Event {
            event_type: EventType::Created,
            object_type: Some("contacts".into()),
            object_id: Some("abc|1".into()),
            occurred_at: Some(time::macros::datetime!(2020-02-03 4:05:06 UTC)),
        };
        assert_eq!(notification.events, [expected]);
    }

    #[test]
    fn the_older_shape_and_numbers_for_text_are_read() {
        let body = br#"{"eventId":1,"instanceId":2,"response":{"events":[{"path":"/x","metadata":{}}]},"notificationId":3}"#;
        let notification = Notification::decode(body).unwrap();
        assert_eq!(notification.id.as_deref(), Some("3"));
        assert_eq!(notification.events[0].event_type, EventType::Unknown);
        let body = br#"{"id":7,"message":{"events":[{"objectId":12,"eventType":"deleted","date":false}]}}"#;
        let event = Notification::decode(body).unwrap().events.remove(0);
        assert_eq!((event.object_id.as_deref(), event.event_type), (Some("12"), EventType::Deleted));
        assert_eq!(event.occurred_at, None);
    }

    #[test]
    fn d13_d15_hostile_json_ends_in_an_error_not_a_crash() {
        let deep = "[".repeat(100_000) + &"]".repeat(100_000);
        let keys: String = (0..100_000).map(|key| format!("\"{key}\":0,")).collect();
        for body in [
            String::new(),
            "null".into(),
            "[]".into(),
            "12".into(),
            deep.clone(),
            format!("{{{keys}\"id\":1}}"),
            "{\"id\":1,\"id\":2,\"message\":{}}".into(),
            format!("{{\"id\":{}}}", "9".repeat(1024 * 1024)),
        ] {
            assert!(Notification::decode(body.as_bytes()).is_err(), "{}", &body[..body.len().min(40)]);
        }
        // What is not looked at may be as deep as it likes.
        let body = format!("{{\"id\":1,\"message\":{{\"raw\":{deep}}}}}");
        assert_eq!(Notification::decode(body.as_bytes()).unwrap().id.as_deref(), Some("1"));
    }

    #[test]
    fn a_thousand_events_are_read_and_one_more_is_no_notification() {
        let body = |count: usize| {
            format!("{{\"id\":1,\"message\":{{\"events\":[{}]}}}}", vec!["{}"; count].join(","))
        };
        assert_eq!(Notification::decode(body(1000).as_bytes()).unwrap().events.len(), 1000);
        assert!(Notification::decode(body(1001).as_bytes()).is_err());
    }

    #[test]
    fn a_list_is_no_object() {
        for body in [
            r#"["1",null,{},null]"#,
            r#"{"id":1,"message":[[]]}"#,
            r#"{"id":1,"message":{"events":[["CREATED","contacts","1",null]]}}"#,
        ] {
            assert!(Notification::decode(body.as_bytes()).is_err(), "{body}");
        }
    }

    #[test]
    fn a_field_of_another_kind_is_none_and_fails_nothing() {
        let deep = "[".repeat(100_000) + &"]".repeat(100_000);
        for odd in ["null", "true", "\"\"", "[0,{}]", "{\"a\":[]}", &deep] {
            let body = format!("{{\"id\":{odd},\"message\":{{\"events\":[{{\"objectId\":{odd}}}]}}}}");
            let notification = Notification::decode(body.as_bytes()).unwrap();
            assert_eq!((notification.id, &notification.events[0].object_id), (None, &None));
        }
    }

    #[test]
    fn a_date_that_is_in_no_year_of_utc_is_none() {
        for (date, kept) in [
            ("9999-12-31T23:59:59Z", true),
            ("9999-12-31T23:59:59-00:01", false),
            ("0000-01-01T00:00:00+23:59", true),
        ] {
            let body = format!("{{\"message\":{{\"events\":[{{\"date\":\"{date}\"}}]}}}}");
            let event = Notification::decode(body.as_bytes()).unwrap().events.remove(0);
            let stored = event.occurred_at.map(|at| from_milliseconds(to_milliseconds(at)));
            assert_eq!((event.occurred_at.is_some(), stored), (kept, event.occurred_at), "{date}");
        }
    }

    proptest! {
        #[test]
        fn no_body_makes_the_decoder_panic(body: Vec<u8>, text in "\\{\"(id|message|response)\":.{0,60}\\}") {
            let _ = Notification::decode(&body);
            let _ = Notification::decode(text.as_bytes());
        }
    }
}
