//! The decoder of notifications over any bytes. What it reads is compared with a second reading of the same
//! bytes, made here from the documentation alone; and what it needs of memory is counted.
#![no_main]

use gangway::clock::{from_milliseconds, to_milliseconds};
use gangway::elements::{Event, EventType, Notification};
use libfuzzer_sys::fuzz_target;
use peak_alloc::PeakAlloc;
use serde_json::{Map, Value};
use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime, UtcOffset};

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// So many times the length of a body decoding it may take, and so much besides.
const TIMES: usize = 4;
const BESIDES: usize = 1024 * 1024;
/// More events make no notification.
const MOST_EVENTS: usize = 1000;

fuzz_target!(|body: &[u8]| {
    let notification = decode_within_bounds(body);
    if let Some(notification) = &notification {
        bounded_and_from(body, notification);
    }
    let Ok(value) = serde_json::from_slice::<Value>(body) else { return };
    if notification.is_some() {
        assert_eq!(notification, read(&value), "read by name, and nothing else");
    }
    // Written again, no name stands twice: what may be read must be.
    let again = value.to_string();
    let value = serde_json::from_str(&again).expect("JSON that was just written");
    assert_eq!(decode_within_bounds(again.as_bytes()), read(&value), "{again}");
});

fn decode_within_bounds(body: &[u8]) -> Option<Notification> {
    let before = MEMORY.current_usage();
    MEMORY.reset_peak_usage();
    let notification = Notification::decode(body).ok();
    let took = MEMORY.peak_usage() - before;
    assert!(took <= TIMES * body.len() + BESIDES, "{took} bytes for a body of {}", body.len());
    assert_eq!(notification, Notification::decode(body).ok(), "the same bytes, the same notification");
    notification
}

fn bounded_and_from(body: &[u8], notification: &Notification) {
    // The shortest event is `{}` and a comma.
    assert!(notification.events.len() <= body.len().div_ceil(3));
    let texts = |event: &Event| [event.object_type.clone(), event.object_id.clone()];
    let texts: Vec<String> =
        notification.events.iter().flat_map(texts).chain([notification.id.clone()]).flatten().collect();
    for text in &texts {
        let stands = body.windows(text.len()).any(|part| part == text.as_bytes());
        let escaped = body.contains(&b'\\') && text.len() <= body.len();
        let number = serde_json::from_str::<serde_json::Number>(text).is_ok();
        assert!(
            !text.is_empty() && !text.contains('\0') && (stands || escaped || number),
            "{text:?} came from nowhere"
        );
    }
    for at in notification.events.iter().filter_map(|event| event.occurred_at) {
        let kept = from_milliseconds(to_milliseconds(at));
        assert!((at - kept).abs() < Duration::MILLISECOND, "{at} is kept as {kept}");
    }
}

/// What reference section 6.3 says a notification is, over a value that is read already.
fn read(value: &Value) -> Option<Notification> {
    let envelope = value.as_object()?;
    let [message, response] = ["message", "response"].map(|name| part(envelope, name));
    let (message, response) = (message.ok()?, response.ok()?);
    let events = message.or(response)?;
    Some(Notification { id: text_of(envelope, "id", "notificationId"), events })
}

/// The events of `message` or `response`; none where it is absent, an error where it is something else.
fn part(envelope: &Map<String, Value>, name: &str) -> Result<Option<Vec<Event>>, ()> {
    match envelope.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Object(part)) => match part.get("events") {
            None => Ok(Some(Vec::new())),
            Some(Value::Array(events)) if events.len() > MOST_EVENTS => Err(()),
            Some(Value::Array(events)) => events.iter().map(event).collect::<Option<_>>().map(Some).ok_or(()),
            Some(_) => Err(()),
        },
        Some(_) => Err(()),
    }
}

fn event(value: &Value) -> Option<Event> {
    let fields = value.as_object()?;
    let word = text(fields.get("eventType")).unwrap_or_default().to_ascii_uppercase();
    let event_type = match word.as_str() {
        "CREATED" => EventType::Created,
        "UPDATED" => EventType::Updated,
        "DELETED" => EventType::Deleted,
        _ => EventType::Unknown,
    };
    let moment =
        |date: String| OffsetDateTime::parse(&date, &Rfc3339).ok()?.checked_to_offset(UtcOffset::UTC);
    let occurred_at = text(fields.get("date")).and_then(moment);
    let [object_type, object_id] = ["objectType", "objectId"].map(|name| text(fields.get(name)));
    Some(Event { event_type, object_type, object_id, occurred_at })
}

/// Of two names the first that is there, whatever it holds.
fn text_of(fields: &Map<String, Value>, first: &str, second: &str) -> Option<String> {
    let there = |name: &str| fields.get(name).filter(|value| !value.is_null());
    text(there(first).or(there(second)))
}

fn text(value: Option<&Value>) -> Option<String> {
    match value? {
        Value::String(text) => Some(text.clone()).filter(|text| !text.is_empty() && !text.contains('\0')),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}
