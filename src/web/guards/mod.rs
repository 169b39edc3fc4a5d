//! What a request must pass before a handler acts: extractors that cannot be built unverified, and one
//! middleware. Each refuses with a response.

mod act;
mod api_key;
mod invite_link;
mod operator;
mod rate_limit;
mod reconnect_link;
mod same_origin;
mod session;
mod throttle;

pub use act::Place;
pub use api_key::{ApiKey, KeyRefused, Needs, Read, Write};
pub use invite_link::InviteLink;
pub use operator::{MayAct, OwnAffairs, SESSION_LIMITS, SignedIn};
pub use rate_limit::{Admitted, RateLimit};
pub use reconnect_link::ReconnectLink;
pub use same_origin::{same_origin, taken_by_programs};
pub use session::{BrowserSession, KnownDevice, session_middleware};
pub use throttle::{Counted, Throttle};
