//! Events in the console: the list, one event with its payload, and how they come in.

mod cursor;
mod filter;
mod list;
mod one;
mod payload;

pub use list::events;
pub use one::{event, payload};

/// This part of the console.
const HERE: &str = "events";
