//! What commands do, in the audit trail: written down before it is done, as the console does. Who sat at the machine,
//! the operating system knows.

use time::OffsetDateTime;

use crate::reference::Reference;
use crate::storage::{Act, Storage, StorageError};

/// Who acts, as the trail says it.
pub(super) const WHO: &str = "command line";

/// Writes down that `act` is done to `subject`.
pub(super) async fn record(
    storage: &Storage,
    at: OffsetDateTime,
    act: &str,
    subject: Option<String>,
    reference: Option<Reference>,
) -> Result<(), StorageError> {
    let reference = reference.map(|reference| reference.to_string());
    let (who, act) = (WHO.to_owned(), act.to_owned());
    storage.record(Act { at, who, act, subject, address: None, reference }).await
}
