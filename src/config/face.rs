//! The host's face: what it is called, its colour, and where it can be reached. Everything may be left out.

use std::fmt;

use url::Url;

use super::setting::web_url;
use crate::colour::Colour;

/// Longer names do not fit beside the mark.
const LONGEST_NAME: usize = 60;

/// How the host shows itself on every page.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Face {
    /// `HOST_NAME`; else the host of `PUBLIC_URL`.
    pub name: Option<String>,
    /// `ACCENT_COLOR`.
    pub accent: Option<Colour>,
    /// `SUPPORT_ADDRESS`.
    pub support: Option<SupportAddress>,
    /// `PRIVACY_URL`.
    pub privacy: Option<Url>,
}

/// Where customers get help.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SupportAddress {
    /// A mail address.
    Mail(String),
    /// A page.
    Page(Url),
}

impl SupportAddress {
    /// Where a link leads; a mail begins with the reference number in its subject.
    pub fn link(&self, reference: Option<&str>) -> String {
        match (self, reference) {
            (Self::Mail(address), Some(reference)) => {
                let word = |letter: &char| letter.is_ascii_alphanumeric() || *letter == '-';
                let reference: String = reference.chars().filter(word).collect();
                format!("mailto:{address}?subject=Reference%20{reference}")
            }
            (Self::Mail(address), None) => format!("mailto:{address}"),
            (Self::Page(url), _) => url.to_string(),
        }
    }
}

impl fmt::Display for SupportAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mail(address) => formatter.write_str(address),
            Self::Page(url) => formatter.write_str(url.as_str()),
        }
    }
}

pub(super) fn host_name(text: &str) -> Result<String, String> {
    if text.chars().any(char::is_control) {
        return Err("holds a line break or another control character".into());
    }
    if text.chars().count() > LONGEST_NAME {
        return Err(format!("is longer than {LONGEST_NAME} characters"));
    }
    Ok(text.to_owned())
}

pub(super) fn colour(text: &str) -> Result<Colour, String> {
    Colour::parse(text).ok_or_else(|| "is not a colour written #rrggbb".into())
}

/// A mail address of plain letters, or a web address.
pub(super) fn support_address(text: &str) -> Result<SupportAddress, String> {
    if text.contains("://") {
        return web_url(text).map(SupportAddress::Page);
    }
    let plain = |part: &str, more: &str| {
        !part.is_empty() && part.chars().all(|letter| letter.is_ascii_alphanumeric() || more.contains(letter))
    };
    match text.split_once('@') {
        Some((who, host)) if plain(who, "._+-") && plain(host, ".-") && !host.starts_with('.') => {
            Ok(SupportAddress::Mail(text.to_owned()))
        }
        _ => Err("is neither a plain mail address nor a web address".into()),
    }
}
