//! Settings. The only reader of the environment: everything else is handed a [`Config`].
//! Reading collects *every* problem, so that an operator mends the lot in one go.

use std::collections::HashMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use ipnet::IpNet;
use secrecy::SecretString;
use url::Url;
use uuid::Uuid;

use crate::invite::{InviteToken, ReturnUrls};
use crate::seal::SecretKey;
pub use face::{Face, SupportAddress};
use face::{colour, host_name, support_address};
use setting::{
    Reader, api_base, argon2id_hash, authorize_url_from, comma_list, connect_access, database_url, duration,
    element_key, log_format, log_level, networks, parse, retention, return_urls, secret, web_url, word,
};

mod face;
mod secret_files;
pub(crate) mod setting;
#[cfg(test)]
mod tests;

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

/// `PUBLIC_URL`: https, or http on a loopback host; no path, query or fragment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicUrl(Url);

impl PublicUrl {
    /// Reads the setting.
    pub fn parse(text: &str) -> Result<Self, String> {
        let url = web_url(text)?;
        if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
            return Err("must be an origin alone, without path or query".into());
        }
        Ok(Self(url))
    }

    /// `https://host[:port]`, without a trailing slash.
    pub fn origin(&self) -> String {
        self.0.origin().ascii_serialization()
    }

    /// The host as people know it.
    pub fn host(&self) -> &str {
        self.0.host_str().unwrap_or_default()
    }

    /// Whether cookies may be `Secure` and HSTS makes sense.
    pub fn is_https(&self) -> bool {
        self.0.scheme() == "https"
    }

    /// The redirect URI: the one constant for the authorize URL, Cloud Elements and the registration.
    pub fn redirect_uri(&self) -> String {
        format!("{}/oauth/callback", self.origin())
    }

    /// The link of the invite with this token.
    pub fn invite_url(&self, token: &InviteToken) -> String {
        format!("{}/invites/{}", self.origin(), token.expose())
    }

    /// Where Cloud Elements sends the event notifications of one instance.
    pub fn events_url(&self, instance: Uuid) -> String {
        format!("{}/events/{instance}", self.origin())
    }
}

/// One setting that is missing or wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The variable.
    pub variable: &'static str,
    /// What is wrong with it. Never repeats a value.
    pub what: String,
    /// How to put it right.
    pub fix: &'static str,
}

/// Every setting that is missing or wrong.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub struct Problems(pub Vec<Problem>);

impl fmt::Display for Problems {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.0.len();
        writeln!(formatter, "{count} setting{} to put right:", if count == 1 { "" } else { "s" })?;
        for Problem { variable, what, fix } in &self.0 {
            writeln!(formatter, "  {variable} {what}\n      fix: {fix}")?;
        }
        write!(
            formatter,
            "Settings are read from the environment and from .env; .env.example lists them all."
        )
    }
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

/// Why settings cannot be read. Never repeats a line of it: most hold secrets.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnreadableEnv {
    /// A line of it is no setting.
    #[error(
        ".env cannot be read {0}. Write NAME=value, one a line; a value with blanks, # or $ within single quotes"
    )]
    Line(String),
    /// The file itself.
    #[error(".env cannot be read: {0}")]
    File(String),
    /// The file of a secret.
    #[error("{0}_FILE {1}")]
    SecretFile(&'static str, String),
}

/// The environment, with `.env` behind it, and secrets from the files that they name. What is no UTF-8 is no setting of ours.
pub fn variables() -> Result<HashMap<String, String>, UnreadableEnv> {
    let mut variables = match dotenvy::dotenv_iter() {
        Ok(lines) => lines_of(lines)?,
        Err(error) if error.not_found() => HashMap::new(),
        Err(dotenvy::Error::Io(error)) => return Err(UnreadableEnv::File(error.to_string())),
        Err(_) => return Err(UnreadableEnv::Line("from its first line on".to_owned())),
    };
    let told = std::env::vars_os();
    variables
        .extend(told.filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?))));
    secret_files::read(&mut variables)?;
    Ok(variables)
}

fn lines_of(
    lines: impl Iterator<Item = dotenvy::Result<(String, String)>>,
) -> Result<HashMap<String, String>, UnreadableEnv> {
    let mut variables = HashMap::new();
    let mut place = "from its first line on".to_owned();
    for line in lines {
        let Ok((name, value)) = line else { return Err(UnreadableEnv::Line(place)) };
        place = format!("after the line of {name}");
        variables.insert(name, value);
    }
    Ok(variables)
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
        let config = read(&mut reader);
        match config {
            Some(config) if reader.problems.is_empty() => Ok(config),
            _ => Err(Problems(reader.problems)),
        }
    }
}

