//! `gangway invite`: links for named customers. Runs beside a Gangway that serves. What a script takes goes to standard
//! output, the words to standard error.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::anyhow;
use clap::Subcommand;
use time::OffsetDateTime;
use uuid::Uuid;

use super::output::{plain, print, print_json, seconds, table};
use super::{beside, trail};
use crate::app::{self, Surroundings};
use crate::config::Config;
use crate::config::setting::duration;
use crate::invite::{Draft, Invite};
use crate::representation::{self, MadeInvite};
use crate::storage::Storage;

/// Longer lists are the API's.
const MOST: usize = 1000;

#[derive(Subcommand)]
pub(super) enum Command {
    /// Make an invite and print its link, this once.
    Create(Create),
    /// List the invites, the newest first; no link is shown.
    List {
        /// For programs.
        #[arg(long)]
        json: bool,
    },
    /// Take an invite back: its link ends at once.
    Revoke {
        /// Its id, from the list.
        id: Uuid,
    },
}

#[derive(clap::Args)]
pub(super) struct Create {
    /// For whom, as they will read it.
    #[arg(long)]
    customer: String,
    /// Good for so long, from 1h to 30d.
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "7d")]
    ttl: Duration,
    /// How many accounts may be connected with it.
    #[arg(long, default_value_t = 1, conflicts_with = "any_number")]
    uses: u32,
    /// As many accounts as come may be connected with it.
    #[arg(long)]
    any_number: bool,
    /// A tag for the instance; may be given several times.
    #[arg(long = "tag")]
    tags: Vec<String>,
    /// Where the customer goes afterwards; must be allowed by `RETURN_URLS`.
    #[arg(long, value_name = "URL")]
    return_url: Option<String>,
    /// For programs.
    #[arg(long)]
    json: bool,
}

/// Does what is asked; exit 1 where an invite to be revoked is not there.
pub(super) async fn run(command: Command) -> anyhow::Result<ExitCode> {
    let (config, surroundings, storage) = beside().await?;
    let now = surroundings.clock.now();
    let outcome = match command {
        Command::Create(arguments) => create(&config, surroundings, &storage, arguments).await,
        Command::List { json } => list(&storage, json, now).await,
        Command::Revoke { id } => revoke(&storage, id, now).await,
    };
    storage.close().await;
    outcome
}

async fn create(
    config: &Config,
    surroundings: Surroundings,
    storage: &Storage,
    arguments: Create,
) -> anyhow::Result<ExitCode> {
    let Create { customer, ttl, uses, any_number, tags, return_url, json } = arguments;
    let uses = (!any_number).then_some(uses);
    let checked = Draft { customer, ttl: Some(ttl), uses, tags, return_url }
        .checked(&config.connecting.return_urls)
        .map_err(|no| anyhow!("--{} {}", no.field.replace('_', "-"), no.why))?;
    let now = surroundings.clock.now();
    trail::record(storage, now, "invite.create", Some(checked.customer().to_owned()), None).await?;
    let (invite, token) = app::onboarding(config, storage.clone(), surroundings)?.invite(checked).await?;
    let url = config.public_url.invite_url(&token);
    if json {
        print_json(&MadeInvite { invite: representation::Invite::of(invite, now), url })?;
    } else {
        eprintln!("Invite {} for {}. Its link is shown this once:", invite.id, invite.customer);
        println!("{url}");
    }
    Ok(ExitCode::SUCCESS)
}

async fn list(storage: &Storage, as_json: bool, now: OffsetDateTime) -> anyhow::Result<ExitCode> {
    let mut invites = storage.invites(None, MOST).await?;
    invites.truncate(MOST);
    if as_json {
        let shown = invites.into_iter().map(|invite| representation::Invite::of(invite, now));
        print_json(&shown.collect::<Vec<_>>())?;
        return Ok(ExitCode::SUCCESS);
    }
    let row = |invite: &Invite| {
        let used =
            invite.uses.map_or_else(|| invite.used.to_string(), |uses| format!("{}/{uses}", invite.used));
        let (state, ends) = (invite.state(now).as_str().to_owned(), seconds(Some(invite.expires_at)));
        vec![invite.id.to_string(), state, used, ends, plain(&invite.customer)]
    };
    let rows: Vec<Vec<String>> = invites.iter().map(row).collect();
    print(&table(&["ID", "STATE", "USED", "ENDS", "CUSTOMER"], &rows))?;
    Ok(ExitCode::SUCCESS)
}

async fn revoke(storage: &Storage, id: Uuid, now: OffsetDateTime) -> anyhow::Result<ExitCode> {
    trail::record(storage, now, "invite.revoke", Some(id.to_string()), None).await?;
    if storage.revoke_invite(id, now).await? {
        eprintln!("Revoked: its link has ended.");
        return Ok(ExitCode::SUCCESS);
    }
    eprintln!("There is no invite with this id that is not revoked; `gangway invite list` has them.");
    Ok(ExitCode::FAILURE)
}
