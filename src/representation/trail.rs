//! One row of the audit trail.

use serde::Serialize;

use super::Time;
use crate::storage::Act;

/// Who did what, to what, when, and from where.
#[derive(Serialize)]
pub struct TrailRow {
    /// Its place in the trail.
    seq: i64,
    at: Time,
    who: String,
    act: String,
    subject: Option<String>,
    address: Option<String>,
    reference: Option<String>,
}

impl From<(i64, Act)> for TrailRow {
    fn from((seq, act): (i64, Act)) -> Self {
        let Act { at, who, act, subject, address, reference } = act;
        Self { seq, at: at.into(), who, act, subject, address, reference }
    }
}
