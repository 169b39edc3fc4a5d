//! The HTTP suite: the real app on a free port with its own database; the other side is the simulator, or
//! a fake that can be scripted. One module per family of routes; a row of the threat list is named by its id.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on should say where"
)]

mod acting;
mod admin;
mod api;
mod app;
mod architecture;
mod audiences;
mod bulk;
mod canary;
mod care;
mod commands;
mod connect;
mod console_events;
mod contended;
mod deliveries;
mod doctor;
mod events;
mod face;
mod fake;
mod finding;
mod http;
mod idempotency;
mod instance_api;
mod invites;
mod missed;
mod observatory;
mod operators;
mod overview;
mod process;
mod program;
mod proxy;
mod pulling;
mod receiver;
mod simulator;
mod together;
mod trail;
mod upstream;
mod viewers;
mod whose;
