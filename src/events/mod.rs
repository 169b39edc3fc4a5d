//! Event notifications after the wire: verified, stored once, told to whoever watches, and passed on. The HTTP side is
//! `web`'s, the bytes' meaning `elements`'.

mod deliveries;
mod feed;
mod inbox;
mod refusals;
mod retention;

pub use deliveries::{Deliveries, GAPS, NotAllowed, NotRegistered};
pub use feed::{Feed, Watcher};
pub use inbox::{Inbox, NoRoom, Recipient, Share, SignedNotification, Trial, UnknownRecipient};
pub use refusals::{Refusal, Refusals, Refused};
pub use retention::prune;
