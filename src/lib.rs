//! x
pub mod clock;
pub mod config;
pub mod entropy;
pub mod mailchimp;
pub mod oauth;
pub mod reference;
pub mod seal;
