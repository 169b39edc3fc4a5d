//! `/admin/redeliveries`: many deliveries asked for again. How many is shown before anything is done; how many a
//! second is the operator's choice; and it can be stopped.

use actix_web::{HttpResponse, web};
use askama::Template;
use serde::Deserialize;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use super::DELIVERIES;
use super::list::Filter;
use crate::entropy::fresh_id;
use crate::storage::{Again, DeliveryState, Endpoint, Redelivery, RunState};
use crate::web::Gangway;
use crate::web::failure::Failure;
use crate::web::guards::{MayAct, SignedIn};
use crate::web::view::{Frame, Moment, Page, see_other};

/// So many of the latest are listed.
const LISTED: u16 = 50;
/// A second, unless another rate is chosen.
const USUAL_RATE: u16 = 50;
/// A second, at most.
const HIGHEST_RATE: u16 = 1000;
/// How far back it can reach, in hours. More is not kept as payload by default.
const REACHES: [(u16, &str); 5] = [
    (1, "the last hour"),
    (24, "the last day"),
    (72, "the last 3 days"),
    (168, "the last week"),
    (720, "the last 30 days"),
];

#[derive(Template)]
#[template(path = "admin/redeliveries.html")]
struct RedeliveriesPage {
    frame: Frame,
    here: &'static str,
    rows: Vec<RedeliveryRow>,
    running: bool,
}

#[derive(Template)]
#[template(path = "admin/redelivery_new.html")]
struct NewPage {
    frame: Frame,
    here: &'static str,
    wish: Wish,
    endpoints: Vec<Endpoint>,
    /// The settled states.
    states: [DeliveryState; 2],
    reaches: [(u16, &'static str); 5],
    count: i64,
    rate: u16,
    highest_rate: u16,
}

struct RedeliveryRow {
    at: Moment,
    what: String,
    state: &'static str,
    running: bool,
    stop: String,
    asked: i64,
    total: i64,
    rate: u16,
}

/// Which are meant: in the address of the page that counts, and in the form that begins.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Wish {
    state: String,
    endpoint: String,
    hours: u16,
    rate: u16,
}

impl Default for Wish {
    fn default() -> Self {
        Self { state: "failed".to_owned(), endpoint: String::new(), hours: 24, rate: USUAL_RATE }
    }
}

impl Wish {
    fn again(&self, now: OffsetDateTime) -> Result<Again, Failure> {
        let reach = REACHES.iter().find(|(hours, _)| *hours == self.hours);
        let (hours, _) = reach.ok_or_else(|| Failure::BadRequest("no such time".to_owned()))?;
        let filter = Filter::of(&self.state, &self.endpoint).read()?;
        Ok(Again { filter, since: now - Duration::hours((*hours).into()) })
    }
}

/// `GET /admin/redeliveries`
pub async fn redeliveries(by: SignedIn, app: web::Data<Gangway>) -> Result<HttpResponse, Failure> {
    let endpoints = app.storage.endpoints().await?;
    let rows = app.storage.redeliveries(LISTED).await?;
    let rows: Vec<_> = rows.iter().map(|one| RedeliveryRow::of(one, &endpoints)).collect();
    let running = rows.iter().any(|row| row.running);
    RedeliveriesPage { frame: app.frame_for(by.session()), here: DELIVERIES, rows, running }.show()
}

/// `GET /admin/redeliveries/new`: counts, and asks.
pub async fn new_redelivery(
    _: MayAct,
    wish: web::Query<Wish>,
    app: web::Data<Gangway>,
) -> Result<HttpResponse, Failure> {
    let mut wish = wish.into_inner();
    if wish.state == DeliveryState::Pending.as_str() {
        // Those come by themselves.
        wish.state = String::new();
    }
    let (count, _) = app.storage.count_again(&wish.again(app.clock.now())?).await?;
    NewPage {
        frame: app.frame(),
        here: DELIVERIES,
        endpoints: app.storage.endpoints().await?,
        states: [DeliveryState::Failed, DeliveryState::Delivered],
        reaches: REACHES,
        count,
        rate: wish.rate.clamp(1, HIGHEST_RATE),
        highest_rate: HIGHEST_RATE,
        wish,
    }
    .show()
}

/// `POST /admin/redeliveries`
pub async fn begin_redelivery(
    _: SignedIn,
    wish: web::Form<Wish>,
    app: web::Data<Gangway>,
) -> Result<HttpResponse, Failure> {
    let now = app.clock.now();
    let again = wish.again(now)?;
    if !(1..=HIGHEST_RATE).contains(&wish.rate) {
        return Err(Failure::BadRequest("no such rate".to_owned()));
    }
    let id = fresh_id(&*app.clock, &*app.entropy);
    app.storage.begin_redelivery(id, &again, wish.rate, now).await?;
    tracing::info!(redelivery = %id, "deliveries were asked for again");
    Ok(see_other("/admin/redeliveries"))
}

/// `POST /admin/redeliveries/{id}/stop`
pub async fn stop_redelivery(
    _: SignedIn,
    id: web::Path<String>,
    app: web::Data<Gangway>,
) -> Result<HttpResponse, Failure> {
    let id = id.parse::<Uuid>().map_err(|_| Failure::NotFound)?;
    app.storage.stop_redelivery(id).await?;
    tracing::info!(redelivery = %id, "deliveries are no longer asked for again");
    Ok(see_other("/admin/redeliveries"))
}

impl RedeliveryRow {
    fn of(one: &Redelivery, endpoints: &[Endpoint]) -> Self {
        let filter = one.again.filter;
        let to = filter.endpoint.map(|id| match endpoints.iter().find(|known| known.id == id) {
            Some(known) => format!(" to {}", known.url),
            None => " to an endpoint that is deleted".to_owned(),
        });
        let which = match filter.state {
            Some(DeliveryState::Failed) => "What had failed",
            Some(DeliveryState::Delivered) => "What had been delivered",
            _ => "What had failed or been delivered",
        };
        Self {
            at: one.created_at.into(),
            what: format!("{which}{}", to.unwrap_or_default()),
            state: one.state.as_str(),
            running: one.state == RunState::Running,
            stop: format!("/admin/redeliveries/{}/stop", one.id),
            asked: one.asked,
            total: one.total,
            rate: one.rate,
        }
    }
}
