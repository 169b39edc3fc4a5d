//! The authorize URL. The only file that names the oauth2 crate: Gangway sends browsers to Mailchimp
//! and leaves the token exchange to Cloud Elements, which spends the code inside `POST /instances`.

use oauth2::basic::BasicClient;
use oauth2::{AuthUrl, ClientId, CsrfToken, RedirectUrl};
use url::Url;

use crate::config::{MailchimpApp, PublicUrl};
use crate::oauth::State;

/// The provider, as the element catalogue and our pages write it.
pub const PROVIDER: &str = "MailChimp";

/// Builds authorize URLs: `response_type`, `client_id`, `redirect_uri`, `state`. Mailchimp knows neither
/// scopes nor PKCE (docs/decisions/0001).
pub struct Mailchimp {
    /// Everything but the state, which is the only part that differs between two trips.
    authorize_url: Url,
}

impl Mailchimp {
    /// For the app as it is registered.
    pub fn new(app: &MailchimpApp, public_url: &PublicUrl) -> Result<Self, oauth2::url::ParseError> {
        let client = BasicClient::new(ClientId::new(app.client_id.clone()))
            .set_auth_uri(AuthUrl::new(app.authorize_url.to_string())?)
            .set_redirect_uri(RedirectUrl::new(public_url.redirect_uri())?);
        let (url, _) = client.authorize_url(|| CsrfToken::new(String::new())).url();
        Ok(Self { authorize_url: without_state(url) })
    }

    /// Where the browser goes to approve.
    pub fn authorize_url(&self, state: &State) -> Url {
        let mut url = self.authorize_url.clone();
        url.query_pairs_mut().append_pair("state", state.as_parameter());
        url
    }

    /// The origin of that address, for `form-action`.
    pub fn origin(&self) -> String {
        self.authorize_url.origin().ascii_serialization()
    }
}

/// `url` with `state` as its only state: Cloud Elements fills in the element key when none is sent, and
/// whether it carries ours is not promised for every element (reference section 3.3).
pub fn with_state(url: Url, state: &State) -> Url {
    let mut url = without_state(url);
    url.query_pairs_mut().append_pair("state", state.as_parameter());
    url
}

fn without_state(mut url: Url) -> Url {
    let others: Vec<(String, String)> =
        url.query_pairs().filter(|(name, _)| name != "state").map(|(n, v)| (n.into(), v.into())).collect();
    url.query_pairs_mut().clear().extend_pairs(others);
    url
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::entropy::SeededEntropy;

    #[test]
    fn the_authorize_url_carries_exactly_what_mailchimp_documents() {
        let app = MailchimpApp {
            client_id: "111111111111".into(),
            client_secret: "secret".into(),
            authorize_url: "https://login.mailchimp.com/oauth2/authorize".parse().unwrap(),
        };
        let mailchimp = Mailchimp::new(&app, &PublicUrl::parse("https://a.example").unwrap()).unwrap();
        let state = State::draw(&SeededEntropy::new(1));
        let url = mailchimp.authorize_url(&state);
        let query: BTreeMap<_, _> = url.query_pairs().into_owned().collect();
        let expected = [
            ("client_id", "111111111111"),
            ("redirect_uri", "https://a.example/oauth/callback"),
            ("response_type", "code"),
            ("state", state.as_parameter()),
        ];
        assert_eq!(query, expected.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
        assert_eq!(mailchimp.origin(), "https://login.mailchimp.com");
    }

    #[test]
    fn a_foreign_state_is_replaced_by_ours() {
        let url = "https://login.example/a?state=mailchimpv3&client_id=1&state=again".parse().unwrap();
        let state = State::draw(&SeededEntropy::new(1));
        let states: Vec<_> = with_state(url, &state)
            .query_pairs()
            .filter(|(name, _)| name == "state")
            .map(|(_, value)| value.into_owned())
            .collect();
        assert_eq!(states, [state.as_parameter()]);
    }
}
