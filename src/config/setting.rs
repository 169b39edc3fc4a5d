//! Reading one setting: from a text of the environment to a value that cannot be wrong, or to a
//! [`Problem`] that names the variable and the fix and never repeats the value, which may be a secret.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use argon2::PasswordHash;
use ipnet::IpNet;
use secrecy::SecretString;
use url::{Host, Url};

use super::{AuthorizeUrlFrom, ConnectAccess, LogFormat, Problem, ReturnUrls};
use crate::seal::SecretKey;

/// Reads settings one by one and collects what is wrong.
pub(super) struct Reader<'a> {
    pub(super) variables: &'a HashMap<String, String>,
    pub(super) problems: Vec<Problem>,
}

impl Reader<'_> {
    /// A setting without which Gangway cannot start. Set but empty counts as missing.
    pub(super) fn required<T>(
        &mut self,
        variable: &'static str,
        fix: &'static str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Option<T> {
        if self.text(variable).is_none() {
            self.problems.push(Problem { variable, what: "is missing".into(), fix });
            return None;
        }
        self.optional(variable, fix, parse)
    }

    /// A setting with a default.
    pub(super) fn or<T>(
        &mut self,
        variable: &'static str,
        default: &str,
        fix: &'static str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Option<T> {
        let text = self.text(variable).unwrap_or_else(|| default.to_owned());
        self.keep(variable, fix, parse(&text))
    }

    /// A setting that may be left out.
    pub(super) fn optional<T>(
        &mut self,
        variable: &'static str,
        fix: &'static str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Option<T> {
        let text = self.text(variable)?;
        self.keep(variable, fix, parse(&text))
    }

    fn text(&self, variable: &str) -> Option<String> {
        self.variables
            .get(variable)
            .map(|text| text.trim())
            .filter(|text| !text.is_empty())
            .map(str::to_owned)
    }

    fn keep<T>(&mut self, variable: &'static str, fix: &'static str, value: Result<T, String>) -> Option<T> {
        value.map_err(|what| self.problems.push(Problem { variable, what, fix })).ok()
    }
}

/// https, or http on a loopback host; no user, no password, no fragment.
pub(super) fn web_url(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| format!("is not a web address ({error})"))?;
    if !is_secure(&url) {
        return Err("must be https (plain http is for loopback hosts only)".into());
    }
    if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
        return Err("must not hold a user name, a password or a fragment".into());
    }
    Ok(url)
}

/// Whether `url` is https, or http on a host that never leaves this machine.
pub(crate) fn is_secure(url: &Url) -> bool {
    let loopback = match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    match url.scheme() {
        "https" => url.has_host(),
        "http" => loopback,
        _ => false,
    }
}

pub(super) fn api_base(text: &str) -> Result<Url, String> {
    let url = web_url(text.trim_end_matches('/'))?;
    if url.query().is_some() {
        return Err("must not hold a query".into());
    }
    Ok(url)
}

pub(super) fn connect_access(text: &str) -> Result<ConnectAccess, String> {
    match text {
        "public" => Ok(ConnectAccess::Public),
        "invite" => Ok(ConnectAccess::Invite),
        _ => Err("is neither public nor invite".into()),
    }
}

pub(super) fn return_urls(text: &str) -> Result<ReturnUrls, String> {
    let urls = text.split(',').map(str::trim).filter(|url| !url.is_empty()).map(|text| {
        let url = web_url(text)?;
        if url.query().is_some() { Err("must not hold a query".to_owned()) } else { Ok(url) }
    });
    urls.collect::<Result<_, _>>().map(ReturnUrls)
}

pub(super) fn database_url(text: &str) -> Result<SecretString, String> {
    let known = ["sqlite://", "postgres://", "postgresql://"];
    if known.iter().any(|scheme| text.len() > scheme.len() && text.starts_with(scheme)) {
        Ok(text.to_owned().into())
    } else {
        Err("names no database that Gangway knows".into())
    }
}

pub(super) fn secret_key(text: &str) -> Result<SecretKey, String> {
    SecretKey::parse(text).map_err(|error| error.to_string())
}

/// One word, as client ids are; kept readable because it is public.
pub(super) fn word(text: &str) -> Result<String, String> {
    if text.chars().all(|letter| letter.is_ascii_graphic()) {
        Ok(text.to_owned())
    } else {
        Err("holds blanks or characters outside ASCII".into())
    }
}

/// A secret of upstream: opaque, but it must fit into a header.
pub(super) fn secret(text: &str) -> Result<SecretString, String> {
    if text.contains(',') {
        return Err("holds a comma, which no secret of this kind does".into());
    }
    word(text).map(SecretString::from)
}

pub(super) fn element_key(text: &str) -> Result<String, String> {
    if text.chars().all(|letter| letter.is_ascii_alphanumeric() || "-_".contains(letter)) {
        Ok(text.to_owned())
    } else {
        Err("holds characters that no element key has".into())
    }
}

pub(super) fn authorize_url_from(text: &str) -> Result<AuthorizeUrlFrom, String> {
    match text {
        "mailchimp" => Ok(AuthorizeUrlFrom::Mailchimp),
        "cloud-elements" => Ok(AuthorizeUrlFrom::CloudElements),
        _ => Err("is neither mailchimp nor cloud-elements".into()),
    }
}

pub(super) fn argon2id_hash(text: &str) -> Result<String, String> {
    match PasswordHash::new(text) {
        Ok(hash) if hash.algorithm.as_str() != "argon2id" => Err("is not argon2id".into()),
        // One without salt or hash would let nobody in.
        Ok(hash) if hash.salt.is_none() || hash.hash.is_none() => Err("is not a whole password hash".into()),
        Ok(_) => Ok(text.to_owned()),
        Err(_) => Err("is not a password hash".into()),
    }
}

#[expect(clippy::unnecessary_wraps, reason = "the shape of every parser here")]
pub(super) fn comma_list(text: &str) -> Result<Vec<String>, String> {
    Ok(words(text).map(str::to_owned).collect())
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|word| !word.is_empty())
}

pub(super) fn networks(text: &str) -> Result<Vec<IpNet>, String> {
    words(text)
        .map(|word| {
            word.parse::<IpNet>()
                .or_else(|_| word.parse::<IpAddr>().map(IpNet::from))
                .map_err(|_| "holds something that is neither an address nor a network".to_owned())
        })
        .collect()
}

pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(duration) if !duration.is_zero() => Ok(duration),
        Ok(_) => Err("must be longer than nothing".into()),
        Err(_) => Err("is not a duration".into()),
    }
}

/// A duration of an hour or more: a short one would be a slip that deletes.
pub(super) fn retention(text: &str) -> Result<Duration, String> {
    let duration = duration(text)?;
    if duration < Duration::from_secs(3600) { Err("must be at least 1h".into()) } else { Ok(duration) }
}

pub(super) fn parse<T: std::str::FromStr>(text: &str) -> Result<T, String>
where
    T::Err: std::fmt::Display,
{
    text.parse().map_err(|error| format!("cannot be read ({error})"))
}

pub(super) fn log_format(text: &str) -> Result<LogFormat, String> {
    match text {
        "text" => Ok(LogFormat::Text),
        "json" => Ok(LogFormat::Json),
        _ => Err("is neither text nor json".into()),
    }
}

pub(super) fn log_level(text: &str) -> Result<tracing::Level, String> {
    text.parse().map_err(|_| "is not a level".into())
}
