//! What programs read: the JSON of things, the same from the API, the exports and the command line. Shapes alone: what is asked
//! for, and how it is answered, is theirs.

mod event;
mod instance;
mod invite;
mod trail;

use serde::{Serialize, Serializer};
use time::format_description::well_known::Rfc3339;
use time::{OffsetDateTime, UtcOffset};
use utoipa::ToSchema;

pub use event::Event;
pub use instance::{Instance, InstanceWithTimeline, TimelineLine};
pub use invite::{Invite, MadeInvite};
pub use trail::TrailRow;

/// A part of a list, and where the next part begins.
#[derive(Serialize, ToSchema)]
pub struct List<T> {
    /// In the order of the list.
    pub items: Vec<T>,
    /// `?cursor=` of the next part; null where there is none.
    #[schema(required)]
    pub next: Option<String>,
}

/// A moment: RFC 3339, in UTC.
#[derive(ToSchema)]
#[schema(value_type = String, format = DateTime, example = "2026-11-23T12:00:00Z")]
pub struct Time(OffsetDateTime);

impl From<OffsetDateTime> for Time {
    fn from(at: OffsetDateTime) -> Self {
        Self(at.to_offset(UtcOffset::UTC))
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0.format(&Rfc3339).unwrap_or_default())
    }
}
