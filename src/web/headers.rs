//! What every response carries, refusals included. The policy starts from nothing and opens what our own
//! pages need; there is no inline style or script anywhere.

use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};

use super::edge::NO_STORE;

/// The headers, made once.
pub struct SecurityHeaders {
    always: Vec<(HeaderName, HeaderValue)>,
}

impl SecurityHeaders {
    /// `authorize_origin` is where the start's form may lead, as sources of a policy: browsers apply `form-action` to the redirect
    /// that follows a form. `https` says whether HSTS makes sense.
    pub fn new(authorize_origin: &str, https: bool) -> Self {
        let policy = format!(
            "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; \
             form-action 'self' {authorize_origin}; base-uri 'none'; frame-ancestors 'none'"
        );
        let mut always = vec![
            // The origin came from a parsed URL, so it is visible ASCII.
            (
                header::CONTENT_SECURITY_POLICY,
                HeaderValue::from_str(&policy).unwrap_or(HeaderValue::from_static("default-src 'none'")),
            ),
            (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
            (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
            (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
            (HeaderName::from_static("cross-origin-opener-policy"), HeaderValue::from_static("same-origin")),
            (
                HeaderName::from_static("cross-origin-resource-policy"),
                HeaderValue::from_static("same-origin"),
            ),
            (
                HeaderName::from_static("permissions-policy"),
                HeaderValue::from_static("camera=(), geolocation=(), microphone=(), payment=()"),
            ),
        ];
        if https {
            let year = HeaderValue::from_static("max-age=31536000; includeSubDomains");
            always.push((header::STRICT_TRANSPORT_SECURITY, year));
        }
        Self { always }
    }

    /// Adds them. Whatever does not say how long it may be kept may not be kept.
    pub(super) fn harden(&self, headers: &mut HeaderMap) {
        for (name, value) in &self.always {
            headers.insert(name.clone(), value.clone());
        }
        if !headers.contains_key(header::CACHE_CONTROL) {
            headers.insert(header::CACHE_CONTROL, NO_STORE);
        }
    }
}
