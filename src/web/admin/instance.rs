//! One instance: how it stands, what can be done about it, and everything that happened to it on one timeline.

use actix_web::{HttpResponse, web};
use askama::Template;
use serde::Deserialize;
use time::OffsetDateTime;

use super::instances::{HERE, StateBadge};
use super::missed::MissedView;
use super::{events, invites};
use crate::elements::{Instance, InstanceState, Problem};
use crate::storage::Line;
use crate::web::Gangway;
use crate::web::failure::Failure;
use crate::web::guards::SignedIn;
use crate::web::pages::{feed_url, renewable};
use crate::web::view::{Frame, Moment, Page};

/// Lines of a timeline on one page: it stays below 60 KiB.
pub(super) const LINES: u16 = 60;

#[derive(Template)]
#[template(path = "admin/instance.html")]
struct InstancePage {
    frame: Frame,
    here: &'static str,
    name: String,
    state: StateBadge,
    problem: Option<String>,
    facts: Vec<Fact>,
    tags: Vec<String>,
    /// Page and customer of the invite it came of.
    invite: Option<(String, String)>,
    timeline: Vec<Step>,
    /// Where older lines are, and whether these are not the newest.
    older: Option<String>,
    not_newest: bool,
    feed: String,
    page: String,
    acts: Acts,
    quiet: Option<String>,
    refused: Option<String>,
    missed: Option<MissedView>,
    events: String,
    charts: [events::Chart; 2],
}

/// What can be done about it.
#[expect(clippy::struct_excessive_bools, reason = "each is one button of the page")]
struct Acts {
    /// It exists upstream, so it can be checked and taken down.
    alive: bool,
    renewable: bool,
    /// It works, so its audiences can be asked for.
    connected: bool,
    pausable: bool,
    resumable: bool,
    amendable: bool,
}

struct Fact {
    label: &'static str,
    value: String,
    moment: Option<Moment>,
    code: bool,
}

struct Step {
    seq: i64,
    at: Moment,
    kind: String,
    summary: String,
    reference: String,
}

/// `?before=`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    before: Option<i64>,
}

/// `GET /admin/instances/{id}`
pub async fn instance(
    by: SignedIn,
    id: web::Path<String>,
    part: web::Query<Part>,
    app: web::Data<Gangway>,
) -> Result<HttpResponse, Failure> {
    let instance = app.instance(&id).await?;
    let id = instance.id;
    let (lines, older) = app.storage.timeline_page(id, part.before, LINES).await?;
    let invite = app.storage.invite_of_instance(id).await?;
    let missed = app.storage.missed_events(id).await?;
    let missed = missed.and_then(|row| MissedView::of(row, app.missed.by_hand(id)));
    let refused = events::in_a_sentence(&app.refusals.of(id, app.clock.now()));
    let page = format!("/admin/instances/{id}");
    InstancePage {
        frame: app.frame_for(by.session()),
        here: HERE,
        name: instance.name.clone(),
        state: StateBadge::of(&instance.state),
        problem: instance.state.problem().map(Problem::for_operator),
        facts: facts(&instance),
        tags: instance.tags.clone(),
        invite: invite.map(|(invite, customer)| (invites::page_of(invite), customer)),
        timeline: lines.into_iter().map(Step::from).collect(),
        older: older.map(|before| format!("{page}?before={before}#timeline")),
        not_newest: part.before.is_some(),
        feed: feed_url(&instance),
        page,
        acts: Acts::of(&instance),
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

impl Acts {
    fn of(instance: &Instance) -> Self {
        let state = &instance.state;
        let sends = state.connection().is_some_and(|connection| connection.events_enabled);
        let switchable = !instance.renewing;
        Self {
            alive: state.in_use().is_some(),
            renewable: renewable(instance).is_ok(),
            connected: matches!(state, InstanceState::Connected(_)),
            pausable: switchable && sends && state.clone().pause().is_ok(),
            resumable: switchable && !sends && state.clone().resume().is_ok(),
            amendable: !matches!(
                state,
                InstanceState::Provisioning | InstanceState::Unknown(_) | InstanceState::Disconnecting(_)
            ),
        }
    }
}

impl From<Line> for Step {
    fn from(line: Line) -> Self {
        let step = line.step;
        Self {
            seq: line.seq,
            at: step.at.into(),
            kind: step.kind,
            summary: step.summary,
            reference: step.reference.to_string(),
        }
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
    let number = upstream.map_or("none".into(), |found| found.element_instance_id.to_string());
    let events = upstream.map_or("none", |found| if found.events_enabled { "on" } else { "off" });
    let mut facts = vec![
        text("Customer", instance.customer.clone().unwrap_or_else(|| "not named".to_owned()), false),
        text("Gangway id", instance.id.to_string(), true),
        text("Element", instance.element.clone(), true),
        text("Element instance", number, true),
        text("Reference", instance.reference.to_string(), true),
        text("Events", events.into(), false),
        moment("Created", Some(instance.created_at)),
        moment("Connected", upstream.map(|found| found.connected_at)),
        moment("First event", instance.first_event_at),
        moment("Last event", instance.last_event_at),
        moment("Last check", instance.last_checked_at),
    ];
    if let Some(problem) = instance.state.problem() {
        facts.push(moment("Trouble since", Some(problem.since)));
    }
    facts
}
