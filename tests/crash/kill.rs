//! `kill -9`, at every named point and at random. The other side lives on in this process.

use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use gangway::clock::SystemClock;
use gangway::entropy::SystemEntropy;
use gangway::seal::SecretKey;
use gangway::simulator::{RegisteredApp, Simulator, SimulatorOptions};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use crate::app::{Browser, location, parameter, plain};
use crate::child::{CLIENT_ID, CLIENT_SECRET, Order, Running, database_url};

/// Every row must be in a true state by then.
pub const TRUE_WITHIN: Duration = Duration::from_secs(30);

pub struct Stage {
    pub order: Order,
    pub origin: String,
    simulating: CancellationToken,
    _folder: TempDir,
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.simulating.cancel();
    }
}

impl Stage {
    #[expect(clippy::unused_async, reason = "spawns, so it needs a runtime")]
    pub async fn set() -> Self {
        let simulator = Simulator::bind(SimulatorOptions { port: 0, clock: Arc::new(SystemClock) }).unwrap();
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let origin = format!("http://127.0.0.1:{port}");
        simulator.register(RegisteredApp {
            name: "Crash".into(),
            client_id: CLIENT_ID.into(),
            client_secret: CLIENT_SECRET.into(),
            redirect_uris: vec![format!("{origin}/oauth/callback")],
        });
        let folder = tempfile::tempdir().unwrap();
        let order = Order {
            port,
            folder: folder.path().join("data"),
            postgres: None,
            secret_key: SecretKey::draw(&SystemEntropy::default()).expose(),
            previous_key: None,
            simulator: simulator.origin(),
            user_secret: simulator.user_secret().into(),
            organization_secret: simulator.organization_secret().into(),
            stop_at: None,
        };
        let simulating = CancellationToken::new();
        tokio::spawn(simulator.run(simulating.clone()));
        Self { order, origin, simulating, _folder: folder }
    }

    /// The same as settings of the binary.
    pub fn settings(&self) -> Vec<(&'static str, String)> {
        let order = &self.order;
        let previous = order.previous_key.iter().map(|key| ("SECRET_KEY_PREVIOUS", key.clone()));
        let settings = [
            ("PUBLIC_URL", self.origin.clone()),
            ("LISTEN_ADDR", format!("127.0.0.1:{}", order.port)),
            ("DATABASE_URL", order.database_url()),
            ("SECRET_KEY", order.secret_key.clone()),
            ("MAILCHIMP_CLIENT_ID", CLIENT_ID.to_owned()),
            ("MAILCHIMP_CLIENT_SECRET", CLIENT_SECRET.to_owned()),
            ("CLOUD_ELEMENTS_URL", format!("{}/elements/api-v2", order.simulator)),
            ("CLOUD_ELEMENTS_USER_SECRET", order.user_secret.clone()),
            ("CLOUD_ELEMENTS_ORGANIZATION_SECRET", order.organization_secret.clone()),
        ];
        settings.into_iter().chain(previous).collect()
    }

    /// The binary, about to run a command beside this Gangway or without it.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gangway"));
        command.args(arguments).env_clear().envs(self.settings()).current_dir("/");
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Runs a command to its end; answers whether it went well, and what it said.
    pub async fn run(&self, arguments: &[&str]) -> (bool, String) {
        let mut command = self.command(arguments);
        let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        let said = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8(said).unwrap())
    }

    pub fn stopping_at(&self, point: &str) -> Order {
        Order { stop_at: Some(point.to_owned()), ..self.order.clone() }
    }

    pub async fn faults(&self, faults: Value) {
        let answer = plain().post(format!("{}/_sim/faults", self.order.simulator)).json(&faults).send().await;
        assert_eq!(answer.unwrap().status(), 200);
    }

    pub async fn ledger(&self) -> Value {
        let answer = plain().get(format!("{}/_sim/ledger", self.order.simulator)).send().await;
        answer.unwrap().json().await.unwrap()
    }

    /// Waits until every row is settled, and compares both sides.
    pub async fn check(&self) -> (usize, usize) {
        let pool = sqlx::SqlitePool::connect(&database_url(&self.order.folder)).await.unwrap();
        let started = Instant::now();
        let open = "SELECT count(*) FROM instances WHERE state NOT IN ('connected', 'failed')";
        while sqlx::query_scalar::<_, i64>(open).fetch_one(&pool).await.unwrap() > 0 {
            assert!(started.elapsed() < TRUE_WITHIN, "a row is not in a true state");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let left: i64 = sqlx::query_scalar("SELECT count(*) FROM open_work").fetch_one(&pool).await.unwrap();
        assert_eq!(left, 0, "no work is open");
        let rows: Vec<(String, i64)> =
            sqlx::query_as("SELECT id, element_instance_id FROM instances WHERE state = 'connected'")
                .fetch_all(&pool)
                .await
                .unwrap();
        let mut ours: Vec<(String, i64)> =
            rows.into_iter().map(|(id, at)| (format!("gangway-{id}"), at)).collect();
        let ledger = self.ledger().await;
        let found = ledger["instances"].as_array().unwrap().iter();
        let mut theirs: Vec<(String, i64)> = found
            .map(|one| (one["tags"][0].as_str().unwrap().to_owned(), one["id"].as_i64().unwrap()))
            .collect();
        ours.sort();
        theirs.sort();
        assert_eq!(ours, theirs, "what is connected here is what exists there");
        for (code, spent) in ledger["ledger"]["codes"].as_object().unwrap() {
            assert_eq!(spent, 1, "{code} was spent once");
        }
        let all: i64 = sqlx::query_scalar("SELECT count(*) FROM instances").fetch_one(&pool).await.unwrap();
        (ours.len(), usize::try_from(all).unwrap())
    }
}

