//! Event notifications after the wire: verified, stored once, told to whoever watches. The HTTP side is
//! `web`'s, the bytes' meaning `elements`'.

mod feed;
mod inbox;
mod refusals;
mod retention;

pub use feed::{Feed, Watcher};
pub use inbox::{Inbox, NoRoom, Recipient, Share, SignedNotification, Trial, UnknownRecipient};
pub use refusals::{Refusal, Refusals, Refused};
pub use retention::prune;
