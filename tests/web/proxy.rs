//! The proxy in front: nginx runs with the lines of docs/operations.md, and what Gangway promises holds through it.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};

use gangway::config::PublicUrl;
use reqwest::StatusCode;
use serde_json::json;
use tempfile::TempDir;

use crate::app::{TestApp, plain};
use crate::events::{Connected, notification};

/// An nginx that is gone with it.
struct Nginx {
    process: Child,
    _folder: TempDir,
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The right column of the documented sample.
fn documented() -> String {
    let docs = include_str!("../../docs/operations.md");
    let sample = docs.split("```").find(|part| part.contains("# nginx")).unwrap();
    let at = sample.lines().find_map(|line| line.find("# nginx")).unwrap();
    sample.lines().filter_map(|line| line.get(at..)).skip(1).collect::<Vec<_>>().join("\n")
}

/// Gangway behind it, reached through it. Without TLS, which takes a certificate.
async fn behind_nginx() -> Option<(TestApp, Nginx)> {
    if Command::new("nginx").arg("-v").stderr(Stdio::null()).status().is_err() {
        assert!(!on_the_gate(), "nginx is missing");
        eprintln!("SKIPPED: nginx is not installed");
        return None;
    }
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let address = format!("http://127.0.0.1:{port}");
    let mut app = TestApp::with(|config| {
        config.public_url = PublicUrl::parse(&address).unwrap();
        config.trusted_proxies = vec!["127.0.0.1/32".parse().unwrap()];
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().display();
    let server = documented()
        .replace("listen 443 ssl", &format!("listen 127.0.0.1:{port}"))
        .replace("http://127.0.0.1:8080", &app.origin);
    let paths = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
    let paths: String = paths.iter().map(|name| format!("{name}_temp_path {place}/{name}; ")).collect();
    let whole = format!(
        "daemon off; master_process off; pid {place}/pid; error_log {place}/error.log; events {{}} http {{ access_log off; {paths} {server} }}"
    );
    std::fs::write(folder.path().join("nginx.conf"), whole).unwrap();
    let mut command = Command::new("nginx");
    command.arg("-c").arg(folder.path().join("nginx.conf")).stderr(Stdio::null());
    let process = command.spawn().unwrap();
    while plain().get(&address).send().await.is_err() {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    app.origin = address;
    Some((app, Nginx { process, _folder: folder }))
}

fn on_the_gate() -> bool {
    std::env::var_os("CI").is_some()
}

#[tokio::test(flavor = "multi_thread")]
async fn f17_behind_the_documented_proxy_a_customer_connects_events_come_and_live_pages_live() {
    let Some((app, _nginx)) = behind_nginx().await else { return };
    let one = Connected::of(app).await;
    let feed = one.browser.page(&one.page).await.attributes("main", "data-feed").remove(0);
    let mut live = one.browser.get(&feed).await;
    assert_eq!(live.headers()["content-type"], "text/event-stream; charset=utf-8");
    assert_eq!(one.send(notification("1")).await.status(), StatusCode::OK);
    let mut heard = String::new();
    while !heard.contains("event: changed") {
        heard += &String::from_utf8_lossy(&live.chunk().await.unwrap().expect("it is not held back"));
    }
    let large = json!({ "id": "2", "message": { "events": [], "raw": "x".repeat(12 * 1024 * 1024) } });
    assert_eq!(one.send(large.to_string()).await.status(), StatusCode::OK, "as large as we take");
    one.browser.wait_for(&one.page, "First event received").await;
    let forged = one.client.get(&one.app.origin).header("X-Forwarded-Host", "evil.example");
    let page = forged.send().await.unwrap().text().await.unwrap();
    assert!(!page.contains("evil.example"));
}
