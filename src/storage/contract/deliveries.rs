//! Endpoints, deliveries, and many asked for again.

use time::Duration;

use super::*;
use crate::elements::{EventType, Notification};
use crate::webhook::EndpointSecret;

on_every_database!(
    a_delivery_is_made_with_the_notification_for_each_endpoint_that_wants_it,
    what_was_read_back_is_passed_on_once_and_says_so,
    an_endpoint_is_in_one_pair_of_hands_at_a_time,
    attempts_are_kept_and_say_what_becomes_of_the_delivery,
    five_days_of_failure_or_one_410_switch_an_endpoint_off,
    what_is_pending_fails_with_its_endpoint_and_can_be_asked_for_again,
    many_are_asked_for_again_some_a_second_and_can_be_stopped,
    a_payload_that_is_gone_is_not_sent_empty_and_old_deliveries_go_with_their_notification,
);

async fn endpoint(bench: &Bench, wanted: Wanted) -> Uuid {
    let endpoint = Endpoint {
        id: bench.id(),
        url: "https://receiver.example/".into(),
        wanted,
        state: EndpointState::On,
        failing_since: None,
        created_at: NOON,
    };
    bench.storage.add_endpoint(&endpoint, &EndpointSecret::draw(bench.entropy())).await.unwrap();
    endpoint.id
}

