//! The inbox: a notification is believed only after its signature, and answered only after it is on disk.

use time::OffsetDateTime;
use uuid::Uuid;

use super::Feed;
use crate::clock::SharedClock;
use crate::elements::{Instance, InstanceState, Notification, Signature, SignatureKey, SignatureMismatch};
use crate::reference::Reference;
use crate::storage::{Arrival, NewNotification, Step, Storage, StorageError};

/// Takes notifications.
pub struct Inbox {
    storage: Storage,
    feed: Feed,
    clock: SharedClock,
    trial: Trial,
}

/// The id and key under which notifications are tried out: checked like every other, and not stored.
#[derive(Debug)]
pub struct Trial {
    /// In the place of an instance's.
    pub id: Uuid,
    /// What they are signed with.
    pub key: SignatureKey,
}

/// Who may receive notifications under an id, with the key.
#[derive(Debug)]
pub struct Recipient {
    /// `None` for a trial.
    instance: Option<Instance>,
    key: SignatureKey,
}

/// Why nothing can be received under an id.
#[derive(Debug, thiserror::Error)]
pub enum UnknownRecipient {
    /// There is no such instance.
    #[error("no such instance")]
    Unknown,
    /// There was; Cloud Elements should stop.
    #[error("the instance is disconnected")]
    Disconnected,
    /// It cannot be told.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// A notification whose signature fits. Made by [`Recipient::verify`] alone.
#[derive(Debug)]
pub struct SignedNotification {
    recipient: Recipient,
    body: Vec<u8>,
}

impl Recipient {
    /// Checks `signature` over the raw `body`.
    pub fn verify(
        self,
        signature: &Signature,
        body: Vec<u8>,
    ) -> Result<SignedNotification, SignatureMismatch> {
        self.key.verify(&body, signature)?;
        Ok(SignedNotification { recipient: self, body })
    }
}

impl Inbox {
    /// An inbox over `storage` that tells `feed`.
    pub fn new(storage: Storage, feed: Feed, clock: SharedClock, trial: Trial) -> Self {
        Self { storage, feed, clock, trial }
    }

    /// Who receives under `id`. An instance that is still being made receives too: its first event may
    /// come before the answer that made it.
    pub async fn recipient(&self, id: Uuid) -> Result<Recipient, UnknownRecipient> {
        if id == self.trial.id {
            return Ok(Recipient { instance: None, key: self.trial.key.clone() });
        }
        let (instance, key) = self.storage.instance_with_key(id).await?.ok_or(UnknownRecipient::Unknown)?;
        match instance.state {
            InstanceState::Disconnected(_) => Err(UnknownRecipient::Disconnected),
            _ => Ok(Recipient { instance: Some(instance), key }),
        }
    }

    /// Stores the notification, whatever its body says; answers once it is on disk. `headers` are kept as
    /// JSON pairs.
    pub async fn accept(
        &self,
        notification: SignedNotification,
        headers: String,
        reference: Reference,
    ) -> Result<Arrival, StorageError> {
        let SignedNotification { recipient: Recipient { instance, .. }, body } = notification;
        let Some(instance) = instance else { return Ok(Arrival::Tried) };
        let decoded = Notification::decode(&body).ok();
        if decoded.is_none() {
            tracing::warn!(instance = %instance.id, bytes = body.len(), "a signed notification cannot be decoded; kept as it came");
        }
        let received_at = self.clock.now();
        let first = instance.first_event_at.is_none().then(|| first_step(received_at, reference));
        let new = NewNotification { instance: instance.id, decoded, headers, body, received_at, first };
        let arrival = self.storage.store_notification(new).await?;
        if arrival == Arrival::Stored {
            self.feed.nudge(instance.id);
        }
        Ok(arrival)
    }
}

fn first_step(at: OffsetDateTime, reference: Reference) -> Step {
    let summary = "The first event notification was stored.".to_owned();
    Step { at, kind: "first_event".to_owned(), summary, reference }
}
