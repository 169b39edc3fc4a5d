//! `gangway events`: what arrived, as it arrives, and passing it on again. Runs beside a Gangway that serves. Exit 0:
//! done; 1: it did not work; 2: it was not asked for as it must be.

use std::process::ExitCode;
use std::time::Duration;

use clap::Subcommand;
use time::OffsetDateTime;

use super::output::{plain, print, print_json, seconds, table};
use super::which::{self, NotOne};
use super::{USAGE, beside, stop_signal, trail};
use crate::elements::EventType;
use crate::representation::{self, Event};
use crate::storage::{EventFilter, EventId, EventRow, Storage};

/// Between two looks.
const GAP: Duration = Duration::from_secs(1);
const PART: usize = 500;

#[derive(Subcommand)]
pub(super) enum Command {
    /// List events in the order of arrival: the latest, or those after one.
    List(List),
    /// Print events as they arrive, until Ctrl-C; with --json one document a line.
    Tail(Tail),
    /// Pass a notification on again: to every endpoint it was meant for, or one delivery of it.
    Redeliver(Redeliver),
}

#[derive(clap::Args)]
pub(super) struct Which {
    /// Of this instance: its id, the beginning of it, or a reference number.
    #[arg(long, value_name = "ID")]
    instance: Option<String>,
    /// CREATED, UPDATED, DELETED or UNKNOWN.
    #[arg(long = "type", value_parser = event_type)]
    event_type: Option<EventType>,
    /// After the event with this id.
    #[arg(long, value_name = "ID")]
    after: Option<EventId>,
    /// For programs, as the JSON API answers it.
    #[arg(long)]
    json: bool,
}

#[derive(clap::Args)]
pub(super) struct List {
    #[command(flatten)]
    which: Which,
    /// At most so many.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=500))]
    limit: u16,
}

#[derive(clap::Args)]
pub(super) struct Tail {
    #[command(flatten)]
    which: Which,
}

#[derive(clap::Args)]
#[group(required = true, multiple = false)]
pub(super) struct Redeliver {
    /// An event: every delivery of its notification.
    #[arg(value_name = "ID")]
    event: Option<EventId>,
    /// One delivery, by its number.
    #[arg(long, value_name = "NUMBER")]
    delivery: Option<i64>,
}

fn event_type(word: &str) -> Result<EventType, String> {
    EventType::named(word).ok_or_else(|| "it is CREATED, UPDATED, DELETED or UNKNOWN".to_owned())
}

/// Does what is asked.
pub(super) async fn run(command: Command) -> anyhow::Result<ExitCode> {
    let (_, surroundings, storage) = beside().await?;
    let outcome = match command {
        Command::List(arguments) => list(&storage, arguments).await,
        Command::Tail(arguments) => tail(&storage, arguments.which).await,
        Command::Redeliver(arguments) => redeliver(&storage, arguments, surroundings.clock.now()).await,
    };
    storage.close().await;
    match outcome {
        Ok(code) => Ok(code),
        Err(error) => match error.downcast::<NotOne>() {
            Ok(error) => {
                eprintln!("gangway: {error}");
                Ok(if matches!(error, NotOne::Unreadable(_)) { USAGE.into() } else { ExitCode::FAILURE })
            }
            Err(error) => Err(error),
        },
    }
}

async fn filter(storage: &Storage, which: &Which) -> anyhow::Result<EventFilter> {
    let instance = match &which.instance {
        Some(text) => Some(which::instance(storage, text).await?.id),
        None => None,
    };
    Ok(EventFilter { instance, event_type: which.event_type, ..EventFilter::default() })
}

async fn list(storage: &Storage, List { which, limit }: List) -> anyhow::Result<ExitCode> {
    let filter = filter(storage, &which).await?;
    let (rows, next) = if let Some(after) = which.after {
        let found = storage.arrivals(&filter, after, limit.into()).await?;
        (found.items, found.more.then_some(found.looked_to))
    } else {
        let mut latest = storage.events(&filter, None, limit.into()).await?.items;
        latest.reverse();
        (latest, None)
    };
    if which.json {
        let items = rows.into_iter().map(Event::from).collect();
        print_json(&representation::List { items, next: next.map(|next| next.to_string()) })?;
        return Ok(ExitCode::SUCCESS);
    }
    print(&table(&["ID", "RECEIVED", "TYPE", "OBJECT", "OBJECT ID", "INSTANCE"], &cells(&rows)))?;
    if let Some(next) = next {
        eprintln!("There may be more: --after {next}");
    }
    Ok(ExitCode::SUCCESS)
}

/// Reads the table after its cursor, as every watcher does; whoever writes it may be another process.
async fn tail(storage: &Storage, which: Which) -> anyhow::Result<ExitCode> {
    let filter = filter(storage, &which).await?;
    let stop = stop_signal()?;
    let newest = storage.events(&EventFilter::default(), None, 1).await?;
    let newest = newest.items.first().map_or(EventId::START, |event| event.id);
    let mut after = which.after.unwrap_or(newest);
    loop {
        let found = storage.arrivals(&filter, after, PART).await?;
        after = found.looked_to;
        let lines: String = if which.json {
            let line = |row| serde_json::to_string(&Event::from(row)).map(|line| line + "\n");
            found.items.into_iter().map(line).collect::<Result<_, _>>()?
        } else {
            cells(&found.items).iter().map(|row| format!("{}\n", row.join("  "))).collect()
        };
        // Nothing at all is printed too, so that a reader that has gone is noticed with the next event.
        if !print(&lines)? {
            return Ok(ExitCode::SUCCESS);
        }
        if found.more {
            continue;
        }
        tokio::select! {
            () = stop.cancelled() => return Ok(ExitCode::SUCCESS),
            () = tokio::time::sleep(GAP) => {}
        }
    }
}

async fn redeliver(storage: &Storage, arguments: Redeliver, now: OffsetDateTime) -> anyhow::Result<ExitCode> {
    let deliveries: Vec<i64> = match (arguments.event, arguments.delivery) {
        (Some(event), _) => {
            let found = storage.deliveries_of(event.notification()).await?;
            found.into_iter().map(|delivery| delivery.seq).collect()
        }
        (None, delivery) => delivery.into_iter().collect(),
    };
    let mut asked = 0;
    for &delivery in &deliveries {
        trail::record(storage, now, "delivery.redeliver", Some(delivery.to_string()), None).await?;
        if storage.redeliver(delivery, now).await? {
            asked += 1;
            print(&format!("Delivery {delivery} is asked for again.\n"))?;
        } else {
            eprintln!(
                "Delivery {delivery} cannot be: there is none, its endpoint is off or deleted, or its payload is gone."
            );
        }
    }
    if deliveries.is_empty() {
        eprintln!("There is no such event, or no endpoint wanted it.");
    }
    let well = asked > 0 && asked == deliveries.len();
    Ok(if well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn cells(rows: &[EventRow]) -> Vec<Vec<String>> {
    let row = |row: &EventRow| {
        let event = row.event.as_ref();
        let text = |value: Option<&str>| plain(value.unwrap_or("-"));
        vec![
            row.id.to_string(),
            seconds(Some(row.received_at)),
            text(event.map(|event| event.event_type.as_str())),
            text(event.and_then(|event| event.object_type.as_deref())),
            text(event.and_then(|event| event.object_id.as_deref())),
            row.instance.to_string(),
        ]
    };
    rows.iter().map(row).collect()
}
