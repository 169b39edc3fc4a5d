//! Any question about any instances, page after page, against a plain filter and sort in memory.

use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{Config, TestRunner};

use super::*;
use crate::clock::to_milliseconds;
use crate::elements::{Problem, ProblemKind};
use crate::storage::instance_finding::Bounds;
use crate::storage::{InstanceOrder, InstancePlace, InstanceQuestion, Total};

on_every_database!(every_page_of_any_question_is_what_a_filter_and_a_sort_in_memory_give);

/// Few enough for many to share a word, a name or a beginning; letters of which some change their number with their
/// case, are not of the first plane, or look like a wildcard.
const NAMES: [&str; 16] = [
    "anna",
    "Anna Ärger",
    "ÄRGER & anna",
    "İstanbul ΣΑΣ",
    "straße",
    "STRASSE",
    "日本 語",
    "𝔘nicode 🦀",
    "100%",
    "_",
    "e\u{301}a",
    " ",
    "'; DROP",
    "zz\u{10ffff}",
    "Cafeteria 12",
    "cafe fee 2024",
];
const TAGS: [&str; 4] = ["vip", "Gold Kunde", "日本", "#"];
const TEXTS: [&str; 21] = [
    "an",
    "ÄRGER",
    "ärger anna",
    "i",
    "σα",
    "strass",
    "日",
    "🦀",
    "%",
    "_",
    "語 日本",
    "01",
    "01a2",
    "70",
    "7100",
    "caf",
    "cafe",
    "fe 12",
    "202",
    "2024",
    "anna vip",
];
const STATES: [&str; 5] = ["needs_attention", "failed", "provisioning", "connected", "paused"];
const ORDERS: [InstanceOrder; 4] =
    [InstanceOrder::Attention, InstanceOrder::Newest, InstanceOrder::Name, InstanceOrder::LastEvent];

#[derive(Debug, Clone)]
struct Made {
    name: String,
    customer: Option<&'static str>,
    tags: Vec<&'static str>,
    state: &'static str,
    events: bool,
    /// Hours before noon of the first and the last event, and how many there were.
    heard: Option<(i64, i64, i64)>,
}

fn made() -> impl Strategy<Value = Made> {
    let name = prop_oneof![4 => prop::sample::select(&NAMES[..]).prop_map(str::to_owned), 1 => "[^\0]{0,12}"];
    let customer = prop::option::of(prop::sample::select(&NAMES[..]));
    let tags = prop::sample::subsequence(&TAGS[..], 0..3);
    let heard = prop::option::of((50..99_i64, 0..50_i64, 1..9_i64));
    (name, customer, tags, prop::sample::select(&STATES[..]), any::<bool>(), heard).prop_map(
        |(name, customer, tags, state, events, heard)| Made { name, customer, tags, state, events, heard },
    )
}

fn question() -> impl Strategy<Value = InstanceQuestion> {
    let text = prop::option::of(prop::sample::select(&TEXTS[..]));
    let tag = prop::option::weighted(0.2, prop::sample::select(&TAGS[..]));
    let state = prop::option::weighted(0.3, prop::sample::select(&STATES[..]));
    let events = prop::option::weighted(0.3, any::<bool>());
    (text, tag, state, events, prop::bool::weighted(0.2), prop::sample::select(&ORDERS[..])).prop_map(
        |(text, tag, state, events, silent, order)| InstanceQuestion {
            text: text.map(str::to_owned),
            state,
            tag: tag.map(str::to_owned),
            events,
            silent_at: silent.then_some(NOON),
            order,
        },
    )
}

fn lowered(text: &str) -> String {
    text.chars().flat_map(char::to_lowercase).collect()
}