#[expect(clippy::too_many_lines, reason = "one line per setting, in the order of .env.example")]
fn read(reader: &mut Reader<'_>) -> Option<Config> {
    const KEY: &str = "run `gangway keygen` and keep its output as SECRET_KEY";
    const LOGIN: &str = "https://login.mailchimp.com/oauth2/authorize";
    const API: &str = "https://api.cloud-elements.com/elements/api-v2";
    const APP: &str = "copy it from Mailchimp: Account, Extras, Registered apps";
    const SECRETS: &str = "copy it from Cloud Elements: the user menu shows both secrets";
    const SWITCH: &str = "write mailchimp or cloud-elements";
    const PREVIOUS: &str = "put the SECRET_KEY in that was used before, or leave it out";
    const HASH: &str = "leave it out to get a one-time sign-in link, or give a whole argon2id hash, in .env within single quotes ('$argon2id$…')";

    let public_url = reader.required(
        "PUBLIC_URL",
        "the https address customers open, such as https://connect.example.com",
        PublicUrl::parse,
    );
    let listen_addr =
        reader.or("LISTEN_ADDR", "127.0.0.1:8080", "an address and port, such as 127.0.0.1:8080", parse);
    let database_url = reader.or(
        "DATABASE_URL",
        "sqlite://data/gangway.db",
        "sqlite://PATH or postgres://USER:PASSWORD@HOST/NAME",
        database_url,
    );
    let secret_key = reader.required("SECRET_KEY", KEY, setting::secret_key);
    let secret_key_previous = reader.optional("SECRET_KEY_PREVIOUS", PREVIOUS, setting::secret_key);
    let client_id = reader.required("MAILCHIMP_CLIENT_ID", APP, word);
    let client_secret = reader.required("MAILCHIMP_CLIENT_SECRET", APP, secret);
    let authorize_url = reader.or(
        "MAILCHIMP_AUTHORIZE_URL",
        LOGIN,
        "an https address; leave it out for Mailchimp's",
        web_url,
    );
    let url = reader.or("CLOUD_ELEMENTS_URL", API, "the https base of API v2, such as the default", api_base);
    let user_secret = reader.required("CLOUD_ELEMENTS_USER_SECRET", SECRETS, secret);
    let organization_secret = reader.required("CLOUD_ELEMENTS_ORGANIZATION_SECRET", SECRETS, secret);
    let element_key = reader.or("ELEMENT_KEY", "mailchimpv3", "a key of the element catalogue", element_key);
    let authorize_url_from = reader.or("AUTHORIZE_URL_FROM", "mailchimp", SWITCH, authorize_url_from);
    let instance_tags = reader.or("INSTANCE_TAGS", "", "words with commas between", comma_list);
    let admin_password_hash = reader.optional("ADMIN_PASSWORD_HASH", HASH, argon2id_hash);
    let trusted_proxies =
        reader.or("TRUSTED_PROXIES", "", "addresses or networks with commas between", networks);
    let delivery_allowed_networks =
        reader.or("DELIVERY_ALLOWED_NETWORKS", "", "addresses or networks with commas between", networks);
    let timeout = reader.or("UPSTREAM_TIMEOUT", "60s", "a duration such as 500ms, 60s, 3m or 7d", duration);
    let recovery_window =
        reader.or("RECOVERY_WINDOW", "3m", "a duration such as 500ms, 60s, 3m or 7d", duration);
    let payloads = reader.or("PAYLOAD_RETENTION", "30d", "a duration such as 30d", retention);
    let events = reader.or("EVENT_RETENTION", "400d", "a duration such as 400d", retention);
    let access = reader.or("CONNECT_ACCESS", "public", "write public or invite", connect_access);
    let return_urls = reader.or(
        "RETURN_URLS",
        "",
        "https addresses with commas between; what is below one is allowed too",
        return_urls,
    );
    let rate_limit_per_minute =
        reader.or("RATE_LIMIT_PER_MINUTE", "60", "a whole number; 0 switches the limit off", parse);
    let name = reader.optional("HOST_NAME", "the name your customers know, 60 characters at most", host_name);
    let accent = reader.optional(
        "ACCENT_COLOR",
        "six hexadecimal digits, such as '#0d5f73', in .env within single quotes",
        colour,
    );
    let support = reader.optional(
        "SUPPORT_ADDRESS",
        "a mail address such as help@example.com, or an https address",
        support_address,
    );
    let privacy =
        reader.optional("PRIVACY_URL", "an https address, such as https://example.com/privacy", web_url);
    let log_format = reader.or("LOG_FORMAT", "text", "write text or json", log_format);
    let log_level = reader.or("LOG_LEVEL", "info", "write error, warn, info, debug or trace", log_level);

    Some(Config {
        public_url: public_url?,
        listen_addr: listen_addr?,
        database_url: database_url?,
        secret_key: secret_key?,
        secret_key_previous,
        mailchimp: MailchimpApp {
            client_id: client_id?,
            client_secret: client_secret?,
            authorize_url: authorize_url?,
        },
        cloud_elements: CloudElementsAccess {
            url: url?,
            user_secret: user_secret?,
            organization_secret: organization_secret?,
            element_key: element_key?,
            instance_tags: instance_tags?,
            timeout: timeout?,
        },
        authorize_url_from: authorize_url_from?,
        admin_password_hash,
        trusted_proxies: trusted_proxies?,
        delivery_allowed_networks: delivery_allowed_networks?,
        recovery_window: recovery_window?,
        retention: Retention { payloads: payloads?, events: events? },
        connecting: Connecting { access: access?, return_urls: return_urls? },
        rate_limit_per_minute: rate_limit_per_minute?,
        log: Log { format: log_format?, level: log_level? },
        limits: Limits::default(),
        face: Face { name, accent, support, privacy },
        demo: None,
    })
}
