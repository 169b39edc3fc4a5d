//! Outcomes, written: a transition, its line on the timeline and the end of its open work, in one
//! transaction. Each is decided on the row as it stands: where somebody else was quicker, it is read and
//! decided again. What upstream said is kept in memory while the database says no.

use std::time::Duration;

use time::OffsetDateTime;

use super::Onboarding;
use super::acting::signed;
use crate::checkpoint::Point;
use crate::elements::{BrowserHash, Call, Instance, InstanceState, UnreadAnswer, calls_made};
use crate::reference::Reference;
use crate::storage::{Change, StorageError, Token, Transition};

/// How often an outcome is tried to be written when the database says no, and the gap between.
const TRIES: u32 = 40;
const GAP: Duration = Duration::from_millis(500);

/// What comes of something, for a row as it stands.
pub(super) struct Outcome<'a> {
    /// Where the instance stands now.
    pub(super) state: InstanceState,
    /// Its name, where that changes.
    pub(super) name: Option<&'a str>,
    /// Its own tags, where they change.
    pub(super) tags: Option<&'a [String]>,
    /// What becomes of the token.
    pub(super) token: Token<'a>,
    /// An answer that could not be read.
    pub(super) unread: Option<&'a UnreadAnswer>,
    /// Whose page it is from now on, where that changes.
    pub(super) browser: Option<&'a BrowserHash>,
    /// What becomes of the open work.
    pub(super) work: Change,
    /// When it is looked after next.
    pub(super) next_check: Option<OffsetDateTime>,
    /// The kind of step, its sentence and its reference number.
    pub(super) step: (&'static str, String, Reference),
}

impl Outcome<'_> {
    /// A new state, and nothing else.
    pub(super) fn of(state: InstanceState, step: (&'static str, String, Reference)) -> Self {
        Self {
            state,
            name: None,
            tags: None,
            token: Token::Keep,
            unread: None,
            browser: None,
            work: Change::Keep,
            next_check: None,
            step,
        }
    }
}

impl Onboarding {
    /// Writes what `decide` makes of the instance, and tells who watches. Answers how it stands then; `None`
    /// where `decide` makes nothing of it, or the database never says yes: then the work stays open and
    /// recovery takes it up.
    pub(super) async fn settle<'a>(
        &self,
        instance: Instance,
        decide: impl Fn(&Instance) -> Option<Outcome<'a>>,
    ) -> Option<Instance> {
        self.checkpoints.reached(Point::BeforeCommit).await;
        let calls = calls_made();
        let mut instance = instance;
        for _ in 0..TRIES {
            match self.write(&instance, decide(&instance)?, &calls).await {
                Ok(Some(after)) => return Some(after),
                Ok(None) => match self.storage.instance(instance.id).await {
                    Ok(now) => instance = now?,
                    Err(error) => self.wait_to_write(&instance, &error).await,
                },
                Err(StorageError::Closed) => break,
                Err(error) => self.wait_to_write(&instance, &error).await,
            }
        }
        tracing::error!(instance = %instance.id, "an outcome was not written; recovery will look it up");
        None
    }

    /// `None` where somebody else was quicker.
    async fn write(
        &self,
        before: &Instance,
        outcome: Outcome<'_>,
        calls: &[Call],
    ) -> Result<Option<Instance>, StorageError> {
        let Outcome { state, name, tags, token, unread, browser, work, next_check, step } = outcome;
        let (kind, summary, reference) = step;
        let after = Instance {
            state,
            name: name.unwrap_or(&before.name).to_owned(),
            tags: tags.unwrap_or(&before.tags).to_owned(),
            browser: browser.unwrap_or(&before.browser).clone(),
            ..before.clone()
        };
        let kept_answer = unread.map(UnreadAnswer::expose);
        let calls = calls.iter().map(|call| self.step("upstream", call.to_string(), reference)).collect();
        let step = self.step(kind, signed(summary), reference);
        let transition =
            Transition { before, after: &after, token, kept_answer, browser, work, next_check, calls, step };
        if !self.storage.transition(transition).await? {
            return Ok(None);
        }
        self.checkpoints.reached(Point::AfterCommit).await;
        let state = after.state.as_str();
        if state != before.state.as_str() {
            metrics::counter!("gangway_instances_total", "state" => state).increment(1);
        }
        tracing::info!(instance = %after.id, state, kind, "instance settled");
        self.feed.nudge(after.id);
        Ok(Some(Instance { version: before.version + 1, ..after }))
    }

    async fn wait_to_write(&self, instance: &Instance, error: &StorageError) {
        tracing::error!(instance = %instance.id, %error, "an outcome could not be written; trying again");
        tokio::time::sleep(GAP).await;
    }
}
