//! What the operator calls an instance: its name and its own tags. Ours are the truth for pages and endpoints;
//! Cloud Elements is told where there is something to tell, and what it says stands on the timeline.

use uuid::Uuid;

use super::adopt::own_tags_and_others;
use super::settle::Outcome;
use super::{Onboarding, check};
use crate::checkpoint::Point;
use crate::elements::{CallError, Instance, InstanceState, UnfitTags, Wanted, fit_tags, noting_calls};
use crate::reference::Reference;
use crate::storage::{StorageError, Wish};

const LONGEST_NAME: usize = 120;

/// What an instance is to be called; `None` stays as it is.
#[derive(Debug, Clone, Default)]
pub struct Amendment {
    /// Its name.
    pub name: Option<String>,
    /// All tags of its own.
    pub tags: Option<Vec<String>>,
}

/// What was changed.
#[derive(Debug)]
pub enum Amended {
    /// Here and there.
    Everywhere(Instance),
    /// Here; what Cloud Elements said.
    HereAlone(Instance, String),
}

/// Why nothing was.
#[derive(Debug, thiserror::Error)]
pub enum NotAmended {
    /// There is no such instance.
    #[error("no such instance")]
    Unknown,
    /// What it should be called cannot be used.
    #[error("{why}")]
    Unfit {
        /// `name` or `tags`.
        field: &'static str,
        /// Why, in a sentence.
        why: &'static str,
    },
    /// It cannot be, as it stands.
    #[error("an instance that is {0} does not allow it")]
    AsItStands(&'static str),
    /// The database says no.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl From<UnfitTags> for NotAmended {
    fn from(unfit: UnfitTags) -> Self {
        let why = match unfit {
            UnfitTags::Text => "A tag has 1 to 60 characters on one line, without a comma.",
            UnfitTags::Reserved => "Tags that start with gangway- are Gangway's own.",
            UnfitTags::TooMany => "An instance has 20 tags of its own at most.",
        };
        Self::Unfit { field: "tags", why }
    }
}

impl Onboarding {
    /// Gives an instance another name, or other tags, or both. Where one of them cannot be used, nothing changes.
    pub async fn amend(
        &self,
        id: Uuid,
        amendment: &Amendment,
        reference: Reference,
    ) -> Result<(), NotAmended> {
        amendment.name.as_deref().map(fit_name).transpose()?;
        amendment.tags.as_deref().map(fit_tags).transpose()?;
        if let Some(name) = &amendment.name {
            self.rename(id, name, reference).await?;
        }
        if let Some(tags) = &amendment.tags {
            self.retag(id, tags, reference).await?;
        }
        Ok(())
    }

    /// Gives an instance another name.
    pub async fn rename(&self, id: Uuid, name: &str, reference: Reference) -> Result<Amended, NotAmended> {
        let name = fit_name(name)?;
        let renaming = noting_calls(self.rename_to(id, name, reference));
        self.noted((id, Wish::Name(name.to_owned()), reference), renaming).await?
    }

    pub(super) async fn rename_to(
        &self,
        id: Uuid,
        name: &str,
        reference: Reference,
    ) -> Result<Amended, NotAmended> {
        let instance = self.amendable(id).await?;
        let wanted = Wanted { name: Some(name), ..Wanted::default() };
        let told = self.tell(&instance, wanted).await;
        let summary = format!("Renamed from {} to {name}.", instance.name);
        let change = |outcome| Outcome { name: Some(name), ..outcome };
        self.amended(instance, told, change, ("renamed", summary, reference)).await
    }

    /// Gives an instance these tags of its own; tags that others put on it at Cloud Elements stay there.
    pub async fn retag(
        &self,
        id: Uuid,
        tags: &[String],
        reference: Reference,
    ) -> Result<Amended, NotAmended> {
        let tags = &fit_tags(tags)?;
        let tagging = noting_calls(self.retag_to(id, tags, reference));
        self.noted((id, Wish::Tags(tags.clone()), reference), tagging).await?
    }

    pub(super) async fn retag_to(
        &self,
        id: Uuid,
        tags: &[String],
        reference: Reference,
    ) -> Result<Amended, NotAmended> {
        let instance = self.amendable(id).await?;
        let told = self.tell_tags(&instance, tags).await;
        let listed = if tags.is_empty() { "none".to_owned() } else { tags.join(", ") };
        let summary = format!("Its own tags are now: {listed}.");
        let change = |outcome| Outcome { tags: Some(tags), ..outcome };
        self.amended(instance, told, change, ("tagged", summary, reference)).await
    }

