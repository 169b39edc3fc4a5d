//! Passwords and one-time links of the console. Passwords are argon2id, checked off the async threads and a few
//! at a time; a name that nobody has costs the same as one with a wrong password.

use std::sync::LazyLock;

use actix_web::web;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Argon2, PasswordHash};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::{ExposeSecret, SecretString};
use time::Duration;
use tokio::sync::Semaphore;
use uuid::Uuid;

use super::weak_passwords::weakness;
use crate::entropy::draw;
use crate::storage::{FIRST_OPERATOR, LinkFor, StorageError, TokenHash};
use crate::web::Gangway;
use crate::web::failure::Failure;
use crate::web::guards::Throttle;

/// The one-time link works so long.
const LINK_LIFETIME: Duration = Duration::days(1);
/// One check takes 19 MiB and some 20 ms; a flood of sign-ins must not take more than this at once.
const CHECKS_AT_ONCE: usize = 2;
const LONGEST_NAME: usize = 40;
/// What is said of a name that cannot be.
pub const NO_NAME: &str = "A name has 1 to 40 letters, digits, dots, dashes, underscores or @.";

/// Nobody's password: what is checked where nobody has the name.
static NOBODYS: LazyLock<String> = LazyLock::new(|| {
    let hash = Argon2::default().hash_password_with_salt(b"nobody has this password", &[0; 16]);
    hash.map(|hash| hash.to_string()).unwrap_or_default()
});

/// Who may see the console.
pub struct Console {
    /// `ADMIN_PASSWORD_HASH`: the first operator's, which counts more than a chosen password.
    configured: Option<String>,
    checks: Semaphore,
    /// Sign-ins that failed.
    pub(super) throttle: Throttle,
}

impl Console {
    /// With the hash of the settings, if there is one.
    pub fn new(configured: Option<String>) -> Self {
        Self { configured, checks: Semaphore::new(CHECKS_AT_ONCE), throttle: Throttle::default() }
    }

    /// Whether somebody beside the rows can act.
    pub(super) fn has_spare(&self) -> bool {
        self.configured.is_some()
    }
}

/// Whose name and password these are.
pub(super) struct Account {
    /// `None`: the one of the settings.
    pub(super) operator: Option<Uuid>,
}

/// A new password, typed twice.
pub(super) struct Choice {
    pub(super) password: SecretString,
    pub(super) again: SecretString,
}

/// Short, on one line, and nothing that the audit trail could mistake for a program.
pub(super) fn is_name(name: &str) -> bool {
    let plain = |letter: char| letter.is_alphanumeric() || ".-_@".contains(letter);
    (1..=LONGEST_NAME).contains(&name.chars().count()) && name.chars().all(plain)
}

impl Gangway {
    /// A fresh one-time sign-in link, if nobody can sign in yet.
    pub async fn first_sign_in_link(&self) -> Result<Option<String>, StorageError> {
        let somebody = self.storage.operators().await?.iter().any(|one| !one.password_hash.is_empty());
        if self.console.has_spare() || somebody {
            return Ok(None);
        }
        self.sign_in_link(LinkFor::First).await.map(Some)
    }

    /// A fresh one-time link at which `whose` password is chosen.
    pub(super) async fn sign_in_link(&self, whose: LinkFor) -> Result<String, StorageError> {
        let token = self.fresh_token();
        let ends = self.clock.now() + LINK_LIFETIME;
        self.storage.make_sign_in_link(TokenHash::of(&token), whose, ends).await?;
        Ok(format!("{}/admin/first-sign-in/{token}", self.config.public_url.origin()))
    }

    pub(super) fn fresh_token(&self) -> String {
        URL_SAFE_NO_PAD.encode(draw::<32>(&*self.entropy))
    }

    /// The account with this name and password.
    pub(super) async fn account(
        &self,
        name: &str,
        password: SecretString,
    ) -> Result<Option<Account>, Failure> {
        let row = self.storage.operator_named(name).await?.filter(|row| !row.password_hash.is_empty());
        let (account, hash) = match (&self.console.configured, row) {
            (Some(configured), _) if name == FIRST_OPERATOR => {
                (Some(Account { operator: None }), configured.clone())
            }
            (_, Some(row)) => (Some(Account { operator: Some(row.id) }), row.password_hash),
            (_, None) => (None, NOBODYS.clone()),
        };
        let _turn = self.console.checks.acquire().await;
        let check = move || {
            let hash = PasswordHash::new(&hash)?;
            Argon2::default().verify_password(password.expose_secret().as_bytes(), &hash)
        };
        let checked = web::block(check).await.map_err(|error| Failure::Internal(error.to_string()))?;
        Ok(account.filter(|_| checked.is_ok()))
    }

    /// The hash of a new password of `name`, or why it is refused.
    pub(super) async fn choose(
        &self,
        name: &str,
        choice: Choice,
    ) -> Result<Result<String, &'static str>, Failure> {
        let Choice { password, again } = choice;
        if password.expose_secret() != again.expose_secret() {
            return Ok(Err("The two passwords differ. Type the same one twice."));
        }
        if let Some(why) = weakness(password.expose_secret(), name, self.config.public_url.host()) {
            return Ok(Err(why));
        }
        let salt = draw::<16>(&*self.entropy);
        let _turn = self.console.checks.acquire().await;
        let hash = move || {
            let hash = Argon2::default().hash_password_with_salt(password.expose_secret().as_bytes(), &salt);
            hash.map(|hash| hash.to_string())
        };
        let hash = web::block(hash).await.map_err(|error| Failure::Internal(error.to_string()))?;
        hash.map(Ok).map_err(|error| Failure::Internal(error.to_string()))
    }
}
