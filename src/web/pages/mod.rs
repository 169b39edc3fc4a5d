//! The customer's pages, one file per step of the way.

mod audiences;
mod callback;
mod connect;
mod disconnect;
mod feed;
mod instance;
mod invited;
mod landing;
mod problem;
mod renewal;
mod stopped;

pub use audiences::{AudiencesView, Picked, audiences, audiences_form, audiences_view, picked_view};
pub use callback::{authorization_request, callback};
pub use connect::connect;
pub use disconnect::{disconnect, disconnect_form};
pub use feed::feed;
pub use instance::{feed_url, instance};
pub use invited::{connect_invited, invited};
pub use landing::landing;
pub use problem::{Action, ProblemPage};
pub use renewal::{keep_account, reconnect, reconnect_by_link, reconnect_link, renewable};
