//! Check, pause and resume of many instances at once.

use reqwest::StatusCode;
use serde_json::json;

use crate::app::{Browser, TestApp, location};
use crate::care::id_of;

/// So many are done in one step.
const STEP: usize = 8;

/// Connected instances, by the ends of their paths, and the operator.
async fn many(count: usize) -> (TestApp, Browser, Vec<String>) {
    let app = TestApp::start().await;
    let mut ids = Vec::new();
    for _ in 0..count {
        ids.push(id_of(&app.connected().await.1).to_owned());
        // So that they are in an order.
        app.clock.advance(time::Duration::MILLISECOND);
    }
    let operator = app.operator().await;
    (app, operator, ids)
}

/// Asks for an act and answers its page's path.
async fn ask(operator: &Browser, act: &str, form: &[(&str, &str)]) -> String {
    let answer = operator.form(&format!("/admin/bulk/{act}"), form).await;
    assert_eq!(answer.status(), StatusCode::SEE_OTHER);
    location(&answer)
}

async fn offers(operator: &Browser, query: &str) -> Vec<String> {
    operator.page(&format!("/admin/bulk/new{query}")).await.all("section h2")
}

async fn in_state(operator: &Browser, state: &str) -> usize {
    operator.page(&format!("/admin/instances?state={state}")).await.all("tbody tr").len()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_list_means_is_counted_then_paused_some_a_second_then_resumed() {
    let (app, operator, ids) = many(STEP + 2).await;
    let list = operator.page("/admin/instances?state=connected&sort=name").await;
    let link = list.attributes("main p.choices a", "href").into_iter().find(|link| link.contains("bulk"));
    assert_eq!(link.unwrap(), "/admin/bulk/new?state=connected", "what is asked for is in no order");
    assert_eq!(offers(&operator, "?state=connected").await, ["Check 10", "Pause 10", "None to resume"]);
    assert_eq!(in_state(&operator, "connected").await, 10, "counting does nothing");
    let page = ask(&operator, "pause", &[("state", "connected")]).await;
    operator.wait_for(&page, "8 of 10").await;
    assert_eq!(in_state(&operator, "connected").await, 2, "the others in the next second");
    app.clock.advance(time::Duration::SECOND);
    let done = operator.wait_for(&page, "10 of 10").await;
    assert_eq!((done.fact("State"), done.fact("In trouble")), ("done".to_owned(), "0".to_owned()));
    assert_eq!(in_state(&operator, "paused").await, 10);
    let own = operator.page(&format!("/admin/instances/{}", ids[3])).await;
    let timeline = own.one("ol.timeline");
    assert!(timeline.contains("Events were paused") && timeline.contains("Asked for by the operator"));
    assert!(timeline.contains(&done.fact("Reference")), "the same number stands on every line");
    let query = format!("?q={}", ids[3]);
    assert_eq!(offers(&operator, &query).await, ["Check 1", "None to pause", "Resume 1"]);
    let one = ask(&operator, "resume", &[("q", &ids[3])]).await;
    operator.wait_for(&one, "1 of 1").await;
    assert_eq!(in_state(&operator, "connected").await, 1);
    let all = operator.page("/admin/bulk").await;
    let rows = all.all("tbody tr");
    assert!(
        rows[0].contains("Resume") && rows[0].contains(&ids[3]) && rows[1].contains("10 of 10"),
        "{rows:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_upstream_refuses_and_what_a_check_finds_is_listed_with_its_reason() {
    let (app, operator, ids) = many(2).await;
    app.faults(json!({ "change_status": 403 })).await;
    let page = ask(&operator, "pause", &[]).await;
    let refused = operator.wait_for(&page, "2 of 2").await;
    assert_eq!(refused.fact("In trouble"), "2");
    assert_eq!(refused.text.matches("403: It cannot be changed now").count(), 2, "{}", refused.one("tbody"));
    let links = refused.attributes("tbody th a", "href");
    assert_eq!(links, [&ids[1], &ids[0]].map(|id| format!("/admin/instances/{id}")), "the newest first");
    assert_eq!(in_state(&operator, "connected").await, 2);
    app.faults(json!({})).await;
    app.revoke().await;
    let page = ask(&operator, "check", &[("events", "on")]).await;
    let checked = operator.wait_for(&page, "2 of 2").await;
    assert_eq!(checked.fact("In trouble"), "2");
    assert_eq!(in_state(&operator, "needs_attention").await, 2);
    let trail = operator.page("/admin/audit").await.one("tbody");
    assert!(trail.contains("bulk.check") && trail.contains("bulk.pause"), "{trail}");
}

#[tokio::test(flavor = "multi_thread")]
async fn it_goes_on_where_it_was_after_a_restart_and_can_be_stopped() {
    let (mut app, operator, _) = many(2 * STEP + 1).await;
    let page = ask(&operator, "pause", &[]).await;
    operator.wait_for(&page, "8 of 17").await;
    app.stop().await;
    app.start_again().await;
    let halfway = operator.wait_for(&page, "16 of 17").await;
    operator.form(&halfway.attributes("main form", "action").remove(0), &[]).await;
    app.clock.advance(time::Duration::HOUR);
    let stopped = operator.page(&page).await;
    assert_eq!((stopped.fact("State"), stopped.fact("Done")), ("stopped".into(), "16 of 17".into()));
    assert!(stopped.attributes("main form", "action").is_empty());
    assert_eq!(in_state(&operator, "connected").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_read_does_nothing() {
    let (_app, operator, _) = many(1).await;
    for form in
        [("state", "x"), ("events", "maybe"), ("silent", "1"), ("sort", "name"), ("tag", &"x".repeat(300))]
    {
        for act in ["check", "pause", "resume"] {
            let answer = operator.form(&format!("/admin/bulk/{act}"), &[form]).await;
            assert_eq!(answer.status(), StatusCode::BAD_REQUEST, "{form:?}");
        }
        let query = format!("/admin/bulk/new?{}={}", form.0, form.1);
        assert_eq!(operator.get(&query).await.status(), StatusCode::BAD_REQUEST, "{form:?}");
    }
    for nothing in ["/admin/bulk/x", "/admin/bulk/01a20a99-a8ce-7563-ba33-fbd382988f52"] {
        assert_eq!(operator.get(nothing).await.status(), StatusCode::NOT_FOUND);
    }
    assert!(operator.page("/admin/bulk").await.one("main").contains("Nothing was asked for yet"));
}
