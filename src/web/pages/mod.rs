//! The customer's pages, one file per step of the way.

mod callback;
mod connect;
mod feed;
mod instance;
mod landing;
mod problem;

pub use callback::{authorization_request, callback};
pub use connect::connect;
pub use feed::feed;
pub use instance::{feed_url, instance};
pub use landing::landing;
pub use problem::{Action, ProblemPage};
