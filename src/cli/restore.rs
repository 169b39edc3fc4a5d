//! `gangway restore`: looks at a copy, or goes back to it while no Gangway serves.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use time::macros::format_description;

use super::output::seconds;
use super::{settings, with_commas};
use crate::app;
use crate::storage::{self, DatabaseCopy};

#[derive(clap::Args)]
pub(super) struct Arguments {
    /// The copy that `gangway backup` made.
    file: PathBuf,
    /// Only look at it; change nothing.
    #[arg(long)]
    check: bool,
}

const BEWARE: &str = "The original must not run any more: two Gangways on one Cloud Elements account take the same \
     instances for theirs. What arrived after the copy was made is not in it.";

/// Checks the copy, and without `--check` puts it in the place of the database.
pub(super) async fn run(Arguments { file, check }: Arguments) -> anyhow::Result<ExitCode> {
    let (config, surroundings) = settings()?;
    let sealer = app::sealer(&config, &surroundings);
    if check {
        let copy = storage::check_copy(&config.database_url, &file, &sealer).await?;
        println!("{} is a whole copy, and SECRET_KEY opens it.", file.display());
        describe(&copy);
        tell_steps(&file);
        return Ok(ExitCode::SUCCESS);
    }
    let format = format_description!("[year][month][day]T[hour][minute][second]Z");
    let suffix = format!(".before-{}", surroundings.clock.now().format(format)?);
    let restored = storage::restore(&config.database_url, &file, &sealer, &suffix).await?;
    println!("The database is now what {} was.", file.display());
    describe(&restored.copy);
    match restored.aside {
        Some(aside) => println!("What was there before is kept as {}", aside.display()),
        None => println!("There was no database before."),
    }
    println!("Start Gangway, then run `gangway doctor` and `gangway reconcile`. {BEWARE}");
    Ok(ExitCode::SUCCESS)
}

/// What is in a copy.
pub(super) fn describe(copy: &DatabaseCopy) {
    let count = |number: i64| with_commas(number.unsigned_abs());
    println!("  size            {} bytes", with_commas(copy.bytes));
    println!("  instances       {}", count(copy.instances));
    if let Some((id, state, at)) = &copy.newest_instance {
        println!("    the newest    {id}, {state}, made {}", seconds(Some(*at)));
    }
    println!("  notifications   {}", count(copy.notifications));
    if let Some((id, instance, at)) = &copy.newest_notification {
        let id = id.as_deref().unwrap_or("without an id");
        println!(
            "    the newest    {}, of instance {instance}, arrived {}",
            id.escape_default(),
            seconds(Some(*at))
        );
    }
    println!("  sealed values   {}, all open", with_commas(copy.sealed));
    if copy.need_previous > 0 {
        println!("    of them       {} need SECRET_KEY_PREVIOUS", with_commas(copy.need_previous));
    }
    if copy.migrations_to_run > 0 {
        println!("  migrations      {} to run; the next start does it", copy.migrations_to_run);
    }
}

fn tell_steps(file: &Path) {
    println!("Nothing was changed. To go back to it:");
    println!("  1. Stop Gangway.");
    println!("  2. gangway restore {}", file.display());
    println!("     It keeps the database that is there under another name.");
    println!("  3. Start Gangway, then run `gangway doctor` and `gangway reconcile`.");
    println!("{BEWARE}");
}
