//! The HTTP suite: the real app on a free port with its own database; the other side is the simulator, or
//! a fake that can be scripted. One module per family of routes; a row of the threat list is named by its id.

mod admin;
mod app;
mod architecture;
mod canary;
mod connect;
mod events;
mod fake;
mod http;
mod process;
mod simulator;
mod upstream;
