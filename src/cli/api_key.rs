//! `gangway api-key`: keys for programs that use the JSON API. Runs beside a Gangway that serves, and before the
//! first one ever did. What a script takes goes to standard output, the words to standard error.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::{Subcommand, ValueEnum};
use serde_json::json;
use time::OffsetDateTime;
use uuid::Uuid;

use super::output::seconds;
use super::{beside, trail};
use crate::api_key::ApiKeySecret;
use crate::app::Surroundings;
use crate::config::setting::duration;
use crate::entropy::fresh_id;
use crate::representation::Time;
use crate::storage::{ApiKeyRow, Scope, Storage, TokenHash};

const LONGEST_NAME: usize = 100;

#[derive(Subcommand)]
pub(super) enum Command {
    /// Make a key and print it, this once.
    Create(Create),
    /// List the keys; none is shown itself.
    List {
        /// For programs.
        #[arg(long)]
        json: bool,
    },
    /// Revoke a key: from then on it opens nothing.
    Revoke {
        /// Its id or its name, from the list.
        #[arg(value_name = "ID-or-NAME")]
        key: String,
    },
}

#[derive(clap::Args)]
pub(super) struct Create {
    /// What the list calls it, such as the program that uses it.
    #[arg(long)]
    name: String,
    /// What it may do: look, or look and change.
    #[arg(long, value_enum, default_value_t = Word::Write)]
    scope: Word,
    /// After so long it opens nothing any more, such as 90d; without, it lasts until it is revoked.
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    expires_in: Option<Duration>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Word {
    Read,
    Write,
}

impl From<Word> for Scope {
    fn from(word: Word) -> Self {
        match word {
            Word::Read => Self::Read,
            Word::Write => Self::Write,
        }
    }
}

/// Does what is asked; exit 1 where a key to be revoked is not there.
pub(super) async fn run(command: Command) -> anyhow::Result<ExitCode> {
    let (_, surroundings, storage) = beside().await?;
    let now = surroundings.clock.now();
    let outcome = match command {
        Command::Create(arguments) => create(&storage, &surroundings, arguments).await,
        Command::List { json } => list(&storage, json, now).await,
        Command::Revoke { key } => revoke(&storage, &key, now).await,
    };
    storage.close().await;
    outcome
}

async fn create(
    storage: &Storage,
    surroundings: &Surroundings,
    arguments: Create,
) -> anyhow::Result<ExitCode> {
    let name = checked(&arguments.name)?;
    let now = surroundings.clock.now();
    let end = |after: Duration| now.checked_add(time::Duration::try_from(after).ok()?);
    let expires_at = arguments.expires_in.map(|after| end(after).context("--expires-in is too long"));
    let row = ApiKeyRow {
        id: fresh_id(&*surroundings.clock, &*surroundings.entropy),
        name: name.to_owned(),
        scope: arguments.scope.into(),
        created_at: now,
        expires_at: expires_at.transpose()?,
        revoked_at: None,
        last_used_at: None,
    };
    let key = ApiKeySecret::draw(&*surroundings.entropy);
    let act = trail::act(now, "api_key.create", Some(row.name.clone()));
    if !storage.add_api_key(&row, TokenHash::of(key.expose()), act).await? {
        bail!("there is a key named {name:?}; revoke it first, or choose another name");
    }
    eprintln!("API key {} ({}, {}). It is shown this once:", row.id, row.name, row.scope.as_str());
    println!("{}", key.expose());
    Ok(ExitCode::SUCCESS)
}

/// A name fits in a line, and is no id: `revoke` takes either.
fn checked(name: &str) -> anyhow::Result<&str> {
    let name = name.trim();
    if name.is_empty() || name.chars().count() > LONGEST_NAME || name.chars().any(char::is_control) {
        bail!("--name must have 1 to {LONGEST_NAME} characters on one line");
    }
    if name.parse::<Uuid>().is_ok() {
        bail!("--name must not be an id");
    }
    Ok(name)
}

async fn list(storage: &Storage, as_json: bool, now: OffsetDateTime) -> anyhow::Result<ExitCode> {
    let keys = storage.api_keys().await?;
    if as_json {
        let keys: Vec<_> = keys
            .iter()
            .map(|key| {
                json!({
                    "id": key.id, "name": key.name, "scope": key.scope.as_str(), "state": key.state(now),
                    "created_at": Time::from(key.created_at), "expires_at": key.expires_at.map(Time::from),
                    "revoked_at": key.revoked_at.map(Time::from), "last_used_at": key.last_used_at.map(Time::from),
                })
            })
            .collect();
        println!("{}", serde_json::to_string_pretty(&keys)?);
        return Ok(ExitCode::SUCCESS);
    }
    println!(
        "{:36}  {:5}  {:7}  {:20}  {:20}  {:20}  NAME",
        "ID", "SCOPE", "STATE", "CREATED", "LAST USED", "EXPIRES"
    );
    for key in keys {
        let [created, used, ends] = [Some(key.created_at), key.last_used_at, key.expires_at].map(seconds);
        let (scope, state) = (key.scope.as_str(), key.state(now));
        println!("{}  {scope:5}  {state:7}  {created:20}  {used:20}  {ends:20}  {}", key.id, key.name);
    }
    Ok(ExitCode::SUCCESS)
}

async fn revoke(storage: &Storage, key: &str, now: OffsetDateTime) -> anyhow::Result<ExitCode> {
    let key = key.trim();
    if storage.revoke_api_key(key, trail::act(now, "api_key.revoke", Some(key.to_owned()))).await? {
        eprintln!("Revoked: it opens nothing any more.");
        return Ok(ExitCode::SUCCESS);
    }
    // Not repeated: somebody may have pasted the key itself.
    eprintln!("There is no key with this id or name that is not revoked; `gangway api-key list` has them.");
    Ok(ExitCode::FAILURE)
}
