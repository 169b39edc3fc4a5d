//! Whose page it is: what belongs to one browser is nobody else's, whatever they ask for.

use reqwest::{Method, StatusCode};

use crate::app::{TestApp, location};

/// The customer's routes that name something of theirs, from the router.
fn routes() -> Vec<&'static str> {
    let all = include_str!("../../src/web/mod.rs").split("on(\"").skip(1);
    let all = all.map(|rest| rest.split('"').next().unwrap());
    all.filter(|route| route.contains("{id}") && !route.starts_with("/admin") && !route.starts_with("/api"))
        .filter(|route| !route.starts_with("/events"))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn e13_another_customers_address_is_a_404_for_every_route_and_method() {
    let app = TestApp::start().await;
    let (owner, result) = app.connected().await;
    let denied = owner.decide(&owner.start().await, "cancel").await;
    let denied = location(&owner.get(&denied).await);
    assert!(denied.starts_with("/authorization-requests/"), "{denied}");
    // Somebody with a connection of their own, and somebody with nothing.
    let (other, _) = app.connected().await;
    let before = app.ledger().await["ledger"].clone();
    assert!(routes().len() >= 6, "{:?}", routes());
    for route in routes() {
        let id = if route.starts_with("/instances") { &result } else { &denied };
        let address = route.replace("{id}", id.rsplit('/').next().unwrap());
        for method in [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
            for stranger in [&other, &app.browser()] {
                let status = stranger.send(method.clone(), &address, None).await.status();
                assert!(status.is_client_error(), "{method} {address}: {status}");
            }
        }
    }
    for address in [&result, &denied] {
        assert_eq!(other.get(address).await.status(), StatusCode::NOT_FOUND);
        assert_eq!(owner.get(address).await.status(), StatusCode::OK);
    }
    assert_eq!(app.ledger().await["ledger"], before, "nothing was done");
    assert_eq!(owner.headline(&result).await, "MailChimp is connected");
}

#[tokio::test(flavor = "multi_thread")]
async fn f10_whoever_speaks_http_2_gets_one_answer_and_the_next_is_served() {
    let app = TestApp::start().await;
    for preface in ["PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "GET / HTTP/2.0\r\nHost: x\r\n\r\n"] {
        let answer = crate::http::raw(&app, preface).await;
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{preface:?}: {answer}");
    }
    assert_eq!(app.browser().get("/").await.status(), StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn f20_in_twenty_years_everything_still_works_in_utc() {
    let app = TestApp::start().await;
    let operator = app.operator().await;
    // Beyond 2038, and into a leap year.
    app.clock.advance(time::Duration::days(365 * 21 + 100));
    let (browser, result) = app.connected().await;
    app.add_contact("late@reader.example").await;
    browser.wait_for(&result, "First event received").await;
    let form = [("password", "a long enough password")];
    assert_eq!(operator.form("/admin/sign-in", &form).await.status(), StatusCode::SEE_OTHER);
    let times = operator.page("/admin/events").await.attributes("tbody td time", "datetime");
    assert!(times[0].starts_with("2048-") && times[0].ends_with('Z'), "{times:?}");
    let filtered = operator.page("/admin/events?from=2048-01-01T00:00&to=2049-01-01T00:00").await;
    assert_eq!(filtered.all("tbody tr").len(), 1);
}
