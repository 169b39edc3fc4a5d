//! What the other rooms refuse, as a failure of the edge.

use super::Failure;
use crate::events::{NotRegistered, UnknownRecipient};
use crate::onboarding::{NotAmended, NotCompared, NotDisconnected, NotDone, NotListed};

impl From<NotDisconnected> for Failure {
    fn from(error: NotDisconnected) -> Self {
        match error {
            NotDisconnected::Unknown => Self::NotFound,
            NotDisconnected::AsItStands(state) => Self::Conflict(state),
            NotDisconnected::Storage(error) => Self::Storage(error),
        }
    }
}

impl From<NotDone> for Failure {
    fn from(error: NotDone) -> Self {
        match error {
            NotDone::Unknown => Self::NotFound,
            NotDone::AsItStands(state) => Self::Conflict(state),
            NotDone::Refused(said) => Self::Upstream(said),
            NotDone::Unclear(said) => Self::Unclear(said),
            NotDone::Storage(error) => Self::Storage(error),
        }
    }
}

impl From<NotAmended> for Failure {
    fn from(error: NotAmended) -> Self {
        match error {
            NotAmended::Unknown => Self::NotFound,
            NotAmended::Unfit { field, why } => Self::Field(field, why.to_owned()),
            NotAmended::AsItStands(state) => Self::Conflict(state),
            NotAmended::Storage(error) => Self::Storage(error),
        }
    }
}

impl From<NotListed> for Failure {
    fn from(error: NotListed) -> Self {
        match error {
            NotListed::AsItStands(state) => Self::Conflict(state),
            NotListed::Upstream(error) => Self::Upstream(error.to_string()),
            NotListed::Storage(error) => Self::Storage(error),
        }
    }
}

impl From<NotCompared> for Failure {
    fn from(error: NotCompared) -> Self {
        match error {
            NotCompared::Upstream(error) => Self::Upstream(error.to_string()),
            NotCompared::Storage(error) => Self::Storage(error),
        }
    }
}

impl From<UnknownRecipient> for Failure {
    fn from(error: UnknownRecipient) -> Self {
        match error {
            UnknownRecipient::Unknown => Self::NotFound,
            UnknownRecipient::Disconnected => Self::Gone,
            UnknownRecipient::Storage(error) => Self::Storage(error),
        }
    }
}

impl From<NotRegistered> for Failure {
    fn from(error: NotRegistered) -> Self {
        match error {
            NotRegistered::NotAllowed(why) => Self::Field("url", why.to_string()),
            NotRegistered::Storage(error) => Self::Storage(error),
        }
    }
}
