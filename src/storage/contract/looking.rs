//! Events as they are looked at: every one once and in order, whatever arrives meanwhile; charts that add up.

use std::collections::BTreeSet;

use super::*;
use crate::elements::EventType;

on_every_database!(
    paging_shows_every_event_once_and_in_order_while_others_arrive,
    filters_combine,
    a_rare_text_is_looked_for_no_further_than_the_bound,
    a_range_of_time_holds_what_arrived_in_it_though_the_clock_was_set_back,
    what_came_after_a_cursor_comes_in_order_and_once,
    whoever_reads_on_misses_nothing_though_several_processes_write,
    reading_on_goes_no_further_than_the_bound_and_says_where_it_got_to,
    one_event_is_found_by_its_name_alone,
    counts_add_up_and_old_ones_go,
);

/// Stores a notification of one `CREATED` and one `DELETED` event; or one that cannot be decoded.
async fn store(bench: &Bench, instance: Uuid, id: &str, received_at: OffsetDateTime) {
    let body = if id.starts_with('?') {
        id.to_owned()
    } else {
        format!(
            r#"{{"id":"{id}","message":{{"events":[{{"eventType":"CREATED","objectType":"contacts","objectId":"{id}"}},{{"eventType":"DELETED","objectType":"lists"}}]}}}}"#
        )
    };
    store_body(bench, instance, body.into_bytes(), received_at).await;
}

async fn store_body(bench: &Bench, instance: Uuid, body: Vec<u8>, received_at: OffsetDateTime) {
    store_in(&bench.storage, instance, body, received_at).await;
}

async fn store_in(storage: &Storage, instance: Uuid, body: Vec<u8>, received_at: OffsetDateTime) {
    let headers = r#"[["content-type","application/json"]]"#.into();
    let new = NewNotification { headers, received_at, ..arriving(instance, body) };
    assert_eq!(storage.store_notification(new).await.unwrap(), Arrival::Stored);
}

fn seconds(count: i64) -> time::Duration {
    time::Duration::seconds(count)
}

async fn all_pages(bench: &Bench, filter: &EventFilter, limit: usize) -> Vec<EventRow> {
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let page = bench.storage.events(filter, after, limit).await.unwrap();
        assert!(page.items.len() <= limit);
        all.extend(page.items);
        match page.next {
            Some(next) => after = Some(next),
            None => return all,
        }
    }
}

