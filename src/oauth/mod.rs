//! The authorization code grant of RFC 6749, as far as the client sees it: the state, the trip to the
//! authorization server, and its answer. Plain values without HTTP, storage or a provider's quirks.

mod authorization_request;
mod authorization_response;
mod state;

pub use authorization_request::{NotPending, PENDING_LIFETIME, PendingRequest, PendingRequests, Purpose};
pub use authorization_response::{AuthorizationResponse, ErrorCode, GrantCode, InvalidAuthorizationResponse};
pub use state::{State, StateHash};
