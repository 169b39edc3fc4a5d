//! Who may see the console: added, given another role or a one-time link, and removed. The same acts for the console
//! and the command line; rows are `storage`'s, passwords and sessions `web`'s.

use time::Duration;
use uuid::Uuid;

use crate::clock::SharedClock;
use crate::config::Config;
use crate::entropy::{SharedEntropy, fresh_id, fresh_token};
use crate::storage::{FIRST_OPERATOR, LinkFor, Operator, Role, Storage, StorageError, TokenHash};

/// A one-time link works so long.
const LINK_LIFETIME: Duration = Duration::days(1);
const LONGEST_NAME: usize = 40;
/// What is said of a name that cannot be.
pub const NO_NAME: &str = "A name has 1 to 40 letters, digits, dots, dashes, underscores or @.";

/// Why something about an operator was not done.
#[derive(Debug, thiserror::Error)]
pub enum NotDone {
    /// It is no name.
    #[error("{NO_NAME}")]
    NoName,
    /// Somebody else has it.
    #[error("There is an operator of this name.")]
    Taken,
    /// Nobody would be left who can act.
    #[error("This is the last operator who can act. Add another one first.")]
    Last,
    /// The database says no.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// What acts on operators need.
pub struct Operators<'a> {
    config: &'a Config,
    storage: &'a Storage,
    clock: &'a SharedClock,
    entropy: &'a SharedEntropy,
}

/// Short, on one line, and nothing that the audit trail could mistake for a program.
pub fn is_name(name: &str) -> bool {
    let plain = |letter: char| letter.is_alphanumeric() || ".-_@".contains(letter);
    (1..=LONGEST_NAME).contains(&name.chars().count()) && name.chars().all(plain)
}

impl<'a> Operators<'a> {
    /// Over a database that is open.
    pub fn new(
        config: &'a Config,
        storage: &'a Storage,
        (clock, entropy): (&'a SharedClock, &'a SharedEntropy),
    ) -> Self {
        Self { config, storage, clock, entropy }
    }

    /// Whether somebody beside the rows can act: the first operator by the settings, or whoever has the demo.
    pub fn has_spare(&self) -> bool {
        self.config.admin_password_hash.is_some() || self.config.demo.is_some()
    }

    /// Adds one, who has no password until a link was used.
    pub async fn add(&self, name: &str, role: Role) -> Result<Operator, NotDone> {
        let name = name.trim();
        if !is_name(name) {
            return Err(NotDone::NoName);
        }
        let operator = Operator {
            id: fresh_id(&**self.clock, &**self.entropy),
            name: name.to_owned(),
            role,
            password_hash: String::new(),
            created_at: self.clock.now(),
        };
        let by_settings = self.has_spare() && name == FIRST_OPERATOR;
        if by_settings || !self.storage.add_operator(operator.clone()).await? {
            return Err(NotDone::Taken);
        }
        Ok(operator)
    }

    /// A fresh one-time link at which `whose` password is chosen; an older one ends.
    pub async fn sign_in_link(&self, whose: LinkFor) -> Result<String, StorageError> {
        let token = fresh_token(&**self.entropy);
        let ends = self.clock.now() + LINK_LIFETIME;
        self.storage.make_sign_in_link(TokenHash::of(&token), whose, ends).await?;
        Ok(format!("{}/admin/first-sign-in/{token}", self.config.public_url.origin()))
    }

    /// A one-time link for the first operator, if nobody can sign in yet.
    pub async fn first_sign_in_link(&self) -> Result<Option<String>, StorageError> {
        let somebody = self.storage.operators().await?.iter().any(|one| !one.password_hash.is_empty());
        if self.config.admin_password_hash.is_some() || somebody {
            return Ok(None);
        }
        self.sign_in_link(LinkFor::First).await.map(Some)
    }

    /// Gives one another role.
    pub async fn set_role(&self, id: Uuid, role: Role) -> Result<(), NotDone> {
        let set = self.storage.set_role(id, role, self.has_spare()).await?;
        if set { Ok(()) } else { Err(NotDone::Last) }
    }

    /// Removes one, with sessions and links.
    pub async fn remove(&self, id: Uuid) -> Result<(), NotDone> {
        let removed = self.storage.remove_operator(id, self.has_spare()).await?;
        if removed { Ok(()) } else { Err(NotDone::Last) }
    }
}
