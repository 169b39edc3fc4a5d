//! What did not arrive: what waits there undelivered, asking for it again, and the events as Cloud Elements
//! keeps them (reference section 6.5). The two of deliveries are documented and tested by the vendor; the shape
//! of their answers is hardly known, so little is expected of it.

use reqwest::header::AUTHORIZATION;
use serde::Deserialize;
use serde_json::value::RawValue;
use url::Url;

use super::instances::absent_is;
use super::{CallError, CloudElements, LARGEST_LIST, answer};
use crate::elements::ReadBack;

/// The platform's largest page, where it has one (reference section 5).
const PAGE: &str = "200";
/// A name of a page that is longer is not followed: it is kept between two calls.
const LONGEST_PAGE_NAME: usize = 2048;

/// What waits at Cloud Elements because its deliveries failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Queued {
    /// So many.
    pub count: usize,
    /// At least: there is a further page, or the answer was larger than any that is read.
    pub more: bool,
}

/// One page of an instance's events.
#[derive(Debug, Default)]
pub struct EventsPage {
    /// Those of the instance, in upstream's order.
    pub events: Vec<ReadBack>,
    /// Those of others, which are left alone.
    pub others: usize,
    /// Where the next page is.
    pub next: Option<String>,
}

/// A delivery, as far as it tells whose it is. Only `hydrate=true` promises the subscription; what names
/// another address is another's, and what names none is believed to fit the filter.
#[derive(Deserialize)]
struct Delivery {
    subscription: Option<Subscription>,
    config: Option<Config>,
}

#[derive(Deserialize)]
struct Subscription {
    config: Option<Config>,
}

#[derive(Deserialize)]
struct Config {
    url: Option<String>,
}

impl Delivery {
    fn is_for(&self, url: &str) -> bool {
        let config = self.config.as_ref().or(self.subscription.as_ref().and_then(|one| one.config.as_ref()));
        config.and_then(|config| config.url.as_deref()).is_none_or(|named| named == url)
    }
}

/// How many of a list wait for `events_url`.
fn count(body: &[u8], events_url: Option<&str>) -> Result<usize, CallError> {
    let unreadable = |_| answer::unreadable("the list of deliveries cannot be read");
    let all: Vec<&RawValue> = serde_json::from_slice(body).map_err(unreadable)?;
    // One in a shape that is not known still waits.
    let is_meant = |one: &&&RawValue| {
        let read: Option<Delivery> = serde_json::from_str(one.get()).ok();
        read.is_none_or(|delivery| events_url.is_none_or(|url| delivery.is_for(url)))
    };
    Ok(all.iter().filter(is_meant).count())
}

impl CloudElements {
    /// What waits for `events_url`, or in the whole account. A 404 in Cloud Elements' own words is its empty list.
    pub async fn queued(&self, events_url: Option<&str>) -> Result<Queued, CallError> {
        let mut url = self.queue(events_url);
        url.query_pairs_mut().append_pair("pageSize", PAGE);
        let request = self.client.get(url).timeout(self.look_deadline());
        let answer =
            self.send_for(request.header(AUTHORIZATION, self.authorization.clone()), LARGEST_LIST).await;
        match absent_is(answer, Queued { count: 0, more: false }, |answer| {
            let count = count(&answer.body, events_url)?;
            Ok(Queued { count, more: count > 0 && answer.next_page().is_some() })
        }) {
            Err(error) if error.is_too_large() => Ok(Queued { count: 0, more: true }),
            queued => queued,
        }
    }

    /// `PUT` on the same address: reactivates the subscription and sends what waits for `events_url`. Any yes
    /// is one, whatever its body says.
    pub async fn redeliver(&self, events_url: &str) -> Result<(), CallError> {
        self.call(self.client.put(self.queue(Some(events_url))).timeout(self.look_deadline())).await.map(drop)
    }

    /// The address of both, for whoever has to call it by hand. Holds no secret.
    pub fn queue(&self, events_url: Option<&str>) -> Url {
        let mut url = self.url(&["notifications", "subscriptions", "deliveries"]);
        let mut wanted = "channel='webhook' and status='queued'".to_owned();
        if let Some(events_url) = events_url {
            wanted = format!("{wanted} and config.url='{events_url}'");
        }
        url.query_pairs_mut().append_pair("where", &wanted);
        url
    }

    /// One page of `GET /instances/{id}/events`. How long events are kept there, in which order they come and
    /// whether pages are named as elsewhere is not documented. None at all is a 404 there, an empty page here.
    pub async fn events(&self, id: i64, page: Option<&str>, size: u16) -> Result<EventsPage, CallError> {
        let mut url = self.of_instance(id);
        if let Ok(mut path) = url.path_segments_mut() {
            path.push("events");
        }
        url.query_pairs_mut()
            .append_pair("pageSize", &size.to_string())
            .extend_pairs(page.map(|page| ("nextPage", page)));
        let request = self.client.get(url).timeout(self.look_deadline());
        let answer =
            self.send_for(request.header(AUTHORIZATION, self.authorization.clone()), LARGEST_LIST).await;
        absent_is(answer, EventsPage::default(), |answer| {
            let unreadable = |_| answer::unreadable("the list of events cannot be read");
            let all: Vec<&RawValue> = serde_json::from_slice(&answer.body).map_err(unreadable)?;
            let events: Vec<_> = all.iter().filter_map(|one| ReadBack::read(one.get(), id)).collect();
            // An empty page ends the list, whatever its header says.
            let next = answer.next_page().filter(|name| !all.is_empty() && name.len() <= LONGEST_PAGE_NAME);
            Ok(EventsPage { others: all.len() - events.len(), events, next })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_is_counted_in_every_shape_and_what_names_another_address_is_anothers() {
        let ours = "https://app.example.test/events/1";
        let body = format!(
            r#"[{{"notificationId":1,"subscriptionId":2,"status":"queued","createdDate":"x"}},
            {{"subscription":{{"config":{{"url":"{ours}"}}}}}}, {{"subscription":{{"config":{{"url":"{ours}2"}}}}}},
            {{"config":{{"url":"https://elsewhere.example/"}}}}, {{"subscription":7}}, 7, null]"#
        );
        assert_eq!(count(body.as_bytes(), Some(ours)).unwrap(), 5);
        assert_eq!(count(body.as_bytes(), None).unwrap(), 7);
        assert_eq!(count(b"[]", None).unwrap(), 0);
        for body in ["", "{}", "<html>", "7", "[1"] {
            assert!(matches!(count(body.as_bytes(), None), Err(CallError::Unclear { .. })), "{body}");
        }
    }
}
