//! An instance that exists at Cloud Elements and belongs to an open row: taken over, and put right where it
//! differs from what was asked for.

use super::Onboarding;
use crate::elements::{CallError, ElementInstance, Instance, Wanted, own_tag};
use crate::reference::Reference;

impl Onboarding {
    /// Takes it over. What cannot be put right now is for the next comparison to tell.
    pub(super) async fn adopt(&self, instance: Instance, mut found: ElementInstance, reference: Reference) {
        match self.put_right(&instance, &found).await {
            Ok(changed) => {
                if changed {
                    tracing::info!(instance = %instance.id, "an adopted instance was put right");
                    found.events_enabled = Some(true);
                }
            }
            Err(error) => {
                tracing::warn!(instance = %instance.id, %error, "an adopted instance could not be put right");
            }
        }
        self.settle_connected(instance, found, ("found", reference)).await;
    }

    /// Makes the instance upstream as it should be. Answers whether anything had to be done.
    pub(super) async fn put_right(
        &self,
        instance: &Instance,
        found: &ElementInstance,
    ) -> Result<bool, CallError> {
        let url = self.public_url.events_url(instance.id);
        let retag = !found.tags.iter().any(|tag| *tag == own_tag(instance.id));
        // What is not told cannot be wrong: some answers leave the configuration out.
        let move_events = found.events_url.as_ref().is_some_and(|known| *known != url);
        let switch_on = found.events_enabled == Some(false);
        if found.disabled {
            self.cloud_elements.enable(found.id).await?;
        }
        if !(retag || move_events || switch_on) {
            return Ok(found.disabled);
        }
        let key = self.storage.instance_with_key(instance.id).await.ok().flatten().map(|(_, key)| key);
        let tags = || own_tags_and_others(self.tags(instance.id), &found.tags);
        let wanted = Wanted {
            tags: retag.then(tags),
            events: key.as_ref().filter(|_| move_events).map(|key| (url, key)),
            events_enabled: switch_on.then_some(true),
        };
        self.cloud_elements.change(found.id, &wanted).await?;
        Ok(true)
    }
}

/// Tags are replaced as a whole, so those that somebody else put there go along.
fn own_tags_and_others(mut tags: Vec<String>, others: &[String]) -> Vec<String> {
    tags.extend(others.iter().filter(|other| !tags.contains(other)).cloned().collect::<Vec<_>>());
    tags
}
