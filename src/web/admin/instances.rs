//! Every instance in a list, and one with its timeline.

use actix_web::{HttpResponse, web};
use askama::Template;
use serde::Deserialize;
use time::OffsetDateTime;
use uuid::Uuid;

use super::missed::MissedView;
use super::{deliveries, events};
use crate::elements::{Instance, InstanceState, Problem};
use crate::storage;
use crate::web::Gangway;
use crate::web::failure::Failure;
use crate::web::guards::SignedIn;
use crate::web::pages::{feed_url, renewable};
use crate::web::view::{Frame, Moment, Page};

const ROWS: u16 = 50;
/// This part of the console.
pub(super) const HERE: &str = "instances";

#[derive(Template)]
#[template(path = "admin/instances.html")]
struct InstancesPage {
    frame: Frame,
    here: &'static str,
    rows: Vec<InstanceRow>,
    next: Option<String>,
    filters: Vec<StateBadge>,
    filter: Option<&'static str>,
    /// Page, address and reason of each endpoint that was switched off: this is where the operator comes in.
    off: Vec<(String, String, &'static str)>,
}

#[derive(Template)]
#[template(path = "admin/instance.html")]
struct AdminInstancePage {
    frame: Frame,
    here: &'static str,
    name: String,
    state: StateBadge,
    problem: Option<String>,
    facts: Vec<Fact>,
    timeline: Vec<Step>,
    feed: String,
    page: String,
    /// It exists upstream, so it can be checked, renewed and taken down.
    alive: bool,
    renewable: bool,
    /// It works, so its audiences can be asked for.
    connected: bool,
    quiet: Option<String>,
    refused: Option<String>,
    missed: Option<MissedView>,
    events: String,
    charts: [events::Chart; 2],
}

/// A state, in a word and a tone; never by colour alone.
pub(super) struct StateBadge {
    pub(super) word: &'static str,
    pub(super) tone: &'static str,
}

struct InstanceRow {
    link: String,
    name: String,
    state: StateBadge,
    created: Moment,
    first_event: Option<Moment>,
    last_event: Option<Moment>,
    quiet: bool,
    /// So many wait for it at Cloud Elements.
    waiting: Option<i64>,
}

struct Fact {
    label: &'static str,
    value: String,
    moment: Option<Moment>,
    code: bool,
}

struct Step {
    at: Moment,
    kind: String,
    summary: String,
    reference: String,
}

/// The states an instance can be in, each with its tone.
const STATES: &[(&str, &str)] = &[
    ("needs_attention", "bad"),
    ("failed", "bad"),
    ("unknown", "busy"),
    ("provisioning", "busy"),
    ("connected", "good"),
    ("paused", "quiet"),
    ("disconnecting", "quiet"),
    ("disconnected", "quiet"),
];

impl StateBadge {
    fn of(state: &InstanceState) -> Self {
        let known = STATES.iter().find(|(word, _)| *word == state.as_str());
        known.map_or(Self { word: state.as_str(), tone: "quiet" }, |&(word, tone)| Self { word, tone })
    }
}

/// `?state=` and `?after=`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Filter {
    #[serde(default)]
    state: String,
    after: Option<Uuid>,
}

/// `GET /admin/instances`
pub async fn instances(
    _: SignedIn,
    filter: web::Query<Filter>,
    app: web::Data<Gangway>,
) -> Result<HttpResponse, Failure> {
    let state = match STATES.iter().find(|(word, _)| *word == filter.state) {
        Some((word, _)) => Some(*word),
        None if filter.state.is_empty() => None,
        None => return Err(Failure::BadRequest("no such state".to_owned())),
    };
    let storage::Page { items, next } = app.storage.instances(state, filter.after, ROWS).await?;
    let waiting = waiting(&app, &items).await?;
    let next = next.map(|after| match state {
        Some(state) => format!("/admin/instances?state={state}&after={after}"),
        None => format!("/admin/instances?after={after}"),
    });
    InstancesPage {
        frame: app.frame(),
        here: HERE,
        rows: items.iter().map(|instance| InstanceRow::of(instance, &waiting, app.clock.now())).collect(),
        next,
        filters: STATES.iter().map(|&(word, tone)| StateBadge { word, tone }).collect(),
        filter: state,
        off: deliveries::switched_off(&app).await?,
    }
    .show()
}

