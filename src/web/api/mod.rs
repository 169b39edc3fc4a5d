//! The JSON API, `/api/v1`: for programs with a key. What it takes and answers is described by its own document
//! (`openapi`), which is made from the types that are used here.

mod amend;
mod audiences;
mod body;
mod deliveries;
mod document;
mod endpoints;
mod events;
mod idempotency;
mod instance;
mod instances;
mod invites;
mod lists;
mod openapi;
mod query;
mod readable;
mod stream;
mod waiting;

pub use amend::amend as amend_instance;
pub use audiences::{list as audiences, report as report_audiences};
pub use deliveries::{list as deliveries, redeliver};
pub use endpoints::{
    create as create_endpoint, delete as delete_endpoint, list as endpoints, switch_on as switch_endpoint_on,
};
pub use events::{list as events, one as event};
pub use idempotency::idempotency;
pub use instance::{
    check as check_instance, disconnect as disconnect_instance, missed_events as ask_again, one as instance,
    pause as pause_instance, reconnect_link as instance_reconnect_link, resume as resume_instance, timeline,
};
pub use instances::list as instances;
pub use invites::{create as create_invite, list as invites, revoke as revoke_invite};
pub use openapi::document as openapi;
pub use readable::readable as readable_document;
pub use waiting::Waiting;
