//! The end of an instance: our audience webhooks removed, events off, deleted at Cloud Elements, read back to
//! be sure, its token destroyed. A step that fails leaves it disconnecting, and it is tried again until it is
//! done. The grant itself is Mailchimp's: only the customer can take it back there.

use std::time::Duration;

use uuid::Uuid;

use super::Onboarding;
use super::settle::Outcome;
use crate::elements::{CallError, Instance, InstanceState, Wanted, noting_calls, own_tag};
use crate::entropy::fresh_id;
use crate::reference::Reference;
use crate::storage::{Change, StorageError, Ticket, Token};

/// Gaps between tries double up to this.
const LONGEST_GAP: Duration = Duration::from_secs(600);
/// The kind of the step that tells the operator, in upstream's words, why it takes longer.
pub const DELAYED: &str = "disconnect_delayed";

/// Why an instance was not disconnected.
#[derive(Debug, thiserror::Error)]
pub enum NotDisconnected {
    /// There is none.
    #[error("no such instance")]
    Unknown,
    /// It cannot be, as it stands.
    #[error("an instance that is {0} cannot be disconnected")]
    AsItStands(&'static str),
    /// The database says no.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// What the steps of taking down came to.
#[derive(Debug, Clone, Copy)]
struct TakenDown {
    events_off: bool,
    /// Something else has this id there; it was left alone.
    not_ours: bool,
}

impl Onboarding {
    /// Takes an instance down. It is durable from the first moment; answers how it stands after one try.
    pub async fn disconnect(&self, id: Uuid, reference: Reference) -> Result<Instance, NotDisconnected> {
        let instance = self.storage.instance(id).await?.ok_or(NotDisconnected::Unknown)?;
        let ticket = Ticket { instance: id, id: fresh_id(&*self.clock, &*self.entropy) };
        let _held = self.hold(ticket);
        let begun = self.settle(instance, |now| {
            let state = now.state.clone().disconnect().ok()?;
            let summary = "Disconnecting: events off, then the instance is deleted at Cloud Elements.";
            let outcome = Outcome::of(state, ("disconnecting", summary.to_owned(), reference));
            Some(Outcome { work: Change::Disconnect(ticket, self.lease()), ..outcome })
        });
        if let Some(instance) = begun.await {
            noting_calls(self.take_down(ticket, instance, 0)).await;
        }
        let instance = self.storage.instance(id).await?.ok_or(NotDisconnected::Unknown)?;
        match &instance.state {
            InstanceState::Disconnecting(_) | InstanceState::Disconnected(_) => Ok(instance),
            other => Err(NotDisconnected::AsItStands(other.as_str())),
        }
    }

    pub(super) async fn take_down(&self, ticket: Ticket, instance: Instance, looks: u32) {
        let reference = instance.reference;
        let Some(upstream) = instance.state.connection().map(|connection| connection.element_instance_id)
        else {
            return self.end_without(ticket).await;
        };
        // Before the instance, whose token it takes. What is left is told, and holds nothing up.
        let left = self.remove_audience_webhooks(&instance).await;
        match self.delete_upstream(&instance, upstream).await {
            Ok(done) => {
                let (id, summary) = (instance.id, receipt(upstream, done) + &leftovers(&left));
                self.settle(instance, |now| {
                    let state = now.state.clone().disconnected().ok()?;
                    let outcome = Outcome::of(state, ("disconnected", summary.clone(), reference));
                    Some(Outcome { token: Token::Destroy, work: Change::Close(ticket), ..outcome })
                })
                .await;
                if let Err(error) = self.storage.forget_audiences(id).await {
                    tracing::error!(instance = %id, %error, "the audiences could not be forgotten");
                }
            }
            Err(error) => {
                tracing::warn!(instance = %instance.id, %error, "disconnecting is tried again");
                if looks == 0 {
                    let summary = format!("A step of disconnecting failed ({error}); it is tried again.");
                    self.settle(instance, |now| {
                        let step = (DELAYED, summary.clone(), reference);
                        Some(Outcome::of(now.state.clone(), step))
                    })
                    .await;
                }
                let gap = Duration::from_secs(2 << looks.min(9)).min(LONGEST_GAP);
                self.look_again_in(ticket, gap).await;
            }
        }
    }

    /// Each step is done whatever the one before it said; what counts is that nothing is read back.
    async fn delete_upstream(&self, instance: &Instance, id: i64) -> Result<TakenDown, CallError> {
        if let Some(found) = self.cloud_elements.instance(id).await? {
            let url = self.public_url.events_url(instance.id);
            let tagged = found.tags.contains(&own_tag(instance.id));
            // The settings may have come to name another account, where the same number is another's.
            if !tagged && found.events_url.is_some_and(|known| known != url) {
                return Ok(TakenDown { events_off: false, not_ours: true });
            }
        }
        let off = Wanted { events_enabled: Some(false), ..Wanted::default() };
        let events_off = match self.cloud_elements.change(id, &off).await {
            Ok(()) => true,
            // What is about to be deleted need not take a change.
            Err(CallError::Refused(_)) => false,
            Err(error) => return Err(error),
        };
        self.cloud_elements.delete(id).await?;
        match self.cloud_elements.instance(id).await? {
            None => Ok(TakenDown { events_off, not_ours: false }),
            Some(_) => Err(CallError::unclear("it is still there after it was deleted")),
        }
    }
}

/// The audiences whose webhook was not removed: only the customer can do that from now on.
fn leftovers(names: &[String]) -> String {
    if names.is_empty() {
        return String::new();
    }
    let names = names.iter().map(|name| format!("“{name}”")).collect::<Vec<_>>().join(", ");
    format!(
        " MailChimp did not let us remove the webhook of {names}; please delete it there, under Audience, Settings, Webhooks."
    )
}

/// What stands on the timeline, and in the customer's receipt.
fn receipt(upstream: i64, TakenDown { events_off, not_ours }: TakenDown) -> String {
    if not_ours {
        return format!(
            "What has the number {upstream} at Cloud Elements now is not this instance, and was left alone. Its token was destroyed."
        );
    }
    let first = if events_off { "Events were switched off, instance" } else { "Instance" };
    format!(
        "{first} {upstream} was deleted at Cloud Elements and read back as gone, and its token was destroyed."
    )
}
