//! Settings. The only reader of the environment: everything else is handed a [`Config`].
//! Reading collects *every* problem, so that an operator mends the lot in one go.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

use ipnet::IpNet;
use secrecy::SecretString;
use url::Url;

use crate::seal::SecretKey;
pub use face::{Face, SupportAddress};
pub use problems::{Problem, Problems};
pub use public_url::PublicUrl;
pub use return_urls::ReturnUrls;
use setting::Reader;
pub use variables::{UnreadableEnv, variables};

mod face;
mod problems;
mod public_url;
mod read;
mod return_urls;
mod secret_files;
pub(crate) mod setting;
#[cfg(test)]
mod tests;
mod variables;

/// Everything Gangway needs to know to start.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where browsers and Cloud Elements reach Gangway (`PUBLIC_URL`).
    pub public_url: PublicUrl,
    /// Where to listen (`LISTEN_ADDR`).
    pub listen_addr: SocketAddr,
    /// `sqlite://PATH` or `postgres://…` (`DATABASE_URL`).
    pub database_url: SecretString,
    /// The root of every key (`SECRET_KEY`).
    pub secret_key: SecretKey,
    /// Still opens old values (`SECRET_KEY_PREVIOUS`).
    pub secret_key_previous: Option<SecretKey>,
    /// The registered app at Mailchimp.
    pub mailchimp: MailchimpApp,
    /// The account at Cloud Elements.
    pub cloud_elements: CloudElementsAccess,
    /// Who builds the authorize URL (`AUTHORIZE_URL_FROM`).
    pub authorize_url_from: AuthorizeUrlFrom,
    /// argon2id in PHC form (`ADMIN_PASSWORD_HASH`).
    pub admin_password_hash: Option<String>,
    /// Who may set `X-Forwarded-For` (`TRUSTED_PROXIES`).
    pub trusted_proxies: Vec<IpNet>,
    /// Networks that endpoints may be in although they are not public (`DELIVERY_ALLOWED_NETWORKS`).
    pub delivery_allowed_networks: Vec<IpNet>,
    /// How long an unknown outcome is looked up before it counts as absent (`RECOVERY_WINDOW`).
    pub recovery_window: Duration,
    /// How long notifications are kept.
    pub retention: Retention,
    /// Who may connect, and where customers go afterwards.
    pub connecting: Connecting,
    /// Starts and sign-ins per client address and minute; 0 is off (`RATE_LIMIT_PER_MINUTE`).
    pub rate_limit_per_minute: u32,
    /// How log lines are written (`LOG_FORMAT`, `LOG_LEVEL`).
    pub log: Log,
    /// What one request may take.
    pub limits: Limits,
    /// How the host shows itself.
    pub face: Face,
    /// Set by `gangway demo` alone.
    pub demo: Option<Demo>,
}

/// The app registered at Mailchimp.
#[derive(Debug, Clone)]
pub struct MailchimpApp {
    /// `oauth.api.key` (`MAILCHIMP_CLIENT_ID`).
    pub client_id: String,
    /// `oauth.api.secret` (`MAILCHIMP_CLIENT_SECRET`).
    pub client_secret: SecretString,
    /// `MAILCHIMP_AUTHORIZE_URL`.
    pub authorize_url: Url,
}

/// The account at Cloud Elements, and what to make there.
#[derive(Debug, Clone)]
pub struct CloudElementsAccess {
    /// Base of API v2, without a trailing slash (`CLOUD_ELEMENTS_URL`).
    pub url: Url,
    /// `CLOUD_ELEMENTS_USER_SECRET`.
    pub user_secret: SecretString,
    /// `CLOUD_ELEMENTS_ORGANIZATION_SECRET`.
    pub organization_secret: SecretString,
    /// `ELEMENT_KEY`.
    pub element_key: String,
    /// Put on every instance besides our own tag (`INSTANCE_TAGS`).
    pub instance_tags: Vec<String>,
    /// Deadline of one call (`UPSTREAM_TIMEOUT`).
    pub timeout: Duration,
}

/// Who builds the authorize URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthorizeUrlFrom {
    /// Built here.
    Mailchimp,
    /// Asked of `GET /elements/{key}/oauth/url`.
    CloudElements,
}

/// What one request may take.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Bytes of one event notification. Cloud Elements passes on vendor payloads of up to 8 MB
    /// (reference section 6.3); the envelope comes on top.
    pub notification_bytes: usize,
    /// From the head of a notification to its last byte.
    pub notification_deadline: Duration,
    /// From the first byte of a request to the end of its head.
    pub head_deadline: Duration,
    /// From the head of a request of the JSON API to the last byte of its body.
    pub body_deadline: Duration,
    /// How long the callback waits for the instance before it shows progress.
    pub callback_patience: Duration,
    /// How long a page of a list may be shown again as it was; zero: never.
    pub lists_kept: Duration,
    /// One attempt at an endpoint, from the connection to the end of its answer.
    pub delivery_deadline: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            notification_bytes: 16 * 1024 * 1024,
            notification_deadline: Duration::from_secs(30),
            head_deadline: Duration::from_secs(10),
            body_deadline: Duration::from_secs(10),
            callback_patience: Duration::from_secs(2),
            lists_kept: Duration::from_millis(100),
            delivery_deadline: Duration::from_secs(15),
        }
    }
}

/// Who may connect, and where customers go afterwards.
#[derive(Debug, Clone, Default)]
pub struct Connecting {
    /// `CONNECT_ACCESS`
    pub access: ConnectAccess,
    /// `RETURN_URLS`
    pub return_urls: ReturnUrls,
}

/// Whether the landing page offers the button to everybody.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ConnectAccess {
    /// To everybody.
    #[default]
    Public,
    /// Only invites lead to MailChimp.
    Invite,
}

/// How long notifications are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// `PAYLOAD_RETENTION`: their bodies.
    pub payloads: Duration,
    /// `EVENT_RETENTION`: that they came, and what was read of them.
    pub events: Duration,
}

impl Default for Retention {
    fn default() -> Self {
        let days = |days: u64| Duration::from_secs(days * 24 * 60 * 60);
        Self { payloads: days(30), events: days(400) }
    }
}

/// What the demo adds to the pages.
#[derive(Debug, Clone)]
pub struct Demo {
    /// The simulator's control page.
    pub control_url: String,
}

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Log {
    /// `LOG_FORMAT`.
    pub format: LogFormat,
    /// `LOG_LEVEL`: of Gangway's own lines.
    pub level: tracing::Level,
}

/// For eyes or for programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// `text`
    Text,
    /// `json`
    Json,
}

impl Config {
    /// What the host is called on every page.
    pub fn host_name(&self) -> &str {
        let of_the_address = || if self.demo.is_some() { "Gangway demo" } else { self.public_url.host() };
        self.face.name.as_deref().unwrap_or_else(of_the_address)
    }

    /// Reads every setting, or tells every problem.
    pub fn from_variables(variables: &HashMap<String, String>) -> Result<Self, Problems> {
        let mut reader = Reader { variables, problems: Vec::new() };
        let config = read::read(&mut reader);
        match config {
            Some(config) if reader.problems.is_empty() => Ok(config),
            _ => Err(Problems(reader.problems)),
        }
    }
}