async fn paging_shows_every_event_once_and_in_order_while_others_arrive(bench: Bench) {
    let instance = bench.connected().await.id;
    for number in 0..20 {
        store(&bench, instance, &format!("{}{number}", if number % 5 == 0 { "?" } else { "" }), NOON).await;
    }
    // Sixteen with two events each, four that cannot be decoded.
    let (mut seen, mut after, mut pages) = (Vec::new(), None, 0);
    loop {
        let page = bench.storage.events(&EventFilter::default(), after, 7).await.unwrap();
        seen.extend(page.items);
        pages += 1;
        store(&bench, instance, &format!("late {pages}"), NOON).await;
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!((seen.len(), pages), (36, 6));
    assert!(seen.is_sorted_by(|one, next| one.id > next.id), "newest first");
    assert_eq!(seen.iter().filter(|row| row.event.is_none()).count(), 4);
    let exactly = bench.storage.events(&EventFilter::default(), None, 36 + 12).await.unwrap();
    assert_eq!((exactly.items.len(), exactly.next), (48, None), "a page that just fits is the last");
}

async fn filters_combine(bench: Bench) {
    let (one, two) = (bench.connected().await.id, bench.connected().await.id);
    for number in 0..10 {
        store(&bench, one, &format!("one {number}"), NOON + seconds(number)).await;
        store(&bench, two, &format!("two {number}"), NOON + seconds(number)).await;
    }
    store(&bench, two, "? not to be decoded", NOON).await;
    let all = EventFilter::default();
    let of_two = EventFilter { instance: Some(two), ..all.clone() };
    let deleted = EventFilter { event_type: Some(EventType::Deleted), ..of_two.clone() };
    let misfit = EventFilter { object_type: Some("contacts".into()), ..deleted.clone() };
    let contacts = EventFilter { event_type: None, ..misfit.clone() };
    let late = EventFilter { since: Some(NOON + seconds(7)), ..contacts.clone() };
    let then = EventFilter { until: Some(NOON + seconds(9)), ..late.clone() };
    let text = EventFilter { text: Some("TWO 8".into()), ..then.clone() };
    let none = EventFilter { text: Some("one 8".into()), ..then.clone() };
    let bare = EventFilter { text: Some("? NOT".into()), ..all.clone() };
    for (filter, count) in [
        (all, 41),
        (of_two, 21),
        (deleted, 10),
        (misfit, 0),
        (contacts, 10),
        (late, 3),
        (then, 2),
        (text, 1),
        (none, 0),
        (bare, 1),
    ] {
        let found = all_pages(&bench, &filter, 3).await;
        assert_eq!(found.len(), count, "{filter:?}");
        assert!(filter.instance.is_none_or(|id| found.iter().all(|row| row.instance == id)));
    }
}

async fn a_rare_text_is_looked_for_no_further_than_the_bound(bench: Bench) {
    let instance = bench.connected().await.id;
    store(&bench, instance, "needle", NOON).await;
    let events = vec![r#"{"eventType":"UPDATED"}"#; 1_000].join(",");
    for number in 0..6 {
        let body = format!(r#"{{"id":"{number}","message":{{"events":[{events}]}}}}"#);
        store_body(&bench, instance, body.into_bytes(), NOON).await;
    }
    for filter in [
        EventFilter { text: Some("needle".into()), ..EventFilter::default() },
        EventFilter { event_type: Some(EventType::Created), ..EventFilter::default() },
    ] {
        let first = bench.storage.events(&filter, None, 10).await.unwrap();
        assert!(first.items.is_empty() && first.stopped_after.is_some(), "{first:?}");
        assert!(!all_pages(&bench, &filter, 10).await.is_empty(), "looking on finds it");
    }
}

async fn a_range_of_time_holds_what_arrived_in_it_though_the_clock_was_set_back(bench: Bench) {
    let instance = bench.connected().await.id;
    for (number, at) in [0, 10, 20, 30, 5, 15, 25, 40].into_iter().enumerate() {
        store(&bench, instance, &number.to_string(), NOON + seconds(at)).await;
    }
    let filter = EventFilter {
        since: Some(NOON + seconds(5)),
        until: Some(NOON + seconds(21)),
        ..EventFilter::default()
    };
    let found: BTreeSet<_> = all_pages(&bench, &filter, 3).await.iter().map(|row| row.received_at).collect();
    assert_eq!(found, [5, 10, 15, 20].map(|at| NOON + seconds(at)).into());
    let before = EventFilter { until: Some(NOON), ..EventFilter::default() };
    assert!(all_pages(&bench, &before, 3).await.is_empty());
}

async fn what_came_after_a_cursor_comes_in_order_and_once(bench: Bench) {
    let instance = bench.connected().await.id;
    let (mut seen, mut cursor) = (Vec::new(), EventId::START);
    for round in 0..5 {
        store(&bench, instance, &format!("{round}"), NOON).await;
        store(&bench, instance, &format!("? {round}"), NOON).await;
        // Two at a time leaves the last one behind for the next round.
        let rows = bench.storage.arrivals(&EventFilter::default(), cursor, 2).await.unwrap().items;
        cursor = rows.last().unwrap().id;
        seen.extend(rows);
    }
    seen.extend(bench.storage.arrivals(&EventFilter::default(), cursor, 100).await.unwrap().items);
    assert_eq!(seen.len(), 15);
    assert!(seen.is_sorted_by(|one, next| one.id < next.id));
}

async fn one_event_is_found_by_its_name_alone(bench: Bench) {
    let instance = bench.connected().await.id;
    store(&bench, instance, "1", NOON).await;
    store_body(&bench, instance, vec![0xff; PAYLOAD_HEAD + 1], NOON).await;
    let rows = all_pages(&bench, &EventFilter::default(), 10).await;
    for row in &rows {
        let id: EventId = row.id.to_string().parse().unwrap();
        let found = bench.storage.event(id).await.unwrap().unwrap();
        assert_eq!(&found.row, row);
        assert_eq!(found.headers, [("content-type".to_owned(), "application/json".to_owned())]);
    }
    let huge = bench.storage.event(rows[0].id).await.unwrap().unwrap();
    assert_eq!((huge.bytes, huge.head.len()), (PAYLOAD_HEAD + 1, PAYLOAD_HEAD));
    assert_eq!(bench.storage.payload(rows[0].id).await.unwrap().unwrap().len(), PAYLOAD_HEAD + 1);
    for nothing in ["1-2", "2-1", "9-0", "0-0"] {
        assert!(bench.storage.event(nothing.parse().unwrap()).await.unwrap().is_none(), "{nothing}");
    }
    for wrong in ["", "1", "-1-0", "1--1", "01-0", "+1-0", "1-0 ", "1-0-0", "9223372036854775808-0", "1-x"] {
        assert!(wrong.parse::<EventId>().is_err(), "{wrong}");
    }
}

async fn counts_add_up_and_old_ones_go(bench: Bench) {
    let (one, two) = (bench.connected().await.id, bench.connected().await.id);
    for (number, (instance, id)) in (0_i64..).zip([(one, "1"), (one, "? 2"), (two, "3"), (one, "4")]) {
        let at = NOON + time::Duration::minutes(number * 30);
        store(&bench, instance, id, at).await;
    }
    let count = async |instance, span| {
        let counts = bench.storage.event_counts(instance, span, NOON - time::Duration::DAY).await.unwrap();
        counts.iter().map(|count| count.events).collect::<Vec<_>>()
    };
    assert_eq!(count(None, Span::Minute).await, [2, 1, 2, 2]);
    assert_eq!(count(None, Span::Hour).await, [3, 4]);
    assert_eq!(count(Some(one), Span::Hour).await, [3, 2]);
    assert_eq!(count(Some(two), Span::Minute).await, [2]);
    let listed = all_pages(&bench, &EventFilter::default(), 3).await.len();
    assert_eq!(listed, 7, "what the chart counts is what the list shows");
    bench.storage.forget_old_event_counts(NOON + time::Duration::minutes(3 * 60 + 15)).await.unwrap();
    assert_eq!(count(None, Span::Minute).await, [2], "two hours are kept");
    assert_eq!(count(None, Span::Hour).await, [3, 4], "eight days are kept");
    bench.storage.forget_old_event_counts(NOON + time::Duration::days(9)).await.unwrap();
    assert_eq!(bench.count("SELECT count(*) FROM event_counts").await, 0);
}

async fn whoever_reads_on_misses_nothing_though_several_processes_write(bench: Bench) {
    const EACH: usize = 400;
    let other = bench.beside().await;
    let writing = async |storage: &Storage, name: &str| {
        // Groups of different sizes, so that commits of both cross.
        for round in 0..EACH / 20 {
            let ids: Vec<String> = (0..20).map(|number| format!("?{name} {round} {number}")).collect();
            let stores = ids.iter().map(|id| store_in(storage, Uuid::nil(), id.clone().into_bytes(), NOON));
            futures_util::future::join_all(stores).await;
        }
    };
    let reading = async {
        let (mut seen, mut cursor) = (Vec::new(), EventId::START);
        while seen.len() < 2 * EACH {
            let page = bench.storage.arrivals(&EventFilter::default(), cursor, 7).await.unwrap();
            assert!(page.items.len() <= 7);
            seen.extend(page.items.into_iter().map(|row| row.id));
            assert_eq!(seen.last().copied().unwrap_or(EventId::START), page.looked_to);
            cursor = page.looked_to;
        }
        seen
    };
    let writers = async { futures_util::join!(writing(&bench.storage, "one"), writing(&other, "two")) };
    let (seen, _) = tokio::time::timeout(std::time::Duration::from_secs(60), async {
        futures_util::join!(reading, writers)
    })
    .await
    .expect("every event was seen");
    assert!(seen.is_sorted() && seen.iter().collect::<BTreeSet<_>>().len() == 2 * EACH);
}

async fn reading_on_goes_no_further_than_the_bound_and_says_where_it_got_to(bench: Bench) {
    let (one, two) = (bench.id(), bench.id());
    let ids: Vec<String> = (0..3000).map(|number| number.to_string()).collect();
    futures_util::future::join_all(ids.iter().map(|id| store(&bench, one, id, NOON))).await;
    store(&bench, two, "last", NOON).await;
    let updated = EventFilter { event_type: Some(EventType::Updated), ..EventFilter::default() };
    let first = bench.storage.arrivals(&updated, EventId::START, 10).await.unwrap();
    assert!(first.items.is_empty() && first.more && first.looked_to > EventId::START);
    let second = bench.storage.arrivals(&updated, first.looked_to, 10).await.unwrap();
    assert!(second.items.is_empty() && !second.more && second.looked_to > first.looked_to);
    let of_two =
        EventFilter { instance: Some(two), object_type: Some("lists".into()), ..EventFilter::default() };
    let found = bench.storage.arrivals(&of_two, EventId::START, 1).await.unwrap();
    assert_eq!((found.items.len(), found.more), (1, false));
    assert_eq!(found.items[0].event.as_ref().unwrap().event_type, "DELETED");
    assert_eq!(found.looked_to, found.items[0].id);
}
