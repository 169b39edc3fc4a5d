//! Who receives notifications under an id, with the key: from memory, because a forged signature should cost
//! no look into the database. What changes here is forgotten at once; what another process changes, seconds
//! later.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hashlink::LruCache;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use super::{Storage, StorageError};
use crate::elements::{InstanceState, SignatureKey};

/// So many are remembered, about 300 bytes each.
const MOST: usize = 16_384;
/// For so long, since another process may have changed them.
const LIFE: Duration = Duration::seconds(5);

/// Who receives under an id.
#[derive(Debug, Clone)]
pub struct Recipient {
    /// What its notifications are signed with.
    pub key: SignatureKey,
    /// It is disconnected: its sender should stop.
    pub disconnected: bool,
    /// A first notification is on disk.
    pub heard: bool,
    /// The tags it was given, besides those of every instance and our own.
    pub tags: Arc<[String]>,
}

/// Those that were looked up lately.
pub(super) struct Recipients {
    known: Mutex<LruCache<Uuid, (Recipient, OffsetDateTime)>>,
    /// Goes up whenever one is forgotten: what was read before that is not remembered after it.
    changes: AtomicU64,
}

impl Default for Recipients {
    fn default() -> Self {
        Self { known: Mutex::new(LruCache::new(MOST)), changes: AtomicU64::new(0) }
    }
}

impl Recipients {
    fn known(&self) -> MutexGuard<'_, LruCache<Uuid, (Recipient, OffsetDateTime)>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn get(&self, id: Uuid, now: OffsetDateTime) -> Option<Recipient> {
        let mut known = self.known();
        let (recipient, since) = known.get(&id)?;
        (now - *since < LIFE).then(|| recipient.clone())
    }

    /// Something of it changed.
    pub(super) fn forget(&self, id: Uuid) {
        self.changes.fetch_add(1, Ordering::SeqCst);
        self.known().remove(&id);
    }

    fn remember(&self, id: Uuid, recipient: &Recipient, (now, changes): (OffsetDateTime, u64)) {
        let mut known = self.known();
        if self.changes.load(Ordering::SeqCst) == changes {
            known.insert(id, (recipient.clone(), now));
        }
    }
}

impl Storage {
    /// Who receives notifications under `id`, if anybody does.
    pub async fn recipient(&self, id: Uuid, now: OffsetDateTime) -> Result<Option<Recipient>, StorageError> {
        if let Some(known) = self.recipients.get(id, now) {
            return Ok(Some(known));
        }
        let changes = self.recipients.changes.load(Ordering::SeqCst);
        let Some((instance, key)) = self.instance_with_key(id).await? else { return Ok(None) };
        let recipient = Recipient {
            key,
            disconnected: matches!(instance.state, InstanceState::Disconnected(_)),
            heard: instance.first_event_at.is_some(),
            tags: instance.tags.into(),
        };
        self.recipients.remember(id, &recipient, (now, changes));
        Ok(Some(recipient))
    }
}
