//! A connected instance that is sent notifications, one by one or by a flood, and remembers which of them were
//! acknowledged. What an id was sent with can be told from the id, so that what is stored can be compared.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use gangway::elements::SignatureKey;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use reqwest::{Client, StatusCode};
use sqlx::AnyPool;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::app::{Browser, plain};
use crate::child::database_url;
use crate::kill::Stage;

const AT_ONCE: u64 = 32;

pub struct Sender {
    url: String,
    key: SignatureKey,
    sent: AtomicU64,
    /// With the length that the watched file had by then.
    acknowledged: Mutex<HashMap<String, u64>>,
    watched: Option<PathBuf>,
}

impl Sender {
    pub async fn connect(stage: &Stage) -> Self {
        let browser = Browser::of(&stage.origin);
        let page = browser.connect().await;
        browser.wait_for(&page, "MailChimp is connected").await;
        let configuration = &stage.ledger().await["instances"][0]["configuration"];
        let text = |key: &str| configuration[key].as_str().unwrap().to_owned();
        let key = SignatureKey::from_stored(text("event.notification.signature.key")).unwrap();
        let url = text("event.notification.callback.url");
        Self { url, key, sent: AtomicU64::new(0), acknowledged: Mutex::default(), watched: None }
    }

    /// Notes how long this file is at each acknowledgement.
    pub fn watching(self, file: &Path) -> Self {
        Self { watched: Some(file.to_owned()), ..self }
    }

    /// How many were made so far.
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::SeqCst)
    }

    pub fn acknowledged(&self) -> HashSet<String> {
        self.acknowledged_within(u64::MAX)
    }

    /// Waits until a flood has brought so many.
    pub async fn until_acknowledged(&self, count: usize) {
        let started = Instant::now();
        while self.acknowledged().len() < count {
            assert!(started.elapsed() < Duration::from_secs(120), "the flood does not get through");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// What was acknowledged before the watched file grew beyond `length`.
    pub fn acknowledged_within(&self, length: u64) -> HashSet<String> {
        let acknowledged = self.acknowledged.lock().unwrap();
        acknowledged.iter().filter(|(_, by)| **by <= length).map(|(id, _)| id.clone()).collect()
    }

    /// The id of a new one of so many bytes.
    pub fn fresh(&self, bytes: usize) -> String {
        format!("{}-{bytes}", self.sent.fetch_add(1, Ordering::SeqCst))
    }

    /// Sends a new one to a Gangway that must answer.
    pub async fn send(&self, bytes: usize) -> StatusCode {
        self.deliver(&plain(), &self.fresh(bytes)).await.unwrap()
    }

    /// Sends the one of this id, to a Gangway that may be gone.
    pub async fn deliver(&self, client: &Client, id: &str) -> reqwest::Result<StatusCode> {
        let body = body(id);
        let request = client.post(&self.url).header("Elements-Webhook-Signature", self.key.sign(&body));
        let answer = request.body(body).send().await?;
        let status = answer.status();
        if status == StatusCode::OK {
            let length = self.watched.as_ref().map_or(0, |file| std::fs::metadata(file).unwrap().len());
            self.acknowledged.lock().unwrap().entry(id.to_owned()).or_insert(length);
        } else {
            assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
            assert!(answer.headers().contains_key("retry-after"));
        }
        Ok(status)
    }

    /// Many at once, now and then the same again, until the flood ends.
    pub fn flood(self: &Arc<Self>, seed: u64) -> Flood {
        let (ebb, client, mut tasks) = (CancellationToken::new(), plain(), JoinSet::new());
        for number in 0..AT_ONCE {
            let random = StdRng::seed_from_u64(seed.wrapping_mul(AT_ONCE).wrapping_add(number));
            tasks.spawn(self.clone().keep_sending(client.clone(), random, ebb.clone()));
        }
        Flood { ebb, tasks }
    }

    async fn keep_sending(self: Arc<Self>, client: Client, mut random: StdRng, ebb: CancellationToken) {
        let mut mine: Vec<String> = Vec::new();
        while !ebb.is_cancelled() {
            let again = !mine.is_empty() && random.random_range(0..8) == 0;
            let id = if again {
                mine[random.random_range(0..mine.len())].clone()
            } else {
                self.fresh(random.random_range(200..2048))
            };
            let answer = self.deliver(&client, &id).await;
            mine.extend((!again).then_some(id));
            if answer.is_err() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    }

    /// Everything acknowledged is stored, and nothing twice or by half.
    pub async fn check(&self, folder: &Path) {
        self.check_in(&database_url(folder)).await;
    }

    /// The same in this database.
    pub async fn check_in(&self, url: &str) {
        assert_eq!(missing_in(url, &self.acknowledged()).await, Ok(Vec::new()));
    }
}

/// Under way until it is ended.
pub struct Flood {
    ebb: CancellationToken,
    tasks: JoinSet<()>,
}

impl Flood {
    /// Waits for the answers that are still to come.
    pub async fn end(self) {
        self.ebb.cancel();
        self.tasks.join_all().await;
    }
}

/// What was sent under an id.
fn body(id: &str) -> Vec<u8> {
    let filler = "x".repeat(id.split_once('-').unwrap().1.parse().unwrap());
    format!(r#"{{"id":"{id}","message":{{"raw":"{filler}","events":[{{"eventType":"CREATED"}}]}}}}"#).into()
}

/// What of `expected` is not stored; or what is wrong there: a damaged file, one twice, half of one.
pub async fn missing(folder: &Path, expected: &HashSet<String>) -> Result<Vec<String>, String> {
    missing_in(&database_url(folder), expected).await
}

async fn missing_in(url: &str, expected: &HashSet<String>) -> Result<Vec<String>, String> {
    sqlx::any::install_default_drivers();
    let told = |error: sqlx::Error| error.to_string();
    let pool = AnyPool::connect(url).await.map_err(told)?;
    let verdict = if url.starts_with("sqlite") {
        sqlx::query_scalar("PRAGMA integrity_check").fetch_one(&pool).await.map_err(told)?
    } else {
        "ok".to_owned()
    };
    let uncounted = "SELECT (SELECT count(*) FROM notifications) - (SELECT CAST(sum(notification_count) AS BIGINT) FROM instances)";
    let uncounted: Option<i64> = sqlx::query_scalar(uncounted).fetch_one(&pool).await.map_err(told)?;
    let query = "SELECT notification_id, body, (SELECT count(*) FROM events e WHERE e.notification = n.seq)
        FROM notifications n";
    let rows: Vec<(String, Vec<u8>, i64)> = sqlx::query_as(query).fetch_all(&pool).await.map_err(told)?;
    pool.close().await;
    if verdict != "ok" || uncounted.unwrap_or(0) != 0 {
        return Err(format!("integrity: {verdict}; not counted: {uncounted:?}"));
    }
    let mut stored = HashSet::new();
    for (id, bytes, events) in rows {
        if bytes != body(&id) || events != 1 {
            return Err(format!("{id} is there by half"));
        }
        if let Some(twice) = stored.replace(id) {
            return Err(format!("{twice} is there twice"));
        }
    }
    Ok(expected.difference(&stored).cloned().collect())
}
