//! Instances as they are looked for: each once and in order, by every word they have.

use super::*;
use crate::elements::{Problem, ProblemKind};
use crate::storage::instance_finding::Bounds;
use crate::storage::{InstanceOrder, InstanceQuestion, Total};

on_every_database!(
    an_instance_is_found_by_the_beginning_of_every_word_it_has,
    an_id_is_found_by_four_digits_and_a_name_by_one,
    pages_are_the_whole_list_in_order_without_gaps_or_doubles,
    a_name_that_changes_is_found_by_its_new_words_alone,
    a_transition_writes_words_only_where_they_change_and_only_if_it_wins,
    transitions_at_once_leave_the_words_of_the_one_that_won,
    rows_from_before_there_were_words_are_filled_in,
    rows_from_before_there_were_marks_are_found_and_filled_in,
    words_from_before_ids_had_a_place_of_their_own_are_brought_there,
);

async fn named(bench: &Bench, name: &str) -> Instance {
    let (new, ticket) = bench.provisioning().await;
    let number = 7000 + i64::from(new.instance.id.as_bytes()[15]);
    let connection = Connection { element_instance_id: number, events_enabled: true, connected_at: NOON };
    let state = new.instance.state.clone().connect(connection).unwrap();
    let after = Instance { state, name: name.into(), ..new.instance.clone() };
    let work = Change::Close(ticket);
    let transition = Transition { before: &new.instance, work, ..bench.transition(&after) };
    assert!(bench.storage.transition(transition).await.unwrap());
    bench.storage.instance(after.id).await.unwrap().unwrap()
}

fn text(text: &str) -> InstanceQuestion {
    InstanceQuestion { text: Some(text.to_owned()), ..InstanceQuestion::default() }
}

async fn found(bench: &Bench, question: &InstanceQuestion) -> Vec<Uuid> {
    let found = bench.storage.find_instances(question, None, 50).await.unwrap();
    assert_eq!(found.total, Total::Exactly(found.items.len()));
    found.items.iter().map(|instance| instance.id).collect()
}

async fn an_instance_is_found_by_the_beginning_of_every_word_it_has(bench: Bench) {
    let one = named(&bench, "100% Wolle_Müller Straße").await;
    let other = named(&bench, "Other").await;
    let both = if other.id > one.id { [other.id, one.id] } else { [one.id, other.id] };
    let upstream = one.state.connection().unwrap().element_instance_id.to_string();
    let (id, reference) = (one.id.to_string(), one.reference.to_string());
    for words in ["wolle", "WOL", "mülle", "MÜLLER stra", "100%", "müller ada", &id, &reference, &upstream]
    {
        assert!(found(&bench, &text(words)).await.contains(&one.id), "{words}");
    }
    for words in ["%", "_", "olle", "wolle other", "müller' OR '1'='1", "\0", "tag", "#%", "*"] {
        assert_eq!(found(&bench, &text(words)).await, Vec::<Uuid>::new(), "{words}");
    }
    assert_eq!(found(&bench, &text("wolle\0")).await, [one.id]);
    assert_eq!(found(&bench, &text(&"x".repeat(10_240))).await, Vec::<Uuid>::new());
    for words in ["vip", "ada"] {
        assert_eq!(found(&bench, &text(words)).await, both, "{words}");
    }
    let tag = |tag: &str| InstanceQuestion { tag: Some(tag.to_owned()), ..InstanceQuestion::default() };
    assert_eq!(found(&bench, &tag("VIP")).await, both);
    assert_eq!(found(&bench, &tag("vi")).await, Vec::<Uuid>::new());
    let in_state = |state| InstanceQuestion { state: Some(state), ..InstanceQuestion::default() };
    assert_eq!(found(&bench, &in_state("connected")).await, both);
    assert_eq!(found(&bench, &in_state("failed")).await, Vec::<Uuid>::new());
    let events = |on| InstanceQuestion { events: Some(on), ..InstanceQuestion::default() };
    assert_eq!(found(&bench, &events(true)).await, both);
    assert_eq!(found(&bench, &events(false)).await, Vec::<Uuid>::new());
}

