//! What Cloud Elements could not deliver: noticed, asked for, read back; each event once, however it comes, and
//! nobody has to click.

use gangway::app::{App, Surroundings};
use gangway::clock::Clock;
use gangway::storage::Scope;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use time::Duration;
use tokio_util::sync::CancellationToken;

use crate::app::{Browser, Page, TestApp, location, plain};
use crate::care::id_of;

/// Faults under which notifications are given up within milliseconds, and others besides.
fn hasty(mut more: Value) -> Value {
    more["hasty"] = json!(true);
    more
}

async fn until(what: &str, holds: impl AsyncFn() -> bool) {
    for _ in 0..800 {
        if holds().await {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("never: {what}");
}

/// The simulator gives up, and these contacts are added meanwhile.
async fn missed(app: &TestApp, contacts: usize) {
    let give_up = plain().post(format!("{}/_sim/give-up", app.simulator));
    give_up.send().await.unwrap();
    for number in 0..contacts {
        app.add_contact(&format!("missed-{number}@reader.example")).await;
    }
}

async fn queued(app: &TestApp) -> usize {
    usize::try_from(app.ledger().await["queued"].as_u64().unwrap()).unwrap()
}

async fn asked(app: &TestApp) -> u64 {
    app.ledger().await["ledger"]["redeliveries"].as_u64().unwrap()
}

/// Pages of events that were asked for, in order.
async fn pages(app: &TestApp) -> Vec<String> {
    let ledger = app.ledger().await;
    let log = ledger["log"].as_array().unwrap().iter().rev();
    let pages = log.filter(|sent| sent["what"].as_str().unwrap().starts_with("events of"));
    pages.map(|sent| sent["to"].as_str().unwrap().to_owned()).collect()
}

/// All that is stored: how many rows, how many of them read back, how many ids.
async fn stored(app: &TestApp) -> (i64, i64, i64) {
    let query =
        "SELECT count(*), COALESCE(sum(read_back), 0), count(DISTINCT notification_id) FROM notifications";
    sqlx::query_as(query).fetch_one(&app.database().await).await.unwrap()
}

async fn panel(operator: &Browser, result: &str) -> String {
    operator.page(&format!("/admin{result}")).await.one("section[aria-labelledby=missed-events]")
}

/// Reads the panel until it holds `words`.
async fn panel_says(operator: &Browser, result: &str, words: &str) -> String {
    until(words, async || panel(operator, result).await.contains(words)).await;
    panel(operator, result).await
}

async fn click(operator: &Browser, result: &str) -> StatusCode {
    operator.form(&format!("/admin{result}/missed-events"), &[]).await.status()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_missed_while_gangway_was_down_comes_without_a_click_each_once() {
    const N: i64 = 37;
    let mut app = TestApp::start().await;
    let (_browser, result) = app.connected().await;
    let operator = app.operator().await;
    app.add_contact("before@reader.example").await;
    until("the first", async || stored(&app).await.0 == 1).await;
    app.faults(hasty(json!({}))).await;
    app.stop().await;
    // For real: every try fails, Cloud Elements gives up, and queues this one and what follows.
    for number in 0..N {
        app.add_contact(&format!("missed-{number}@reader.example")).await;
    }
    until("all are queued", async || queued(&app).await == 37).await;
    app.start_again().await;
    app.clock.advance(Duration::hours(2));
    until("all have come", async || stored(&app).await.0 == N + 1).await;
    app.clock.advance(Duration::minutes(2));
    let said = panel_says(&operator, &result, "nothing was missing").await;
    assert!(said.contains("Waiting upstream nothing") && said.contains("delivering"), "{said}");
    assert!(said.contains("nothing waited any more at the next look"), "{said}");
    assert_eq!(stored(&app).await, (N + 1, 0, N + 1), "each once, and signed");
    let page = operator.page(&format!("/admin{result}")).await;
    let timeline = page.one("ol.timeline");
    assert!(timeline.contains("has stopped sending: 37 notifications wait there"), "{timeline}");
    assert!(timeline.contains("Gangway asked Cloud Elements to send what waits there, and was told yes"));
    for _ in 0..5 {
        app.clock.advance(Duration::hours(2));
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    }
    assert_eq!(asked(&app).await, 1, "once is enough");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_is_shown_and_refused_redelivery_says_how_to_do_it_by_hand() {
    let app = TestApp::start().await;
    let (_browser, result) = app.connected().await;
    let operator = app.operator().await;
    assert!(panel(&operator, &result).await.contains("not known yet"));
    app.faults(hasty(json!({ "redeliver_status": 403, "events_status": 403 }))).await;
    missed(&app, 3).await;
    until("all are queued", async || queued(&app).await == 3).await;
    app.clock.advance(Duration::hours(2));
    let said = panel_says(&operator, &result, "Cloud Elements refused").await;
    assert!(said.contains("3 waiting upstream") && said.contains("deactivated"), "{said}");
    assert!(said.contains("403: The deliveries cannot be sent again"), "{said}");
    let by_hand = format!("{}/elements/api-v2/notifications/subscriptions/deliveries?where=", app.simulator);
    assert!(said.contains("PUT") && said.contains(&by_hand) && said.contains(id_of(&result)), "{said}");
    assert!(!said.contains("c2ltdWxhdGVk"), "no secret");
    let list = operator.page("/admin/instances").await.one("tbody");
    assert!(list.contains("3 waiting upstream"), "{list}");
    let metrics = plain().get(format!("{}/metrics", app.origin)).send().await.unwrap().text().await.unwrap();
    assert!(metrics.contains("gangway_waiting_upstream 3"), "{metrics}");
    // By hand: what comes of it is seen at the next look, and no second one of ours.
    app.faults(json!({})).await;
    assert_eq!(plain().put(&by_hand).send().await.unwrap().status(), StatusCode::UNAUTHORIZED);
    let (status, _) = crate::care::upstream(
        &app,
        Method::PUT,
        "/notifications/subscriptions/deliveries?where=channel%3D'webhook'",
        None,
    )
    .await;
    assert_eq!(status, StatusCode::OK);
    until("all have come", async || stored(&app).await == (3, 0, 3)).await;
    app.clock.advance(Duration::minutes(12));
    assert!(panel_says(&operator, &result, "Waiting upstream nothing").await.contains("delivering"));
    assert_eq!(asked(&app).await, 2, "one of ours, one by hand");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_that_cannot_be_read_says_nothing_and_is_looked_at_again() {
    let app =
        TestApp::with(|config| config.cloud_elements.timeout = std::time::Duration::from_millis(1500)).await;
    let (_browser, result) = app.connected().await;
    let operator = app.operator().await;
    for (fault, words) in [
        (json!({ "queue_status": 500 }), "500: The deliveries cannot be had"),
        (json!({ "queue_garbage": true }), "the list of deliveries cannot be read"),
        (json!({ "queue_slow_ms": 60_000 }), "the deadline passed"),
        (json!({ "gateway_down": true }), "502 without an error of Cloud Elements"),
        (json!({ "queue_status": 403 }), "403: The deliveries cannot be had"),
    ] {
        app.faults(fault).await;
        app.clock.advance(Duration::hours(2));
        let said = panel_says(&operator, &result, words).await;
        assert!(said.contains("Waiting upstream not known yet"), "{said}");
    }
    assert_eq!(asked(&app).await, 0, "nothing is done on a guess");
    // An empty list is a 404 in Cloud Elements' words.
    app.faults(json!({ "queue_status": 404 })).await;
    app.clock.advance(Duration::minutes(12));
    let said = panel_says(&operator, &result, "Waiting upstream nothing").await;
    assert!(!said.contains("Could not tell"), "{said}");
    // Within ten minutes after trouble, an hour after none.
    missed(&app, 2).await;
    app.faults(json!({})).await;
    app.clock.advance(Duration::hours(2));
    until("all have come", async || stored(&app).await == (2, 0, 2)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_never_queued_is_read_back_after_an_unusual_silence_once() {
    let app = TestApp::start().await;
    let (_browser, result) = app.connected().await;
    let operator = app.operator().await;
    for number in 0..6 {
        app.add_contact(&format!("usual-{number}@reader.example")).await;
        until("it came", async || stored(&app).await.0 == number + 1).await;
        app.clock.advance(Duration::minutes(1));
    }
    app.faults(hasty(json!({ "lose_queued": true }))).await;
    missed(&app, 3).await;
    app.clock.advance(Duration::hours(2));
    until("what is missing was read", async || stored(&app).await.0 == 9).await;
    assert_eq!(stored(&app).await, (9, 3, 9));
    let said = panel_says(&operator, &result, "3 events were missing, and are stored").await;
    assert!(said.contains("Waiting upstream nothing"), "{said}");
    assert_eq!((asked(&app).await, pages(&app).await.len()), (0, 1));
    let rows = operator.page("/admin/events").await;
    assert_eq!(rows.all("tbody .tag"), ["read back"; 3]);
    let event = rows.attributes("tbody th a", "href").remove(0);
    let event = operator.page(&event).await;
    assert!(event.one("h1").contains("CREATED contacts"), "{}", event.one("h1"));
    assert!(
        event.fact("How it came").contains("Read back") && event.fact("Signature").contains("not signed")
    );
    assert!(event.one("#raw").contains("providerData"), "as Cloud Elements keeps it");
    let key = crate::program::key(&app, "reader", Scope::Read, None).await;
    let pulled = plain().get(format!("{}/api/v1/events", app.origin)).bearer_auth(key).send().await.unwrap();
    let pulled: Value = pulled.json().await.unwrap();
    let marks = pulled["items"].as_array().unwrap().iter().map(|item| item["read_back"].as_bool().unwrap());
    assert_eq!(marks.collect::<Vec<_>>(), [vec![false; 6], vec![true; 3]].concat(), "in order of arrival");
    for _ in 0..3 {
        app.clock.advance(Duration::hours(1));
        tokio::time::sleep(std::time::Duration::from_millis(2500)).await;
    }
    assert!(pages(&app).await.len() <= 2, "a silence is read once: {:?}", pages(&app).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_comes_both_ways_is_one_row_and_the_signed_one_stays() {
    let app = TestApp::start().await;
    let (_browser, result) = app.connected().await;
    let operator = app.operator().await;
    app.faults(hasty(json!({ "redeliver_status": 500 }))).await;
    missed(&app, 4).await;
    until("all are queued", async || queued(&app).await == 4).await;
    app.clock.advance(Duration::hours(2));
    panel_says(&operator, &result, "no clear answer").await;
    app.clock.advance(Duration::minutes(2));
    until("all were read back", async || stored(&app).await == (4, 4, 4)).await;
    assert!(panel(&operator, &result).await.contains("4 waiting upstream"), "they are there all the same");
    app.faults(hasty(json!({}))).await;
    assert_eq!(click(&operator, &result).await, StatusCode::SEE_OTHER);
    until("all were sent again", async || stored(&app).await == (4, 0, 4)).await;
    app.clock.advance(Duration::minutes(2));
    panel_says(&operator, &result, "nothing was missing").await;
    assert_eq!(stored(&app).await, (4, 0, 4), "reading back again adds nothing");
    let timeline = operator.page(&format!("/admin{result}")).await.one("ol.timeline");
    assert!(timeline.contains("On an operator's wish, Gangway asked"), "{timeline}");
}

#[tokio::test(flavor = "multi_thread")]
async fn asking_that_does_not_help_is_done_ever_more_rarely() {
    let app = TestApp::start().await;
    let (_browser, result) = app.connected().await;
    let operator = app.operator().await;
    app.faults(hasty(json!({ "redeliver_deaf": true }))).await;
    missed(&app, 2).await;
    app.clock.advance(Duration::hours(2));
    panel_says(&operator, &result, "they are on their way").await;
    // A day, five minutes at a time: at once, after ten minutes, one hour, six hours.
    let started = app.clock.clone();
    for _ in 0..60 {
        started.advance(Duration::minutes(5));
        tokio::time::sleep(std::time::Duration::from_millis(120)).await;
    }
    until("a third time", async || asked(&app).await == 3).await;
    let said = panel(&operator, &result).await;
    assert!(said.contains("2 waiting upstream") && said.contains("times by now"), "{said}");
    assert_eq!(stored(&app).await, (2, 2, 2), "and nobody waits for it: they were read back");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reading_that_is_interrupted_goes_on_where_it_was() {
    let mut app = TestApp::start().await;
    let (_browser, result) = app.connected().await;
    let operator = app.operator().await;
    app.faults(hasty(json!({ "lose_queued": true, "small_pages": true, "events_slow_ms": 300 }))).await;
    missed(&app, 23).await;
    assert_eq!(click(&operator, &result).await, StatusCode::SEE_OTHER, "the operator asks");
    until("the first page", async || stored(&app).await.0 >= 5).await;
    app.stop().await;
    let (half, ..) = stored(&app).await;
    assert!(half < 23, "in the middle: {half}");
    app.start_again().await;
    until("the last page", async || stored(&app).await.0 == 23).await;
    let said = panel_says(&operator, &result, "23 events were missing, and are stored").await;
    assert!(said.contains("Read back"), "{said}");
    let pages = pages(&app).await;
    assert_eq!(pages, ["page 0", "page 5", "page 10", "page 15", "page 20"], "no page was read twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn events_of_another_instance_are_not_taken_over() {
    let app = TestApp::start().await;
    let (_browser, result) = app.connected().await;
    let other = app.browser();
    let callback = other.decide_as(&other.start().await, "allow", "1").await;
    let theirs = location(&other.get(&callback).await);
    let operator = app.operator().await;
    app.faults(hasty(json!({ "lose_queued": true, "events_mixed": true }))).await;
    missed(&app, 2).await;
    let contact = json!({ "email": "ines@reader.example", "list_id": "b7e51c90aa" });
    plain().post(format!("{}/_sim/contacts", app.simulator)).json(&contact).send().await.unwrap();
    for one in [&result, &theirs] {
        click(&operator, one).await;
        panel_says(&operator, one, "missing, and").await;
    }
    let query = "SELECT instance, count(*) FROM notifications GROUP BY instance";
    let mut rows: Vec<(String, i64)> = sqlx::query_as(query).fetch_all(&app.database().await).await.unwrap();
    rows.sort_by_key(|(_, count)| *count);
    // The default audience is that of the account that connected last.
    assert_eq!(rows, [(id_of(&result).to_owned(), 1), (id_of(&theirs).to_owned(), 2)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_that_is_paused_or_gone_is_not_looked_at() {
    let app = TestApp::start().await;
    let operator = app.operator().await;
    let (_browser, _paused) = app.connected().await;
    let (browser, gone) = app.connected().await;
    missed(&app, 1).await;
    until("it is queued", async || queued(&app).await > 0).await;
    browser.form(&format!("{gone}/disconnect"), &[]).await;
    sqlx::query("UPDATE instances SET state = 'paused' WHERE state = 'connected'")
        .execute(&app.database().await)
        .await
        .unwrap();
    app.clock.advance(Duration::hours(2));
    let (now, database) = (gangway::clock::to_milliseconds(app.clock.now()), app.database().await);
    let put_off = "SELECT count(*) FROM missed_events WHERE next_look_at > $1";
    until("its turn came", async || {
        sqlx::query_scalar::<_, i64>(put_off).bind(now).fetch_one(&database).await.unwrap() == 1
    })
    .await;
    assert_eq!((asked(&app).await, pages(&app).await), (0, Vec::new()));
    assert_eq!(stored(&app).await.0, 0);
    let page = operator.page(&format!("/admin{gone}")).await;
    assert!(page.all("section[aria-labelledby=missed-events]").is_empty());
    assert_eq!(click(&operator, &gone).await, StatusCode::CONFLICT);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_button_is_the_operators_alone_and_of_our_own_pages() {
    let app = TestApp::start().await;
    let (browser, result) = app.connected().await;
    let operator = app.operator().await;
    let target = format!("/admin{result}/missed-events");
    let page: Page = operator.page(&format!("/admin{result}")).await;
    assert!(page.attributes("form", "action").contains(&target), "a form, so it works without a script");
    assert_ne!(
        location_of(&browser, &target).await,
        format!("/admin{result}"),
        "a customer is sent to sign in"
    );
    let request = plain().post(format!("{}{target}", app.origin)).header("Origin", "https://evil.example");
    let answer = request.header("Cookie", operator.cookie().unwrap()).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::FORBIDDEN);
    assert_eq!(asked(&app).await, 0);
    assert_eq!(click(&operator, &result).await, StatusCode::SEE_OTHER);
    let said = panel(&operator, &result).await;
    assert!(said.contains("Waiting upstream nothing") && said.contains("nothing was missing"), "{said}");
    assert_eq!(asked(&app).await, 0, "where nothing waits, nothing is asked for");
}

async fn location_of(browser: &Browser, target: &str) -> String {
    let answer = browser.form(target, &[]).await;
    answer.headers().get("location").map(|to| to.to_str().unwrap().to_owned()).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_on_one_postgres_ask_once() {
    let Some(url) = crate::postgres::database("missed").await else { return };
    let one = TestApp::with(|config| config.database_url = url).await;
    let surroundings = Surroundings { clock: one.clock.clone(), ..Surroundings::default() };
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let app = App::build_on(listener, one.config.clone(), surroundings).await.unwrap();
    let stop = CancellationToken::new();
    let running = tokio::spawn(app.run(stop.clone()));
    let (browser, result) = one.connected().await;
    one.faults(hasty(json!({ "redeliver_deaf": true }))).await;
    missed(&one, 3).await;
    until("all are queued", async || queued(&one).await == 3).await;
    one.clock.advance(Duration::hours(2));
    until("they were asked for", async || asked(&one).await == 1).await;
    for _ in 0..8 {
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
        one.clock.advance(Duration::seconds(30));
    }
    assert_eq!(asked(&one).await, 1);
    browser.wait_for(&result, "First event received").await;
    assert_eq!(pages(&one).await, ["page 0"], "nor do both read");
    stop.cancel();
    running.await.unwrap().unwrap();
}
