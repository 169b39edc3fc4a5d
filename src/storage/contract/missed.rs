//! What may be missing: one pair of hands, nothing asked twice, nothing stored twice however it comes.

use time::Duration;

use super::*;
use crate::elements::{Event, EventType, Notification};

on_every_database!(
    an_instance_is_looked_at_while_it_is_connected_and_no_longer,
    a_look_is_in_one_pair_of_hands_and_free_again_when_they_fail,
    everything_that_is_known_reads_back_as_it_was_written,
    a_wish_is_due_at_once_and_one_that_comes_meanwhile_is_not_lost,
    what_waits_is_summed_and_found_between_two_instances,
    what_was_read_back_is_stored_once_and_marked,
    what_arrives_later_takes_the_place_of_what_was_read_back,
    a_row_that_cannot_be_read_holds_up_no_other,
);

const AN_HOUR_LATER: OffsetDateTime = datetime!(2026-11-23 13:00 UTC);

fn lease_of(holder: Uuid, until: OffsetDateTime) -> Lease {
    Lease { holder, until }
}

async fn take_up(bench: &Bench, now: OffsetDateTime) -> Vec<MissedEvents> {
    let lease = lease_of(bench.id(), now + Duration::minutes(2));
    bench.storage.take_up_looks(lease, now, 10).await.unwrap()
}

async fn an_instance_is_looked_at_while_it_is_connected_and_no_longer(bench: Bench) {
    let read = bench.connected().await;
    assert!(!bench.storage.looks_are_due(NOON).await.unwrap(), "not at once");
    assert!(bench.storage.looks_are_due(AN_HOUR_LATER).await.unwrap());
    let holder = bench.id();
    let lease = lease_of(holder, AN_HOUR_LATER + Duration::minutes(2));
    let [row] = bench.storage.take_up_looks(lease, AN_HOUR_LATER, 10).await.unwrap().try_into().unwrap();
    let going = Instance { state: read.state.clone().disconnect().unwrap(), ..read.clone() };
    assert!(bench.storage.transition(bench.transition(&going)).await.unwrap());
    let keep = bench.storage.keep_missed_events(&row, Hold::Keep(lease), &[]).await;
    assert!(!keep.unwrap(), "whoever was at it stops");
    let let_go = Hold::LetGo(holder, NOON);
    assert!(bench.storage.keep_missed_events(&row, let_go, &[]).await.unwrap());
    assert!(!bench.storage.looks_are_due(AN_HOUR_LATER).await.unwrap(), "and nobody begins again");
    let wish = Reference::draw(bench.entropy());
    assert!(!bench.storage.want_missed_events(read.id, wish, NOON).await.unwrap());
}

async fn a_look_is_in_one_pair_of_hands_and_free_again_when_they_fail(bench: Bench) {
    for _ in 0..8 {
        bench.connected().await;
    }
    let looks = (0..8).map(|_| take_up(&bench, AN_HOUR_LATER));
    let taken = futures_util::future::join_all(looks).await;
    assert_eq!(taken.iter().map(Vec::len).sum::<usize>(), 8, "each once");
    assert!(!bench.storage.looks_are_due(AN_HOUR_LATER).await.unwrap());
    let later = AN_HOUR_LATER + Duration::minutes(2);
    assert_eq!(take_up(&bench, later).await.len(), 8, "the hands are gone");
    let row = bench.storage.missed_events(bench.connected().await.id).await.unwrap().unwrap();
    let not_mine = Hold::LetGo(bench.id(), NOON);
    assert!(!bench.storage.keep_missed_events(&row, not_mine, &[bench.step("x")]).await.unwrap());
    assert_eq!(bench.count("SELECT count(*) FROM timeline WHERE kind = 'x'").await, 0);
}

