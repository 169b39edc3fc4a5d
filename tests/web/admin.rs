//! The console: the rows E of the threat list.

use argon2::password_hash::PasswordHasher;
use reqwest::{Method, StatusCode};

use crate::app::{TestApp, location, plain};

#[tokio::test(flavor = "multi_thread")]
async fn the_first_start_gives_a_link_that_works_once_and_survives_being_looked_at() {
    let mut app = TestApp::start().await;
    let link = app.sign_in_link.clone().unwrap();
    let (operator, late) = (app.browser(), app.browser());
    for _ in 0..3 {
        assert_eq!(
            late.page(&link).await.one("h1"),
            "Choose the console’s password",
            "previews use nothing up"
        );
    }
    for (password, again) in
        [("short", "short"), ("a long enough password", "another long password"), ("", "")]
    {
        let answer = operator.form(&link, &[("password", password), ("password_again", again)]).await;
        assert_eq!(answer.status(), StatusCode::UNPROCESSABLE_ENTITY);
    }
    let form = [("password", "a long enough password"), ("password_again", "a long enough password")];
    assert_eq!(location(&operator.form(&link, &form).await), "/admin");
    assert_eq!(operator.get("/admin/instances").await.status(), StatusCode::OK);
    assert_eq!(late.get(&link).await.status(), StatusCode::NOT_FOUND);
    assert_eq!(late.form(&link, &form).await.status(), StatusCode::NOT_FOUND);
    app.stop().await;
    app.start_again().await;
    assert_eq!(app.sign_in_link, None, "somebody can sign in now");
    let again = app.browser();
    let wrong = again.form("/admin/sign-in", &[("password", "a wrong password")]).await;
    assert_eq!(wrong.status(), StatusCode::UNAUTHORIZED);
    let right = again
        .form(
            "/admin/sign-in",
            &[("password", "a long enough password"), ("next", "/admin/instances?state=failed")],
        )
        .await;
    assert_eq!(location(&right), "/admin/instances?state=failed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_ends_after_a_day() {
    let app = TestApp::start().await;
    app.clock.advance(time::Duration::hours(25));
    assert_eq!(app.browser().get(app.sign_in_link.as_ref().unwrap()).await.status(), StatusCode::NOT_FOUND);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_of_the_settings_needs_no_link() {
    let hash = argon2::Argon2::default()
        .hash_password_with_salt(b"from the settings", &[7; 16])
        .unwrap()
        .to_string();
    let app = TestApp::with(|config| config.admin_password_hash = Some(hash)).await;
    assert_eq!(app.sign_in_link, None);
    let operator = app.browser();
    let answer = operator.form("/admin/sign-in", &[("password", "from the settings")]).await;
    assert_eq!(location(&answer), "/admin");
    assert_eq!(operator.get("/admin/instances").await.status(), StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operator_finds_every_instance_with_its_timeline() {
    let app = TestApp::start().await;
    let operator = app.operator().await;
    assert!(operator.page("/admin/instances").await.text.contains("No instance yet"));
    let (_, result) = app.connected().await;
    let (browser, denied) = (app.browser(), app.browser());
    denied.get(&denied.decide(&denied.start().await, "cancel").await).await;
    app.clock.advance(time::Duration::seconds(1));
    app.faults(serde_json::json!({ "gateway_down": true })).await;
    let lost = browser.connect().await;
    let page = operator.page("/admin/instances").await;
    assert_eq!(page.all("tbody tr").len(), 2, "a denial is no instance");
    assert!(page.all("tbody tr")[0].contains("unknown"));
    assert!(page.all("tbody tr")[1].contains("connected"));
    assert_eq!(operator.page("/admin/instances?state=connected").await.all("tbody tr").len(), 1);
    assert_eq!(operator.get("/admin/instances?state=nonsense").await.status(), StatusCode::BAD_REQUEST);
    let id = result.rsplit('/').next().unwrap();
    let page = operator.page(&format!("/admin/instances/{id}")).await;
    let steps = page.all(".timeline li");
    assert!(steps[0].contains("connected") && steps[1].contains("POST /instances answered 200"), "{steps:?}");
    assert!(steps[2].contains("granted"), "the newest first: {steps:?}");
    let reference = page.fact("Reference");
    assert!(steps.iter().all(|step| step.contains(&reference)), "the reference number leads here");
    let id = lost.rsplit('/').next().unwrap();
    assert!(
        operator
            .page(&format!("/admin/instances/{id}"))
            .await
            .one(".note.bad")
            .contains("looked up by its tag")
    );
    assert_eq!(
        operator.get(&lost).await.status(),
        StatusCode::OK,
        "the operator may see the customer's page"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn e12_without_a_session_no_route_of_the_console_shows_anything() {
    let app = TestApp::start().await;
    let stranger = app.browser();
    let routes = include_str!("../../src/web/mod.rs")
        .split("on(\"")
        .skip(1)
        .map(|rest| rest.split('"').next().unwrap());
    let console: Vec<String> = routes
        .filter(|route| route.starts_with("/admin") && !route.contains("sign-in"))
        .map(|route| route.replace("events/{id}", "events/1-0"))
        .map(|route| route.replace("{seq}", "1"))
        .map(|route| route.replace("{id}", "01a20a99-a8ce-7563-ba33-fbd382988f52"))
        .collect();
    assert!(console.len() >= 4, "{console:?}");
    let mut shown_after_signing_in = 0;
    for route in console.iter().filter(|route| !route.contains("sign-out")) {
        let answer = stranger.get(route).await;
        if answer.status() == StatusCode::SEE_OTHER {
            shown_after_signing_in += 1;
            assert!(location(&answer).starts_with("/admin/sign-in"), "{route}");
            assert!(answer.text().await.unwrap().len() < 10);
        } else {
            assert_eq!(answer.status(), StatusCode::METHOD_NOT_ALLOWED, "{route} takes forms only");
        }
        for method in [Method::POST, Method::DELETE, Method::PUT] {
            let status = stranger.send(method.clone(), route, None).await.status();
            assert!(status.is_client_error(), "{method} {route}: {status}");
        }
    }
    assert!(shown_after_signing_in >= 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn e04_a_form_of_another_site_is_refused() {
    let app = TestApp::start().await;
    let operator = app.operator().await;
    let cookie = operator.cookie().unwrap();
    let from = |name: &str, value: &str| {
        plain().post(format!("{}/admin/sign-out", app.origin)).header("Cookie", &cookie).header(name, value)
    };
    for (name, value) in [
        ("Sec-Fetch-Site", "cross-site"),
        ("Sec-Fetch-Site", "same-site"),
        ("Origin", "https://evil.example"),
        ("Origin", "null"),
        ("X-Nothing", "neither header, but a cookie"),
    ] {
        let answer = from(name, value).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::FORBIDDEN, "{name}: {value}");
        assert!(answer.headers().contains_key("content-security-policy"));
    }
    assert_eq!(operator.get("/admin/instances").await.status(), StatusCode::OK, "still signed in");
    assert_eq!(from("Sec-Fetch-Site", "same-origin").send().await.unwrap().status(), StatusCode::SEE_OTHER);
    assert_eq!(operator.get("/admin/instances").await.status(), StatusCode::SEE_OTHER, "signed out");
}

#[tokio::test(flavor = "multi_thread")]
async fn e08_e09_a_session_is_new_at_sign_in_and_ends_at_sign_out_and_with_time() {
    let mut app = TestApp::start().await;
    let planted = app.browser();
    planted.start().await;
    let victim = app.operator().await;
    assert_eq!(planted.get("/admin/instances").await.status(), StatusCode::SEE_OTHER);
    let stolen = app.browser();
    stolen.take_cookies_of(&victim);
    assert_eq!(stolen.get("/admin/instances").await.status(), StatusCode::OK);
    victim.form("/admin/sign-out", &[]).await;
    assert_eq!(stolen.get("/admin/instances").await.status(), StatusCode::SEE_OTHER, "after sign-out");
    victim.form("/admin/sign-in", &[("password", "a long enough password")]).await;
    app.stop().await;
    app.start_again().await;
    assert_eq!(victim.get("/admin/instances").await.status(), StatusCode::OK, "a restart keeps the session");
    app.clock.advance(time::Duration::hours(9));
    assert_eq!(victim.get("/admin/instances").await.status(), StatusCode::SEE_OTHER, "idle");
}

#[tokio::test(flavor = "multi_thread")]
async fn e06_sign_ins_are_limited_by_address() {
    let app = TestApp::with(|config| config.rate_limit_per_minute = 3).await;
    let browser = app.browser();
    for _ in 0..3 {
        assert_eq!(
            browser.form("/admin/sign-in", &[("password", "x")]).await.status(),
            StatusCode::UNAUTHORIZED
        );
    }
    let refused = browser.form("/admin/sign-in", &[("password", "x")]).await;
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    assert!(refused.headers()["retry-after"].to_str().unwrap().parse::<u64>().unwrap() > 0);
    let spoofed = plain().post(format!("{}/connect", app.origin)).header("X-Forwarded-For", "203.0.113.77");
    assert_eq!(
        spoofed.send().await.unwrap().status(),
        StatusCode::TOO_MANY_REQUESTS,
        "f03: a header changes nothing"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn e10_e19_cookies_are_host_bound_when_there_is_https() {
    let app = TestApp::with(|config| {
        config.public_url = gangway::config::PublicUrl::parse("https://connect.example.com").unwrap();
    })
    .await;
    let request = plain().post(format!("{}/connect", app.origin)).header("Sec-Fetch-Site", "same-origin");
    let answer = request.send().await.unwrap();
    let cookie = answer.headers()["set-cookie"].to_str().unwrap().to_owned();
    assert!(cookie.starts_with("__Host-gangway="), "{cookie}");
    for flag in ["Secure", "HttpOnly", "SameSite=Lax", "Path=/"] {
        assert!(cookie.contains(flag), "{flag} in {cookie}");
    }
    assert!(!cookie.contains("Domain") && cookie.len() < 4096);
    assert_eq!(answer.headers()["strict-transport-security"], "max-age=31536000; includeSubDomains");
}

#[tokio::test(flavor = "multi_thread")]
async fn e01_what_strangers_write_is_shown_as_text() {
    let app = TestApp::start().await;
    let operator = app.operator().await;
    let (_, result) = app.connected().await;
    let payload = r#""><script>alert(1)</script><img src=x onerror=alert(1)>"#;
    let database = app.database().await;
    sqlx::query("UPDATE instances SET name = $1, element = $1")
        .bind(payload)
        .execute(&database)
        .await
        .unwrap();
    sqlx::query("UPDATE timeline SET summary = $1, kind = $1")
        .bind(payload)
        .execute(&database)
        .await
        .unwrap();
    let id = result.rsplit('/').next().unwrap();
    for path in ["/admin/instances".to_owned(), format!("/admin/instances/{id}"), result] {
        let page = operator.page(&path).await;
        assert!(page.text.contains("&#60;script") || page.text.contains("&lt;script"), "{path}");
        assert!(!page.text.contains("<script>alert") && page.all("img[onerror]").is_empty(), "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn e14_a_forged_cursor_is_a_clear_error() {
    let app = TestApp::start().await;
    let operator = app.operator().await;
    for query in ["after=x", "after=-1", "state=connected&unknown=1", "after=%00"] {
        let page = operator.page(&format!("/admin/instances?{query}")).await;
        assert_eq!(page.status, StatusCode::BAD_REQUEST, "{query}");
    }
}