async fn store(bench: &Bench, instance: Uuid, id: &str) {
    let body = format!(r#"{{"id":"{id}","message":{{"events":[{{"eventType":"CREATED"}}]}}}}"#).into_bytes();
    let new = NewNotification {
        tags: ["eu".to_owned()].into(),
        headers: r#"[["content-type","text/x"]]"#.into(),
        ..arriving(instance, body)
    };
    assert_eq!(bench.storage.store_notification(new).await.unwrap(), Arrival::Stored);
}

async fn what_was_read_back_is_passed_on_once_and_says_so(bench: Bench) {
    let instance = bench.connected().await.id;
    let all = endpoint(&bench, Wanted::default()).await;
    let body = br#"{"id":"AX1","notifiedData":[{"eventType":"CREATED"}]}"#.to_vec();
    let decoded = Notification { id: Some("1".into()), events: Vec::new() };
    let new = || NewNotification { decoded: Some(decoded.clone()), ..arriving(instance, body.clone()) };
    let mut made = bench.storage.deliveries_made();
    assert!(bench.storage.store_read_back(new(), Some("AX1")).await.unwrap());
    assert!(made.has_changed().unwrap(), "whoever passes on is woken");
    made.mark_unchanged();
    assert!(!bench.storage.store_read_back(new(), Some("AX1")).await.unwrap());
    let [delivery] = due(&bench, all).await.try_into().unwrap();
    let outgoing = bench.storage.outgoing(delivery).await.unwrap().unwrap();
    assert!(outgoing.read_back && outgoing.body == body && outgoing.notification_id.as_deref() == Some("1"));
}

async fn due(bench: &Bench, endpoint: Uuid) -> Vec<i64> {
    bench.storage.due_deliveries(endpoint, NOON, 100).await.unwrap()
}

fn attempt(at: OffsetDateTime, status: Option<u16>) -> Attempt {
    let error = status.is_none().then(|| "refused".to_owned());
    Attempt { at, status, took: std::time::Duration::from_millis(7), error, answer: b"\xffno".to_vec() }
}

async fn a_delivery_is_made_with_the_notification_for_each_endpoint_that_wants_it(bench: Bench) {
    let instance = bench.connected().await.id;
    store(&bench, instance, "before there was an endpoint").await;
    let wanting = |change: fn(&mut Wanted)| {
        let mut wanted = Wanted::default();
        change(&mut wanted);
        wanted
    };
    let all = endpoint(&bench, Wanted::default()).await;
    let its = endpoint(&bench, Wanted { instances: vec![instance], ..Wanted::default() }).await;
    let tagged = endpoint(&bench, wanting(|wanted| wanted.tags = vec!["eu".into()])).await;
    let created = endpoint(&bench, wanting(|wanted| wanted.types = vec![EventType::Created])).await;
    let others = [
        endpoint(&bench, Wanted { instances: vec![bench.id()], ..Wanted::default() }).await,
        endpoint(&bench, wanting(|wanted| wanted.tags = vec!["us".into()])).await,
        endpoint(&bench, wanting(|wanted| wanted.types = vec![EventType::Deleted])).await,
    ];
    store(&bench, instance, "1").await;
    for wants in [all, its, tagged, created] {
        assert_eq!(due(&bench, wants).await.len(), 1);
    }
    for other in others {
        assert!(due(&bench, other).await.is_empty());
    }
    let outgoing = bench.storage.outgoing(due(&bench, all).await[0]).await.unwrap().unwrap();
    assert_eq!((outgoing.notification_id.as_deref(), outgoing.attempts), (Some("1"), 0));
    assert!(outgoing.body.starts_with(br#"{"id":"1""#));
    let listed = bench.storage.endpoints().await.unwrap();
    assert_eq!(listed.len(), 7);
    assert_eq!(listed.iter().find(|one| one.id == tagged).unwrap().wanted.tags, ["eu"]);
}

async fn an_endpoint_is_in_one_pair_of_hands_at_a_time(bench: Bench) {
    let id = endpoint(&bench, Wanted::default()).await;
    let (one, two) = (lease(bench.id()), lease(bench.id()));
    let hold = async |lease: Lease, now| bench.storage.hold_endpoint(id, lease, now).await.unwrap();
    assert!(hold(one, NOON).await && hold(one, NOON).await);
    assert!(!hold(two, NOON).await);
    assert!(hold(two, NOON + Duration::MINUTE).await, "the first one's lease has ended");
    bench.storage.let_go_of_endpoints(two.holder).await.unwrap();
    assert!(hold(one, NOON).await);
}

async fn attempts_are_kept_and_say_what_becomes_of_the_delivery(bench: Bench) {
    let instance = bench.connected().await.id;
    let id = endpoint(&bench, Wanted::default()).await;
    store(&bench, instance, "1").await;
    store(&bench, instance, "2").await;
    let [first, second] = due(&bench, id).await.try_into().unwrap();
    let later = NOON + Duration::seconds(5);
    let made = async |delivery, status, verdict| {
        bench.storage.attempted(id, delivery, attempt(NOON, status), verdict).await.unwrap()
    };
    assert_eq!(made(first, None, Verdict::Again(later)).await, None);
    assert_eq!(due(&bench, id).await, [second]);
    assert_eq!(bench.storage.due_deliveries(id, later, 9).await.unwrap(), [first, second], "oldest first");
    assert!(bench.storage.endpoint(id).await.unwrap().unwrap().failing_since.is_some());
    made(first, Some(204), Verdict::Delivered).await;
    assert!(bench.storage.endpoint(id).await.unwrap().unwrap().failing_since.is_none());
    made(second, Some(500), Verdict::Failed).await;
    let kept = bench.storage.attempts(first).await.unwrap();
    let seen: Vec<_> = kept.iter().map(|one| (one.status, one.error.as_deref())).collect();
    assert_eq!(seen, [(Some(204), None), (None, Some("refused"))]);
    assert_eq!(kept[0].answer, b"\xffno");
    let filter = |state| DeliveryFilter { state, endpoint: Some(id) };
    let list = async |state, after| bench.storage.deliveries(filter(state), after, 1).await.unwrap();
    let (items, next) = list(None, None).await;
    assert_eq!((items[0].seq, items[0].state, next), (second, DeliveryState::Failed, Some(second)));
    let (items, next) = list(None, next).await;
    assert_eq!((items[0].seq, items[0].attempts, next), (first, 2, None));
    assert_eq!(list(Some(DeliveryState::Delivered), None).await.0.len(), 1);
    assert!(list(Some(DeliveryState::Pending), None).await.0.is_empty());
}

async fn five_days_of_failure_or_one_410_switch_an_endpoint_off(bench: Bench) {
    let instance = bench.connected().await.id;
    let (slow, gone) = (endpoint(&bench, Wanted::default()).await, endpoint(&bench, Wanted::default()).await);
    store(&bench, instance, "1").await;
    let delivery = due(&bench, slow).await[0];
    let fails = async |at| {
        let verdict = Verdict::Again(NOON);
        bench.storage.attempted(slow, delivery, attempt(at, Some(500)), verdict).await.unwrap()
    };
    assert_eq!(fails(NOON).await, None);
    assert_eq!(fails(NOON + Duration::days(5) - Duration::MINUTE).await, None);
    assert_eq!(fails(NOON + Duration::days(5)).await, Some(OffReason::Failing));
    assert_eq!(fails(NOON + Duration::days(6)).await, None, "told once");
    let delivery = due(&bench, gone).await[0];
    let off = Verdict::Off(OffReason::Gone);
    let told = bench.storage.attempted(gone, delivery, attempt(NOON, Some(410)), off).await.unwrap();
    assert_eq!(told, Some(OffReason::Gone));
    let states: Vec<_> = bench.storage.endpoints().await.unwrap().iter().map(|one| one.state).collect();
    assert!(states.contains(&EndpointState::Off(OffReason::Gone)));
    assert!(states.contains(&EndpointState::Off(OffReason::Failing)));
    assert!(bench.storage.switch_on(slow).await.unwrap() && !bench.storage.switch_on(slow).await.unwrap());
}

async fn what_is_pending_fails_with_its_endpoint_and_can_be_asked_for_again(bench: Bench) {
    let instance = bench.connected().await.id;
    let id = endpoint(&bench, Wanted::default()).await;
    store(&bench, instance, "1").await;
    let first = due(&bench, id).await[0];
    bench
        .storage
        .attempted(id, first, attempt(NOON, Some(410)), Verdict::Off(OffReason::Gone))
        .await
        .unwrap();
    store(&bench, instance, "while it is off").await;
    assert!(due(&bench, id).await.is_empty());
    assert!(!bench.storage.redeliver(first, NOON).await.unwrap(), "nothing is sent while it is off");
    bench.storage.switch_on(id).await.unwrap();
    assert!(bench.storage.redeliver(first, NOON).await.unwrap());
    assert_eq!(due(&bench, id).await, [first]);
    assert!(bench.storage.delete_endpoint(id).await.unwrap());
    assert!(
        bench.storage.sweep_deliveries().await.unwrap() && !bench.storage.sweep_deliveries().await.unwrap()
    );
    assert_eq!(bench.count("SELECT count(*) FROM deliveries WHERE state = 'failed'").await, 2);
    assert_eq!(bench.count("SELECT count(*) FROM endpoints WHERE length(secret) > 0").await, 0);
}

async fn many_are_asked_for_again_some_a_second_and_can_be_stopped(bench: Bench) {
    let instance = bench.connected().await.id;
    let id = endpoint(&bench, Wanted::default()).await;
    for number in 0..5 {
        store(&bench, instance, &number.to_string()).await;
    }
    for delivery in due(&bench, id).await {
        bench.storage.attempted(id, delivery, attempt(NOON, Some(500)), Verdict::Failed).await.unwrap();
    }
    let filter = DeliveryFilter { state: Some(DeliveryState::Failed), endpoint: Some(id) };
    let again = Again { filter, since: NOON };
    assert_eq!(bench.storage.count_again(&again).await.unwrap().0, 5);
    let later = Again { since: NOON + Duration::SECOND, ..again };
    assert_eq!(bench.storage.count_again(&later).await.unwrap().0, 0);
    let one = bench.id();
    bench.storage.begin_redelivery(one, &again, 2, NOON).await.unwrap();
    for (second, expected) in [(0, 2), (1, 4), (2, 5)] {
        let now = NOON + Duration::seconds(second);
        let next = bench.storage.due_redeliveries(now).await.unwrap();
        bench.storage.step_redelivery(&next[0], now).await.unwrap();
        bench.storage.step_redelivery(&next[0], now).await.unwrap();
        let far = NOON + Duration::MINUTE;
        assert_eq!(bench.storage.due_deliveries(id, far, 9).await.unwrap().len(), expected);
    }
    let done = bench.storage.redeliveries(5).await.unwrap();
    assert_eq!((done[0].state, done[0].asked, done[0].total), (RunState::Done, 5, 5));
    assert!(!bench.storage.stop_redelivery(one).await.unwrap());
    let two = bench.id();
    bench.storage.begin_redelivery(two, &again, 1, NOON).await.unwrap();
    assert!(bench.storage.stop_redelivery(two).await.unwrap());
    assert!(bench.storage.due_redeliveries(NOON).await.unwrap().is_empty());
}

async fn a_payload_that_is_gone_is_not_sent_empty_and_old_deliveries_go_with_their_notification(
    bench: Bench,
) {
    let instance = bench.connected().await.id;
    let id = endpoint(&bench, Wanted::default()).await;
    store(&bench, instance, "1").await;
    let delivery = due(&bench, id).await[0];
    bench.storage.attempted(id, delivery, attempt(NOON, Some(500)), Verdict::Failed).await.unwrap();
    bench.storage.prune_payloads(NOON + Duration::SECOND).await.unwrap();
    assert!(!bench.storage.redeliver(delivery, NOON).await.unwrap());
    assert!(!bench.storage.delivery(delivery).await.unwrap().unwrap().repeatable);
    store(&bench, instance, "2").await;
    let pending = due(&bench, id).await[0];
    bench.storage.prune_payloads(NOON + Duration::SECOND).await.unwrap();
    assert!(bench.storage.outgoing(pending).await.unwrap().is_none(), "there is nothing to send");
    bench.storage.prune_notifications(NOON + Duration::SECOND).await.unwrap();
    assert_eq!(bench.count("SELECT count(*) FROM deliveries").await, 0);
    assert_eq!(bench.count("SELECT count(*) FROM delivery_attempts").await, 0);
}
