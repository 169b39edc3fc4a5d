//! What instances are looked for, as it stands in an address: of the console, its exports and the API. What cannot
//! be read is a clear no, never a list of something else; a cursor is signed together with its question.

use hmac::Mac;
use serde::Deserialize;
use time::OffsetDateTime;

use crate::elements::InstanceState;
use crate::seal::SecretKey;
use crate::storage::{InstanceOrder, InstancePlace, InstanceQuestion};
use crate::web::failure::Failure;

/// Longer texts are not looked for.
pub(super) const LONGEST: usize = 200;
/// So much of the signature stands in the address. What it protects is the reader from a list that is not the one
/// asked for; there is nothing to steal.
const TAG_BYTES: usize = 8;
const ORDERS: [(&str, InstanceOrder); 4] = [
    ("attention", InstanceOrder::Attention),
    ("newest", InstanceOrder::Newest),
    ("name", InstanceOrder::Name),
    ("last_event", InstanceOrder::LastEvent),
];

/// The query of the console's list; an empty field is none.
#[derive(Deserialize, Default, Clone)]
#[serde(deny_unknown_fields, default)]
pub struct InstanceQuery {
    pub(super) q: String,
    pub(super) state: String,
    pub(super) tag: String,
    /// `on` or `off`
    pub(super) events: String,
    /// `yes`
    pub(super) silent: String,
    pub(super) sort: String,
    pub(super) after: String,
}

impl InstanceQuery {
    /// What it means at the time `now`.
    pub(super) fn question(&self, now: OffsetDateTime) -> Result<InstanceQuestion, Failure> {
        let no = |what: &str| Failure::BadRequest(format!("{what} cannot be read"));
        if self.q.chars().count() > LONGEST || self.tag.chars().count() > LONGEST {
            return Err(no("a filter of that length"));
        }
        let given = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
        let state = match &*self.state {
            "" => None,
            word => {
                let known = InstanceState::WORDS.iter().find(|known| **known == word);
                Some(*known.ok_or(Failure::BadRequest("no such state".to_owned()))?)
            }
        };
        let events = match &*self.events {
            "" => None,
            "on" => Some(true),
            "off" => Some(false),
            _ => return Err(no("events")),
        };
        let silent_at = match &*self.silent {
            "" => None,
            "yes" => Some(now),
            _ => return Err(no("silent")),
        };
        let order = match &*self.sort {
            "" => InstanceOrder::default(),
            word => ORDERS.iter().find(|(known, _)| *known == word).ok_or_else(|| no("the order"))?.1,
        };
        Ok(InstanceQuestion { text: given(&self.q), state, tag: given(&self.tag), events, silent_at, order })
    }

    /// Where the page starts, if not at the first.
    pub(super) fn start(&self, key: &SecretKey) -> Result<Option<InstancePlace>, Failure> {
        if self.after.is_empty() {
            return Ok(None);
        }
        let place = read_cursor(key, &self.written(), &self.after);
        place.map(Some).ok_or_else(|| Failure::BadRequest("not a cursor of this list".to_owned()))
    }

    /// The address under `path` of the page that starts after `place`.
    pub(super) fn page_after(&self, key: &SecretKey, path: &str, place: &InstancePlace) -> String {
        let cursor = write_cursor(key, &self.written(), place);
        let after = Self { after: cursor, ..self.clone() };
        after.at(path)
    }

    /// The address of the list under `path`.
    pub(super) fn at(&self, path: &str) -> String {
        let mut written = self.written();
        if !self.after.is_empty() {
            let after =
                form_urlencoded::Serializer::new(String::new()).append_pair("after", &self.after).finish();
            written = if written.is_empty() { after } else { format!("{written}&{after}") };
        }
        if written.is_empty() { path.to_owned() } else { format!("{path}?{written}") }
    }

    /// The question without the cursor, always in the same order.
    fn written(&self) -> String {
        let mut written = form_urlencoded::Serializer::new(String::new());
        for (name, value) in [
            ("q", &self.q),
            ("state", &self.state),
            ("tag", &self.tag),
            ("events", &self.events),
            ("silent", &self.silent),
            ("sort", &self.sort),
        ] {
            if !value.is_empty() {
                written.append_pair(name, value);
            }
        }
        written.finish()
    }

    /// Whether anything is filtered.
    pub(super) fn filters(&self) -> bool {
        [&self.q, &self.state, &self.tag, &self.events, &self.silent].iter().any(|value| !value.is_empty())
    }
}

/// The text for `place` under the question that `query` writes down.
pub(super) fn write_cursor(key: &SecretKey, query: &str, place: &InstancePlace) -> String {
    format!("{}.{place}", signature(key, query, place))
}

/// The place of a text that was written under the same question.
pub(super) fn read_cursor(key: &SecretKey, query: &str, text: &str) -> Option<InstancePlace> {
    let (signed, place) = text.split_once('.')?;
    let place = place.parse().ok()?;
    (signature(key, query, &place) == signed).then_some(place)
}

fn signature(key: &SecretKey, query: &str, place: &InstancePlace) -> String {
    let mac = key.mac("gangway instance cursor v1").chain_update(format!("{place} {query}"));
    mac.finalize().into_bytes().iter().take(TAG_BYTES).map(|byte| format!("{byte:02x}")).collect()
}
