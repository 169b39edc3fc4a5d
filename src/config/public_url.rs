//! Where browsers and Cloud Elements reach Gangway, and the addresses made of it.

use url::Url;
use uuid::Uuid;

use super::setting::web_url;
use crate::invite::InviteToken;

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
