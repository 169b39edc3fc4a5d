//! From the landing page to the result: the rows A of the threat list.

use std::time::Duration;

use gangway::config::AuthorizeUrlFrom;
use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::app::{TestApp, location, parameter, plain};

#[tokio::test(flavor = "multi_thread")]
async fn a_customer_connects_and_reads_so_and_the_first_event_is_told() {
    let app = TestApp::start().await;
    let browser = app.browser();
    let landing = browser.page("/").await;
    assert_eq!(landing.one("form button"), "Connect MailChimp");
    assert_eq!(landing.attributes("form", "action"), ["/connect"]);
    let result = browser.connect().await;
    let page = browser.page(&result).await;
    assert_eq!(page.one("h1"), "MailChimp is connected");
    assert_eq!(page.fact("Events"), "On");
    assert!(page.fact("Instance").starts_with("7001"), "{}", page.text);
    assert!(page.text.contains("Waiting for the first event"));
    app.add_contact("mira@reader.example").await;
    let page = browser.wait_for(&result, "First event received at").await;
    assert!(page.text.contains("CREATED contacts"));
    assert!(!page.text.contains("mira@reader.example"), "no personal data on the page");
    let ledger = app.ledger().await;
    assert_eq!(ledger["ledger"]["create_calls"], 1);
    let sent = &ledger["instances"][0];
    let id = result.rsplit('/').next().unwrap();
    assert_eq!(sent["tags"], json!([format!("gangway-{id}"), "test"]));
    let configuration = &sent["configuration"];
    assert_eq!(configuration["event.notification.enabled"], true);
    assert_eq!(configuration["event.notification.callback.url"], format!("{}/events/{id}", app.origin));
    assert_eq!(configuration["oauth.callback.url"], format!("{}/oauth/callback", app.origin));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_authorize_url_can_come_from_cloud_elements_with_our_own_state() {
    let app = TestApp::with(|config| config.authorize_url_from = AuthorizeUrlFrom::CloudElements).await;
    let browser = app.browser();
    let policy = browser.get("/").await.headers()["content-security-policy"].to_str().unwrap().to_owned();
    assert!(policy.contains("form-action 'self' https: http://127.0.0.1:*"), "{policy}");
    let url = browser.start().await;
    assert_eq!(parameter(&url, "state").len(), 43);
    assert_eq!(url.matches("state=").count(), 1);
    let callback = browser.decide(&url, "allow").await;
    let result = location(&browser.get(&callback).await);
    assert_eq!(browser.headline(&result).await, "MailChimp is connected");
    app.faults(json!({ "gateway_down": true })).await;
    let answer = browser.form("/connect", &[]).await;
    assert_eq!(answer.status(), StatusCode::BAD_GATEWAY);
}

#[tokio::test(flavor = "multi_thread")]
async fn a01_a02_a03_a15_a16_what_is_no_answer_for_this_browser_is_refused_without_a_call() {
    let app = TestApp::start().await;
    let stranger = app.browser();
    let customer = app.browser();
    let state = parameter(&customer.start().await, "state");
    for query in [
        String::new(),
        "?code=c".into(),
        "?code=&state=".into(),
        "?state=".into(),
        "?code=c&state=".into(),
        format!("?state={state}"),
        format!("?code=c&error=access_denied&state={state}"),
        format!("?code=c&code=d&state={state}"),
    ] {
        for browser in [&stranger, &customer] {
            let page = browser.page(&format!("/oauth/callback{query}")).await;
            assert_eq!(page.status, StatusCode::BAD_REQUEST, "{query}");
            assert_eq!(page.one("h1"), "Please start in this browser");
            assert_eq!(page.attributes("form", "action"), ["/connect"]);
        }
    }
    let page = stranger.page(&format!("/oauth/callback?code=c&state={state}")).await;
    assert_eq!(page.status, StatusCode::BAD_REQUEST, "a02: without our cookie");
    assert_eq!(app.ledger().await["ledger"]["create_calls"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a04_a09_a27_a_wrong_or_foreign_state_is_refused_and_the_real_flow_stays_usable() {
    let app = TestApp::start().await;
    let (customer, attacker) = (app.browser(), app.browser());
    let callback = customer.decide(&customer.start().await, "allow").await;
    let state = parameter(&callback, "state");
    let other = attacker.decide(&attacker.start().await, "allow").await;
    let mut flipped = state.clone().into_bytes();
    flipped[7] ^= 1;
    let flipped = String::from_utf8(flipped).unwrap();
    for wrong in [flipped, state[..42].to_owned(), format!("{state}x"), parameter(&other, "state")] {
        let query: String = form_urlencoded::Serializer::new(String::new())
            .append_pair("code", "c")
            .append_pair("state", &wrong)
            .finish();
        let answer = customer.get(&format!("/oauth/callback?{query}")).await;
        assert_eq!(answer.status(), StatusCode::BAD_REQUEST, "{wrong}");
    }
    assert_eq!(attacker.get(&callback).await.status(), StatusCode::BAD_REQUEST);
    assert_eq!(app.ledger().await["ledger"]["create_calls"], 0);
    assert_eq!(customer.get(&callback).await.status(), StatusCode::SEE_OTHER);
}

#[tokio::test(flavor = "multi_thread")]
async fn a05_a21_a_reload_leads_the_same_browser_to_the_same_result_and_nobody_else() {
    let app = TestApp::start().await;
    let browser = app.browser();
    let callback = browser.decide(&browser.start().await, "allow").await;
    let first = location(&browser.get(&callback).await);
    for _ in 0..3 {
        assert_eq!(location(&browser.get(&callback).await), first);
    }
    // Eight more starts push the state out of the cookie; the table still knows.
    for _ in 0..8 {
        browser.start().await;
    }
    assert_eq!(location(&browser.get(&callback).await), first);
    let other = app.browser();
    other.start().await;
    assert_eq!(other.get(&callback).await.status(), StatusCode::BAD_REQUEST);
    assert_eq!(other.get(&first).await.status(), StatusCode::NOT_FOUND);
    assert_eq!(app.ledger().await["ledger"]["create_calls"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a07_a_state_ends_after_an_hour_and_the_page_offers_a_new_start() {
    let app = TestApp::start().await;
    let browser = app.browser();
    let callback = browser.decide(&browser.start().await, "allow").await;
    app.clock.advance(time::Duration::minutes(61));
    let page = browser.page(&callback).await;
    assert_eq!(page.status, StatusCode::BAD_REQUEST);
    assert_eq!(page.one("h1"), "That took a little too long");
    assert_eq!(page.fact("Code"), "request_expired");
    assert_eq!(page.attributes("form", "action"), ["/connect"]);
    assert_eq!(app.ledger().await["ledger"]["create_calls"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a12_a13_a_denial_is_calm_claimed_once_and_only_with_the_right_state() {
    let app = TestApp::start().await;
    let browser = app.browser();
    let callback = browser.decide(&browser.start().await, "cancel").await;
    let wrong = browser.get("/oauth/callback?error=access_denied&state=wrong").await;
    assert_eq!(wrong.status(), StatusCode::BAD_REQUEST);
    let result = location(&browser.get(&callback).await);
    let page = browser.page(&result).await;
    assert_eq!((page.status, page.one("h1")), (StatusCode::OK, "You chose not to connect".to_owned()));
    assert!(page.all("[role=alert]").is_empty());
    assert_eq!(location(&browser.get(&callback).await), result, "a reload");
    assert_eq!(app.browser().get(&result).await.status(), StatusCode::NOT_FOUND);
    assert_eq!(app.ledger().await["ledger"]["create_calls"], 0);
    for (error, headline) in [
        ("server_error", "MailChimp could not finish"),
        ("redirect_uri_mismatch", "We need to fix something on our side"),
    ] {
        let state = parameter(&browser.start().await, "state");
        let result = location(
            &browser
                .get(&format!("/oauth/callback?error={error}&state={state}&error_description=<script>x"))
                .await,
        );
        let page = browser.page(&result).await;
        assert_eq!(page.one("h1"), headline);
        assert!(!page.text.contains("<script>x"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a19_a_stolen_code_with_a_fresh_state_connects_nothing() {
    let app = TestApp::start().await;
    let (victim, thief) = (app.browser(), app.browser());
    let code = parameter(&victim.decide(&victim.start().await, "allow").await, "code");
    let (_, _) = app.connected().await;
    let spent = parameter(&thief.decide(&thief.start().await, "allow").await, "code");
    let state = parameter(&thief.start().await, "state");
    thief.get(&format!("/oauth/callback?code={spent}&state={state}")).await;
    let state = parameter(&thief.start().await, "state");
    let result = location(&thief.get(&format!("/oauth/callback?code={spent}&state={state}")).await);
    let page = thief.page(&result).await;
    assert_eq!(page.one("h1"), "MailChimp did not accept the approval");
    assert_eq!(page.fact("Code"), "grant_refused");
    assert!(!code.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a20_two_tabs_finish_in_any_order() {
    let app = TestApp::start().await;
    let browser = app.browser();
    let (one, two) = (browser.start().await, browser.start().await);
    let second = location(&browser.get(&browser.decide(&two, "allow").await).await);
    let first = location(&browser.get(&browser.decide(&one, "allow").await).await);
    assert_ne!(first, second);
    for result in [first, second] {
        assert_eq!(browser.headline(&result).await, "MailChimp is connected");
    }
    assert!(browser.cookie().unwrap().len() < 4096);
}

#[tokio::test(flavor = "multi_thread")]
async fn a22_a_thousand_callbacks_with_one_state_make_one_call_and_one_result() {
    let app = TestApp::start().await;
    let browser = app.browser();
    let callback = browser.decide(&browser.start().await, "allow").await;
    let client = plain();
    let cookie = browser.cookie().unwrap();
    let tries = (0..1000).map(|_| client.get(&callback).header("Cookie", &cookie).send());
    let answers = futures_util::future::join_all(tries).await;
    let mut results: Vec<String> = answers.into_iter().map(|answer| location(&answer.unwrap())).collect();
    results.dedup();
    assert_eq!(results.len(), 1, "{results:?}");
    let ledger = app.ledger().await;
    assert_eq!((&ledger["ledger"]["create_calls"], &ledger["ledger"]["created"]), (&json!(1), &json!(1)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a23_two_hundred_customers_at_once_are_all_connected() {
    let app = TestApp::start().await;
    app.faults(json!({ "slow_ms": 300 })).await;
    let customers = (0..200).map(|_| async {
        let browser = app.browser();
        let result = browser.connect().await;
        browser.wait_for(&result, "MailChimp is connected").await;
    });
    futures_util::future::join_all(customers).await;
    let ledger = app.ledger().await;
    assert_eq!((&ledger["ledger"]["create_calls"], &ledger["ledger"]["created"]), (&json!(200), &json!(200)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a30_starts_that_never_come_back_leave_nothing_on_disk() {
    let app = TestApp::start().await;
    for _ in 0..200 {
        app.browser().start().await;
    }
    let rows: i64 = sqlx::query_scalar("SELECT count(*) FROM authorization_requests")
        .fetch_one(&app.database().await)
        .await
        .unwrap();
    assert_eq!(rows, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn b16_closing_the_tab_during_the_call_changes_nothing() {
    let app = TestApp::start().await;
    app.faults(json!({ "slow_ms": 400 })).await;
    let browser = app.browser();
    let callback = browser.decide(&browser.start().await, "allow").await;
    let gone = plain()
        .get(&callback)
        .header("Cookie", browser.cookie().unwrap())
        .timeout(Duration::from_millis(100))
        .send()
        .await;
    assert!(gone.is_err());
    let result = location(&browser.get(&callback).await);
    browser.wait_for(&result, "MailChimp is connected").await;
    assert_eq!(app.ledger().await["ledger"]["create_calls"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn c12_a_restart_in_the_middle_keeps_the_customers_way_back() {
    let mut app = TestApp::start().await;
    let browser = app.browser();
    let callback = browser.decide(&browser.start().await, "allow").await;
    app.stop().await;
    app.start_again().await;
    let result = location(&browser.get(&callback).await);
    assert_eq!(browser.headline(&result).await, "MailChimp is connected");
    app.stop().await;
    app.start_again().await;
    assert_eq!(browser.headline(&result).await, "MailChimp is connected");
}

#[tokio::test(flavor = "multi_thread")]
async fn e05_f01_a_get_starts_nothing_and_no_parameter_sends_anybody_elsewhere() {
    let app = TestApp::start().await;
    let browser = app.browser();
    assert_eq!(browser.get("/connect").await.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(browser.send(Method::POST, "/", None).await.status(), StatusCode::METHOD_NOT_ALLOWED);
    for evil in [
        "//evil.example",
        "/%5cevil.example",
        "https://evil.example",
        "/%09/evil.example",
        "%2f%2fevil.example",
    ] {
        let target =
            format!("/connect?next={evil}&return={evil}&url={evil}&redirect_uri={evil}&state={evil}");
        let answer = browser.form(&target, &[("next", evil), ("redirect_uri", evil)]).await;
        assert!(location(&answer).starts_with(&app.simulator), "{evil}");
        for path in [format!("/{evil}"), format!("{evil}/..")] {
            let answer = browser.get(&format!("/{}", path.trim_start_matches("https://"))).await;
            assert!(answer.headers().get("location").is_none(), "{path}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_live_page_says_when_to_look_again() {
    use futures_util::StreamExt;
    let app = TestApp::start().await;
    let (browser, result) = app.connected().await;
    let feed = browser.page(&result).await.attributes("main", "data-feed").remove(0);
    let answer = browser.get(&feed).await;
    assert_eq!(answer.headers()["content-type"], "text/event-stream; charset=utf-8");
    let mut stream = Box::pin(futures_util::stream::unfold(answer, |mut answer| async {
        let chunk = answer.chunk().await.ok()??;
        Some((String::from_utf8_lossy(&chunk).into_owned(), answer))
    }));
    app.add_contact("mira@reader.example").await;
    let mut heard = String::new();
    while !heard.contains("event: changed") {
        heard += &stream.next().await.expect("the stream goes on");
    }
    assert!(heard.contains("data: connected-proven"), "{heard}");
    assert_eq!(app.browser().get(&feed).await.status(), StatusCode::NOT_FOUND);
}

/// What holds a stop up does so every time; a busy machine does not. So the best of a few tries counts.
#[tokio::test(flavor = "multi_thread")]
async fn gangway_stops_within_a_second_with_a_live_page_open() {
    let mut app = TestApp::start().await;
    let (browser, result) = app.connected().await;
    let feed = browser.page(&result).await.attributes("main", "data-feed").remove(0);
    let mut took = Vec::new();
    for _ in 0..5 {
        let live = browser.get(&feed).await;
        assert_eq!(live.status(), StatusCode::OK);
        took.push(app.stop().await);
        if took.last().is_some_and(|took| *took < Duration::from_secs(1)) {
            return;
        }
        app.start_again().await;
    }
    panic!("{took:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn b16_a_browser_that_hangs_up_at_any_moment_loses_nothing() {
    use tokio::io::AsyncWriteExt;
    let app = TestApp::start().await;
    let address = app.origin.trim_start_matches("http://").to_owned();
    for microseconds in (0..6000).step_by(200) {
        let browser = app.browser();
        let callback = browser.decide(&browser.start().await, "allow").await;
        let target = callback.trim_start_matches(&app.origin);
        let cookie = browser.cookie().unwrap();
        let mut stream = tokio::net::TcpStream::connect(&address).await.unwrap();
        let request = format!("GET {target} HTTP/1.1\r\nHost: x\r\nCookie: {cookie}\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        tokio::time::sleep(Duration::from_micros(microseconds)).await;
        drop(stream);
        let result = location(&browser.get(&callback).await);
        browser.wait_for(&result, "MailChimp is connected").await;
    }
    let ledger = app.ledger().await;
    assert_eq!((&ledger["ledger"]["create_calls"], &ledger["ledger"]["created"]), (&json!(30), &json!(30)));
}
