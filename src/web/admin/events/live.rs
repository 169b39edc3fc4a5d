//! `GET /admin/events/live`: events as they arrive. The stream reads the table after its cursor, at most ten
//! times a second; a nudge only wakes it. What is too much for a reader is folded into a count, and whoever
//! comes back goes on at the last event seen: nothing is left out.

use std::collections::BTreeMap;
use std::time::Duration;

use actix_web::web::Bytes;
use actix_web::{HttpRequest, HttpResponse, web};
use askama::Template;
use futures_util::stream;
use serde::Deserialize;
use tokio::time::Instant;

use super::HERE;
use super::filter::Query;
use super::list::RowView;
use crate::events::Watcher;
use crate::storage::{EventFilter, EventId, EventRow};
use crate::web::Gangway;
use crate::web::failure::Failure;
use crate::web::guards::{BrowserSession, SignedIn};
use crate::web::view::{Frame, Page, event_stream};

/// Rows of the page at first.
const ROWS: usize = 50;
/// So much is read for one message.
const BATCH: usize = 1000;
/// So many rows of a message are shown; the others are folded.
const SHOWN: usize = 20;
/// Between two messages.
const PACE: Duration = Duration::from_millis(100);
/// So often the table is looked at without a nudge: another process may write to it too.
const LOOK_ANYWAY: Duration = Duration::from_secs(2);
/// So often an open stream shows that it is alive, and whether its reader is still signed in is looked at.
const HEARTBEAT: Duration = Duration::from_secs(15);

#[derive(Template)]
#[template(path = "admin/live.html")]
struct LivePage {
    frame: Frame,
    here: &'static str,
    rows: Vec<RowView>,
    newest: EventId,
    paused: bool,
}

/// What one message shows.
#[derive(Template)]
#[template(path = "admin/_live_rows.html")]
struct LiveRows {
    rows: Vec<RowView>,
    folded: Option<Folded>,
}

/// Rows that are told by their number.
struct Folded {
    count: usize,
    /// Such as `50 UPDATED, 30 CREATED`.
    kinds: String,
    /// The list, where they begin.
    list: String,
}

/// `?paused=true`: for a reader without script, who wants the page to stand still.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Look {
    #[serde(default)]
    paused: bool,
}

/// `?after=`: the newest event that the page shows.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Start {
    after: String,
}

struct Open {
    app: web::Data<Gangway>,
    session: BrowserSession,
    watcher: Watcher,
    cursor: EventId,
    next_look: Instant,
    next_heartbeat: Instant,
    greeted: bool,
}

/// `GET /admin/events/live`: the newest events, and the stream that goes on from there.
pub async fn live(
    by: SignedIn,
    look: web::Query<Look>,
    app: web::Data<Gangway>,
) -> Result<HttpResponse, Failure> {
    let items = app.storage.events(&EventFilter::default(), None, ROWS).await?.items;
    let newest = items.first().map_or(EventId::START, |row| row.id);
    let rows = items.into_iter().map(RowView::from).collect();
    LivePage { frame: app.frame_for(by.session()), here: HERE, rows, newest, paused: look.paused }.show()
}

/// `GET /admin/events/live/feed`: server-sent events, each with the id to go on from.
pub async fn live_feed(
    _: SignedIn,
    session: BrowserSession,
    request: HttpRequest,
    start: web::Query<Start>,
    app: web::Data<Gangway>,
) -> Result<HttpResponse, Failure> {
    let last = request.headers().get("last-event-id").and_then(|id| id.to_str().ok());
    let cursor = last.unwrap_or(&start.after).parse();
    let cursor = cursor.map_err(|_| Failure::BadRequest("not the id of an event".to_owned()))?;
    // Watching begins before the first look, so that nothing falls between.
    let watcher = app.feed.watch();
    let now = Instant::now();
    let open = Open {
        app,
        session,
        watcher,
        cursor,
        next_look: now,
        next_heartbeat: now + HEARTBEAT,
        greeted: false,
    };
    Ok(event_stream(stream::unfold(open, next)))
}

async fn next(mut open: Open) -> Option<(Result<Bytes, Failure>, Open)> {
    if !open.greeted {
        open.greeted = true;
        return Some((Ok(Bytes::from_static(b"retry: 1000\n\n")), open));
    }
    let closing = open.app.closing.clone();
    loop {
        tokio::select! {
            () = closing.cancelled() => return None,
            () = tokio::time::sleep_until(open.next_look) => {}
        }
        if Instant::now() >= open.next_heartbeat {
            // Signing out ends the streams of a browser too.
            SignedIn::check(&open.app, &open.session).await.ok()??;
            open.next_heartbeat = Instant::now() + HEARTBEAT;
            return Some((Ok(Bytes::from_static(b": alive\n\n")), open));
        }
        let everything = EventFilter::default();
        let rows = open.app.storage.arrivals(&everything, open.cursor, BATCH).await.ok()?.items;
        open.next_look = Instant::now() + PACE;
        if let Some(last) = rows.last() {
            open.cursor = last.id;
            let message = message(&open.app, open.cursor, rows);
            return Some((message, open));
        }
        tokio::select! {
            () = closing.cancelled() => return None,
            changed = open.watcher.any() => changed?,
            () = tokio::time::sleep(LOOK_ANYWAY) => {}
        }
    }
}

/// The rows, oldest first, as one message.
fn message(app: &Gangway, last: EventId, mut rows: Vec<EventRow>) -> Result<Bytes, Failure> {
    let shown = rows.split_off(rows.len().saturating_sub(SHOWN));
    let folded = shown.first().filter(|_| !rows.is_empty()).map(|oldest_shown| Folded {
        count: rows.len(),
        kinds: kinds(&rows),
        list: Query::default().page_after(&app.config.secret_key, oldest_shown.id),
    });
    let rows = LiveRows { rows: shown.into_iter().rev().map(RowView::from).collect(), folded };
    let html = rows.render().map_err(|error| Failure::Internal(format!("template: {error}")))?;
    Ok(Bytes::from(framed(last, &html)))
}

fn kinds(rows: &[EventRow]) -> String {
    let mut kinds = BTreeMap::<&str, usize>::new();
    for row in rows {
        let kind = row.event.as_ref().map_or("not decoded", |event| event.event_type.as_str());
        *kinds.entry(kind).or_default() += 1;
    }
    kinds.iter().map(|(kind, count)| format!("{count} {kind}")).collect::<Vec<_>>().join(", ")
}

/// Every line of `html` becomes a line of data; a carriage return ends a line too, and an event's text may hold
/// one.
fn framed(last: EventId, html: &str) -> String {
    let data: String = html.split(['\n', '\r']).map(|line| format!("data: {line}\n")).collect();
    format!("id: {last}\nevent: rows\n{data}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_an_event_can_end_its_message_or_begin_another() {
        let id: EventId = "7-0".parse().unwrap();
        let framed = framed(id, "a\r\n\r\nid: 9-9\rdata: x\n\nevent: y");
        assert!(
            framed.starts_with("id: 7-0\nevent: rows\ndata: a\n") && framed.ends_with("data: event: y\n\n")
        );
        assert_eq!(framed.matches("\n\n").count(), 1);
        assert!(!framed.contains('\r') && !framed.contains("\nid: 9-9"));
    }
}
