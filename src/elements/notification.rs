//! One event notification, decoded as leniently as its documentation is thin (reference section 6.3):
//! whatever is signed is stored as it came; what can be read of it is read here.

use serde::Deserialize;
use serde::de::IgnoredAny;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// What could be read of a notification.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Notification {
    /// Cloud Elements' id of it: the de-duplication key.
    pub id: Option<String>,
    /// One to twenty changes.
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
    /// When it happened.
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
    /// Reads `body`. Depth is bounded by the JSON reader (128), size by the caller.
    pub fn decode(body: &[u8]) -> Result<Self, Undecodable> {
        let envelope: Envelope = serde_json::from_slice(body).map_err(|_| Undecodable)?;
        let events = envelope.message.or(envelope.response).map(|part| part.events).ok_or(Undecodable)?;
        let id = envelope.id.or(envelope.notification_id).and_then(Text::into_string);
        Ok(Self { id, events: events.into_iter().map(Event::from).collect() })
    }
}

/// The envelope of today (`id`, `message`), and the documents hub's of old (`notificationId`, `response`).
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Envelope {
    id: Option<Text>,
    notification_id: Option<Text>,
    message: Option<Part>,
    response: Option<Part>,
}

#[derive(Deserialize)]
struct Part {
    #[serde(default)]
    events: Vec<RawEvent>,
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
            occurred_at: text(raw.date).and_then(|date| OffsetDateTime::parse(&date, &Rfc3339).ok()),
        }
    }
}

/// A field that should be text, may be a number, and must not fail the rest when it is something else.
#[derive(Deserialize)]
#[serde(untagged)]
enum Text {
    String(String),
    Number(serde_json::Number),
    Other(IgnoredAny),
}

impl Text {
    fn into_string(self) -> Option<String> {
        match self {
            Self::String(text) => Some(text).filter(|text| !text.is_empty()),
            Self::Number(number) => Some(number.to_string()),
            Self::Other(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

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

    proptest! {
        #[test]
        fn no_body_makes_the_decoder_panic(body: Vec<u8>, text in "\\{\"(id|message|response)\":.{0,60}\\}") {
            let _ = Notification::decode(&body);
            let _ = Notification::decode(text.as_bytes());
        }
    }
}
