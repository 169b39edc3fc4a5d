//! Audience webhooks: picked, made once, shown, removed in the end; and told plainly where it is refused.

use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::app::{Browser, Page, TestApp, location, plain};

const NEWSLETTER: &str = "b7e51c90aa";
const EVENTS: &str = "c19d20f4e2";

/// The webhooks of the simulated account: audience and address.
async fn webhooks(app: &TestApp) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let ledger = app.ledger().await;
    ledger["webhooks"].as_array().unwrap().iter().map(|one| (text(&one["list"]), text(&one["url"]))).collect()
}

/// Sends the form; answers the page that it leads to, with the status of the first answer.
async fn pick(browser: &Browser, page: &str, audiences: &[&str]) -> Page {
    let form: Vec<_> = audiences.iter().map(|audience| ("audience", *audience)).collect();
    let answer = browser.form(page, &form).await;
    let status = answer.status();
    if status == StatusCode::SEE_OTHER {
        return Page { status, ..browser.page(&location(&answer)).await };
    }
    Page { status, text: answer.text().await.unwrap() }
}

fn address(app: &TestApp) -> String {
    format!("{}/elements/api-v2/events/mailchimpv3", app.simulator)
}

#[tokio::test(flavor = "multi_thread")]
async fn one_picked_is_made_once_and_leads_to_the_first_event() {
    let app = TestApp::start().await;
    let (browser, result) = app.connected().await;
    app.faults(json!({ "no_own_webhook": true })).await;
    let link = browser.page(&result).await.attributes("section.proof .go a", "href").remove(0);
    assert_eq!(link, format!("{result}/audiences"));
    let page = browser.page(&link).await;
    assert_eq!(page.attributes("input[name=audience]", "value"), [NEWSLETTER, EVENTS]);
    assert_eq!(page.all("fieldset label"), ["Newsletter", "Events"]);
    assert_eq!(page.one("title"), "Audiences that report changes · 127.0.0.1");
    assert_eq!(page.attributes("main form", "action").first(), Some(&link));
    assert_eq!(page.one("#webhook"), address(&app));

    let page = pick(&browser, &link, &[NEWSLETTER]).await;
    assert_eq!(page.status, StatusCode::SEE_OTHER);
    assert_eq!(page.all("section.reporting li"), ["Newsletter"]);
    assert_eq!(page.attributes("input[name=audience]", "value"), [EVENTS]);
    assert_eq!(webhooks(&app).await, [(NEWSLETTER.to_owned(), address(&app))]);
    let sources = &app.ledger().await["webhooks"][0]["sources"];
    assert_eq!(*sources, json!({ "user": true, "admin": true, "api": false }), "write-backs do not loop");
    assert_eq!(browser.page(&result).await.all("section.proof .names li"), ["Newsletter"]);

    app.add_contact("mira@reader.example").await;
    browser.wait_for(&result, "First event received").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn none_picked_changes_nothing_and_says_so() {
    let app = TestApp::start().await;
    let (browser, result) = app.connected().await;
    let page = pick(&browser, &format!("{result}/audiences"), &[]).await;
    assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(page.one("[role=alert]").contains("Pick at least one"));
    let page = pick(&browser, &format!("{result}/audiences"), &["no-such", "../..", ""]).await;
    assert_eq!(page.status, StatusCode::SEE_OTHER);
    assert_eq!(webhooks(&app).await, [], "only what the account has is asked for");
}

#[tokio::test(flavor = "multi_thread")]
async fn all_picked_twice_at_once_in_several_tabs_make_one_webhook_each() {
    let app = TestApp::start().await;
    let (browser, result) = app.connected().await;
    let operator = app.operator().await;
    let (mine, theirs) = (format!("{result}/audiences"), format!("/admin{result}/audiences"));
    app.faults(json!({ "hub_slow_ms": 50 })).await;
    let clicks = (0..6).map(|number| {
        let (who, page) = if number % 2 == 0 { (&browser, &mine) } else { (&operator, &theirs) };
        pick(who, page, &[NEWSLETTER, EVENTS])
    });
    for page in futures_util::future::join_all(clicks).await {
        assert_eq!(page.status, StatusCode::SEE_OTHER);
    }
    app.faults(json!({})).await;
    assert_eq!(webhooks(&app).await.len(), 2);
    assert_eq!(browser.page(&mine).await.all("section.reporting li"), ["Newsletter", "Events"]);
    assert_eq!(pick(&browser, &mine, &[NEWSLETTER, EVENTS]).await.status, StatusCode::SEE_OTHER, "a reload");
    assert_eq!(webhooks(&app).await.len(), 2);
    let timeline = operator.page(&format!("/admin{result}")).await.all("ol.timeline li");
    let made: Vec<_> = timeline.iter().filter(|line| line.contains("was made")).collect();
    assert_eq!(made.len(), 2, "{timeline:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_explains_the_manual_way_and_can_be_tried_again() {
    let app = TestApp::start().await;
    let (browser, result) = app.connected().await;
    app.faults(json!({ "viewer": true })).await;
    let audiences = format!("{result}/audiences");
    let page = pick(&browser, &audiences, &[EVENTS]).await;
    assert_eq!(page.status, StatusCode::BAD_GATEWAY);
    assert!(page.one("[role=alert]").contains("did not let us set up: Events"));
    assert_eq!(page.one("section.proof #webhook"), address(&app), "what to copy, in the open");
    assert_eq!(page.attributes("input[name=audience]", "value"), [NEWSLETTER, EVENTS]);
    app.faults(json!({})).await;
    assert_eq!(pick(&browser, &audiences, &[EVENTS]).await.all("section.reporting li"), ["Events"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_without_audiences_says_what_to_do() {
    let app = TestApp::start().await;
    let (browser, result) = app.connected().await;
    app.faults(json!({ "no_audiences": true })).await;
    let page = browser.page(&format!("{result}/audiences")).await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(page.one("main").contains("no audience in this account yet"));
    assert_eq!(page.all("main form"), [] as [&str; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cloud_elements_that_is_down_or_slow_gives_a_clear_page_in_time() {
    let app = TestApp::with(|config| config.cloud_elements.timeout = Duration::from_secs(2)).await;
    let (browser, result) = app.connected().await;
    let audiences = format!("{result}/audiences");
    for faults in [json!({ "gateway_down": true }), json!({ "hub_slow_ms": 60_000 })] {
        app.faults(faults).await;
        for page in [browser.page(&audiences).await, pick(&browser, &audiences, &[EVENTS]).await] {
            assert_eq!(page.status, StatusCode::BAD_GATEWAY);
            assert!(page.one("[role=alert]").contains("cannot be read right now"));
            assert_eq!(page.one("section.proof #webhook"), address(&app));
        }
    }
    app.faults(json!({ "webhooks_down": true })).await;
    let page = pick(&browser, &audiences, &[EVENTS]).await;
    assert_eq!(page.status, StatusCode::SEE_OTHER);
    assert!(page.one("main").contains("Of these we do not know yet"), "{}", page.text);
    assert_eq!(webhooks(&app).await, [], "nothing is made where it is not known what there is");
    app.faults(json!({})).await;
    let page = browser.page(&audiences).await;
    assert_eq!(page.attributes("input[name=audience]", "value"), [NEWSLETTER, EVENTS]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_made_by_hand_counts_and_is_left_at_the_end() {
    let app = TestApp::start().await;
    let (browser, result) = app.connected().await;
    app.add_contact("mira@reader.example").await;
    assert_eq!(webhooks(&app).await, [(NEWSLETTER.to_owned(), address(&app))], "as a person would");
    let page = pick(&browser, &format!("{result}/audiences"), &[NEWSLETTER, EVENTS]).await;
    assert_eq!(page.all("section.reporting li"), ["Newsletter", "Events"]);
    assert_eq!(webhooks(&app).await.len(), 2);
    browser.form(&format!("{result}/disconnect"), &[]).await;
    let receipt = browser.page(&result).await.one("ol.receipt");
    assert!(receipt.contains(&format!("The webhook of audience {EVENTS} was removed.")), "{receipt}");
    assert!(!receipt.contains(NEWSLETTER));
    assert_eq!(webhooks(&app).await, [(NEWSLETTER.to_owned(), address(&app))]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removal_that_is_refused_is_told_and_does_not_hold_up_the_disconnect() {
    let app = TestApp::start().await;
    let (browser, result) = app.connected().await;
    pick(&browser, &format!("{result}/audiences"), &[NEWSLETTER, EVENTS]).await;
    app.faults(json!({ "viewer": true, "hostile_names": true })).await;
    browser.form(&format!("{result}/disconnect"), &[]).await;
    let page = browser.page(&result).await;
    assert_eq!(page.one("h1"), "Disconnected");
    assert!(page.one("ol.receipt").contains("did not let us remove the webhook of “Events”, “Newsletter”"));
    assert_eq!(app.ledger().await["instances"], json!([]));
    assert_eq!(webhooks(&app).await.len(), 2);
    let rows: i64 = sqlx::query_scalar("SELECT count(*) FROM audience_webhooks")
        .fetch_one(&app.database().await)
        .await
        .unwrap();
    assert_eq!(rows, 0, "names go with their rows");
    assert_eq!(browser.get(&format!("{result}/audiences")).await.status(), StatusCode::CONFLICT);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removal_is_tried_again_with_the_disconnect() {
    let app = TestApp::start().await;
    let (browser, result) = app.connected().await;
    pick(&browser, &format!("{result}/audiences"), &[EVENTS]).await;
    app.faults(json!({ "gateway_down": true })).await;
    browser.form(&format!("{result}/disconnect"), &[]).await;
    assert_eq!(browser.headline(&result).await, "Disconnecting…");
    assert_eq!(webhooks(&app).await.len(), 1);
    app.faults(json!({})).await;
    let page = app.wait_as_time_passes(&browser, &result, "Receipt").await;
    assert!(page.one("ol.receipt").contains(&format!("The webhook of audience {EVENTS} was removed.")));
    assert_eq!(webhooks(&app).await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_that_another_connection_uses_is_left_to_it() {
    let app = TestApp::start().await;
    let (one, first) = app.connected().await;
    let (other, second) = app.connected().await;
    pick(&one, &format!("{first}/audiences"), &[EVENTS]).await;
    let page = other.page(&format!("{second}/audiences")).await;
    assert_eq!(page.all("section.reporting li"), ["Events"], "one address serves every connection");
    one.form(&format!("{first}/disconnect"), &[]).await;
    assert!(one.page(&first).await.one("ol.receipt").contains("another connection of the same account"));
    assert_eq!(webhooks(&app).await.len(), 1);
    other.form(&format!("{second}/disconnect"), &[]).await;
    assert_eq!(webhooks(&app).await, [], "the last one takes it away");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_between_asking_and_knowing_forgets_no_webhook() {
    let app = TestApp::start().await;
    let (browser, result) = app.connected().await;
    let audiences = format!("{result}/audiences");
    pick(&browser, &audiences, &[EVENTS]).await;
    sqlx::query("UPDATE audience_webhooks SET origin = 'asked', webhook = NULL")
        .execute(&app.database().await)
        .await
        .unwrap();
    assert!(!browser.page(&result).await.text.contains("These audiences report"));
    assert_eq!(browser.page(&audiences).await.all("section.reporting li"), ["Events"]);
    browser.form(&format!("{result}/disconnect"), &[]).await;
    assert_eq!(webhooks(&app).await, [], "it was ours, and is removed");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_browser_finds_nothing_and_another_site_can_send_nothing() {
    let app = TestApp::start().await;
    let (browser, result) = app.connected().await;
    let (mine, theirs) = (format!("{result}/audiences"), format!("/admin{result}/audiences"));
    let other = app.browser();
    assert_eq!(other.get(&mine).await.status(), StatusCode::NOT_FOUND);
    assert_eq!(pick(&other, &mine, &[EVENTS]).await.status, StatusCode::NOT_FOUND);
    for who in [&other, &browser] {
        assert_eq!(who.get(&theirs).await.status(), StatusCode::SEE_OTHER, "to the sign-in");
        assert_eq!(who.form(&theirs, &[("audience", EVENTS)]).await.status(), StatusCode::UNAUTHORIZED);
    }
    let cross = plain().request(Method::POST, format!("{}{mine}", app.origin));
    let cross = cross.header("Cookie", browser.cookie().unwrap()).header("Origin", "https://evil.example");
    let answer = cross.form(&[("audience", EVENTS)]).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::FORBIDDEN);
    assert_eq!(webhooks(&app).await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn names_of_audiences_are_text_on_every_page() {
    let app = TestApp::start().await;
    let (browser, result) = app.connected().await;
    let operator = app.operator().await;
    app.faults(json!({ "hostile_names": true })).await;
    let name = "<script>alert(1)</script>\"'>&Events";
    pick(&browser, &format!("{result}/audiences"), &[EVENTS]).await;
    for (who, page, place) in [
        (&browser, format!("{result}/audiences"), "section.reporting li"),
        (&browser, result.clone(), "section.proof .names li"),
        (&operator, format!("/admin{result}/audiences"), "section.reporting li"),
    ] {
        let page = who.page(&page).await;
        assert_eq!(page.all(place), [name]);
        assert!(!page.text.contains("<script>alert"), "{}", page.text);
    }
    app.faults(json!({ "hostile_names": true, "viewer": true })).await;
    let page = pick(&browser, &format!("{result}/audiences"), &[NEWSLETTER]).await;
    assert!(page.one("[role=alert]").contains("<script>alert(1)</script>\"'>&Newsletter"));
    assert!(!page.text.contains("<script>alert"));
    browser.form(&format!("{result}/disconnect"), &[]).await;
    let receipt = browser.page(&result).await;
    assert!(receipt.one("ol.receipt").contains(name) && !receipt.text.contains("<script>alert"));
}
