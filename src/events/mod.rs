//! Event notifications after the wire: verified, stored once, told to whoever watches, and passed on; and those that
//! never came, asked for and read back. The HTTP side is `web`'s, the bytes' meaning `elements`'.

mod deliveries;
mod feed;
mod inbox;
mod missed;
mod refusals;
mod retention;

pub use deliveries::{Deliveries, GAPS, NotAllowed, NotRegistered};
pub use feed::{Feed, Watcher};
pub use inbox::{Inbox, NoRoom, Recipient, Share, SignedNotification, Trial, UnknownRecipient};
pub use missed::Missed;
pub use refusals::{Refusal, Refusals, Refused};
pub use retention::prune;
