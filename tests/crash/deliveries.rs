//! Passing on while Gangway is killed again and again: whatever is stored reaches the endpoint, at least once.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use gangway::app::{Surroundings, sealer};
use gangway::clock::{Clock, SystemClock};
use gangway::entropy::{SystemEntropy, fresh_id};
use gangway::storage::{Endpoint, EndpointState, Storage, Wanted};
use gangway::webhook::EndpointSecret;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::child::{Running, config, database_url};
use crate::flood::number;
use crate::kill::Stage;
use crate::receiver::{Mood, Receiver};
use crate::sender::Sender;

/// As an operator would have, through the database; so many endpoints with one secret.
pub async fn register(stage: &Stage, url: &str, wanted: Wanted, count: usize) -> EndpointSecret {
    let entropy = Arc::new(SystemEntropy::default());
    let sealer = sealer(&config(&stage.order), &Surroundings::default());
    let storage = Storage::open_beside(&stage.order.database_url().into(), sealer).await.unwrap();
    let secret = EndpointSecret::draw(&*entropy);
    let endpoints: Vec<Endpoint> = (0..count)
        .map(|_| Endpoint {
            id: fresh_id(&SystemClock, &*entropy),
            url: url.to_owned(),
            wanted: wanted.clone(),
            state: EndpointState::On,
            failing_since: None,
            created_at: SystemClock.now(),
        })
        .collect();
    let adding = endpoints.iter().map(|endpoint| storage.add_endpoint(endpoint, &secret));
    futures_util::future::try_join_all(adding).await.unwrap();
    storage.close().await;
    secret
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_again_and_again_while_passing_on_everything_stored_arrives() {
    let (loops, seed) = (number("CRASH_LOOPS", 10).min(100), number("CRASH_SEED", 20_261_125));
    println!("CRASH_LOOPS={loops} CRASH_SEED={seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let stage = Stage::set().await;
    let mut child = Running::start(&stage.order);
    let receiver = Receiver::start(Mood::Good(1)).await;
    register(&stage, &receiver.url, Wanted::default(), 1).await;
    let sender = Arc::new(Sender::connect(&stage).await);
    let flood = sender.flood(seed);
    for _ in 0..loops {
        tokio::time::sleep(Duration::from_millis(random.random_range(50..500))).await;
        child.kill();
        child = Running::start(&stage.order);
    }
    flood.end().await;
    let pool = sqlx::SqlitePool::connect(&database_url(&stage.order.folder)).await.unwrap();
    let stored: Vec<String> =
        sqlx::query_scalar("SELECT notification_id FROM notifications").fetch_all(&pool).await.unwrap();
    let mut missing: HashSet<String> = stored.into_iter().collect();
    let count = missing.len();
    for _ in 0..600 {
        for one in receiver.received() {
            missing.remove(&one.headers["elements-webhook-id"]);
        }
        if missing.is_empty() {
            println!("{loops} kills: {count} stored, and every one of them arrived");
            return;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    panic!("{} of {count} never arrived", missing.len());
}
