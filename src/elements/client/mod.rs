//! The calls Gangway makes. Each has a deadline, follows no redirect, reads its answer under a cap and
//! is made once: what must not be repeated is for the caller to know. Errors never carry a body or a URL.

mod answer;

use std::time::Duration;

use reqwest::header::{AUTHORIZATION, HeaderValue};
use reqwest::{Client, RequestBuilder, Response, StatusCode, redirect};
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use url::Url;

use super::{Problem, ProblemKind, SignatureKey};
use crate::config::{CloudElementsAccess, MailchimpApp};
use crate::oauth::{GrantCode, State};
pub use answer::{CreatedInstance, Refusal};

/// No answer of Cloud Elements that we ask for is anywhere near it.
const LARGEST_ANSWER: usize = 1024 * 1024;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Cloud Elements' platform API for one account.
pub struct CloudElements {
    client: Client,
    base: Url,
    authorization: HeaderValue,
    element: String,
    app: MailchimpApp,
    redirect_uri: String,
}

/// What `POST /instances` is asked to make.
#[derive(Debug)]
pub struct NewInstance<'a> {
    /// As people will see it.
    pub name: &'a str,
    /// To be spent.
    pub code: &'a GrantCode,
    /// Where its event notifications go.
    pub events_url: String,
    /// What they are signed with.
    pub signature_key: &'a SignatureKey,
    /// Ours first.
    pub tags: Vec<String>,
}

/// How a call ended without what was asked for. Decides what may have happened upstream.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// Nothing was sent: no address, no connection, no TLS.
    #[error("could not connect: {0}")]
    NotSent(String),
    /// Cloud Elements said no, in its own words.
    #[error("refused with {}", .0.status)]
    Refused(Refusal),
    /// Anything else: upstream may or may not have acted.
    #[error("no clear answer: {what}")]
    Unclear {
        /// What the operator is told.
        what: String,
        /// The kind of it.
        kind: ProblemKind,
    },
}

impl CallError {
    /// Whether nothing can have happened upstream.
    pub fn nothing_happened(&self) -> bool {
        matches!(self, Self::NotSent(_) | Self::Refused(_))
    }

    /// The problem as it is kept with the instance.
    pub fn into_problem(self) -> Problem {
        let (kind, detail) = match self {
            Self::NotSent(what) => (ProblemKind::Unreachable, what),
            Self::Refused(refusal) => (refusal.kind(), refusal.to_string()),
            Self::Unclear { what, kind } => (kind, what),
        };
        Problem { kind, detail: Some(detail) }
    }
}

impl CloudElements {
    /// For the account and the app of the settings.
    pub fn new(
        access: &CloudElementsAccess,
        app: &MailchimpApp,
        redirect_uri: String,
    ) -> Result<Self, reqwest::Error> {
        let client = Client::builder()
            .redirect(redirect::Policy::none())
            .retry(reqwest::retry::never())
            .no_proxy()
            .connect_timeout(CONNECT_TIMEOUT.min(access.timeout))
            .timeout(access.timeout)
            .user_agent(concat!("gangway/", env!("CARGO_PKG_VERSION")))
            .build()?;
        Ok(Self {
            client,
            base: access.url.clone(),
            authorization: authorization(&access.user_secret, &access.organization_secret),
            element: access.element_key.clone(),
            app: app.clone(),
            redirect_uri,
        })
    }

    /// `POST /instances`: spends the code. Never to be called twice with the same one.
    pub async fn create_instance(&self, new: &NewInstance<'_>) -> Result<CreatedInstance, CallError> {
        // Some readers take configuration values as JSON booleans, some as text; the docs send both
        // and the documented example for this element sends a boolean (reference section 4.1).
        let body = json!({
            "element": { "key": self.element },
            "providerData": { "code": new.code.expose() },
            "configuration": {
                "oauth.api.key": self.app.client_id,
                "oauth.api.secret": self.app.client_secret.expose_secret(),
                "oauth.callback.url": self.redirect_uri,
                "event.notification.enabled": true,
                "event.notification.callback.url": new.events_url,
                "event.notification.signature.key": new.signature_key.expose(),
            },
            "tags": new.tags,
            "name": new.name,
        });
        let secrets = [new.code.expose(), self.app.client_secret.expose_secret(), new.signature_key.expose()];
        let answer = self.call(self.client.post(self.url(&["instances"])).json(&body)).await;
        answer.and_then(|body| answer::created(&body)).map_err(|error| error.scrubbed(&secrets))
    }