async fn an_id_is_found_by_four_digits_and_a_name_by_one(bench: Bench) {
    let cafe = named(&bench, "Cafeteria 12").await;
    let other = named(&bench, "Other").await;
    let upstream = |instance: &Instance| instance.state.connection().unwrap().element_instance_id.to_string();
    // Reference numbers are drawn, and found by any beginning of theirs; a drawn id may begin with four digits.
    let drawn = |instance: &Instance, word: &str| {
        let (id, reference) = (instance.id.to_string(), instance.reference.to_string().to_lowercase());
        let begins = |drawn: &str| drawn.split('-').any(|part| part.starts_with(word));
        begins(&reference) || (word.len() >= 4 && begins(&id))
    };
    let all_drawn = |instance: &Instance, words: &str| words.split(' ').all(|word| drawn(instance, word));
    for words in ["c", "ca", "caf", "cafe", "cafet", "1", "12", "cafe 12"] {
        let ids = found(&bench, &text(words)).await;
        assert!(ids.contains(&cafe.id), "{words}");
        assert!(!ids.contains(&other.id) || all_drawn(&other, words), "{words}");
    }
    for words in [&other.id.to_string(), &upstream(&other)] {
        assert!(found(&bench, &text(words)).await.contains(&other.id), "{words}");
    }
    assert_eq!(found(&bench, &text(&other.id.to_string()[..4])).await.len(), 2, "made in the same hour");
    for words in [&other.id.to_string()[..3], &upstream(&other)[..3], "01"] {
        let ids = found(&bench, &text(words)).await;
        for instance in [&cafe, &other] {
            assert!(!ids.contains(&instance.id) || drawn(instance, words), "{words}");
        }
    }
}

async fn pages_are_the_whole_list_in_order_without_gaps_or_doubles(bench: Bench) {
    let mut all = Vec::new();
    for number in 0..14_u8 {
        let instance = match number % 3 {
            0 => bench.provisioning().await.0.instance,
            // Several of one name.
            1 => named(&bench, "same").await,
            _ => named(&bench, &format!("N{}", u32::from(number) * 7919 % 13)).await,
        };
        all.push(instance);
    }
    let questions = [InstanceQuestion::default(), text("ada")];
    let orders =
        [InstanceOrder::Attention, InstanceOrder::Newest, InstanceOrder::Name, InstanceOrder::LastEvent];
    for question in questions {
        for order in orders {
            let mut expected = all.clone();
            expected.sort_by_key(|instance| std::cmp::Reverse(instance.id));
            match order {
                InstanceOrder::Attention => {
                    expected.sort_by_key(|instance| instance.state.as_str() == "connected");
                }
                InstanceOrder::Name => {
                    expected.reverse();
                    expected.sort_by_key(|instance| instance.name.to_lowercase());
                }
                InstanceOrder::Newest | InstanceOrder::LastEvent => {}
            }
            let expected: Vec<Uuid> = expected.iter().map(|instance| instance.id).collect();
            let question = InstanceQuestion { order, ..question.clone() };
            for limit in [1, 3, 14, 50] {
                let (mut ids, mut after) = (Vec::new(), None);
                loop {
                    let page = bench.storage.find_instances(&question, after.as_ref(), limit).await.unwrap();
                    assert!(page.items.len() <= limit);
                    ids.extend(page.items.iter().map(|instance| instance.id));
                    after = page.next;
                    if after.is_none() {
                        break;
                    }
                }
                assert_eq!(ids, expected, "{order:?} by {limit}");
            }
        }
    }
}

async fn a_name_that_changes_is_found_by_its_new_words_alone(bench: Bench) {
    let one = named(&bench, "before").await;
    let after = Instance { name: "Nachher".into(), tags: vec!["Gold Kunde".into()], ..one.clone() };
    let transition = Transition { before: &one, ..bench.transition(&after) };
    assert!(bench.storage.transition(transition).await.unwrap());
    assert_eq!(found(&bench, &text("before")).await, Vec::<Uuid>::new());
    assert_eq!(found(&bench, &text("nach kunde")).await, [after.id]);
    let tag = InstanceQuestion { tag: Some("gold kunde".into()), ..InstanceQuestion::default() };
    assert_eq!(found(&bench, &tag).await, [after.id]);
}

async fn a_transition_writes_words_only_where_they_change_and_only_if_it_wins(bench: Bench) {
    const MARKS: &str = "SELECT count(*) FROM instance_words WHERE word = 'mark'";
    let one = named(&bench, "Quark").await;
    let raw = bench.raw().await;
    // A word that only writing anew would take away.
    let mark = "INSERT INTO instance_words (word, rank, instance, marks) VALUES ('mark', 4, $1, 0)";
    sqlx::query(mark).bind(one.id.to_string()).execute(&raw).await.unwrap();
    let connection = one.state.connection().unwrap().clone();
    let state = InstanceState::NeedsAttention(connection, Problem::new(ProblemKind::AccessRevoked, NOON));
    let troubled = Instance { state, ..one.clone() };
    let trouble = Transition { before: &one, ..bench.transition(&troubled) };
    assert!(bench.storage.transition(trouble).await.unwrap());
    assert_eq!(bench.count(MARKS).await, 1);
    // It lists its instance where it is now.
    assert_eq!(bench.count("SELECT rank FROM instance_words WHERE word = 'mark'").await, 8);
    // Read before that, and so too late: neither its name nor its words are written.
    let late = Instance { name: "Late".into(), ..one.clone() };
    let renaming = Transition { before: &one, ..bench.transition(&late) };
    assert!(!bench.storage.transition(renaming).await.unwrap());
    assert_eq!(found(&bench, &text("late")).await, Vec::<Uuid>::new());
    assert_eq!((found(&bench, &text("quark")).await, bench.count(MARKS).await), (vec![one.id], 1));
    // Another name of the same words has another place among names.
    let now = bench.storage.instance(one.id).await.unwrap().unwrap();
    let loud = Instance { name: "!Quark".into(), ..now.clone() };
    let renaming = Transition { before: &now, ..bench.transition(&loud) };
    assert!(bench.storage.transition(renaming).await.unwrap());
    assert_eq!(found(&bench, &text("quark")).await, [one.id]);
    assert_eq!(bench.count(MARKS).await, 0);
    assert_eq!(bench.count("SELECT count(*) FROM instances WHERE sort_name = '!quark'").await, 1);
}

