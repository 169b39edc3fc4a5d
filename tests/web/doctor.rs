//! The doctor: seeded faults, each named with its fix; and the command's exit code.

use std::process::Command;
use std::sync::Arc;

use gangway::app::{Surroundings, chain_beside, sealer};
use gangway::clock::ManualClock;
use gangway::config::{Config, PublicUrl};
use gangway::doctor::{self, Chain, Finding, Verdict};
use gangway::entropy::{SeededEntropy, SystemEntropy};
use gangway::seal::SecretKey;
use gangway::storage::Storage;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::app::TestApp;

/// What the doctor examines beside `app`, with settings changed.
async fn chain(app: &TestApp, change: impl FnOnce(&mut Config)) -> Chain {
    let mut config = app.config.clone();
    change(&mut config);
    let surroundings = Surroundings::default();
    let storage =
        Storage::open_beside(&app.config.database_url, sealer(&app.config, &surroundings)).await.unwrap();
    // The simulator answers with the machine's time in its Date header.
    // However busy this machine is.
    let slow_write = std::time::Duration::MAX;
    Chain { slow_write, ..chain_beside(config, storage, &surroundings).unwrap() }
}

async fn findings(app: &TestApp, change: impl FnOnce(&mut Config)) -> Vec<Finding> {
    doctor::examine(&chain(app, change).await).await
}

/// Exactly the link `name` does not hold; answers what it says and the fix.
#[track_caller]
fn only(findings: &[Finding], name: &str, verdict: Verdict) -> String {
    let broken: Vec<_> = findings.iter().filter(|finding| finding.verdict != Verdict::Pass).collect();
    assert_eq!(broken.iter().map(|finding| finding.name).collect::<Vec<_>>(), [name], "{findings:#?}");
    assert_eq!(broken[0].verdict, verdict, "{findings:#?}");
    format!("{} fix: {}", broken[0].cause, broken[0].fix.as_deref().expect("a fix"))
}

