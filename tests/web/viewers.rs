//! What a viewer finds in the console: every page to look at, and on none of them anything that acts.

use std::collections::BTreeSet;

use reqwest::StatusCode;

use crate::app::{Browser, Page, TestApp, location};
use crate::events::{Connected, notification};
use crate::operators::add;
use crate::receiver::{Mood, Receiver};

const LOOKS: &str = "This sign-in may look at everything and change nothing.";

/// The routes of the console that answer to `verb`.
fn routes(verb: &str) -> Vec<&'static str> {
    let parts = include_str!("../../src/web/mod.rs").split("on(\"").skip(1);
    let answering = parts.filter(|rest| rest.split(".service").next().unwrap().contains(verb));
    let named = answering.map(|rest| rest.split('"').next().unwrap());
    named.filter(|route| route.starts_with("/admin") && !route.contains("sign-in")).collect()
}

/// A page for every route that takes an id.
async fn filled(one: &Connected, operator: &Browser) -> Vec<(&'static str, String)> {
    let receiver = Receiver::start(Mood::Good(0)).await;
    operator.form("/admin/endpoints", &[("url", &receiver.url)]).await;
    one.send(notification("n-1")).await;
    receiver.until(1).await;
    operator.form("/admin/invites", &[("customer", "Ada")]).await;
    let bulk = location(&operator.form("/admin/bulk/check", &[]).await);
    let instance = format!("/admin/instances/{}", one.id);
    let shown = operator.page(&instance).await;
    let line = shown.attributes(".timeline li", "id").remove(0).replace("line-", "");
    let mut pages = vec![
        ("/admin/instances/{id}", instance),
        ("/admin/bulk/{id}", bulk),
        ("/admin/references/{reference}", shown.attributes(".timeline a", "href").remove(0)),
        ("{line}", line),
    ];
    for (route, list) in [
        ("/admin/events/{id}", "/admin/events"),
        ("/admin/deliveries/{seq}", "/admin/deliveries"),
        ("/admin/endpoints/{id}", "/admin/endpoints"),
        ("/admin/invites/{id}", "/admin/invites"),
    ] {
        let links = operator.page(list).await.attributes("main tbody th a", "href");
        pages.push((route, links.into_iter().next().unwrap_or_else(|| panic!("{list} is empty"))));
    }
    pages
}

fn concrete(route: &str, pages: &[(&'static str, String)]) -> String {
    pages.iter().fold(route.to_owned(), |path, (part, real)| path.replace(part, real))
}

/// Every page of the console, by its route, as `who` sees it.
async fn seen_by(who: &Browser, pages: &[(&'static str, String)]) -> Vec<(&'static str, Page)> {
    let mut seen = Vec::new();
    // The feed has no end.
    for route in routes("get()").into_iter().filter(|route| !route.ends_with("/feed")) {
        let answer = who.get(&concrete(route, pages)).await;
        let status = answer.status();
        assert!(status.as_u16() < 404, "{route}: {status}");
        seen.push((route, Page { status, text: answer.text().await.unwrap() }));
    }
    seen
}

/// Where the forms of these pages lead.
fn acts(seen: &[(&'static str, Page)]) -> BTreeSet<String> {
    seen.iter().flat_map(|(_, page)| page.attributes("form[method=post]", "action")).collect()
}

/// Nothing acts but what is one's own; nothing leads to a page that is a form; and it is said, once.
fn is_for_looking(route: &'static str, page: Page, closed: &[String]) {
    for link in page.attributes("a", "href") {
        let path = link.split('?').next().unwrap().to_owned();
        assert!(!closed.contains(&path), "{route} leads to {link}");
    }
    if page.status == StatusCode::OK && page.text.contains("<html") {
        assert_eq!(page.text.matches(LOOKS).count(), 1, "{route}");
    }
    for act in acts(&[(route, page)]) {
        let own = ["/admin/sign-out", "/admin/password", "/admin/sessions/"];
        assert!(own.iter().any(|own| act.starts_with(own)), "{route} offers {act}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_page_offers_a_viewer_an_act() {
    let app = TestApp::start().await;
    let operator = app.operator().await;
    let viewer = add(&app, &operator, "erika", "viewer").await;
    let one = Connected::of(app).await;
    let pages = filled(&one, &operator).await;
    let seen = seen_by(&viewer, &pages).await;
    let mut closed = Vec::new();
    for (route, page) in seen.iter().filter(|(_, page)| page.status == StatusCode::FORBIDDEN) {
        assert_eq!(page.one("h1"), "You may look here, not act", "{route}");
        closed.push(concrete(route, &pages));
    }
    let ends = ["/name", "/bulk/new", "/disconnect", "/delete", "/redeliveries/new"];
    assert!(closed.len() == ends.len() && closed.iter().zip(ends).all(|(path, end)| path.ends_with(end)));
    for (route, page) in seen {
        is_for_looking(route, page, &closed);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_misses_no_act_and_is_not_told_of_looking() {
    let app = TestApp::start().await;
    let operator = app.operator().await;
    add(&app, &operator, "erika", "viewer").await;
    let one = Connected::of(app).await;
    let mut pages = filled(&one, &operator).await;
    let mut seen = seen_by(&operator, &pages).await;
    let again = "/admin/redeliveries/new?state=delivered";
    seen.push((again, operator.wait_for(again, "One delivery fits").await));
    assert!(seen.iter().all(|(_, page)| page.status != StatusCode::FORBIDDEN && !page.text.contains(LOOKS)));
    let offered = acts(&seen);
    let erika = offered.iter().find_map(|act| act.strip_suffix("/role")).unwrap();
    pages.push(("/admin/operators/{id}", erika.to_owned()));
    let own = ["/sign-out", "/password", "/sessions"];
    let others = routes("post()").into_iter().filter(|route| !own.iter().any(|own| route.contains(own)));
    let missing = others.filter(|route| !offered.contains(&concrete(route, &pages)));
    // These are offered in a state that nothing is in here.
    let other_times = ["resume", "missed-events", "switch-on", "stop"];
    let missing: Vec<_> =
        missing.filter(|route| !other_times.iter().any(|end| route.ends_with(end))).collect();
    assert!(missing.is_empty(), "not offered: {missing:?}");
}
