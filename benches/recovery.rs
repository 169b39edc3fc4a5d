//! Ten thousand onboardings whose answers got lost, beside a million settled instances: how long until all of
//! them are in a true state, at how many calls at once. `recovery DATABASE_FILE [SETTLED] [UNSETTLED] [MILLISECONDS]`
//! leaves the database there, for measuring a start on it.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a measurement that cannot go on should say where"
)]

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use gangway::app::{Surroundings, onboarding, sealer};
use gangway::config::Config;
use gangway::storage::Storage;
use sqlx::SqlitePool;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Cloud Elements' side: has every instance that is asked for by its tag.
#[derive(Default)]
struct Upstream {
    calls: AtomicUsize,
    at_once: AtomicUsize,
    most_at_once: AtomicUsize,
}

#[tokio::main]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let file = arguments.next().expect("DATABASE_FILE");
    let mut number = |usual: usize| arguments.next().map_or(usual, |text| text.parse().unwrap());
    let (settled, unsettled, milliseconds) = (number(1_000_000), number(10_000), number(10));
    let upstream = Arc::new(Upstream::default());
    let address = serve(upstream.clone(), Duration::from_millis(milliseconds as u64)).await;
    let (config, surroundings) = (config(&file, &address), Surroundings::default());
    let storage = Storage::open(&config.database_url, sealer(&config, &surroundings)).await.unwrap();
    let pool = SqlitePool::connect(&format!("sqlite://{file}")).await.unwrap();
    fill(&pool, settled, unsettled).await;
    let onboarding = onboarding(&config, storage.clone(), surroundings).unwrap();
    let started = Instant::now();
    onboarding.recover().await.unwrap();
    let took = started.elapsed().as_secs_f64();
    let open: i64 = sqlx::query_scalar("SELECT count(*) FROM open_work").fetch_one(&pool).await.unwrap();
    let connected = "SELECT count(*) FROM instances WHERE state = 'connected' AND id >= 'f'";
    let connected: i64 = sqlx::query_scalar(connected).fetch_one(&pool).await.unwrap();
    storage.close().await;
    assert_eq!((open, connected), (0, i64::try_from(unsettled).unwrap()), "all are adopted");
    let calls = upstream.calls.load(Ordering::SeqCst);
    let floor = Duration::from_millis((calls * milliseconds / 8) as u64).as_secs_f64();
    println!(
        "{unsettled} unsettled beside {settled} settled: {took:.1} s, {calls} calls of {milliseconds} ms, at most {} at once; the floor is {floor:.1} s",
        upstream.most_at_once.load(Ordering::SeqCst)
    );
}

/// Only the database and the other side matter here.
fn config(file: &str, upstream: &str) -> Config {
    let variables: HashMap<String, String> = [
        ("PUBLIC_URL", "http://127.0.0.1:18090".to_owned()),
        ("DATABASE_URL", format!("sqlite://{file}")),
        ("SECRET_KEY", std::env::var("SECRET_KEY").expect("SECRET_KEY")),
        ("MAILCHIMP_CLIENT_ID", "1".to_owned()),
        ("MAILCHIMP_CLIENT_SECRET", "secret".to_owned()),
        ("CLOUD_ELEMENTS_URL", format!("http://{upstream}/elements/api-v2")),
        ("CLOUD_ELEMENTS_USER_SECRET", "u".to_owned()),
        ("CLOUD_ELEMENTS_ORGANIZATION_SECRET", "o".to_owned()),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value))
    .collect();
    Config::from_variables(&variables).expect("settings")
}

/// Settled rows have ids from 0 on, unsettled ones from f: written straight into the tables, because a
/// million onboardings would take longer than what is measured.
async fn fill(pool: &SqlitePool, settled: usize, unsettled: usize) {
    let rows = |id: char, more: &str, values: &str| {
        sqlx::AssertSqlSafe(format!(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $1) \
             INSERT INTO instances (id, name, element, reference, browser, signature_key, created_at, state, {more}) \
             SELECT printf('{id}1a20a99-a8ce-7563-8000-%012d', i), 'MailChimp ' || i, 'mailchimpv3', '0000-0000', \
             x'00', x'00', 1700000000000 + i, {values} FROM n"
        ))
    };
    let existing = "element_instance_id, events_enabled, connected_at, next_check_at";
    let settled_rows = rows('0', existing, "'connected', i, 1, 1700000000000 + i, 4000000000000 + i");
    let unsettled_rows = rows('f', "problem_kind, problem_since", "'unknown', 'no_answer', 1");
    for (query, count) in [(settled_rows, settled), (unsettled_rows, unsettled)] {
        sqlx::query(query).bind(i64::try_from(count).unwrap()).execute(pool).await.unwrap();
    }
    let open = "INSERT INTO open_work (instance, ticket, kind, since, sent_at, due_at) SELECT id, id, 'provision', 1, 1, 1 FROM instances WHERE state = 'unknown'";
    sqlx::query(open).execute(pool).await.unwrap();
}

async fn serve(upstream: Arc<Upstream>, takes: Duration) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let upstream = upstream.clone();
            tokio::spawn(async move {
                let _ = answer(stream, &upstream, takes).await;
            });
        }
    });
    address
}

/// Answers searches by tag with the instance that carries it, as it should be.
async fn answer(mut stream: TcpStream, upstream: &Upstream, takes: Duration) -> std::io::Result<()> {
    let mut request = vec![0; 8192];
    loop {
        let mut read = 0;
        while !request[..read].ends_with(b"\r\n\r\n") {
            match stream.read(&mut request[read..]).await? {
                0 => return Ok(()),
                more => read += more,
            }
        }
        let number = upstream.calls.fetch_add(1, Ordering::SeqCst);
        upstream
            .most_at_once
            .fetch_max(upstream.at_once.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        tokio::time::sleep(takes).await;
        upstream.at_once.fetch_sub(1, Ordering::SeqCst);
        let asked = String::from_utf8_lossy(&request[..read]);
        let tag = asked.split("gangway-").nth(1).and_then(|rest| rest.get(..36)).unwrap_or_default();
        let body = format!(
            r#"[{{"id":{},"token":"t","tags":["gangway-{tag}"],"element":{{"key":"mailchimpv3"}}}}]"#,
            10_000_000 + number
        );
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(format!("{head}{body}").as_bytes()).await?;
    }
}
