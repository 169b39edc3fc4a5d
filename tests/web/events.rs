//! `POST /events/{id}`: the rows D of the threat list.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use reqwest::{Response, StatusCode};
use serde_json::json;
use sha2::Sha256;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::app::{Browser, TestApp, plain};

/// A connected instance, with the key that only Cloud Elements and Gangway know.
pub struct Connected {
    pub app: TestApp,
    pub browser: Browser,
    pub page: String,
    pub id: String,
    pub key: String,
    pub client: reqwest::Client,
}

impl Connected {
    pub async fn new() -> Self {
        Self::of(TestApp::start().await).await
    }

    pub async fn of(app: TestApp) -> Self {
        let (browser, page) = app.connected().await;
        let ledger = app.ledger().await;
        let instances = ledger["instances"].as_array().unwrap();
        let key = instances.last().unwrap()["configuration"]["event.notification.signature.key"]
            .as_str()
            .unwrap()
            .to_owned();
        let id = page.rsplit('/').next().unwrap().to_owned();
        Self { app, browser, page, id, key, client: plain() }
    }

    pub fn url(&self) -> String {
        format!("{}/events/{}", self.app.origin, self.id)
    }

    pub async fn send(&self, body: impl Into<Vec<u8>>) -> Response {
        let body = body.into();
        let signature = sign(&self.key, &body);
        self.client
            .post(self.url())
            .header("Elements-Webhook-Signature", signature)
            .body(body)
            .send()
            .await
            .unwrap()
    }

    async fn stored(&self) -> i64 {
        let query = sqlx::query_scalar("SELECT count(*) FROM notifications");
        query.fetch_one(&self.app.database().await).await.unwrap()
    }
}

pub fn sign(key: &str, body: &[u8]) -> String {
    let mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).unwrap().chain_update(body);
    format!("sha256={}", STANDARD.encode(mac.finalize().into_bytes()))
}