async fn transitions_at_once_leave_the_words_of_the_one_that_won(bench: Bench) {
    let mut now = named(&bench, "Quark").await;
    for round in 0..8 {
        let names = ["Anna", "Berta", "Quark"].map(|name| format!("{name} {round}"));
        let all = names.each_ref().map(|name| Instance { name: name.clone(), ..now.clone() });
        let renaming = all
            .iter()
            .map(|after| bench.storage.transition(Transition { before: &now, ..bench.transition(after) }));
        let won = futures_util::future::join_all(renaming).await;
        assert_eq!(won.iter().filter(|won| *won.as_ref().unwrap()).count(), 1);
        now = bench.storage.instance(now.id).await.unwrap().unwrap();
        for name in &names {
            assert_eq!(found(&bench, &text(name)).await.len(), usize::from(now.name == *name), "{name}");
        }
    }
}

async fn rows_from_before_there_were_words_are_filled_in(bench: Bench) {
    let one = named(&bench, "Quark").await;
    let raw = bench.raw().await;
    for forget in ["DELETE FROM instance_words", "UPDATE instances SET sort_name = '', marks = -1"] {
        sqlx::query(forget).execute(&raw).await.unwrap();
    }
    assert_eq!(found(&bench, &text("quark")).await, Vec::<Uuid>::new());
    bench.storage.fill_in_words().await.unwrap();
    assert_eq!(found(&bench, &text("quark")).await, [one.id]);
    assert_eq!(bench.count("SELECT count(*) FROM instances WHERE marks < 0").await, 0);
}

async fn words_from_before_ids_had_a_place_of_their_own_are_brought_there(bench: Bench) {
    const WORDS: &str = "SELECT word || ' ' || rank || ' ' || instance || ' ' || marks FROM instance_words ORDER BY word, instance";
    let one = named(&bench, "Cafeteria 12").await;
    let raw = bench.raw().await;
    let words: Vec<String> = sqlx::query_scalar(WORDS).fetch_all(&raw).await.unwrap();
    let migrator = if bench.url.expose_secret().starts_with("sqlite") { &SQLITE } else { &POSTGRES };
    // As they were, and what the migration makes of them.
    for sql in [
        "DELETE FROM instance_words WHERE word IN ('!on', '=cafeteria')",
        "UPDATE instance_words SET word = substr(word, 2) WHERE word LIKE '=%'",
        migrator.iter().find(|migration| migration.version == 22).unwrap().sql.as_str(),
    ] {
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&raw).await.unwrap();
    }
    for words in [&one.id.to_string(), "cafe 12"] {
        assert_eq!(found(&bench, &text(words)).await, [one.id], "{words}");
    }
    bench.storage.fill_in_words().await.unwrap();
    let filled_in: Vec<String> = sqlx::query_scalar(WORDS).fetch_all(&raw).await.unwrap();
    assert_eq!(filled_in, words);
}

async fn rows_from_before_there_were_marks_are_found_and_filled_in(bench: Bench) {
    const MARKED: &str = "SELECT marks FROM instances";
    let one = named(&bench, "Quark").await;
    let marks = bench.count(MARKED).await;
    let raw = bench.raw().await;
    sqlx::query("UPDATE instances SET marks = -1").execute(&raw).await.unwrap();
    let none = Bounds { few: 0, looked_through: 5_000 };
    for bounds in [none, Bounds { few: 500, ..none }] {
        for (words, expected) in [("quark", vec![one.id]), ("quork", Vec::new())] {
            let found = bench.storage.find_instances_within(&text(words), None, 50, bounds).await.unwrap();
            assert_eq!(found.items.iter().map(|instance| instance.id).collect::<Vec<_>>(), expected);
        }
    }
    bench.storage.fill_in_words().await.unwrap();
    assert_eq!(bench.count(MARKED).await, marks);
}
