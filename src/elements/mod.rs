//! Cloud Elements' platform API v2, as reference/cloud-elements has it: the calls Gangway makes, the
//! instance it gets, the event notifications it receives and their signature. No storage, no pages.

mod client;
mod instance;
mod lenient;
mod notification;
mod read_back;
mod signature;

pub use client::{
    Access, Audience, AudienceWebhook, Call, CallError, CloudElements, ElementInstance, EventsPage, Listed,
    NewInstance, Ping, Queued, Refusal, UnreadAnswer, Wanted, calls_made, id_in, noting_calls,
};
pub use instance::{
    BrowserHash, Connection, Instance, InstanceState, InvalidTransition, Problem, ProblemKind,
};
pub use notification::{Event, EventType, Notification};
pub use read_back::{ReadBack, ReadBackNotification};
pub use signature::{MalformedSignature, Signature, SignatureKey, SignatureMismatch};

const OWN_TAG: &str = "gangway-";

/// The tag that only our instance of this id carries; recovery finds it by it.
pub fn own_tag(instance: uuid::Uuid) -> String {
    format!("{OWN_TAG}{instance}")
}

/// The instance of ours that `tag` names, if it is such a tag.
pub fn named_by_tag(tag: &str) -> Option<uuid::Uuid> {
    tag.strip_prefix(OWN_TAG)?.parse().ok()
}
