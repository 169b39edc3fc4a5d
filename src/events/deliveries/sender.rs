//! One attempt: the notification as it came, signed under the endpoint's key, once, without redirects. What
//! the answer means is decided elsewhere; here it is read, and no more of it than is kept.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::{Client, Response, StatusCode, redirect};
use time::OffsetDateTime;
use url::Url;

use super::addresses::{Allowed, NotAllowed, Resolver};
use super::schedule;
use crate::storage::Outgoing;
use crate::webhook::message_id;

/// So much of an answer is kept, and read.
const KEPT: usize = 4096;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Shorter than receivers keep an idle connection (Node ends it after five seconds): a request that meets the end of its
/// connection would be an attempt lost.
const IDLE: Duration = Duration::from_secs(4);
const NOTIFICATION_ID: HeaderName = HeaderName::from_static("elements-webhook-id");
const SIGNATURE: HeaderName = HeaderName::from_static("elements-webhook-signature");
/// Only on what was read back: its body is an event as Cloud Elements keeps it, not a notification.
const READ_BACK: HeaderName = HeaderName::from_static("gangway-read-back");

/// Sends.
pub(super) struct Sender {
    allowed: Allowed,
    deadline: Duration,
    /// To the outside, and to networks that are named. Each is made when it is first needed: it costs memory.
    encrypted: OnceLock<Client>,
    /// To networks that are named.
    plain: OnceLock<Client>,
}

/// How an attempt ended.
#[derive(Debug, Default)]
pub(super) struct Answer {
    /// `None`: no answer came.
    pub(super) status: Option<StatusCode>,
    /// Why none came.
    pub(super) error: Option<String>,
    /// Its first bytes.
    pub(super) body: Vec<u8>,
    /// How long it asks to be left alone.
    pub(super) retry_after: Option<time::Duration>,
    /// From the connection to the end of what was read.
    pub(super) took: Duration,
}

impl Sender {
    pub(super) fn new(allowed: Allowed, deadline: Duration) -> Self {
        Self { allowed, deadline, encrypted: OnceLock::new(), plain: OnceLock::new() }
    }

    fn client(&self, encrypted: bool) -> Result<&Client, String> {
        let made = if encrypted { &self.encrypted } else { &self.plain };
        if let Some(client) = made.get() {
            return Ok(client);
        }
        let client = Client::builder()
            .redirect(redirect::Policy::none())
            .retry(reqwest::retry::never())
            .no_proxy()
            .https_only(encrypted)
            .dns_resolver(Resolver::new(self.allowed.clone(), encrypted))
            .connect_timeout(CONNECT_TIMEOUT.min(self.deadline))
            .timeout(self.deadline)
            .pool_idle_timeout(IDLE)
            .user_agent(concat!("gangway/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| error.to_string())?;
        Ok(made.get_or_init(|| client))
    }

    /// Whether anything could be sent to `url` at all.
    pub(super) fn check(&self, url: &Url) -> Result<(), NotAllowed> {
        self.allowed.check(url)
    }

    /// Makes one attempt at `now`.
    pub(super) async fn attempt(&self, outgoing: Outgoing, now: OffsetDateTime) -> Answer {
        let started = Instant::now();
        let mut answer = match self.exchange(outgoing, now).await {
            Ok(answer) => answer,
            Err(error) => Answer { error: Some(error), ..Answer::default() },
        };
        answer.took = started.elapsed();
        answer
    }

    async fn exchange(&self, outgoing: Outgoing, now: OffsetDateTime) -> Result<Answer, String> {
        let url = Url::parse(&outgoing.url).map_err(|_| NotAllowed::NotAWebAddress.to_string())?;
        self.check(&url).map_err(|error| error.to_string())?;
        let client = self.client(url.scheme() == "https")?;
        let headers = headers(&outgoing, now);
        let sent = client.post(url).headers(headers).body(outgoing.body).send().await;
        let response = sent.map_err(|error| told(&error.without_url()))?;
        let (status, headers) = (response.status(), response.headers());
        let retry_after = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok());
        let retry_after = schedule::retry_after(status, retry_after, now);
        Ok(Answer { status: Some(status), body: beginning(response).await, retry_after, ..Answer::default() })
    }
}

/// The status is the answer; of its body what comes, up to what is kept.
async fn beginning(mut response: Response) -> Vec<u8> {
    let mut body = Vec::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        body.extend(chunk.iter().take(KEPT - body.len()));
        if body.len() == KEPT {
            break;
        }
    }
    body
}

fn headers(outgoing: &Outgoing, now: OffsetDateTime) -> HeaderMap {
    let kept: Vec<(String, String)> = serde_json::from_str(&outgoing.headers).unwrap_or_default();
    let kept = |wanted: &HeaderName| {
        let found = kept.iter().find(|(name, _)| *name == wanted.as_str());
        found.and_then(|(_, value)| HeaderValue::from_bytes(value.as_bytes()).ok())
    };
    let own = |text: String| HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static(""));
    let id = outgoing.notification_id.as_deref().and_then(|id| HeaderValue::from_str(id).ok());
    let message = message_id(&outgoing.fingerprint);
    let at = now.unix_timestamp();
    let signature = outgoing.secret.sign(&message, at, &outgoing.body);
    let elements_signature = outgoing.secret.sign_as_elements(&outgoing.body);
    let headers = [
        (CONTENT_TYPE, kept(&CONTENT_TYPE).unwrap_or(HeaderValue::from_static("application/json"))),
        (
            NOTIFICATION_ID,
            kept(&NOTIFICATION_ID).or(id).unwrap_or_else(|| own(outgoing.notification.to_string())),
        ),
        (SIGNATURE, own(elements_signature)),
        (HeaderName::from_static("webhook-id"), own(message)),
        (HeaderName::from_static("webhook-timestamp"), own(at.to_string())),
        (HeaderName::from_static("webhook-signature"), own(signature)),
    ];
    let mark = outgoing.read_back.then_some((READ_BACK, HeaderValue::from_static("true")));
    headers.into_iter().chain(mark).collect()
}

/// What happened, in the words of the innermost cause.
fn told(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "no answer in time".to_owned();
    }
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}
