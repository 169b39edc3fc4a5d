//! What commands do, in the audit trail: written down before it is done, as the console does. Who sat at the machine,
//! the operating system knows.

use time::OffsetDateTime;

use crate::reference::Reference;
use crate::storage::{Act, Storage, StorageError};

/// Who acts, as the trail says it.
pub(super) const WHO: &str = "command line";

/// That `act` is done to `subject`, for a write that makes the change and its row in one.
pub(super) fn act(at: OffsetDateTime, act: &str, subject: Option<String>) -> Act {
    let (who, act) = (WHO.to_owned(), act.to_owned());
    Act { at, who, act, subject, address: None, reference: None }
}

/// Writes it down.
pub(super) async fn record(
    storage: &Storage,
    at: OffsetDateTime,
    word: &str,
    subject: Option<String>,
    reference: Option<Reference>,
) -> Result<(), StorageError> {
    let reference = reference.map(|reference| reference.to_string());
    storage.record(Act { reference, ..act(at, word, subject) }).await
}
