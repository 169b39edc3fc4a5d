//! A flood of notifications while Gangway is killed again and again on the same data. Whoever got a 200 is on
//! disk, once; whoever got no answer may be there or not, but not twice and not by half.

use std::sync::Arc;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::child::{Running, database_url};
use crate::kill::Stage;
use crate::sender::Sender;

/// A number that the environment may set.
pub fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// `CRASH_LOOPS` sets how often; the seed is printed, so that a failure can be looked into.
#[tokio::test(flavor = "multi_thread")]
async fn c06_killed_again_and_again_under_a_flood_what_was_acknowledged_is_stored_once() {
    let (loops, seed) = (number("CRASH_LOOPS", 50), number("CRASH_SEED", 20_261_125));
    println!("CRASH_LOOPS={loops} CRASH_SEED={seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let stage = Stage::set().await;
    let mut child = Running::start(&stage.order);
    let sender = Arc::new(Sender::connect(&stage).await);
    let flood = sender.flood(seed);
    for _ in 0..loops {
        tokio::time::sleep(Duration::from_millis(random.random_range(1..400))).await;
        child.kill();
        child = Running::start(&stage.order);
    }
    flood.end().await;
    sender.check(&stage.order.folder).await;
    let pool = sqlx::SqlitePool::connect(&database_url(&stage.order.folder)).await.unwrap();
    let stored: i64 =
        sqlx::query_scalar("SELECT count(*) FROM notifications").fetch_one(&pool).await.unwrap();
    let (sent, acknowledged) = (sender.sent(), sender.acknowledged().len());
    println!(
        "{loops} kills: {sent} sent, {acknowledged} acknowledged, {stored} stored, none lost, none twice"
    );
    assert!(u64::try_from(acknowledged).unwrap() > loops, "the flood got through between the kills");
}
