//! Signed event notifications of 2 KiB, each with an id of its own, as fast as they are acknowledged. Prints how
//! many a second, and how long each took. `events APP SIMULATOR [CONNECTIONS] [SECONDS] [FORGERS]`: so many
//! further connections send nothing but forged signatures meanwhile.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a measurement that cannot go on should say where"
)]

#[path = "customer.rs"]
mod customer;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

use gangway::elements::SignatureKey;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::LocalSet;

/// What is sent, and what came of it.
struct Load {
    path: String,
    key: SignatureKey,
    forged: SignatureKey,
    next: Cell<u64>,
    until: Instant,
    took: RefCell<Vec<Duration>>,
    refused: Cell<u64>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let (app, simulator) = (arguments.next().expect("APP"), arguments.next().expect("SIMULATOR"));
    let mut number = |usual: u64| arguments.next().map_or(usual, |text| text.parse().unwrap());
    let (connections, seconds, forgers) = (number(64), number(5), number(0));
    let (path, key) = customer::connected(&app, &simulator).await;
    let load = Rc::new(Load {
        path,
        key,
        forged: SignatureKey::from_stored("another key altogether".to_owned()).expect("a key"),
        next: Cell::new(0),
        until: Instant::now() + Duration::from_secs(seconds),
        took: RefCell::default(),
        refused: Cell::new(0),
    });
    let address = app.trim_start_matches("http://").to_owned();
    let local = LocalSet::new();
    for number in 0..connections + forgers {
        local.spawn_local(send(load.clone(), address.clone(), number >= connections));
    }
    local.await;
    let mut took = load.took.take();
    took.sort();
    let at = |percent: usize| took[(took.len() - 1) * percent / 100].as_secs_f64() * 1000.0;
    println!(
        "{connections} connections: {}/s, p50 {:.1} ms, p99 {:.1} ms; {} forged refused a second",
        took.len() as u64 / seconds,
        at(50),
        at(99),
        load.refused.get() / seconds
    );
}

async fn send(load: Rc<Load>, address: String, forging: bool) {
    let mut stream = TcpStream::connect(&address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let mut answer = vec![0; 4096];
    while Instant::now() < load.until {
        let number = load.next.replace(load.next.get() + 1);
        let event = json!({ "eventType": "UPDATED", "objectType": "contacts", "objectId": number.to_string(),
            "date": "2026-11-24T12:00:00Z" });
        let body =
            json!({ "id": number.to_string(), "message": { "events": [event], "raw": "x".repeat(1800) } });
        let body = body.to_string();
        let key = if forging { &load.forged } else { &load.key };
        let request = format!(
            "POST {} HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\nElements-Webhook-Signature: {}\r\nContent-Length: {}\r\n\r\n{body}",
            load.path,
            key.sign(body.as_bytes()),
            body.len()
        );
        let started = Instant::now();
        stream.write_all(request.as_bytes()).await.unwrap();
        let read = whole_answer(&mut stream, &mut answer).await;
        let status = &answer[9..12];
        if forging {
            assert_eq!(status, b"401", "{}", String::from_utf8_lossy(&answer[..read]));
            load.refused.set(load.refused.get() + 1);
        } else {
            assert_eq!(status, b"200", "{}", String::from_utf8_lossy(&answer[..read]));
            load.took.borrow_mut().push(started.elapsed());
        }
    }
}

/// Reads one answer with its body; answers how long it was.
async fn whole_answer(stream: &mut TcpStream, answer: &mut [u8]) -> usize {
    let mut read = 0;
    loop {
        read += stream.read(&mut answer[read..]).await.unwrap();
        let text = std::str::from_utf8(&answer[..read]).unwrap();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|line| {
            let (name, value) = line.split_once(": ")?;
            name.eq_ignore_ascii_case("content-length").then(|| value.parse::<usize>().unwrap())
        });
        if body.len() >= length.unwrap_or(0) {
            return read;
        }
    }
}
