//! Events as server-sent events: one message each, its id that of the event, so that whoever comes back with
//! `Last-Event-ID` goes on where it was. An event is one line of JSON, in which nothing can end a message.

use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::web::Bytes;
use futures_util::stream;
use tokio::time::Instant;

use super::waiting::Reader;
use crate::representation::Event;
use crate::web::failure::Failure;
use crate::web::view::event_stream;

/// So many events are read at once.
const BATCH: usize = 100;
/// So often an open stream shows that it is alive; and a reader who went without a word is noticed, and gives its
/// place back.
const HEARTBEAT: Duration = Duration::from_secs(5);

/// Everything that is new to `reader`, until it goes or Gangway stops.
pub(super) fn streamed(reader: Reader) -> HttpResponse {
    event_stream(stream::unfold((reader, false), next))
}

async fn next((mut reader, greeted): (Reader, bool)) -> Option<(Result<Bytes, Failure>, (Reader, bool))> {
    if !greeted {
        return Some((Ok(Bytes::from_static(b"retry: 1000\n\n")), (reader, true)));
    }
    // Whatever goes wrong, the stream ends, and its reader comes back.
    let arrivals = reader.next(BATCH, Instant::now() + HEARTBEAT).await.ok()?;
    if arrivals.items.is_empty() {
        let alive = Bytes::from_static(b": alive\n\n");
        return (!reader.ends()).then_some((Ok(alive), (reader, true)));
    }
    let messages: String = arrivals.items.into_iter().map(|row| message(&Event::from(row))).collect();
    Some((Ok(Bytes::from(messages)), (reader, true)))
}

fn message(event: &Event) -> String {
    let data = serde_json::to_string(event).unwrap_or_default();
    format!("id: {}\ndata: {data}\n\n", event.id)
}
