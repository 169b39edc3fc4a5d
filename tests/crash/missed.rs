//! Killed while missed events are read back: the next start goes on, and everything is stored once.

use std::time::{Duration, Instant};

use serde_json::json;
use sqlx::SqlitePool;

use crate::app::{Browser, plain};
use crate::child::{Running, database_url};
use crate::kill::Stage;

const MISSED: i64 = 43;

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_in_the_middle_of_reading_back_loses_and_doubles_nothing() {
    let stage = Stage::set().await;
    let mut child = Running::start(&stage.order);
    let browser = Browser::of(&stage.origin);
    let result = browser.connect().await;
    browser.wait_for(&result, "MailChimp is connected").await;
    stage.faults(json!({ "lose_queued": true, "small_pages": true, "events_slow_ms": 150 })).await;
    plain().post(format!("{}/_sim/give-up", stage.order.simulator)).send().await.unwrap();
    for number in 0..MISSED {
        let contact = json!({ "email": format!("missed-{number}@reader.example") });
        let answer = plain().post(format!("{}/_sim/contacts", stage.order.simulator)).json(&contact).send();
        assert_eq!(answer.await.unwrap().status(), 200);
    }
    let pool = SqlitePool::connect(&database_url(&stage.order.folder)).await.unwrap();
    let wish = "UPDATE missed_events SET wanted = '7KQM-2X9T', next_look_at = 1";
    sqlx::query(wish).execute(&pool).await.unwrap();
    for killed_after in [1, 12, 23, 34] {
        until(&pool, killed_after).await;
        child.kill();
        assert!(stored(&pool).await < MISSED, "it was in the middle");
        child = Running::start(&stage.order);
    }
    until(&pool, MISSED).await;
    let open = "SELECT count(*) FROM missed_events WHERE fill_due_at IS NOT NULL";
    while sqlx::query_scalar::<_, i64>(open).fetch_one(&pool).await.unwrap() > 0 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let ids = "SELECT count(DISTINCT notification_id) FROM notifications";
    let ids: i64 = sqlx::query_scalar(ids).fetch_one(&pool).await.unwrap();
    assert_eq!((stored(&pool).await, ids), (MISSED, MISSED));
    let pages = stage.ledger().await["log"].to_string().matches("\"page 0\"").count();
    assert!(pages <= 2, "it went on where it was, and did not begin anew: {pages}");
}

async fn stored(pool: &SqlitePool) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM notifications").fetch_one(pool).await.unwrap()
}

async fn until(pool: &SqlitePool, count: i64) {
    let started = Instant::now();
    while stored(pool).await < count {
        assert!(started.elapsed() < Duration::from_secs(60), "{count} are not read back");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
