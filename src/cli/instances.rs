//! `gangway instances`: the console's verbs for scripts. Runs beside a Gangway that serves. Exit 0: done; 1: it did
//! not work; 2: it was not asked for as it must be.

use std::io::{BufRead as _, IsTerminal as _};
use std::process::ExitCode;
use std::sync::Arc;

use super::instances_shown::{Wanted, list, show, told};
use super::output::plain;
use super::which::{self, NotOne};
use super::{USAGE, beside};
use crate::app;
use crate::elements::{Instance, InstanceState};
use crate::onboarding::{Checked, NotDisconnected, NotDone, Onboarding, asked_by};
use crate::reference::Reference;
use crate::storage::Storage;
use clap::Subcommand;

#[derive(Subcommand)]
pub(super) enum Command {
    /// List instances, the newest first.
    List(Wanted),
    /// Show one instance and its timeline.
    Show(One),
    /// Ask now whether Cloud Elements and Mailchimp let it in. Exit 1 where they do not, or nothing can be told.
    Check(One),
    /// Switch its events off.
    Pause(One),
    /// Switch its events on again.
    Resume(One),
    /// Take it down: events off, deleted at Cloud Elements, its token destroyed. At a terminal, asks for its name.
    Disconnect(One),
}

#[derive(clap::Args)]
pub(super) struct One {
    /// Its id, the beginning of it (at least 8 characters), or a reference number.
    #[arg(value_name = "ID")]
    id: String,
    /// For programs: one document, as the JSON API answers it.
    #[arg(long)]
    json: bool,
}

/// Does what is asked.
pub(super) async fn run(command: Command) -> anyhow::Result<ExitCode> {
    let (config, surroundings, storage) = beside().await?;
    let reference = Reference::draw(&*surroundings.entropy);
    let onboarding = app::onboarding(&config, storage.clone(), surroundings)?;
    let outcome = match command {
        Command::List(arguments) => list(&storage, arguments).await,
        Command::Show(ref one)
        | Command::Check(ref one)
        | Command::Pause(ref one)
        | Command::Resume(ref one)
        | Command::Disconnect(ref one) => match which::instance(&storage, &one.id).await {
            Ok(instance) => {
                let act = act(&command, (&onboarding, &storage), instance, reference);
                asked_by("the command line".to_owned(), act).await
            }
            Err(NotOne::Storage(error)) => Err(error.into()),
            Err(error @ NotOne::Unreadable(_)) => Ok(refused(&error.to_string(), USAGE.into())),
            Err(error) => Ok(refused(&error.to_string(), ExitCode::FAILURE)),
        },
    };
    storage.close().await;
    outcome
}

fn refused(why: &str, code: ExitCode) -> ExitCode {
    eprintln!("gangway: {}", plain(why));
    code
}

async fn act(
    command: &Command,
    (onboarding, storage): (&Arc<Onboarding>, &Storage),
    instance: Instance,
    reference: Reference,
) -> anyhow::Result<ExitCode> {
    let id = instance.id;
    match command {
        Command::List(_) => Ok(ExitCode::SUCCESS),
        Command::Show(one) => show(storage, &instance, one.json).await,
        Command::Pause(one) => switched(onboarding.pause(id, reference).await, one.json),
        Command::Resume(one) => switched(onboarding.resume(id, reference).await, one.json),
        Command::Check(one) => {
            let checked = onboarding.check(id, reference, true).await?;
            let now = storage.instance(id).await?.unwrap_or(instance);
            match checked {
                None => Ok(refused(&format!("the instance is {}", now.state.as_str()), ExitCode::FAILURE)),
                Some(Checked::Undetermined(why)) => Ok(refused(&why, ExitCode::FAILURE)),
                Some(Checked::Works) => told(&now, one.json, ExitCode::SUCCESS),
                Some(Checked::NeedsAttention(_)) => told(&now, one.json, ExitCode::FAILURE),
            }
        }
        Command::Disconnect(one) => {
            if !is_meant(&instance)? {
                return Ok(refused("That is not its name. Nothing was changed.", ExitCode::FAILURE));
            }
            match onboarding.disconnect(id, reference).await {
                Ok(now) if matches!(now.state, InstanceState::Disconnected(_)) => {
                    told(&now, one.json, ExitCode::SUCCESS)
                }
                Ok(now) => {
                    eprintln!(
                        "gangway: a step failed; a Gangway that serves tries it again until it is done"
                    );
                    told(&now, one.json, ExitCode::FAILURE)
                }
                Err(NotDisconnected::Storage(error)) => Err(error.into()),
                Err(error) => Ok(refused(&error.to_string(), ExitCode::FAILURE)),
            }
        }
    }
}

fn switched(outcome: Result<Instance, NotDone>, as_json: bool) -> anyhow::Result<ExitCode> {
    match outcome {
        Ok(now) => told(&now, as_json, ExitCode::SUCCESS),
        Err(NotDone::Storage(error)) => Err(error.into()),
        Err(error) => Ok(refused(&error.to_string(), ExitCode::FAILURE)),
    }
}

/// Scripts name an instance exactly; a person at a terminal types its name, as in the console.
fn is_meant(instance: &Instance) -> anyhow::Result<bool> {
    if !std::io::stdin().is_terminal() {
        return Ok(true);
    }
    eprint!("Its name, to be sure ({}): ", plain(&instance.name));
    let mut typed = String::new();
    std::io::stdin().lock().read_line(&mut typed)?;
    Ok(typed.trim() == instance.name.trim())
}
