//! `gangway instances`: the console's verbs for scripts. Runs beside a Gangway that serves. Exit 0: done; 1: it did
//! not work; 2: it was not asked for as it must be.

use std::io::{BufRead as _, IsTerminal as _};
use std::process::ExitCode;
use std::sync::Arc;

use clap::Subcommand;
use time::OffsetDateTime;

use super::instances_shown::{Wanted, list, show, told};
use super::output::plain;
use super::which::{self, NotOne};
use super::{USAGE, beside, trail};
use crate::app;
use crate::elements::{Instance, InstanceState};
use crate::onboarding::{Amendment, Checked, NotAmended, NotDisconnected, NotDone, Onboarding, asked_by};
use crate::reference::Reference;
use crate::storage::Storage;

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
    /// Give it another name, or other tags of its own.
    Amend(Amend),
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

#[derive(clap::Args)]
pub(super) struct Amend {
    #[command(flatten)]
    one: One,
    /// 1 to 120 characters.
    #[arg(long, required_unless_present_any = ["tags", "no_tags"])]
    name: Option<String>,
    /// All of its own tags from now on; may be given several times.
    #[arg(long = "tag", value_name = "TAG", conflicts_with = "no_tags")]
    tags: Vec<String>,
    /// None of its own from now on.
    #[arg(long)]
    no_tags: bool,
}

/// Does what is asked.
pub(super) async fn run(command: Command) -> anyhow::Result<ExitCode> {
    let (config, surroundings, storage) = beside().await?;
    let (reference, now) = (Reference::draw(&*surroundings.entropy), surroundings.clock.now());
    let onboarding = app::onboarding(&config, storage.clone(), surroundings)?;
    let outcome = match command {
        Command::List(arguments) => list(&storage, arguments).await,
        command => on_one(&command, (&onboarding, &storage), reference, now).await,
    };
    storage.close().await;
    outcome
}

/// Finds the instance that is meant, writes down what is done to it, and does it.
async fn on_one(
    command: &Command,
    (onboarding, storage): (&Arc<Onboarding>, &Storage),
    reference: Reference,
    now: OffsetDateTime,
) -> anyhow::Result<ExitCode> {
    let (verb, one) = match command {
        Command::List(_) => return Ok(ExitCode::SUCCESS),
        Command::Show(one) => (None, one),
        Command::Check(one) => (Some("instance.check"), one),
        Command::Pause(one) => (Some("instance.pause"), one),
        Command::Resume(one) => (Some("instance.resume"), one),
        Command::Amend(amend) => (Some("instance.amend"), &amend.one),
        Command::Disconnect(one) => (Some("instance.disconnect"), one),
    };
    let instance = match which::instance(storage, &one.id).await {
        Ok(instance) => instance,
        Err(NotOne::Storage(error)) => return Err(error.into()),
        Err(error @ NotOne::Unreadable(_)) => return Ok(refused(&error.to_string(), USAGE.into())),
        Err(error) => return Ok(refused(&error.to_string(), ExitCode::FAILURE)),
    };
    if let Some(verb) = verb {
        trail::record(storage, now, verb, Some(instance.id.to_string()), Some(reference)).await?;
    }
    let act = act(command, (onboarding, storage), instance, reference);
    asked_by(format!("the {}", trail::WHO), act).await
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
        Command::Amend(Amend { one, name, tags, no_tags }) => {
            let tags = (*no_tags || !tags.is_empty()).then(|| tags.clone());
            match onboarding.amend(id, &Amendment { name: name.clone(), tags }, reference).await {
                Ok(()) => {
                    let now = storage.instance(id).await?.unwrap_or(instance);
                    told(&now, one.json, ExitCode::SUCCESS)
                }
                Err(NotAmended::Storage(error)) => Err(error.into()),
                Err(error @ NotAmended::Unfit { .. }) => Ok(refused(&error.to_string(), USAGE.into())),
                Err(error) => Ok(refused(&error.to_string(), ExitCode::FAILURE)),
            }
        }
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
