//! The filters of the list as they stand in the address, and back. What cannot be read is a clear no, never a
//! list of something else.

use serde::Deserialize;
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;
use time::{OffsetDateTime, PrimitiveDateTime};

use super::cursor;
use crate::elements::EventType;
use crate::seal::SecretKey;
use crate::storage::{EventFilter, EventId};
use crate::web::failure::Failure;

/// Longer texts are not looked for.
const LONGEST: usize = 200;

/// The query of the list; an empty field is none.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub struct Query {
    pub(super) instance: String,
    #[serde(rename = "type")]
    pub(super) event_type: String,
    pub(super) object_type: String,
    pub(super) from: String,
    pub(super) to: String,
    pub(super) text: String,
    pub(super) after: String,
}

impl Query {
    /// What it means.
    pub(super) fn filter(&self) -> Result<EventFilter, Failure> {
        let no = |what: &str| Failure::BadRequest(format!("{what} cannot be read"));
        let given = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
        if self.text.len() > LONGEST || self.object_type.len() > LONGEST {
            return Err(no("a filter of that length"));
        }
        let instance =
            given(&self.instance).map(|id| id.parse().map_err(|_| no("the instance"))).transpose()?;
        let known = |word: String| EventType::named(&word).ok_or_else(|| no("the type"));
        let event_type = given(&self.event_type).map(known).transpose()?;
        let moment =
            |text: &str, what| given(text).map(|text| moment(&text).ok_or_else(|| no(what))).transpose();
        Ok(EventFilter {
            instance,
            event_type,
            object_type: given(&self.object_type),
            since: moment(&self.from, "the beginning")?,
            until: moment(&self.to, "the end")?,
            // Blanks may be meant.
            text: Some(self.text.clone()).filter(|text| !text.is_empty()),
        })
    }

    /// Where the page starts, if not at the newest event.
    pub(super) fn start(&self, key: &SecretKey) -> Result<Option<EventId>, Failure> {
        if self.after.is_empty() {
            return Ok(None);
        }
        let id = cursor::read(key, &self.written(), &self.after);
        id.map(Some).ok_or_else(|| Failure::BadRequest("not a cursor of this list".to_owned()))
    }

    /// The address of the page that starts after `id`.
    pub(super) fn page_after(&self, key: &SecretKey, id: EventId) -> String {
        let written = self.written();
        let and = if written.is_empty() { "" } else { "&" };
        format!("/admin/events?{written}{and}after={}", cursor::write(key, &written, id))
    }

    /// The filters without the cursor, always in the same order.
    fn written(&self) -> String {
        let mut written = form_urlencoded::Serializer::new(String::new());
        for (name, value) in [
            ("instance", &self.instance),
            ("type", &self.event_type),
            ("object_type", &self.object_type),
            ("from", &self.from),
            ("to", &self.to),
            ("text", &self.text),
        ] {
            if !value.is_empty() {
                written.append_pair(name, value);
            }
        }
        written.finish()
    }

    /// Whether anything is filtered.
    pub(super) fn filters(&self) -> bool {
        !self.written().is_empty()
    }
}

/// RFC 3339, or what a browser's field for a time sends, which is taken as UTC.
fn moment(text: &str) -> Option<OffsetDateTime> {
    let minutes = format_description!("[year]-[month]-[day]T[hour]:[minute]");
    let seconds = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]");
    let field = |text| PrimitiveDateTime::parse(text, seconds).or(PrimitiveDateTime::parse(text, minutes));
    OffsetDateTime::parse(text, &Rfc3339).ok().or_else(|| field(text).ok().map(PrimitiveDateTime::assume_utc))
}
