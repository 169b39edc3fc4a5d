//! What `gangway instances` prints: the list, one with its timeline, and how one stands after something was done.

use std::process::ExitCode;

use serde_json::{Value, json};
use uuid::Uuid;

use super::output::{plain, print, print_json, seconds, table, time};
use crate::elements::{Instance, InstanceState, Problem};
use crate::storage::{Line, Storage};

const ROWS: u16 = 500;
/// Lines of a timeline that are shown.
const LINES: u16 = 200;

#[derive(clap::Args)]
pub(super) struct List {
    /// In this state alone.
    #[arg(long, value_parser = InstanceState::WORDS)]
    state: Option<String>,
    /// With this in name, customer, tags or id, whatever the case of its letters.
    #[arg(long, value_name = "TEXT")]
    q: Option<String>,
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
        print_json(&document(instance))?;
    } else {
        let problem = instance.state.problem().map(|problem| format!(": {}", problem.for_operator()));
        let (id, name, state) = (instance.id, &instance.name, instance.state.as_str());
        print(&format!("{id} {} is {state}{}\n", plain(name), plain(&problem.unwrap_or_default())))?;
    }
    Ok(code)
}

pub(super) async fn list(storage: &Storage, arguments: List) -> anyhow::Result<ExitCode> {
    let wanted = arguments.q.as_deref().map(str::to_lowercase);
    let (mut found, mut after, mut next) = (Vec::new(), arguments.cursor, None);
    'parts: loop {
        let part = storage.instances(arguments.state.as_deref(), after, ROWS).await?;
        for instance in part.items {
            if wanted.as_deref().is_none_or(|text| holds(&instance, text)) {
                if found.len() == usize::from(arguments.limit) {
                    next = found.last().map(|last: &Instance| last.id);
                    break 'parts;
                }
                found.push(instance);
            }
        }
        after = part.next;
        if after.is_none() {
            break;
        }
    }
    if arguments.json {
        let items: Vec<Value> = found.iter().map(document).collect();
        print_json(&json!({ "items": items, "next": next }))?;
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

fn holds(instance: &Instance, text: &str) -> bool {
    let own = [instance.name.as_str(), instance.customer.as_deref().unwrap_or_default()];
    own.into_iter().chain(instance.tags.iter().map(String::as_str)).any(|is| is.to_lowercase().contains(text))
        || instance.id.to_string().contains(text)
}

pub(super) async fn show(storage: &Storage, instance: &Instance, as_json: bool) -> anyhow::Result<ExitCode> {
    let (lines, more) = storage.timeline_page(instance.id, None, LINES).await?;
    if as_json {
        let line = |Line { step, .. }: &Line| {
            json!({
                "at": time(Some(step.at)), "kind": step.kind, "summary": step.summary,
                "reference": step.reference.to_string(),
            })
        };
        let mut whole = document(instance);
        if let Some(fields) = whole.as_object_mut() {
            fields.insert("timeline".to_owned(), lines.iter().map(line).collect());
        }
        print_json(&whole)?;
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

/// As `GET /api/v1/instances/{id}` answers it.
fn document(instance: &Instance) -> Value {
    let upstream = instance.state.connection();
    let problem = instance.state.problem().map(|problem| {
        json!({
            "code": problem.kind.as_str(), "detail": problem.for_operator(), "since": time(Some(problem.since)),
        })
    });
    json!({
        "id": instance.id,
        "state": instance.state.as_str(),
        "name": instance.name,
        "customer": instance.customer,
        "tags": instance.tags,
        "element_instance_id": upstream.map(|found| found.element_instance_id),
        "events_enabled": upstream.is_some_and(|found| found.events_enabled),
        "created_at": time(Some(instance.created_at)),
        "connected_at": time(upstream.map(|found| found.connected_at)),
        "first_event_at": time(instance.first_event_at),
        "last_event_at": time(instance.last_event_at),
        "last_checked_at": time(instance.last_checked_at),
        "problem": problem,
    })
}
