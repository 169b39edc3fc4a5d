//! After a lost answer or a crash: takes up whatever work is open and nobody has. A grant code that
//! certainly was not sent, and still lives, may be sent; everything else is looked up and never repeated.
//! Given up is only what is surely absent.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;

use super::settle::Outcome;
use super::{Held, Onboarding};
use crate::elements::{
    CallError, ElementInstance, Instance, InstanceState, Problem, ProblemKind, id_in, noting_calls, own_tag,
};
use crate::storage::{Change, NewInstanceRow, OpenWork, StorageError, Ticket, Work};

/// Between two looks at what is open.
pub(super) const GAP: Duration = Duration::from_secs(1);
/// Rows taken up at once, and calls at once.
const ROWS: u16 = 64;
const CALLS_AT_ONCE: usize = 8;
/// Mailchimp's codes live thirty seconds (reference section 1.2); a call takes some of them.
pub(super) const CODE_LIVES: time::Duration = time::Duration::seconds(25);
/// However long the window, what was looked for once may only have been slow to appear.
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
                .for_each_concurrent(CALLS_AT_ONCE, |work| noting_calls(self.take_up(work)))
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
        let Some(_held) = self.hold_soon(open.ticket).await else { return };
        match open.work {
            Work::Provision if open.sent_at.is_none() => self.send_late(open).await,
            Work::Provision => self.look_up(open).await,
            Work::Reauthorize => self.resume_reauthorization(open).await,
            Work::Disconnect => self.take_down(open.ticket, open.instance, open.looks).await,
        }
    }

    /// Whoever put it off may not have let go of it yet; whoever is still at it keeps it.
    async fn hold_soon(&self, ticket: Ticket) -> Option<Held<'_>> {
        if let Some(held) = self.hold(ticket) {
            return Some(held);
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
        self.hold(ticket)
    }

    /// The process ended between the claim and the call.
    async fn send_late(&self, open: OpenWork) {
        let OpenWork { ticket, instance, .. } = open;
        let id = instance.id;
        let found = async {
            let code = self.storage.grant_code(ticket).await?;
            Ok::<_, StorageError>((code, self.storage.instance_with_key(id).await?))
        };
        match found.await {
            Ok((Some((code, claimed_at)), Some((_, signature_key))))
                if self.clock.now() - claimed_at < CODE_LIVES =>
            {
                tracing::info!(instance = %id, "a grant code that was never sent is sent now");
                self.provision(ticket, NewInstanceRow { instance, signature_key, invite: None }, code).await;
            }
            // Marked as sent, so that nobody sends it after it was called off.
            Ok(_) if self.may_send(ticket).await => {
                self.give_up(ticket, instance, ProblemKind::NotSent).await;
            }
            Ok(_) => {}
            Err(error) => tracing::error!(instance = %id, %error, "an open row could not be read"),
        }
    }

    async fn look_up(&self, open: OpenWork) {
        let over = self.has_looked_long_enough(&open);
        let OpenWork { ticket, instance, looks, .. } = open;
        let Some(instance) = self.marked_unknown(instance).await else { return };
        match self.search(&instance).await {
            Ok(Some(found)) => self.adopt(ticket, instance, found, over).await,
            Ok(None) if over => self.give_up(ticket, instance, ProblemKind::NotFound).await,
            Ok(None) => self.look_again_in(ticket, gap_after(looks)).await,
            Err(error) => {
                tracing::warn!(instance = %instance.id, %error, "the lookup failed; it is tried again");
                self.try_again_in(ticket, Duration::from_secs(5)).await;
            }
        }
    }

    /// Whether one more look without a result is the last: there were several, over the whole window. Time
    /// in which nobody looked does not count.
    pub(super) fn has_looked_long_enough(&self, open: &OpenWork) -> bool {
        let looking = open.first_look_at.map_or(time::Duration::ZERO, |first| self.clock.now() - first);
        looking >= self.recovery_window && open.looks + 1 >= LEAST_LOOKS
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
        self.settle(instance, |now| {
            let state = now.state.clone().lose(problem.clone()).ok()?;
            Some(Outcome::of(state, ("unknown", problem.for_operator(), now.reference)))
        })
        .await
    }

    async fn give_up(&self, ticket: Ticket, instance: Instance, kind: ProblemKind) {
        let problem = Problem::new(kind, self.clock.now());
        self.settle(instance, |now| {
            let state = now.state.clone().fail(problem.clone()).ok()?;
            let outcome = Outcome::of(state, ("failed", problem.for_operator(), now.reference));
            Some(Outcome { work: Change::Close(ticket), ..outcome })
        })
        .await;
    }

    /// Lets go of open work until later; a look was taken.
    pub(super) async fn look_again_in(&self, ticket: Ticket, gap: Duration) {
        self.put_off(ticket, gap, true).await;
    }

    /// Lets go of open work until later; nothing was learnt.
    pub(super) async fn try_again_in(&self, ticket: Ticket, gap: Duration) {
        self.put_off(ticket, gap, false).await;
    }

    async fn put_off(&self, ticket: Ticket, gap: Duration, looked: bool) {
        let now = self.clock.now();
        let looked = looked.then_some(now);
        if let Err(error) = self.storage.put_off(ticket, self.holder, now + gap, looked).await {
            tracing::error!(instance = %ticket.instance, %error, "open work could not be put off; its lease will end");
        }
    }
}

/// Before the next look, after so many.
pub(super) fn gap_after(looks: u32) -> Duration {
    Duration::from_secs(1 << looks.min(5)).min(LONGEST_GAP)
}
