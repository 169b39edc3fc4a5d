//! The command line: one file per command. Settings stay in the environment; a command's own flags are
//! here.

mod api_key;
mod audit;
mod backup;
mod completions;
mod demo;
mod doctor;
mod events;
mod instances;
mod instances_shown;
mod invite;
mod keygen;
mod operator;
mod output;
mod reconcile;
mod rekey;
mod restore;
mod serve;
mod simulator;
mod trail;
mod which;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tokio_util::sync::CancellationToken;

use crate::app::{self, Surroundings};
use crate::config::{self, Config};
use crate::storage::Storage;
use crate::telemetry;

/// Of every command; docs/operations.md says the same.
const EXIT_CODES: &str =
    "Exit codes: 0 done; 1 it did not work, or something differs; 2 it was not called as it should be.";

/// Gangway: connects your customers' MailChimp accounts.
#[derive(Parser)]
#[command(name = "gangway", version, arg_required_else_help = true, after_help = EXIT_CODES)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the app with the settings of the environment.
    Serve,
    /// Run the app together with a simulated MailChimp and Cloud Elements; needs no settings.
    Demo(demo::Arguments),
    /// Run the simulated MailChimp and Cloud Elements alone.
    Simulator(simulator::Arguments),
    /// Check the whole chain: settings, database, the way in, Mailchimp, Cloud Elements. Exit 0 or 1.
    Doctor,
    /// Compare Cloud Elements' instances with ours.
    Reconcile(reconcile::Arguments),
    /// Links for named customers.
    #[command(subcommand)]
    Invite(invite::Command),
    /// Keys for the JSON API, `/api/v1`.
    #[command(subcommand)]
    ApiKey(api_key::Command),
    /// Who may see the console.
    #[command(subcommand)]
    Operator(operator::Command),
    /// Copy the database while Gangway serves.
    Backup(backup::Arguments),
    /// Go back to a copy, or only check it.
    Restore(restore::Arguments),
    /// Seal everything anew under another SECRET_KEY, while Gangway serves.
    Rekey(rekey::Arguments),
    /// Look at instances, and do what the console does about them.
    #[command(subcommand)]
    Instances(instances::Command),
    /// Look at events, follow them, pass them on again.
    #[command(subcommand)]
    Events(events::Command),
    /// Look at the trail of every act.
    Audit(audit::Arguments),
    /// Print a fresh SECRET_KEY.
    Keygen,
    /// Print what makes a shell complete these commands.
    Completions(completions::Arguments),
}

/// Parses the command line and runs the command.
pub async fn run() -> anyhow::Result<ExitCode> {
    leave_no_core();
    match Arguments::parse().command {
        Command::Serve => serve::run().await?,
        Command::Demo(arguments) => demo::run(arguments).await?,
        Command::Simulator(arguments) => simulator::run(arguments).await?,
        Command::Doctor => return doctor::run().await,
        Command::Reconcile(arguments) => return reconcile::run(arguments).await,
        Command::Invite(command) => return invite::run(command).await,
        Command::ApiKey(command) => return api_key::run(command).await,
        Command::Operator(command) => return operator::run(command).await,
        Command::Backup(arguments) => return backup::run(arguments).await,
        Command::Restore(arguments) => return restore::run(arguments).await,
        Command::Rekey(arguments) => return rekey::run(arguments).await,
        Command::Instances(command) => return instances::run(command).await,
        Command::Events(command) => return events::run(command).await,
        Command::Audit(arguments) => return audit::run(arguments).await,
        Command::Keygen => keygen::run(),
        Command::Completions(arguments) => completions::run(&arguments),
    }
    Ok(ExitCode::SUCCESS)
}

/// It was not asked for as it must be; clap says the same of flags.
const USAGE: u8 = 2;

/// A core dump would hold every secret: no file, no pipe, and `/proc` for root alone.
fn leave_no_core() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable)
    {
        eprintln!("gangway: core dumps cannot be switched off: {error}");
    }
}

/// What every command needs.
fn settings() -> anyhow::Result<(Config, Surroundings)> {
    let config = Config::from_variables(&config::variables()?)?;
    telemetry::start(config.log)?;
    Ok((config, Surroundings::default()))
}

/// What a command needs that works beside a Gangway that serves.
async fn beside() -> anyhow::Result<(Config, Surroundings, Storage)> {
    let (config, surroundings) = settings()?;
    let storage = Storage::open_beside(&config.database_url, app::sealer(&config, &surroundings)).await?;
    Ok((config, surroundings, storage))
}

/// `1,200`
fn with_commas(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Cancelled by Ctrl-C or SIGTERM.
fn stop_signal() -> std::io::Result<CancellationToken> {
    use tokio::signal::unix::{SignalKind, signal};
    let token = CancellationToken::new();
    let (cancel, mut terminate) = (token.clone(), signal(SignalKind::terminate())?);
    tokio::spawn(async move {
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            _ = terminate.recv() => {}
        }
        cancel.cancel();
    });
    Ok(token)
}
