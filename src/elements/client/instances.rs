//! The calls on instances: sections 4 and 5 of the reference. An id is an integer, so no path can lose it
//! and become the call that acts on whatever instance a token names.

use secrecy::ExposeSecret;
use serde_json::{Map, Value, json};

use super::{CallError, CloudElements, ElementInstance, LARGEST_LIST, answer};
use crate::elements::SignatureKey;
use crate::oauth::GrantCode;

/// Lists come in pages of so many; the platform's largest page (reference section 5).
const PAGE: &str = "200";
/// Pages of a search that are followed. A host that does not know the filter sends everything: 200,000
/// instances, and then it is better to say that nothing is known.
const MOST_PAGES: usize = 1000;

const ENABLED: &str = "event.notification.enabled";
const CALLBACK_URL: &str = "event.notification.callback.url";
const SIGNATURE_KEY: &str = "event.notification.signature.key";

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

/// What an instance should be like; what is `None` stays as it is.
#[derive(Debug, Default)]
pub struct Wanted<'a> {
    /// As people see it there.
    pub name: Option<&'a str>,
    /// Every tag; those it had are replaced.
    pub tags: Option<Vec<String>>,
    /// Where its event notifications go, and what they are signed with.
    pub events: Option<(String, &'a SignatureKey)>,
    /// Whether it sends any.
    pub events_enabled: Option<bool>,
}

/// One page of a list.
#[derive(Debug)]
pub struct Listed {
    /// What stands on it.
    pub instances: Vec<ElementInstance>,
    /// Where the next one is.
    pub next: Option<String>,
}

impl CloudElements {
    /// `POST /instances`: spends the code. Never to be called twice with the same one.
    pub async fn create_instance(&self, new: &NewInstance<'_>) -> Result<ElementInstance, CallError> {
        let body = json!({
            "element": { "key": self.element },
            "providerData": { "code": new.code.expose() },
            "configuration": self.configuration(&new.events_url, new.signature_key),
            "tags": new.tags,
            "name": new.name,
        });
        let secrets = [new.code.expose(), self.app.client_secret.expose_secret(), new.signature_key.expose()];
        let answer = self.call(self.client.post(self.url(&["instances"])).json(&body)).await;
        answer.and_then(|body| answer::instance(&body)).map_err(|error| error.scrubbed(&secrets))
    }

    /// Some readers take configuration values as JSON booleans, some as text; the docs send both and the
    /// documented example for this element sends a boolean (reference section 4.1).
    fn configuration(&self, events_url: &str, signature_key: &SignatureKey) -> Value {
        json!({
            "oauth.api.key": self.app.client_id,
            "oauth.api.secret": self.app.client_secret.expose_secret(),
            "oauth.callback.url": self.redirect_uri,
            ENABLED: true,
            CALLBACK_URL: events_url,
            SIGNATURE_KEY: signature_key.expose(),
        })
    }

    /// Spends a new code on an instance that exists; its id stays. `PUT` with the whole body is what every
    /// client does; where that is not offered, `PATCH` with the code, then `PUT` with `reAuthenticate`
    /// (reference section 5). A refusal of the method is the one answer after which the code is certainly
    /// unspent.
    pub async fn reauthorize(&self, id: i64, new: &NewInstance<'_>) -> Result<ElementInstance, CallError> {
        let whole = json!({
            "id": id,
            "element": { "key": self.element },
            "providerData": { "code": new.code.expose() },
            "configuration": self.configuration(&new.events_url, new.signature_key),
            "tags": new.tags,
            "name": new.name,
        });
        let code = json!({ "name": new.name, "providerData": { "code": new.code.expose() } });
        let secrets = [new.code.expose(), self.app.client_secret.expose_secret(), new.signature_key.expose()];
        let url = self.of_instance(id);
        let mut anew = url.clone();
        anew.query_pairs_mut().append_pair("reAuthenticate", "true");
        let not_offered = |answer: &Result<Vec<u8>, CallError>| {
            answer.as_ref().is_err_and(|error| error.status() == Some(405))
        };
        let mut answer = self.call(self.client.put(url.clone()).json(&whole)).await;
        if not_offered(&answer) {
            answer = self.call(self.client.patch(url).json(&code)).await;
        }
        if not_offered(&answer) {
            answer = self.call(self.client.put(anew).json(&whole)).await;
        }
        answer.and_then(|body| answer::instance(&body)).map_err(|error| error.scrubbed(&secrets))
    }

