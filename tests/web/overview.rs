//! The overview: what needs somebody first, how many stand how, and how the way to the first event went.

use reqwest::StatusCode;
use serde_json::json;
use time::Duration;

use crate::app::{Browser, TestApp};

/// Stage, count and times, as the table says.
async fn funnel(operator: &Browser, span: &str) -> Vec<String> {
    let page = operator.page(&format!("/admin?span={span}")).await;
    assert_eq!(page.status, StatusCode::OK);
    page.all("section[aria-labelledby=funnel] tbody tr")
}

#[tokio::test(flavor = "multi_thread")]
async fn with_nobody_connected_it_says_how_to_begin() {
    let app = TestApp::start().await;
    let operator = app.operator().await;
    let page = operator.page("/admin").await;
    let help = page.one("section.empty");
    assert!(
        help.contains(&app.origin) && help.contains("invite one by name") && help.contains("gangway demo")
    );
    assert!(page.one("section[aria-labelledby=health]").contains("answers"));
    assert!(page.text.len() < 60 * 1024);
    assert_eq!(operator.get("/admin?span=year").await.status(), StatusCode::BAD_REQUEST);
}

#[tokio::test(flavor = "multi_thread")]
async fn it_counts_the_way_from_the_first_click_to_the_first_event() {
    let app = TestApp::start().await;
    let operator = app.operator().await;
    app.browser().start().await;
    let denying = app.browser();
    let callback = denying.decide(&denying.start().await, "cancel").await;
    denying.get(&callback).await;
    let customer = app.browser();
    let authorize_url = customer.start().await;
    app.clock.advance(Duration::seconds(42));
    let callback = customer.decide(&authorize_url, "allow").await;
    let result = crate::app::location(&customer.get(&callback).await);
    customer.wait_for(&result, "MailChimp is connected").await;
    app.clock.advance(Duration::minutes(5));
    app.add_contact("mira@reader.example").await;
    customer.wait_for(&result, "First event received").await;
    let rows = funnel(&operator, "day").await;
    assert!(rows[0].starts_with("started 3"), "{rows:?}");
    assert!(rows[1].starts_with("denied 1"), "{rows:?}");
    assert!(rows[2].starts_with("approved 1 42 s 42 s"), "{rows:?}");
    assert!(rows[3].starts_with("connected 1 0."), "{rows:?}");
    assert!(rows[4].starts_with("first event 1 5 min 5 min"), "{rows:?}");
    // Approving again is no second way.
    let again = crate::care::approve_again(&customer, &format!("{result}/reconnect"), "0").await;
    customer.wait_for(&again, "MailChimp is connected").await;
    assert!(funnel(&operator, "day").await[2].starts_with("approved 1"));
    app.clock.advance(Duration::days(8));
    let app_rows = operator.form("/admin/sign-in", &[("password", "a long enough password")]).await;
    assert_eq!(app_rows.status(), StatusCode::SEE_OTHER);
    assert!(funnel(&operator, "week").await[2].starts_with("approved 0"));
    assert!(funnel(&operator, "month").await[2].starts_with("approved 1"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_needs_somebody_comes_first_with_its_reason() {
    let app = TestApp::start().await;
    let operator = app.operator().await;
    let (_customer, result) = app.connected().await;
    app.revoke().await;
    crate::care::check(&operator, crate::care::id_of(&result)).await;
    let page = operator.page("/admin").await;
    let row = page.one("section[aria-labelledby=attention] tbody tr");
    assert!(
        row.contains("needs attention") && row.contains("MailChimp no longer lets this instance in"),
        "{row}"
    );
    assert_eq!(page.attributes("section[aria-labelledby=attention] a", "href"), [format!("/admin{result}")]);
    assert!(page.one("section[aria-labelledby=states]").contains("needs attention"));
    app.faults(json!({ "bad_signature": true })).await;
    app.add_contact("forged@reader.example").await;
    for _ in 0..200 {
        if operator.page("/admin").await.text.contains("refused in the last hour") {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(25)).await;
    }
    panic!("what was refused is not told");
}

#[tokio::test(flavor = "multi_thread")]
async fn starts_outlive_a_restart_though_each_costs_no_write() {
    let mut app = TestApp::start().await;
    let operator = app.operator().await;
    for _ in 0..5 {
        app.browser().start().await;
    }
    let written: i64 = sqlx::query_scalar("SELECT count(*) FROM start_counts")
        .fetch_one(&app.database().await)
        .await
        .unwrap();
    assert_eq!(written, 0, "counted in memory");
    app.stop().await;
    app.start_again().await;
    assert!(funnel(&operator, "day").await[0].starts_with("started 5"));
}
