//! An invite.

use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;

use super::Time;
use crate::invite;

/// A link for one customer; never the link itself.
#[derive(Serialize, ToSchema)]
pub struct Invite {
    #[schema(format = "uuid")]
    id: String,
    /// For whom.
    customer: String,
    /// For the instance.
    tags: Vec<String>,
    /// Where the customer goes afterwards.
    #[schema(required)]
    return_url: Option<String>,
    /// How many accounts may be connected with it; null: any number.
    #[schema(required)]
    uses: Option<u32>,
    /// How many were.
    used: u32,
    /// `created`, `opened`, `started`, `connected`, `expired` or `revoked`.
    #[schema(example = "created")]
    state: &'static str,
    created_at: Time,
    expires_at: Time,
    #[schema(required)]
    opened_at: Option<Time>,
    #[schema(required)]
    started_at: Option<Time>,
    #[schema(required)]
    connected_at: Option<Time>,
    #[schema(required)]
    revoked_at: Option<Time>,
}

/// An invite that was just made.
#[derive(Serialize, ToSchema)]
pub struct MadeInvite {
    /// Itself.
    #[serde(flatten)]
    pub invite: Invite,
    /// The link; shown this once.
    pub url: String,
}

impl Invite {
    /// How it stands at `now`.
    pub fn of(invite: invite::Invite, now: OffsetDateTime) -> Self {
        Self {
            state: invite.state(now).as_str(),
            id: invite.id.to_string(),
            customer: invite.customer,
            tags: invite.tags,
            return_url: invite.return_url,
            uses: invite.uses,
            used: invite.used,
            created_at: invite.created_at.into(),
            expires_at: invite.expires_at.into(),
            opened_at: invite.opened_at.map(Time::from),
            started_at: invite.started_at.map(Time::from),
            connected_at: invite.connected_at.map(Time::from),
            revoked_at: invite.revoked_at.map(Time::from),
        }
    }
}
