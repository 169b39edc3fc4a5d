//! What every answer carries, and what the wire may not do: the rows F of the threat list.

use std::time::Duration;

use reqwest::{Method, StatusCode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::app::{TestApp, plain};

#[tokio::test(flavor = "multi_thread")]
async fn e11_e18_every_answer_is_hardened_refusals_included() {
    let app = TestApp::with(|config| config.rate_limit_per_minute = 1).await;
    let browser = app.browser();
    browser.form("/connect", &[]).await;
    let asset = browser.page("/").await.attributes("link[rel=stylesheet]", "href").remove(0);
    for (method, path) in [
        (Method::GET, "/"),
        (Method::HEAD, "/"),
        (Method::POST, "/"),
        (Method::POST, "/connect"),
        (Method::GET, "/nothing"),
        (Method::GET, "/oauth/callback?code=x"),
        (Method::GET, "/instances/x"),
        (Method::GET, "/admin/instances"),
        (Method::GET, "/admin/sign-in"),
        (Method::POST, "/events/x"),
        (Method::GET, "/api/v1/events"),
        (Method::GET, "/api/v1/openapi.json"),
        (Method::PUT, "/api/v1/endpoints"),
        (Method::GET, "/api/nothing"),
        (Method::GET, "/healthz"),
        (Method::GET, "/readyz"),
        (Method::GET, "/metrics"),
        (Method::GET, asset.as_str()),
        (Method::TRACE, "/"),
    ] {
        let answer = browser.send(method.clone(), path, None).await;
        let header = |name: &str| {
            answer.headers().get(name).map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default()
        };
        let policy = header("content-security-policy");
        assert!(policy.starts_with("default-src 'none'"), "{method} {path}: {policy}");
        assert!(policy.contains("frame-ancestors 'none'") && policy.contains("base-uri 'none'"));
        assert!(
            policy.contains(&format!("form-action 'self' {}", app.simulator)) && !policy.contains("unsafe")
        );
        assert_eq!(header("x-content-type-options"), "nosniff", "{method} {path}");
        assert_eq!(header("referrer-policy"), "no-referrer");
        assert_eq!(header("x-frame-options"), "DENY");
        assert_eq!(header("cross-origin-opener-policy"), "same-origin");
        assert_eq!(header("strict-transport-security"), "", "no HSTS on plain http");
        let kept = if path == asset { "public, max-age=31536000, immutable" } else { "no-store" };
        assert_eq!(header("cache-control"), kept, "{method} {path}");
        assert_eq!(header("server"), "");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn f03_forged_headers_change_no_address_of_ours() {
    let app = TestApp::start().await;
    let request = plain()
        .post(format!("{}/connect", app.origin))
        .header("Host", "evil.example")
        .header("X-Forwarded-Host", "evil.example")
        .header("X-Forwarded-Proto", "gopher")
        .header("X-Forwarded-Uri", "/admin");
    let answer = request.send().await.unwrap();
    let target = answer.headers()["location"].to_str().unwrap();
    assert!(target.starts_with(&app.simulator) && !target.contains("evil"), "{target}");
}

pub async fn raw(app: &TestApp, request: &str) -> String {
    let mut stream = tokio::net::TcpStream::connect(app.origin.trim_start_matches("http://")).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let _ = tokio::time::timeout(Duration::from_secs(3), stream.read_to_end(&mut answer)).await;
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn f07_a_request_that_two_readers_would_frame_differently_gets_one_refusal() {
    let app = TestApp::start().await;
    for head in [
        "Content-Length: 4\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 4",
        "Content-Length: 4\r\nContent-Length: 5",
        "Content-Length: +4",
        "Content-Length: -1",
        "Content-Length : 4",
        "Transfer-Encoding: xchunked",
        "Transfer-Encoding: chunked, identity",
    ] {
        let smuggled = "0\r\n\r\nGET /healthz HTTP/1.1\r\nHost: x\r\n\r\n";
        let answer =
            raw(&app, &format!("POST /connect HTTP/1.1\r\nHost: x\r\n{head}\r\n\r\n{smuggled}")).await;
        assert!(answer.matches("HTTP/1.1 ").count() <= 1, "{head}: {answer}");
        assert!(!answer.contains("\r\n\r\nok\n"), "{head}: the smuggled request was answered");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_never_ends_or_never_fits_is_dropped() {
    let app = TestApp::with(|config| config.limits.head_deadline = Duration::from_millis(1500)).await;
    let answer = raw(&app, "GET / HTTP/1.1\r\nHost: x\r\nX-Slow: ").await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 408"), "{answer}");
    let huge = format!("GET / HTTP/1.1\r\nHost: x\r\nX-Large: {}\r\n\r\n", "x".repeat(400_000));
    let answer = raw(&app, &huge).await;
    assert!(!answer.contains("200 OK"), "{answer}");
    assert_eq!(app.browser().get("/").await.status(), StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn f15_operations_say_what_is_needed_and_no_more() {
    let app = TestApp::start().await;
    let (_, _) = app.connected().await;
    assert_eq!(
        plain().get(format!("{}/healthz", app.origin)).send().await.unwrap().text().await.unwrap(),
        "ok\n"
    );
    assert_eq!(plain().get(format!("{}/readyz", app.origin)).send().await.unwrap().status(), StatusCode::OK);
    let metrics = plain().get(format!("{}/metrics", app.origin)).send().await.unwrap().text().await.unwrap();
    for name in [
        "gangway_requests_total",
        "gangway_starts_total",
        "gangway_authorization_requests_total",
        "gangway_instances_total",
        "gangway_upstream_seconds",
        "gangway_writer_group_size",
    ] {
        assert!(metrics.contains(name), "{name} in {metrics}");
    }
    assert!(!metrics.contains("0.1.0"), "no version");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_has_one_heading_a_title_and_forms_that_lead_somewhere() {
    let app = TestApp::start().await;
    let operator = app.operator().await;
    let (_, result) = app.connected().await;
    let id = result.rsplit('/').next().unwrap();
    for path in [
        "/",
        "/nothing",
        "/oauth/callback",
        "/admin/sign-in",
        "/admin/instances",
        &format!("/admin/instances/{id}"),
        "/admin/events",
        &result,
    ] {
        let page = operator.page(path).await;
        assert!(!page.one("h1").is_empty() && !page.one("head title").is_empty(), "{path}");
        assert_eq!(page.attributes("html", "lang"), ["en"]);
        assert_eq!(page.all("main").len(), 1, "{path}");
        assert!(
            page.all("style, [style], [onclick]").is_empty(),
            "the policy forbids inline style and script"
        );
        for action in page.attributes("form", "action") {
            let answer = operator.send(Method::GET, &action, None).await;
            assert_ne!(answer.status(), StatusCode::NOT_FOUND, "{path} has a form that leads to {action}");
        }
        for asset in page.attributes("link[href], script[src], img[src]", "href") {
            assert_eq!(operator.get(&asset).await.status(), StatusCode::OK, "{asset}");
        }
    }
}
