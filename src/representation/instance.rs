//! One instance and its timeline.

use serde::Serialize;
use utoipa::ToSchema;

use super::Time;
use crate::elements;
use crate::storage::Line;

/// One connected MailChimp account.
#[derive(Serialize, ToSchema)]
pub struct Instance {
    /// Gangway's own id.
    #[schema(format = "uuid")]
    id: String,
    /// `provisioning`, `unknown`, `failed`, `connected`, `paused`, `needs_attention`, `disconnecting` or `disconnected`
    #[schema(example = "connected")]
    state: &'static str,
    name: String,
    /// For whom it is, where that is known.
    #[schema(required)]
    customer: Option<String>,
    /// Its own; not those of `INSTANCE_TAGS`, nor Gangway's.
    tags: Vec<String>,
    /// Cloud Elements' id of it; null where there is none.
    #[schema(required)]
    element_instance_id: Option<i64>,
    /// Whether Cloud Elements sends its events.
    events_enabled: bool,
    created_at: Time,
    #[schema(required)]
    connected_at: Option<Time>,
    #[schema(required)]
    first_event_at: Option<Time>,
    #[schema(required)]
    last_event_at: Option<Time>,
    #[schema(required)]
    last_checked_at: Option<Time>,
    /// What is wrong, where something is.
    #[schema(required)]
    problem: Option<Trouble>,
}

/// What is wrong with an instance.
#[derive(Serialize, ToSchema)]
pub struct Trouble {
    /// Stable.
    #[schema(example = "access_revoked")]
    code: &'static str,
    /// What it means, and what upstream said.
    detail: String,
    since: Time,
}

/// One line of a timeline.
#[derive(Serialize, ToSchema)]
pub struct TimelineLine {
    at: Time,
    /// In a word.
    #[schema(example = "connected")]
    kind: String,
    /// In a sentence.
    summary: String,
    /// Of the request that did it.
    #[schema(example = "7KQM-2X9T")]
    reference: String,
}

/// An instance with its timeline, the newest line first.
#[derive(Serialize)]
pub struct InstanceWithTimeline {
    #[serde(flatten)]
    instance: Instance,
    timeline: Vec<TimelineLine>,
}

impl From<&elements::Instance> for Instance {
    fn from(instance: &elements::Instance) -> Self {
        let upstream = instance.state.connection();
        let trouble = |problem: &elements::Problem| Trouble {
            code: problem.kind.as_str(),
            detail: problem.for_operator(),
            since: problem.since.into(),
        };
        Self {
            id: instance.id.to_string(),
            state: instance.state.as_str(),
            name: instance.name.clone(),
            customer: instance.customer.clone(),
            tags: instance.tags.clone(),
            element_instance_id: upstream.map(|found| found.element_instance_id),
            events_enabled: upstream.is_some_and(|found| found.events_enabled),
            created_at: instance.created_at.into(),
            connected_at: upstream.map(|found| found.connected_at.into()),
            first_event_at: instance.first_event_at.map(Time::from),
            last_event_at: instance.last_event_at.map(Time::from),
            last_checked_at: instance.last_checked_at.map(Time::from),
            problem: instance.state.problem().map(trouble),
        }
    }
}

impl From<Line> for TimelineLine {
    fn from(Line { step, .. }: Line) -> Self {
        let reference = step.reference.to_string();
        Self { at: step.at.into(), kind: step.kind, summary: step.summary, reference }
    }
}

impl InstanceWithTimeline {
    /// Of its parts.
    pub fn of(instance: &elements::Instance, lines: Vec<Line>) -> Self {
        Self { instance: instance.into(), timeline: lines.into_iter().map(TimelineLine::from).collect() }
    }
}
