//! What follows for as long as an instance lives: checks, approving again, comparing, taking down.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::app::{Browser, TestApp, location, plain};

pub fn id_of(result: &str) -> &str {
    result.rsplit('/').next().unwrap()
}

/// A call at the stand-in Cloud Elements with the account's secrets: somebody else's hand.
pub async fn upstream(app: &TestApp, method: Method, path: &str, body: Option<Value>) -> (StatusCode, Value) {
    use secrecy::ExposeSecret;
    let access = &app.config.cloud_elements;
    let credentials = format!(
        "User {}, Organization {}",
        access.user_secret.expose_secret(),
        access.organization_secret.expose_secret()
    );
    let request = plain().request(method, format!("{}/elements/api-v2{path}", app.simulator));
    let request = request.header("Authorization", credentials);
    let answer = match body {
        Some(body) => request.json(&body).send().await.unwrap(),
        None => request.send().await.unwrap(),
    };
    (answer.status(), answer.json().await.unwrap_or_default())
}

pub async fn check(operator: &Browser, id: &str) -> crate::app::Page {
    let answer = operator.form(&format!("/admin/instances/{id}/check"), &[]).await;
    assert_eq!(answer.status(), StatusCode::SEE_OTHER);
    operator.page(&location(&answer)).await
}

pub fn state(page: &crate::app::Page) -> String {
    page.one("main > p[role=status]").replace("State:", "").trim().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_tells_what_is_wrong_since_when_and_what_works_again() {
    let app = TestApp::start().await;
    let (browser, result) = app.connected().await;
    let operator = app.operator().await;
    let page = check(&operator, id_of(&result)).await;
    assert_eq!(state(&page), "connected");
    assert!(page.one("ol.timeline").contains("let this instance in"), "a check that was asked for is noted");
    let element_instance = page.fact("Element instance");
    for (path, kind) in [("enabled", "disabled at Cloud Elements"), ("", "no instance with this id")] {
        let target = format!("/instances/{element_instance}/{path}");
        let (status, _) = upstream(&app, Method::DELETE, target.trim_end_matches('/'), None).await;
        assert_eq!(status, StatusCode::OK);
        let page = check(&operator, id_of(&result)).await;
        assert_eq!(state(&page), "needs attention");
        assert!(page.one("p.note.bad").contains(kind), "{}", page.one("p.note.bad"));
        assert!(!page.fact("Trouble since").contains("not yet"));
        if path == "enabled" {
            assert_eq!(browser.headline(&result).await, "MailChimp needs your approval again");
            upstream(&app, Method::PUT, &format!("/instances/{element_instance}/enabled"), None).await;
            assert_eq!(state(&check(&operator, id_of(&result)).await), "connected");
            assert_eq!(browser.headline(&result).await, "MailChimp is connected");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cloud_elements_that_does_not_answer_says_nothing_about_an_instance() {
    let app = TestApp::start().await;
    let (_browser, result) = app.connected().await;
    let operator = app.operator().await;
    app.faults(json!({ "gateway_down": true })).await;
    let page = check(&operator, id_of(&result)).await;
    assert_eq!(state(&page), "connected");
    assert!(page.one("ol.timeline").contains("could not tell"));
}

#[tokio::test(flavor = "multi_thread")]
async fn checks_come_by_themselves_soon_and_then_once_a_day() {
    let app = TestApp::start().await;
    let (browser, result) = app.connected().await;
    app.clock.advance(time::Duration::minutes(2));
    let database = app.database().await;
    let audiences = async || -> Option<String> {
        sqlx::query_scalar("SELECT audiences FROM instances").fetch_one(&database).await.unwrap()
    };
    for _ in 0..400 {
        if audiences().await.is_some() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert_eq!(audiences().await.as_deref(), Some(r#"["b7e51c90aa","c19d20f4e2"]"#));
    app.revoke().await;
    assert_eq!(browser.headline(&result).await, "MailChimp is connected", "nobody has looked yet");
    app.clock.advance(time::Duration::hours(27));
    browser.wait_for(&result, "MailChimp needs your approval again").await;
}

/// Approves again from the instance's page; answers the callback's redirect.
pub async fn approve_again(browser: &Browser, start: &str, account: &str) -> String {
    let answer = browser.form(start, &[]).await;
    assert_eq!(answer.status(), StatusCode::SEE_OTHER, "{:?}", answer.text().await);
    let callback = browser.decide_as(&location(&answer), "allow", account).await;
    location(&browser.get(&callback).await)
}

#[tokio::test(flavor = "multi_thread")]
async fn approving_again_keeps_id_history_and_callback_url() {
    let app = TestApp::start().await;
    let (browser, result) = app.connected().await;
    app.add_contact("mira@reader.example").await;
    browser.wait_for(&result, "First event received").await;
    let before = app.ledger().await;
    app.revoke().await;
    let operator = app.operator().await;
    assert_eq!(state(&check(&operator, id_of(&result)).await), "needs attention");
    let page = browser.page(&result).await;
    let form = page.attributes("main form", "action").remove(0);
    assert_eq!(approve_again(&browser, &form, "0").await, result);
    browser.wait_for(&result, "MailChimp is connected").await;
    let after = app.ledger().await;
    assert_eq!(before["instances"][0]["id"], after["instances"][0]["id"]);
    let url = "event.notification.callback.url";
    assert_eq!(before["instances"][0]["configuration"][url], after["instances"][0]["configuration"][url]);
    assert_eq!(after["ledger"]["created"], json!(1), "no second instance");
    assert!(browser.page(&result).await.text.contains("First event received"), "its history stays");
    assert!(operator.page(&format!("/admin{result}")).await.one("ol.timeline").contains("Approved again"));
    app.add_contact("after@reader.example").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_account_is_noticed_and_asked_about() {
    let app = TestApp::start().await;
    let (browser, result) = app.connected().await;
    let operator = app.operator().await;
    check(&operator, id_of(&result)).await;
    approve_again(&browser, &format!("{result}/reconnect"), "1").await;
    let page = browser.wait_for(&result, "This is another MailChimp account").await;
    let actions = page.attributes("main form", "action");
    assert_eq!(actions, [format!("{result}/keep-account"), format!("{result}/reconnect")]);
    assert_eq!(
        state(&check(&operator, id_of(&result)).await),
        "needs attention",
        "a check does not decide it"
    );
    assert_eq!(location(&browser.form(&actions[0], &[]).await), result);
    browser.wait_for(&result, "MailChimp is connected").await;
    assert_eq!(browser.form(&actions[0], &[]).await.status(), StatusCode::CONFLICT);
    // And the other answer: approve again with the earlier account.
    check(&operator, id_of(&result)).await;
    approve_again(&browser, &format!("{result}/reconnect"), "0").await;
    browser.wait_for(&result, "This is another MailChimp account").await;
    approve_again(&browser, &format!("{result}/reconnect"), "1").await;
    browser.wait_for(&result, "MailChimp is connected").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renewal_that_is_refused_or_denied_leaves_what_worked() {
    let app = TestApp::start().await;
    let (browser, result) = app.connected().await;
    let start = format!("{result}/reconnect");
    let authorize = location(&browser.form(&start, &[]).await);
    let callback = browser.decide(&authorize, "cancel").await;
    assert_eq!(location(&browser.get(&callback).await), result, "a denial leads back to how it stands");
    assert_eq!(browser.headline(&result).await, "MailChimp is connected");
    let state = crate::app::parameter(&location(&browser.form(&start, &[]).await), "state");
    let answer = browser.get(&format!("/oauth/callback?code=made-up&state={state}")).await;
    assert_eq!(location(&answer), result);
    browser.wait_for(&result, "MailChimp is connected").await;
    assert_eq!(
        app.browser().form(&start, &[]).await.status(),
        StatusCode::NOT_FOUND,
        "for its browser alone"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reconnect_link_works_in_any_browser_for_a_week_and_not_a_letter_changed() {
    let app = TestApp::start().await;
    let (_first, result) = app.connected().await;
    let operator = app.operator().await;
    let page = operator.form(&format!("/admin{result}/reconnect-link"), &[]).await;
    let text = page.text().await.unwrap();
    let link = crate::app::Page { status: StatusCode::OK, text }.one("#link");
    let other = app.browser();
    let asked = other.page(&link).await;
    assert_eq!(asked.one("h1"), "MailChimp needs your approval again");
    assert_eq!(app.ledger().await["ledger"]["create_calls"], json!(1), "opening it does nothing");
    let form = asked.attributes("main form", "action").remove(0);
    assert_eq!(approve_again(&other, &form, "0").await, result);
    other.wait_for(&result, "MailChimp is connected").await;
    let changed = format!("{}{}", &link[..link.len() - 2], if link.ends_with("AA") { "BB" } else { "AA" });
    assert_eq!(other.get(&changed).await.status(), StatusCode::GONE);
    app.clock.advance(time::Duration::days(8));
    assert_eq!(other.get(&link).await.status(), StatusCode::GONE);
}

#[tokio::test(flavor = "multi_thread")]
async fn disconnecting_gives_a_receipt_and_ends_everything() {
    let app = TestApp::start().await;
    let (browser, result) = app.connected().await;
    let asked = browser.page(&format!("{result}/disconnect")).await;
    assert_eq!(asked.one("h1"), "Disconnect MailChimp?");
    assert_eq!(
        app.browser().form(&format!("{result}/disconnect"), &[]).await.status(),
        StatusCode::NOT_FOUND
    );
    let answer = browser.form(&format!("{result}/disconnect"), &[]).await;
    assert_eq!(location(&answer), result);
    let receipt = browser.page(&result).await;
    assert_eq!(receipt.one("h1"), "Disconnected");
    assert!(receipt.one("ol.receipt").contains("read back as gone, and its token was destroyed"));
    assert!(receipt.one("main").contains("Authorized applications"), "how to take the permission back");
    assert_eq!(app.ledger().await["instances"], json!([]));
    let events = format!("/events/{}", id_of(&result));
    let answer = plain().post(format!("{}{events}", app.origin)).body("{}").send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::GONE);
    let token: Vec<u8> =
        sqlx::query_scalar("SELECT token FROM instances").fetch_one(&app.database().await).await.unwrap();
    assert!(token.is_empty());
    assert_eq!(
        browser.form(&format!("{result}/disconnect"), &[]).await.status(),
        StatusCode::SEE_OTHER,
        "twice is once"
    );
    assert_eq!(browser.get(&format!("{result}/disconnect")).await.status(), StatusCode::CONFLICT);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disconnect_that_fails_half_way_is_tried_again() {
    let mut app = TestApp::start().await;
    let (browser, result) = app.connected().await;
    app.faults(json!({ "gateway_down": true })).await;
    browser.form(&format!("{result}/disconnect"), &[]).await;
    assert_eq!(browser.headline(&result).await, "Disconnecting…");
    app.stop().await;
    app.start_again().await;
    assert_eq!(browser.headline(&result).await, "Disconnecting…");
    app.faults(json!({})).await;
    let page = app.wait_as_time_passes(&browser, &result, "Receipt").await;
    assert!(page.one("ol.receipt").contains("was tried again"), "the receipt says so");
    assert_eq!(app.ledger().await["instances"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operators_disconnect_asks_for_the_name() {
    let app = TestApp::start().await;
    let (_browser, result) = app.connected().await;
    let operator = app.operator().await;
    let form = format!("/admin{result}/disconnect");
    assert_eq!(operator.form(&form, &[("name", "another")]).await.status(), StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(app.ledger().await["instances"].as_array().unwrap().len(), 1);
    let name = operator.page(&format!("/admin{result}")).await.one("h1");
    assert_eq!(operator.form(&form, &[("name", &name)]).await.status(), StatusCode::SEE_OTHER);
    assert_eq!(app.ledger().await["instances"], json!([]));
}

/// The findings of a comparison, as pairs of difference and result.
pub async fn compared(operator: &Browser, form: &[(&str, &str)]) -> Vec<(String, String)> {
    let answer = operator.form("/admin/reconcile", form).await;
    assert_eq!(answer.status(), StatusCode::OK);
    let page = crate::app::Page { status: answer.status(), text: answer.text().await.unwrap() };
    let (what, done) = (page.all("td[data-label=Difference]"), page.all("td[data-label=Result]"));
    let mut findings: Vec<_> = what.into_iter().zip(done).collect();
    findings.sort();
    findings
}

#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::too_many_lines, reason = "one difference of every kind")]
async fn a_comparison_tells_first_and_puts_right_what_it_is_told_to() {
    let app = TestApp::start().await;
    let operator = app.operator().await;
    let mut ids = Vec::new();
    let mut results = Vec::new();
    for _ in 0..7 {
        let (_browser, result) = app.connected().await;
        ids.push(operator.page(&format!("/admin{result}")).await.fact("Element instance"));
        results.push(result);
    }
    assert_eq!(compared(&operator, &[]).await, [], "nothing differs");
    let patch = async |id: &str, body: Value| {
        let (status, _) = upstream(&app, Method::PATCH, &format!("/instances/{id}"), Some(body)).await;
        assert_eq!(status, StatusCode::OK);
    };
    let configure = |key: &str, value: &str| json!({ "configuration": { key: value } });
    patch(&ids[0], configure("event.notification.callback.url", "https://elsewhere.example/e")).await;
    patch(&ids[1], configure("event.notification.enabled", "false")).await;
    upstream(&app, Method::DELETE, &format!("/instances/{}/enabled", ids[2]), None).await;
    patch(&ids[3], json!({ "name": "Renamed there" })).await;
    patch(&ids[4], json!({ "tags": ["somebody-elses"] })).await;
    upstream(&app, Method::DELETE, &format!("/instances/{}", ids[5]), None).await;
    // A database that was put back: the instance is there, its row is not.
    let forgotten = id_of(&results[6]).to_owned();
    sqlx::query("DELETE FROM instances WHERE id = $1")
        .bind(&forgotten)
        .execute(&app.database().await)
        .await
        .unwrap();
    // Made by others, and a leftover of ours.
    let authorize = app.browser();
    let code = crate::app::parameter(&authorize.decide(&authorize.start().await, "allow").await, "code");
    let access = &app.config;
    let others = json!({ "element": { "key": "mailchimpv3" }, "providerData": { "code": code }, "name": "theirs", "tags": ["theirs"],
        "configuration": { "oauth.api.key": access.mailchimp.client_id, "oauth.api.secret": crate::app::CLIENT_SECRET,
        "oauth.callback.url": access.public_url.redirect_uri() } });
    let (status, theirs) = upstream(&app, Method::POST, "/instances", Some(others)).await;
    assert_eq!(status, StatusCode::OK);

    let told = compared(&operator, &[]).await;
    let kinds: Vec<&str> = told.iter().map(|(what, _)| what.as_str()).collect();
    let expected = [
        "disabled",
        "events off",
        "missing upstream",
        "renamed",
        "retagged",
        "unknown upstream",
        "wrong callback url",
    ];
    assert_eq!(kinds, expected);
    assert!(told.iter().all(|(_, done)| done == "nothing done"));
    assert_eq!(compared(&operator, &[]).await, told, "telling changes nothing");

    let done = compared(&operator, &[("apply", "true")]).await;
    assert!(done.iter().all(|(_, done)| done == "done"), "{done:?}");
    assert_eq!(compared(&operator, &[]).await, []);
    assert_eq!(operator.page(&format!("/admin{}", results[3])).await.one("h1"), "Renamed there");
    assert_eq!(state(&operator.page(&format!("/admin{}", results[5])).await), "needs attention");
    assert_eq!(state(&operator.page(&format!("/admin/instances/{forgotten}")).await), "connected");
    let ledger = app.ledger().await;
    let found = |id: &str| {
        let id: i64 = id.parse().unwrap();
        let all = ledger["instances"].as_array().unwrap();
        all.iter().find(|one| one["id"] == id).cloned().unwrap()
    };
    let events = format!("{}/events/{}", app.origin, id_of(&results[0]));
    assert_eq!(found(&ids[0])["configuration"]["event.notification.callback.url"], json!(events));
    assert_eq!(
        found(&ids[4])["tags"].as_array().unwrap().len(),
        3,
        "ours, the settings', and somebody else's"
    );
    assert_eq!(found(&theirs["id"].to_string())["tags"], json!(["theirs"]), "never touched");
}

#[tokio::test(flavor = "multi_thread")]
async fn leftovers_are_deleted_only_when_that_is_asked_for() {
    let app = TestApp::start().await;
    let operator = app.operator().await;
    let (_browser, result) = app.connected().await;
    let gone = "UPDATE instances SET state = 'failed', problem_kind = 'not_found_upstream', element_instance_id = NULL, \
                events_enabled = NULL, connected_at = NULL";
    sqlx::query(gone).execute(&app.database().await).await.unwrap();
    for form in [&[][..], &[("apply", "true")]] {
        assert_eq!(compared(&operator, form).await, [("leftover".to_owned(), "nothing done".to_owned())]);
    }
    assert_eq!(
        compared(&operator, &[("delete", "true")]).await,
        [("leftover".to_owned(), "done".to_owned())]
    );
    assert_eq!(app.ledger().await["instances"], json!([]));
    assert_eq!(state(&operator.page(&format!("/admin{result}")).await), "failed");
}