/// One customer comes back while the child stops at `point` or upstream is busy; the child is killed there,
/// started again, and both sides are compared. Answers the headline the customer reads in the end.
async fn killed_at(point: &str, faults: Value) -> String {
    let stage = Stage::set().await;
    let mut child = Running::start(&stage.stopping_at(point));
    stage.faults(faults).await;
    let browser = Arc::new(Browser::of(&stage.origin));
    let callback = browser.decide(&browser.start().await, "allow").await;
    let back = {
        let (browser, callback) = (browser.clone(), callback.clone());
        tokio::spawn(async move { browser.try_send(Method::GET, &callback, None).await.ok().map(drop) })
    };
    if point == "upstream" {
        while stage.ledger().await["ledger"]["create_calls"] == json!(0) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    } else {
        let said = format!("AT {point}");
        child = tokio::task::spawn_blocking(move || {
            child.wait_for(&said);
            child
        })
        .await
        .unwrap();
    }
    child.kill();
    let _ = back.await;
    stage.faults(json!({})).await;
    let _child = Running::start(&stage.order);
    // The customer reloads; before the intent that is a second try, after it the same result.
    let page = location(&browser.get(&callback).await);
    let started = Instant::now();
    let headline = loop {
        let headline = browser.headline(&page).await;
        if !headline.contains('…') {
            break headline;
        }
        assert!(started.elapsed() < TRUE_WITHIN, "the page still says {headline}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    stage.check().await;
    headline
}

const CONNECTED: &str = "MailChimp is connected";

#[tokio::test(flavor = "multi_thread")]
async fn c01_killed_before_the_intent_nothing_happened_and_a_reload_connects() {
    assert_eq!(killed_at("BeforeIntent", json!({})).await, CONNECTED);
}

#[tokio::test(flavor = "multi_thread")]
async fn c02_killed_after_the_intent_the_code_is_sent_after_all() {
    assert_eq!(killed_at("AfterIntent", json!({})).await, CONNECTED);
}

#[tokio::test(flavor = "multi_thread")]
async fn c02_killed_when_the_call_may_have_left_it_is_looked_up_and_told_truly() {
    assert_eq!(killed_at("BeforeCall", json!({})).await, "MailChimp did not answer");
}

#[tokio::test(flavor = "multi_thread")]
async fn c03_killed_while_upstream_works_one_instance_is_adopted() {
    assert_eq!(killed_at("upstream", json!({ "think_ms": 2000 })).await, CONNECTED);
}

#[tokio::test(flavor = "multi_thread")]
async fn c03_killed_after_upstream_created_it_is_adopted() {
    assert_eq!(killed_at("upstream", json!({ "slow_ms": 3000 })).await, CONNECTED);
}

#[tokio::test(flavor = "multi_thread")]
async fn c04_killed_after_the_reply_it_is_adopted() {
    assert_eq!(killed_at("AfterReply", json!({})).await, CONNECTED);
}

#[tokio::test(flavor = "multi_thread")]
async fn c04_killed_before_the_commit_it_is_adopted() {
    assert_eq!(killed_at("BeforeCommit", json!({})).await, CONNECTED);
}

#[tokio::test(flavor = "multi_thread")]
async fn c05_killed_after_the_commit_it_is_connected() {
    assert_eq!(killed_at("AfterCommit", json!({})).await, CONNECTED);
}

#[tokio::test(flavor = "multi_thread")]
async fn c05_killed_before_the_redirect_a_reload_shows_the_result() {
    assert_eq!(killed_at("BeforeRedirect", json!({})).await, CONNECTED);
}

/// One trip, as far as the process lives.
async fn trip(origin: String, decision: bool) -> Option<()> {
    let browser = Browser::of(&origin);
    let authorize = location(&browser.try_send(Method::POST, "/connect", Some(&[])).await.ok()?);
    let callback = browser.decide(&authorize, if decision { "allow" } else { "cancel" }).await;
    assert!(!parameter(&callback, "state").is_empty());
    browser.try_send(Method::GET, &callback, None).await.ok().map(drop)
}

/// `CRASH_LOOPS` sets how often; the seed is printed, so that a failure can be looked into.
#[tokio::test(flavor = "multi_thread")]
async fn killed_at_random_again_and_again_both_sides_agree() {
    let loops = std::env::var("CRASH_LOOPS").ok().and_then(|text| text.parse().ok()).unwrap_or(25);
    let seed = std::env::var("CRASH_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(20_261_124);
    println!("CRASH_LOOPS={loops} CRASH_SEED={seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let stage = Stage::set().await;
    for _ in 0..loops {
        let child = Running::start(&stage.order);
        let faults = match random.random_range(0..6) {
            0 => json!({ "lose_reply": true }),
            1 => json!({ "fail_after_create": true }),
            2 => json!({ "slow_ms": random.random_range(1..300) }),
            3 => json!({ "think_ms": random.random_range(1..300) }),
            4 => json!({ "gateway_down": true }),
            _ => json!({}),
        };
        stage.faults(faults).await;
        let trips: Vec<_> =
            (0..8).map(|number| tokio::spawn(trip(stage.origin.clone(), number != 7))).collect();
        tokio::time::sleep(Duration::from_millis(random.random_range(1..250))).await;
        child.kill();
        for trip in trips {
            // A trip that was cut short is the customer's loss of a click, not of a grant.
            let _ = trip.await.unwrap();
        }
    }
    stage.faults(json!({})).await;
    let _child = Running::start(&stage.order);
    let (connected, all) = stage.check().await;
    println!("{loops} kills: {all} onboardings, {connected} connected, none doubled, none forgotten");
    assert!(connected > 0, "some got through");
}
