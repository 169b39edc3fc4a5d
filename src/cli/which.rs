//! Which instance is meant: by its id, the beginning of it, or a reference number.

use uuid::Uuid;

use crate::elements::Instance;
use crate::reference::Reference;
use crate::storage::{Storage, StorageError};

/// Of an id at least so much must be written.
const SHORTEST: usize = 8;

/// Why none, or not one.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotOne {
    /// It is not written as any of the three.
    #[error("{0:?} is no id, no beginning of one with at least 8 characters, and no reference number")]
    Unreadable(String),
    /// Nothing is known by it.
    #[error("there is no instance with {0}")]
    None(String),
    /// It fits several.
    #[error("{0} fits several instances; write more of the id")]
    Several(String),
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// The one instance that `text` means.
pub(super) async fn instance(storage: &Storage, text: &str) -> Result<Instance, NotOne> {
    let text = text.trim().to_lowercase();
    let nothing = || NotOne::None(text.clone());
    let id = match text.parse::<Uuid>() {
        Ok(id) => id,
        Err(_) => beginning_or_reference(storage, &text).await?,
    };
    storage.instance(id).await?.ok_or_else(nothing)
}

async fn beginning_or_reference(storage: &Storage, text: &str) -> Result<Uuid, NotOne> {
    let hexadecimal = text.chars().all(|letter| letter.is_ascii_hexdigit() || letter == '-');
    let beginning = hexadecimal && text.len() >= SHORTEST;
    let reference = text.parse::<Reference>().ok();
    if !beginning && reference.is_none() {
        return Err(NotOne::Unreadable(text.chars().take(60).collect()));
    }
    let mut found = if beginning { storage.instances_beginning(text).await? } else { Vec::new() };
    // Eight hexadecimal digits may be either.
    if let (true, Some(reference)) = (found.is_empty(), reference) {
        found = storage.lines_of_reference(reference, 100).await?.iter().map(|line| line.instance).collect();
        found.dedup();
    }
    match found.as_slice() {
        [] => Err(NotOne::None(text.to_owned())),
        [one] => Ok(*one),
        _ => Err(NotOne::Several(text.to_owned())),
    }
}
