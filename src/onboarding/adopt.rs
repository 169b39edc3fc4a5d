//! An instance that exists at Cloud Elements and belongs to an open row: taken over, and put right where it
//! differs from what was asked for.

use std::time::Duration;

use super::Onboarding;
use crate::elements::{CallError, ElementInstance, Instance, InstanceState, ProblemKind, Wanted, own_tag};
use crate::storage::Ticket;

impl Onboarding {
    /// Takes it over. Where it cannot be put right it is tried again, until the window is over: then it is
    /// taken as it is, and the next comparison tells.
    pub(super) async fn adopt(
        &self,
        ticket: Ticket,
        instance: Instance,
        mut found: ElementInstance,
        at_any_rate: bool,
    ) {
        match self.put_right(&instance, &found).await {
            Ok(true) => {
                tracing::info!(instance = %instance.id, "an adopted instance was put right");
                found.events_enabled = Some(true);
            }
            Ok(false) => {}
            Err(error) => {
                tracing::warn!(instance = %instance.id, %error, "an adopted instance could not be put right");
                if !at_any_rate {
                    return self.look_again_in(ticket, Duration::from_secs(5)).await;
                }
            }
        }
        let reference = instance.reference;
        self.settle_connected(ticket, instance, &found, ("found", reference)).await;
    }

    /// Makes the instance upstream as it should be. Answers whether anything had to be done.
    pub(super) async fn put_right(
        &self,
        instance: &Instance,
        found: &ElementInstance,
    ) -> Result<bool, NotPutRight> {
        let url = self.public_url.events_url(instance.id);
        let retag = !found.tags.iter().any(|tag| *tag == own_tag(instance.id));
        // What is not told cannot be wrong: some answers leave the configuration out.
        let elsewhere = found.events_url.as_ref().is_some_and(|known| *known != url);
        // The key of one without a row here is lost; it gets the row's.
        let orphaned = instance.state.problem().is_some_and(|known| known.kind == ProblemKind::Orphaned);
        let move_events = elsewhere || orphaned;
        let paused = matches!(instance.state, InstanceState::Paused(_));
        let switch = orphaned || found.events_enabled == Some(paused);
        if found.disabled {
            self.cloud_elements.enable(found.id).await?;
        }
        if !(retag || move_events || switch) {
            return Ok(found.disabled);
        }
        let Ok(Some((_, key))) = self.storage.instance_with_key(instance.id).await else {
            return Err(NotPutRight::NoKey);
        };
        let tags = || own_tags_and_others(self.tags(instance), &found.tags);
        let wanted = Wanted {
            name: None,
            tags: retag.then(tags),
            events: move_events.then_some((url, &key)),
            events_enabled: switch.then_some(!paused),
        };
        self.cloud_elements.change(found.id, &wanted).await?;
        Ok(true)
    }
}

/// Why an instance upstream is not as it should be yet.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotPutRight {
    /// Cloud Elements did not do it.
    #[error(transparent)]
    Upstream(#[from] CallError),
    /// The signature key could not be read.
    #[error("its signature key could not be read")]
    NoKey,
}

/// Tags are replaced as a whole, so those that somebody else put there go along.
pub(super) fn own_tags_and_others(mut tags: Vec<String>, others: &[String]) -> Vec<String> {
    let more: Vec<String> = others.iter().filter(|other| !tags.contains(other)).cloned().collect();
    tags.extend(more);
    tags
}
