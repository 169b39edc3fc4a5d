//! Finding instances: the console's list, its exports, and the API's.

use reqwest::StatusCode;

use crate::app::{Browser, TestApp};

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
