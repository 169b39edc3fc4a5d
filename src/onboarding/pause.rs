//! Events of an instance, switched off and on again. Cloud Elements is asked first and the row follows, so that a
//! refusal changes nothing. A row that has changed between asking and writing is asked for again: whoever writes
//! last has asked last, so what is there and what is here end the same, with several tabs and processes too; what is
//! cut off in between is done again (`open_acts`).

use uuid::Uuid;

use super::settle::Outcome;
use super::{Onboarding, check};
use crate::checkpoint::Point;
use crate::elements::{CallError, Instance, InstanceState, InvalidTransition, Wanted, noting_calls};
use crate::reference::Reference;
use crate::storage::{StorageError, Wish};

/// Somebody else is quicker at most so often.
const TRIES: u32 = 5;

/// Why something about an instance was not done.
#[derive(Debug, thiserror::Error)]
pub enum NotDone {
    /// There is none.
    #[error("no such instance")]
    Unknown,
    /// It cannot be, as it stands.
    #[error("an instance that is {0} does not allow it")]
    AsItStands(&'static str),
    /// Nothing happened upstream, and why.
    #[error("Cloud Elements did not do it: {0}")]
    Refused(String),
    /// It may have happened upstream. The row stands as it did; the next comparison tells.
    #[error("Cloud Elements gave no clear answer, so it may have happened there: {0}")]
    Unclear(String),
    /// The database says no.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl From<CallError> for NotDone {
    fn from(error: CallError) -> Self {
        match error {
            CallError::Unclear { what, .. } => Self::Unclear(what),
            clear => Self::Refused(clear.to_string()),
        }
    }
}

/// What stands on the timeline of each of the two.
struct Switch {
    on: bool,
    kind: &'static str,
    done: &'static str,
    to: fn(InstanceState) -> Result<InstanceState, InvalidTransition>,
}

const PAUSE: Switch = Switch {
    on: false,
    kind: "paused",
    done: "Events were paused: Cloud Elements sends none until they are resumed.",
    to: InstanceState::pause,
};
const RESUME: Switch = Switch {
    on: true,
    kind: "resumed",
    done: "Events were resumed: Cloud Elements sends them again.",
    to: InstanceState::resume,
};

impl Onboarding {
    /// Switches the events of an instance off. Notifications that come all the same are stored as ever.
    pub async fn pause(&self, id: Uuid, reference: Reference) -> Result<Instance, NotDone> {
        let pausing = noting_calls(self.switch_to(id, false, reference));
        self.noted((id, Wish::Events(false), reference), pausing).await?
    }

    /// Switches them on again.
    pub async fn resume(&self, id: Uuid, reference: Reference) -> Result<Instance, NotDone> {
        let resuming = noting_calls(self.switch_to(id, true, reference));
        self.noted((id, Wish::Events(true), reference), resuming).await?
    }

    pub(super) async fn switch_to(
        &self,
        id: Uuid,
        on: bool,
        reference: Reference,
    ) -> Result<Instance, NotDone> {
        let to = if on { RESUME } else { PAUSE };
        for _ in 0..TRIES {
            let instance = self.storage.instance(id).await?.ok_or(NotDone::Unknown)?;
            // What is being approved again has its events switched on with the new grant.
            if instance.renewing {
                return Err(NotDone::AsItStands("being approved again"));
            }
            let after = (to.to)(instance.state.clone());
            let after = after.map_err(|_| NotDone::AsItStands(instance.state.as_str()))?;
            let upstream = instance.state.connection().map(|connection| connection.element_instance_id);
            let upstream = upstream.ok_or(NotDone::AsItStands(instance.state.as_str()))?;
            let asked = self.switch_upstream(upstream, to.on).await;
            self.checkpoints.reached(Point::AfterReply).await;
            if let Err(error) = asked {
                self.not_switched(instance, &error, (&to, reference)).await;
                return Err(error.into());
            }
            let seen = instance.version;
            let next_check = Some(self.clock.now() + check::FIRST);
            let settled = self.settle(instance, |now| {
                let outcome = Outcome::of(after.clone(), (to.kind, to.done.to_owned(), reference));
                (now.version == seen).then_some(Outcome { next_check, ..outcome })
            });
            if let Some(instance) = settled.await {
                return Ok(instance);
            }
        }
        Err(NotDone::Unclear("the instance changed again and again meanwhile".to_owned()))
    }

    /// Whatever the answer, a look tells more: a yes may come from something in between, and what gave no answer may
    /// have been done.
    async fn switch_upstream(&self, id: i64, on: bool) -> Result<(), CallError> {
        let wanted = Wanted { events_enabled: Some(on), ..Wanted::default() };
        let answered = self.cloud_elements.change(id, &wanted).await;
        if answered.as_ref().is_err_and(CallError::nothing_happened) {
            return answered;
        }
        let found = self.cloud_elements.instance(id).await.ok().flatten();
        match (answered, found.and_then(|found| found.events_enabled)) {
            (Ok(()), Some(is)) if is != on => {
                Err(CallError::unclear("it said yes, and its instance has not changed"))
            }
            (Err(_), Some(is)) if is == on => Ok(()),
            (answered, _) => answered,
        }
    }

    /// The state stays; the line says what was tried, and what upstream said.
    async fn not_switched(
        &self,
        instance: Instance,
        error: &CallError,
        (to, reference): (&Switch, Reference),
    ) {
        let verb = if to.on { "resumed" } else { "paused" };
        let summary = if error.nothing_happened() {
            format!("Events were not {verb}: {error}")
        } else {
            format!("Whether events were {verb} is not certain ({error}); the next comparison tells.")
        };
        tracing::warn!(instance = %instance.id, %error, "events were not {verb}");
        let next_check = Some(self.clock.now() + check::FIRST);
        self.settle(instance, |now| {
            let outcome = Outcome::of(now.state.clone(), ("not_done", summary.clone(), reference));
            Some(Outcome { next_check, ..outcome })
        })
        .await;
    }
}
