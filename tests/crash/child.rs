//! Gangway in a process of its own, which stops for ever at a named point and can be killed there. The
//! process is this test binary again, told by its environment what to be.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{BoxFuture, pending, ready};
use gangway::app::{App, Surroundings};
use gangway::checkpoint::{Checkpoints, Point};
use gangway::config::{
    AuthorizeUrlFrom, CloudElementsAccess, Config, Face, Limits, Log, LogFormat, MailchimpApp, PublicUrl,
    Retention,
};
use gangway::seal::SecretKey;
use serde::{Deserialize, Serialize};

/// What a child is told.
#[derive(Clone, Serialize, Deserialize)]
pub struct Order {
    pub port: u16,
    pub folder: std::path::PathBuf,
    /// A database that is not the file in there.
    pub postgres: Option<String>,
    pub secret_key: String,
    pub previous_key: Option<String>,
    pub simulator: String,
    pub user_secret: String,
    pub organization_secret: String,
    /// Where it stops for ever.
    pub stop_at: Option<String>,
}

impl Order {
    pub fn database_url(&self) -> String {
        self.postgres.clone().unwrap_or_else(|| database_url(&self.folder))
    }
}

pub const CLIENT_ID: &str = "1";
pub const CLIENT_SECRET: &str = "secret";
/// How long an unknown outcome is looked up.
pub const WINDOW: Duration = Duration::from_secs(4);

/// A child, running.
pub struct Running {
    process: Child,
    said: BufReader<ChildStdout>,
}

impl Running {
    /// Starts one and waits until it answers.
    pub fn start(order: &Order) -> Self {
        Self::start_with(order, &[])
    }

    /// The same with more environment.
    pub fn start_with(order: &Order, environment: &[(&str, &Path)]) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--ignored", "--exact", "child::be_the_child", "--nocapture"]);
        command.env("GANGWAY_CRASH_ORDER", serde_json::to_string(order).unwrap());
        command.envs(environment.iter().copied());
        let mut process = command.stdout(Stdio::piped()).spawn().unwrap();
        let said = BufReader::new(process.stdout.take().unwrap());
        let mut running = Self { process, said };
        running.wait_for("READY");
        running
    }

    /// Reads its lines up to one that ends in `word`.
    pub fn wait_for(&mut self, word: &str) {
        let mut line = String::new();
        while self.said.read_line(&mut line).unwrap() > 0 {
            if line.trim_end().ends_with(word) {
                return;
            }
            line.clear();
        }
        panic!("the child ended before it said {word}");
    }

    /// The most it ever had in memory, in KiB.
    pub fn most_memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }

    /// `kill -9`
    pub fn kill(mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

struct StopAt(Option<String>);

impl Checkpoints for StopAt {
    fn reached(&self, point: Point) -> BoxFuture<'static, ()> {
        if self.0.as_deref() == Some(format!("{point:?}").as_str()) {
            println!("AT {point:?}");
            return Box::pin(pending());
        }
        Box::pin(ready(()))
    }
}

pub fn config(order: &Order) -> Config {
    let origin = format!("http://127.0.0.1:{}", order.port);
    Config {
        public_url: PublicUrl::parse(&origin).unwrap(),
        listen_addr: ([127, 0, 0, 1], order.port).into(),
        database_url: order.database_url().into(),
        secret_key: SecretKey::parse(&order.secret_key).unwrap(),
        secret_key_previous: order.previous_key.as_deref().map(|key| SecretKey::parse(key).unwrap()),
        mailchimp: MailchimpApp {
            client_id: CLIENT_ID.into(),
            client_secret: CLIENT_SECRET.into(),
            authorize_url: format!("{}/oauth2/authorize", order.simulator).parse().unwrap(),
        },
        cloud_elements: CloudElementsAccess {
            url: format!("{}/elements/api-v2", order.simulator).parse().unwrap(),
            user_secret: order.user_secret.clone().into(),
            organization_secret: order.organization_secret.clone().into(),
            element_key: "mailchimpv3".into(),
            instance_tags: Vec::new(),
            timeout: Duration::from_secs(5),
        },
        authorize_url_from: AuthorizeUrlFrom::Mailchimp,
        admin_password_hash: None,
        connecting: gangway::config::Connecting::default(),
        trusted_proxies: Vec::new(),
        delivery_allowed_networks: vec!["127.0.0.0/8".parse().unwrap()],
        recovery_window: WINDOW,
        retention: Retention::default(),
        rate_limit_per_minute: 0,
        log: Log { format: LogFormat::Text, level: tracing::Level::INFO },
        limits: Limits::default(),
        face: Face::default(),
        demo: None,
    }
}

pub fn database_url(folder: &Path) -> String {
    format!("sqlite://{}", folder.join("gangway.db").display())
}

#[test]
#[ignore = "the child of the other tests, no test itself"]
fn be_the_child() {
    let order: Order = serde_json::from_str(&std::env::var("GANGWAY_CRASH_ORDER").unwrap()).unwrap();
    gangway::telemetry::start(config(&order).log).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let checkpoints = Arc::new(StopAt(order.stop_at.clone()));
        let surroundings = Surroundings { checkpoints, ..Surroundings::default() };
        let app = App::build(config(&order), surroundings).await.unwrap();
        println!("READY");
        app.run(tokio_util::sync::CancellationToken::new()).await.unwrap();
    });
}
