//! The worker against a receiver that answers as it is told.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use time::macros::datetime;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use super::*;
use crate::clock::{Clock, ManualClock};
use crate::elements::SignatureKey;
use crate::entropy::SystemEntropy;
use crate::seal::{Sealer, SecretKey};
use crate::storage::{DeliveryFilter, DeliveryState, NewNotification};

struct Bench {
    deliveries: Arc<Deliveries>,
    storage: Storage,
    clock: Arc<ManualClock>,
    _folder: tempfile::TempDir,
}

async fn bench(allowed: &str) -> Bench {
    let folder = tempfile::tempdir().unwrap();
    let entropy = Arc::new(SystemEntropy::default());
    let key = SecretKey::draw(&*entropy);
    let url = format!("sqlite://{}", folder.path().join("gangway.db").display());
    let variables: HashMap<String, String> = [
        ("PUBLIC_URL", "https://connect.example.com"),
        ("SECRET_KEY", &key.expose()),
        ("MAILCHIMP_CLIENT_ID", "1"),
        ("MAILCHIMP_CLIENT_SECRET", "s"),
        ("CLOUD_ELEMENTS_USER_SECRET", "u"),
        ("CLOUD_ELEMENTS_ORGANIZATION_SECRET", "o"),
        ("DELIVERY_ALLOWED_NETWORKS", allowed),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into();
    let mut config = Config::from_variables(&variables).unwrap();
    config.limits.delivery_deadline = Duration::from_millis(700);
    let clock = Arc::new(ManualClock::starting_at(datetime!(2026-11-23 12:00 UTC)));
    let storage = Storage::open(&url.into(), Sealer::new(&key, None, entropy.clone())).await.unwrap();
    let deliveries = Deliveries::new(&config, storage.clone(), clock.clone(), entropy);
    deliveries.start_background();
    Bench { deliveries, storage, clock, _folder: folder }
}

impl Bench {
    async fn store(&self, body: &[u8]) {
        let new = NewNotification {
            instance: Uuid::nil(),
            tags: Arc::default(),
            decoded: None,
            headers: r#"[["content-type","text/odd"],["elements-webhook-id","as it came"]]"#.into(),
            body: body.to_vec(),
            received_at: self.clock.now(),
            first: None,
        };
        self.storage.store_notification(new).await.unwrap();
    }

    async fn settled(&self, endpoint: Uuid, state: DeliveryState) -> crate::storage::Delivery {
        let filter = DeliveryFilter { state: Some(state), endpoint: Some(endpoint) };
        loop {
            let (mut items, _) = self.storage.deliveries(filter, None, 9).await.unwrap();
            if let Some(one) = items.pop() {
                return one;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    async fn attempted(&self, endpoint: Uuid) -> crate::storage::Attempt {
        let (items, _) = self
            .storage
            .deliveries(DeliveryFilter { state: None, endpoint: Some(endpoint) }, None, 9)
            .await
            .unwrap();
        loop {
            if let Some(attempt) = self.storage.attempts(items[0].seq).await.unwrap().pop() {
                return attempt;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

/// Answers every request with `answer`, cut off where it is empty; tells what arrived.
async fn receiver(answer: &'static [u8]) -> (String, mpsc::UnboundedReceiver<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/in", listener.local_addr().unwrap());
    let (tell, told) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let tell = tell.clone();
            tokio::spawn(async move {
                let (mut request, mut chunk) = (Vec::new(), [0; 4096]);
                while !whole(&request) {
                    let read = stream.read(&mut chunk).await.unwrap_or_default();
                    if read == 0 {
                        return;
                    }
                    request.extend_from_slice(&chunk[..read]);
                }
                let _ = tell.send(request);
                if answer == b"hang" {
                    tokio::time::sleep(Duration::from_secs(60)).await;
                }
                let _ = stream.write_all(answer).await;
            });
        }
    });
    (url, told)
}

fn split(request: &[u8]) -> Option<(String, Vec<u8>)> {
    let end = request.windows(4).position(|four| four == b"\r\n\r\n")?;
    Some((String::from_utf8_lossy(&request[..end]).into_owned(), request[end + 4..].to_vec()))
}

fn header(head: &str, name: &str) -> String {
    let start = format!("{name}: ");
    let found = head.lines().find_map(|line| line.strip_prefix(&start));
    found.unwrap_or_default().to_owned()
}

fn whole(request: &[u8]) -> bool {
    split(request).is_some_and(|(head, body)| header(&head, "content-length").parse() == Ok(body.len()))
}

const OK: &[u8] = b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n";

#[tokio::test(flavor = "multi_thread")]
async fn what_arrived_is_passed_on_byte_for_byte_and_both_signatures_verify() {
    let bench = bench("127.0.0.0/8").await;
    let (url, mut told) = receiver(OK).await;
    let (endpoint, secret) = bench.deliveries.register(&url, Wanted::default()).await.unwrap();
    let body = b"\xff\x00 {\"not\": json\r\n";
    bench.store(body).await;
    let (head, received) = split(&told.recv().await.unwrap()).unwrap();
    assert_eq!(received, body);
    assert_eq!(header(&head, "content-type"), "text/odd");
    assert_eq!(header(&head, "elements-webhook-id"), "as it came");
    let shown = secret.shown();
    let signed = SignatureKey::from_stored(shown.clone()).unwrap().sign(body);
    assert_eq!(header(&head, "elements-webhook-signature"), signed);
    let (id, at) = (header(&head, "webhook-id"), header(&head, "webhook-timestamp"));
    assert_eq!(at, bench.clock.now().unix_timestamp().to_string());
    let key = STANDARD.decode(shown.strip_prefix("whsec_").unwrap()).unwrap();
    let mac =
        Hmac::<Sha256>::new_from_slice(&key).unwrap().chain_update(format!("{id}.{at}.")).chain_update(body);
    let signed = format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()));
    assert_eq!(header(&head, "webhook-signature"), signed);
    bench.settled(endpoint.id, DeliveryState::Delivered).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hanging_endpoint_does_not_slow_a_good_one_and_a_retry_carries_the_same_id() {
    let bench = bench("127.0.0.0/8").await;
    let (hanging, mut asked) = receiver(b"hang").await;
    let (good, mut told) = receiver(OK).await;
    let (dead, _) = bench.deliveries.register(&hanging, Wanted::default()).await.unwrap();
    bench.deliveries.register(&good, Wanted::default()).await.unwrap();
    for number in 0..30_u8 {
        bench.store(&[number]).await;
    }
    for _ in 0..30 {
        told.recv().await.unwrap();
    }
    let first = asked.recv().await.unwrap();
    let id = header(&split(&first).unwrap().0, "webhook-id");
    assert_eq!(bench.attempted(dead.id).await.error.as_deref(), Some("no answer in time"));
    bench.clock.advance(time::Duration::HOUR);
    loop {
        let again = asked.recv().await.unwrap();
        if header(&split(&again).unwrap().0, "webhook-id") == id {
            break;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_410_switches_off_a_redirect_is_not_followed_and_of_a_long_answer_the_beginning_is_kept() {
    let bench = bench("127.0.0.0/8").await;
    let (target, mut followed) = receiver(OK).await;
    let (gone, _) = receiver(b"HTTP/1.1 410 Gone\r\nContent-Length: 0\r\n\r\n").await;
    let moved = format!("HTTP/1.1 302 Found\r\nLocation: {target}\r\nContent-Length: 0\r\n\r\n");
    let (moved, _) = receiver(moved.leak().as_bytes()).await;
    let long = format!("HTTP/1.1 500 No\r\nContent-Length: 10000000\r\n\r\n{}", "x".repeat(100_000));
    let (long, _) = receiver(long.leak().as_bytes()).await;
    let (cut, _) = receiver(b"").await;
    let register = async |url: &str| bench.deliveries.register(url, Wanted::default()).await.unwrap().0.id;
    let (gone, moved) = (register(&gone).await, register(&moved).await);
    let (long, cut) = (register(&long).await, register(&cut).await);
    bench.store(b"x").await;
    assert_eq!(bench.settled(gone, DeliveryState::Failed).await.endpoint, gone);
    let state = bench.storage.endpoint(gone).await.unwrap().unwrap().state;
    assert_eq!(state, EndpointState::Off(crate::storage::OffReason::Gone));
    assert_eq!(bench.attempted(moved).await.status, Some(302));
    let answered = bench.attempted(long).await;
    assert_eq!((answered.status, answered.answer.len()), (Some(500), 4096));
    let cut = bench.attempted(cut).await;
    assert!(cut.status.is_none() && cut.error.is_some());
    assert!(followed.try_recv().is_err(), "nobody went there");
}

#[tokio::test(flavor = "multi_thread")]
async fn f02_a_name_that_leads_inside_is_refused_at_the_connection() {
    let bench = bench("10.0.0.0/8").await;
    let (url, mut told) = receiver(OK).await;
    assert!(
        bench.deliveries.register(&url, Wanted::default()).await.is_err(),
        "told at once where it can be"
    );
    for scheme in ["http", "https"] {
        let url = url.replace("http://127.0.0.1", &format!("{scheme}://localhost"));
        let (endpoint, _) = bench.deliveries.register(&url, Wanted::default()).await.unwrap();
        bench.store(scheme.as_bytes()).await;
        let error = bench.attempted(endpoint.id).await.error.unwrap();
        assert!(error.contains("DELIVERY_ALLOWED_NETWORKS"), "{error}");
    }
    assert!(told.try_recv().is_err());
}
