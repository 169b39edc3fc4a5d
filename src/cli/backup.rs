//! `gangway backup`: a copy of the database, consistent while a Gangway writes to it.

use std::path::PathBuf;
use std::process::ExitCode;

use super::output::seconds;
use super::settings;
use crate::app;
use crate::storage;

#[derive(clap::Args)]
pub(super) struct Arguments {
    /// The file to make; it must not exist.
    file: PathBuf,
}

/// Makes the copy, looks at it, and tells what is in it.
pub(super) async fn run(Arguments { file }: Arguments) -> anyhow::Result<ExitCode> {
    let (config, surroundings) = settings()?;
    let stop = super::stop_signal()?;
    let sealer = app::sealer(&config, &surroundings);
    let since = surroundings.clock.now();
    let copy = tokio::select! {
        copy = storage::back_up(&config.database_url, &file, &sealer) => copy?,
        () = stop.cancelled() => anyhow::bail!("stopped; there is no copy"),
    };
    println!("{} is a whole copy, and SECRET_KEY opens it.", file.display());
    println!("Everything acknowledged before {} is in it.", seconds(Some(since)));
    super::restore::describe(&copy);
    println!("Keep SECRET_KEY apart from it: without the key the instance tokens in it are lost.");
    Ok(ExitCode::SUCCESS)
}
