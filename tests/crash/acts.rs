//! What the operator wants of an instance, killed between Cloud Elements' answer and the row: after a restart both
//! sides say the same, whether a program, a person or a command asked.

use std::time::{Duration, Instant};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::app::{Browser, plain};
use crate::child::Running;
use crate::kill::{Stage, TRUE_WITHIN};

/// A program with a key, and one instance.
struct Program {
    stage: Stage,
    key: String,
    path: String,
}

impl Program {
    /// Of a Gangway that runs no longer.
    async fn set() -> Self {
        let stage = Stage::set().await;
        let child = Running::start(&stage.order);
        let browser = Browser::of(&stage.origin);
        let page = browser.connect().await;
        browser.wait_for(&page, "MailChimp is connected").await;
        let (well, said) = stage.run(&["api-key", "create", "--name", "crash", "--scope", "write"]).await;
        let key = said.split_whitespace().find(|word| word.starts_with("gangway_"));
        assert!(well && key.is_some(), "{said}");
        child.kill();
        let (key, path) = (key.unwrap().to_owned(), format!("/api/v1{page}"));
        Self { stage, key, path }
    }

    async fn ask(&self, method: Method, under: &str, body: Option<Value>) -> reqwest::Result<Value> {
        let request = plain().request(method, format!("{}{}{under}", self.stage.origin, self.path));
        let request = request.bearer_auth(&self.key);
        let answer = body.iter().fold(request, reqwest::RequestBuilder::json).send().await?;
        assert_eq!(answer.status(), StatusCode::OK);
        answer.json().await
    }

    /// Asks, and kills Gangway at `point`; then starts it again.
    async fn killed_while_asking(&self, point: &str, under: &str, body: Option<Value>) -> Running {
        let mut child = Running::start(&self.stage.stopping_at(point));
        let method = if body.is_some() { Method::PATCH } else { Method::POST };
        let killing = tokio::task::spawn_blocking({
            let said = format!("AT {point}");
            move || {
                child.wait_for(&said);
                child.kill();
            }
        });
        let (answer, killed) = futures_util::future::join(self.ask(method, under, body), killing).await;
        killed.unwrap();
        assert!(answer.is_err(), "nobody was answered");
        Running::start(&self.stage.order)
    }

    async fn upstream(&self) -> Value {
        self.stage.ledger().await["instances"][0].clone()
    }

    async fn sends_events(&self) -> bool {
        let enabled = &self.upstream().await["configuration"]["event.notification.enabled"];
        enabled.as_bool().unwrap_or_else(|| enabled == "true")
    }

    /// Waits until the row says what it should.
    async fn until(&self, so: impl Fn(&Value) -> bool) {
        let started = Instant::now();
        loop {
            let row = self.ask(Method::GET, "", None).await.unwrap();
            if so(&row) {
                return;
            }
            assert!(started.elapsed() < TRUE_WITHIN, "the row still says {row}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    async fn lines(&self, kind: &str) -> usize {
        let lines = self.ask(Method::GET, "/timeline", None).await.unwrap();
        lines["items"].as_array().unwrap().iter().filter(|line| line["kind"] == kind).count()
    }
}

const AFTER_REPLY: &str = "AfterReply";

#[tokio::test(flavor = "multi_thread")]
async fn c21_killed_while_pausing_and_while_resuming_both_sides_agree() {
    let program = Program::set().await;
    let child = program.killed_while_asking(AFTER_REPLY, "/pause", None).await;
    program.until(|row| row["state"] == "paused" && row["events_enabled"] == false).await;
    assert!(!program.sends_events().await);
    assert_eq!(program.lines("paused").await, 1);
    child.kill();
    let _child = program.killed_while_asking(AFTER_REPLY, "/resume", None).await;
    program.until(|row| row["state"] == "connected" && row["events_enabled"] == true).await;
    assert!(program.sends_events().await);
    assert_eq!(program.lines("resumed").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn c21_killed_while_renaming_and_while_tagging_both_sides_agree() {
    let program = Program::set().await;
    let name = Some(json!({ "name": "Ada's Bakery" }));
    let child = program.killed_while_asking(AFTER_REPLY, "", name).await;
    program.until(|row| row["name"] == "Ada's Bakery").await;
    assert_eq!(program.upstream().await["name"], "Ada's Bakery");
    child.kill();
    let tags = |tags: &[&str]| Some(json!({ "tags": tags }));
    let child = program.killed_while_asking(AFTER_REPLY, "", tags(&["one", "two"])).await;
    program.until(|row| row["tags"] == json!(["one", "two"])).await;
    child.kill();
    let _child = program.killed_while_asking(AFTER_REPLY, "", tags(&["two"])).await;
    program.until(|row| row["tags"] == json!(["two"])).await;
    let upstream = program.upstream().await["tags"].to_string();
    assert!(upstream.contains("\"two\"") && !upstream.contains("\"one\""), "none is left over: {upstream}");
}

#[tokio::test(flavor = "multi_thread")]
async fn c21_killed_after_the_row_is_written_nothing_is_done_twice() {
    let program = Program::set().await;
    let _child = program.killed_while_asking("AfterCommit", "/pause", None).await;
    program.until(|row| row["state"] == "paused").await;
    let pool =
        sqlx::SqlitePool::connect(&crate::child::database_url(&program.stage.order.folder)).await.unwrap();
    let started = Instant::now();
    let left = "SELECT count(*) FROM open_acts";
    while sqlx::query_scalar::<_, i64>(left).fetch_one(&pool).await.unwrap() > 0 {
        assert!(started.elapsed() < TRUE_WITHIN, "the note of the act is left");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(program.lines("paused").await, 1);
}