/// How many wait for each of these, the newest of which comes first.
async fn waiting(app: &Gangway, items: &[Instance]) -> Result<Vec<(Uuid, i64)>, Failure> {
    let (Some(newest), Some(oldest)) = (items.first(), items.last()) else { return Ok(Vec::new()) };
    Ok(app.storage.waiting_between(oldest.id, newest.id).await?)
}

impl InstanceRow {
    fn of(instance: &Instance, waiting: &[(Uuid, i64)], now: OffsetDateTime) -> Self {
        Self {
            link: format!("/admin/instances/{}", instance.id),
            name: instance.name.clone(),
            state: StateBadge::of(&instance.state),
            created: instance.created_at.into(),
            first_event: instance.first_event_at.map(Moment::from),
            last_event: instance.last_event_at.map(Moment::from),
            quiet: instance.quiet_since(now).is_some(),
            waiting: waiting.iter().find(|(id, _)| *id == instance.id).map(|(_, waiting)| *waiting),
        }
    }
}

/// `GET /admin/instances/{id}`
pub async fn instance(
    _: SignedIn,
    id: web::Path<String>,
    app: web::Data<Gangway>,
) -> Result<HttpResponse, Failure> {
    let id = id.parse::<Uuid>().map_err(|_| Failure::NotFound)?;
    let instance = app.storage.instance(id).await?.ok_or(Failure::NotFound)?;
    let timeline = app.storage.timeline(id).await?;
    let problem = instance.state.problem().map(Problem::for_operator);
    let alive = instance.state.clone().disconnect().is_ok();
    let missed = app.storage.missed_events(id).await?;
    let missed = missed.and_then(|row| MissedView::of(row, app.missed.by_hand(id)));
    let refused = events::in_a_sentence(&app.refusals.of(id, app.clock.now()));
    AdminInstancePage {
        frame: app.frame(),
        here: HERE,
        name: instance.name.clone(),
        state: StateBadge::of(&instance.state),
        problem,
        facts: facts(&instance),
        timeline: timeline.into_iter().map(Step::from).collect(),
        feed: feed_url(&instance),
        page: format!("/admin/instances/{}", instance.id),
        alive,
        connected: matches!(instance.state, InstanceState::Connected(_)),
        renewable: renewable(&instance).is_ok(),
        quiet: instance.quiet_since(app.clock.now()).map(|gap| {
            format!("No event for {} days: far longer than is usual for this instance. It may be quite alright; a check tells.", gap.whole_days())
        }),
        refused,
        missed,
        events: format!("/admin/events?instance={id}"),
        charts: events::charts(&app.storage, Some(id), app.clock.now()).await?,
    }
    .show()
}

impl From<storage::Step> for Step {
    fn from(step: storage::Step) -> Self {
        let storage::Step { at, kind, summary, reference, .. } = step;
        Self { at: at.into(), kind, summary, reference: reference.to_string() }
    }
}

fn facts(instance: &Instance) -> Vec<Fact> {
    let text = |label, value: String, code| Fact { label, value, moment: None, code };
    let moment = |label, at: Option<OffsetDateTime>| Fact {
        label,
        value: "not yet".to_owned(),
        moment: at.map(Moment::from),
        code: false,
    };
    let upstream = instance.state.connection();
    vec![
        text("Gangway id", instance.id.to_string(), true),
        text("Element", instance.element.clone(), true),
        text(
            "Element instance",
            upstream.map_or("none".into(), |found| found.element_instance_id.to_string()),
            true,
        ),
        text("Reference", instance.reference.to_string(), true),
        text(
            "Events",
            upstream.map_or("none", |found| if found.events_enabled { "on" } else { "off" }).into(),
            false,
        ),
        moment("Created", Some(instance.created_at)),
        moment("Connected", upstream.map(|found| found.connected_at)),
        moment("First event", instance.first_event_at),
        moment("Last event", instance.last_event_at),
        moment("Last check", instance.last_checked_at),
        moment("Trouble since", instance.state.problem().map(|problem| problem.since)),
    ]
}
