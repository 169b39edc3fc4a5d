//! P5: no secret leaves. After a whole journey with every line of the log kept, no secret stands in a log
//! line, a page, a header, a metric, or in clear in the database's files.

use std::fmt::Write as _;
use std::io::Write;
use std::sync::{Arc, Mutex};

use gangway::storage::Scope;
use secrecy::ExposeSecret;
use serde_json::json;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::{Layer, fmt};

use crate::app::{Browser, CLIENT_SECRET, TestApp, location, parameter};
use crate::care::{check, id_of};
use crate::program::key;

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::too_many_lines, reason = "one journey")]
async fn e17_f05_no_secret_stands_in_a_log_line_a_page_a_header_or_the_database() {
    let lines = Lines::default();
    let writer = lines.clone();
    let layer = fmt::layer()
        .with_writer(move || writer.clone())
        .with_filter(gangway::telemetry::filter(tracing::Level::TRACE));
    // One test process has one subscriber; this suite sets no other.
    let _ = tracing::subscriber::set_global_default(tracing_subscriber::registry().with(layer));

    let mut app = TestApp::start().await;
    let operator = app.operator().await;
    let mut seen = String::new();
    let browser = app.browser();
    let mut secrets = vec![
        CLIENT_SECRET.to_owned(),
        app.config.cloud_elements.user_secret.expose_secret().to_owned(),
        app.config.cloud_elements.organization_secret.expose_secret().to_owned(),
        app.config.secret_key.expose(),
        "a long enough password".to_owned(),
    ];
    for fault in [json!({}), json!({ "lose_reply": true }), json!({ "fail_after_create": true })] {
        app.faults(fault).await;
        let callback = browser.decide(&browser.start().await, "allow").await;
        secrets.extend([parameter(&callback, "code"), parameter(&callback, "state")]);
        let answer = browser.get(&callback).await;
        write!(seen, "{:?}", answer.headers()).unwrap();
        let result = location(&answer);
        browser.wait_for(&result, "MailChimp is connected").await;
        app.add_contact("mira@reader.example").await;
        seen += &browser.wait_for(&result, "First event received").await.text;
        let id = result.rsplit('/').next().unwrap();
        seen += &operator.page(&format!("/admin/instances/{id}")).await.text;
        // The same state with another code, refused by upstream.
        seen += &browser.page("/oauth/callback?code=canary-code&state=canary-state").await.text;
    }
    // What a customer calls an audience is for pages, not for the log.
    app.faults(json!({})).await;
    let (_, result) = app.connected().await;
    for fault in ["viewer", "webhooks_down", "hostile_names"] {
        app.faults(json!({ "hostile_names": true, fault: true })).await;
        operator
            .form(
                &format!("/admin{result}/audiences"),
                &[("audience", "b7e51c90aa"), ("audience", "c19d20f4e2")],
            )
            .await;
    }
    app.faults(json!({})).await;
    let state = parameter(&browser.start().await, "state");
    let refused =
        location(&browser.get(&format!("/oauth/callback?code=canary-spent-code&state={state}")).await);
    seen += &browser.page(&refused).await.text;
    seen += &operator.page("/admin/instances").await.text;
    seen += &browser.page("/metrics").await.text;
    secrets.extend([
        "canary-code".to_owned(),
        "canary-state".to_owned(),
        "canary-spent-code".to_owned(),
        state,
    ]);
    for instance in app.ledger().await["instances"].as_array().unwrap() {
        secrets
            .push(instance["configuration"]["event.notification.signature.key"].as_str().unwrap().to_owned());
    }
    let client = crate::app::plain().get(format!("{}/elements/api-v2/instances", app.simulator));
    let credentials = format!(
        "User {}, Organization {}",
        app.config.cloud_elements.user_secret.expose_secret(),
        app.config.cloud_elements.organization_secret.expose_secret(),
    );
    let instances: serde_json::Value =
        client.header("Authorization", credentials).send().await.unwrap().json().await.unwrap();
    secrets.extend(instances.as_array().unwrap().iter().map(|one| one["token"].as_str().unwrap().to_owned()));
    secrets.extend(program(&app, &mut seen).await);
    secrets.push(care_for(&app, &operator, &browser, &mut seen).await);
    app.stop().await;

    let log = String::from_utf8_lossy(&lines.0.lock().unwrap()).into_owned();
    assert!(log.contains("grant claimed") && log.contains("instance settled"), "the log was kept: {log}");
    assert!(log.contains("an audience webhook was not made") && !log.contains("alert(1)"), "no names");
    let mut stored = String::new();
    for file in std::fs::read_dir(app.folder().join("data")).unwrap() {
        stored += &String::from_utf8_lossy(&std::fs::read(file.unwrap().path()).unwrap());
    }
    assert!(stored.contains("authorization_requests"), "the database was read");
    for secret in secrets {
        assert!(secret.len() > 8, "{secret:?} is long enough to be looked for");
        for (place, text) in [("the log", &log), ("a page or header", &seen), ("the database", &stored)] {
            assert!(!text.contains(&secret), "{secret} stands in {place}");
        }
    }
}