fn url(text: &str) -> PublicUrl {
    PublicUrl::parse(text).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_chain_holds() {
    let app = TestApp::start().await;
    let findings = findings(&app, |_| {}).await;
    assert!(findings.iter().all(|finding| finding.verdict == Verdict::Pass), "{findings:#?}");
    let names: Vec<_> = findings.iter().map(|finding| finding.name).collect();
    let expected = [
        "settings",
        "database",
        "key",
        "disk",
        "public URL",
        "events",
        "redirect URI",
        "Cloud Elements",
        "clock",
        "element",
        "queue",
    ];
    assert_eq!(names, expected);
    let stored: i64 = sqlx::query_scalar("SELECT count(*) FROM notifications")
        .fetch_one(&app.database().await)
        .await
        .unwrap();
    assert_eq!(stored, 0, "the trial notification is not kept");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_of_the_console_says_the_same() {
    let app = TestApp::start().await;
    let operator = app.operator().await;
    let page = operator.page("/admin/doctor").await;
    assert_eq!(page.all("tbody tr").len(), 11);
    assert_eq!(page.one("#redirect"), app.config.public_url.redirect_uri());
    // The app under test has a clock of its own, which stands still.
    assert_eq!(page.all("tbody .bad"), ["fail"]);
    assert!(page.one("main").contains("NTP"));
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_credentials_are_told_apart() {
    let app = TestApp::start().await;
    let swapped = findings(&app, |config| {
        let access = &mut config.cloud_elements;
        std::mem::swap(&mut access.user_secret, &mut access.organization_secret);
    });
    let said = only(&swapped.await, "Cloud Elements", Verdict::Fail);
    assert!(
        said.contains("exchange CLOUD_ELEMENTS_USER_SECRET and CLOUD_ELEMENTS_ORGANIZATION_SECRET"),
        "{said}"
    );
    let wrong = findings(&app, |config| config.cloud_elements.user_secret = "wrong".into()).await;
    let said = only(&wrong, "Cloud Elements", Verdict::Fail);
    assert!(
        said.contains("Invalid Organization or User secret")
            && said.contains("copy CLOUD_ELEMENTS_USER_SECRET"),
        "{said}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_that_is_not_there_or_lacks_the_element_is_named() {
    let app = TestApp::start().await;
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let gone = findings(&app, |config| {
        config.cloud_elements.url = format!("http://{closed}/elements/api-v2").parse().unwrap();
    });
    let said = only(&gone.await, "Cloud Elements", Verdict::Fail);
    assert!(said.contains("check CLOUD_ELEMENTS_URL"), "{said}");
    let element = findings(&app, |config| config.cloud_elements.element_key = "mailchimpv9".into()).await;
    let said = only(&element, "element", Verdict::Fail);
    assert!(said.contains("mailchimpv9") && said.contains("correct ELEMENT_KEY"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_undelivered_is_counted() {
    let app = TestApp::start().await;
    app.connected().await;
    // As if every delivery had failed for hours.
    crate::app::plain().post(format!("{}/_sim/give-up", app.simulator)).send().await.unwrap();
    app.add_contact("mira@reader.example").await;
    while app.ledger().await["queued"] != json!(1) {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    let said = only(&findings(&app, |_| {}).await, "queue", Verdict::Warn);
    assert!(said.contains("1 notification waits") && said.contains("redeliver"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_public_url_that_leads_elsewhere_is_named() {
    let app = TestApp::start().await;
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let broken = |findings: &[Finding], name: &str| {
        let found = findings.iter().find(|finding| finding.name == name).unwrap();
        assert_eq!(found.verdict, Verdict::Fail, "{findings:#?}");
        format!("{} fix: {}", found.cause, found.fix.as_deref().unwrap())
    };
    let nowhere = findings(&app, |config| config.public_url = url(&format!("http://{closed}"))).await;
    let said = broken(&nowhere, "public URL");
    assert!(said.contains("does not answer") && said.contains("start `gangway serve`"), "{said}");
    let something_else = findings(&app, |config| config.public_url = url(&app.simulator)).await;
    let said = broken(&something_else, "public URL");
    assert!(said.contains("something else answers") && said.contains("LISTEN_ADDR"), "{said}");
    let other = TestApp::start().await;
    let another = findings(&app, |config| config.public_url = url(&other.origin)).await;
    let said = broken(&another, "public URL");
    assert!(said.contains("another SECRET_KEY"), "{said}");
}

/// A proxy that drops the signature's header.
async fn careless_proxy(target: String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((from, _)) = listener.accept().await {
            let to = TcpStream::connect(&target).await.unwrap();
            let ((mut asked, mut answered), (mut back, mut on)) = (from.into_split(), to.into_split());
            tokio::spawn(async move { tokio::io::copy(&mut back, &mut answered).await });
            tokio::spawn(async move {
                let mut request = vec![0; 65536];
                while let Ok(read @ 1..) = asked.read(&mut request).await {
                    let text = String::from_utf8_lossy(&request[..read])
                        .replace("elements-webhook-signature", "x-something-quite-unknown");
                    on.write_all(text.as_bytes()).await.unwrap();
                }
            });
        }
    });
    origin
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_that_drops_the_signature_is_named() {
    let app = TestApp::start().await;
    let proxy = careless_proxy(app.origin.trim_start_matches("http://").to_owned()).await;
    let findings = findings(&app, |config| config.public_url = url(&proxy)).await;
    let events = findings.iter().find(|finding| finding.name == "events").unwrap();
    assert_eq!(events.verdict, Verdict::Fail, "{findings:#?}");
    assert!(events.fix.as_deref().unwrap().contains("Elements-Webhook-Signature"), "{findings:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_that_mailchimp_does_not_know_is_named_with_the_redirect_uri_to_register() {
    let app = TestApp::start().await;
    let findings = findings(&app, |config| config.mailchimp.client_id = "000000000000".into()).await;
    let said = only(&findings, "redirect URI", Verdict::Fail);
    assert!(
        said.contains(&app.config.public_url.redirect_uri()) && said.contains("MAILCHIMP_CLIENT_ID"),
        "{said}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_off_a_full_disk_and_a_foreign_key_are_named() {
    let app = TestApp::start().await;
    app.connected().await;
    let slow = Chain {
        clock: Arc::new(ManualClock::starting_at(time::OffsetDateTime::UNIX_EPOCH)),
        ..chain(&app, |_| {}).await
    };
    assert!(only(&doctor::examine(&slow).await, "clock", Verdict::Fail).contains("NTP"));
    let full = Chain { least_free: u64::MAX, ..chain(&app, |_| {}).await };
    assert!(only(&doctor::examine(&full).await, "disk", Verdict::Fail).contains("make room"));
    let slow_disk = Chain { slow_write: std::time::Duration::ZERO, ..chain(&app, |_| {}).await };
    assert!(only(&doctor::examine(&slow_disk).await, "database", Verdict::Warn).contains("local disk"));
    let filling = Chain { least_free: u64::MAX / 10, ..chain(&app, |_| {}).await };
    assert!(only(&doctor::examine(&filling).await, "disk", Verdict::Fail).contains("make room"));
    // Rows that were sealed under a key that is gone.
    let pool = app.database().await;
    sqlx::query("UPDATE instances SET signature_key = x'0102', token = x'0102'")
        .execute(&pool)
        .await
        .unwrap();
    let said = only(&findings(&app, |_| {}).await, "key", Verdict::Fail);
    assert!(said.contains("SECRET_KEY_PREVIOUS"), "{said}");
    let other = SecretKey::draw(&SeededEntropy::new(7));
    let wrong = gangway::seal::Sealer::new(&other, None, Arc::new(SystemEntropy::default()));
    let error = Storage::open_beside(&app.config.database_url, wrong).await.err().unwrap();
    let said = &doctor::unopened_database(&error)[0];
    assert!(said.name == "key" && said.fix.as_deref().unwrap().contains("SECRET_KEY"), "{said:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_cannot_be_written_to_is_named() {
    let app = TestApp::start().await;
    let pool = app.database().await;
    let chain = chain(&app, |_| {}).await;
    sqlx::query("CREATE TRIGGER full BEFORE INSERT ON settings BEGIN SELECT raise(ABORT, 'attempt to write a readonly database'); END")
        .execute(&pool)
        .await
        .unwrap();
    let said = only(&doctor::examine(&chain).await, "database", Verdict::Fail);
    assert!(said.contains("readonly") && said.contains("write to the file of DATABASE_URL"), "{said}");
}

#[test]
fn the_command_lists_every_missing_setting_and_exits_with_one() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_gangway"));
    let output = command.arg("doctor").env_clear().current_dir(&folder).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let told = String::from_utf8(output.stdout).unwrap();
    assert!(
        told.contains("fail  settings: PUBLIC_URL is missing") && told.contains("fix: the https address"),
        "{told}"
    );
    assert!(told.contains("SECRET_KEY is missing"), "{told}");
}

/// The environment of a `gangway` that has the settings of `app`.
fn command(app: &TestApp, arguments: &[&str]) -> Command {
    use secrecy::ExposeSecret;
    let config = &app.config;
    let mut command = Command::new(env!("CARGO_BIN_EXE_gangway"));
    command.args(arguments).env_clear().current_dir(app.folder());
    for (name, value) in [
        ("PUBLIC_URL", config.public_url.origin()),
        ("LISTEN_ADDR", app.origin.trim_start_matches("http://").to_owned()),
        ("DATABASE_URL", config.database_url.expose_secret().to_owned()),
        ("SECRET_KEY", config.secret_key.expose()),
        ("MAILCHIMP_CLIENT_ID", config.mailchimp.client_id.clone()),
        ("MAILCHIMP_CLIENT_SECRET", config.mailchimp.client_secret.expose_secret().to_owned()),
        ("MAILCHIMP_AUTHORIZE_URL", config.mailchimp.authorize_url.to_string()),
        ("CLOUD_ELEMENTS_URL", config.cloud_elements.url.to_string()),
        ("CLOUD_ELEMENTS_USER_SECRET", config.cloud_elements.user_secret.expose_secret().to_owned()),
        (
            "CLOUD_ELEMENTS_ORGANIZATION_SECRET",
            config.cloud_elements.organization_secret.expose_secret().to_owned(),
        ),
    ] {
        command.env(name, value);
    }
    command
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_works_beside_a_gangway_that_serves_and_without_one() {
    let mut app = TestApp::start().await;
    for serving in [true, false] {
        if !serving {
            app.stop().await;
        }
        let output = command(&app, &["doctor"]).output().unwrap();
        let told = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(
            output.status.code(),
            Some(0),
            "serving: {serving}\n{told}{}",
            String::from_utf8_lossy(&output.stderr)
        );
        assert!(told.lines().all(|line| line.starts_with("pass")), "{told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn reconcile_as_a_command_tells_and_then_puts_right() {
    let app = TestApp::start().await;
    app.connected().await;
    assert_eq!(command(&app, &["reconcile"]).output().unwrap().status.code(), Some(0));
    sqlx::query("UPDATE instances SET name = 'an older name'").execute(&app.database().await).await.unwrap();
    let told = command(&app, &["reconcile"]).output().unwrap();
    assert_eq!(told.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&told.stdout).contains("renamed"));
    let done = command(&app, &["reconcile", "--apply"]).output().unwrap();
    assert_eq!(done.status.code(), Some(0), "{}", String::from_utf8_lossy(&done.stdout));
    assert_eq!(command(&app, &["reconcile"]).output().unwrap().status.code(), Some(0));
}
