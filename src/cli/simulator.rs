//! `gangway simulator`

use std::sync::Arc;

use crate::clock::SystemClock;
use crate::simulator::{Simulator, SimulatorOptions};

#[derive(clap::Args)]
pub(super) struct Arguments {
    /// Port on 127.0.0.1; 0 is any free one.
    #[arg(long, default_value_t = 8081)]
    port: u16,
}

/// Runs until it is told to stop.
pub(super) async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let simulator = Simulator::bind(SimulatorOptions { port: arguments.port, clock: Arc::new(SystemClock) })?;
    let stop = super::stop_signal()?;
    println!(
        "Simulated MailChimp and Cloud Elements\n  \
         MAILCHIMP_AUTHORIZE_URL={}\n  CLOUD_ELEMENTS_URL={}\n  \
         CLOUD_ELEMENTS_USER_SECRET={}\n  CLOUD_ELEMENTS_ORGANIZATION_SECRET={}\n\
         Control page: {}",
        simulator.authorize_url(),
        simulator.cloud_elements_url(),
        simulator.user_secret(),
        simulator.organization_secret(),
        simulator.control_url(),
    );
    Ok(simulator.run(stop).await?)
}
