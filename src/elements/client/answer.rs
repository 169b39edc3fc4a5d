//! What Cloud Elements answers, read leniently, and the table from an answer to what it means.

use std::fmt;

use reqwest::StatusCode;
use secrecy::SecretString;
use serde::Deserialize;
use url::Url;

use super::CallError;
use crate::elements::ProblemKind;

/// Longer texts of upstream are cut: they are for reading, and some carry tokens at the end.
const LONGEST_MESSAGE: usize = 400;

/// An instance at Cloud Elements. Only what is essential of it; the rest of the answer is dropped here,
/// because some of it is secret (reference section 4.2).
#[derive(Debug, Deserialize)]
pub struct CreatedInstance {
    /// Fits i64; read from a number or a text.
    #[serde(deserialize_with = "integer")]
    pub id: i64,
    /// The instance token.
    pub token: SecretString,
    /// Texts, or objects with a `name` in the oldest samples.
    #[serde(default)]
    tags: Vec<Tag>,
    /// Whether events are on; not promised on every answer.
    #[serde(default, rename = "eventsEnabled")]
    pub events_enabled: Option<bool>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Tag {
    Text(String),
    Object { name: String },
    Other(serde::de::IgnoredAny),
}

fn integer<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Id {
        Number(i64),
        Text(String),
    }
    match Id::deserialize(deserializer)? {
        Id::Number(id) => Ok(id),
        Id::Text(id) => id.parse().map_err(serde::de::Error::custom),
    }
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

/// What an answer without success means:
///
/// | answer | meaning |
/// |---|---|
/// | a redirect | refused: the address of the settings is not the API |
/// | 4xx with Cloud Elements' JSON, but 408 and 409 | refused: nothing was made |
/// | 409, 408, any 5xx | unclear |
/// | 4xx without that JSON | unclear: a gateway spoke, not Cloud Elements |
pub(super) fn refused(status: StatusCode, body: &[u8]) -> CallError {
    let code = status.as_u16();
    if status.is_redirection() {
        let message = "answered with a redirect, which is not followed; check CLOUD_ELEMENTS_URL".to_owned();
        return CallError::Refused(Refusal { status, message, provider_message: None, request_id: None });
    }
    let error = serde_json::from_slice::<ErrorBody>(body).ok();
    match error {
        Some(error) if status.is_client_error() && code != 408 && code != 409 => {
            CallError::Refused(Refusal {
                status,
                message: cut(&error.message),
                provider_message: error.provider_message.as_deref().map(cut),
                request_id: error.request_id.as_deref().map(cut),
            })
        }
        Some(error) => CallError::Unclear {
            what: format!("{code}: {}", cut(&error.message)),
            kind: ProblemKind::UpstreamFailed,
        },
        None => CallError::Unclear {
            what: format!("{code} without an error of Cloud Elements"),
            kind: ProblemKind::UpstreamFailed,
        },
    }
}

pub(super) fn created(body: &[u8]) -> Result<CreatedInstance, CallError> {
    match serde_json::from_slice::<CreatedInstance>(body) {
        Ok(created) if !is_blank(&created.token) => Ok(created),
        _ => Err(unreadable("the answer names no instance id and token")),
    }
}

pub(super) fn tagged(body: &[u8], tag: &str) -> Result<Vec<CreatedInstance>, CallError> {
    let all: Vec<CreatedInstance> =
        serde_json::from_slice(body).map_err(|_| unreadable("the list of instances cannot be read"))?;
    let carries = |carried: &Tag| matches!(carried, Tag::Text(name) | Tag::Object { name } if name == tag);
    Ok(all.into_iter().filter(|instance| instance.tags.iter().any(carries)).collect())
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

fn is_blank(secret: &SecretString) -> bool {
    secrecy::ExposeSecret::expose_secret(secret).trim().is_empty()
}

fn unreadable(what: &str) -> CallError {
    CallError::Unclear { what: what.to_owned(), kind: ProblemKind::UnreadableAnswer }
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
        assert_eq!(created(br#"{"id":700123,"token":"t"}"#).unwrap().id, 700_123);
        assert_eq!(created(br#"{"id":"700123","token":"t","valid":"x"}"#).unwrap().id, 700_123);
        for body in [
            "",
            "<html>",
            "{}",
            "[]",
            r#"{"id":1}"#,
            r#"{"token":"t"}"#,
            r#"{"id":1,"token":""}"#,
            r#"{"id":1,"token":7}"#,
            r#"{"id":9223372036854775808,"token":"t"}"#,
            r#"{"id":1.5,"token":"t"}"#,
            r#"{"id":"x","token":"t"}"#,
        ] {
            assert!(matches!(created(body.as_bytes()), Err(CallError::Unclear { .. })), "{body}");
        }
    }

    #[test]
    fn only_a_clear_no_counts_as_nothing_happened() {
        let json = br#"{"requestId":"r","message":"m","providerMessage":"p"}"#;
        for code in [300, 302, 400, 401, 403, 404, 405, 406, 413, 415, 422, 429] {
            let error = refused(StatusCode::from_u16(code).unwrap(), json);
            assert!(error.nothing_happened(), "{code}");
        }
        for code in [408, 409, 500, 502, 503, 504] {
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
        let problem = error.into_problem();
        assert_eq!(problem.kind, ProblemKind::GrantRefused);
        assert_eq!(problem.detail.as_deref(), Some("400: bad code … (MailChimp: …)"));
    }

    #[test]
    fn a_tag_is_matched_whole_whatever_the_list_holds() {
        let body = br#"[{"id":1,"token":"a","tags":["x","gangway-1"]},{"id":2,"token":"b","tags":[{"id":1,"name":"gangway-1"}]},
            {"id":3,"token":"c","tags":["gangway-11"]},{"id":4,"token":"d"}]"#;
        let ids: Vec<_> =
            tagged(body, "gangway-1").unwrap().into_iter().map(|instance| instance.id).collect();
        assert_eq!(ids, [1, 2]);
    }
}
