//! What every answer of the API is made of: lists with a cursor, and times.

use serde::{Deserialize, Serialize, Serializer};
use time::format_description::well_known::Rfc3339;
use time::{OffsetDateTime, UtcOffset};
use utoipa::{IntoParams, ToSchema};

/// A part of a list, and where the next part begins.
#[derive(Serialize, ToSchema)]
pub(super) struct List<T> {
    /// In the order of the list.
    pub(super) items: Vec<T>,
    /// `?cursor=` of the next part; null where there is none.
    #[schema(required)]
    pub(super) next: Option<String>,
}

/// Which part of a list.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Part {
    /// At most so many.
    #[param(value_type = Option<u16>, minimum = 1, maximum = 500, default = 50)]
    pub(super) limit: Option<String>,
    /// `next` of the part before.
    pub(super) cursor: Option<String>,
}

/// A moment: RFC 3339, in UTC.
#[derive(ToSchema)]
#[schema(value_type = String, format = DateTime, example = "2026-11-23T12:00:00Z")]
pub(super) struct Time(OffsetDateTime);

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
