//! Pulling events: every one once and in order, at once, waited for, or as a stream.

use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::StreamExt as _;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::events::notification;
use crate::program::Api;

fn ids(items: &[Value]) -> Vec<String> {
    items.iter().map(|item| item["id"].as_str().unwrap().to_owned()).collect()
}

fn names(items: &[Value]) -> Vec<String> {
    items.iter().map(|item| item["notification_id"].as_str().unwrap_or("none").to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_events_are_pulled_each_once_and_in_order() {
    let api = Api::start().await;
    let sends = (0..1000).map(|number| {
        let body = match number % 4 {
            0 => format!("cannot be decoded {number}"),
            1 => notification(&number.to_string()).replace("contacts", "lists"),
            2 => notification(&number.to_string()).replace("UPDATED", "CREATED"),
            _ => notification(&number.to_string()),
        };
        api.one.send(body)
    });
    let sending = async {
        let answers: Vec<_> = futures_util::stream::iter(sends).buffered(50).collect().await;
        assert!(answers.iter().all(|answer| answer.status() == StatusCode::OK));
    };
    // While they arrive: as a program does, with `next`, or the last event it has.
    let pulling = async {
        let (mut all, mut cursor) = (Vec::new(), "0-0".to_owned());
        while all.len() < 1000 {
            let part = api.get(&format!("/api/v1/events?limit=37&wait=10s&after={cursor}")).await;
            all.extend_from_slice(part.items());
            if let Some(next) =
                part.json["next"].as_str().or(part.items().last().and_then(|last| last["id"].as_str()))
            {
                next.clone_into(&mut cursor);
            }
        }
        all
    };
    let (all, ()) = futures_util::join!(pulling, sending);
    let mut once = names(&all);
    once.retain(|name| name != "none");
    once.sort();
    once.dedup();
    assert_eq!((all.len(), once.len()), (1000, 750));
    let times: Vec<_> = all.iter().map(|event| event["received_at"].as_str().unwrap()).collect();
    assert!(times.is_sorted() && times[0].ends_with('Z'));
    for (filter, count) in [
        ("", 1000),
        ("&type=UPDATED", 500),
        ("&type=CREATED&object_type=contacts", 250),
        ("&object_type=lists", 250),
        (&format!("&instance={}", api.one.id), 1000),
        (&format!("&instance={}", uuid::Uuid::nil()), 0),
    ] {
        let pulled = all_parts(&api, filter).await;
        let meant: Vec<_> = ids(&all).into_iter().filter(|id| pulled.contains(id)).collect();
        assert_eq!((pulled.len(), &pulled), (count, &meant), "{filter}: in the same order, and once");
    }
}

/// The ids of everything that a filter means, part by part.
async fn all_parts(api: &Api, filter: &str) -> Vec<String> {
    let (mut pulled, mut cursor) = (Vec::new(), String::new());
    loop {
        let part = api.get(&format!("/api/v1/events?limit=100{filter}&cursor={cursor}")).await;
        pulled.extend(ids(part.items()));
        let Some(next) = part.json["next"].as_str() else { return pulled };
        next.clone_into(&mut cursor);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_event_has_its_notification_whole_or_says_that_it_is_gone() {
    let api = Api::start().await;
    let bytes = b"\xff\x00 no text";
    api.one.send(notification("text")).await;
    api.one.send(bytes.to_vec()).await;
    let list = api.get("/api/v1/events").await;
    let [text, other] = ids(list.items()).try_into().unwrap();
    let whole = api.get(&format!("/api/v1/events/{text}")).await.json;
    assert_eq!((&whole["body"], &whole["body_base64"]), (&notification("text").into(), &Value::Null));
    for (name, value) in list.items()[0].as_object().unwrap() {
        assert_eq!(&whole[name], value);
    }
    assert_eq!(whole["occurred_at"], "2026-11-23T11:59:00Z");
    assert!(whole["headers"]["elements-webhook-signature"].as_str().unwrap().starts_with("sha256="));
    assert_eq!(whole["payload_gone"], false);
    let whole = api.get(&format!("/api/v1/events/{other}")).await.json;
    assert_eq!(
        (&whole["type"], &whole["notification_id"], &whole["body"]),
        (&Value::Null, &Value::Null, &Value::Null)
    );
    assert_eq!(whole["body_base64"], STANDARD.encode(bytes));
    let forget = sqlx::query("UPDATE notifications SET body = x'', payload_gone = 1");
    forget.execute(&api.one.app.database().await).await.unwrap();
    for id in [text, other] {
        let gone = api.get(&format!("/api/v1/events/{id}")).await.json;
        assert_eq!((&gone["body"], &gone["body_base64"]), (&Value::Null, &Value::Null));
        assert_eq!(gone["payload_gone"], true);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_waits_gets_what_arrives_at_once_and_nothing_when_time_is_up() {
    let api = Api::start().await;
    let started = Instant::now();
    let empty = api.get("/api/v1/events?wait=1").await;
    assert_eq!(empty.json, json!({ "items": [], "next": null }));
    assert!(started.elapsed() >= Duration::from_secs(1));
    let started = Instant::now();
    let waiting = api.get("/api/v1/events?wait=60s&type=CREATED");
    let sending = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        api.one.send(notification("not meant")).await;
        tokio::time::sleep(Duration::from_millis(300)).await;
        api.one.send(notification("meant").replace("UPDATED", "CREATED")).await;
    };
    let (answer, ()) = futures_util::join!(waiting, sending);
    assert_eq!(names(answer.items()), ["meant"]);
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_cuts_whoever_waits_short_with_an_answer() {
    let mut api = Api::start().await;
    let mut stream = Stream::open(&api, "", None).await;
    let request = api.request(Method::GET, "/api/v1/events?wait=60s").bearer_auth(&api.read);
    let waiting = tokio::spawn(async move { request.send().await.unwrap().json::<Value>().await.unwrap() });
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(api.one.app.stop().await < Duration::from_secs(3), "nobody who waits holds it up");
    assert_eq!(waiting.await.unwrap(), json!({ "items": [], "next": null }));
    assert!(stream.ended().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_waits_or_streams_with_a_key_that_is_revoked_gets_nothing_more() {
    let api = Api::start().await;
    let mut stream = Stream::open(&api, "", None).await;
    let waiting = api.get("/api/v1/events?wait=60s");
    let revoking = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        let revoke = sqlx::query("UPDATE api_keys SET revoked_at = 1 WHERE name = 'read'");
        revoke.execute(&api.one.app.database().await).await.unwrap();
    };
    let (answer, ()) = futures_util::join!(waiting, revoking);
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    assert!(stream.ended().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn more_than_may_wait_are_asked_to_come_again() {
    let api = Api::start().await;
    let mut streams = Vec::new();
    for _ in 0..256 {
        streams.push(Stream::open(&api, "", None).await);
    }
    let refused = api.get("/api/v1/events?wait=60s").await;
    assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(refused.headers.contains_key("retry-after"));
    assert_eq!(api.get("/api/v1/events").await.status, StatusCode::OK, "who does not wait is let in");
    streams.truncate(200);
    for _ in 0..200 {
        if api.get("/api/v1/events?wait=1").await.status == StatusCode::OK {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("places are not given back");
}

/// An open stream.
struct Stream {
    answer: reqwest::Response,
    text: String,
    seen: Vec<Value>,
    last: Option<String>,
}

impl Stream {
    async fn open(api: &Api, query: &str, last: Option<&str>) -> Self {
        let request = api.request(Method::GET, &format!("/api/v1/events{query}")).bearer_auth(&api.read);
        let request = request.header("Accept", "text/event-stream");
        let request = match last {
            Some(last) => request.header("Last-Event-ID", last),
            None => request,
        };
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        assert!(answer.headers()["content-type"].to_str().unwrap().starts_with("text/event-stream"));
        Self { answer, text: String::new(), seen: Vec::new(), last: last.map(str::to_owned) }
    }

    /// Reads until so many events were seen.
    async fn until(&mut self, events: usize) {
        while self.seen.len() < events {
            let chunk = self.answer.chunk().await.unwrap().expect("the stream goes on");
            self.text += std::str::from_utf8(&chunk).unwrap();
            while let Some((message, rest)) = self.text.split_once("\n\n") {
                if let Some((id, data)) =
                    message.strip_prefix("id: ").and_then(|event| event.split_once("\ndata: "))
                {
                    let event: Value = serde_json::from_str(data).unwrap();
                    assert_eq!(event["id"], id);
                    self.last = Some(id.to_owned());
                    self.seen.push(event);
                }
                let rest = rest.to_owned();
                self.text = rest;
            }
        }
    }

    /// Whether it ends, and soon.
    async fn ended(&mut self) -> bool {
        let end = async { while let Ok(Some(_)) = self.answer.chunk().await {} };
        tokio::time::timeout(Duration::from_secs(20), end).await.is_ok()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_goes_on_by_the_last_event_seen_and_misses_nothing() {
    let mut api = Api::start().await;
    for number in 0..150 {
        api.one.send(notification(&number.to_string())).await;
    }
    let (mut all, mut last) = (Vec::new(), None::<String>);
    for round in 0..3 {
        // Where it went on before wins over where it began.
        let query = if round == 0 { "" } else { "?after=0-0" };
        let mut stream = Stream::open(&api, query, last.as_deref()).await;
        let more = if round == 0 { 150 } else { 3 };
        stream.until(more).await;
        api.one.send(notification(&format!("{round} \r\n\r\nid: 9-9 watched"))).await;
        stream.until(more + 1).await;
        all.append(&mut stream.seen);
        last.clone_from(&stream.last);
        if round == 1 {
            api.one.app.stop().await;
            assert!(stream.ended().await);
            api.one.app.start_again().await;
        }
        drop(stream);
        for number in 0..3 {
            api.one.send(notification(&format!("{round} alone {number}"))).await;
        }
    }
    let rest = api.get(&format!("/api/v1/events?after={}", last.unwrap())).await;
    assert_eq!(rest.items().len(), 3);
    all.extend_from_slice(rest.items());
    let listed = [api.get("/api/v1/events?limit=500").await];
    assert_eq!(ids(&all), ids(listed[0].items()), "each once, and in order");
    let filtered = Stream::open(&api, "?type=CREATED", None).await;
    let garbage = api.request(Method::GET, "/api/v1/events").bearer_auth(&api.read);
    let garbage = garbage.header("Accept", "text/event-stream").header("Last-Event-ID", "x");
    assert_eq!(api.send(garbage).await.json["parameter"], "Last-Event-ID");
    drop(filtered);
}
