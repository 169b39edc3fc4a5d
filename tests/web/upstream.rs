//! When Cloud Elements fails: the rows B of the threat list. Whatever happens, one call leaves, and what
//! is told is true.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use reqwest::StatusCode;
use serde_json::json;
use tokio::sync::Notify;

use crate::app::{Browser, TestApp};
use crate::fake::{Fake, Script};

/// An app whose Cloud Elements follows a script, and a browser that came back from Mailchimp.
async fn with_script(script: Script) -> (TestApp, Fake, Browser, String) {
    let fake = Fake::start(script).await;
    let url = fake.url.parse().unwrap();
    let app = TestApp::with(|config| {
        config.cloud_elements.url = url;
        config.cloud_elements.timeout = Duration::from_millis(1500);
    })
    .await;
    let browser = app.browser();
    let result = browser.connect().await;
    (app, fake, browser, result)
}

/// Unknown at first; surely absent once the window has passed.
async fn ends_unknown_then_absent(script: Script) {
    let (app, fake, browser, result) = with_script(script).await;
    let page = browser.wait_for(&result, "Checking whether MailChimp").await;
    assert_eq!(page.status, StatusCode::OK);
    assert_eq!(fake.creates(), 1);
    let page = app.wait_as_time_passes(&browser, &result, "MailChimp did not answer").await;
    assert_eq!(page.attributes("form", "action"), ["/connect"], "one click to approve again");
    assert_eq!(fake.creates(), 1, "never a second create with the same code");
}

