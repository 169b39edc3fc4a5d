//! `GET /admin`: where the operator comes in. What needs attention comes first; then how many stand how, how the way
//! from the first click to the first event went, and whether everything answers.

use std::sync::atomic::Ordering;

use actix_web::{HttpResponse, web};
use askama::Template;
use serde::Deserialize;
use time::Duration;

use super::instances::StateBadge;
use super::{deliveries, events};
use crate::elements::{Instance, Problem};
use crate::storage::{COUNTED, LATEST, TripOfLate};
use crate::web::Gangway;
use crate::web::failure::Failure;
use crate::web::guards::SignedIn;
use crate::web::view::{Frame, Moment, Page};

const HERE: &str = "overview";
/// So many are named of each kind of trouble.
const NAMED: u16 = 5;
/// The states that want somebody, the most urgent first.
const TROUBLED: [&str; 3] = ["needs_attention", "failed", "unknown"];
/// The spans of time that can be looked at: what the address says, how long, and in words.
const SPANS: [(&str, Duration, &str); 3] = [
    ("day", Duration::DAY, "24 hours"),
    ("week", Duration::WEEK, "7 days"),
    ("month", Duration::days(30), "30 days"),
];

#[derive(Template)]
#[template(path = "admin/overview.html")]
struct OverviewPage {
    frame: Frame,
    here: &'static str,
    troubled: Vec<TroubledRow>,
    /// Sentences about what else wants a look, each with where it leads.
    notices: Vec<(String, &'static str)>,
    off: Vec<(String, String, &'static str)>,
    states: Vec<StateCount>,
    /// Nothing was ever connected.
    empty: bool,
    /// Where customers begin.
    landing: String,
    spans: Vec<SpanLink>,
    funnel: Vec<Stage>,
    /// Only the latest were looked at.
    latest_only: bool,
    charts: [events::Chart; 2],
    health: Vec<(&'static str, String, bool)>,
}

struct TroubledRow {
    page: String,
    name: String,
    state: StateBadge,
    why: &'static str,
    since: Option<Moment>,
}

struct StateCount {
    state: StateBadge,
    count: String,
}

struct SpanLink {
    link: String,
    words: &'static str,
    current: bool,
}

/// One stage of the way, and how long it took to get there.
struct Stage {
    name: &'static str,
    count: i64,
    times: Option<(String, String)>,
}

/// `?span=`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Span {
    #[serde(default)]
    span: String,
}

/// `GET /admin`
pub async fn overview(
    by: SignedIn,
    question: web::Query<Span>,
    app: web::Data<Gangway>,
) -> Result<HttpResponse, Failure> {
    let chosen = SPANS.iter().find(|(word, ..)| *word == question.span);
    let &(word, length, _) = match chosen {
        Some(chosen) => chosen,
        None if question.span.is_empty() => &SPANS[1],
        None => return Err(Failure::BadRequest("no such span of time".to_owned())),
    };
    let now = app.clock.now();
    let since = now - length;
    let trips = app.storage.trips_of_late(since).await?;
    let starts = app.storage.starts_since(since).await? + app.starts.load(Ordering::Relaxed);
    let states = states(&app).await?;
    OverviewPage {
        frame: app.frame_for(by.session()),
        here: HERE,
        troubled: troubled(&app).await?,
        notices: notices(&app).await?,
        off: deliveries::switched_off(&app).await?,
        empty: states.is_empty(),
        states,
        landing: app.config.public_url.origin(),
        spans: spans(word),
        funnel: funnel(starts, &trips),
        latest_only: i64::try_from(trips.len()).is_ok_and(|count| count >= LATEST),
        charts: events::charts(&app.storage, None, now).await?,
        health: health(&app).await,
    }
    .show()
}

fn spans(current: &str) -> Vec<SpanLink> {
    let link = |&(word, _, words): &(&str, Duration, &'static str)| SpanLink {
        link: format!("/admin?span={word}"),
        words,
        current: word == current,
    };
    SPANS.iter().map(link).collect()
}

async fn troubled(app: &Gangway) -> Result<Vec<TroubledRow>, Failure> {
    let mut rows = Vec::new();
    for state in TROUBLED {
        let page = app.storage.instances(Some(state), None, NAMED).await?;
        rows.extend(page.items.iter().map(TroubledRow::of));
    }
    Ok(rows)
}

impl TroubledRow {
    fn of(instance: &Instance) -> Self {
        let problem: Option<&Problem> = instance.state.problem();
        Self {
            page: format!("/admin/instances/{}", instance.id),
            name: instance.name.clone(),
            state: StateBadge::of(&instance.state),
            why: problem.map_or("", |problem| problem.kind.for_operator()),
            since: problem.map(|problem| problem.since.into()),
        }
    }
}

async fn notices(app: &Gangway) -> Result<Vec<(String, &'static str)>, Failure> {
    let mut notices = Vec::new();
    let waiting = app.storage.waiting_in_all().await?;
    if waiting > 0 {
        let wait = if waiting == 1 { "notification waits" } else { "notifications wait" };
        notices.push((format!("{waiting} {wait} at Cloud Elements."), "/admin/instances"));
    }
    if let Some(refused) = events::in_a_sentence(&app.refusals.all(app.clock.now())) {
        notices.push((refused, "/admin/events"));
    }
    let drift = app.onboarding.last_report().map_or(0, |report| report.count);
    if drift > 0 {
        notices.push((format!("{drift} differences from what Cloud Elements has."), "/admin/reconcile"));
    }
    Ok(notices)
}

async fn states(app: &Gangway) -> Result<Vec<StateCount>, Failure> {
    let mut states = Vec::new();
    for state in StateBadge::all() {
        let count = app.storage.count_in_state(state.word).await?;
        if count > 0 {
            let more = if count >= COUNTED { "or more " } else { "" };
            states.push(StateCount { state, count: format!("{count} {more}").trim_end().to_owned() });
        }
    }
    Ok(states)
}

fn funnel(starts: i64, trips: &[TripOfLate]) -> Vec<Stage> {
    let count = |holds: fn(&TripOfLate) -> bool| {
        i64::try_from(trips.iter().filter(|trip| holds(trip)).count()).unwrap_or(i64::MAX)
    };
    let granted = || trips.iter().filter(|trip| trip.granted);
    let approve = granted().filter_map(|trip| Some(trip.claimed_at - trip.started_at?));
    let connect = granted().filter_map(|trip| Some(trip.connected_at? - trip.claimed_at));
    let event = granted().filter_map(|trip| Some(trip.first_event_at? - trip.connected_at?));
    vec![
        Stage { name: "started", count: starts, times: None },
        Stage { name: "denied", count: count(|trip| !trip.granted), times: None },
        Stage {
            name: "approved",
            count: count(|trip| trip.granted),
            times: median_and_most(approve.collect()),
        },
        Stage {
            name: "connected",
            count: count(|trip| trip.connected_at.is_some()),
            times: median_and_most(connect.collect()),
        },
        Stage {
            name: "first event",
            count: count(|trip| trip.first_event_at.is_some()),
            times: median_and_most(event.collect()),
        },
    ]
}

/// The median and the 95th percentile, in words; `None` of nothing.
fn median_and_most(mut all: Vec<Duration>) -> Option<(String, String)> {
    all.sort();
    let last = all.len().checked_sub(1)?;
    let at = |percent: usize| all.get(last * percent / 100).map(|gap| in_words(*gap));
    Some((at(50)?, at(95)?))
}

fn in_words(gap: Duration) -> String {
    match gap.whole_seconds() {
        ..10 => format!("{:.1} s", gap.as_seconds_f64().max(0.0)),
        seconds @ ..120 => format!("{seconds} s"),
        seconds @ ..7200 => format!("{} min", seconds / 60),
        seconds @ ..172_800 => format!("{} h", seconds / 3600),
        seconds => format!("{} days", seconds / 86_400),
    }
}

/// What answers, in a word each, and whether that is well.
async fn health(app: &Gangway) -> Vec<(&'static str, String, bool)> {
    let word = |well: bool, yes: &str, no: &str| (if well { yes } else { no }).to_owned();
    let reached = !app.cloud_elements.is_down();
    let synced = app.storage.ping().await.is_ok();
    let compared = app.onboarding.last_report();
    let agrees = compared.as_ref().is_none_or(|report| report.count == 0);
    vec![
        ("Database", word(synced, "answers", "does not answer, or failed to sync"), synced),
        ("Cloud Elements", word(reached, "answers", "five calls in a row went unanswered"), reached),
        (
            "Comparison",
            match (compared, agrees) {
                (None, _) => "not made yet".to_owned(),
                (Some(_), true) => "nothing differs".to_owned(),
                (Some(_), false) => "something differs".to_owned(),
            },
            agrees,
        ),
    ]
}

#[cfg(test)]
mod tests {
    use time::OffsetDateTime;

    use super::*;

    #[test]
    fn the_median_and_the_95th_of_a_hundred_are_what_they_say() {
        assert_eq!(median_and_most(Vec::new()), None);
        let all = (1..=101).rev().map(Duration::seconds).collect();
        assert_eq!(median_and_most(all), Some(("51 s".to_owned(), "96 s".to_owned())));
        assert_eq!(
            median_and_most(vec![Duration::milliseconds(1500)]),
            Some(("1.5 s".to_owned(), "1.5 s".to_owned()))
        );
        assert_eq!(in_words(Duration::minutes(3)), "3 min");
        assert_eq!(in_words(Duration::hours(5)), "5 h");
        assert_eq!(in_words(Duration::days(3)), "3 days");
    }

    #[test]
    fn only_what_brought_a_grant_counts_as_approved() {
        let at = OffsetDateTime::UNIX_EPOCH;
        let trip = |granted, connected| TripOfLate {
            started_at: Some(at),
            claimed_at: at + Duration::seconds(20),
            granted,
            connected_at: connected,
            first_event_at: None,
        };
        let trips = [trip(true, Some(at + Duration::seconds(22))), trip(true, None), trip(false, None)];
        let counts: Vec<_> = funnel(7, &trips).iter().map(|stage| (stage.name, stage.count)).collect();
        assert_eq!(
            counts,
            [("started", 7), ("denied", 1), ("approved", 2), ("connected", 1), ("first event", 0)]
        );
    }
}