/// A program with a key: let in, refused, and with an endpoint. Answers the key and the endpoint's secret.
async fn program(app: &TestApp, seen: &mut String) -> [String; 2] {
    let key = key(app, "canary", Scope::Write, None).await;
    let url = |path: &str| format!("{}/api/v1/{path}", app.origin);
    let client = crate::app::plain();
    let made = client.post(url("endpoints")).bearer_auth(&key).json(&json!({ "url": "http://127.0.0.1:9/" }));
    let made: serde_json::Value = made.send().await.unwrap().json().await.unwrap();
    for request in [
        client.get(url("events")).bearer_auth(&key),
        client.get(url("endpoints")).bearer_auth(&key),
        client.get(url("events")).bearer_auth(format!("{key}x")),
        client.get(url("events")).header("Authorization", format!("Basic {key}")),
        client.get(url(&format!("events?access_token={key}"))).bearer_auth("x"),
        client.get(format!("{}/admin/events", app.origin)).bearer_auth(&key),
    ] {
        let answer = request.send().await.unwrap();
        write!(seen, "{:?}", answer.headers()).unwrap();
        *seen += &answer.text().await.unwrap();
    }
    // What somebody puts into the wrong place comes back to nobody but them, and stands in no log.
    for (query, body) in [(format!("?{key}=1"), json!({})), (String::new(), json!({ &key: key, "url": key }))]
    {
        let request = client.post(url("endpoints")).bearer_auth(&key).json(&body);
        request.send().await.unwrap();
        client.get(url(&format!("deliveries{query}"))).bearer_auth(&key).send().await.unwrap();
    }
    [key, made["secret"].as_str().unwrap().to_owned()]
}

/// The rest of an instance's life: checked, approved again, compared, taken down. Answers the code that was
/// spent on the way.
async fn care_for(app: &TestApp, operator: &Browser, browser: &Browser, seen: &mut String) -> String {
    let result = browser.connect().await;
    browser.wait_for(&result, "MailChimp is connected").await;
    app.revoke().await;
    *seen += &check(operator, id_of(&result)).await.text;
    let authorize = location(&browser.form(&format!("{result}/reconnect"), &[]).await);
    let callback = browser.decide(&authorize, "allow").await;
    browser.get(&callback).await;
    *seen += &browser.wait_for(&result, "MailChimp is connected").await.text;
    let link = operator.form(&format!("/admin{result}/reconnect-link"), &[]).await;
    *seen += &link.text().await.unwrap();
    for form in [&[][..], &[("apply", "true")]] {
        *seen += &operator.form("/admin/reconcile", form).await.text().await.unwrap();
    }
    *seen += &operator.page("/admin/doctor").await.text;
    app.faults(json!({ "gateway_down": true })).await;
    browser.form(&format!("{result}/disconnect"), &[]).await;
    app.faults(json!({})).await;
    *seen += &app.wait_as_time_passes(browser, &result, "Receipt").await.text;
    *seen += &operator.page(&format!("/admin{result}")).await.text;
    parameter(&callback, "code")
}
