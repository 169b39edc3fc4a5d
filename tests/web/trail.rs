//! The audit trail of what is not done in the console: by programs, and on the command line.

use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::program::Api;

#[tokio::test(flavor = "multi_thread")]
async fn what_a_program_does_stands_in_the_trail_with_its_keys_name_what_when_and_from_where() {
    let api = Api::start().await;
    let app = &api.one.app;
    let operator = app.operator().await;
    let with_key = |method: Method, path: &str| api.request(method, path).bearer_auth(&api.write);
    let made = with_key(Method::POST, "/api/v1/invites").json(&json!({ "customer": "Ada" }));
    let made = api.send(made).await;
    assert_eq!(made.status, StatusCode::CREATED);
    app.clock.advance(time::Duration::minutes(1));
    let check = format!("/api/v1/instances/{}/check", api.one.id);
    assert_eq!(api.send(with_key(Method::POST, &check)).await.status, StatusCode::OK);

    let trail = operator.get("/admin/audit.json?who=api%20key%20write").await.text().await.unwrap();
    let trail: serde_json::Value = serde_json::from_str(&trail).unwrap();
    let [checked, invited] = &trail["items"].as_array().unwrap()[..] else { panic!("{trail}") };
    assert_eq!((&checked["act"], &invited["act"]), (&json!("instance.check"), &json!("invite.create")));
    assert_eq!(checked["subject"], json!(api.one.id), "{checked}");
    assert_ne!(checked["at"], invited["at"]);
    for act in [checked, invited] {
        assert_eq!((&act["who"], &act["address"]), (&json!("api key write"), &json!("127.0.0.1")));
        assert_eq!(act["reference"].as_str().unwrap().len(), 9, "{act}");
    }
    let row = operator.page("/admin/audit?act=invite.create").await.one("tbody tr");
    assert!(row.contains("api key write") && row.contains("127.0.0.1"), "{row}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_may_only_look_leaves_no_act_behind() {
    let api = Api::start().await;
    let operator = api.one.app.operator().await;
    let refused =
        api.request(Method::POST, "/api/v1/invites").bearer_auth(&api.read).json(&json!({ "customer": "A" }));
    assert_eq!(api.send(refused).await.status, StatusCode::FORBIDDEN);
    let look = api.request(Method::GET, "/api/v1/invites").bearer_auth(&api.read);
    assert_eq!(api.send(look).await.status, StatusCode::OK);
    assert_eq!(operator.page("/admin/audit?act=invite.create").await.all("tbody tr").len(), 0);
}
