//! `/admin/bulk`: checks, pauses and resumptions of many instances. What is looked for in the list is what is meant;
//! how many that are is shown before anything is done, and it can be stopped.

use actix_web::{HttpResponse, web};
use askama::Template;
use serde::Deserialize;
use uuid::Uuid;

use super::OPERATOR;
use super::instances::HERE;
use crate::entropy::fresh_id;
use crate::onboarding::BULK_A_SECOND;
use crate::reference::Reference;
use crate::storage::{Bulk, BulkAct, Counted, InstanceQuestion, NewBulk, RunState, TROUBLES};
use crate::web::Gangway;
use crate::web::failure::Failure;
use crate::web::finding::InstanceQuery;
use crate::web::guards::{MayAct, SignedIn};
use crate::web::view::{Frame, Moment, Page, see_other};

/// So many of the latest are listed.
const LISTED: u16 = 50;
const PATH: &str = "/admin/bulk";

#[derive(Template)]
#[template(path = "admin/bulk_new.html")]
struct NewPage {
    frame: Frame,
    here: &'static str,
    meant: String,
    query: InstanceQuery,
    /// The list that shows those that are meant.
    list: String,
    offers: Vec<Offer>,
    a_second: usize,
}

/// What can be done, to how many, and how long that takes.
struct Offer {
    act: BulkAct,
    verb: &'static str,
    nothing: bool,
    count: String,
    takes: String,
}

#[derive(Template)]
#[template(path = "admin/bulk_list.html")]
struct ListPage {
    frame: Frame,
    here: &'static str,
    rows: Vec<BulkRow>,
    running: bool,
}

#[derive(Template)]
#[template(path = "admin/bulk.html")]
struct BulkPage {
    frame: Frame,
    here: &'static str,
    row: BulkRow,
    reference: Reference,
    troubles: Vec<TroubleRow>,
    most: i64,
}

struct TroubleRow {
    name: String,
    link: String,
    why: String,
}

struct BulkRow {
    at: Moment,
    verb: &'static str,
    meant: String,
    state: &'static str,
    running: bool,
    link: String,
    stop: String,
    done: i64,
    count: String,
    troubled: i64,
}

/// Which are meant: as the list says it, without an order or a place.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub struct Wish {
    q: String,
    state: String,
    tag: String,
    events: String,
    silent: String,
}

impl Wish {
    fn query(self) -> InstanceQuery {
        let Self { q, state, tag, events, silent } = self;
        InstanceQuery { q, state, tag, events, silent, ..InstanceQuery::default() }
    }
}

/// `GET /admin/bulk/new`: counts, and asks.
pub async fn new_bulk(
    _: MayAct,
    wish: web::Query<Wish>,
    app: web::Data<Gangway>,
) -> Result<HttpResponse, Failure> {
    let query = wish.into_inner().query();
    let question = query.question(app.clock.now())?;
    let mut offers = Vec::new();
    for act in BulkAct::ALL {
        let count = app.storage.count_bulk(act, &question).await?;
        offers.push(Offer {
            act,
            verb: verb(act),
            nothing: count == Counted { number: 0, exact: true },
            takes: takes(count.number),
            count: counted(count),
        });
    }
    NewPage {
        frame: app.frame(),
        here: HERE,
        meant: in_words(&question),
        list: query.at("/admin/instances"),
        query,
        offers,
        a_second: BULK_A_SECOND,
    }
    .show()
}

/// `POST /admin/bulk/check`
pub async fn check_many(
    _: SignedIn,
    wish: web::Form<Wish>,
    reference: Reference,
    app: web::Data<Gangway>,
) -> Result<HttpResponse, Failure> {
    begin(&app, BulkAct::Check, wish.into_inner(), reference).await
}

/// `POST /admin/bulk/pause`
pub async fn pause_many(
    _: SignedIn,
    wish: web::Form<Wish>,
    reference: Reference,
    app: web::Data<Gangway>,
) -> Result<HttpResponse, Failure> {
    begin(&app, BulkAct::Pause, wish.into_inner(), reference).await
}

/// `POST /admin/bulk/resume`
pub async fn resume_many(
    _: SignedIn,
    wish: web::Form<Wish>,
    reference: Reference,
    app: web::Data<Gangway>,
) -> Result<HttpResponse, Failure> {
    begin(&app, BulkAct::Resume, wish.into_inner(), reference).await
}

async fn begin(
    app: &Gangway,
    act: BulkAct,
    wish: Wish,
    reference: Reference,
) -> Result<HttpResponse, Failure> {
    let now = app.clock.now();
    let question = wish.query().question(now)?;
    let id = fresh_id(&*app.clock, &*app.entropy);
    let bulk = NewBulk { id, act, question, asked_by: OPERATOR.to_owned(), reference };
    app.storage.begin_bulk(&bulk, now).await?;
    tracing::info!(bulk = %id, act = act.as_str(), "an act on many instances was asked for");
    Ok(see_other(&format!("{PATH}/{id}")))
}

