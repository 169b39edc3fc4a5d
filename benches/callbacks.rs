//! A thousand customers come back from Mailchimp at once while Cloud Elements takes two seconds. Prints how
//! long it took until the last of them was connected. `callbacks APP SIMULATOR [CUSTOMERS]`

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a measurement that cannot go on should say where"
)]

#[path = "approval.rs"]
mod approval;

use std::time::{Duration, Instant};

use approval::{approved, header};
use futures_util::future::join_all;
use reqwest::Client;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let (app, simulator) = (arguments.next().expect("APP"), arguments.next().expect("SIMULATOR"));
    let customers: usize = arguments.next().map_or(1000, |count| count.parse().unwrap());
    let client = Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy().build().unwrap();
    let faults = |body: &'static str| {
        client
            .post(format!("{simulator}/_sim/faults"))
            .header("content-type", "application/json")
            .body(body)
            .send()
    };
    faults("{}").await.unwrap();
    let before = connected(&client, &app).await;
    let mut ready = Vec::new();
    for _ in 0..customers {
        ready.push(approved(&client, &app).await);
    }
    faults(r#"{"slow_ms":2000}"#).await.unwrap();
    let started = Instant::now();
    join_all(ready.iter().map(|(callback, cookie)| come_back(&client, callback, cookie))).await;
    while connected(&client, &app).await < before + customers {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let took = started.elapsed();
    faults("{}").await.unwrap();
    println!("{customers} customers connected in {:.2} s; the floor is 2.00 s", took.as_secs_f64());
}

/// Come back; the answer leads to the result.
async fn come_back(client: &Client, callback: &str, cookie: &str) {
    let answer = client.get(callback).header("cookie", cookie).send().await.unwrap();
    assert!(header(&answer, "location").contains("/instances/"));
}

/// How many instances the app has connected since it started, by its own count.
async fn connected(client: &Client, app: &str) -> usize {
    let metrics = client.get(format!("{app}/metrics")).send().await.unwrap().text().await.unwrap();
    let count =
        metrics.lines().find_map(|line| line.strip_prefix(r#"gangway_instances_total{state="connected"} "#));
    count.map_or(0, |count| count.parse().unwrap())
}
