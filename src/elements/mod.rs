//! Cloud Elements' platform API v2, as reference/cloud-elements has it: the calls Gangway makes, the
//! instance it gets, the event notifications it receives and their signature. No storage, no pages.

mod client;
mod instance;
mod instance_state;
mod lenient;
mod notification;
mod problem;
mod read_back;
mod signature;
mod tags;

pub use client::{
    Access, Audience, AudienceWebhook, Call, CallError, CloudElements, ElementInstance, EventsPage, Listed,
    NewInstance, Ping, Queued, Refusal, UnreadAnswer, Wanted, calls_made, id_in, noting_calls,
};
pub use instance::{BrowserHash, Instance};
pub use instance_state::{Connection, InstanceState, InvalidTransition};
pub use notification::{Event, EventType, Notification};
pub use problem::{Problem, ProblemKind};
pub use read_back::{ReadBack, ReadBackNotification};
pub use signature::{MalformedSignature, Signature, SignatureKey, SignatureMismatch};
pub use tags::{LONGEST_TAG, MOST_TAGS, UnfitTags, fit_tags, named_by_tag, own_tag};