async fn everything_that_is_known_reads_back_as_it_was_written(bench: Bench) {
    let id = bench.connected().await.id;
    let holder = bench.id();
    let lease = lease_of(holder, AN_HOUR_LATER + Duration::minutes(2));
    let [row] = bench.storage.take_up_looks(lease, AN_HOUR_LATER, 10).await.unwrap().try_into().unwrap();
    assert_eq!((row.subscription, row.waiting, row.asks), (Subscription::Unknown, 0, 0));
    let known = MissedEvents {
        looked_at: Some(NOON),
        waiting: 37,
        more: true,
        waiting_since: Some(NOON),
        subscription: Subscription::Stopped,
        trouble: Some((NOON, "because".into())),
        asks: 2,
        ask: Some(Ask { at: NOON, outcome: AskOutcome::Refused, detail: Some("403".into()) }),
        fill: Some(Fill { due_at: NOON, from: NOON, page: Some("p".into()), pages: 3, stored: 4, tries: 1 }),
        filled: Some(Filled {
            at: NOON,
            outcome: FillOutcome::Cut,
            from: NOON - time::Duration::DAY,
            stored: 5,
            detail: Some("d".into()),
        }),
        ..row
    };
    assert!(
        bench.storage.keep_missed_events(&known, Hold::Keep(lease), &[bench.step("told")]).await.unwrap()
    );
    let read = bench.storage.missed_events(id).await.unwrap().unwrap();
    assert_eq!(format!("{read:?}"), format!("{known:?}"));
    assert_eq!(bench.count("SELECT count(*) FROM timeline WHERE kind = 'told'").await, 1);
    let next = AN_HOUR_LATER + Duration::HOUR;
    let bare = MissedEvents { ask: None, fill: None, filled: None, trouble: None, ..known };
    assert!(bench.storage.keep_missed_events(&bare, Hold::LetGo(holder, next), &[]).await.unwrap());
    let read = bench.storage.missed_events(id).await.unwrap().unwrap();
    assert_eq!(read.next_look_at, Some(next));
    assert!(read.ask.is_none() && read.fill.is_none() && read.filled.is_none() && read.trouble.is_none());
}

async fn a_wish_is_due_at_once_and_one_that_comes_meanwhile_is_not_lost(bench: Bench) {
    let id = bench.connected().await.id;
    let wish = async || {
        let wish = Reference::draw(bench.entropy());
        assert!(bench.storage.want_missed_events(id, wish, NOON).await.unwrap());
        wish
    };
    let first = wish().await;
    let holder = bench.id();
    let lease = lease_of(holder, NOON + Duration::minutes(2));
    let [row] = bench.storage.take_up_looks(lease, NOON, 10).await.unwrap().try_into().unwrap();
    assert_eq!(row.wanted, Some(first));
    bench.storage.keep_missed_events(&row, Hold::Keep(lease), &[]).await.unwrap();
    assert_eq!(bench.storage.missed_events(id).await.unwrap().unwrap().wanted, None, "taken up");
    let second = wish().await;
    let let_go = Hold::LetGo(holder, AN_HOUR_LATER);
    bench.storage.keep_missed_events(&row, let_go, &[]).await.unwrap();
    let [row] = take_up(&bench, NOON).await.try_into().unwrap();
    assert_eq!(row.wanted, Some(second));
}

async fn what_waits_is_summed_and_found_between_two_instances(bench: Bench) {
    let mut ids = Vec::new();
    for _ in 0..4 {
        ids.push(bench.connected().await.id);
    }
    ids.sort();
    let holder = bench.id();
    let lease = lease_of(holder, AN_HOUR_LATER + Duration::minutes(2));
    for row in bench.storage.take_up_looks(lease, AN_HOUR_LATER, 10).await.unwrap() {
        let waiting = if row.instance == ids[2] { 0 } else { 7 };
        let row = MissedEvents { waiting, ..row };
        bench.storage.keep_missed_events(&row, Hold::LetGo(holder, NOON), &[]).await.unwrap();
    }
    assert_eq!(bench.storage.waiting_in_all().await.unwrap(), 21);
    let mut between = bench.storage.waiting_of(&ids[1..=3]).await.unwrap();
    between.sort();
    assert_eq!(between, [(ids[1], 7), (ids[3], 7)]);
}

fn events(object: &str) -> Vec<Event> {
    let (event_type, object_type) = (EventType::Created, Some("contacts".to_owned()));
    vec![Event { event_type, object_type, object_id: Some(object.to_owned()), occurred_at: Some(NOON) }]
}

