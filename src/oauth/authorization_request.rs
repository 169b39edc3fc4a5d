//! Trips to Mailchimp that have not come back: what one browser's cookie carries. A plain value; a
//! flood of starts costs the server nothing.

use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use super::StateHash;

/// How long a person may take at Mailchimp: time to sign up or to find the telephone for the second factor.
pub const PENDING_LIFETIME: Duration = Duration::minutes(60);

/// At most so many trips at once in one browser; the oldest goes. Keeps the cookie under 4 KiB.
const MOST_PENDING: usize = 8;

/// One trip that has not come back.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PendingRequest {
    /// Names the trip.
    #[serde(rename = "s")]
    pub state: StateHash,
    /// Unix seconds after which the answer comes too late.
    #[serde(rename = "e")]
    expires: i64,
    /// The instance whose access it renews; `None` makes a new one.
    #[serde(rename = "r", default, skip_serializing_if = "Option::is_none")]
    pub renews: Option<Uuid>,
    /// The invite it was started with.
    #[serde(rename = "i", default, skip_serializing_if = "Option::is_none")]
    pub invite: Option<Uuid>,
}

impl PendingRequest {
    /// When it began.
    pub fn started_at(&self) -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp(self.expires).unwrap_or(OffsetDateTime::UNIX_EPOCH)
            - PENDING_LIFETIME
    }
}

/// What a trip is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// A new instance.
    Connect,
    /// A new instance, with this invite.
    Invited(Uuid),
    /// To renew this instance's access.
    Renew(Uuid),
}

/// The trips of one browser, oldest first.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PendingRequests(Vec<PendingRequest>);

/// Why a state is not good for a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotPending {
    /// This browser has not started such a trip.
    #[error("the state is not pending in this browser")]
    Unknown,
    /// This browser started it, too long ago.
    #[error("the authorization request has expired")]
    Expired,
}

impl PendingRequests {
    /// Adds a trip that starts `now`.
    pub fn begin(&mut self, state: StateHash, purpose: Purpose, now: OffsetDateTime) {
        if self.0.len() >= MOST_PENDING {
            self.0.drain(..=self.0.len() - MOST_PENDING);
        }
        let (renews, invite) = match purpose {
            Purpose::Connect => (None, None),
            Purpose::Invited(invite) => (None, Some(invite)),
            Purpose::Renew(instance) => (Some(instance), None),
        };
        let expires = (now + PENDING_LIFETIME).unix_timestamp();
        self.0.push(PendingRequest { state, expires, renews, invite });
    }

    /// The trip that `state` names, if it is still good. Looks at every one, whichever matches.
    pub fn find(&self, state: StateHash, now: OffsetDateTime) -> Result<&PendingRequest, NotPending> {
        let found = self
            .0
            .iter()
            .fold(None, |found, pending| if pending.state == state { Some(pending) } else { found });
        match found {
            None => Err(NotPending::Unknown),
            Some(pending) if pending.expires <= now.unix_timestamp() => Err(NotPending::Expired),
            Some(pending) => Ok(pending),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::SeededEntropy;
    use crate::oauth::State;

    const NOON: OffsetDateTime = time::macros::datetime!(2026-11-23 12:00 UTC);

    fn states(count: u64) -> Vec<StateHash> {
        (0..count).map(|seed| State::draw(&SeededEntropy::new(seed)).hash()).collect()
    }

    #[test]
    fn two_tabs_come_back_in_any_order() {
        let mut pending = PendingRequests::default();
        let states = states(2);
        for state in &states {
            pending.begin(*state, Purpose::Connect, NOON);
        }
        for state in states.iter().rev() {
            assert_eq!(pending.find(*state, NOON).map(|found| found.state), Ok(*state));
        }
    }

    #[test]
    fn a_trip_ends_after_an_hour() {
        let mut pending = PendingRequests::default();
        let state = states(1)[0];
        pending.begin(state, Purpose::Connect, NOON);
        assert!(pending.find(state, NOON + Duration::minutes(59)).is_ok());
        assert_eq!(pending.find(state, NOON + Duration::minutes(60)).err(), Some(NotPending::Expired));
    }

    #[test]
    fn the_ninth_trip_drops_the_oldest_and_the_cookie_stays_small() {
        let mut pending = PendingRequests::default();
        let states = states(9);
        for state in &states {
            pending.begin(*state, Purpose::Renew(Uuid::max()), NOON);
        }
        assert_eq!(pending.find(states[0], NOON).err(), Some(NotPending::Unknown));
        assert!(states[1..].iter().all(|state| pending.find(*state, NOON).is_ok()));
        assert!(serde_json::to_string(&pending).unwrap().len() < 1000);
    }
}
