//! `gangway doctor`: checks the whole chain; exit 0 or 1. Where no Gangway listens yet, it runs one for as
//! long as it looks, so that the way in from outside can be tried before the first start.

use std::process::ExitCode;

use anyhow::Context;
use tokio_util::sync::CancellationToken;

use crate::app::{self, App, Surroundings};
use crate::config::{self, Config};
use crate::doctor::{self, Finding, Verdict};
use crate::storage::{OpenError, Storage};

/// Examines, prints, and says by its code whether everything holds.
pub(super) async fn run() -> anyhow::Result<ExitCode> {
    let findings = match Config::from_variables(&config::variables()?) {
        Ok(config) => examine(config).await?,
        Err(problems) => doctor::unreadable_settings(&problems),
    };
    print(&findings);
    let failed = findings.iter().any(|finding| finding.verdict == Verdict::Fail);
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

async fn examine(config: Config) -> anyhow::Result<Vec<Finding>> {
    let sealer = || app::sealer(&config, &Surroundings::default());
    match Storage::open(&config.database_url, sealer()).await {
        Ok(storage) => {
            storage.close().await;
            drop(storage);
            match App::build(config.clone(), Surroundings::default()).await {
                Ok(app) => running(app).await,
                // Something has the address; whether it is Gangway is what the examination tells.
                Err(_) => beside(config).await,
            }
        }
        Err(OpenError::InUse(_)) => beside(config).await,
        Err(error) => Ok(doctor::unopened_database(&error)),
    }
}

async fn running(app: App) -> anyhow::Result<Vec<Finding>> {
    let chain = app.chain()?;
    let stop = CancellationToken::new();
    let run = tokio::spawn(app.answer(stop.clone()));
    let findings = doctor::examine(&chain).await;
    stop.cancel();
    run.await?.context("the app that was examined")?;
    Ok(findings)
}

async fn beside(config: Config) -> anyhow::Result<Vec<Finding>> {
    let surroundings = Surroundings::default();
    let storage = match Storage::open_beside(&config.database_url, app::sealer(&config, &surroundings)).await
    {
        Ok(storage) => storage,
        Err(error) => return Ok(doctor::unopened_database(&error)),
    };
    Ok(doctor::examine(&app::chain_beside(config, storage, &surroundings)?).await)
}

fn print(findings: &[Finding]) {
    for Finding { name, verdict, cause, fix } in findings {
        println!("{:4}  {name}: {cause}", verdict.as_str());
        if let Some(fix) = fix {
            println!("      fix: {fix}");
        }
    }
}
