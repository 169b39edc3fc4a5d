//! The calls Gangway makes. Each has a deadline, follows no redirect, reads its answer under a cap and
//! is made once: what must not be repeated is for the caller to know. Errors never carry a body or a URL.

mod answer;
mod calls;
mod hub;
mod instances;
mod missed;
mod platform;
mod reach;

use std::fmt;
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use reqwest::{Client, RequestBuilder, Response, redirect};
use secrecy::{ExposeSecret, SecretString};
use time::OffsetDateTime;
use tokio::time::Instant;
use url::Url;

use super::{Problem, ProblemKind};
use crate::config::{CloudElementsAccess, MailchimpApp};
pub use answer::{ElementInstance, Refusal, id_in};
pub use calls::{Call, calls_made, noting_calls};
pub use hub::{Audience, AudienceWebhook, Ping};
pub use instances::{Listed, NewInstance, Wanted};
pub use missed::{EventsPage, Queued};
pub use platform::Access;
use reach::Reach;

/// No answer of Cloud Elements that we ask for is anywhere near it.
const LARGEST_ANSWER: usize = 1024 * 1024;
/// A page of two hundred instances.
const LARGEST_LIST: usize = 16 * 1024 * 1024;
const TOO_LARGE: &str = "the answer is larger than";
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Looking is quicker than making.
const LOOK_DEADLINE: Duration = Duration::from_secs(20);

/// Cloud Elements' platform API for one account.
pub struct CloudElements {
    client: Client,
    base: Url,
    authorization: HeaderValue,
    /// What the header is made of, for the calls that need another one.
    access: CloudElementsAccess,
    element: String,
    app: MailchimpApp,
    redirect_uri: String,
    reach: Reach,
}

/// How a call ended without what was asked for. Decides what may have happened upstream.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// Nothing was sent: no address, no connection, no TLS.
    #[error("could not connect: {0}")]
    NotSent(String),
    /// Cloud Elements said no, in its own words.
    #[error("refused with {0}")]
    Refused(Refusal),
    /// Anything else: upstream may or may not have acted.
    #[error("no clear answer: {what}")]
    Unclear {
        /// What the operator is told.
        what: String,
        /// The kind of it.
        kind: ProblemKind,
        /// A body that could not be read. It may hold a token.
        answer: Option<UnreadAnswer>,
    },
}

/// An answer's body that made no sense. Never printed: it may hold a token.
pub struct UnreadAnswer(Vec<u8>);

impl UnreadAnswer {
    /// So much of it is kept, for the seal alone.
    const LONGEST: usize = 64 * 1024;

    fn of(body: &[u8]) -> Self {
        Self(body.iter().copied().take(Self::LONGEST).collect())
    }

    /// For the seal.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for UnreadAnswer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "UnreadAnswer({} bytes)", self.0.len())
    }
}

impl CallError {
    /// One that leaves open what happened, in our words.
    pub fn unclear(what: &str) -> Self {
        Self::Unclear { what: what.to_owned(), kind: ProblemKind::UpstreamFailed, answer: None }
    }

    /// Whether nothing can have happened upstream.
    pub fn nothing_happened(&self) -> bool {
        matches!(self, Self::NotSent(_) | Self::Refused(_))
    }

    /// The problem as it is kept with the instance, and the body that could not be read, if that was it.
    pub fn into_problem(self, since: OffsetDateTime) -> (Problem, Option<UnreadAnswer>) {
        let (kind, detail, answer) = match self {
            Self::NotSent(what) => (ProblemKind::Unreachable, what, None),
            Self::Refused(refusal) => (refusal.kind(), refusal.to_string(), None),
            Self::Unclear { what, kind, answer } => (kind, what, answer),
        };
        (Problem { kind, detail: Some(detail), since }, answer)
    }

    /// Whether the answer was left because it is larger than any we read: then there is one, and much of it.
    pub fn is_too_large(&self) -> bool {
        matches!(self, Self::Unclear { what, .. } if what.starts_with(TOO_LARGE))
    }

    /// The status of a clear no.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Refused(refusal) => Some(refusal.status.as_u16()),
            _ => None,
        }
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
            access: access.clone(),
            element: access.element_key.clone(),
            app: app.clone(),
            redirect_uri,
            reach: Reach::default(),
        })
    }

    fn url(&self, segments: &[&str]) -> Url {
        let mut url = self.base.clone();
        // Only a URL without a host has no path to extend; the settings refuse those.
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(segments);
        }
        url
    }

    fn look_deadline(&self) -> Duration {
        LOOK_DEADLINE.min(self.access.timeout)
    }

    /// One call with the two secrets of the account.
    async fn call(&self, request: RequestBuilder) -> Result<Vec<u8>, CallError> {
        self.send(request.header(AUTHORIZATION, self.authorization.clone())).await.map(|answer| answer.body)
    }

    async fn send(&self, request: RequestBuilder) -> Result<Answer, CallError> {
        self.send_for(request, LARGEST_ANSWER).await
    }

    async fn send_for(&self, request: RequestBuilder, largest: usize) -> Result<Answer, CallError> {
        let answer = self.exchange(request, largest).await;
        self.reach.note(&answer);
        answer
    }

    async fn exchange(&self, request: RequestBuilder, largest: usize) -> Result<Answer, CallError> {
        let request = request.build().map_err(CallError::from)?;
        let call = (request.method().clone(), self.told_path(request.url()));
        let started = Instant::now();
        let answered = self.client.execute(request).await;
        let status = answered.as_ref().ok().map(Response::status);
        let answer = read(answered, largest).await;
        calls::note(call, status, started.elapsed());
        answer
    }

    /// The path as the vendor's documentation has it.
    fn told_path(&self, url: &Url) -> String {
        let base = self.base.path().trim_end_matches('/');
        url.path().strip_prefix(base).unwrap_or(url.path()).to_owned()
    }

    /// Whether its last calls found nobody there.
    pub fn is_down(&self) -> bool {
        self.reach.is_down()
    }
}

async fn read(answered: reqwest::Result<Response>, largest: usize) -> Result<Answer, CallError> {
    let response = answered.map_err(CallError::from)?;
    let (status, headers) = (response.status(), response.headers().clone());
    let body = read_capped(response, largest).await?;
    if status.is_success() { Ok(Answer { headers, body }) } else { Err(answer::refused(status, &body)) }
}

/// An answer that said yes.
struct Answer {
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Answer {
    /// Where the next page of a list is (reference section 5, "Paging").
    fn next_page(&self) -> Option<String> {
        let token = self.headers.get("elements-next-page-token")?.to_str().ok()?.trim();
        (!token.is_empty()).then(|| token.to_owned())
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

async fn read_capped(mut response: Response, largest: usize) -> Result<Vec<u8>, CallError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(CallError::from)? {
        if body.len() + chunk.len() > largest {
            let what = format!("{TOO_LARGE} {largest} bytes");
            return Err(CallError::Unclear { what, kind: ProblemKind::UnreadableAnswer, answer: None });
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
            (false, true) => Self::Unclear {
                what: "the deadline passed".into(),
                kind: ProblemKind::NoAnswer,
                answer: None,
            },
            (false, false) => Self::Unclear { what, kind: ProblemKind::NoAnswer, answer: None },
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
