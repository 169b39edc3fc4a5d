//! `gangway reconcile`: compares Cloud Elements' instances with ours, and puts right what it is told to.
//! Runs beside a Gangway that serves.

use std::process::ExitCode;

use super::{beside, trail};
use crate::app;
use crate::onboarding::{Finding, Measures};

#[derive(clap::Args)]
pub(super) struct Arguments {
    /// Adopt, repair and mark what differs; without it, only tell.
    #[arg(long)]
    apply: bool,
    /// Delete leftovers at Cloud Elements: instances of ours whose onboarding failed or was disconnected.
    #[arg(long)]
    delete: bool,
}

/// Compares and prints. Exit 0 where nothing differs or everything was put right, 1 otherwise.
pub(super) async fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let (config, surroundings, storage) = beside().await?;
    if arguments.apply || arguments.delete {
        let measures = if arguments.delete { "with --delete" } else { "with --apply" };
        trail::record(&storage, surroundings.clock.now(), "reconcile", Some(measures.to_owned()), None)
            .await?;
    }
    let onboarding = app::onboarding(&config, storage.clone(), surroundings)?;
    let measures = Measures { apply: arguments.apply, delete: arguments.delete };
    let report = onboarding.reconcile(measures).await;
    storage.close().await;
    let report = report?;
    println!(
        "{} instances at Cloud Elements, {} of them ours, {} differ",
        report.upstream, report.ours, report.count
    );
    for Finding { drift, instance, element_instance_id, name, done } in &report.findings {
        let done = match done {
            None => format!("could {}", drift.remedy()),
            Some(Ok(())) => "done".to_owned(),
            Some(Err(error)) => format!("failed: {error}"),
        };
        println!("{:18}  {instance}  {element_instance_id}  {name}: {done}", drift.as_str());
    }
    let open = report.findings.iter().filter(|finding| !matches!(finding.done, Some(Ok(())))).count();
    let settled = open == 0 && report.count == report.findings.len();
    Ok(if settled { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
