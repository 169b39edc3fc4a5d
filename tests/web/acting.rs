//! What the operator does about one instance in the console: pause, resume, rename, tag; and the one timeline on
//! which everything stands, where any reference number leads.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::app::{Browser, Page, TestApp, location};
use crate::care::{id_of, state, upstream};
use crate::events::Connected;

const ENABLED: &str = "event.notification.enabled";

/// An operator and the console's page of an instance that is connected.
async fn console(app: &TestApp) -> (Browser, String) {
    let (_, result) = app.connected().await;
    (app.operator().await, format!("/admin{result}"))
}

/// Whether Cloud Elements sends events of the first instance.
async fn sends(app: &TestApp) -> bool {
    let enabled = app.ledger().await["instances"][0]["configuration"][ENABLED].clone();
    enabled == json!(true) || enabled == json!("true")
}

async fn act(operator: &Browser, page: &str, verb: &str, form: &[(&str, &str)]) -> Page {
    let answer = operator.form(&format!("{page}/{verb}"), form).await;
    let status = answer.status();
    if status == StatusCode::SEE_OTHER {
        return operator.page(&location(&answer)).await;
    }
    Page { status, text: answer.text().await.unwrap() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_changes_nothing_and_the_page_says_what_upstream_said() {
    let app = TestApp::start().await;
    let (operator, page) = console(&app).await;
    app.faults(json!({ "change_status": 403 })).await;
    let refused = act(&operator, &page, "pause", &[]).await;
    assert_eq!(refused.status, StatusCode::BAD_GATEWAY);
    assert!(refused.one("main").contains("403: It cannot be changed now"), "{}", refused.one("main"));
    assert_eq!(refused.attributes("main a.button", "href"), [page.as_str()], "the way back");
    assert!(sends(&app).await);
    let now = operator.page(&page).await;
    assert_eq!(state(&now), "connected");
    let timeline = now.one("ol.timeline");
    assert!(timeline.contains("Events were not paused") && timeline.contains("Asked for by the operator"));
    assert!(timeline.contains("PATCH /instances/"), "{timeline}");
    assert!(timeline.contains("answered 403 in "), "{timeline}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_lost_or_means_nothing_is_looked_up() {
    let app = TestApp::start().await;
    let (operator, page) = console(&app).await;
    app.faults(json!({ "change_lost": true })).await;
    assert_eq!(state(&act(&operator, &page, "pause", &[]).await), "paused", "it was done all the same");
    assert!(!sends(&app).await);
    app.faults(json!({ "change_garbage": true })).await;
    let unclear = act(&operator, &page, "resume", &[]).await;
    assert_eq!(unclear.status, StatusCode::BAD_GATEWAY);
    assert!(unclear.one("main").contains("no clear answer"), "{}", unclear.one("main"));
    assert_eq!(state(&operator.page(&page).await), "paused", "what is not certain is not said");
    app.faults(json!({ "gateway_down": true })).await;
    assert_eq!(act(&operator, &page, "resume", &[]).await.status, StatusCode::BAD_GATEWAY);
    app.faults(json!({})).await;
    assert_eq!(state(&act(&operator, &page, "resume", &[]).await), "connected");
    assert!(sends(&app).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_paused_gets_no_events_until_it_is_resumed_and_stores_what_comes_all_the_same() {
    let one = Connected::new().await;
    let (app, operator) = (&one.app, one.app.operator().await);
    let page = format!("/admin/instances/{}", one.id);
    let paused = act(&operator, &page, "pause", &[]).await;
    assert_eq!((state(&paused).as_str(), paused.fact("Events").as_str()), ("paused", "off"));
    assert!(!paused.attributes("form", "action").contains(&format!("{page}/pause")));
    assert_eq!(one.browser.headline(&one.page).await, "Events are off");
    let late = one.send(r#"{"id":"late","message":{"events":[]}}"#).await;
    assert_eq!(late.status(), StatusCode::OK);
    assert_ne!(operator.page(&page).await.fact("First event"), "not yet", "it is stored");
    let resumed = act(&operator, &page, "resume", &[]).await;
    assert_eq!((state(&resumed).as_str(), resumed.fact("Events").as_str()), ("connected", "on"));
    app.add_contact("mira@reader.example").await;
    one.browser.wait_for(&one.page, "First event received").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tabs_at_once_end_with_the_same_here_and_there() {
    let app = TestApp::start().await;
    let (operator, page) = console(&app).await;
    app.faults(json!({ "change_slow_ms": 50 })).await;
    for _ in 0..3 {
        let acts = (0..6).map(|number| {
            let verb = if number % 2 == 0 { "pause" } else { "resume" };
            act(&operator, &page, verb, &[])
        });
        futures_util::future::join_all(acts).await;
        let now = operator.page(&page).await;
        assert_eq!(state(&now) == "connected", sends(&app).await, "{}", state(&now));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_fit_the_state_is_told_to_the_operator() {
    let app = TestApp::start().await;
    let (operator, page) = console(&app).await;
    act(&operator, &page, "disconnect", &[("name", &operator.headline(&page).await)]).await;
    for verb in ["pause", "resume", "check"] {
        let refused = act(&operator, &page, verb, &[]).await;
        assert_eq!(refused.status, StatusCode::CONFLICT);
        assert!(refused.one("main").contains("The instance is disconnected"), "{}", refused.one("main"));
        assert!(!refused.text.contains("Connect MailChimp"), "nothing for customers");
        assert_eq!(refused.all("nav[aria-label=Console]").len(), 1);
    }
    let missing = "/admin/instances/01a20a99-a8ce-7563-ba33-fbd382988f52";
    assert_eq!(act(&operator, missing, "pause", &[]).await.status, StatusCode::NOT_FOUND);
    let stranger = app.browser();
    for verb in ["pause", "resume", "name", "tags"] {
        let answer = stranger.form(&format!("{page}/{verb}"), &[("name", "x"), ("tags", "x")]).await;
        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED, "{verb}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_on_though_paused_is_found_by_the_comparison_and_put_right() {
    let app = TestApp::start().await;
    let (operator, page) = console(&app).await;
    let number = act(&operator, &page, "pause", &[]).await.fact("Element instance");
    let on = json!({ "configuration": { ENABLED: "true" }, "tags": [] });
    upstream(&app, Method::PATCH, &format!("/instances/{number}"), Some(on)).await;
    let told = operator.form("/admin/reconcile", &[]).await.text().await.unwrap();
    assert!(told.contains("events on"), "{told}");
    operator.form("/admin/reconcile", &[("apply", "true")]).await;
    assert!(!sends(&app).await, "switched off again, and not on");
    let ledger = app.ledger().await;
    let tags = ledger["instances"][0]["tags"].as_array().unwrap();
    assert!(tags.iter().any(|tag| tag.as_str().unwrap().starts_with("gangway-")), "tagged again");
    assert_eq!(state(&operator.page(&page).await), "paused");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_and_tags_are_the_same_here_and_there_and_others_tags_stay() {
    let app = TestApp::start().await;
    let (operator, page) = console(&app).await;
    let number = operator.page(&page).await.fact("Element instance");
    let (_, found) = upstream(&app, Method::GET, &format!("/instances/{number}"), None).await;
    let mut tags: Vec<Value> = found["tags"].as_array().unwrap().clone();
    tags.push(json!("somebody-elses"));
    upstream(&app, Method::PATCH, &format!("/instances/{number}"), Some(json!({ "tags": tags }))).await;
    let renamed = act(&operator, &page, "name", &[("name", "  Acme Ltd ")]).await;
    assert_eq!(renamed.one("h1"), "Acme Ltd");
    let tagged = act(&operator, &page, "tags", &[("tags", "eu, paying,, eu")]).await;
    assert_eq!(tagged.fact("Tags"), "eu paying");
    act(&operator, &page, "tags", &[("tags", "paying")]).await;
    let one = app.ledger().await["instances"][0].clone();
    assert_eq!(one["name"], json!("Acme Ltd"));
    let words: Vec<&str> = one["tags"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert!(words.contains(&"somebody-elses") && words.contains(&"paying") && words.contains(&"test"));
    assert!(!words.contains(&"eu"), "taken off there too: {words:?}");
    for (field, verb, wrong) in [
        ("name", "name", " "),
        ("name", "name", "a\nb"),
        ("tags", "tags", "gangway-x"),
        ("tags", "tags", "a\tb"),
    ] {
        let refused = act(&operator, &page, verb, &[(field, wrong)]).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{wrong:?}");
        assert!(refused.one("[role=alert]").contains("Nothing was changed"));
    }
    app.faults(json!({ "change_status": 500 })).await;
    let here = act(&operator, &page, "name", &[("name", "Here alone")]).await;
    assert_eq!(here.one("h1"), "Here alone", "our own name is ours to give");
    assert!(here.one("ol.timeline").contains("Cloud Elements was not told so"));
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_others_wrote_is_markup_on_the_page_and_no_secret_stands_there() {
    let one = Connected::new().await;
    let operator = one.app.operator().await;
    let page = format!("/admin/instances/{}", one.id);
    let markup = "<script>alert(1)</script>\"'><img src=x>";
    act(&operator, &page, "name", &[("name", markup)]).await;
    act(&operator, &page, "tags", &[("tags", markup)]).await;
    let database = one.app.database().await;
    for (column, value) in [("customer", markup), ("problem_detail", markup)] {
        let query = format!(
            "UPDATE instances SET {column} = ?, state = 'needs_attention', \
            problem_kind = 'not_valid', problem_since = 0"
        );
        sqlx::query(sqlx::AssertSqlSafe(query)).bind(value).execute(&database).await.unwrap();
    }
    for target in [page.clone(), format!("{page}/name"), format!("{page}/disconnect")] {
        let shown = operator.page(&target).await;
        assert_eq!(shown.status, StatusCode::OK, "{target}");
        assert!(!shown.text.contains("<script>alert") && !shown.text.contains("<img src=x"), "{target}");
        assert!(shown.text.contains("&lt;script&gt;") || shown.text.contains("&#60;script"), "{target}");
        for secret in [one.key.as_str(), crate::app::CLIENT_SECRET] {
            assert!(!shown.text.contains(secret), "{target}");
        }
        let token = one.app.ledger().await["instances"][0]["token"].as_str().unwrap_or("canary").to_owned();
        assert!(!shown.text.contains(&token), "{target}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reference_number_leads_to_its_line_however_it_is_read_out() {
    let app = TestApp::start().await;
    let (operator, page) = console(&app).await;
    let paused = act(&operator, &page, "pause", &[]).await;
    let links = paused.attributes("ol.timeline a", "href");
    let reference = links[0].rsplit('/').next().unwrap().to_owned();
    let heard = reference.to_lowercase().replace('-', " ");
    let asked = operator.get(&format!("/admin/references?reference={heard}")).await;
    assert_eq!(location(&asked), format!("/admin/references/{reference}"));
    let led = location(&operator.get(&location(&asked)).await);
    let (target, anchor) = led.split_once('#').unwrap();
    assert_eq!(target, page);
    assert_eq!(operator.page(target).await.all(&format!("li#{anchor}")).len(), 1);
    for (wrong, status) in
        [("0000-0000", StatusCode::NOT_FOUND), ("%3Cb%3E", StatusCode::UNPROCESSABLE_ENTITY)]
    {
        let answer = operator.page(&format!("/admin/references/{wrong}")).await;
        assert_eq!(answer.status, status);
        assert!(!answer.text.contains("<b>") && answer.all("form[action='/admin/references']").len() == 1);
    }
    assert_eq!(operator.page("/admin/references").await.status, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_timeline_comes_in_parts_and_every_part_is_small() {
    let app = TestApp::start().await;
    let (operator, page) = console(&app).await;
    let id = id_of(&page);
    let database = app.database().await;
    for number in 0..250 {
        let query =
            "INSERT INTO timeline (instance, at, kind, summary, reference) VALUES (?, 0, 'checked', ?, ?)";
        let reference = format!("1111-{number:04}");
        sqlx::query(query)
            .bind(id)
            .bind("A long line ".repeat(20))
            .bind(reference)
            .execute(&database)
            .await
            .unwrap();
    }
    let (mut seen, mut target) = (0, page.clone());
    loop {
        let part = operator.page(&target).await;
        assert!(part.text.len() < 60 * 1024, "{}", part.text.len());
        seen += part.all("ol.timeline > li").len();
        match part.attributes("section a.button", "href").into_iter().find(|link| link.contains("before=")) {
            Some(next) => target = next,
            None => break,
        }
    }
    assert!(seen >= 252, "{seen}");
    let led = location(&operator.get("/admin/references/1111-0003").await);
    assert!(led.contains("?before="), "an old line stands on a part of its own: {led}");
    let (part, anchor) = led.split_once('#').unwrap();
    assert_eq!(operator.page(part).await.all(&format!("li#{anchor}")).len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn checks_that_find_nothing_new_leave_no_lines_and_those_asked_for_tell_the_calls() {
    let app = TestApp::start().await;
    let (operator, page) = console(&app).await;
    let shown = operator.page(&page).await;
    assert!(shown.one("ol.timeline").contains("POST /instances answered 200 in "));
    assert!(!shown.text.contains("Trouble since"), "there is none");
    let database = &app.database().await;
    let number = |query: &'static str| async move {
        sqlx::query_scalar::<_, Option<i64>>(query).fetch_one(database).await.unwrap()
    };
    let before = number("SELECT count(*) FROM timeline").await;
    for _ in 0..3 {
        let last = number("SELECT last_checked_at FROM instances").await;
        app.clock.advance(time::Duration::minutes(27 * 60));
        for _ in 0..400 {
            if number("SELECT last_checked_at FROM instances").await != last {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        assert_ne!(number("SELECT last_checked_at FROM instances").await, last);
    }
    assert_eq!(number("SELECT count(*) FROM timeline").await, before);
    let app = TestApp::start().await;
    let (operator, page) = console(&app).await;
    let asked = act(&operator, &page, "check", &[]).await;
    assert!(asked.one("ol.timeline").contains("GET /ping answered 200 in "), "{}", asked.one("ol.timeline"));
}
