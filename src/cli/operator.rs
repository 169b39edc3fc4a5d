//! `gangway operator`: who may see the console. Runs beside a Gangway that serves; also the way back in for the last
//! one who forgot the password. What a script takes goes to standard output, the words to standard error.

use std::process::ExitCode;

use clap::{Subcommand, ValueEnum};
use serde_json::json;
use time::OffsetDateTime;

use super::output::{plain, print, print_json, seconds, table};
use super::{beside, trail};
use crate::operators::{NotDone, Operators};
use crate::representation::{List, Time};
use crate::storage::{LinkFor, Operator, Role, Storage};

#[derive(Subcommand)]
pub(super) enum Command {
    /// List them by name.
    List {
        /// For programs.
        #[arg(long)]
        json: bool,
    },
    /// Add one and print the link at which they choose a password, this once.
    Add {
        /// What they will sign in with.
        name: String,
        /// What they may do.
        #[arg(long, value_enum, default_value_t = Word::Operator)]
        role: Word,
    },
    /// Print a fresh one-time link, for one who forgot the password; an older one ends.
    SignInLink {
        /// Theirs.
        name: String,
    },
    /// Give one another role.
    Role {
        /// Theirs.
        name: String,
        /// What they may do from now on.
        role: Word,
    },
    /// Remove one: their sessions end at once.
    Remove {
        /// Theirs.
        name: String,
    },
}

#[derive(Clone, Copy, ValueEnum)]
pub(super) enum Word {
    /// Look and act.
    Operator,
    /// Look.
    Viewer,
}

impl From<Word> for Role {
    fn from(word: Word) -> Self {
        match word {
            Word::Operator => Self::Operator,
            Word::Viewer => Self::Viewer,
        }
    }
}

/// Does what is asked; exit 1 where it cannot be.
pub(super) async fn run(command: Command) -> anyhow::Result<ExitCode> {
    let (config, surroundings, storage) = beside().await?;
    let operators = Operators::new(&config, &storage, (&surroundings.clock, &surroundings.entropy));
    let outcome = match command {
        Command::List { json } => list(&storage, json).await,
        command => match changed(command, &operators, &storage, surroundings.clock.now()).await {
            Ok(code) => Ok(code),
            Err(NotDone::Storage(error)) => Err(error.into()),
            Err(refused) => {
                eprintln!("gangway: {refused} Nothing was changed.");
                Ok(ExitCode::FAILURE)
            }
        },
    };
    storage.close().await;
    outcome
}

async fn changed(
    command: Command,
    operators: &Operators<'_>,
    storage: &Storage,
    now: OffsetDateTime,
) -> Result<ExitCode, NotDone> {
    let (verb, name) = match &command {
        Command::List { .. } => return Ok(ExitCode::SUCCESS),
        Command::Add { name, .. } => ("operator.add", name),
        Command::SignInLink { name } => ("operator.linked", name),
        Command::Role { name, role: Word::Operator } => ("operator.promoted", name),
        Command::Role { name, role: Word::Viewer } => ("operator.demoted", name),
        Command::Remove { name } => ("operator.removed", name),
    };
    let known = storage.operator_named(name.trim()).await?;
    if known.is_none() && !matches!(command, Command::Add { .. }) {
        eprintln!("There is no operator of this name; `gangway operator list` has them.");
        return Ok(ExitCode::FAILURE);
    }
    trail::record(storage, now, verb, Some(name.trim().chars().take(40).collect()), None).await?;
    match (command, known) {
        (Command::Add { name, role }, _) => {
            return link(operators, &operators.add(&name, role.into()).await?).await;
        }
        (Command::SignInLink { .. }, Some(one)) => return link(operators, &one).await,
        (Command::Role { role, .. }, Some(one)) => operators.set_role(one.id, role.into()).await?,
        (Command::Remove { .. }, Some(one)) => operators.remove(one.id).await?,
        (_, None) | (Command::List { .. }, _) => {}
    }
    eprintln!("Done.");
    Ok(ExitCode::SUCCESS)
}

async fn link(operators: &Operators<'_>, one: &Operator) -> Result<ExitCode, NotDone> {
    let url = operators.sign_in_link(LinkFor::Operator(one.id)).await?;
    eprintln!("{} chooses a password at this link. It works once, within a day:", one.name);
    println!("{url}");
    Ok(ExitCode::SUCCESS)
}

async fn list(storage: &Storage, as_json: bool) -> anyhow::Result<ExitCode> {
    let all = storage.operators().await?;
    let ready = |one: &Operator| !one.password_hash.is_empty();
    if as_json {
        let items = all.iter().map(|one| {
            json!({
                "id": one.id, "name": one.name, "role": one.role.as_str(), "has_password": ready(one),
                "created_at": Time::from(one.created_at),
            })
        });
        print_json(&List { items: items.collect(), next: None })?;
        return Ok(ExitCode::SUCCESS);
    }
    let row = |one: &Operator| {
        let password = if ready(one) { "chosen" } else { "not yet" };
        vec![
            one.role.as_str().to_owned(),
            password.to_owned(),
            seconds(Some(one.created_at)),
            plain(&one.name),
        ]
    };
    let rows: Vec<Vec<String>> = all.iter().map(row).collect();
    print(&table(&["ROLE", "PASSWORD", "SINCE", "NAME"], &rows))?;
    Ok(ExitCode::SUCCESS)
}
