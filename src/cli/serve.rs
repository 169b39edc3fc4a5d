//! `gangway serve`

use crate::app::{App, Surroundings};
use crate::config::{self, Config};
use crate::telemetry;

/// Runs until it is told to stop.
pub(super) async fn run() -> anyhow::Result<()> {
    let config = Config::from_variables(&config::variables()?)?;
    telemetry::start(config.log)?;
    let stop = super::stop_signal()?;
    let public_url = config.public_url.origin();
    let redirect_uri = config.public_url.redirect_uri();
    let app = App::build(config, Surroundings::default()).await?;
    if let Some(link) = app.first_sign_in_link().await? {
        println!("Nobody can sign in to the console yet. This link works once, for a day:\n  {link}");
    }
    tracing::info!(address = %app.address(), redirect_uri, "listening");
    println!("Gangway is ready at {public_url}");
    Ok(app.run(stop).await?)
}
