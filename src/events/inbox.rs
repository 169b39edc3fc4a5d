//! The inbox: a notification is believed only after its signature, and answered only after it is on disk.

use std::sync::Arc;

use time::OffsetDateTime;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use uuid::Uuid;

use super::Feed;
use crate::clock::SharedClock;
use crate::elements::{Notification, Signature, SignatureKey, SignatureMismatch};
use crate::reference::Reference;
use crate::storage::{Arrival, NewNotification, Step, Storage, StorageError};

/// Takes notifications.
pub struct Inbox {
    storage: Storage,
    feed: Feed,
    clock: SharedClock,
    trial: Trial,
    /// Of every instance, besides our own.
    tags: Arc<[String]>,
    room: Arc<Semaphore>,
}

/// Bodies under way may have so much memory in all; what is more is asked to come again.
const ROOM: usize = 64 * 1024 * 1024;
const UNIT: usize = 1024;

/// A share of it, given back when dropped.
#[derive(Debug)]
pub struct Share {
    room: Arc<Semaphore>,
    held: Option<OwnedSemaphorePermit>,
}

/// Too much is under way already.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("too much is under way")]
pub struct NoRoom;

impl Share {
    /// Makes it large enough for `bytes`.
    pub fn cover(&mut self, bytes: usize) -> Result<(), NoRoom> {
        let held = self.held.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        let more = bytes.div_ceil(UNIT).saturating_sub(held);
        if more == 0 {
            return Ok(());
        }
        let more = u32::try_from(more).map_err(|_| NoRoom)?;
        let more = self.room.clone().try_acquire_many_owned(more).map_err(|_| NoRoom)?;
        match &mut self.held {
            Some(held) => held.merge(more),
            None => self.held = Some(more),
        }
        Ok(())
    }
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
    instance: Option<Uuid>,
    /// A first notification is on disk already.
    heard: bool,
    tags: Arc<[String]>,
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
    pub fn new(storage: Storage, feed: Feed, clock: SharedClock, trial: Trial, tags: &[String]) -> Self {
        Self { storage, feed, clock, trial, tags: tags.into(), room: Arc::new(Semaphore::new(ROOM / UNIT)) }
    }

    /// Who receives under `id`. An instance that is still being made receives too: its first event may
    /// come before the answer that made it.
    pub async fn recipient(&self, id: Uuid) -> Result<Recipient, UnknownRecipient> {
        if id == self.trial.id {
            return Ok(Recipient {
                instance: None,
                heard: true,
                tags: Arc::default(),
                key: self.trial.key.clone(),
            });
        }
        let found = self.storage.recipient(id, self.clock.now()).await?.ok_or(UnknownRecipient::Unknown)?;
        if found.disconnected {
            return Err(UnknownRecipient::Disconnected);
        }
        Ok(Recipient { instance: Some(id), heard: found.heard, tags: found.tags, key: found.key })
    }

    /// A share of the memory that bodies under way may have; nothing at first.
    pub fn share(&self) -> Share {
        Share { room: self.room.clone(), held: None }
    }

    /// Stores the notification, whatever its body says; answers once it is on disk. `headers` are kept as
    /// JSON pairs.
    pub async fn accept(
        &self,
        notification: SignedNotification,
        headers: String,
        reference: Reference,
    ) -> Result<Arrival, StorageError> {
        let SignedNotification { recipient: Recipient { instance, heard, tags, .. }, body } = notification;
        let Some(instance) = instance else { return Ok(Arrival::Tried) };
        let decoded = Notification::decode(&body).ok();
        if decoded.is_none() {
            tracing::warn!(%instance, bytes = body.len(), "a signed notification cannot be decoded; kept as it came");
        }
        let received_at = self.clock.now();
        let first = (!heard).then(|| first_step(received_at, reference));
        let tags = together(&self.tags, &tags);
        let new = NewNotification { instance, tags, decoded, headers, body, received_at, first };
        let arrival = self.storage.store_notification(new).await?;
        if matches!(arrival, Arrival::Stored | Arrival::StoredApart) {
            self.feed.nudge(instance);
        }
        Ok(arrival)
    }
}

/// The tags of every instance, and its own.
pub(super) fn together(of_every: &Arc<[String]>, own: &[String]) -> Arc<[String]> {
    if own.is_empty() { of_every.clone() } else { of_every.iter().chain(own).cloned().collect() }
}

fn first_step(at: OffsetDateTime, reference: Reference) -> Step {
    let summary = "The first event notification was stored.".to_owned();
    Step { at, kind: "first_event".to_owned(), summary, reference }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_add_up_to_the_room_and_are_given_back() {
        let room = Arc::new(Semaphore::new(10));
        let share = || Share { room: room.clone(), held: None };
        let (mut one, mut two) = (share(), share());
        one.cover(3 * UNIT).unwrap();
        one.cover(UNIT).unwrap();
        one.cover(7 * UNIT + 1).unwrap();
        assert_eq!(room.available_permits(), 2, "it grew, and never shrinks");
        assert_eq!(two.cover(3 * UNIT), Err(NoRoom));
        two.cover(2 * UNIT).unwrap();
        drop(one);
        two.cover(10 * UNIT).unwrap();
        drop(two);
        assert_eq!(room.available_permits(), 10);
    }
}
