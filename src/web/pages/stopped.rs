//! An instance whose events have stopped: why, since when, and the way on. And the receipt of one that is
//! disconnected.

use askama::Template;

use super::Action;
use crate::elements::{Instance, InstanceState, Problem, ProblemKind};
use crate::mailchimp::PROVIDER;
use crate::onboarding::{DELAYED, unsigned};
use crate::reference::Reference;
use crate::storage::{Step, StorageError};
use crate::web::Gangway;
use crate::web::view::{Frame, Moment};

/// The page.
#[derive(Template)]
#[template(path = "stopped.html")]
pub(super) struct StoppedPage {
    frame: Frame,
    headline: String,
    sentences: Vec<&'static str>,
    actions: Vec<Action>,
    name: String,
    state: &'static str,
    since: Option<Moment>,
    receipt: Vec<Done>,
    /// How to take the grant itself back, which only the customer can.
    remove_the_app: bool,
    /// Where a page that goes on by itself asks.
    feed: Option<String>,
    reference: String,
}

/// One line of a receipt.
struct Done {
    at: Moment,
    what: String,
}

/// As the instance stands.
pub(super) async fn stopped(app: &Gangway, instance: &Instance) -> Result<StoppedPage, StorageError> {
    let over = matches!(instance.state, InstanceState::Disconnected(_));
    let (headline, sentences) = words(&instance.state);
    Ok(StoppedPage {
        frame: app.frame(),
        headline: headline.to_owned(),
        sentences: sentences.to_vec(),
        actions: actions(instance),
        name: instance.name.clone(),
        state: instance.state.as_str(),
        since: instance.state.problem().map(|problem| problem.since.into()),
        receipt: if over { receipt(app, instance).await? } else { Vec::new() },
        remove_the_app: over,
        feed: (!over).then(|| super::feed_url(instance)),
        reference: instance.reference.to_string(),
    })
}

fn words(state: &InstanceState) -> (&'static str, &'static [&'static str]) {
    match state {
        InstanceState::NeedsAttention(_, problem) => match problem.kind {
            ProblemKind::OtherAccount => (
                "This is another MailChimp account",
                &[
                    "You approved with another account than the one that was connected before.",
                    "Is this the one you mean? If not, sign in to the earlier one and approve again.",
                ],
            ),
            ProblemKind::GoneUpstream => (
                "This connection has ended",
                &[
                    "It was removed on the way between us. What was received is kept.",
                    "Please tell us the reference below.",
                ],
            ),
            _ => (
                "MailChimp needs your approval again",
                &["Events have stopped. What was received is kept; approve again and they go on."],
            ),
        },
        InstanceState::Paused(_) => {
            ("Events are off", &["The connection is kept; no events are received until it is resumed."])
        }
        InstanceState::Disconnecting(_) => (
            "Disconnecting…",
            &["The connection is being taken down. You may close this page, it will go on."],
        ),
        _ => ("Disconnected", &["No more events are received, and our access is destroyed."]),
    }
}

/// The first is what most people want.
fn actions(instance: &Instance) -> Vec<Action> {
    let post = |label: &str, act: &str| Action {
        label: label.to_owned(),
        target: format!("/instances/{}/{act}", instance.id),
        post: true,
    };
    let InstanceState::NeedsAttention(_, problem) = &instance.state else { return Vec::new() };
    match problem.kind {
        ProblemKind::OtherAccount => vec![
            post("Use this account", "keep-account"),
            post(&format!("Approve at {PROVIDER} again"), "reconnect"),
        ],
        ProblemKind::GoneUpstream => Vec::new(),
        _ => vec![post(&format!("Approve at {PROVIDER}"), "reconnect")],
    }
}

async fn receipt(app: &Gangway, instance: &Instance) -> Result<Vec<Done>, StorageError> {
    let steps = app.storage.timeline(instance.id).await?;
    let ours = steps.into_iter().filter(|step| step.kind.starts_with("disconnect"));
    // What upstream said is for the operator.
    let plain = |step: Step| {
        let delayed = step.kind == DELAYED;
        let what = if delayed {
            "A step did not work, and was tried again.".to_owned()
        } else {
            unsigned(&step.summary).to_owned()
        };
        Done { at: step.at.into(), what }
    };
    Ok(ours.map(plain).collect())
}

impl StoppedPage {
    /// For whoever opened a reconnect link.
    pub(super) fn asking_to_renew(app: &Gangway, instance: &Instance, target: String) -> Self {
        let sentences = [
            "You will go to MailChimp to approve, then come straight back.",
            "The connection keeps its place, and everything that was received.",
        ];
        let label = format!("Approve at {PROVIDER}");
        let actions = vec![Action { label, target, post: true }];
        let words = ("MailChimp needs your approval again", &sentences[..]);
        Self { actions, ..Self::for_another_browser(app, instance, instance.reference, words) }
    }

    /// For whoever approved in another browser than the one the connection was made in.
    pub(super) fn renewed_elsewhere(app: &Gangway, instance: &Instance, reference: Reference) -> Self {
        let other = |problem: &Problem| problem.kind == ProblemKind::OtherAccount;
        let words: (_, &[_]) = match &instance.state {
            InstanceState::Connected(_) => (
                "MailChimp is connected again",
                &["Your approval has arrived, and the connection works. You may close this page."],
            ),
            state if state.problem().is_some_and(other) => (
                "This is another MailChimp account",
                &[
                    "You approved with another account than the one that was connected before.",
                    "Whoever made the connection is asked whether that is meant. Or approve by the same link with the earlier account.",
                ],
            ),
            _ => (
                "The approval was not accepted",
                &[
                    "Nothing was changed by it, and what was received is kept.",
                    "Please ask for a new link, or tell us the reference below.",
                ],
            ),
        };
        Self::for_another_browser(app, instance, reference, words)
    }

    fn for_another_browser(
        app: &Gangway,
        instance: &Instance,
        reference: Reference,
        (headline, sentences): (&str, &[&'static str]),
    ) -> Self {
        Self {
            frame: app.frame(),
            headline: headline.to_owned(),
            sentences: sentences.to_vec(),
            actions: Vec::new(),
            name: instance.name.clone(),
            state: instance.state.as_str(),
            since: instance.state.problem().map(|problem| problem.since.into()),
            receipt: Vec::new(),
            remove_the_app: false,
            feed: None,
            reference: reference.to_string(),
        }
    }
}
