//! Checks the whole chain, from the settings to Cloud Elements' queue, and says of each link whether it
//! holds, why not, and exactly what to do. Changes nothing but one row of its own. Who shows the findings
//! is not known here.

mod outside;
mod own;

use std::sync::Arc;
use std::time::Duration;

use reqwest::{Client, redirect};

use crate::clock::SharedClock;
use crate::config::{Config, Problems};
use crate::elements::CloudElements;
use crate::mailchimp::Mailchimp;
use crate::oauth::State;
use crate::storage::{OpenError, Storage};
pub use outside::{challenge_answer, instance_id, signature_key};

/// One link of the chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Which.
    pub name: &'static str,
    /// Whether it holds.
    pub verdict: Verdict,
    /// What was seen.
    pub cause: String,
    /// What to do.
    pub fix: Option<String>,
}

/// Whether a link holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It does.
    Pass,
    /// It does for now.
    Warn,
    /// It does not.
    Fail,
}

impl Verdict {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Warn => "warn",
            Self::Fail => "fail",
        }
    }
}

/// What is examined.
pub struct Chain {
    /// The settings.
    pub config: Config,
    /// The rows.
    pub storage: Storage,
    /// The wire.
    pub cloud_elements: Arc<CloudElements>,
    /// The authorize URL.
    pub mailchimp: Mailchimp,
    /// The time.
    pub clock: SharedClock,
    /// A state for a trip that nobody takes.
    pub state: State,
    /// What this process answers a challenge with, where it is the one that listens.
    pub process: Option<uuid::Uuid>,
    /// Bytes that must be free on the disk.
    pub least_free: u64,
    /// A durable write that takes longer makes customers wait.
    pub slow_write: Duration,
}

/// Less free than this on the disk is a failure; ten times as much, a warning.
pub const LEAST_FREE: u64 = 100 * 1024 * 1024;
/// A disk that takes longer for one row is no place for a database.
pub const SLOW_WRITE: Duration = Duration::from_secs(1);

/// Every link, in order; the ones that need each other one after the other.
pub async fn examine(chain: &Chain) -> Vec<Finding> {
    let Ok(client) = client() else {
        return vec![fail("HTTP client", "it cannot be built", "report this: the build is broken")];
    };
    let mut findings = vec![pass("settings", "all there and well formed")];
    findings.push(own::database(&chain.storage, chain.slow_write).await);
    findings.push(own::key(&chain.storage).await);
    findings.push(own::disk(&chain.storage, &chain.config.database_url, chain.least_free).await);
    let reached = outside::public_url(&client, chain).await;
    let here = reached.verdict == Verdict::Pass;
    findings.push(reached);
    findings.push(if here {
        outside::signature_round_trip(&client, chain).await
    } else {
        let cause = "not tried, because the public URL does not lead here";
        Finding {
            name: "events",
            verdict: Verdict::Fail,
            cause: cause.into(),
            fix: Some("put the public URL right first".into()),
        }
    });
    findings.push(outside::registration(&client, chain).await);
    findings.extend(outside::cloud_elements(chain).await);
    findings
}

/// The findings where the settings are not even readable.
pub fn unreadable_settings(problems: &Problems) -> Vec<Finding> {
    let finding = |problem: &crate::config::Problem| {
        fail("settings", &format!("{} {}", problem.variable, problem.what), problem.fix)
    };
    problems.0.iter().map(finding).collect()
}

/// The findings where the database does not open.
pub fn unopened_database(error: &OpenError) -> Vec<Finding> {
    let (name, fix) = match error {
        OpenError::WrongKey => (
            "key",
            "put the SECRET_KEY back that this database was sealed with, or name it in SECRET_KEY_PREVIOUS",
        ),
        OpenError::InUse(_) => ("database", "stop the other process, or give this one another DATABASE_URL"),
        OpenError::Emptied(_) => {
            ("database", "put a copy back; or, to begin anew, remove the file that ends in .lock")
        }
        OpenError::File { .. } => {
            ("database", "make the folder of DATABASE_URL, owned and writable by the user that runs Gangway")
        }
        OpenError::Database(_) => (
            "database",
            "check that DATABASE_URL names a database that is there and lets Gangway in; restore a copy if the file is damaged",
        ),
        OpenError::Write(_) => {
            ("database", "let the user that runs Gangway write to the file of DATABASE_URL and its folder")
        }
        OpenError::Migrate(_) => (
            "database",
            "run the version of Gangway that wrote this database, or a newer one; check that it may be written to",
        ),
    };
    vec![fail(name, &with_causes(error), fix)]
}

/// An error with what caused it; none of ours holds a secret.
fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    text
}

fn client() -> reqwest::Result<Client> {
    Client::builder()
        .redirect(redirect::Policy::none())
        .no_proxy()
        .timeout(std::time::Duration::from_secs(10))
        .user_agent(concat!("gangway-doctor/", env!("CARGO_PKG_VERSION")))
        .build()
}

fn pass(name: &'static str, cause: &str) -> Finding {
    Finding { name, verdict: Verdict::Pass, cause: cause.to_owned(), fix: None }
}

fn warn(name: &'static str, cause: &str, fix: &str) -> Finding {
    Finding { name, verdict: Verdict::Warn, cause: cause.to_owned(), fix: Some(fix.to_owned()) }
}

fn fail(name: &'static str, cause: &str, fix: &str) -> Finding {
    Finding { name, verdict: Verdict::Fail, cause: cause.to_owned(), fix: Some(fix.to_owned()) }
}
