//! The operator's console: who may come in, and what stands there.

mod amend;
mod audiences;
mod audit;
mod bulk;
mod care;
mod console;
mod deliveries;
mod doctor;
mod events;
mod formula;
mod instance;
mod instance_export;
mod instances;
mod invites;
mod missed;
mod operators;
mod overview;
mod problem;
mod reconcile;
mod references;
mod sessions;
mod sign_in;
mod weak_passwords;

pub use amend::{name_form, rename, retag};
pub use audiences::{audiences, audiences_form};
pub use audit::{audit, csv as audit_csv, json_export as audit_json};
pub use bulk::{bulk, bulks, check_many, new_bulk, pause_many, resume_many, stop_bulk};
pub use care::{check, disconnect, disconnect_form, pause, reconnect_link, resume};
pub use console::Console;
pub use deliveries::{
    begin_redelivery, delete as delete_endpoint, delete_form as delete_endpoint_form, deliveries, delivery,
    endpoint, endpoints, new_redelivery, redeliver, redeliveries, register as register_endpoint,
    stop_redelivery, switch_on as switch_endpoint_on,
};
pub use doctor::doctor;
pub use events::{event, events, live, live_feed, payload};
pub use instance::instance;
pub use instance_export::{csv as instances_csv, json as instances_json};
pub use instances::instances;
pub use invites::{create as create_invite, invite, invites, revoke as revoke_invite};
pub use missed::ask_again;
pub use operators::{
    add as add_operator, link as operator_link, operators, remove as remove_operator, set_role,
};
pub use overview::overview;
pub use problem::ConsoleProblemPage;
pub use reconcile::{reconcile, reconcile_page};
pub use references::{reference, reference_line, references};
pub use sessions::{end as end_session, end_others, password_form, sessions, set_password};
pub use sign_in::{first_sign_in, first_sign_in_form, sign_in, sign_in_form, sign_out};

/// Who asks, on timelines, for what is done in the console.
const OPERATOR: &str = "the operator";
