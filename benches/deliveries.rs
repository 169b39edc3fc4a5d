//! Notifications passed on to a fast endpoint while a dead one is registered beside it. Prints how many a second
//! arrived. `deliveries APP SIMULATOR API_KEY [COUNT]`

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a measurement that cannot go on should say where"
)]

#[path = "customer.rs"]
mod customer;

use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use reqwest::Client;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::LocalSet;

const SENDERS: u64 = 16;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let mut next = || arguments.next();
    let (app, simulator) = (next().expect("APP"), next().expect("SIMULATOR"));
    let (key, count) = (next().expect("API_KEY"), next().map_or(20_000, |text| text.parse().unwrap()));
    LocalSet::new().run_until(measure(&app, &simulator, &key, count)).await;
}

async fn measure(app: &str, simulator: &str, api_key: &str, count: u64) {
    let (path, key) = customer::connected(app, simulator).await;
    let client = Client::builder().no_proxy().build().unwrap();
    let arrived = Rc::new(Cell::new(0_u64));
    for dead in [true, false] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        tokio::task::spawn_local(receive(listener, dead, arrived.clone()));
        let request = client.post(format!("{app}/api/v1/endpoints")).bearer_auth(api_key);
        let answer = request.json(&json!({ "url": url })).send().await.unwrap();
        assert_eq!(answer.status(), 201, "{:?}", answer.text().await);
    }
    let started = Instant::now();
    let sending: Vec<_> = (0..SENDERS)
        .map(|sender| {
            let (client, url, key) = (client.clone(), format!("{app}{path}"), key.clone());
            tokio::task::spawn_local(async move {
                for number in (sender..count).step_by(usize::try_from(SENDERS).unwrap()) {
                    let event = json!({ "eventType": "UPDATED", "objectType": "contacts" });
                    let body = json!({ "id": number.to_string(), "message": { "events": [event], "raw": "x".repeat(1800) } });
                    let body = body.to_string();
                    let request = client.post(&url).header("Elements-Webhook-Signature", key.sign(body.as_bytes()));
                    assert_eq!(request.body(body).send().await.unwrap().status(), 200);
                }
            })
        })
        .collect();
    for sender in sending {
        sender.await.unwrap();
    }
    let sent = started.elapsed();
    while arrived.get() < count {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let took = started.elapsed();
    let rate = |took: Duration| u64::try_from(u128::from(count) * 1000 / took.as_millis().max(1)).unwrap();
    println!("{count} notifications: taken at {}/s, all passed on at {}/s", rate(sent), rate(took));
}

async fn receive(listener: TcpListener, dead: bool, arrived: Rc<Cell<u64>>) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        if dead {
            // Reads nothing and says nothing.
            tokio::task::spawn_local(async move {
                let _held = stream;
                std::future::pending::<()>().await;
            });
        } else {
            tokio::task::spawn_local(answer(stream, arrived.clone()));
        }
    }
}

async fn answer(mut stream: TcpStream, arrived: Rc<Cell<u64>>) {
    let (mut bytes, mut chunk) = (Vec::new(), vec![0; 65_536]);
    loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&bytes[..end]).to_ascii_lowercase();
            let length =
                head.lines().find_map(|line| line.strip_prefix("content-length: ")).expect("a length");
            let whole = end + 4 + length.parse::<usize>().unwrap();
            if bytes.len() >= whole {
                bytes.drain(..whole);
                arrived.set(arrived.get() + 1);
                stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.unwrap();
                continue;
            }
        }
        match stream.read(&mut chunk).await {
            Ok(0) | Err(_) => return,
            Ok(read) => bytes.extend_from_slice(&chunk[..read]),
        }
    }
}
