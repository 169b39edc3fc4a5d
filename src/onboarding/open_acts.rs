//! Acts that tell Cloud Elements first and write the row after: noted before, so that one that is cut off between
//! the two is done again, in the name of whoever asked, and both sides end the same.

use std::future::Future;
use std::sync::Arc;

use uuid::Uuid;

use super::acting::{asked_by, who};
use super::{NotDone, Onboarding};
use crate::elements::{Instance, InstanceState, noting_calls};
use crate::entropy::fresh_id;
use crate::reference::Reference;
use crate::storage::{OpenAct, StorageError, Wish};

const ROWS: u16 = 8;
/// What Cloud Elements refuses again and again is left to the comparison.
const MOST_TRIES: u32 = 5;

impl Onboarding {
    /// Does `doing`, which makes `wish` so, and leaves a note for as long as it takes.
    pub(super) async fn noted<T>(
        &self,
        (instance, wish, reference): (Uuid, Wish, Reference),
        doing: impl Future<Output = T>,
    ) -> Result<T, StorageError> {
        let ticket = fresh_id(&*self.clock, &*self.entropy);
        let open = OpenAct { ticket, instance, wish, asked_by: who(), reference, tries: 0 };
        self.storage.begin_act(&open, self.clock.now()).await?;
        let done = doing.await;
        self.end(&open).await;
        Ok(done)
    }

    async fn end(&self, open: &OpenAct) {
        if let Err(error) = self.storage.end_act(open).await {
            tracing::error!(instance = %open.instance, %error, "an act has ended and its note is left; it is looked at again");
        }
    }

    /// Does again what was cut off.
    pub async fn do_again(self: &Arc<Self>) -> Result<(), StorageError> {
        for open in self.storage.cut_off_acts(self.clock.now(), ROWS).await? {
            let again = noting_calls(self.again(&open));
            let settled = match open.asked_by.clone() {
                Some(who) => asked_by(who, again).await?,
                None => again.await?,
            };
            if settled || open.tries >= MOST_TRIES {
                self.end(&open).await;
            }
        }
        Ok(())
    }

    /// Answers whether it is settled, one way or another.
    async fn again(&self, open: &OpenAct) -> Result<bool, StorageError> {
        let (id, reference) = (open.instance, open.reference);
        match self.storage.instance(id).await? {
            Some(instance) if !is_so(&instance, &open.wish) => {}
            _ => return Ok(true),
        }
        tracing::info!(instance = %id, "an act that was cut off is done again");
        match &open.wish {
            Wish::Events(on) => Ok(!matches!(
                self.switch_to(id, *on, reference).await,
                Err(NotDone::Refused(_) | NotDone::Unclear(_) | NotDone::Storage(_))
            )),
            // What Cloud Elements says to it stands on the timeline.
            Wish::Name(name) => Ok(self.rename_to(id, name, reference).await.is_ok()),
            Wish::Tags(tags) => Ok(self.retag_to(id, tags, reference).await.is_ok()),
        }
    }
}

/// Whether the row says so already: it was written, and then the note was left.
fn is_so(instance: &Instance, wish: &Wish) -> bool {
    match wish {
        Wish::Events(true) => matches!(instance.state, InstanceState::Connected(_)),
        Wish::Events(false) => matches!(instance.state, InstanceState::Paused(_)),
        Wish::Name(name) => instance.name == *name,
        Wish::Tags(tags) => instance.tags == *tags,
    }
}
