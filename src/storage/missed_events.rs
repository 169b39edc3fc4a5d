//! What Cloud Elements may still have for an instance: how many wait there, what was asked for, how far reading
//! back has got. The words and values; how they are written is `missed_work`'s business.

use time::OffsetDateTime;
use uuid::Uuid;

use super::{Lease, StorageError};
use crate::reference::Reference;

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$of:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name { $($(#[$of])* $variant,)* }

        impl $name {
            /// The word in the database and in metrics.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }

            pub(super) fn read(word: &str) -> Result<Self, StorageError> {
                match word {
                    $($word => Ok(Self::$variant),)*
                    _ => Err(StorageError::Inconsistent(format!("no such word of missed events: {word:?}"))),
                }
            }
        }
    };
}

words! {
    /// Whether Cloud Elements sends what it has. Its API names no such state: it is seen by what is queued.
    Subscription {
        /// Not looked at yet.
        Unknown = "unknown",
        /// Nothing is queued.
        Delivering = "delivering",
        /// Something is, as after the last try failed: the subscription is deactivated.
        Stopped = "stopped",
    }
}

words! {
    /// What came of asking for what waits.
    AskOutcome {
        /// The call is about to leave, or has left; no answer is known.
        Sent = "sent",
        /// A yes.
        Accepted = "accepted",
        /// A clear no.
        Refused = "refused",
        /// No clear answer.
        Unclear = "unclear",
        /// Nothing waited at the next look.
        Helped = "helped",
    }
}

words! {
    /// How a reading of events ended.
    FillOutcome {
        /// At the last page.
        Complete = "complete",
        /// At the most that is read in one go.
        Cut = "cut",
        /// With a clear no.
        Refused = "refused",
        /// Without an answer, several times.
        Unclear = "unclear",
    }
}

/// What is known of one instance.
#[derive(Debug, Clone)]
pub struct MissedEvents {
    /// Whose.
    pub instance: Uuid,
    /// When it is looked at next; `None`: not at all, because it is not connected.
    pub next_look_at: Option<OffsetDateTime>,
    /// An operator wants them asked for again.
    pub wanted: Option<Reference>,
    /// The last look that could tell.
    pub looked_at: Option<OffsetDateTime>,
    /// So many waited then.
    pub waiting: i64,
    /// At least.
    pub more: bool,
    /// The first look that found any.
    pub waiting_since: Option<OffsetDateTime>,
    /// Whether Cloud Elements sends.
    pub subscription: Subscription,
    /// When a later look could not tell, and why.
    pub trouble: Option<(OffsetDateTime, String)>,
    /// So often they were asked for.
    pub asks: i64,
    /// The last time.
    pub ask: Option<Ask>,
    /// A reading that is open.
    pub fill: Option<Fill>,
    /// The last one that ended.
    pub filled: Option<Filled>,
}

/// One time that what waits was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ask {
    /// When.
    pub at: OffsetDateTime,
    /// What came of it.
    pub outcome: AskOutcome,
    /// What upstream said.
    pub detail: Option<String>,
}

/// A reading of the instance's events, on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fill {
    /// It goes on then.
    pub due_at: OffsetDateTime,
    /// What happened before is left out.
    pub from: OffsetDateTime,
    /// Upstream's name of the page to be read next; `None`: the first.
    pub page: Option<String>,
    /// So many pages were read.
    pub pages: i64,
    /// So many events were stored.
    pub stored: i64,
    /// So many tries in a row went unanswered.
    pub tries: i64,
}

/// A reading that has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filled {
    /// When.
    pub at: OffsetDateTime,
    /// How.
    pub outcome: FillOutcome,
    /// What happened before was left out.
    pub from: OffsetDateTime,
    /// So many events had not arrived, and were stored.
    pub stored: i64,
    /// What upstream said.
    pub detail: Option<String>,
}

/// What becomes of the lease when a row is written.
#[derive(Debug, Clone, Copy)]
pub enum Hold {
    /// It is kept, and renewed.
    Keep(Lease),
    /// It is given back; the next look is then.
    LetGo(Uuid, OffsetDateTime),
}

impl MissedEvents {
    /// Such as `37 notifications wait`.
    pub fn waiting_in_words(&self) -> String {
        match (self.waiting, self.more) {
            (1, false) => "1 notification waits".to_owned(),
            (waiting, false) => format!("{waiting} notifications wait"),
            (waiting, true) => format!("at least {waiting} notifications wait"),
        }
    }
}
