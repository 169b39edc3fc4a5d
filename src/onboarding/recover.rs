//! After a lost answer or a crash: takes up whatever work is open and nobody has. A grant code that
//! certainly was not sent, and still lives, may be sent; everything else is looked up and never repeated.
//! Given up is only what is surely absent.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use uuid::Uuid;

use super::Onboarding;
use super::settle::Outcome;
use crate::elements::{
    CallError, ElementInstance, Instance, InstanceState, Problem, ProblemKind, id_in, own_tag,
};
use crate::storage::{Change, NewInstanceRow, OpenWork, StorageError, Work};

/// Between two looks at what is open.
pub(super) const GAP: Duration = Duration::from_secs(1);
/// Rows taken up at once, and calls at once.
const ROWS: u16 = 64;
const CALLS_AT_ONCE: usize = 8;
/// Mailchimp's codes live thirty seconds (reference section 1.2); a call takes some of them.
pub(super) const CODE_LIVES: time::Duration = time::Duration::seconds(25);
/// However long ago the call left, what was looked for once may only have been slow to appear.
const LEAST_LOOKS: u32 = 3;
/// Gaps between looks double up to this.
const LONGEST_GAP: Duration = Duration::from_secs(30);

impl Onboarding {
    /// Takes up everything that is due.
    pub async fn recover(self: &Arc<Self>) -> Result<(), StorageError> {
        loop {
            // One probe at a time while nobody answers; the rest waits for its turn.
            let rows = if self.cloud_elements.is_down() { 1 } else { ROWS };
            let open = self.storage.take_up(self.lease(), self.clock.now(), rows).await?;
            let count = open.len();
            futures_util::stream::iter(open)
                .for_each_concurrent(CALLS_AT_ONCE, |work| self.take_up(work))
                .await;
            if count < usize::from(ROWS) || self.stopping.is_cancelled() {
                return Ok(());
            }
        }
    }

    async fn take_up(&self, open: OpenWork) {
        if self.stopping.is_cancelled() {
            return;
        }
        let _held = self.hold(open.instance.id);
        match open.work {
            Work::Provision if open.sent_at.is_none() => self.send_late(open.instance).await,
            Work::Provision => self.look_up(open).await,
            Work::Reauthorize => self.resume_reauthorization(open).await,
            Work::Disconnect => self.take_down(open.instance, open.looks).await,
        }
    }

    /// The process ended between the claim and the call.
    async fn send_late(&self, instance: Instance) {
        let id = instance.id;
        let found = async {
            let code = self.storage.grant_code(id).await?;
            Ok::<_, StorageError>((code, self.storage.instance_with_key(id).await?))
        };
        match found.await {
            Ok((Some((code, claimed_at)), Some((_, signature_key))))
                if self.clock.now() - claimed_at < CODE_LIVES =>
            {
                tracing::info!(instance = %id, "a grant code that was never sent is sent now");
                self.provision(NewInstanceRow { instance, signature_key }, code).await;
            }
            Ok(_) => self.give_up(instance, ProblemKind::NotSent).await,
            Err(error) => tracing::error!(instance = %id, %error, "an open row could not be read"),
        }
    }

    async fn look_up(&self, open: OpenWork) {
        let OpenWork { instance, sent_at, looks, since, .. } = open;
        let Some(instance) = self.marked_unknown(instance).await else { return };
        let (id, reference) = (instance.id, instance.reference);
        match self.search(&instance).await {
            Ok(Some(found)) => self.adopt(instance, found, reference).await,
            Ok(None) => {
                let age = self.clock.now() - sent_at.unwrap_or(since);
                if age >= self.recovery_window && looks + 1 >= LEAST_LOOKS {
                    self.give_up(instance, ProblemKind::NotFound).await;
                } else {
                    let gap = Duration::from_secs(1 << looks.min(5)).min(LONGEST_GAP);
                    self.look_again_in(id, gap).await;
                }
            }
            Err(error) => {
                tracing::warn!(instance = %id, %error, "the lookup failed; it is tried again");
                self.try_again_in(id, Duration::from_secs(5)).await;
            }
        }
    }

    /// By our tag; then, as second opinions, by our name, and by the id of an answer that made no sense.
    async fn search(&self, instance: &Instance) -> Result<Option<ElementInstance>, CallError> {
        let ours = |found: &ElementInstance| {
            found.element.as_ref().is_none_or(|element| *element == instance.element)
        };
        let mut found = self.cloud_elements.instances_tagged(&own_tag(instance.id)).await?;
        found.retain(ours);
        if found.len() > 1 {
            tracing::error!(instance = %instance.id, count = found.len(), "several instances carry one tag; the first is adopted");
        }
        if found.is_empty() {
            found = self.cloud_elements.instances_named(&instance.name).await?;
            found.retain(ours);
        }
        if found.is_empty()
            && let Ok(Some(answer)) = self.storage.kept_answer(instance.id).await
            && let Some(id) = id_in(&answer)
        {
            found.extend(
                self.cloud_elements.instance(id).await?.filter(|found| self.is_meant(found, instance)),
            );
        }
        Ok(found.into_iter().next())
    }

    /// Whether an instance that was found by its id alone is the one of ours.
    fn is_meant(&self, found: &ElementInstance, instance: &Instance) -> bool {
        let url = self.public_url.events_url(instance.id);
        found.name == instance.name || found.events_url.as_deref() == Some(url.as_str())
    }

    /// A row that says provisioning while nobody works on it was left by a crash.
    async fn marked_unknown(&self, instance: Instance) -> Option<Instance> {
        if !matches!(instance.state, InstanceState::Provisioning) {
            return Some(instance);
        }
        let problem = Problem::new(ProblemKind::Interrupted, self.clock.now());
        let summary = problem.for_operator();
        let reference = instance.reference;
        let state = instance.state.clone().lose(problem).ok()?;
        let instance = Instance { state, ..instance };
        let outcome = Outcome::closing("provisioning", instance.clone(), ("unknown", summary, reference));
        self.settle(Outcome { work: Change::Keep, ..outcome }).await.then_some(instance)
    }

    async fn give_up(&self, instance: Instance, kind: ProblemKind) {
        let problem = Problem::new(kind, self.clock.now());
        let summary = problem.for_operator();
        let (from, reference) = (instance.state.as_str(), instance.reference);
        let Ok(state) = instance.state.clone().fail(problem) else { return };
        let after = Instance { state, ..instance };
        self.settle(Outcome::closing(from, after, ("failed", summary, reference))).await;
    }

    /// Lets go of open work until later; a look was taken.
    pub(super) async fn look_again_in(&self, id: Uuid, gap: Duration) {
        if let Err(error) = self.storage.put_off(id, self.clock.now() + gap, true).await {
            tracing::error!(instance = %id, %error, "open work could not be put off; its lease will end");
        }
    }

    /// Lets go of open work until later; nothing was learnt.
    pub(super) async fn try_again_in(&self, id: Uuid, gap: Duration) {
        if let Err(error) = self.storage.put_off(id, self.clock.now() + gap, false).await {
            tracing::error!(instance = %id, %error, "open work could not be put off; its lease will end");
        }
    }
}