#[tokio::test(flavor = "multi_thread")]
async fn b01_a_reply_lost_after_the_instance_was_made_is_found_by_its_tag() {
    for fault in [json!({ "lose_reply": true }), json!({ "fail_after_create": true })] {
        let app = TestApp::start().await;
        app.faults(fault).await;
        let browser = app.browser();
        let result = browser.connect().await;
        browser.wait_for(&result, "MailChimp is connected").await;
        let ledger = app.ledger().await;
        assert_eq!((&ledger["ledger"]["create_calls"], &ledger["ledger"]["created"]), (&json!(1), &json!(1)));
        app.add_contact("mira@reader.example").await;
        browser.wait_for(&result, "First event received").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn b01_a_deadline_that_passes_leaves_an_unknown_outcome() {
    ends_unknown_then_absent(Script::Never).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn b01_a_cut_connection_leaves_an_unknown_outcome() {
    ends_unknown_then_absent(Script::Cut).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn b02_nobody_listening_means_nothing_happened() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let url = format!("http://{closed}/elements/api-v2").parse().unwrap();
    let app = TestApp::with(|config| config.cloud_elements.url = url).await;
    let browser = app.browser();
    let result = browser.connect().await;
    let page = browser.wait_for(&result, "MailChimp did not answer").await;
    assert_eq!(page.fact("Code"), "upstream_unreachable");
    assert_eq!(page.attributes("form", "action"), ["/connect"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn b04_b05_b06_b08_b09_each_answer_means_what_the_table_says() {
    let error = |message: &str| json!({ "requestId": "r", "message": message }).to_string();
    let vendor =
        |word: &str| json!({ "requestId": "r", "message": "m", "providerMessage": word }).to_string();
    for (status, body, headline, code) in [
        (
            "401 Unauthorized",
            error("Invalid Organization or User secret"),
            "We need to fix something on our side",
            "setup_refused",
        ),
        ("403 Forbidden", error("no"), "We need to fix something on our side", "setup_refused"),
        ("404 Not Found", error("No element found"), "We need to fix something on our side", "setup_refused"),
        (
            "400 Bad Request",
            vendor("invalid_grant"),
            "MailChimp did not accept the approval",
            "grant_refused",
        ),
        (
            "400 Bad Request",
            vendor("invalid_client"),
            "We need to fix something on our side",
            "setup_refused",
        ),
        ("429 Too Many Requests", error("limit"), "MailChimp did not answer", "upstream_limit"),
    ] {
        let (_app, fake, browser, result) = with_script(Script::Answer(status, body)).await;
        let page = browser.page(&result).await;
        assert_eq!((page.one("h1").as_str(), page.fact("Code").as_str()), (headline, code), "{status}");
        assert_eq!(fake.creates(), 1);
    }
    for (status, body) in [
        ("409 Conflict", error("exists")),
        ("500 Internal Server Error", error("x")),
        ("502 Bad Gateway", "<h1>502</h1>".into()),
        ("200 OK", "garbage".into()),
        ("200 OK", r#"{"id":1}"#.into()),
        ("200 OK", r#"{"id":9223372036854775808,"token":"t"}"#.into()),
    ] {
        let (_app, fake, browser, result) = with_script(Script::Answer(status, body.clone())).await;
        assert_eq!(
            browser.headline(&result).await,
            "Checking whether MailChimp is connected…",
            "{status} {body}"
        );
        assert_eq!(fake.creates(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn b09_an_id_as_text_connects() {
    let body = json!({ "id": "700123", "token": "canary-token", "valid": "true" }).to_string();
    let (_app, _fake, browser, result) = with_script(Script::Answer("200 OK", body)).await;
    let page = browser.page(&result).await;
    assert_eq!(page.one("h1"), "MailChimp is connected");
    assert!(page.fact("Instance").starts_with("700123"));
    assert!(!page.text.contains("canary-token"));
}

#[tokio::test(flavor = "multi_thread")]
async fn b10_an_endless_answer_is_left_at_the_cap() {
    let (_app, fake, browser, result) = with_script(Script::Endless).await;
    browser.wait_for(&result, "Checking whether MailChimp").await;
    let taken = fake.taken.load(Ordering::SeqCst);
    assert!(taken < 32 * 1024 * 1024, "{taken} bytes were taken");
}

#[tokio::test(flavor = "multi_thread")]
async fn b11_a_dripping_answer_ends_at_the_deadline() {
    let started = Instant::now();
    let (_app, _fake, browser, result) = with_script(Script::Drip).await;
    browser.wait_for(&result, "Checking whether MailChimp").await;
    assert!(started.elapsed() < Duration::from_secs(20));
}

#[tokio::test(flavor = "multi_thread")]
async fn b12_a_redirect_is_not_followed_and_carries_no_secret_there() {
    let elsewhere = Fake::start(Script::Cut).await;
    for target in
        [elsewhere.url.as_str(), "file:///etc/passwd", "http://169.254.169.254/latest/", "//elsewhere"]
    {
        let (_app, fake, browser, result) = with_script(Script::Redirect(target.to_owned())).await;
        assert_eq!(browser.page(&result).await.fact("Code"), "setup_refused", "{target}");
        assert_eq!((fake.creates(), fake.requests.load(Ordering::SeqCst)), (1, 1), "{target}");
    }
    assert_eq!(elsewhere.requests.load(Ordering::SeqCst), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_call_shows_progress_and_then_the_result() {
    let app = TestApp::with(|config| config.limits.callback_patience = Duration::from_millis(50)).await;
    app.faults(json!({ "slow_ms": 800 })).await;
    let browser = app.browser();
    let result = browser.connect().await;
    let page = browser.page(&result).await;
    assert_eq!(page.one("h1"), "Finishing the connection…");
    assert!(page.text.contains(r#"<noscript><meta http-equiv="refresh""#), "works without a script");
    app.clock.advance(time::Duration::seconds(7));
    assert!(browser.page(&result).await.text.contains("7 seconds so far"));
    browser.wait_for(&result, "MailChimp is connected").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn b02_a_certificate_that_is_not_trusted_means_nothing_was_sent() {
    let folder = tempfile::tempdir().unwrap();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let file = |name: &str| folder.path().join(name).display().to_string();
    let (key, certificate) = (file("key.pem"), file("certificate.pem"));
    let openssl = |arguments: &[&str]| {
        let mut command = std::process::Command::new("openssl");
        command.args(arguments).stdin(std::process::Stdio::null()).stdout(std::process::Stdio::null());
        command.stderr(std::process::Stdio::null());
        command
    };
    let made = openssl(&[
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "1",
        "-subj",
        "/CN=elsewhere.example",
        "-keyout",
        &key,
        "-out",
        &certificate,
    ])
    .status();
    if !made.is_ok_and(|status| status.success()) {
        eprintln!("SKIPPED: no openssl to make a certificate with");
        return;
    }
    let accept = port.to_string();
    let mut server =
        openssl(&["s_server", "-accept", &accept, "-key", &key, "-cert", &certificate]).spawn().unwrap();
    while tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_err() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let url = format!("https://127.0.0.1:{port}/elements/api-v2").parse().unwrap();
    let app = TestApp::with(|config| config.cloud_elements.url = url).await;
    let browser = app.browser();
    let result = browser.connect().await;
    let page = browser.wait_for(&result, "MailChimp did not answer").await;
    server.kill().unwrap();
    server.wait().unwrap();
    assert_eq!(page.fact("Code"), "upstream_unreachable");
    assert_eq!(page.attributes("form", "action"), ["/connect"], "a safe restart is offered");
}

#[tokio::test(flavor = "multi_thread")]
async fn b14_one_call_that_hangs_holds_up_nobody_else() {
    let go_on = Arc::new(Notify::new());
    let fake = Fake::start(Script::HoldTheFirst(go_on.clone())).await;
    let url = fake.url.parse().unwrap();
    let app = TestApp::with(|config| config.cloud_elements.url = url).await;
    let slow = app.browser();
    let held = slow.connect().await;
    let others = (0..200).map(|_| async {
        let browser = app.browser();
        let result = browser.connect().await;
        browser.wait_for(&result, "MailChimp is connected").await;
    });
    futures_util::future::join_all(others).await;
    assert_eq!(slow.headline(&held).await, "Finishing the connection…", "the slow one is still under way");
    go_on.notify_one();
    slow.wait_for(&held, "MailChimp is connected").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn b15_an_upstream_that_is_down_is_told_on_the_landing_page_and_asked_gently() {
    let app = TestApp::start().await;
    let browser = app.browser();
    let calm = |page: crate::app::Page| !page.text.contains("does not answer at the moment");
    assert!(calm(browser.page("/").await));
    app.faults(json!({ "gateway_down": true })).await;
    let mut results = Vec::new();
    for _ in 0..5 {
        let customer = app.browser();
        let result = customer.connect().await;
        results.push((customer, result));
    }
    assert!(!calm(browser.page("/").await));
    assert_eq!(browser.page("/").await.attributes("form", "action"), ["/connect"], "nobody is turned away");
    app.faults(json!({})).await;
    for (customer, result) in &results {
        app.wait_as_time_passes(customer, result, "MailChimp did not answer").await;
    }
    assert!(calm(browser.page("/").await), "one answer is enough");
}