fn read_back(bench: &Bench, instance: Uuid, (id, object): (Option<&str>, &str)) -> NewNotification {
    NewNotification {
        decoded: Some(Notification { id: id.map(str::to_owned), events: events(object) }),
        first: Some(bench.step("first_event")),
        ..arriving(instance, format!("read back {object}").into_bytes())
    }
}

async fn arrive(bench: &Bench, instance: Uuid, (id, object): (&str, &str)) -> Arrival {
    let new = NewNotification {
        headers: r#"[["elements-webhook-id","x"]]"#.into(),
        body: format!("signed {object}").into_bytes(),
        ..read_back(bench, instance, (Some(id), object))
    };
    bench.storage.store_notification(new).await.unwrap()
}

async fn rows(bench: &Bench) -> Vec<(String, i64)> {
    let rows: Vec<(Vec<u8>, i64)> = sqlx::query_as("SELECT body, read_back FROM notifications ORDER BY seq")
        .fetch_all(&bench.raw().await)
        .await
        .unwrap();
    rows.into_iter().map(|(body, mark)| (String::from_utf8(body).unwrap(), mark)).collect()
}

async fn what_was_read_back_is_stored_once_and_marked(bench: Bench) {
    let instance = bench.connected().await.id;
    let store = async |id, object, event| {
        bench.storage.store_read_back(read_back(&bench, instance, (id, object)), event).await.unwrap()
    };
    assert_eq!(arrive(&bench, instance, ("1", "a")).await, Arrival::Stored);
    assert!(!store(Some("1"), "a", Some("AX1")).await, "it had arrived");
    assert!(store(Some("2"), "b", Some("AX2")).await);
    assert!(!store(Some("2"), "b", Some("AX2")).await, "twice is once");
    assert!(store(None, "c", Some("AX3")).await);
    assert!(
        !store(None, "c, told otherwise", Some("AX3")).await,
        "the event's own id, where it became nothing"
    );
    assert!(store(None, "d", None).await);
    assert!(!store(None, "d", None).await, "and without any, its bytes");
    let expected = [("signed a", 0), ("read back b", 1), ("read back c", 1), ("read back d", 1)];
    assert_eq!(rows(&bench).await, expected.map(|(body, mark)| (body.to_owned(), mark)));
    let row = bench.storage.instance(instance).await.unwrap().unwrap();
    assert_eq!(row.notification_count, 4);
    assert_eq!(bench.count("SELECT count(*) FROM timeline WHERE kind = 'first_event'").await, 1);
    let marks = bench.storage.events(&EventFilter::default(), None, 10).await.unwrap().items;
    assert_eq!(marks.iter().map(|row| row.read_back).collect::<Vec<_>>(), [true, true, true, false]);
}

async fn what_arrives_later_takes_the_place_of_what_was_read_back(bench: Bench) {
    let instance = bench.connected().await.id;
    for object in ["a", "b"] {
        bench
            .storage
            .store_read_back(read_back(&bench, instance, (Some(object), object)), None)
            .await
            .unwrap();
    }
    assert_eq!(arrive(&bench, instance, ("a", "a")).await, Arrival::Duplicate);
    assert_eq!(rows(&bench).await[0], ("signed a".to_owned(), 0));
    assert_eq!(arrive(&bench, instance, ("a", "a")).await, Arrival::Duplicate, "and then is one like others");
    // Nobody can say which of two is right that tell of different events.
    assert_eq!(arrive(&bench, instance, ("b", "something else")).await, Arrival::StoredApart);
    assert_eq!(rows(&bench).await.len(), 3);
}

async fn a_row_that_cannot_be_read_holds_up_no_other(bench: Bench) {
    let (odd, good) = (bench.connected().await.id, bench.connected().await.id);
    sqlx::query("UPDATE missed_events SET subscription = 'sleeping' WHERE instance = $1")
        .bind(odd.to_string())
        .execute(&bench.raw().await)
        .await
        .unwrap();
    let taken = take_up(&bench, AN_HOUR_LATER).await;
    assert_eq!(taken.iter().map(|row| row.instance).collect::<Vec<_>>(), [good]);
    assert!(bench.storage.missed_events(odd).await.is_err());
}
