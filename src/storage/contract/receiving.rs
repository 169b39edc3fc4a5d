//! Notifications: once each, kept as they came.

use super::*;
use crate::elements::Notification;

on_every_database!(
    a_notification_is_stored_once_however_often_it_comes,
    the_same_id_for_two_instances_is_two_notifications,
    without_an_id_the_body_decides,
    what_cannot_be_decoded_is_kept_without_events,
    a_text_with_a_nul_keeps_nothing_from_the_disk,
    the_first_event_is_told_once,
    the_same_id_with_another_body_is_kept_apart_and_what_comes_again_is_counted,
    a_recipient_is_known_from_memory_until_it_changes,
    what_is_old_goes_in_steps_and_nothing_else_does,
);

fn body(id: &str) -> Vec<u8> {
    format!(r#"{{"id":"{id}","message":{{"events":[{{"eventType":"CREATED","objectType":"contacts"}},{{"eventType":"DELETED"}}]}}}}"#)
        .into_bytes()
}

async fn store(bench: &Bench, instance: Uuid, body: Vec<u8>) -> Arrival {
    let new = NewNotification { first: Some(bench.step("first_event")), ..arriving(instance, body) };
    bench.storage.store_notification(new).await.unwrap()
}

async fn a_notification_is_stored_once_however_often_it_comes(bench: Bench) {
    let instance = bench.connected().await.id;
    let tries = (0..200).map(|number| store(&bench, instance, body(&(number % 10).to_string())));
    let arrivals = futures_util::future::join_all(tries).await;
    assert_eq!(arrivals.iter().filter(|arrival| **arrival == Arrival::Stored).count(), 10);
    assert_eq!(bench.count("SELECT count(*) FROM notifications").await, 10);
    assert_eq!(bench.count("SELECT count(*) FROM events").await, 20);
}

async fn the_same_id_for_two_instances_is_two_notifications(bench: Bench) {
    let (one, two) = (bench.connected().await.id, bench.connected().await.id);
    assert_eq!(store(&bench, one, body("1")).await, Arrival::Stored);
    assert_eq!(store(&bench, two, body("1")).await, Arrival::Stored);
}

async fn without_an_id_the_body_decides(bench: Bench) {
    let instance = bench.connected().await.id;
    for (text, arrival) in [("a", Arrival::Stored), ("a", Arrival::Duplicate), ("b", Arrival::Stored)] {
        assert_eq!(store(&bench, instance, text.as_bytes().to_vec()).await, arrival);
    }
}

async fn what_cannot_be_decoded_is_kept_without_events(bench: Bench) {
    let instance = bench.connected().await.id;
    store(&bench, instance, b"\xff\x00garbage".to_vec()).await;
    let kept: Vec<u8> =
        sqlx::query_scalar("SELECT body FROM notifications").fetch_one(&bench.raw().await).await.unwrap();
    assert_eq!(kept, b"\xff\x00garbage");
    store(&bench, instance, body("1")).await;
    assert_eq!(bench.count("SELECT count(*) FROM notifications WHERE decoded = 0").await, 1, "and marked so");
    assert_eq!(bench.count("SELECT count(*) FROM events").await, 2);
}

async fn a_text_with_a_nul_keeps_nothing_from_the_disk(bench: Bench) {
    let instance = bench.connected().await.id;
    let event = r#"{"eventType":"\u0000","objectType":"\u0000","objectId":"a\u0000b","date":"\u0000"}"#;
    let body = format!(r#"{{"id":"9\u0000","message":{{"events":[{event}]}}}}"#).into_bytes();
    assert_eq!(store(&bench, instance, body.clone()).await, Arrival::Stored);
    assert_eq!(store(&bench, instance, body).await, Arrival::Duplicate);
    assert_eq!(bench.count("SELECT count(*) FROM events").await, 1);
}

async fn the_first_event_is_told_once(bench: Bench) {
    let instance = bench.connected().await.id;
    for id in ["1", "2", "3"] {
        store(&bench, instance, body(id)).await;
    }
    let now = bench.storage.instance(instance).await.unwrap().unwrap();
    assert_eq!((now.first_event_at, now.last_event_at), (Some(NOON), Some(NOON)));
    let steps = bench.storage.timeline(instance).await.unwrap();
    assert_eq!(steps.iter().filter(|step| step.kind == "first_event").count(), 1);
    let kind = bench.storage.first_event_kind(instance).await.unwrap();
    assert_eq!(kind.as_deref(), Some("CREATED contacts"));
}

async fn the_same_id_with_another_body_is_kept_apart_and_what_comes_again_is_counted(bench: Bench) {
    let instance = bench.connected().await.id;
    let sent = |text: &str| format!(r#"{{"id":"7","message":{{"events":[]}},"text":"{text}"}}"#).into_bytes();
    for (text, arrival) in [
        ("a", Arrival::Stored),
        ("b", Arrival::StoredApart),
        ("a", Arrival::Duplicate),
        ("b", Arrival::Duplicate),
        ("c", Arrival::StoredApart),
        ("b", Arrival::Duplicate),
    ] {
        assert_eq!(store(&bench, instance, sent(text)).await, arrival, "{text}");
    }
    let rows: Vec<(i64, i64)> =
        sqlx::query_as("SELECT duplicates, COALESCE(same_id_as, 0) FROM notifications ORDER BY seq")
            .fetch_all(&bench.raw().await)
            .await
            .unwrap();
    let first: i64 = bench.count("SELECT min(seq) FROM notifications").await;
    assert_eq!(rows, [(1, 0), (2, first), (0, first)]);
}

async fn a_recipient_is_known_from_memory_until_it_changes(bench: Bench) {
    let read = bench.connected().await;
    let raw = bench.raw().await;
    let recipient = async |at| bench.storage.recipient(read.id, at).await;
    assert!(!recipient(NOON).await.unwrap().unwrap().heard);
    store(&bench, read.id, body("1")).await;
    assert!(recipient(NOON).await.unwrap().unwrap().heard, "the first notification is noticed");
    sqlx::query("UPDATE instances SET state = 'sleeping'").execute(&raw).await.unwrap();
    assert!(recipient(NOON + time::Duration::seconds(4)).await.is_ok(), "the database is not asked");
    assert!(
        recipient(NOON + time::Duration::seconds(6)).await.is_err(),
        "another process may have changed it"
    );
    sqlx::query("UPDATE instances SET state = 'connected'").execute(&raw).await.unwrap();
    assert!(!recipient(NOON).await.unwrap().unwrap().disconnected);
    let ticket = Ticket { instance: read.id, id: bench.id() };
    let going = Instance { state: read.state.clone().disconnect().unwrap(), ..read.clone() };
    assert!(bench.settle(ticket, &going, Token::Keep).await);
    let gone =
        Instance { state: going.state.disconnected().unwrap(), version: read.version + 1, ..read.clone() };
    assert!(bench.settle(ticket, &gone, Token::Destroy).await);
    assert!(recipient(NOON).await.unwrap().unwrap().disconnected, "what changes here is noticed at once");
    assert!(bench.storage.recipient(bench.id(), NOON).await.unwrap().is_none());
}

async fn what_is_old_goes_in_steps_and_nothing_else_does(bench: Bench) {
    let instance = bench.connected().await.id;
    let at = |number: i64| NOON + time::Duration::minutes(number);
    for number in 0..450 {
        let body = body(&number.to_string());
        let decoded = Notification::decode(&body).ok();
        let (headers, received_at) = ("[]".into(), at(number));
        let tags = [].into();
        let new = NewNotification { instance, tags, decoded, headers, body, received_at, first: None };
        bench.storage.store_notification(new).await.unwrap();
    }
    let payloads = async || bench.count("SELECT count(*) FROM notifications WHERE length(body) > 0").await;
    assert!(bench.storage.prune_payloads(at(300)).await.unwrap(), "a step, and there is more");
    assert_eq!(payloads().await, 250);
    assert!(!bench.storage.prune_payloads(at(300)).await.unwrap());
    assert!(!bench.storage.prune_payloads(at(300)).await.unwrap());
    assert_eq!(payloads().await, 150, "what is not old stays");
    assert_eq!(store(&bench, instance, body("7")).await, Arrival::Duplicate, "it is known all the same");
    assert_eq!(bench.count("SELECT count(*) FROM events").await, 900);
    while bench.storage.prune_notifications(at(250)).await.unwrap() {}
    assert_eq!(bench.count("SELECT count(*) FROM notifications").await, 200);
    assert_eq!(bench.count("SELECT count(*) FROM events").await, 400);
    assert!(!bench.storage.prune_payloads(at(400)).await.unwrap());
    assert_eq!(payloads().await, 50, "it goes on from where it was");
    let sizes = bench.storage.sizes().await.unwrap();
    assert!(sizes.notifications >= 200 && sizes.database_bytes > 10_000, "{sizes:?}");
}

mod interleavings {
    use std::collections::{HashMap, HashSet};

    use proptest::prelude::*;

    use super::*;

    /// What may happen to an inbox.
    #[derive(Debug, Clone)]
    enum Act {
        /// So many arrive at once, by id and text.
        Send(Vec<(u8, u8)>),
        Restart,
    }

    fn act() -> impl Strategy<Value = Act> {
        prop_oneof![
            4 => proptest::collection::vec((0..4_u8, 0..3_u8), 1..12).prop_map(Act::Send),
            1 => Just(Act::Restart),
        ]
    }

    async fn play(acts: Vec<Act>) {
        let mut bench = Bench::sqlite().await;
        let instance = bench.connected().await.id;
        let mut stored: HashMap<u8, HashSet<u8>> = HashMap::new();
        for act in acts {
            let Act::Send(sent) = act else {
                let key = bench.key.clone();
                bench = bench.reopened(&key, None).await.unwrap();
                continue;
            };
            let arrivals = sent.iter().map(|(id, text)| {
                let body = format!(r#"{{"id":"{id}","message":{{"events":[]}},"text":"{text}"}}"#);
                store(&bench, instance, body.into_bytes())
            });
            let arrivals = futures_util::future::join_all(arrivals).await;
            let fresh = sent.iter().filter(|(id, text)| stored.entry(*id).or_default().insert(*text)).count();
            let kept = arrivals.iter().filter(|arrival| **arrival != Arrival::Duplicate).count();
            assert_eq!(kept, fresh, "{sent:?}: {arrivals:?}");
        }
        let all: usize = stored.values().map(HashSet::len).sum();
        let apart: usize = stored.values().map(|bodies| bodies.len().saturating_sub(1)).sum();
        let count = async |query| usize::try_from(bench.count(query).await).unwrap();
        assert_eq!(count("SELECT count(*) FROM notifications").await, all);
        assert_eq!(count("SELECT count(*) FROM notifications WHERE same_id_as IS NOT NULL").await, apart);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn in_whatever_order_they_come_each_body_is_stored_once(acts in proptest::collection::vec(act(), 1..12)) {
            tokio::runtime::Runtime::new().unwrap().block_on(play(acts));
        }
    }
}
