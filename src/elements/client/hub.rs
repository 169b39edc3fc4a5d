//! Calls with an Element token: what tells whether an instance works (reference section 5, "Ping"). The
//! token decides whose account answers; the hub's name does not matter.

use reqwest::RequestBuilder;
use reqwest::header::{AUTHORIZATION, HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::Value;

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
