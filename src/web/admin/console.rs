//! Passwords of the console. They are argon2id, checked off the async threads and a few
//! at a time; a name that nobody has costs the same as one with a wrong password.

use std::sync::LazyLock;

use actix_web::web;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Argon2, PasswordHash};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::Semaphore;
use uuid::Uuid;

use super::weak_passwords::weakness;
use crate::entropy::draw;
use crate::operators::Operators;
use crate::storage::FIRST_OPERATOR;
use crate::web::Gangway;
use crate::web::failure::Failure;
use crate::web::guards::Throttle;

/// One check takes 19 MiB and some 20 ms; a flood of sign-ins must not take more than this at once.
const CHECKS_AT_ONCE: usize = 2;

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

impl Gangway {
    /// What acts on operators need.
    pub fn operators(&self) -> Operators<'_> {
        Operators::new(&self.config, &self.storage, (&self.clock, &self.entropy))
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