fn words(text: &str) -> Vec<String> {
    text.split(|letter: char| !letter.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(lowered)
        .collect()
}

fn is_meant(question: &InstanceQuestion, instance: &Instance) -> bool {
    let upstream = instance.state.connection();
    let element_instance_id = upstream.map(|found| found.element_instance_id.to_string());
    let ids =
        [instance.id.to_string(), instance.reference.to_string(), element_instance_id.unwrap_or_default()];
    let of_ids: Vec<String> = ids.iter().flat_map(|id| words(id)).collect();
    let mut own = Vec::new();
    for text in instance.tags.iter().chain(&instance.customer).chain([&instance.name]) {
        own.extend(words(text));
    }
    let text = question.text.as_deref().unwrap_or_default();
    (text.is_empty() || !words(text).is_empty())
        && words(text).iter().all(|word| {
            let hidden = |id: &str| {
                word.len() < 4 && id.len() > 3 && id.chars().all(|digit| digit.is_ascii_hexdigit())
            };
            own.iter().chain(of_ids.iter().filter(|id| !hidden(id))).any(|own| own.starts_with(word))
        })
        && question.tag.iter().all(|tag| instance.tags.iter().any(|own| lowered(own) == lowered(tag)))
        && question.state.is_none_or(|state| instance.state.as_str() == state)
        && question.events.is_none_or(|on| upstream.is_some_and(|found| found.events_enabled) == on)
        && question.silent_at.is_none_or(|now| instance.quiet_since(now).is_some())
}

fn in_memory(question: &InstanceQuestion, all: &[Instance]) -> Vec<Uuid> {
    let mut meant: Vec<&Instance> = all.iter().filter(|instance| is_meant(question, instance)).collect();
    meant.sort_by_key(|instance| std::cmp::Reverse(instance.id));
    match question.order {
        InstanceOrder::Newest => {}
        InstanceOrder::Attention => {
            meant.sort_by_key(|instance| {
                ["needs_attention", "failed", "unknown", "provisioning", "connected", "paused"]
                    .iter()
                    .position(|state| *state == instance.state.as_str())
            });
        }
        InstanceOrder::LastEvent => meant.sort_by_key(|instance| std::cmp::Reverse(instance.last_event_at)),
        InstanceOrder::Name => {
            meant.reverse();
            let name =
                |name: &str| if name.trim().is_empty() { " ".to_owned() } else { lowered(name.trim()) };
            meant.sort_by_key(|instance| name(&instance.name));
        }
    }
    meant.into_iter().map(|instance| instance.id).collect()
}

/// Writes it as it would have become so, but for its events.
async fn make(bench: &Bench, raw: &AnyPool, made: Made) -> Instance {
    let mut new = bench.new_row();
    new.instance.name = made.name;
    new.instance.customer = made.customer.map(str::to_owned);
    new.instance.tags = made.tags.iter().map(|tag| (*tag).to_owned()).collect();
    let request = bench.request(Trip::Granted(new.instance.id));
    let (code, step) = (GrantCode::new("code"), (bench.step("granted"), lease(bench.id())));
    bench.storage.claim_grant(bench.state(), &request, &code, &new, step).await.unwrap();
    let before = new.instance;
    let problem = Problem::new(ProblemKind::AccessRevoked, NOON);
    let number = 7000 + i64::from(before.id.as_bytes()[15]);
    let connection =
        Connection { element_instance_id: number, events_enabled: made.events, connected_at: NOON };
    let state = match made.state {
        "provisioning" => InstanceState::Provisioning,
        "failed" => InstanceState::Failed(problem),
        "paused" => InstanceState::Paused(connection),
        "needs_attention" => InstanceState::NeedsAttention(connection, problem),
        _ => InstanceState::Connected(connection),
    };
    let after = Instance { state, ..before.clone() };
    let transition = Transition { before: &before, ..bench.transition(&after) };
    assert!(bench.storage.transition(transition).await.unwrap());
    if let Some((first, last, count)) = made.heard {
        let heard = "UPDATE instances SET first_event_at = $2, last_event_at = $3, notification_count = $4 WHERE id = $1";
        let at = |hours| to_milliseconds(NOON - time::Duration::hours(hours));
        let heard = sqlx::query(heard).bind(after.id.to_string()).bind(at(first)).bind(at(last)).bind(count);
        heard.execute(raw).await.unwrap();
    }
    bench.storage.instance(after.id).await.unwrap().unwrap()
}

/// All pages one after the other, each place as an address carries it.
async fn walked(
    bench: &Bench,
    question: &InstanceQuestion,
    (limit, bounds): (usize, Bounds),
) -> (Vec<Uuid>, Total) {
    let (mut ids, mut after) = (Vec::new(), None::<InstancePlace>);
    for _ in 0..1_000 {
        let page =
            bench.storage.find_instances_within(question, after.as_ref(), limit, bounds).await.unwrap();
        assert!(page.items.len() <= limit, "{question:?}");
        ids.extend(page.items.iter().map(|instance| instance.id));
        let Some(next) = page.next else { return (ids, page.total) };
        assert_eq!(next.to_string().parse(), Ok(next.clone()));
        after = Some(next);
    }
    panic!("{question:?} never ends by {limit}");
}

async fn every_page_of_any_question_is_what_a_filter_and_a_sort_in_memory_give(bench: Bench) {
    let raw = bench.raw().await;
    let mut runner = TestRunner::new(Config { failure_persistence: None, ..Config::default() });
    let several = (
        prop::collection::vec(made(), 0..30),
        prop::collection::vec((question(), 1..12_usize, 0..12_usize, 0..6_usize), 40),
    );
    for round in 0..8 {
        for forget in ["DELETE FROM instances", "DELETE FROM instance_words"] {
            sqlx::query(forget).execute(&raw).await.unwrap();
        }
        let (made, questions) = several.new_tree(&mut runner).unwrap().current();
        let mut all = Vec::new();
        for made in made {
            all.push(make(&bench, &raw, made).await);
        }
        // Some are from before there were marks.
        for instance in all.iter().step_by(2).filter(|_| round % 2 == 0) {
            for forget in [
                "UPDATE instances SET marks = -1 WHERE id = $1",
                "UPDATE instance_words SET marks = -1 WHERE instance = $1",
            ] {
                sqlx::query(forget).bind(instance.id.to_string()).execute(&raw).await.unwrap();
            }
        }
        for (question, limit, few, more) in questions {
            let bounds = Bounds { few, looked_through: few.max(limit + 1) + more };
            let expected = in_memory(&question, &all);
            let (ids, total) = walked(&bench, &question, (limit, bounds)).await;
            assert_eq!(ids, expected, "{question:?} by {limit}, few {few}, {more} more of {all:#?}");
            match total {
                Total::Exactly(count) => assert_eq!(count, expected.len(), "{question:?}"),
                Total::MoreThan(count) => assert!(expected.len() > count, "{question:?}"),
                Total::Unknown => {}
            }
        }
    }
}
