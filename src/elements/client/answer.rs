//! What Cloud Elements answers, read leniently, and the table from an answer to what it means.

use std::fmt;

use reqwest::StatusCode;
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::Value;
use url::Url;

use super::{CallError, UnreadAnswer};
use crate::elements::ProblemKind;

/// Longer texts of upstream are cut: they are for reading, and some carry tokens at the end.
const LONGEST_MESSAGE: usize = 400;

/// An instance at Cloud Elements. Only what is needed of it; the rest of the answer is dropped here,
/// because some of it is secret (reference section 4.2). Only `id` and `token` are essential.
#[derive(Debug)]
pub struct ElementInstance {
    /// Fits i64; read from a number or a text.
    pub id: i64,
    /// The instance token.
    pub token: SecretString,
    /// As people see it there; empty where it was not told.
    pub name: String,
    /// Every tag.
    pub tags: Vec<String>,
    /// The element's key.
    pub element: Option<String>,
    /// Whether events are on; not promised on every answer.
    pub events_enabled: Option<bool>,
    /// Where its notifications go.
    pub events_url: Option<String>,
    /// Whether it is switched off.
    pub disabled: bool,
}

impl ElementInstance {
    /// `None` without an id and a token. What else is missing, or of another type, is not known.
    fn read(body: &Value) -> Option<Self> {
        let configured = |key: &str| text(body.get("configuration")?.get(key)?);
        // Some answers hold the text "false" where there is no address (reference section 4.2).
        let url = configured("event.notification.callback.url")
            .or_else(|| text(body.get("eventsNotificationCallbackUrl")?));
        let enabled = body.get("eventsEnabled").and_then(text);
        Some(Self {
            id: integer(body.get("id")?)?,
            token: body.get("token")?.as_str().filter(|token| !token.trim().is_empty())?.into(),
            name: body.get("name").and_then(text).unwrap_or_default(),
            tags: body.get("tags").and_then(Value::as_array).into_iter().flatten().filter_map(tag).collect(),
            element: body.get("element").and_then(|element| text(element.get("key")?)),
            events_enabled: enabled
                .or_else(|| configured("event.notification.enabled"))
                .map(|enabled| enabled == "true"),
            events_url: url.filter(|url| url.contains("://")),
            disabled: body.get("disabled").and_then(text).is_some_and(|disabled| disabled == "true"),
        })
    }
}

/// A text, or a boolean as one: answers have both.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(value) => Some(value.to_string()),
        _ => None,
    }
}

/// Texts, or objects with a `name` in the oldest samples.
fn tag(value: &Value) -> Option<String> {
    text(value).or_else(|| text(value.get("name")?))
}

fn integer(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_str()?.parse().ok())
}

/// Cloud Elements' no: `requestId`, `message`, and `providerMessage` when the vendor said it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The HTTP status.
    pub status: StatusCode,
    /// Cloud Elements' words.
    pub message: String,
    /// The vendor's words.
    pub provider_message: Option<String>,
    /// For Cloud Elements' support.
    pub request_id: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ErrorBody {
    message: String,
    #[serde(alias = "ProviderMessage")]
    provider_message: Option<String>,
    request_id: Option<String>,
}

impl Refusal {
    /// Whose side it is on. Statuses and texts for this element are not documented (reference section
    /// 10.3): a 400 counts as the grant's fault, which approving again mends, unless the vendor names ours.
    pub fn kind(&self) -> ProblemKind {
        let vendor = self.provider_message.as_deref().unwrap_or_default();
        let ours = ["invalid_client", "redirect_uri_mismatch", "unauthorized_client"];
        match self.status.as_u16() {
            413 | 429 => ProblemKind::TooMuch,
            400 if ours.iter().any(|word| vendor.contains(word)) => ProblemKind::SetupRefused,
            400 => ProblemKind::GrantRefused,
            401 if vendor.contains("invalid_grant") => ProblemKind::GrantRefused,
            _ => ProblemKind::SetupRefused,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.status.as_u16(), self.message)?;
        if let Some(vendor) = &self.provider_message {
            write!(formatter, " (MailChimp: {vendor})")?;
        }
        if let Some(request) = &self.request_id {
            write!(formatter, " [request {request}]")?;
        }
        Ok(())
    }
}