pub fn notification(id: &str) -> String {
    json!({ "id": id, "message": { "events": [
        { "eventType": "UPDATED", "objectType": "contacts", "objectId": "x", "date": "2026-11-23T11:59:00Z" } ] } })
    .to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signed_notification_is_on_disk_before_it_is_answered() {
    let one = Connected::new().await;
    let answer = one.send(notification("1")).await;
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(answer.text().await.unwrap(), "{}");
    assert_eq!(one.stored().await, 1);
    assert!(one.browser.page(&one.page).await.text.contains("UPDATED contacts"));
}

#[tokio::test(flavor = "multi_thread")]
async fn d01_d02_d03_d05_what_is_not_signed_by_the_key_over_the_raw_bytes_is_refused() {
    let one = Connected::new().await;
    let body = notification("1");
    let right = sign(&one.key, body.as_bytes());
    let digest = STANDARD.decode(&right[7..]).unwrap();
    let mut flipped = digest.clone();
    flipped[5] ^= 1;
    let mut wrong = vec![
        None,
        Some(String::new()),
        Some("sha256=".into()),
        Some("v1,".into()),
        Some(right.replace("sha256=", "sha1=")),
        Some(right.replace("sha256=", "SHA256=")),
        Some(format!("sha256={}", STANDARD.encode(flipped))),
        Some(format!("sha256={}", digest.iter().map(|byte| format!("{byte:02X}")).collect::<String>())),
        Some(sign("another key", body.as_bytes())),
        Some(sign(&one.key, format!("{body} ").as_bytes())),
    ];
    wrong.extend((1..32).map(|length| Some(format!("sha256={}", STANDARD.encode(&digest[..length])))));
    for signature in wrong {
        let mut request = one.client.post(one.url()).body(body.clone());
        if let Some(signature) = &signature {
            request = request.header("Elements-Webhook-Signature", signature);
        }
        assert_eq!(request.send().await.unwrap().status(), StatusCode::UNAUTHORIZED, "{signature:?}");
    }
    assert_eq!(one.stored().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn d04_a_signature_for_one_instance_opens_no_other() {
    let one = Connected::new().await;
    let (_, other) = one.app.connected().await;
    let other = other.rsplit('/').next().unwrap().to_owned();
    let body = notification("1");
    let url = format!("{}/events/{other}", one.app.origin);
    let request = plain().post(url).header("Elements-Webhook-Signature", sign(&one.key, body.as_bytes()));
    assert_eq!(request.body(body).send().await.unwrap().status(), StatusCode::UNAUTHORIZED);
    assert_eq!(one.stored().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn d08_d10_a_notification_that_comes_often_or_a_thousand_times_at_once_is_one_row() {
    let one = Connected::new().await;
    for _ in 0..3 {
        assert_eq!(one.send(notification("7")).await.status(), StatusCode::OK);
    }
    assert_eq!(one.stored().await, 1);
    let answers = futures_util::future::join_all((0..1000).map(|_| one.send(notification("8")))).await;
    assert!(answers.iter().all(|answer| answer.status() == StatusCode::OK));
    assert_eq!(one.stored().await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_body_under_the_same_id_is_kept_apart() {
    let one = Connected::new().await;
    let texts = ["a", "b", "a", "b"];
    for text in texts {
        let body = format!(r#"{{"id":"7","message":{{"events":[]}},"text":"{text}"}}"#);
        assert_eq!(one.send(body).await.status(), StatusCode::OK);
    }
    assert_eq!(one.stored().await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forged_signature_costs_no_look_into_the_database() {
    let one = Connected::new().await;
    assert_eq!(one.send(notification("7")).await.status(), StatusCode::OK);
    let forged = async || {
        let request = one.client.post(one.url()).body("{}");
        request
            .header("Elements-Webhook-Signature", sign("another key", b"{}"))
            .send()
            .await
            .unwrap()
            .status()
    };
    assert_eq!(forged().await, StatusCode::UNAUTHORIZED, "now it is known");
    sqlx::query("ALTER TABLE instances RENAME TO elsewhere")
        .execute(&one.app.database().await)
        .await
        .unwrap();
    assert_eq!(forged().await, StatusCode::UNAUTHORIZED);
    assert_eq!(one.send(notification("8")).await.status(), StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test(flavor = "multi_thread")]
async fn d17_what_is_more_than_memory_may_hold_is_asked_to_come_again() {
    let one = Connected::new().await;
    let address = one.app.origin.trim_start_matches("http://").to_owned();
    let mut open = Vec::new();
    let head = format!(
        "POST /events/{} HTTP/1.1\r\nHost: x\r\nContent-Length: 16777216\r\nElements-Webhook-Signature: {}\r\n\r\n",
        one.id,
        sign(&one.key, b"")
    );
    let mut answer = one.send(notification("7")).await;
    for _ in 0..200 {
        if answer.status() == StatusCode::SERVICE_UNAVAILABLE {
            break;
        }
        // Four take all there is; one that comes while a small one is read is refused, and another is tried.
        let mut stream = tokio::net::TcpStream::connect(&address).await.unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        open.push(stream);
        tokio::time::sleep(Duration::from_millis(10)).await;
        answer = one.send(notification("7")).await;
    }
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE, "64 MiB are spoken for");
    assert!(answer.headers().contains_key("retry-after"));
    drop(open);
    while one.send(notification("7")).await.status() != StatusCode::OK {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn d11_a_body_over_the_limit_is_refused_declared_or_not() {
    let one = Connected::of(TestApp::with(|config| config.limits.notification_bytes = 100_000).await).await;
    let body = vec![b' '; 100_001];
    assert_eq!(one.send(body.clone()).await.status(), StatusCode::PAYLOAD_TOO_LARGE);
    let address = one.app.origin.trim_start_matches("http://").to_owned();
    let mut stream = tokio::net::TcpStream::connect(&address).await.unwrap();
    let head = format!(
        "POST /events/{} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nElements-Webhook-Signature: {}\r\n\r\n",
        one.id,
        sign(&one.key, &body),
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let chunk = format!("2710\r\n{}\r\n", " ".repeat(10_000));
    for _ in 0..12 {
        let _ = stream.write_all(chunk.as_bytes()).await;
    }
    let mut answer = Vec::new();
    let _ =
        tokio::time::timeout(Duration::from_secs(10), stream.read_to_end(&mut answer)).await.expect("closed");
    assert!(
        String::from_utf8_lossy(&answer).starts_with("HTTP/1.1 413"),
        "{}",
        String::from_utf8_lossy(&answer)
    );
    assert_eq!(one.send(vec![b' '; 100_000]).await.status(), StatusCode::OK, "at the limit");
}

#[tokio::test(flavor = "multi_thread")]
async fn d12_d13_d15_whatever_is_signed_is_kept_as_it_came() {
    let one = Connected::new().await;
    let deep = "[".repeat(100_000);
    let keys: String = (0..100_000).map(|key| format!("\"{key}\":0,")).collect();
    let bodies: Vec<Vec<u8>> = vec![
        Vec::new(),
        b"null".to_vec(),
        b"[]".to_vec(),
        b"12".to_vec(),
        b"\xff\xfe not utf-8".to_vec(),
        b"<script>alert(1)</script>".to_vec(),
        deep.into_bytes(),
        format!("{{{keys}\"id\":1}}").into_bytes(),
        br#"{"id":1,"id":2,"message":{"events":[]}}"#.to_vec(),
    ];
    for body in &bodies {
        assert_eq!(one.send(body.clone()).await.status(), StatusCode::OK, "{}", body.len());
    }
    let kept: Vec<Vec<u8>> = sqlx::query_scalar("SELECT body FROM notifications ORDER BY seq")
        .fetch_all(&one.app.database().await)
        .await
        .unwrap();
    assert_eq!(kept, bodies);
}

#[tokio::test(flavor = "multi_thread")]
async fn d16_a_slow_body_ends_at_its_deadline_and_others_are_served() {
    let one = Connected::of(
        TestApp::with(|config| config.limits.notification_deadline = Duration::from_millis(300)).await,
    )
    .await;
    let address = one.app.origin.trim_start_matches("http://").to_owned();
    let mut stream = tokio::net::TcpStream::connect(&address).await.unwrap();
    let head = format!(
        "POST /events/{} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\nElements-Webhook-Signature: {}\r\n\r\nx",
        one.id,
        sign(&one.key, b""),
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    assert_eq!(one.send(notification("1")).await.status(), StatusCode::OK);
    let mut answer = Vec::new();
    let _ =
        tokio::time::timeout(Duration::from_secs(10), stream.read_to_end(&mut answer)).await.expect("closed");
    assert!(
        String::from_utf8_lossy(&answer).starts_with("HTTP/1.1 408"),
        "{}",
        String::from_utf8_lossy(&answer)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn d20_an_unknown_instance_is_404_and_a_disconnected_one_410() {
    let one = Connected::new().await;
    for id in ["0", "not-an-id", "01a20a99-a8ce-7563-ba33-fbd382988f52"] {
        let answer = plain().post(format!("{}/events/{id}", one.app.origin)).body("{}").send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::NOT_FOUND, "{id}");
        assert_eq!(answer.headers()["content-type"], "application/problem+json");
    }
    sqlx::query("UPDATE instances SET state = 'disconnected'")
        .execute(&one.app.database().await)
        .await
        .unwrap();
    assert_eq!(one.send(notification("1")).await.status(), StatusCode::GONE);
    assert_eq!(one.browser.headline(&one.page).await, "Disconnected");
}

#[tokio::test(flavor = "multi_thread")]
async fn d21_an_event_that_comes_before_the_answer_is_stored_and_shown_later() {
    let app = TestApp::with(|config| config.limits.callback_patience = Duration::from_millis(20)).await;
    app.faults(json!({ "slow_ms": 1000 })).await;
    let browser = app.browser();
    let page = browser.connect().await;
    app.add_contact("early@reader.example").await;
    browser.wait_for(&page, "MailChimp is connected").await;
    browser.wait_for(&page, "First event received").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn d07_f18_a_timestamp_that_nothing_signs_decides_nothing() {
    let one = Connected::new().await;
    for (number, at) in ["1999-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "yesterday", ""].iter().enumerate() {
        let body = notification(&number.to_string()).replace("2026-11-23T11:59:00Z", at);
        let request = one.client.post(one.url()).header("webhook-timestamp", *at);
        let request = request.header("Elements-Webhook-Signature", sign(&one.key, body.as_bytes()));
        assert_eq!(request.body(body).send().await.unwrap().status(), StatusCode::OK, "{at}");
    }
    assert_eq!(one.stored().await, 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn d22_what_comes_out_of_order_is_stored_as_it_comes_and_shows_both_times() {
    let one = Connected::new().await;
    for (id, minute) in [("late", "11:57"), ("later", "11:55"), ("latest", "11:59")] {
        let body = notification(id).replace("11:59", minute);
        assert_eq!(one.send(body).await.status(), StatusCode::OK);
        one.app.clock.advance(time::Duration::seconds(1));
    }
    let operator = one.app.operator().await;
    let list = operator.page("/admin/events").await;
    let happened = list.attributes("tbody td:nth-of-type(4) time", "datetime");
    let minutes: Vec<&str> = happened.iter().map(|at| &at[11..16]).collect();
    assert_eq!(minutes, ["11:59", "11:55", "11:57"], "the newest arrival first");
    assert_eq!(
        list.attributes("tbody td time", "datetime").len(),
        6,
        "when each arrived, and when it happened"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn d23_what_is_in_flight_while_access_is_renewed_is_accepted_before_and_after() {
    let one = Connected::new().await;
    assert_eq!(one.send(notification("before")).await.status(), StatusCode::OK);
    let start = format!("{}/reconnect", one.page);
    let renewing = crate::care::approve_again(&one.browser, &start, "0");
    let sending = async {
        for number in 0..50 {
            assert_eq!(one.send(notification(&number.to_string())).await.status(), StatusCode::OK);
        }
    };
    let (result, ()) = futures_util::join!(renewing, sending);
    one.browser.wait_for(&result, "MailChimp is connected").await;
    assert_eq!(
        one.send(notification("after")).await.status(),
        StatusCode::OK,
        "the key is the instance's for life"
    );
    assert_eq!(one.stored().await, 52);
}

#[tokio::test(flavor = "multi_thread")]
async fn d24_a_compressed_body_is_kept_as_it_came_and_never_unpacked() {
    let one = Connected::new().await;
    // The head of a gzip stream and noise: whoever unpacks it fails.
    let packed = [0x1f, 0x8b, 0x08, 0, 0, 0, 0, 0, 0, 3].into_iter().chain([0xff; 1024]).collect::<Vec<u8>>();
    for encoding in ["gzip", "br", "deflate", "zstd", "x-unknown"] {
        let body: Vec<u8> = packed.iter().copied().chain(encoding.bytes()).collect();
        let request = one.client.post(one.url()).header("Content-Encoding", encoding);
        let request = request.header("Elements-Webhook-Signature", sign(&one.key, &body));
        assert_eq!(request.body(body.clone()).send().await.unwrap().status(), StatusCode::OK, "{encoding}");
        let query = sqlx::query_scalar("SELECT body FROM notifications ORDER BY seq DESC LIMIT 1");
        let kept: Vec<u8> = query.fetch_one(&one.app.database().await).await.unwrap();
        assert_eq!(kept, body, "{encoding}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn duplicates_reordering_and_wrong_signatures_of_the_other_side_are_withstood() {
    let one = Connected::new().await;
    one.app.faults(json!({ "duplicate": true, "reorder": true })).await;
    for contact in 0..4 {
        one.app.add_contact(&format!("c{contact}@reader.example")).await;
    }
    for _ in 0..200 {
        if one.stored().await == 4 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    assert_eq!(one.stored().await, 4);
    one.app.faults(json!({ "bad_signature": true })).await;
    one.app.add_contact("wrong@reader.example").await;
    for _ in 0..200 {
        if one.app.ledger().await["log"].to_string().contains("\"401\"") {
            break;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    assert_eq!(one.stored().await, 4);
    // The sender tries again; once its signature is right, nothing is lost.
    one.app.faults(json!({})).await;
    for _ in 0..400 {
        if one.stored().await == 5 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("the retried notification never came");
}

#[tokio::test(flavor = "multi_thread")]
async fn c08_while_the_database_says_no_nothing_is_acknowledged() {
    let one = Connected::new().await;
    let database = one.app.database().await;
    sqlx::query("ALTER TABLE notifications RENAME TO gone").execute(&database).await.unwrap();
    let answer = one.send(notification("1")).await;
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(answer.headers().contains_key("retry-after"));
    sqlx::query("ALTER TABLE gone RENAME TO notifications").execute(&database).await.unwrap();
    assert_eq!(one.send(notification("1")).await.status(), StatusCode::OK);
    assert_eq!(one.stored().await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_moved_contact_and_a_bulk_unsubscribe_arrive_one_by_one() {
    let one = Connected::new().await;
    one.app.add_contact("a@reader.example").await;
    one.app.add_contact("b@reader.example").await;
    let act = |path: &str, body: &'static str| {
        let request = one.client.post(format!("{}/_sim/{path}", one.app.simulator));
        request.header("content-type", "application/json").body(body).send()
    };
    act("contacts/a@reader.example/change", r#"{"new_email":"z@reader.example"}"#).await.unwrap();
    act("unsubscribe-all", "{}").await.unwrap();
    for _ in 0..400 {
        if one.stored().await == 6 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    let mut types: Vec<String> =
        sqlx::query_scalar("SELECT type FROM events").fetch_all(&one.app.database().await).await.unwrap();
    types.sort();
    assert_eq!(types, ["CREATED", "CREATED", "DELETED", "DELETED", "UPDATED", "UPDATED"]);
}
