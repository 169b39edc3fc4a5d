//! Calls with an Element token: what tells whether an instance works (reference section 5, "Ping"), and the
//! account's audiences with their webhooks. The token decides whose account answers; the hub's name does
//! not matter.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::RequestBuilder;
use reqwest::header::{AUTHORIZATION, HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

use super::{CallError, CloudElements, answer};

/// What `/ping` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ping {
    /// `valid` is true, as text or as a boolean, or missing from an answer that is a yes.
    Valid,
    /// `valid` is false. A text `"false"` is true for those who only look whether it is there.
    NotValid,
}

/// A Mailchimp audience, as `/hubs/marketing/lists` has it.
#[derive(Debug, Clone, Deserialize)]
pub struct Audience {
    /// Mailchimp's id; no two accounts share one.
    pub id: String,
    /// As the customer named it.
    #[serde(default)]
    pub name: String,
}

/// A webhook of an audience: where Mailchimp reports its changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AudienceWebhook {
    /// Mailchimp's id.
    pub id: String,
    /// Where it reports.
    pub url: String,
}

impl CloudElements {
    /// `GET /ping`. Whether this element has one is not documented (reference section 10.10).
    pub async fn ping(&self, token: &SecretString) -> Result<Ping, CallError> {
        let request = self.client.get(self.url(&["ping"])).timeout(self.look_deadline());
        let body = self.call_element(request, token).await?;
        let answer: Value =
            serde_json::from_slice(&body).map_err(|_| answer::unreadable("the ping cannot be read"))?;
        let valid = match answer.get("valid") {
            Some(Value::Bool(valid)) => *valid,
            Some(Value::String(valid)) => valid.trim().eq_ignore_ascii_case("true"),
            // The platform's own type has no such field.
            _ => true,
        };
        Ok(if valid { Ping::Valid } else { Ping::NotValid })
    }

    /// `GET /hubs/marketing/lists`: the account's audiences, of the first page. An empty list may be a 404.
    pub async fn audiences(&self, token: &SecretString) -> Result<Vec<Audience>, CallError> {
        let mut url = self.url(&["hubs", "marketing", "lists"]);
        url.query_pairs_mut().append_pair("pageSize", "200");
        let request = self.client.get(url).timeout(self.look_deadline());
        let body = match self.call_element(request, token).await {
            Err(error) if error.status() == Some(404) => return Ok(Vec::new()),
            body => body?,
        };
        serde_json::from_slice(&body).map_err(|_| answer::unreadable("the audiences cannot be read"))
    }

    /// Where an audience must report its changes: `…/events/{element}`, as the pages of this element say
    /// (reference section 6.2). For other elements the address ends in the base64 of the instance's id; for
    /// this one that is only a guess, so it is understood where it is found and never written.
    pub fn audience_webhook_url(&self, element: &str) -> String {
        self.url(&["events", element]).into()
    }

    /// Whether a webhook that reports to `url` reaches this instance: in either form, and under the older
    /// alias of the host. What follows a question mark does not count for Mailchimp either.
    pub fn reaches(&self, url: &str, element: &str, instance: i64) -> bool {
        let Ok(found) = Url::parse(url.trim()) else { return false };
        let wanted = self.url(&["events", element]);
        if (bare_host(&found), found.port_or_known_default())
            != (bare_host(&wanted), wanted.port_or_known_default())
        {
            return false;
        }
        let path = found.path().trim_end_matches('/');
        let Some(rest) = path.strip_prefix(wanted.path()) else { return false };
        let id = STANDARD.encode(instance.to_string());
        let rest = rest.replace("%3D", "=").replace("%3d", "=");
        rest.is_empty() || rest.trim_end_matches('=') == format!("/{}", id.trim_end_matches('='))
    }

    /// `GET /lists/{id}/webhook`, in the singular. None at all may be a 404.
    pub async fn audience_webhooks(
        &self,
        token: &SecretString,
        audience: &str,
    ) -> Result<Vec<AudienceWebhook>, CallError> {
        let request = self.client.get(self.webhooks_of(audience)?).timeout(self.look_deadline());
        let body = match self.call_element(request, token).await {
            Err(error) if error.status() == Some(404) => return Ok(Vec::new()),
            body => body?,
        };
        let unreadable = || answer::unreadable("the webhooks cannot be read");
        let body: Value = serde_json::from_slice(&body).map_err(|_| unreadable())?;
        // A bare list, or Mailchimp's own envelope around it.
        let list = body.as_array().or_else(|| body.get("webhooks")?.as_array()).ok_or_else(unreadable)?;
        Ok(list.iter().filter_map(AudienceWebhook::read).collect())
    }

    /// `POST /lists/{id}/webhook`. Every flag is told, because what an omitted one means is not documented;
    /// `api` is off, or what is written back would come back (Mailchimp reference, section 2.1). The id is
    /// `None` where the answer is a yes that does not name it.
    pub async fn create_audience_webhook(
        &self,
        token: &SecretString,
        audience: &str,
        element: &str,
    ) -> Result<Option<String>, CallError> {
        let body = json!({
            "url": self.audience_webhook_url(element),
            "events": { "subscribe": true, "unsubscribe": true, "profile": true, "cleaned": true,
                        "upemail": true, "campaign": true },
            "sources": { "user": true, "admin": true, "api": false },
        });
        let request = self.client.post(self.webhooks_of(audience)?).timeout(self.look_deadline());
        let body = self.call_element(request.json(&body), token).await?;
        Ok(serde_json::from_slice(&body).ok().and_then(|made: Value| text_id(made.get("id")?)))
    }