    /// `GET /instances?tags[]=…`: every instance that carries `tag`. An empty list is a 404 there.
    pub async fn instances_tagged(&self, tag: &str) -> Result<Vec<CreatedInstance>, CallError> {
        let mut url = self.url(&["instances"]);
        url.query_pairs_mut().append_pair("tags[]", tag);
        match self.call(self.client.get(url)).await {
            Ok(body) => answer::tagged(&body, tag),
            Err(CallError::Refused(refusal)) if refusal.status == StatusCode::NOT_FOUND => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    /// `GET /elements/{key}/oauth/url`: where Cloud Elements would send the browser. It wants the client
    /// secret in the query, so this address must never be logged (reference section 7).
    pub async fn authorize_url(&self, state: &State) -> Result<Url, CallError> {
        let mut url = self.url(&["elements", &self.element, "oauth", "url"]);
        url.query_pairs_mut()
            .append_pair("apiKey", &self.app.client_id)
            .append_pair("apiSecret", self.app.client_secret.expose_secret())
            .append_pair("callbackUrl", &self.redirect_uri)
            .append_pair("state", state.as_parameter());
        let secrets = [self.app.client_secret.expose_secret(), state.as_parameter()];
        let body = self.call(self.client.get(url)).await;
        body.and_then(|body| answer::oauth_url(&body)).map_err(|error| error.scrubbed(&secrets))
    }

    fn url(&self, segments: &[&str]) -> Url {
        let mut url = self.base.clone();
        // Only a URL without a host has no path to extend; the settings refuse those.
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(segments);
        }
        url
    }

    async fn call(&self, request: RequestBuilder) -> Result<Vec<u8>, CallError> {
        let request = request.header(AUTHORIZATION, self.authorization.clone());
        let response = request.send().await.map_err(CallError::from)?;
        let status = response.status();
        let body = read_capped(response).await?;
        if status.is_success() { Ok(body) } else { Err(answer::refused(status, &body)) }
    }
}

/// Not RFC 7235 credentials: `User …, Organization …` (Cloud Elements, "Authentication").
fn authorization(user: &SecretString, organization: &SecretString) -> HeaderValue {
    let text = format!("User {}, Organization {}", user.expose_secret(), organization.expose_secret());
    // The settings let only visible ASCII through, which every header may hold.
    let mut value = HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static(""));
    value.set_sensitive(true);
    value
}

async fn read_capped(mut response: Response) -> Result<Vec<u8>, CallError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(CallError::from)? {
        if body.len() + chunk.len() > LARGEST_ANSWER {
            let what = format!("the answer is larger than {LARGEST_ANSWER} bytes");
            return Err(CallError::Unclear { what, kind: ProblemKind::UnreadableAnswer });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

impl From<reqwest::Error> for CallError {
    /// A failed connection is the one error of the client after which nothing was sent.
    fn from(error: reqwest::Error) -> Self {
        let (connect, timeout) = (error.is_connect(), error.is_timeout());
        let what = innermost(&error.without_url());
        match (connect, timeout) {
            (true, _) => Self::NotSent(what),
            (false, true) => {
                Self::Unclear { what: "the deadline passed".into(), kind: ProblemKind::NoAnswer }
            }
            (false, false) => Self::Unclear { what, kind: ProblemKind::NoAnswer },
        }
    }
}

/// The last error of the chain says what really happened.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}
