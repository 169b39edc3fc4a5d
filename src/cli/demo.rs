//! `gangway demo`: the app and the simulator on loopback, joined as the settings would join the app to
//! the real ones. Everything it needs it makes.

use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use std::{fs, io};

use anyhow::{Context, anyhow};

use crate::app::{self, App, Surroundings};
use crate::clock::SystemClock;
use crate::config::{
    AuthorizeUrlFrom, CloudElementsAccess, Config, Connecting, Demo, Face, Limits, Log, LogFormat,
    MailchimpApp, PublicUrl, Retention,
};
use crate::entropy::SystemEntropy;
use crate::seal::SecretKey;
use crate::simulator::{RegisteredApp, Simulator, SimulatorOptions};
use crate::telemetry;

#[derive(clap::Args)]
pub(super) struct Arguments {
    /// Port of the app on 127.0.0.1; 0 is any free one.
    #[arg(long, default_value_t = 8080)]
    port: u16,
    /// Port of the simulator on 127.0.0.1; 0 is any free one.
    #[arg(long, default_value_t = 8081)]
    simulator_port: u16,
    /// Where the data lives; left out, in a temporary folder that goes at exit.
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
}

const CLIENT_ID: &str = "111111111111";
const CLIENT_SECRET: &str = "demo-client-secret";

/// Runs until it is told to stop.
pub(super) async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let log = Log { format: LogFormat::Text, level: tracing::Level::WARN };
    telemetry::start(log)?;
    let stop = super::stop_signal()?;
    // Held to the end: it takes the folder with it.
    let temporary = tempfile::Builder::new().prefix("gangway-demo-").tempdir()?;
    let data_dir = arguments.data_dir.unwrap_or_else(|| temporary.path().to_owned());
    let listener = app::listen((Ipv4Addr::LOCALHOST, arguments.port).into())
        .with_context(|| format!("port {} is taken; try --port 0", arguments.port))?;
    let clock = Arc::new(SystemClock);
    let simulator = Simulator::bind(SimulatorOptions { port: arguments.simulator_port, clock })
        .with_context(|| format!("port {} is taken; try --simulator-port 0", arguments.simulator_port))?;
    let config = config(&listener, &simulator, &data_dir, log)?;
    simulator.register(RegisteredApp {
        name: "Gangway demo".to_owned(),
        client_id: CLIENT_ID.to_owned(),
        client_secret: CLIENT_SECRET.to_owned(),
        redirect_uris: vec![config.public_url.redirect_uri()],
    });
    let (home, control) = (config.public_url.origin(), simulator.control_url());
    let simulating = tokio::spawn(simulator.run(stop.clone()));
    let app = App::build_on(listener, config, Surroundings::default()).await?;
    let link = app.first_sign_in_link().await?;
    println!("Admin sign-in (works once): {}", link.unwrap_or_else(|| format!("{home}/admin/sign-in")));
    println!("Simulated MailChimp and Cloud Elements: {control}");
    println!("Gangway is ready at {home}");
    app.run(stop).await?;
    simulating.await?.context("the simulator stopped")
}

fn config(
    listener: &TcpListener,
    simulator: &Simulator,
    data_dir: &Path,
    log: Log,
) -> anyhow::Result<Config> {
    let listen_addr = listener.local_addr()?;
    let public_url = PublicUrl::parse(&format!("http://{listen_addr}")).map_err(|what| anyhow!(what))?;
    Ok(Config {
        public_url,
        listen_addr,
        database_url: format!("sqlite://{}", data_dir.join("gangway.db").display()).into(),
        secret_key: secret_key(data_dir)?,
        secret_key_previous: None,
        mailchimp: MailchimpApp {
            client_id: CLIENT_ID.to_owned(),
            client_secret: CLIENT_SECRET.into(),
            authorize_url: simulator.authorize_url().parse()?,
        },
        cloud_elements: CloudElementsAccess {
            url: simulator.cloud_elements_url().parse()?,
            user_secret: simulator.user_secret().into(),
            organization_secret: simulator.organization_secret().into(),
            element_key: "mailchimpv3".to_owned(),
            instance_tags: vec!["demo".to_owned()],
            timeout: Duration::from_secs(60),
        },
        authorize_url_from: AuthorizeUrlFrom::Mailchimp,
        admin_password_hash: None,
        connecting: Connecting::default(),
        trusted_proxies: Vec::new(),
        delivery_allowed_networks: vec!["127.0.0.0/8".parse()?, "::1/128".parse()?],
        recovery_window: Duration::from_secs(30),
        retention: Retention::default(),
        rate_limit_per_minute: 60,
        log,
        limits: Limits::default(),
        face: Face::default(),
        demo: Some(Demo { control_url: simulator.control_url() }),
    })
}

/// A demo that keeps its data keeps its key beside it, readable for its owner alone.
fn secret_key(data_dir: &Path) -> anyhow::Result<SecretKey> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(data_dir)?;
    let path = data_dir.join("secret-key");
    match fs::read_to_string(&path) {
        Ok(text) => SecretKey::parse(&text).with_context(|| format!("{} holds no key", path.display())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let key = SecretKey::draw(&SystemEntropy::default());
            let mut file = fs::OpenOptions::new().create_new(true).write(true).mode(0o600).open(&path)?;
            io::Write::write_all(&mut file, key.expose().as_bytes())?;
            Ok(key)
        }
        Err(error) => Err(error.into()),
    }
}
