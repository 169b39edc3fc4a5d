//! `gangway audit`: the trail of every act, the newest first. Runs beside a Gangway that serves.

use std::process::ExitCode;

use super::beside;
use super::output::{plain, print, print_json, seconds, table};
use crate::representation::{List, TrailRow};
use crate::storage::{Act, ActFilter};

#[derive(clap::Args)]
pub(super) struct Arguments {
    /// Of this operator, of `api key NAME`, or of the `command line`.
    #[arg(long)]
    who: Option<String>,
    /// With this word alone, such as instance.pause.
    #[arg(long)]
    act: Option<String>,
    /// At most so many.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=500))]
    limit: u16,
    /// `next` of the part before.
    #[arg(long, value_name = "CURSOR")]
    cursor: Option<i64>,
    /// For programs.
    #[arg(long)]
    json: bool,
}

/// Prints them.
pub(super) async fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let Arguments { who, act, limit, cursor, json } = arguments;
    let (_, _, storage) = beside().await?;
    let filter = ActFilter { who: who.unwrap_or_default(), act: act.unwrap_or_default() };
    let limit = usize::from(limit);
    let found = storage.acts(&filter, cursor, limit + 1).await;
    storage.close().await;
    let mut found = found?;
    let more = found.len() > limit;
    found.truncate(limit);
    let next = found.last().filter(|_| more).map(|(seq, _)| seq.to_string());
    if json {
        print_json(&List { items: found.into_iter().map(TrailRow::from).collect(), next })?;
        return Ok(ExitCode::SUCCESS);
    }
    let text = |text: &Option<String>| plain(text.as_deref().unwrap_or("-"));
    let row = |(_, one): &(i64, Act)| {
        let (at, who, act) = (seconds(Some(one.at)), plain(&one.who), plain(&one.act));
        vec![at, who, act, text(&one.reference), text(&one.address), text(&one.subject)]
    };
    let rows: Vec<Vec<String>> = found.iter().map(row).collect();
    print(&table(&["AT", "WHO", "WHAT", "REFERENCE", "FROM", "TO WHAT"], &rows))?;
    if let Some(next) = next {
        eprintln!("There are more: --cursor {next}");
    }
    Ok(ExitCode::SUCCESS)
}
