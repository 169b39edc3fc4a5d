//! Finding instances: the console's list, its exports, and the API's.

use std::collections::HashSet;

use reqwest::StatusCode;
use serde_json::Value;

use crate::app::{Browser, TestApp, parameter};
use crate::program::Api;

/// Three connected instances, and the operator.
async fn three() -> (TestApp, Browser) {
    let app = TestApp::start().await;
    let operator = app.operator().await;
    for _ in 0..3 {
        app.connected().await;
    }
    (app, operator)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_a_filter_and_an_order_stand_in_the_address() {
    let (_app, operator) = three().await;
    let all = operator.page("/admin/instances").await;
    assert_eq!(all.all("tbody tr").len(), 3);
    assert!(all.text.contains("3 instances"));
    let id = all.attributes("tbody th a", "href")[0].rsplit('/').next().unwrap().to_owned();
    for (query, count) in [
        (format!("q={id}"), 1),
        ("q=%25".into(), 0),
        ("q=nobody".into(), 0),
        ("q=&tag=&events=&silent=&sort=&state=".into(), 3),
        ("events=on&sort=name".into(), 3),
        ("events=off".into(), 0),
        ("silent=yes".into(), 0),
        ("state=connected&sort=last_event".into(), 3),
    ] {
        let page = operator.page(&format!("/admin/instances?{query}")).await;
        assert_eq!(page.all("tbody tr").len(), count, "{query}");
    }
    for query in ["sort=x", "events=yes", "silent=no", "page=2", &format!("q={}", "x".repeat(10_240))] {
        let answer = operator.get(&format!("/admin/instances?{query}")).await;
        assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_holds_what_the_list_means_and_nobody_else_gets_it() {
    let (app, operator) = three().await;
    let database = app.database().await;
    sqlx::query("UPDATE instances SET name = '=cmd|'' /C calc''!A0'").execute(&database).await.unwrap();
    let csv = operator.get("/admin/instances.csv?state=connected").await;
    assert_eq!(csv.headers()["content-type"], "text/csv; charset=utf-8");
    let csv = csv.text().await.unwrap();
    assert_eq!(csv.matches("\r\n").count(), 4);
    assert_eq!(csv.matches(",'=cmd|").count(), 3);
    let json: serde_json::Value = operator.get("/admin/instances.json").await.json().await.unwrap();
    assert_eq!(json.as_array().unwrap().len(), 3);
    assert!(json[0]["events_enabled"].is_boolean());
    let none: serde_json::Value =
        operator.get("/admin/instances.json?state=failed").await.json().await.unwrap();
    assert_eq!(none, serde_json::json!([]));
    let stranger = app.browser().get("/admin/instances.csv").await;
    assert_ne!(stranger.status(), StatusCode::OK);
}

const SCRIPT: &str = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>";

/// More than an export reads at once, written straight into the tables, with the words of events alone: of ten one has
/// failed; one has a name that would be a formula and needs quotes, one each a name, customer and tag that would be a
/// script.
async fn many(app: &TestApp, rows: i64) {
    const MADE: &str = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $1) \
         INSERT INTO instances (id, name, customer, tags, element, reference, browser, signature_key, created_at, state, \
         element_instance_id, events_enabled, connected_at, problem_kind, problem_since, sort_name) \
         SELECT printf('01a20a99-a8ce-7563-8000-%012d', i), \
         CASE i WHEN 1 THEN '=1+\"a\",' || char(13, 10) || 'b' WHEN 2 THEN $2 ELSE 'Shop ' || i END, \
         CASE i WHEN 3 THEN $2 WHEN 4 THEN '@SUM(A1)' END, CASE i WHEN 5 THEN json_array($2) WHEN 6 THEN '[\"-1\",\"x\"]' ELSE '[]' END, \
         'mailchimpv3', '0000-0000', x'00', x'00', 1700000000000 + i, CASE i % 10 WHEN 0 THEN 'failed' ELSE 'connected' END, \
         CASE WHEN i % 10 > 0 THEN i END, CASE WHEN i % 10 > 0 THEN 1 END, CASE WHEN i % 10 > 0 THEN 1700000000000 END, \
         CASE i % 10 WHEN 0 THEN 'grant_refused' END, CASE i % 10 WHEN 0 THEN 1 END, 'shop ' || i FROM n";
    const LISTED: &str = "INSERT INTO instance_words (word, rank, instance, marks) \
         SELECT CASE state WHEN 'failed' THEN '!off' ELSE '!on' END, CASE state WHEN 'failed' THEN 7 ELSE 4 END, id, -1 FROM instances \
         WHERE id LIKE '01a20a99-a8ce-7563-8000-%'";
    let database = app.database().await;
    sqlx::query(MADE).bind(rows).bind(SCRIPT).execute(&database).await.unwrap();
    sqlx::query(LISTED).execute(&database).await.unwrap();
}

/// The records of a CSV file as RFC 4180 has them; anything else panics.
fn records(csv: &str) -> Vec<Vec<String>> {
    let (mut all, mut record, mut rest) = (Vec::new(), Vec::new(), csv);
    while !rest.is_empty() {
        let mut cell = String::new();
        if let Some(mut quoted) = rest.strip_prefix('"') {
            loop {
                let (part, after) = quoted.split_once('"').expect("a quote that closes");
                cell.push_str(part);
                rest = after;
                let Some(more) = after.strip_prefix('"') else { break };
                cell.push('"');
                quoted = more;
            }
        } else {
            let end = rest.find([',', '\r', '\n']).expect("an end of line");
            assert!(!rest[..end].contains('"'));
            rest[..end].clone_into(&mut cell);
            rest = &rest[end..];
        }
        record.push(cell);
        if let Some(after) = rest.strip_prefix(',') {
            rest = after;
        } else {
            rest = rest.strip_prefix("\r\n").expect("the end of a line");
            all.push(std::mem::take(&mut record));
        }
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_of_several_pages_is_one_document_in_which_nothing_runs() {
    let app = TestApp::start().await;
    let operator = app.operator().await;
    many(&app, 1_234).await;
    let csv = operator.get("/admin/instances.csv?sort=newest").await;
    assert!(csv.headers().get("content-length").is_none(), "it is written while it is sent");
    let records = records(&csv.text().await.unwrap());
    assert_eq!(records.len(), 1_235);
    let cells = records[0].len();
    let ids: HashSet<&String> = records[1..].iter().map(|record| &record[0]).collect();
    assert_eq!(ids.len(), 1_234, "each once");
    for record in &records {
        assert_eq!(record.len(), cells);
        assert!(
            record.iter().all(|cell| !cell.starts_with(['=', '+', '-', '@', '\t', '\r', '\n'])),
            "{record:?}"
        );
    }
    let of = |number: usize| &records[1_235 - number];
    assert_eq!(of(1)[2], "'=1+\"a\",\r\nb");
    assert_eq!(of(2)[2], SCRIPT);
    assert_eq!((of(4)[3].as_str(), of(6)[4].as_str()), ("'@SUM(A1)", "'-1, x"));
    let json: Vec<Value> = operator.get("/admin/instances.json?sort=newest").await.json().await.unwrap();
    let written: Vec<&str> = json.iter().map(|one| one["id"].as_str().unwrap()).collect();
    assert_eq!(written, records[1..].iter().map(|record| &record[0]).collect::<Vec<_>>());
    assert_eq!(json[1_233]["name"], "=1+\"a\",\r\nb");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_of_several_pages_holds_what_its_address_asks_for() {
    let app = TestApp::start().await;
    let operator = app.operator().await;
    many(&app, 6_000).await;
    for (query, count) in [
        ("state=failed", 600),
        ("state=connected&sort=name", 5_400),
        ("events=off", 600),
        ("events=on&state=failed", 0),
        ("tag=x", 0),
    ] {
        let csv = operator.get(&format!("/admin/instances.csv?{query}")).await.text().await.unwrap();
        assert_eq!(records(&csv).len(), count + 1, "{query}");
        let json = operator.get(&format!("/admin/instances.json?{query}")).await;
        assert_eq!(json.json::<Vec<Value>>().await.unwrap().len(), count, "{query}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_that_comes_late_in_the_order_is_on_the_first_page() {
    let app = TestApp::start().await;
    let operator = app.operator().await;
    many(&app, 60_000).await;
    for state in ["connected", "failed"] {
        let page = operator.page(&format!("/admin/instances?state={state}")).await;
        assert_eq!(page.all("tbody tr").len(), 50, "{state}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_of_another_question_or_none_is_a_clear_no_everywhere() {
    let api = Api::start().await;
    let app = &api.one.app;
    let operator = app.operator().await;
    many(app, 200).await;
    let page = operator.page("/admin/instances?state=connected").await;
    let next = page.attributes("a[rel=next]", "href").remove(0);
    assert_eq!(operator.page(&next).await.all("tbody tr").len(), 50);
    let cursor = parameter(&format!("{}{next}", app.origin), "after");
    let encoded = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let (signature, place) = cursor.split_once('.').unwrap();
    let garbage = [
        format!("x{cursor}"),
        format!("{cursor}x"),
        place.to_owned(),
        format!("{signature}.{}", place.replace("-8000-", "-8001-")),
        format!("{signature}.01a20a99-a8ce-7563-8000-000000000001.99999999999999999999999."),
        "%".to_owned(),
        "\0".to_owned(),
        "日本".to_owned(),
        ".".repeat(4_000),
    ];
    let foreign = ["state=failed", "state=connected&sort=name", "state=connected&q=shop", ""];
    let mut asked: Vec<String> =
        foreign.iter().map(|query| format!("{query}&after={}", encoded(&cursor))).collect();
    asked.extend(garbage.iter().map(|text| format!("state=connected&after={}", encoded(text))));
    for query in asked.iter().map(|query| query.trim_start_matches('&')) {
        for list in ["instances", "instances.csv", "instances.json"] {
            let answer = operator.get(&format!("/admin/{list}?{query}")).await;
            assert_eq!(answer.status(), StatusCode::BAD_REQUEST, "{list}?{query}");
        }
    }
    let part = api.get("/api/v1/instances?limit=2").await;
    let next = encoded(part.json["next"].as_str().unwrap());
    assert_eq!(api.get(&format!("/api/v1/instances?limit=3&cursor={next}")).await.items().len(), 3);
    for query in
        [format!("state=failed&cursor={next}"), format!("cursor={}", encoded(&cursor)), "cursor=%25".into()]
    {
        let answer = api.get(&format!("/api/v1/instances?{query}")).await;
        assert_eq!(answer.json["code"], "bad_parameter", "{query}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_a_customer_and_a_tag_that_are_scripts_run_nowhere() {
    let app = TestApp::start().await;
    let operator = app.operator().await;
    many(&app, 10).await;
    let page = operator.page("/admin/instances").await;
    assert_eq!(page.all("tbody tr").len(), 10);
    assert!(page.all("main script, img, [onerror]").is_empty() && !page.text.contains("<script>alert"));
    assert_eq!(page.all("tbody th a").iter().filter(|name| *name == SCRIPT).count(), 1);
    let asked: String = form_urlencoded::byte_serialize(SCRIPT.as_bytes()).collect();
    let page = operator.page(&format!("/admin/instances?q={asked}&tag={asked}")).await;
    assert!(page.all("main script, img, [onerror]").is_empty() && !page.text.contains("<script>alert"));
    assert_eq!(page.attributes("input#q", "value"), [SCRIPT]);
    for (file, kind) in [("instances.csv", "text/csv; charset=utf-8"), ("instances.json", "application/json")]
    {
        let answer = operator.get(&format!("/admin/{file}")).await;
        let header = |name: &str| answer.headers()[name].to_str().unwrap().to_owned();
        assert_eq!(header("content-type"), kind);
        assert_eq!(header("x-content-type-options"), "nosniff");
        assert_eq!(header("content-disposition"), format!("attachment; filename=\"{file}\""));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_is_shown_again_until_anything_is_written_and_to_nobody_who_may_not_see_it() {
    let app = TestApp::with(|config| config.limits.lists_kept = std::time::Duration::from_secs(3600)).await;
    let (_, result) = app.connected().await;
    let operator = app.operator().await;
    let name = async || operator.page("/admin/instances").await.one("tbody th a");
    let before = name().await;
    let database = app.database().await;
    sqlx::query("UPDATE instances SET name = 'Another'").execute(&database).await.unwrap();
    assert_eq!(name().await, before, "another process wrote that, a moment ago");
    assert_eq!(operator.page("/admin/instances?sort=newest").await.one("tbody th a"), "Another");
    operator.form(&format!("/admin{result}/name"), &[("name", "Mine")]).await;
    assert_eq!(name().await, "Mine", "what this one wrote is there at once");
    let stranger = app.browser().get("/admin/instances").await;
    assert_eq!(stranger.status(), StatusCode::SEE_OTHER);
    operator.form("/admin/sign-out", &[]).await;
    assert_eq!(operator.get("/admin/instances").await.status(), StatusCode::SEE_OTHER);
}