/// The statuses that are a clear no, when Cloud Elements' own JSON comes with them. What an answer to
/// `POST /instances` means, whole:
///
/// | what came back | what it means | what follows |
/// |---|---|---|
/// | no address, no connection, no TLS | nothing was sent | failed |
/// | 2xx with `id` and `token` | made | connected |
/// | 400, 401, 403, 404, 405, 406, 413, 415 or 429 with JSON and `message` | refused, nothing was made | failed |
/// | a redirect | refused: the address of the settings is not the API | failed |
/// | the same statuses without that JSON | a gateway spoke | unknown |
/// | 408, 409, any other 4xx, any 5xx | may have been made | unknown |
/// | 2xx that cannot be read, or is too large | was made, most likely | unknown |
/// | a cut, a deadline | may have been made | unknown |
///
/// Unknown is looked up, never repeated.
const CLEAR_NO: &[u16] = &[400, 401, 403, 404, 405, 406, 413, 415, 429];

/// Reads an answer without success by the table of [`CLEAR_NO`].
pub(super) fn refused(status: StatusCode, body: &[u8]) -> CallError {
    let code = status.as_u16();
    if status.is_redirection() {
        let message = "answered with a redirect, which is not followed; check CLOUD_ELEMENTS_URL".to_owned();
        return CallError::Refused(Refusal { status, message, provider_message: None, request_id: None });
    }
    let error = serde_json::from_slice::<ErrorBody>(body).ok();
    let unclear = |what| CallError::Unclear { what, kind: ProblemKind::UpstreamFailed, answer: None };
    match error {
        Some(error) if CLEAR_NO.contains(&code) => CallError::Refused(Refusal {
            status,
            message: cut(&error.message),
            provider_message: error.provider_message.as_deref().map(cut),
            request_id: error.request_id.as_deref().map(cut),
        }),
        Some(error) => unclear(format!("{code}: {}", cut(&error.message))),
        None => unclear(format!("{code} without an error of Cloud Elements")),
    }
}

pub(super) fn instance(body: &[u8]) -> Result<ElementInstance, CallError> {
    let read = serde_json::from_slice(body).ok().and_then(|value| ElementInstance::read(&value));
    read.ok_or_else(|| CallError::Unclear {
        what: "the answer names no instance id and token".to_owned(),
        kind: ProblemKind::UnreadableAnswer,
        answer: Some(UnreadAnswer::of(body)),
    })
}

/// The id in a body that could not be read as an instance, if it has at least that.
pub fn id_in(unread: &[u8]) -> Option<i64> {
    serde_json::from_slice::<Value>(unread).ok().and_then(|value| integer(value.get("id")?))
}

/// A list. One that cannot be read, somebody else's most likely, does not hide the others.
pub(super) fn instances(body: &[u8]) -> Result<Vec<ElementInstance>, CallError> {
    let all: Vec<Value> =
        serde_json::from_slice(body).map_err(|_| unreadable("the list of instances cannot be read"))?;
    let read: Vec<_> = all.iter().filter_map(ElementInstance::read).collect();
    if read.len() < all.len() {
        tracing::warn!(count = all.len() - read.len(), "instances of a list could not be read");
    }
    Ok(read)
}

pub(super) fn oauth_url(body: &[u8]) -> Result<Url, CallError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct OAuthRedirect {
        oauth_url: Url,
    }
    let answer: OAuthRedirect =
        serde_json::from_slice(body).map_err(|_| unreadable("the answer names no oauthUrl"))?;
    if crate::config::setting::is_secure(&answer.oauth_url) {
        Ok(answer.oauth_url)
    } else {
        Err(unreadable("the oauthUrl is not https"))
    }
}

pub(super) fn unreadable(what: &str) -> CallError {
    CallError::Unclear { what: what.to_owned(), kind: ProblemKind::UnreadableAnswer, answer: None }
}

fn cut(text: &str) -> String {
    let kept: String = text.chars().filter(|letter| !letter.is_control()).take(LONGEST_MESSAGE).collect();
    if kept.len() < text.len() { kept + "…" } else { kept }
}

