//! What no crash may break: every started onboarding ends in a true state, no instance is made twice, none
//! is forgotten, no code is spent twice, and no notification that was acknowledged is lost. A child process
//! killed at every named point and at random; the same in one process on injected time, by the thousand; a
//! disk that fails, a power cut, and a backup taken meanwhile.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test that cannot go on should say where, and is told by its environment how long to go on"
)]

mod acts;
#[path = "../web/app.rs"]
#[expect(dead_code, reason = "the harness of the HTTP suite; not all of it is needed here")]
mod app;
mod backup;
mod child;
mod deliveries;
mod disk;
#[path = "../web/fake.rs"]
#[expect(dead_code, reason = "the scripted upstream of the HTTP suite; one of its scripts is needed here")]
mod fake;
mod flood;
mod image;
mod kill;
mod memory;
mod missed;
#[path = "../web/postgres.rs"]
mod postgres;
mod power;
#[path = "../web/receiver.rs"]
#[expect(dead_code, reason = "the receiver of the HTTP suite; one of its moods is needed here")]
mod receiver;
mod rekey;
mod sender;
mod simulation;
mod upstream;
