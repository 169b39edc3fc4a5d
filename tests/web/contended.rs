//! Two things at once to one instance: an approval and a disconnect, two approvals, a check and an approval,
//! somebody with a link, another Gangway on the same account. None may undo, starve or swap the other.

use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::app::{Browser, Page, TestApp, location, parameter};
use crate::care::{check, id_of, state, upstream};

/// Approves again at Mailchimp, as the account of that number; answers the callback's address.
async fn approval(browser: &Browser, start: &str, account: &str) -> String {
    let answer = browser.form(start, &[]).await;
    assert_eq!(answer.status(), StatusCode::SEE_OTHER, "{:?}", answer.text().await);
    browser.decide_as(&location(&answer), "allow", account).await
}

async fn open_work(app: &TestApp) -> i64 {
    let count = "SELECT count(*) FROM open_work";
    sqlx::query_scalar(count).fetch_one(&app.database().await).await.unwrap()
}

async fn codes_kept(app: &TestApp) -> i64 {
    let count = "SELECT count(*) FROM authorization_requests WHERE code IS NOT NULL";
    sqlx::query_scalar(count).fetch_one(&app.database().await).await.unwrap()
}

/// The page behind a link that the operator made.
async fn link(app: &TestApp, operator: &Browser, result: &str) -> String {
    let answer = operator.form(&format!("/admin{result}/reconnect-link"), &[]).await;
    let page = Page { status: answer.status(), text: answer.text().await.unwrap() };
    page.one("#link").trim_start_matches(&app.origin).to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disconnect_ends_an_approval_that_is_still_open() {
    let app = TestApp::start().await;
    let (browser, result) = app.connected().await;
    let callback = approval(&browser, &format!("{result}/reconnect"), "0").await;
    app.faults(json!({ "gateway_down": true })).await;
    assert_eq!(location(&browser.get(&callback).await), result);
    assert_eq!(open_work(&app).await, 1, "what became of it is not known");
    browser.form(&format!("{result}/disconnect"), &[]).await;
    assert_eq!(browser.headline(&result).await, "Disconnecting…");
    app.faults(json!({})).await;
    app.wait_as_time_passes(&browser, &result, "Receipt").await;
    assert_eq!((open_work(&app).await, codes_kept(&app).await), (0, 0));
    assert_eq!(app.ledger().await["instances"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_approval_that_comes_back_after_the_disconnect_changes_nothing() {
    let app = TestApp::start().await;
    let (browser, result) = app.connected().await;
    let callback = approval(&browser, &format!("{result}/reconnect"), "0").await;
    browser.form(&format!("{result}/disconnect"), &[]).await;
    assert_eq!(browser.headline(&result).await, "Disconnected");
    assert_eq!(location(&browser.get(&callback).await), result);
    assert_eq!(browser.headline(&result).await, "Disconnected");
    assert_eq!((open_work(&app).await, codes_kept(&app).await), (0, 0), "no work, and no code is kept");
    assert_eq!(app.ledger().await["instances"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_approval_takes_the_place_of_one_without_an_answer() {
    let app = TestApp::start().await;
    let (browser, result) = app.connected().await;
    let operator = app.operator().await;
    app.revoke().await;
    check(&operator, id_of(&result)).await;
    let start = format!("{result}/reconnect");
    let callback = approval(&browser, &start, "0").await;
    app.faults(json!({ "gateway_down": true })).await;
    browser.get(&callback).await;
    assert_eq!(browser.headline(&result).await, "Finishing the connection…", "not told to approve again yet");
    app.faults(json!({})).await;
    let callback = approval(&browser, &start, "0").await;
    browser.get(&callback).await;
    browser.wait_for(&result, "MailChimp is connected").await;
    assert_eq!(open_work(&app).await, 0);
    let answer = app.ledger().await;
    assert_eq!(answer["instances"].as_array().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_approval_without_an_answer_is_not_called_off_at_once() {
    let app = TestApp::start().await;
    let (browser, result) = app.connected().await;
    let operator = app.operator().await;
    app.revoke().await;
    check(&operator, id_of(&result)).await;
    let callback = approval(&browser, &format!("{result}/reconnect"), "0").await;
    app.faults(json!({ "gateway_down": true })).await;
    browser.get(&callback).await;
    app.faults(json!({})).await;
    let page = check(&operator, id_of(&result)).await;
    assert!(page.one("ol.timeline").contains("a new approval is being worked on"), "a check leaves it alone");
    app.wait_as_time_passes(&browser, &result, "MailChimp needs your approval again").await;
    assert_eq!(open_work(&app).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_and_a_made_up_code_give_nobody_the_page() {
    let app = TestApp::start().await;
    let (browser, result) = app.connected().await;
    let operator = app.operator().await;
    let link = link(&app, &operator, &result).await;
    let stranger = app.browser();
    let authorize = location(&stranger.form(&link, &[]).await);
    let state = parameter(&authorize, "state");
    let answer = stranger.get(&format!("/oauth/callback?code=made-up&state={state}")).await;
    let told = location(&answer);
    assert!(told.starts_with("/authorization-requests/"), "{told}");
    assert_eq!(stranger.headline(&told).await, "MailChimp is connected again", "it worked before, and does");
    assert_eq!(stranger.get(&result).await.status(), StatusCode::NOT_FOUND);
    for act in ["disconnect", "keep-account", "reconnect"] {
        let answer = stranger.form(&format!("{result}/{act}"), &[]).await;
        assert_eq!(answer.status(), StatusCode::NOT_FOUND, "{act}");
    }
    assert_eq!(browser.headline(&result).await, "MailChimp is connected", "its own browser keeps it");
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_opens_a_link_elsewhere_and_cancels_is_told_so() {
    let app = TestApp::start().await;
    let (_browser, result) = app.connected().await;
    let operator = app.operator().await;
    let link = link(&app, &operator, &result).await;
    let other = app.browser();
    let callback = other.decide(&location(&other.form(&link, &[]).await), "cancel").await;
    let told = location(&other.get(&callback).await);
    assert_eq!(other.headline(&told).await, "You chose not to connect");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_link_is_made_for_what_cannot_be_renewed() {
    let app = TestApp::start().await;
    let (browser, result) = app.connected().await;
    let operator = app.operator().await;
    browser.form(&format!("{result}/disconnect"), &[]).await;
    let answer = operator.form(&format!("/admin{result}/reconnect-link"), &[]).await;
    assert_eq!(answer.status(), StatusCode::CONFLICT);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_used_by_another_account_asks_the_browser_that_made_the_connection() {
    let app = TestApp::start().await;
    let (browser, result) = app.connected().await;
    let operator = app.operator().await;
    let link = link(&app, &operator, &result).await;
    let other = app.browser();
    let callback = approval(&other, &link, "1").await;
    let told = location(&other.get(&callback).await);
    assert_eq!(other.headline(&told).await, "This is another MailChimp account", "nobody had looked before");
    assert_eq!(other.get(&result).await.status(), StatusCode::NOT_FOUND);
    assert_eq!(browser.headline(&result).await, "This is another MailChimp account");
    let page = check(&operator, id_of(&result)).await;
    assert_eq!(state(&page), "needs attention", "a check does not answer the question");
    app.revoke().await;
    check(&operator, id_of(&result)).await;
    assert_eq!(
        browser.headline(&result).await,
        "This is another MailChimp account",
        "nor does other trouble"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_notices_an_account_that_was_swapped_elsewhere() {
    let app = TestApp::start().await;
    let (browser, result) = app.connected().await;
    let operator = app.operator().await;
    check(&operator, id_of(&result)).await;
    sqlx::query("UPDATE instances SET audiences = '[\"0000000000\"]'")
        .execute(&app.database().await)
        .await
        .unwrap();
    assert_eq!(state(&check(&operator, id_of(&result)).await), "needs attention");
    assert_eq!(browser.headline(&result).await, "This is another MailChimp account");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_gangway_on_the_same_account_is_left_alone() {
    let app = TestApp::start().await;
    let operator = app.operator().await;
    let (_browser, result) = app.connected().await;
    let id = operator.page(&format!("/admin{result}")).await.fact("Element instance");
    // As production's instance looks to staging: our kind of tag, another address, no row.
    let theirs = "https://production.example/events/01a20a99-a8ce-7563-ba33-fbd382988f52";
    let body = json!({ "tags": ["gangway-01a20a99-a8ce-7563-ba33-fbd382988f52"],
        "configuration": { "event.notification.callback.url": theirs } });
    let (status, _) = upstream(&app, Method::PATCH, &format!("/instances/{id}"), Some(body)).await;
    assert_eq!(status, StatusCode::OK);
    for statement in ["DELETE FROM instances", "DELETE FROM timeline"] {
        sqlx::query(statement).execute(&app.database().await).await.unwrap();
    }
    let before = app.ledger().await["instances"].clone();
    let form = [("apply", "true"), ("delete", "true")];
    assert_eq!(crate::care::compared(&operator, &form).await, []);
    assert_eq!(app.ledger().await["instances"], before);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_the_number_of_an_instance_and_is_not_it_is_not_deleted() {
    let app = TestApp::start().await;
    let (browser, result) = app.connected().await;
    let operator = app.operator().await;
    let id = operator.page(&format!("/admin{result}")).await.fact("Element instance");
    // As an instance of another account looks, after the settings were changed.
    let body = json!({ "tags": ["theirs"],
        "configuration": { "event.notification.callback.url": "https://elsewhere.example/hook" } });
    upstream(&app, Method::PATCH, &format!("/instances/{id}"), Some(body)).await;
    browser.form(&format!("{result}/disconnect"), &[]).await;
    let receipt = browser.page(&result).await;
    assert!(receipt.one("ol.receipt").contains("was left alone"), "{}", receipt.one("ol.receipt"));
    assert_eq!(app.ledger().await["instances"].as_array().unwrap().len(), 1);
}