    /// `DELETE /lists/{id}/webhook/{webhook}`. Answers whether there was one.
    pub async fn delete_audience_webhook(
        &self,
        token: &SecretString,
        audience: &str,
        webhook: &str,
    ) -> Result<bool, CallError> {
        let mut url = self.webhooks_of(audience)?;
        if let Ok(mut path) = url.path_segments_mut() {
            path.push(segment(webhook)?);
        }
        match self.call_element(self.client.delete(url).timeout(self.look_deadline()), token).await {
            Ok(_) => Ok(true),
            Err(error) if error.status() == Some(404) => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn webhooks_of(&self, audience: &str) -> Result<Url, CallError> {
        Ok(self.url(&["hubs", "marketing", "lists", segment(audience)?, "webhook"]))
    }

    /// How long a person is kept waiting for what is only looked at or chosen.
    pub fn patience(&self) -> Duration {
        self.look_deadline()
    }

    /// The long form of the header, which every call with a token takes (reference section 2).
    async fn call_element(
        &self,
        request: RequestBuilder,
        token: &SecretString,
    ) -> Result<Vec<u8>, CallError> {
        let token = token.expose_secret();
        let account = self.authorization.to_str().unwrap_or_default();
        let mut header = HeaderValue::from_str(&format!("{account}, Element {token}"))
            .map_err(|_| CallError::NotSent("the instance token is no header value".to_owned()))?;
        header.set_sensitive(true);
        let answer = self.send(request.header(AUTHORIZATION, header)).await;
        answer.map(|answer| answer.body).map_err(|error| error.scrubbed(&[token]))
    }
}

impl AudienceWebhook {
    fn read(value: &Value) -> Option<Self> {
        Some(Self { id: text_id(value.get("id")?)?, url: value.get("url")?.as_str()?.to_owned() })
    }
}

/// A text, or a number as one.
fn text_id(value: &Value) -> Option<String> {
    let id = value.as_str().map(str::to_owned).or_else(|| value.as_i64().map(|id| id.to_string()))?;
    segment(&id).is_ok().then_some(id)
}

/// An id of upstream's that stays one part of a path: an empty one, or dots, would name something else.
fn segment(id: &str) -> Result<&str, CallError> {
    let fits =
        !id.is_empty() && id.chars().all(|letter| letter.is_ascii_alphanumeric() || "-_".contains(letter));
    if fits { Ok(id) } else { Err(CallError::NotSent("the id is no part of a path".to_owned())) }
}

/// `api.` and `console.` are two names of one host (reference section 1).
fn bare_host(url: &Url) -> &str {
    let host = url.host_str().unwrap_or_default();
    host.strip_prefix("api.").or_else(|| host.strip_prefix("console.")).unwrap_or(host)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{CloudElementsAccess, MailchimpApp};

    fn cloud_elements() -> CloudElements {
        let access = CloudElementsAccess {
            url: "https://api.cloud-elements.com/elements/api-v2".parse().unwrap(),
            user_secret: "u".into(),
            organization_secret: "o".into(),
            element_key: "mailchimpv3".into(),
            instance_tags: Vec::new(),
            timeout: Duration::from_secs(1),
        };
        let app = MailchimpApp {
            client_id: "1".into(),
            client_secret: "s".into(),
            authorize_url: "https://login.mailchimp.com/oauth2/authorize".parse().unwrap(),
        };
        CloudElements::new(&access, &app, String::new()).unwrap()
    }

    #[test]
    fn a_webhook_is_known_in_every_form_and_no_other() {
        let ours = cloud_elements();
        let base = ours.audience_webhook_url("mailchimpv3");
        assert_eq!(base, "https://api.cloud-elements.com/elements/api-v2/events/mailchimpv3");
        let tails = ["", "/", "?x=1", "/MjA5MzE=", "/MjA5MzE", "/MjA5MzE%3D"];
        for url in tails.map(|tail| format!("{base}{tail}")) {
            assert!(ours.reaches(&url, "mailchimpv3", 20931), "{url}");
            assert!(ours.reaches(&url.replace("//api.", "//console."), "mailchimpv3", 20931), "{url}");
            assert!(!ours.reaches(&url.replace(".com", ".co.uk"), "mailchimpv3", 20931), "{url}");
        }
        for url in
            ["", "no url", &format!("{base}/MjA5MzI="), &format!("{base}x"), "https://elsewhere.example/"]
        {
            assert!(!ours.reaches(url, "mailchimpv3", 20931), "{url}");
        }
    }

    #[test]
    fn an_id_that_is_no_part_of_a_path_is_never_sent() {
        for id in ["", ".", "..", "a/b", "a b", "a?b", "ü"] {
            assert!(cloud_elements().webhooks_of(id).is_err(), "{id:?}");
        }
        assert!(
            cloud_elements().webhooks_of("b7e51c90aa").unwrap().path().ends_with("/lists/b7e51c90aa/webhook")
        );
    }
}
