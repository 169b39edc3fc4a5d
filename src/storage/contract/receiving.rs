//! Notifications: once each, kept as they came.

use super::*;
use crate::elements::Notification;

on_every_database!(
    a_notification_is_stored_once_however_often_it_comes,
    the_same_id_for_two_instances_is_two_notifications,
    without_an_id_the_body_decides,
    what_cannot_be_decoded_is_kept_without_events,
    the_first_event_is_told_once,
);

fn body(id: &str) -> Vec<u8> {
    format!(r#"{{"id":"{id}","message":{{"events":[{{"eventType":"CREATED","objectType":"contacts"}},{{"eventType":"DELETED"}}]}}}}"#)
        .into_bytes()
}

async fn store(bench: &Bench, instance: Uuid, body: Vec<u8>) -> Arrival {
    let new = NewNotification {
        instance,
        decoded: Notification::decode(&body).ok(),
        headers: "[]".into(),
        body,
        received_at: NOON,
        first: Some(bench.step("first_event")),
    };
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
    assert_eq!(bench.storage.first_event_kind(instance).await.unwrap(), None);
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
