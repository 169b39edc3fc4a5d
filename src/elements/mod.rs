//! Cloud Elements' platform API v2, as reference/cloud-elements has it: the calls Gangway makes, the
//! instance it gets, the event notifications it receives and their signature. No storage, no pages.

mod client;
mod instance;
mod notification;
mod signature;

pub use client::{CallError, CloudElements, CreatedInstance, NewInstance, Refusal};
pub use instance::{
    BrowserHash, Connection, Instance, InstanceState, InvalidTransition, Problem, ProblemKind,
};
pub use notification::{Event, EventType, Notification};
pub use signature::{MalformedSignature, Signature, SignatureKey, SignatureMismatch};

/// The tag that only our instance of this id carries; recovery finds it by it.
pub fn own_tag(instance: uuid::Uuid) -> String {
    format!("gangway-{instance}")
}
