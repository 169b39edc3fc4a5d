//! Gangway: the web app a company hosts so that its customers can connect their MailChimp accounts.
//! The list of modules is the table of contents; docs/architecture.md is the map.

pub mod api_key;
pub mod app;
pub mod checkpoint;
pub mod cli;
pub mod clock;
pub mod colour;
pub mod config;
pub mod doctor;
pub mod elements;
pub mod entropy;
pub mod events;
pub mod invite;
pub mod mailchimp;
pub mod oauth;
pub mod onboarding;
pub mod reference;
pub mod representation;
pub mod seal;
pub mod simulator;
pub mod storage;
pub mod telemetry;
pub mod web;
pub mod webhook;
