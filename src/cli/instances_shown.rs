//! What `gangway instances` prints: the list, one with its timeline, and how one stands after something was done.

use std::process::ExitCode;

use uuid::Uuid;

use super::output::{plain, print, print_json, seconds, table};
use crate::elements::{Instance, InstanceState, Problem};
use crate::representation::{self, InstanceWithTimeline, List};
use crate::storage::{InstanceOrder, InstancePlace, InstanceQuestion, Line, Storage};

/// Lines of a timeline that are shown.
const LINES: u16 = 200;

#[derive(clap::Args)]
pub(super) struct Wanted {
    /// In this state alone.
    #[arg(long, value_parser = InstanceState::WORDS)]
    state: Option<String>,
    /// Each word of this begins a word of the name, the customer, a tag or an id (of that four digits or more); whatever its
    /// case.
    #[arg(long, value_name = "TEXT")]
    q: Option<String>,
    /// With this tag, whatever its case.
    #[arg(long)]
    tag: Option<String>,
    /// At most so many.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=500))]
    limit: u16,
    /// `next` of the part before.
    #[arg(long, value_name = "CURSOR")]
    cursor: Option<Uuid>,
    /// For programs: one document, as the JSON API answers it.
    #[arg(long)]
    json: bool,
}

/// How it stands after what was done.
pub(super) fn told(instance: &Instance, as_json: bool, code: ExitCode) -> anyhow::Result<ExitCode> {
    if as_json {
        print_json(&representation::Instance::from(instance))?;
    } else {
        let problem = instance.state.problem().map(|problem| format!(": {}", problem.for_operator()));
        let (id, name, state) = (instance.id, &instance.name, instance.state.as_str());
        print(&format!("{id} {} is {state}{}\n", plain(name), plain(&problem.unwrap_or_default())))?;
    }
    Ok(code)
}

pub(super) async fn list(storage: &Storage, arguments: Wanted) -> anyhow::Result<ExitCode> {
    let question = InstanceQuestion {
        text: arguments.q,
        state: InstanceState::WORDS.into_iter().find(|known| Some(*known) == arguments.state.as_deref()),
        tag: arguments.tag,
        order: InstanceOrder::Newest,
        ..InstanceQuestion::default()
    };
    let (mut found, mut next) = (Vec::new(), arguments.cursor.map(InstancePlace::after_id));
    let limit = usize::from(arguments.limit);
    loop {
        let part = storage.find_instances(&question, next.as_ref(), limit - found.len()).await?;
        found.extend(part.items);
        next = part.next;
        if next.is_none() || found.len() >= limit {
            break;
        }
    }
    let next = next.map(|place| place.id().to_string());
    if arguments.json {
        let items: Vec<_> = found.iter().map(representation::Instance::from).collect();
        print_json(&List { items, next })?;
        return Ok(ExitCode::SUCCESS);
    }
    let row = |one: &Instance| {
        let customer = one.customer.as_deref().unwrap_or_default();
        let last = seconds(one.last_event_at);
        vec![one.id.to_string(), one.state.as_str().to_owned(), last, plain(customer), plain(&one.name)]
    };
    let rows: Vec<Vec<String>> = found.iter().map(row).collect();
    print(&table(&["ID", "STATE", "LAST EVENT", "CUSTOMER", "NAME"], &rows))?;
    if let Some(next) = next {
        eprintln!("There are more: --cursor {next}");
    }
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn show(storage: &Storage, instance: &Instance, as_json: bool) -> anyhow::Result<ExitCode> {
    let (lines, more) = storage.timeline_page(instance.id, None, LINES).await?;
    if as_json {
        print_json(&InstanceWithTimeline::of(instance, lines))?;
        return Ok(ExitCode::SUCCESS);
    }
    let upstream = instance.state.connection();
    let problem = instance.state.problem().map(Problem::for_operator);
    let events = upstream.map_or("none", |found| if found.events_enabled { "on" } else { "off" });
    let facts = [
        ("id", instance.id.to_string()),
        ("name", plain(&instance.name)),
        ("state", instance.state.as_str().to_owned()),
        ("problem", plain(&problem.unwrap_or_else(|| "none".to_owned()))),
        ("customer", plain(instance.customer.as_deref().unwrap_or("not named"))),
        ("tags", plain(&instance.tags.join(", "))),
        ("element instance", upstream.map_or("none".into(), |found| found.element_instance_id.to_string())),
        ("events", events.to_owned()),
        ("connected", seconds(upstream.map(|found| found.connected_at))),
        ("last event", seconds(instance.last_event_at)),
        ("last check", seconds(instance.last_checked_at)),
    ];
    let facts: String = facts.iter().map(|(label, value)| format!("{label:18}{value}\n")).collect();
    let row = |Line { step, .. }: &Line| {
        vec![seconds(Some(step.at)), step.reference.to_string(), step.kind.clone(), plain(&step.summary)]
    };
    let rows: Vec<Vec<String>> = lines.iter().rev().map(row).collect();
    let older = if more.is_some() { "Older lines are in the console.\n" } else { "" };
    print(&format!("{facts}\n{older}{}", table(&["AT", "REFERENCE", "KIND", "WHAT"], &rows)))?;
    Ok(ExitCode::SUCCESS)
}
