//! The end of an instance: events off, deleted at Cloud Elements, read back to be sure, its token
//! destroyed. A step that fails leaves it disconnecting, and it is tried again until it is done. The grant
//! itself is Mailchimp's: only the customer can take it back there.

use std::time::Duration;

use uuid::Uuid;

use super::Onboarding;
use super::settle::{NewToken, Outcome};
use crate::elements::{CallError, Instance, InstanceState, Wanted};
use crate::reference::Reference;
use crate::storage::{Change, StorageError, Work};

/// Gaps between tries double up to this.
const LONGEST_GAP: Duration = Duration::from_secs(600);

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

impl Onboarding {
    /// Takes an instance down. It is durable from the first moment; answers how it stands after one try.
    pub async fn disconnect(&self, id: Uuid, reference: Reference) -> Result<Instance, NotDisconnected> {
        let instance = self.storage.instance(id).await?.ok_or(NotDisconnected::Unknown)?;
        let from = instance.state.as_str();
        if matches!(instance.state, InstanceState::Disconnecting(_) | InstanceState::Disconnected(_)) {
            return Ok(instance);
        }
        let state = instance.state.clone().disconnect().map_err(|_| NotDisconnected::AsItStands(from))?;
        let _held = self.hold(id);
        let after = Instance { reference, state, ..instance };
        let summary = "Disconnecting: events off, then the instance is deleted at Cloud Elements.".to_owned();
        let outcome = Outcome::closing(from, after.clone(), ("disconnecting", summary, reference));
        let work = Change::Open(Work::Disconnect, self.lease());
        if self.settle(Outcome { work, ..outcome }).await {
            self.take_down(after, 0).await;
        }
        self.storage.instance(id).await?.ok_or(NotDisconnected::Unknown)
    }

    pub(super) async fn take_down(&self, instance: Instance, looks: u32) {
        let (id, reference) = (instance.id, instance.reference);
        let Some(upstream) = instance.state.connection().map(|connection| connection.element_instance_id)
        else {
            return;
        };
        match self.delete_upstream(upstream).await {
            Ok(()) => {
                let Ok(state) = instance.state.clone().disconnected() else { return };
                let summary = format!(
                    "Events were switched off, instance {upstream} was deleted at Cloud Elements and read back as gone, and its token was destroyed."
                );
                let after = Instance { state, ..instance };
                let outcome = Outcome::closing("disconnecting", after, ("disconnected", summary, reference));
                self.settle(Outcome { token: NewToken::Destroy, ..outcome }).await;
            }
            Err(error) => {
                tracing::warn!(instance = %id, %error, "disconnecting is tried again");
                if looks == 0 {
                    let summary = format!("A step of disconnecting failed ({error}); it is tried again.");
                    let outcome =
                        Outcome::closing("disconnecting", instance, ("disconnecting", summary, reference));
                    self.settle(Outcome { work: Change::Keep, ..outcome }).await;
                }
                let gap = Duration::from_secs(2 << looks.min(9)).min(LONGEST_GAP);
                self.look_again_in(id, gap).await;
            }
        }
    }

    async fn delete_upstream(&self, id: i64) -> Result<(), CallError> {
        let off = Wanted { events_enabled: Some(false), ..Wanted::default() };
        match self.cloud_elements.change(id, &off).await {
            Err(error) if error.status() == Some(404) => return Ok(()),
            // What is about to be deleted need not take a change.
            Err(CallError::Refused(_)) | Ok(()) => {}
            Err(error) => return Err(error),
        }
        self.cloud_elements.delete(id).await?;
        match self.cloud_elements.instance(id).await? {
            None => Ok(()),
            Some(_) => Err(CallError::NotSent("it is still there after it was deleted".to_owned())),
        }
    }
}
