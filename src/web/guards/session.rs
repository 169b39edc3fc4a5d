//! The browser's cookie: encrypted, and the only file that knows what is in it. It carries a random id of
//! the browser, the trips to Mailchimp that have not come back, and the operator's session token.

use actix_session::config::{CookieContentSecurity, PersistentSession};
use actix_session::storage::CookieSessionStore;
use actix_session::{Session, SessionExt, SessionMiddleware};
use actix_web::cookie::time::Duration;
use actix_web::cookie::{Key, SameSite};
use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use crate::config::Config;
use crate::elements::BrowserHash;
use crate::entropy::{Entropy, draw};
use crate::oauth::PendingRequests;
use crate::storage::TokenHash;
use crate::web::failure::Failure;

/// So long a browser finds its result page again.
const LIFETIME: Duration = Duration::days(30);
const CARRIED: &str = "gangway";

/// The middleware that opens and seals the cookie. Lax, because the callback is a navigation from another
/// site; `__Host-` and `Secure` as soon as there is https.
pub fn session_middleware(config: &Config) -> SessionMiddleware<CookieSessionStore> {
    let key = Key::from(&config.secret_key.derive::<64>("gangway cookie v1"));
    let https = config.public_url.is_https();
    SessionMiddleware::builder(CookieSessionStore::default(), key)
        .cookie_name(if https { "__Host-gangway" } else { "gangway" }.to_owned())
        .cookie_secure(https)
        .cookie_http_only(true)
        .cookie_same_site(SameSite::Lax)
        .cookie_path("/".to_owned())
        .cookie_content_security(CookieContentSecurity::Private)
        .session_lifecycle(PersistentSession::default().session_ttl(LIFETIME))
        .build()
}

/// What the cookie carries.
#[derive(Default, Serialize, Deserialize)]
struct Carried {
    #[serde(rename = "b", default, skip_serializing_if = "Option::is_none")]
    browser: Option<String>,
    #[serde(rename = "p", default)]
    pending: PendingRequests,
    #[serde(rename = "o", default, skip_serializing_if = "Option::is_none")]
    operator: Option<String>,
    #[serde(rename = "k", default, skip_serializing_if = "Option::is_none")]
    known: Option<KnownDevice>,
}

/// A browser in which an operator signed in before.
#[derive(Clone, Serialize, Deserialize)]
pub struct KnownDevice {
    /// The operator's name.
    #[serde(rename = "n")]
    pub name: String,
    /// Tells it from others.
    #[serde(rename = "i")]
    pub id: String,
}

/// The cookie of this request, opened.
pub struct BrowserSession(Session);

impl BrowserSession {
    /// Who this is; `None` where no cookie of ours came.
    pub fn browser(&self) -> Option<BrowserHash> {
        self.carried().browser.as_deref().map(BrowserHash::of)
    }

    /// The trips that have not come back.
    pub fn pending(&self) -> PendingRequests {
        self.carried().pending
    }

    /// Changes them; a browser without an id gets one.
    pub fn set_pending(
        &self,
        entropy: &dyn Entropy,
        change: impl FnOnce(&mut PendingRequests),
    ) -> Result<(), Failure> {
        let mut carried = self.carried();
        carried.browser.get_or_insert_with(|| URL_SAFE_NO_PAD.encode(draw::<16>(entropy)));
        change(&mut carried.pending);
        self.carry(&carried)
    }

    /// The operator's session, if the cookie carries one. That it is open is for the table to say.
    pub fn operator(&self) -> Option<TokenHash> {
        self.carried().operator.as_deref().map(TokenHash::of)
    }

    /// Who signed in here before.
    pub fn known(&self) -> Option<KnownDevice> {
        self.carried().known
    }

    /// Carries the session of an operator, and remembers that it was this one.
    pub fn come_in(&self, token: String, known: KnownDevice) -> Result<(), Failure> {
        self.carry(&Carried { operator: Some(token), known: Some(known), ..self.carried() })
    }

    /// Carries no operator's session any more.
    pub fn go_out(&self) -> Result<(), Failure> {
        self.carry(&Carried { operator: None, ..self.carried() })
    }

    /// A cookie of another version is an empty one.
    fn carried(&self) -> Carried {
        self.0.get(CARRIED).ok().flatten().unwrap_or_default()
    }

    fn carry(&self, carried: &Carried) -> Result<(), Failure> {
        self.0.insert(CARRIED, carried).map_err(|error| Failure::Internal(format!("cookie: {error}")))
    }
}

impl FromRequest for BrowserSession {
    type Error = Failure;
    type Future = std::future::Ready<Result<Self, Failure>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        std::future::ready(Ok(Self(request.get_session())))
    }
}
