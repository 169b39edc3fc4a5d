//! One event as Cloud Elements keeps it (reference section 6.5, "Missed events"): what it would have sent, seen
//! from its own side. Kept as it was read; nothing is added to it.

use serde::Deserialize;
use serde_json::Value;
use time::OffsetDateTime;

use super::lenient::{Object, Text};
use super::notification::{Event, moment};

/// An event of one instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadBack {
    /// Cloud Elements' id of the event; a notification carries it as `message.eventId`.
    pub event_id: Option<String>,
    /// When it happened.
    pub happened_at: Option<OffsetDateTime>,
    /// The notifications it became: usually one, several where it held many changes, and none that is named
    /// where it never became any.
    pub notifications: Vec<ReadBackNotification>,
    /// Its bytes.
    pub body: Vec<u8>,
}

/// A notification that an event became.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadBackNotification {
    /// Cloud Elements' id of it: that of the notification on the wire, by all that is known.
    pub id: Option<String>,
    /// The changes it told of, as far as they can be read.
    pub events: Vec<Event>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawReadBack {
    id: Option<Text>,
    event_date: Option<Text>,
    #[serde(default)]
    notified_data: Value,
    element_instance_id: Option<Text>,
    #[serde(default)]
    event_element_instances: Vec<Object<RawShare>>,
}

/// What became of the event for one instance.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawShare {
    element_instance_id: Option<Text>,
    notification_id: Option<Text>,
    #[serde(default)]
    notified_data: Value,
}

impl ReadBack {
    /// Reads one of a list that was asked for `instance`. `None` where it names other instances and not this one.
    /// What cannot be read at all is kept: it was asked for, and may be what is missing.
    pub fn read(text: &str, instance: i64) -> Option<Self> {
        let body = text.as_bytes().to_vec();
        let Ok(Object(raw)) = serde_json::from_str::<Object<RawReadBack>>(text) else {
            let notifications = vec![ReadBackNotification { id: None, events: Vec::new() }];
            return Some(Self { event_id: None, happened_at: None, notifications, body });
        };
        let named = |id: Option<Text>| id.and_then(Text::into_string);
        let instance = instance.to_string();
        let whole = named(raw.element_instance_id);
        let (mut ours, mut others) = (Vec::new(), whole.is_some_and(|id| id != instance));
        for Object(share) in raw.event_element_instances {
            match named(share.element_instance_id) {
                Some(id) if id != instance => others = true,
                _ => ours.push((named(share.notification_id), events_in(share.notified_data))),
            }
        }
        if ours.is_empty() {
            if others {
                return None;
            }
            ours.push((None, Vec::new()));
        }
        // What was told is kept with the share or with the event; the latter is that of all shares together.
        let alone = ours.len() == 1;
        let told = events_in(raw.notified_data);
        let notifications = ours.into_iter().map(|(id, events)| ReadBackNotification {
            id,
            events: if events.is_empty() && alone { told.clone() } else { events },
        });
        let happened_at = named(raw.event_date).and_then(|at| moment(&at));
        Some(Self { event_id: named(raw.id), happened_at, notifications: notifications.collect(), body })
    }
}

/// The changes in what was told: a list of them or of texts that hold some, or a whole notification.
fn events_in(told: Value) -> Vec<Event> {
    match told {
        Value::Array(all) => all.into_iter().flat_map(events_in).collect(),
        Value::String(text) => match serde_json::from_str(&text) {
            // A text within a text is no shape that was seen, and could go on for ever.
            Ok(Value::String(_)) | Err(_) => Vec::new(),
            Ok(inner) => events_in(inner),
        },
        Value::Object(mut fields) => {
            let whole = fields.get_mut("message").and_then(|message| message.get_mut("events"));
            match whole.map(Value::take).or_else(|| fields.remove("events")) {
                Some(events) => events_in(events),
                None => Event::read(Value::Object(fields)).into_iter().collect(),
            }
        }
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::elements::EventType;

    const EVENT: &str =
        r#"{"date":"2026-11-23T12:00:00Z","eventType":"CREATED","objectType":"contacts","objectId":"a"}"#;

    fn read(text: &str) -> ReadBack {
        ReadBack::read(text, 7).unwrap()
    }

    #[test]
    fn an_event_is_read_in_the_shape_of_the_vendors_own_client() {
        let told = serde_json::to_string(&format!("[{EVENT}]")).unwrap();
        let text = format!(
            r#"{{"id":"AX1","eventDate":"2026-11-23T12:00:00Z","status":"NOTIFIED","providerData":"{{}}","notifiedData":[{EVENT}],
            "eventElementInstances":[{{"eventId":"AX1","elementInstanceId":7,"notificationId":9001,"notifiedData":{told}}},
            {{"eventId":"AX1","elementInstanceId":8,"notificationId":9002,"notifiedData":"[]"}}]}}"#
        );
        let found = read(&text);
        assert_eq!(found.event_id.as_deref(), Some("AX1"));
        assert_eq!(found.happened_at, Some(time::macros::datetime!(2026-11-23 12:00 UTC)));
        let [only] = found.notifications.try_into().unwrap();
        assert_eq!((only.id.as_deref(), only.events.len()), (Some("9001"), 1));
        assert_eq!(only.events[0].event_type, EventType::Created);
        assert_eq!(found.body, text.as_bytes(), "byte for byte");
        assert!(ReadBack::read(&text, 9).is_none(), "another instance's is left alone");
    }

    #[test]
    fn what_is_thin_or_odd_is_kept_for_the_instance_that_was_asked_for() {
        for text in [
            "{}",
            "7",
            "null",
            r#""text""#,
            r#"{"id":7}"#,
            r#"{"eventElementInstances":7}"#,
            r#"{"notifiedData":"x"}"#,
        ] {
            let found = read(text);
            assert_eq!(
                found.notifications,
                [ReadBackNotification { id: None, events: Vec::new() }],
                "{text}"
            );
        }
        let whole =
            format!(r#"{{"id":1,"notifiedData":{{"id":"5","message":{{"events":[{EVENT},{EVENT}]}}}}}}"#);
        assert_eq!(read(&whole).notifications[0].events.len(), 2);
        let flat = format!(r#"{{"id":1,"notifiedData":[{EVENT}],"elementInstanceId":"8"}}"#);
        assert!(ReadBack::read(&flat, 7).is_none());
        assert!(ReadBack::read(&flat, 8).is_some());
    }

    #[test]
    fn an_event_that_became_several_notifications_is_each_of_them() {
        let share =
            |id: u8| format!(r#"{{"elementInstanceId":7,"notificationId":{id},"notifiedData":[{EVENT}]}}"#);
        let text = format!(
            r#"{{"notifiedData":[{EVENT},{EVENT}],"eventElementInstances":[{},{}]}}"#,
            share(1),
            share(2)
        );
        let found = read(&text).notifications;
        assert_eq!(found.iter().map(|one| one.events.len()).collect::<Vec<_>>(), [1, 1]);
    }

    proptest! {
        #[test]
        fn no_text_makes_the_reader_panic(text in "\\{\"(id|notifiedData|eventElementInstances)\":.{0,60}\\}") {
            let _ = ReadBack::read(&text, 7);
        }
    }
}
