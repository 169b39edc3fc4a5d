//! What holds for the SQLite file alone.

use std::os::unix::fs::PermissionsExt;

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn the_file_and_its_folder_are_for_their_owner_alone() {
    let bench = Bench::sqlite().await;
    bench.provisioning().await;
    let data = bench.folder.path().join("data");
    assert_eq!(std::fs::metadata(&data).unwrap().permissions().mode() & 0o777, 0o700);
    for file in std::fs::read_dir(&data).unwrap() {
        let file = file.unwrap();
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{:?}", file.file_name());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_gangway_on_the_same_file_is_refused() {
    let bench = Bench::sqlite().await;
    let sealer = Sealer::new(&bench.key, None, Arc::new(SystemEntropy::default()));
    assert!(matches!(Storage::open(&bench.url, sealer).await.err(), Some(OpenError::InUse(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_waits_for_the_disk() {
    let bench = Bench::sqlite().await;
    for (pragma, expected) in [("PRAGMA synchronous", 2), ("PRAGMA foreign_keys", 1)] {
        let value: i64 = sqlx::query_scalar(pragma).fetch_one(&bench.storage.readers).await.unwrap();
        assert_eq!(value, expected, "{pragma}");
    }
    let mode: String =
        sqlx::query_scalar("PRAGMA journal_mode").fetch_one(&bench.storage.readers).await.unwrap();
    assert_eq!(mode, "wal");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_written_is_there_after_opening_again() {
    let bench = Bench::sqlite().await;
    let id = bench.connected().await.id;
    let key = bench.key.clone();
    let bench = bench.reopened(&key, None).await.unwrap();
    assert!(bench.storage.instance(id).await.unwrap().is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_looked_for_missed_events_has_ended_with_its_process() {
    let bench = Bench::sqlite().await;
    bench.connected().await;
    let at = NOON + time::Duration::hours(1);
    let lease = Lease { holder: bench.id(), until: at + time::Duration::days(1) };
    assert_eq!(bench.storage.take_up_looks(lease, at, 1).await.unwrap().len(), 1);
    let key = bench.key.clone();
    let bench = bench.reopened(&key, None).await.unwrap();
    assert!(bench.storage.looks_are_due(at).await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn c11_a_file_that_is_no_database_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("gangway.db");
    std::fs::write(&path, "this is not a database, and must not become one".repeat(100)).unwrap();
    let entropy = Arc::new(SystemEntropy::default());
    let sealer = Sealer::new(&SecretKey::draw(&*entropy), None, entropy);
    let url = SecretString::from(format!("sqlite://{}", path.display()));
    let Some(OpenError::Database(error)) = Storage::open(&url, sealer).await.err() else {
        panic!("not told")
    };
    assert!(error.to_string().contains("file is not a database"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn trying_out_writes_every_time() {
    let bench = Bench::sqlite().await;
    let wal = || std::fs::read(bench.folder.path().join("data/gangway.db-wal")).unwrap();
    for _ in 0..3 {
        let before = wal();
        bench.storage.try_out().await.unwrap();
        assert!(wal() != before, "the disk is not tried by a write that changes nothing");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn c11_a_database_that_was_emptied_or_damaged_is_refused_and_a_copy_opens() {
    let bench = Bench::sqlite().await;
    let id = bench.connected().await.id;
    let path = bench.folder.path().join("data/gangway.db");
    let (url, key) = (bench.url.clone(), bench.key.clone());
    bench.storage.close().await;
    let Bench { storage, folder: _folder, .. } = bench;
    drop(storage);
    let copy = std::fs::read(&path).unwrap();
    let open = || Storage::open(&url, Sealer::new(&key, None, Arc::new(SystemEntropy::default())));
    std::fs::write(&path, b"").unwrap();
    let error = open().await.err().unwrap();
    assert!(matches!(error, OpenError::Emptied(_)), "{error:?}");
    let damaged: Vec<u8> =
        copy.iter().enumerate().map(|(at, byte)| if at < 4096 { byte ^ 0x5a } else { *byte }).collect();
    std::fs::write(&path, damaged).unwrap();
    assert!(open().await.is_err());
    std::fs::write(&path, copy).unwrap();
    assert!(open().await.unwrap().instance(id).await.unwrap().is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_makes_the_file_where_there_is_none_and_an_emptied_one_is_a_loss_for_it_too() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data/gangway.db");
    let url = SecretString::from(format!("sqlite://{}", path.display()));
    let entropy = Arc::new(SystemEntropy::default());
    let key = SecretKey::draw(&*entropy);
    let sealer = || Sealer::new(&key, None, entropy.clone());
    let [one, two] = [Storage::open_beside(&url, sealer()), Storage::open_beside(&url, sealer())];
    let (one, two) = futures_util::future::join(one, two).await;
    let (one, two) = (one.unwrap(), two.unwrap());
    assert_eq!(std::fs::metadata(path.parent().unwrap()).unwrap().permissions().mode() & 0o777, 0o700);
    for file in std::fs::read_dir(path.parent().unwrap()).unwrap() {
        let file = file.unwrap();
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{:?}", file.file_name());
    }
    let serving = Storage::open(&url, sealer()).await.unwrap();
    for storage in [one, two, serving] {
        storage.close().await;
    }
    for missing in [false, true] {
        let lost = if missing { std::fs::remove_file(&path) } else { std::fs::write(&path, "") };
        lost.unwrap();
        let error = Storage::open_beside(&url, sealer()).await.err().unwrap();
        assert!(matches!(error, OpenError::Emptied(_)), "{error:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn c14_a_migration_that_ends_half_way_leaves_the_old_tables() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", folder.path().join("gangway.db").display());
    std::fs::write(folder.path().join("gangway.db"), "").unwrap();
    let first = include_str!("../../../migrations/sqlite/0001_foundation.sql");
    let second = include_str!("../../../migrations/sqlite/0002_open_work.sql");
    sqlx::any::install_default_drivers();
    let pool = AnyPool::connect(&url).await.unwrap();
    pool.execute(first).await.unwrap();
    let tables = "SELECT count(*) FROM sqlite_master WHERE type = 'table'";
    let count = async || sqlx::query_scalar::<_, i64>(tables).fetch_one(&pool).await.unwrap();
    let before = count().await;
    // The process ends after every statement in turn: as migrations are run, all of one is one transaction.
    let bare: Vec<&str> = second.lines().map(|line| line.split("--").next().unwrap_or_default()).collect();
    let bare = bare.join("\n");
    let statements: Vec<&str> = bare.split_inclusive(';').filter(|one| one.trim().len() > 1).collect();
    for ended_after in 1..statements.len() {
        let mut transaction = pool.begin().await.unwrap();
        for statement in &statements[..ended_after] {
            sqlx::query(sqlx::AssertSqlSafe((*statement).to_owned()))
                .execute(&mut *transaction)
                .await
                .unwrap();
        }
        drop(transaction);
        assert_eq!(count().await, before, "after {ended_after}");
    }
    assert!(SQLITE.iter().all(|migration| !migration.no_tx), "each runs in a transaction");
    assert!(POSTGRES.iter().all(|migration| !migration.no_tx));
}

/// The steps of a query, each with its own number, that of the step above, and its words.
async fn plan(bench: &Bench, query: &str) -> Vec<(i64, i64, i64, String)> {
    let explain = sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {query}"));
    sqlx::query_as(explain).fetch_all(&bench.raw().await).await.unwrap()
}

/// Of every order, of one state and of all, from the beginning and from the middle.
async fn stretches(bench: &Bench) -> Vec<String> {
    use crate::storage::InstanceOrder::{Attention, LastEvent, Name, Newest};
    use crate::storage::word_lists;
    let one = bench.connected().await;
    let mut all = Vec::new();
    for order in [Attention, Newest, Name, LastEvent] {
        let place = order.place(&one);
        for (state, after) in [(None, None), (None, Some(&place)), (Some("connected"), None)] {
            all.extend(order.stretches("*", state, after));
            if word_lists::are_in(order, state) {
                all.extend(word_lists::stretches(&["one".to_owned()], state, after));
                all.extend(word_lists::stretches(&["one", "other"].map(str::to_owned), state, after));
            }
        }
    }
    all.into_iter().map(|asked| format!("{} LIMIT 500", asked.sql)).collect()
}

/// With a million instances a start, the background and a page of the console must find what they want by an
/// index; the speed itself is measured in `benches/`.
#[tokio::test(flavor = "multi_thread")]
async fn c19_nothing_that_is_asked_all_the_time_reads_a_whole_table() {
    use crate::storage::{checks, event_query, instance_words, instances, missed_work, overview};
    let bench = Bench::sqlite().await;
    let waits = plan(&bench, missed_work::WAITING_IN_ALL).await;
    assert!(waits.iter().all(|(.., step)| step.contains("missed_events_waiting")), "{waits:?}");
    for query in [
        checks::DUE.to_owned(),
        instances::page_query(""),
        instances::page_query("AND state = $3"),
        instances::by_element_instance(),
        "SELECT id FROM instances ORDER BY id DESC LIMIT 1".to_owned(),
        "SELECT seq FROM timeline WHERE instance = $1 ORDER BY seq LIMIT 500".to_owned(),
        overview::IN_STATE.to_owned(),
        overview::TRIPS.to_owned(),
        missed_work::DUE.to_owned(),
        missed_work::waiting(3),
        missed_work::WAITING_IN_ALL.to_owned(),
        event_query::NEWEST_BEFORE.to_owned(),
        event_query::OLDEST_SINCE.to_owned(),
        event_query::ONE.to_owned(),
        instance_words::NOT_FILLED_IN.to_owned(),
        "SELECT instance FROM instance_words WHERE word >= $1 AND word < $2 LIMIT $3".to_owned(),
        "SELECT id FROM instances WHERE state >= $1 AND state <= $2 LIMIT $3".to_owned(),
        "SELECT state FROM instances WHERE id IN (SELECT instance FROM instance_words WHERE word >= $1 AND word < $2)"
            .to_owned(),
        "SELECT count(*) FROM instance_words WHERE instance = $1 AND word >= $2 AND word < $3".to_owned(),
        "DELETE FROM instance_words WHERE instance = $1".to_owned(),
    ]
    .into_iter()
    .chain(stretches(&bench).await)
    {
        let plan = plan(&bench, &query).await;
        for (.., step) in plan {
            let by_index = !step.starts_with("SCAN") || step.contains("USING");
            assert!(by_index && !step.contains("TEMP B-TREE"), "{query}: {step}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn c19_what_is_looked_through_is_held_against_a_question_without_reading_its_row() {
    use crate::storage::instance_question::{Meaning, Rows};
    use crate::storage::{InstanceOrder, InstanceQuestion};
    let bench = Bench::sqlite().await;
    let question = InstanceQuestion {
        text: Some("wolle".to_owned()),
        tag: Some("vip".to_owned()),
        state: Some("paused"),
        ..InstanceQuestion::default()
    };
    let word =
        "SEARCH own USING COVERING INDEX instance_words_by_instance (instance=? AND word>? AND word<?)";
    let place = "SEARCH own USING PRIMARY KEY (word=? AND rank=? AND instance=?)";
    for (order, index) in [
        (InstanceOrder::Name, "instances_by_sort_name (sort_name>?)"),
        (InstanceOrder::LastEvent, "instances_by_last_event (<expr><?)"),
        (InstanceOrder::Newest, "instances_by_id (id<?)"),
    ] {
        let mut asked = order.stretches("id, marks", None, None).remove(0);
        asked.end("LIMIT 5000");
        let mut meaning = Meaning::of(&question);
        if let Some(listed) = meaning.words.first_mut() {
            listed.listed = Some(vec!["wolle".to_owned(), "wollens".to_owned()]);
        }
        let asked = meaning.among(Rows { asked, known: None });
        let plan = plan(&bench, &asked.sql).await;
        let steps: Vec<&str> = plan.iter().map(|(.., step)| step.as_str()).collect();
        let walked = format!("SEARCH instances USING COVERING INDEX {index}");
        assert!([&walked, word, place].iter().all(|step| steps.contains(step)), "{steps:?}");
    }
}

/// Deliveries are as many as notifications, times endpoints; of endpoints there is a handful.
#[tokio::test(flavor = "multi_thread")]
async fn c19_no_look_at_deliveries_reads_or_sorts_all_of_them() {
    use crate::storage::{DeliveryFilter, DeliveryState, deliveries, delivery_work};
    let bench = Bench::sqlite().await;
    let filter = |state, endpoint| deliveries::page_query(DeliveryFilter { state, endpoint });
    let (failed, nil) = (Some(DeliveryState::Failed), Some(Uuid::nil()));
    let pages = [filter(None, None), filter(failed, None), filter(None, nil), filter(failed, nil)];
    let others = [delivery_work::DUE, delivery_work::DUE_ENDPOINTS].map(str::to_owned);
    for query in pages.into_iter().chain(others) {
        let plan = plan(&bench, &query).await;
        // What is taken from the thousand is put in order.
        let sorts = plan.iter().filter(|(.., step)| step.contains("TEMP B-TREE")).count();
        assert_eq!(sorts, usize::from(query == delivery_work::DUE), "{query}: {plan:?}");
        for (.., step) in plan {
            let whole = ["deliveries", "notifications", "delivery_attempts"]
                .iter()
                .any(|table| step == format!("SCAN {table}"));
            assert!(!whole, "{query}: {step}");
        }
    }
}

/// The list of events puts at most as many rows in order as were asked for; its tables are read by their
/// indexes, and by those that are in its order already.
#[tokio::test(flavor = "multi_thread")]
async fn c19_the_list_of_events_sorts_no_table() {
    use crate::storage::event_query::{Look, Order};
    let bench = Bench::sqlite().await;
    let nil = Some(Uuid::nil());
    for (order, instance) in
        [(Order::Back, None), (Order::Back, nil), (Order::Forth, None), (Order::Forth, nil)]
    {
        let query = Look { order, instance, bodies: true }.sql();
        let plan = plan(&bench, &query).await;
        let parent = |id: i64| plan.iter().find(|(own, ..)| *own == id).map_or("", |(.., step)| step);
        for (_, above, _, step) in &plan {
            let of_a_table = ["events", "undecoded", "notifications", "instances"]
                .iter()
                .any(|table| step.starts_with(&format!("SCAN {table}")));
            assert!(!of_a_table || step.contains("USING"), "{query}: {step}");
            let within = parent(*above);
            let sorted = step.contains("TEMP B-TREE");
            assert!(!sorted || !(within.contains("decoded") || within.contains("bare")), "{query}: {plan:?}");
        }
    }
}
