//! Every instance in a list.

use actix_web::{HttpResponse, web};
use askama::Template;
use serde::Deserialize;
use time::OffsetDateTime;
use uuid::Uuid;

use super::deliveries;
use crate::elements::{Instance, InstanceState};
use crate::storage;
use crate::web::Gangway;
use crate::web::failure::Failure;
use crate::web::guards::SignedIn;
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
    pub(super) fn of(state: &InstanceState) -> Self {
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
