//! `GET /instances/{id}/feed`: server-sent events that say "look again". The page is the truth; this only
//! saves the reader from reloading it.

use std::time::Duration;

use actix_web::web::Bytes;
use actix_web::{HttpResponse, web};
use futures_util::stream;
use serde::Deserialize;
use uuid::Uuid;

use super::instance::{seen, visible};
use crate::events::Watcher;
use crate::web::Gangway;
use crate::web::failure::Failure;
use crate::web::guards::BrowserSession;
use crate::web::view::event_stream;

/// So often an open feed shows that it is alive, and a lost nudge is made up for.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// What the page that asks already shows.
#[derive(Deserialize)]
pub struct Query {
    #[serde(default)]
    seen: String,
}

struct Open {
    app: web::Data<Gangway>,
    watcher: Watcher,
    instance: Uuid,
    seen: String,
    greeted: bool,
}

/// Streams until the reader goes or Gangway stops.
pub async fn feed(
    id: web::Path<String>,
    query: web::Query<Query>,
    session: BrowserSession,
    app: web::Data<Gangway>,
) -> Result<HttpResponse, Failure> {
    // Watching begins before the first look, so that nothing falls between.
    let watcher = app.feed.watch();
    let instance = visible(&app, &session, &id).await?.id;
    let open = Open { app, watcher, instance, seen: query.into_inner().seen, greeted: false };
    Ok(event_stream(stream::unfold(open, next)))
}

async fn next(mut open: Open) -> Option<(Result<Bytes, Failure>, Open)> {
    if !open.greeted {
        open.greeted = true;
        return Some((Ok(Bytes::from_static(b"retry: 2000\n\n")), open));
    }
    loop {
        let now = seen(&open.app.storage.instance(open.instance).await.ok()??);
        if now != open.seen {
            let message = Bytes::from(format!("event: changed\ndata: {now}\n\n"));
            open.seen = now;
            return Some((Ok(message), open));
        }
        let closing = open.app.closing.clone();
        tokio::select! {
            () = closing.cancelled() => return None,
            changed = open.watcher.changed(open.instance) => changed?,
            () = tokio::time::sleep(HEARTBEAT) => return Some((Ok(Bytes::from_static(b": alive\n\n")), open)),
        }
    }
}