impl CallError {
    /// Takes our secrets out of upstream's words, should it repeat them.
    pub(super) fn scrubbed(mut self, secrets: &[&str]) -> Self {
        let scrub = |text: &mut String| {
            for secret in secrets.iter().filter(|secret| !secret.is_empty()) {
                *text = text.replace(secret, "…");
            }
        };
        match &mut self {
            Self::NotSent(what) | Self::Unclear { what, .. } => scrub(what),
            Self::Refused(refusal) => {
                scrub(&mut refusal.message);
                refusal.provider_message.as_mut().map(scrub);
            }
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b09_an_id_may_be_a_number_or_a_text_that_fits() {
        assert_eq!(instance(br#"{"id":700123,"token":"t"}"#).unwrap().id, 700_123);
        assert_eq!(instance(br#"{"id":"700123","token":"t","valid":"x"}"#).unwrap().id, 700_123);
        for body in [
            "",
            "<html>",
            "{}",
            "[]",
            r#"{"id":1}"#,
            r#"{"token":"t"}"#,
            r#"{"id":1,"token":""}"#,
            r#"{"id":1,"token":7}"#,
            r#"{"id":1,"token":null}"#,
            r#"{"id":9223372036854775808,"token":"t"}"#,
            r#"{"id":1.5,"token":"t"}"#,
            r#"{"id":"x","token":"t"}"#,
        ] {
            assert!(matches!(instance(body.as_bytes()), Err(CallError::Unclear { .. })), "{body}");
        }
    }

    #[test]
    fn only_a_clear_no_counts_as_nothing_happened() {
        let json = br#"{"requestId":"r","message":"m","providerMessage":"p"}"#;
        for code in [300, 302, 400, 401, 403, 404, 405, 406, 413, 415, 429] {
            let error = refused(StatusCode::from_u16(code).unwrap(), json);
            assert!(error.nothing_happened(), "{code}");
        }
        for code in [402, 408, 409, 410, 422, 500, 502, 503, 504] {
            assert!(!refused(StatusCode::from_u16(code).unwrap(), json).nothing_happened(), "{code}");
        }
        for code in [400, 401, 404, 429, 500] {
            assert!(!refused(StatusCode::from_u16(code).unwrap(), b"<html>").nothing_happened(), "{code}");
        }
    }

    #[test]
    fn our_secrets_are_taken_out_of_what_upstream_says() {
        let body = br#"{"message":"bad code canary","providerMessage":"canary"}"#;
        let error = refused(StatusCode::BAD_REQUEST, body).scrubbed(&["canary", ""]);
        let (problem, _) = error.into_problem(time::OffsetDateTime::UNIX_EPOCH);
        assert_eq!(problem.kind, ProblemKind::GrantRefused);
        assert_eq!(problem.detail.as_deref(), Some("400: bad code … (MailChimp: …)"));
    }

    #[test]
    fn an_instance_is_read_from_every_form_that_was_seen() {
        let body = br#"[{"id":1,"token":"a","tags":["x","gangway-1"],"element":{"key":"mailchimpv3"},"name":"n",
            "configuration":{"event.notification.enabled":"false","event.notification.callback.url":"https://a.example/e"}},
            {"id":2,"token":"b","tags":[{"id":1,"name":"gangway-1"},7],"eventsEnabled":true,
             "eventsNotificationCallbackUrl":"false","disabled":true},
            {"id":3,"token":"c","tags":null,"element":null,"configuration":null,"name":null},
            {"id":4,"token":null},
            {"id":5,"token":"e","tags":"x","element":7,"configuration":[],"name":8,"eventsEnabled":"true","disabled":"false"}]"#;
        let [first, second, third, fifth] = instances(body).unwrap().try_into().unwrap();
        assert_eq!((first.tags.len(), first.events_enabled), (2, Some(false)));
        assert_eq!(first.events_url.as_deref(), Some("https://a.example/e"));
        assert_eq!(
            (second.tags.as_slice(), second.events_enabled),
            (&["gangway-1".to_owned()][..], Some(true))
        );
        assert_eq!((second.events_url, second.disabled), (None, true));
        assert_eq!((third.tags.len(), third.element, third.events_enabled), (0, None, None));
        assert_eq!(
            (fifth.id, fifth.name.as_str(), fifth.events_enabled, fifth.disabled),
            (5, "", Some(true), false)
        );
    }

    #[test]
    fn b09_an_answer_that_cannot_be_read_is_kept_and_never_printed() {
        let Err(CallError::Unclear { answer: Some(unread), .. }) = instance(br#"{"id":7,"tok":"canary"}"#)
        else {
            panic!("it could not be read")
        };
        assert_eq!(id_in(unread.expose()), Some(7));
        assert!(!format!("{unread:?}").contains("canary"));
        assert_eq!(id_in(b"garbage"), None);
    }
}