/// `GET /admin/bulk`
pub async fn bulks(by: SignedIn, app: web::Data<Gangway>) -> Result<HttpResponse, Failure> {
    let rows: Vec<_> = app.storage.bulks(LISTED).await?.iter().map(BulkRow::of).collect();
    let running = rows.iter().any(|row| row.running);
    ListPage { frame: app.frame_for(by.session()), here: HERE, rows, running }.show()
}

/// `GET /admin/bulk/{id}`
pub async fn bulk(
    by: SignedIn,
    id: web::Path<String>,
    app: web::Data<Gangway>,
) -> Result<HttpResponse, Failure> {
    let id = id.parse::<Uuid>().map_err(|_| Failure::NotFound)?;
    let bulk = app.storage.bulk(id).await?.ok_or(Failure::NotFound)?;
    let troubles = app.storage.bulk_troubles(id).await?.into_iter().map(|(trouble, name)| TroubleRow {
        name,
        link: format!("/admin/instances/{}", trouble.instance),
        why: trouble.why,
    });
    let row = BulkRow::of(&bulk);
    BulkPage {
        frame: app.frame_for(by.session()),
        here: HERE,
        row,
        reference: bulk.asked.reference,
        troubles: troubles.collect(),
        most: TROUBLES,
    }
    .show()
}

/// `POST /admin/bulk/{id}/stop`
pub async fn stop_bulk(
    _: SignedIn,
    id: web::Path<String>,
    app: web::Data<Gangway>,
) -> Result<HttpResponse, Failure> {
    let id = id.parse::<Uuid>().map_err(|_| Failure::NotFound)?;
    app.storage.stop_bulk(id).await?;
    tracing::info!(bulk = %id, "an act on many instances was stopped");
    Ok(see_other(&format!("{PATH}/{id}")))
}

impl BulkRow {
    fn of(bulk: &Bulk) -> Self {
        let id = bulk.asked.id;
        Self {
            at: bulk.created_at.into(),
            verb: verb(bulk.asked.act),
            meant: in_words(&bulk.asked.question),
            state: bulk.state.as_str(),
            running: bulk.state == RunState::Running,
            link: format!("{PATH}/{id}"),
            stop: format!("{PATH}/{id}/stop"),
            done: bulk.done,
            count: counted(bulk.total),
            troubled: bulk.troubled,
        }
    }
}

/// `3`, `at least 10000`
fn counted(Counted { number, exact }: Counted) -> String {
    match (number, exact) {
        (number, true) => number.to_string(),
        (0, false) => "those that fit".to_owned(),
        (number, false) => format!("at least {number}"),
    }
}

fn verb(act: BulkAct) -> &'static str {
    match act {
        BulkAct::Check => "Check",
        BulkAct::Pause => "Pause",
        BulkAct::Resume => "Resume",
    }
}

/// How long it takes at the pace there is, where Cloud Elements is not slower.
fn takes(count: usize) -> String {
    match (count / BULK_A_SECOND).div_ceil(60) {
        0 | 1 => "less than a minute".to_owned(),
        minutes => format!("about {minutes} minutes"),
    }
}

/// Which instances, after "Instances": ` with the state connected and the tag “eu”`.
fn in_words(question: &InstanceQuestion) -> String {
    let InstanceQuestion { text, state, tag, events, silent_at, order: _ } = question;
    let mut parts = Vec::new();
    parts.extend(text.as_ref().map(|text| format!("found by “{text}”")));
    parts.extend(state.map(|state| format!("in the state “{}”", state.replace('_', " "))));
    parts.extend(tag.as_ref().map(|tag| format!("with the tag “{tag}”")));
    parts.extend(events.map(|on| format!("with events {}", if on { "on" } else { "off" })));
    parts.extend(silent_at.map(|_| "silent for longer than usual".to_owned()));
    if parts.is_empty() { "Every instance".to_owned() } else { format!("Instances {}", parts.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_counted_to_its_end_is_told_as_at_least_so_many() {
        let told = |number, exact| counted(Counted { number, exact });
        assert_eq!(told(0, true), "0");
        assert_eq!(told(1180, true), "1180");
        assert_eq!(told(10_000, false), "at least 10000");
        assert_eq!(told(0, false), "those that fit");
        assert_eq!(
            [takes(1), takes(480), takes(10_000)],
            ["less than a minute", "less than a minute", "about 21 minutes"]
        );
    }
}
