//! Calls about the account itself: whether its secrets are right, whether the element exists (reference
//! sections 2 and 3).

use reqwest::header::{AUTHORIZATION, DATE};
use secrecy::ExposeSecret;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;
use url::Url;

use super::{CallError, CloudElements, answer, authorization};
use crate::oauth::State;

/// What `GET /organizations/me` says of the two secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Access {
    /// Both are right. With the time of Cloud Elements' clock, where it told it.
    Granted(Option<OffsetDateTime>),
    /// They are right the other way round.
    Swapped,
    /// At least one is wrong; Cloud Elements' words, which say which at best.
    Refused(String),
}

impl CloudElements {
    /// `GET /organizations/me` with both secrets; after a 401, once more with the two exchanged.
    pub async fn access(&self) -> Result<Access, CallError> {
        match self.organization(false).await {
            Ok(at) => Ok(Access::Granted(at)),
            Err(CallError::Refused(refusal)) if matches!(refusal.status.as_u16(), 401 | 403) => {
                match self.organization(true).await {
                    Ok(_) => Ok(Access::Swapped),
                    Err(_) => Ok(Access::Refused(refusal.message)),
                }
            }
            Err(error) => Err(error),
        }
    }

    async fn organization(&self, swapped: bool) -> Result<Option<OffsetDateTime>, CallError> {
        let (user, organization) = (&self.access.user_secret, &self.access.organization_secret);
        let header =
            if swapped { authorization(organization, user) } else { authorization(user, organization) };
        let request = self.client.get(self.url(&["organizations", "me"])).timeout(self.look_deadline());
        let answer = self.send(request.header(AUTHORIZATION, header)).await?;
        let date = answer.headers.get(DATE).and_then(|date| date.to_str().ok());
        // RFC 9110 dates end in GMT, which RFC 2822 readers take as +0000.
        Ok(date.and_then(|date| OffsetDateTime::parse(&date.replace("GMT", "+0000"), &Rfc2822).ok()))
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
}
