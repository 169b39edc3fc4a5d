//! `Idempotency-Key`: asking again acts no second time.

use gangway::storage::Scope;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::app::TestApp;
use crate::program::{Answer, Api, key};

const ENDPOINTS: &str = "/api/v1/endpoints";

async fn asked(api: &Api, key: &str, name: &str, body: &Value) -> Answer {
    let request = api.request(Method::POST, ENDPOINTS).bearer_auth(key).header("Idempotency-Key", name);
    api.send(request.json(body)).await
}

fn wanted() -> Value {
    json!({ "url": "http://127.0.0.1:9/" })
}

async fn count(api: &Api) -> usize {
    api.get(ENDPOINTS).await.items().len()
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_hundred_at_once_one_acts_and_all_are_told_the_same() {
    let api = Api::start().await;
    let crowd = (0..100).map(|_| async {
        loop {
            let answer = asked(&api, &api.write, "same", &wanted()).await;
            if answer.status != StatusCode::CONFLICT {
                return answer;
            }
            assert_eq!(answer.json["code"], "idempotency_key_in_use");
            assert_eq!(answer.header("retry-after"), "1");
        }
    });
    let answers = futures_util::future::join_all(crowd).await;
    assert!(answers.iter().all(|answer| answer.status == StatusCode::CREATED));
    assert!(answers.iter().all(|answer| answer.json == answers[0].json), "the secret too");
    let acted = answers.iter().filter(|answer| answer.header("idempotency-replayed").is_empty()).count();
    assert_eq!((acted, count(&api).await), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn another_body_is_refused_and_another_keys_same_text_is_another_one() {
    let app = TestApp::start().await;
    let other = key(&app, "other", Scope::Write, None).await;
    let api = Api::of(app).await;
    assert_eq!(asked(&api, &api.write, "same", &wanted()).await.status, StatusCode::CREATED);
    let reused = asked(&api, &api.write, "same", &json!({ "url": "http://127.0.0.1:8/" })).await;
    assert_eq!(reused.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(reused.json["code"], "idempotency_key_reused");
    assert_eq!(asked(&api, &other, "same", &wanted()).await.status, StatusCode::CREATED);
    assert_eq!(asked(&api, &api.write, "another", &wanted()).await.status, StatusCode::CREATED);
    let read = asked(&api, &api.read, "same", &wanted()).await;
    assert_eq!(read.status, StatusCode::FORBIDDEN, "what was answered to another is not repeated");
    assert_eq!(count(&api).await, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_that_is_none_is_refused_and_nothing_is_done() {
    let api = Api::start().await;
    let long = "a".repeat(256);
    for name in ["", "two words", "\t", &long, "é"] {
        let answer = asked(&api, &api.write, name, &wanted()).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{name}");
        assert_eq!(answer.json["parameter"], "Idempotency-Key");
    }
    assert_eq!(count(&api).await, 0);
    assert_eq!(asked(&api, &api.write, &long[1..], &wanted()).await.status, StatusCode::CREATED);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_is_not_kept_and_an_answer_for_a_day() {
    let api = Api::start().await;
    let refused = asked(&api, &api.write, "same", &json!({ "url": "nowhere" })).await;
    assert_eq!((refused.status, &refused.json["field"]), (StatusCode::UNPROCESSABLE_ENTITY, &"url".into()));
    let made = asked(&api, &api.write, "same", &wanted()).await;
    assert_eq!(made.status, StatusCode::CREATED);
    let clock = &api.one.app.clock;
    clock.advance(time::Duration::hours(24) - time::Duration::SECOND);
    let again = asked(&api, &api.write, "same", &wanted()).await;
    assert_eq!((again.header("idempotency-replayed"), &again.json), ("true", &made.json));
    clock.advance(time::Duration::SECOND);
    let anew = asked(&api, &api.write, "same", &wanted()).await;
    assert_eq!(anew.header("idempotency-replayed"), "");
    assert_ne!(anew.json["id"], made.json["id"]);
}
