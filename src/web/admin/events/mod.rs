//! Events in the console: the list, one event with its payload, and how they come in.

mod chart;
mod cursor;
mod filter;
mod list;
mod live;
mod one;
mod payload;
mod refused;

pub(super) use chart::{Chart, charts};
pub use list::events;
pub use live::{live, live_feed};
pub use one::{event, payload};
pub(super) use refused::in_a_sentence;

/// This part of the console.
const HERE: &str = "events";
