//! `/api/v1/instances/{id}`: one instance and its verbs, for programs.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::program::{Answer, Api};

impl Api {
    async fn act(&self, method: Method, verb: &str) -> Answer {
        let path = format!("/api/v1/instances/{}{verb}", self.one.id);
        self.send(self.request(method, &path).bearer_auth(&self.write)).await
    }

    async fn instance(&self) -> Value {
        let answer = self.get(&format!("/api/v1/instances/{}", self.one.id)).await;
        assert_eq!(answer.status, StatusCode::OK);
        answer.json
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn upstreams_words_come_with_a_502_and_nothing_has_changed() {
    let api = Api::start().await;
    for (faults, code, words) in [
        (json!({ "change_status": 403 }), "upstream_trouble", "403: It cannot be changed now"),
        (json!({ "gateway_down": true }), "upstream_unclear", "Cloud Elements: "),
        (json!({ "change_garbage": true }), "upstream_unclear", "has not changed"),
    ] {
        api.one.app.faults(faults).await;
        let refused = api.act(Method::POST, "/pause").await;
        assert_eq!((refused.status, &refused.json["code"]), (StatusCode::BAD_GATEWAY, &json!(code)));
        assert!(refused.json["detail"].as_str().unwrap().contains(words), "{}", refused.json);
        assert_eq!(api.instance().await["state"], "connected");
    }
    let refused = api.act(Method::POST, "/check").await;
    assert_eq!(refused.status, StatusCode::OK, "only changes are refused now: {}", refused.json);
    api.one.app.faults(json!({ "gateway_down": true })).await;
    let refused = api.act(Method::POST, "/check").await;
    assert_eq!(
        (refused.status, &refused.json["code"]),
        (StatusCode::BAD_GATEWAY, &json!("upstream_trouble"))
    );
    let refused = api.act(Method::DELETE, "").await;
    assert_eq!(refused.status, StatusCode::BAD_GATEWAY);
    assert!(refused.json["detail"].as_str().unwrap().contains("tried again"), "{}", refused.json);
    assert_eq!(api.instance().await["state"], "disconnecting");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_verb_answers_with_the_instance_and_what_does_not_fit_with_its_state() {
    let api = Api::start().await;
    let paused = api.act(Method::POST, "/pause").await;
    assert_eq!((paused.status, &paused.json["state"]), (StatusCode::OK, &json!("paused")));
    assert_eq!(paused.json["events_enabled"], false);
    assert_eq!(api.act(Method::POST, "/pause").await.status, StatusCode::OK, "twice is once");
    let link = api.act(Method::POST, "/reconnect-link").await;
    assert_eq!((link.status, &link.json["code"]), (StatusCode::CONFLICT, &json!("conflict")));
    assert_eq!(link.json["detail"], "The instance is paused.");
    let resumed = api.act(Method::POST, "/resume").await;
    assert_eq!(
        (&resumed.json["state"], &resumed.json["events_enabled"]),
        (&json!("connected"), &json!(true))
    );
    let link = api.act(Method::POST, "/reconnect-link").await;
    assert!(link.json["url"].as_str().unwrap().contains("/reconnect/") && link.json["id"] == api.one.id);
    let checked = api.act(Method::POST, "/check").await;
    assert!(checked.json["last_checked_at"].is_string() && checked.json["problem"].is_null());
    api.one.app.revoke().await;
    let checked = api.act(Method::POST, "/check").await;
    assert_eq!(checked.json["state"], "needs_attention");
    assert_eq!(checked.json["problem"]["code"], "access_revoked");
    assert_eq!(api.act(Method::POST, "/pause").await.status, StatusCode::CONFLICT);
    let gone = api.act(Method::DELETE, "").await;
    assert_eq!((gone.status, &gone.json["state"]), (StatusCode::OK, &json!("disconnected")));
    for verb in ["/pause", "/resume", "/check"] {
        let refused = api.act(Method::POST, verb).await;
        assert_eq!(
            (refused.status, &refused.json["detail"]),
            (StatusCode::CONFLICT, &json!("The instance is disconnected."))
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_timeline_comes_in_parts_and_says_who_asked() {
    let api = Api::start().await;
    api.act(Method::POST, "/pause").await;
    api.act(Method::POST, "/resume").await;
    let path = format!("/api/v1/instances/{}/timeline", api.one.id);
    let whole = api.get(&path).await;
    let mut parts = Vec::new();
    let mut next = String::new();
    loop {
        let part = api.get(&format!("{path}?limit=2{next}")).await;
        parts.extend(part.items().to_vec());
        match part.json["next"].as_str() {
            Some(cursor) => next = format!("&cursor={cursor}"),
            None => break,
        }
    }
    assert_eq!(parts, whole.items());
    assert_eq!(whole.items()[0]["kind"], "resumed");
    assert!(whole.items()[0]["summary"].as_str().unwrap().ends_with("Asked for by the API key “write”."));
    for (query, code) in
        [("?limit=0", "bad_parameter"), ("?cursor=x", "bad_parameter"), ("?q=1", "unknown_parameter")]
    {
        assert_eq!(api.get(&format!("{path}{query}")).await.json["code"], code);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_for_reading_changes_nothing_and_what_is_not_there_is_a_404() {
    let api = Api::start().await;
    let path = format!("/api/v1/instances/{}", api.one.id);
    for (method, verb) in [
        (Method::POST, "/pause"),
        (Method::POST, "/resume"),
        (Method::POST, "/check"),
        (Method::POST, "/reconnect-link"),
        (Method::DELETE, ""),
    ] {
        let with = |path: &str, key: &str| {
            api.send(api.request(method.clone(), &format!("{path}{verb}")).bearer_auth(key))
        };
        assert_eq!(with(&path, &api.read).await.status, StatusCode::FORBIDDEN, "{verb}");
        for missing in ["01a20a99-a8ce-7563-ba33-fbd382988f52", "nonsense"] {
            let answer = with(&format!("/api/v1/instances/{missing}"), &api.write).await;
            assert_eq!(answer.status, StatusCode::NOT_FOUND, "{verb} {missing}");
        }
    }
    assert_eq!(api.instance().await["state"], "connected");
    for missing in ["/api/v1/instances/nonsense", "/api/v1/instances/nonsense/timeline"] {
        assert_eq!(api.get(missing).await.status, StatusCode::NOT_FOUND);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_and_tags_are_given_and_where_one_cannot_be_used_nothing_changes() {
    let api = Api::start().await;
    let amend = async |body: Value| {
        let path = format!("/api/v1/instances/{}", api.one.id);
        api.send(api.request(Method::PATCH, &path).bearer_auth(&api.write).json(&body)).await
    };
    let named = amend(json!({ "name": " Ada's <Bakery> ", "tags": ["eu", "eu"] })).await;
    assert_eq!((named.status, &named.json["name"]), (StatusCode::OK, &json!("Ada's <Bakery>")));
    assert_eq!(named.json["tags"], json!(["eu"]));
    for (body, field) in [
        (json!({ "name": "" }), "name"),
        (json!({ "name": "New", "tags": ["a,b"] }), "tags"),
        (json!({ "tags": ["gangway-x"] }), "tags"),
    ] {
        let refused = amend(body).await;
        assert_eq!(
            (refused.status, &refused.json["field"]),
            (StatusCode::UNPROCESSABLE_ENTITY, &json!(field))
        );
    }
    for body in [json!({ "state": "paused" }), json!({ "name": 7 }), json!([])] {
        assert_eq!(amend(body).await.status, StatusCode::BAD_REQUEST);
    }
    let nothing = amend(json!({ "name": null })).await;
    assert_eq!((nothing.status, &nothing.json), (StatusCode::OK, &api.instance().await));
    assert_eq!(nothing.json["name"], "Ada's <Bakery>");
    api.one.app.faults(json!({ "change_status": 403 })).await;
    assert_eq!(amend(json!({ "tags": [] })).await.json["tags"], json!([]), "here it holds all the same");
    let lines = api.get(&format!("/api/v1/instances/{}/timeline", api.one.id)).await;
    let last = lines.items()[0]["summary"].as_str().unwrap();
    assert!(last.contains("was not told so (") && last.contains("the API key “write”"), "{last}");
}

#[tokio::test(flavor = "multi_thread")]
async fn audiences_are_told_and_made_to_report_and_what_waits_is_asked_for() {
    let api = Api::start().await;
    let path = format!("/api/v1/instances/{}/audiences", api.one.id);
    let listed = api.get(&path).await;
    let first = listed.items()[0].clone();
    assert!(first["name"].is_string() && first["id"].is_string(), "{first}");
    for body in [json!({ "audiences": [] }), json!({ "audiences": vec!["x"; 201] })] {
        assert_eq!(api.post(&path, &body).await.status, StatusCode::UNPROCESSABLE_ENTITY);
    }
    let all: Vec<&str> = listed.items().iter().map(|one| one["id"].as_str().unwrap()).collect();
    let reporting = api.post(&path, &json!({ "audiences": all })).await;
    assert!(reporting.items().iter().all(|one| one["reports"] == "yes"), "{}", reporting.json);
    assert_eq!(api.act(Method::POST, "/missed-events").await.status, StatusCode::ACCEPTED);
    api.one.app.faults(json!({ "gateway_down": true })).await;
    assert_eq!(api.get(&path).await.status, StatusCode::BAD_GATEWAY);
    api.one.app.faults(json!({})).await;
    api.act(Method::DELETE, "").await;
    for (method, verb) in [(Method::GET, "/audiences"), (Method::POST, "/missed-events")] {
        assert_eq!(api.act(method, verb).await.status, StatusCode::CONFLICT, "{verb}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_list_is_filtered_by_events_and_silence_too() {
    let api = Api::start().await;
    for (query, count) in
        [("events=on", 1), ("events=off", 0), ("silent=yes", 0), ("events=on&state=paused", 0)]
    {
        let answer = api.get(&format!("/api/v1/instances?{query}")).await;
        assert_eq!(answer.items().len(), count, "{query}");
    }
    api.act(Method::POST, "/pause").await;
    assert_eq!(api.get("/api/v1/instances?events=off").await.items().len(), 1);
}