    /// `GET /instances/{id}`; `None` where there is none.
    pub async fn instance(&self, id: i64) -> Result<Option<ElementInstance>, CallError> {
        let found = self.call(self.client.get(self.of_instance(id)).timeout(self.look_deadline())).await;
        absent_is(found, None, |body| answer::instance(&body).map(Some))
    }

    /// `PATCH /instances/{id}`: puts right what differs.
    pub async fn change(&self, id: i64, wanted: &Wanted<'_>) -> Result<(), CallError> {
        let mut configuration = Map::new();
        let mut secrets = Vec::new();
        if let Some((url, key)) = &wanted.events {
            configuration.insert(CALLBACK_URL.to_owned(), json!(url));
            configuration.insert(SIGNATURE_KEY.to_owned(), json!(key.expose()));
            secrets.push(key.expose());
        }
        if let Some(enabled) = wanted.events_enabled {
            // A text, as answers have it: the one form that was seen to work on this call.
            configuration.insert(ENABLED.to_owned(), json!(enabled.to_string()));
        }
        let mut body = Map::new();
        if !configuration.is_empty() {
            body.insert("configuration".to_owned(), configuration.into());
        }
        if let Some(name) = wanted.name {
            body.insert("name".to_owned(), json!(name));
        }
        if let Some(tags) = &wanted.tags {
            body.insert("tags".to_owned(), json!(tags));
        }
        let answer = self.call(self.client.patch(self.of_instance(id)).json(&body)).await;
        answer.map(drop).map_err(|error| error.scrubbed(&secrets))
    }

    /// `PUT /instances/{id}/enabled`.
    pub async fn enable(&self, id: i64) -> Result<(), CallError> {
        let id = id.to_string();
        self.call(self.client.put(self.url(&["instances", &id, "enabled"]))).await.map(drop)
    }

    /// `DELETE /instances/{id}`; one that is gone already is gone.
    pub async fn delete(&self, id: i64) -> Result<(), CallError> {
        absent_is(self.call(self.client.delete(self.of_instance(id))).await, (), |_| Ok(()))
    }

    /// Every instance that carries `tag`.
    pub async fn instances_tagged(&self, tag: &str) -> Result<Vec<ElementInstance>, CallError> {
        self.search(("tags[]", tag), |found| found.tags.iter().any(|carried| carried == tag)).await
    }

    /// Every instance of exactly this name.
    pub async fn instances_named(&self, name: &str) -> Result<Vec<ElementInstance>, CallError> {
        self.search(("searchText", name), |found| found.name == name).await
    }

    async fn search(
        &self,
        filter: (&str, &str),
        wanted: impl Fn(&ElementInstance) -> bool,
    ) -> Result<Vec<ElementInstance>, CallError> {
        let mut all = Vec::new();
        let mut next = None;
        for _ in 0..MOST_PAGES {
            let page = self.page(Some(filter), next.as_deref()).await?;
            all.extend(page.instances.into_iter().filter(&wanted));
            next = page.next;
            if next.is_none() {
                return Ok(all);
            }
        }
        Err(CallError::unclear("the list of instances has no end"))
    }

    /// One page of `GET /instances`. No match at all is a 404 there, an empty page here.
    pub async fn page(&self, filter: Option<(&str, &str)>, next: Option<&str>) -> Result<Listed, CallError> {
        let mut url = self.url(&["instances"]);
        url.query_pairs_mut()
            .extend_pairs(filter)
            .append_pair("pageSize", PAGE)
            .extend_pairs(next.map(|next| ("nextPage", next)));
        let request = self.client.get(url).timeout(self.look_deadline());
        let request = request.header(reqwest::header::AUTHORIZATION, self.authorization.clone());
        let nothing = Listed { instances: Vec::new(), next: None };
        absent_is(self.send_for(request, LARGEST_LIST).await, nothing, |answer| {
            let instances = answer::instances(&answer.body)?;
            // An empty page ends the list, whatever its header says.
            let next = answer.next_page().filter(|_| !instances.is_empty());
            Ok(Listed { instances, next })
        })
    }

    pub(super) fn of_instance(&self, id: i64) -> url::Url {
        self.url(&["instances", &id.to_string()])
    }
}

/// A 404 with Cloud Elements' own words says that there is nothing.
pub(super) fn absent_is<A, T>(
    answer: Result<A, CallError>,
    nothing: T,
    read: impl FnOnce(A) -> Result<T, CallError>,
) -> Result<T, CallError> {
    match answer {
        Ok(answer) => read(answer),
        Err(error) if error.status() == Some(404) => Ok(nothing),
        Err(error) => Err(error),
    }
}