    /// While its outcome is open, an instance may be looked up by what it was called.
    async fn amendable(&self, id: Uuid) -> Result<Instance, NotAmended> {
        let instance = self.storage.instance(id).await?.ok_or(NotAmended::Unknown)?;
        match &instance.state {
            InstanceState::Provisioning | InstanceState::Unknown(_) | InstanceState::Disconnecting(_) => {
                Err(NotAmended::AsItStands(instance.state.as_str()))
            }
            _ => Ok(instance),
        }
    }

    /// `Ok` also where there is nobody to tell.
    async fn tell(&self, instance: &Instance, wanted: Wanted<'_>) -> Result<(), CallError> {
        match instance.state.in_use() {
            Some(upstream) => self.cloud_elements.change(upstream.element_instance_id, &wanted).await,
            None => Ok(()),
        }
    }

    async fn tell_tags(&self, instance: &Instance, tags: &[String]) -> Result<(), CallError> {
        let Some(upstream) = instance.state.in_use() else { return Ok(()) };
        let found = self.cloud_elements.instance(upstream.element_instance_id).await?;
        let found = found.ok_or_else(|| CallError::unclear("it has no instance of this id"))?;
        // Those it was given before are ours to take off; the others are somebody else's.
        let others: Vec<String> = found.tags.into_iter().filter(|tag| !instance.tags.contains(tag)).collect();
        let wanted = self.tags(&Instance { tags: tags.to_vec(), ..instance.clone() });
        let wanted = Wanted { tags: Some(own_tags_and_others(wanted, &others)), ..Wanted::default() };
        self.tell(instance, wanted).await
    }

    async fn amended<'a>(
        &self,
        instance: Instance,
        told: Result<(), CallError>,
        change: impl Fn(Outcome<'a>) -> Outcome<'a>,
        (kind, summary, reference): (&'static str, String, Reference),
    ) -> Result<Amended, NotAmended> {
        self.checkpoints.reached(Point::AfterReply).await;
        let said = told.err().map(|error| error.to_string());
        let summary = match &said {
            Some(said) => format!("{summary} Cloud Elements was not told so ({said})."),
            None => summary,
        };
        let (id, state) = (instance.id, instance.state.as_str());
        let settled = self.settle(instance, |now| {
            // One on its way out meanwhile is left alone.
            let next_check = now.state.in_use().map(|_| self.clock.now() + check::FIRST);
            let outcome = change(Outcome::of(now.state.clone(), (kind, summary.clone(), reference)));
            (!matches!(now.state, InstanceState::Disconnecting(_)))
                .then_some(Outcome { next_check, ..outcome })
        });
        match (settled.await, said) {
            (Some(after), None) => Ok(Amended::Everywhere(after)),
            (Some(after), Some(said)) => Ok(Amended::HereAlone(after, said)),
            (None, _) => {
                let now = self.storage.instance(id).await?;
                Err(NotAmended::AsItStands(now.map_or(state, |now| now.state.as_str())))
            }
        }
    }
}

fn fit_name(name: &str) -> Result<&str, NotAmended> {
    let name = name.trim();
    if name.is_empty() || name.chars().count() > LONGEST_NAME || name.chars().any(char::is_control) {
        let why = "A name has 1 to 120 characters on one line.";
        return Err(NotAmended::Unfit { field: "name", why });
    }
    Ok(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_tags_that_cannot_be_used_are_told_apart_from_those_that_can() {
        assert_eq!(fit_name("  Acme <Ltd>  ").unwrap(), "Acme <Ltd>");
        for name in ["", "   ", "a\nb", "a\u{7}", &"x".repeat(121)] {
            assert!(fit_name(name).is_err(), "{name:?}");
        }
        let tags = |tags: &[&str]| fit_tags(&tags.iter().map(|tag| (*tag).to_owned()).collect::<Vec<_>>());
        assert_eq!(tags(&[" eu ", "paying", "eu"]).unwrap(), ["eu", "paying"]);
        assert!(tags(&[]).unwrap().is_empty());
        for wrong in ["", "a,b", "a\nb", "gangway-x", &"x".repeat(61)] {
            assert!(tags(&[wrong]).is_err(), "{wrong:?}");
        }
        let many: Vec<String> = (0..21).map(|number| number.to_string()).collect();
        assert!(fit_tags(&many).is_err());
    }
}
