//! One act on many instances, a few at a time: each is checked, paused or resumed as it would be alone, with its own
//! line on its timeline. A Cloud Elements that is slow makes it slow and nothing else.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use uuid::Uuid;

use super::{Checked, NotDone, Onboarding, asked_by};
use crate::reference::Reference;
use crate::storage::{Bulk, BulkAct, BulkStep, StorageError, Trouble};

/// Between two looks at what is due.
pub(super) const GAP: Duration = Duration::from_secs(1);
/// So many are done at most in each second, all at once.
pub const BULK_A_SECOND: usize = 8;
/// Longer than the calls of a step take; a step that was cut off is taken again after it.
const CLAIM: time::Duration = time::Duration::minutes(5);

impl Onboarding {
    /// Takes the next step of each that is due.
    pub(super) async fn bulk_due(self: &Arc<Self>) -> Result<(), StorageError> {
        let now = self.clock.now();
        for bulk in self.storage.claim_bulks(now, now + CLAIM).await? {
            self.bulk_step(&bulk).await?;
        }
        Ok(())
    }

    async fn bulk_step(&self, bulk: &Bulk) -> Result<(), StorageError> {
        let (ids, next) = self.storage.next_of_bulk(bulk, BULK_A_SECOND, self.clock.now()).await?;
        let done = ids.len();
        let (act, reference) = (bulk.asked.act, bulk.asked.reference);
        let acts = futures_util::stream::iter(ids).map(|id| {
            let acting = async move {
                self.one_of_many(act, id, reference).await.map(|why| Trouble { instance: id, why })
            };
            asked_by(bulk.asked.asked_by.clone(), acting)
        });
        let troubles = acts.buffer_unordered(BULK_A_SECOND).filter_map(std::future::ready).collect().await;
        let step = BulkStep { done, troubles, next };
        self.storage.bulk_stepped(bulk, step, self.clock.now() + GAP).await
    }

    /// What there is to say of it, if anything.
    async fn one_of_many(&self, act: BulkAct, id: Uuid, reference: Reference) -> Option<String> {
        let switched = match act {
            BulkAct::Check => return self.checked_with_many(id, reference).await,
            BulkAct::Pause => self.pause(id, reference).await,
            BulkAct::Resume => self.resume(id, reference).await,
        };
        match switched {
            // Its state changed since the list was read: it is no longer one of those that are meant.
            Ok(_) | Err(NotDone::Unknown) => None,
            Err(error) => Some(error.to_string()),
        }
    }

    async fn checked_with_many(&self, id: Uuid, reference: Reference) -> Option<String> {
        match self.check(id, reference, true).await {
            Ok(None | Some(Checked::Works)) => None,
            Ok(Some(Checked::NeedsAttention(kind))) => Some(kind.for_operator().to_owned()),
            Ok(Some(Checked::Undetermined(why))) => Some(format!("The check could not tell: {why}")),
            Err(error) => Some(format!("The result could not be written: {error}")),
        }
    }
}
