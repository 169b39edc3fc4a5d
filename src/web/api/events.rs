//! `GET /api/v1/events`: every event in the order of arrival, for programs that pull; at once, waited for, or as a
//! stream. And one event with its notification.

use std::collections::BTreeMap;

use actix_web::http::Method;
use actix_web::http::header::{ACCEPT, HeaderMap};
use actix_web::{HttpRequest, HttpResponse, web};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use utoipa::{IntoParams, ToSchema};

use super::openapi::{NotThere, Refused, TooMuch, WrongQuery};
use super::query::{self, query};
use super::stream::streamed;
use super::waiting::Reader;
use crate::elements::EventType;
use crate::representation::{Event, List};
use crate::storage::{EventFilter, EventId, StoredEvent};
use crate::web::Gangway;
use crate::web::failure::Failure;
use crate::web::guards::{ApiKey, Read};

const NO_EVENT: &str = "is not the id of an event";

/// An event with the notification it came in.
#[derive(Serialize, ToSchema)]
pub(super) struct WholeEvent {
    #[serde(flatten)]
    event: Event,
    /// The headers of the notification that were kept.
    headers: BTreeMap<String, String>,
    /// The notification as it came; null where it is no UTF-8, or gone.
    #[schema(required)]
    body: Option<String>,
    /// Its bytes in base64, where they are no UTF-8.
    #[schema(required)]
    body_base64: Option<String>,
    /// The notification is older than payloads are kept.
    payload_gone: bool,
}

/// What to pull. A program goes on with `next`, or where that is null with the id of the last event it has.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Question {
    /// Of this instance.
    instance: Option<String>,
    /// `CREATED`, `UPDATED`, `DELETED` or `UNKNOWN`.
    #[serde(rename = "type")]
    event_type: Option<String>,
    /// Of objects of this type.
    object_type: Option<String>,
    /// After the event with this id; without, from the beginning.
    after: Option<String>,
    /// `next` of the part before; wins over `after`, and is good as `after` too.
    cursor: Option<String>,
    /// At most so many.
    #[param(value_type = Option<u16>, minimum = 1, maximum = 500, default = 50)]
    limit: Option<String>,
    /// Where there is nothing new, wait for it so long: seconds, or a duration such as `30s`; 60 seconds at most.
    #[param(example = "30s")]
    wait: Option<String>,
}

impl Question {
    fn filter(&self) -> Result<EventFilter, Failure> {
        Ok(EventFilter {
            instance: query::read("instance", self.instance.as_deref(), "is not the id of an instance")?,
            event_type: query::word("type", self.event_type.as_deref(), EventType::named)?,
            object_type: self.object_type.clone(),
            ..EventFilter::default()
        })
    }

    fn start(&self) -> Result<EventId, Failure> {
        let after = query::read("after", self.after.as_deref(), NO_EVENT)?;
        let cursor = query::read("cursor", self.cursor.as_deref(), NO_EVENT)?;
        Ok(cursor.or(after).unwrap_or(EventId::START))
    }
}

/// Events in the order of their arrival, the oldest first: nothing is left out and nothing comes twice. With
/// `Accept: text/event-stream` as server-sent events, which go on until the reader goes; there, `Last-Event-ID`
/// wins over `after`, and `limit` and `wait` mean nothing. A part may be empty and have a `next`: so many events
/// were looked through that the filter does not mean.
#[utoipa::path(
    get, path = "/api/v1/events", tag = "events", security(("key" = [])),
    params(Question, ("Last-Event-ID" = Option<String>, Header, description = "With a stream: the last event seen.")),
    responses(
        (status = 200, description = "Events", content((List<Event> = "application/json"), (String = "text/event-stream"))),
        WrongQuery, Refused, TooMuch,
    )
)]
pub async fn list(
    key: ApiKey<Read>,
    request: HttpRequest,
    app: web::Data<Gangway>,
) -> Result<HttpResponse, Failure> {
    let question: Question = query(&request)?;
    let (filter, start) = (question.filter()?, question.start()?);
    let limit = query::limit(question.limit.as_deref())?;
    let wait = query::wait(question.wait.as_deref())?;
    let looks_only = request.method() == Method::HEAD;
    if wants_stream(request.headers()) && !looks_only {
        let start = last_seen(request.headers())?.unwrap_or(start);
        return Ok(streamed(Reader::new(app, key, filter, start)?));
    }
    let arrivals = if wait.is_zero() || looks_only {
        app.storage.arrivals(&filter, start, limit).await?
    } else {
        let until = Instant::now() + wait;
        Reader::new(app, key, filter, start)?.next(limit, until).await?
    };
    Ok(HttpResponse::Ok().json(List {
        next: arrivals.more.then(|| arrivals.looked_to.to_string()),
        items: arrivals.items.into_iter().map(Event::from).collect(),
    }))
}

fn wants_stream(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(ACCEPT).filter_map(|value| value.to_str().ok());
    let mut types = accepted.flat_map(|value| value.split(',')).filter_map(|range| range.split(';').next());
    types.any(|media| media.trim().eq_ignore_ascii_case("text/event-stream"))
}

fn last_seen(headers: &HeaderMap) -> Result<Option<EventId>, Failure> {
    let text = headers.get("last-event-id").map(|id| id.to_str().unwrap_or("unreadable"));
    query::read("Last-Event-ID", text.filter(|id| !id.is_empty()), NO_EVENT)
}

/// One event with its notification.
#[utoipa::path(
    get, path = "/api/v1/events/{id}", tag = "events", security(("key" = [])),
    params(("id" = String, Path, description = "The event.")),
    responses((status = 200, description = "The event", body = WholeEvent), NotThere, Refused)
)]
pub async fn one(
    _: ApiKey<Read>,
    id: web::Path<String>,
    app: web::Data<Gangway>,
) -> Result<HttpResponse, Failure> {
    let id: EventId = id.parse().map_err(|_| Failure::NotFound)?;
    // Before the row: what goes in between is then told as gone.
    let payload = app.storage.payload(id).await?.ok_or(Failure::NotFound)?;
    let stored = app.storage.event(id).await?.ok_or(Failure::NotFound)?;
    Ok(HttpResponse::Ok().json(WholeEvent::of(stored, payload)))
}

impl WholeEvent {
    fn of(stored: StoredEvent, payload: Vec<u8>) -> Self {
        let (body, body_base64) = match String::from_utf8(payload) {
            _ if stored.payload_gone => (None, None),
            Ok(text) => (Some(text), None),
            Err(error) => (None, Some(STANDARD.encode(error.as_bytes()))),
        };
        let mut headers = BTreeMap::<String, String>::new();
        for (name, value) in stored.headers {
            // Several of one name are one list (RFC 9110 section 5.3).
            let kept = headers.entry(name).or_default();
            *kept = if kept.is_empty() { value } else { format!("{kept}, {value}") };
        }
        Self { event: stored.row.into(), headers, body, body_base64, payload_gone: stored.payload_gone }
    }
}
