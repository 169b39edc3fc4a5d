//! Several operators: roles, sessions, throttled sign-ins, and the trail of every act.

use reqwest::StatusCode;

use crate::app::{Browser, TestApp, location};

const PASSWORD: &str = "seven grey elephants";

/// Adds somebody and signs them in by their link.
pub async fn add(app: &TestApp, operator: &Browser, name: &str, role: &str) -> Browser {
    let answer = operator.form("/admin/operators", &[("name", name), ("role", role)]).await;
    assert_eq!(answer.status(), StatusCode::OK);
    let text = answer.text().await.unwrap();
    let link = text.split("first-sign-in/").nth(1).unwrap().split('<').next().unwrap();
    let browser = app.browser();
    let form = [("password", PASSWORD), ("password_again", PASSWORD)];
    let answer = browser.form(&format!("/admin/first-sign-in/{link}"), &form).await;
    assert_eq!(location(&answer), "/admin");
    browser
}

/// What a form asks for: one that cannot be read is a 400, and nothing happens.
fn fields(route: &str) -> &'static [(&'static str, &'static str)] {
    match route {
        "/admin/instances/{id}/tags" => &[("tags", "x")],
        "/admin/invites" => &[("customer", "Max")],
        route if ["redeliveries", "/bulk", "{id}/revoke"].iter().any(|part| route.contains(part)) => &[],
        _ => &[("name", "max"), ("role", "viewer"), ("url", "http://127.0.0.1:9/"), ("rate", "1")],
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_viewer_looks_and_no_post_of_the_console_does_anything_for_one_but_every_one_is_recorded() {
    let app = TestApp::start().await;
    let operator = app.operator().await;
    let viewer = add(&app, &operator, "erika", "viewer").await;
    let mut tried = 0;
    for rest in include_str!("../../src/web/mod.rs").split("on(\"").skip(1) {
        let route = rest.split('"').next().unwrap();
        let own = ["sign-in", "sign-out", "/password", "/sessions"].iter().any(|own| route.contains(own));
        if !route.starts_with("/admin/") || own || !rest.split(".service").next().unwrap().contains("post()")
        {
            continue;
        }
        let path = route.replace("{seq}", "1").replace("{id}", "01a20a99-a8ce-7563-ba33-fbd382988f52");
        let form = fields(route);
        let before = count(&app).await;
        let answer = viewer.form(&path, form).await;
        assert_eq!(answer.status(), StatusCode::FORBIDDEN, "{route}");
        assert_eq!(count(&app).await, before + 1, "{route} is recorded as refused");
        operator.form(&path, form).await;
        assert!(count(&app).await > before + 1, "{route} is recorded");
        tried += 1;
    }
    assert!(tried >= 12, "{tried}");
    for page in ["/admin/instances", "/admin/operators", "/admin/sessions", "/admin/audit", "/admin/password"]
    {
        assert_eq!(viewer.get(page).await.status(), StatusCode::OK, "{page}");
    }
    let trail = operator.page("/admin/audit?who=erika&act=instance.check.refused").await;
    assert_eq!(trail.all("tbody tr").len(), 1);
    let export = operator.get("/admin/audit.json").await.text().await.unwrap();
    let export: serde_json::Value = serde_json::from_str(&export).unwrap();
    assert_eq!(i64::try_from(export["items"].as_array().unwrap().len()).unwrap(), count(&app).await);
    assert!(
        operator
            .get("/admin/audit.csv")
            .await
            .text()
            .await
            .unwrap()
            .contains("\"operator.add\",\"erika (viewer)\"")
    );
}

async fn count(app: &TestApp) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM audit").fetch_one(&app.database().await).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn e09_a_new_password_and_a_removal_end_sessions_everywhere() {
    let app = TestApp::start().await;
    let operator = app.operator().await;
    let erika = add(&app, &operator, "erika", "operator").await;
    let stolen = app.browser();
    stolen.form("/admin/sign-in", &[("name", "erika"), ("password", PASSWORD)]).await;
    assert_eq!(stolen.get("/admin/instances").await.status(), StatusCode::OK);
    let new = "eight green crocodiles";
    let form = [("current", PASSWORD), ("password", new), ("password_again", new)];
    assert_eq!(location(&erika.form("/admin/password", &form).await), "/admin/sessions");
    assert_eq!(stolen.get("/admin/instances").await.status(), StatusCode::SEE_OTHER);
    let page = operator.page("/admin/operators").await.text;
    let path = page.split("/admin/operators/").nth(1).unwrap().split('/').next().unwrap().to_owned();
    operator.form(&format!("/admin/operators/{path}/remove"), &[]).await;
    assert_eq!(erika.get("/admin/instances").await.status(), StatusCode::SEE_OTHER);
}

#[tokio::test(flavor = "multi_thread")]
async fn e06_guessing_slows_strangers_down_and_never_locks_a_known_browser_out() {
    let app = TestApp::start().await;
    let operator = app.operator().await;
    operator.form("/admin/sign-out", &[]).await;
    let mut statuses = Vec::new();
    for name in ["operator", "nobody"] {
        for _ in 0..7 {
            let form = [("name", name), ("password", "a guess")];
            statuses.push(app.browser().form("/admin/sign-in", &form).await.status());
        }
    }
    assert_eq!(statuses[..5], [StatusCode::UNAUTHORIZED; 5]);
    assert_eq!(statuses[5..], [StatusCode::TOO_MANY_REQUESTS; 9]);
    let answer = operator.form("/admin/sign-in", &[("password", "a long enough password")]).await;
    assert_eq!(location(&answer), "/admin");
}
