//! The JSON API: who is let in, what is refused and how, endpoints and deliveries, and the document that
//! describes it.

use std::collections::BTreeSet;
use std::time::Duration;

use gangway::api_key::ApiKeySecret;
use gangway::clock::Clock as _;
use gangway::entropy::SystemEntropy;
use gangway::storage::Scope;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::app::{Browser, TestApp};
use crate::events::notification;
use crate::http::raw;
use crate::program::{Api, beside, by_hand, key};
use crate::receiver::{Mood, Receiver};

#[tokio::test(flavor = "multi_thread")]
async fn without_a_key_that_opens_it_nothing_is_answered_and_the_challenge_says_why() {
    let api = Api::start().await;
    let app = &api.one.app;
    let short = key(app, "short", Scope::Read, Some(app.clock.now() + time::Duration::hours(1))).await;
    let revoked = key(app, "revoked", Scope::Write, None).await;
    let with = |key: &str| api.request(Method::GET, "/api/v1/events").header("Authorization", key);
    for good in [format!("bearer {short}"), format!("Bearer  {revoked}")] {
        assert_eq!(api.send(with(&good)).await.status, StatusCode::OK);
    }
    app.clock.advance(time::Duration::hours(1));
    let storage = beside(app).await;
    storage.revoke_api_key("revoked", by_hand(app, "api_key.revoke")).await.unwrap();
    storage.close().await;
    let absent = "Bearer realm=\"gangway\"";
    let invalid = "Bearer realm=\"gangway\", error=\"invalid_token\"";
    let flipped = format!("Bearer {}", api.read.replace("gangway_", "gangway-"));
    for (header, challenge) in [
        ("", absent),
        ("Basic dXNlcjpwYXNz", absent),
        (&api.read, absent),
        (&flipped, invalid),
        ("Bearer x", invalid),
        (&format!("Bearer {}", ApiKeySecret::draw(&SystemEntropy::default()).expose()), invalid),
        (&format!("Bearer {short}"), invalid),
        (&format!("Bearer {revoked}"), invalid),
    ] {
        let answer = api.send(with(header)).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{header}");
        assert_eq!(answer.header("www-authenticate"), challenge, "{header}");
        assert!(!answer.json.to_string().contains("gangway_"), "nothing of a key is repeated");
    }
    let twice = with(&format!("Bearer {}", api.read)).header("Authorization", "Bearer x");
    assert_eq!(api.send(twice).await.status, StatusCode::UNAUTHORIZED);
    let bare = api.send(api.request(Method::GET, "/api/v1/events?nothing=1")).await;
    assert_eq!(bare.json["code"], "api_key_missing", "the key is looked at first");
    let in_query = api.get(&format!("/api/v1/events?access_token={}", api.read)).await;
    assert_eq!(in_query.json["parameter"], "access_token");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_for_reading_changes_nothing() {
    let api = Api::start().await;
    let made = api.post("/api/v1/endpoints", &json!({ "url": "http://127.0.0.1:9/" })).await;
    let endpoint = format!("/api/v1/endpoints/{}", made.json["id"].as_str().unwrap());
    for (method, path) in [
        (Method::POST, "/api/v1/endpoints"),
        (Method::DELETE, endpoint.as_str()),
        (Method::POST, "/api/v1/deliveries/1/redeliver"),
    ] {
        let answer = api.send(api.request(method, path).bearer_auth(&api.read).json(&json!({}))).await;
        assert_eq!(
            (answer.status, &answer.json["code"]),
            (StatusCode::FORBIDDEN, &"api_key_read_only".into())
        );
        assert!(answer.header("www-authenticate").contains("insufficient_scope"));
    }
    assert_eq!(api.get("/api/v1/endpoints").await.items().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cookie_opens_no_api_and_a_key_no_console() {
    let app = TestApp::start().await;
    let operator = app.operator().await;
    let api = Api::of(app).await;
    let cookie = operator.cookie().unwrap();
    for method in [Method::GET, Method::POST] {
        let request = api.request(method, "/api/v1/endpoints").header("Cookie", &cookie).json(&json!({}));
        assert_eq!(api.send(request).await.status, StatusCode::UNAUTHORIZED);
    }
    assert_eq!(operator.get("/api/v1/events").await.status(), StatusCode::UNAUTHORIZED);
    for path in ["/admin", "/admin/events", "/admin/instances", "/admin/events/live/feed?after=0-0"] {
        let answer = api.request(Method::GET, path).bearer_auth(&api.write).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::SEE_OTHER, "{path}");
    }
    // A program that keeps a cookie beside its key is let in by the key.
    let both = api.request(Method::POST, "/api/v1/endpoints").header("Cookie", cookie);
    let both = both.bearer_auth(&api.write).json(&json!({ "url": "http://127.0.0.1:9/" }));
    assert_eq!(api.send(both).await.status, StatusCode::CREATED);
}

#[tokio::test(flavor = "multi_thread")]
async fn e14_a_query_that_cannot_be_meant_is_refused_by_the_name_of_its_parameter() {
    let api = Api::start().await;
    let zero = uuid::Uuid::nil();
    for (path, parameter) in [
        ("events?limit=0", "limit"),
        ("events?limit=", "limit"),
        ("events?limit=501", "limit"),
        ("events?limit=abc", "limit"),
        ("events?limit=-1", "limit"),
        ("events?limit=9223372036854775808", "limit"),
        ("events?page=2", "page"),
        ("events?Type=CREATED", "Type"),
        ("events?type=created", "type"),
        ("events?instance=x", "instance"),
        ("events?after=x", "after"),
        ("events?after=-1-0", "after"),
        ("events?cursor=%00", "cursor"),
        ("events?wait=61s", "wait"),
        ("events?wait=soon", "wait"),
        ("events?limit=1&limit=2", "limit"),
        ("endpoints?limit=0", "limit"),
        ("endpoints?cursor=7", "cursor"),
        ("endpoints?state=on", "state"),
        ("deliveries?state=done", "state"),
        ("deliveries?endpoint=7", "endpoint"),
        ("deliveries?cursor=x", "cursor"),
        ("deliveries?cursor=99999999999999999999", "cursor"),
        ("deliveries?after=1", "after"),
        ("instances?state=nonsense", "state"),
        ("instances?cursor=x", "cursor"),
        ("instances?after=x", "after"),
        ("instances?limit=501", "limit"),
        ("instances?events=maybe", "events"),
        ("instances?silent=no", "silent"),
    ] {
        let answer = api.get(&format!("/api/v1/{path}")).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{path}");
        assert_eq!(answer.json["parameter"], parameter, "{path}: {}", answer.json);
    }
    for path in [
        "events?limit=1&after=&cursor=".to_owned(),
        "events?limit=500&type=UNKNOWN&object_type=lists&wait=0".to_owned(),
        format!("events?instance={zero}&after=9223372036854775807-0"),
        format!("endpoints?limit=500&cursor={zero}"),
        "instances?state=connected&q=nobody&tag=none&limit=500".to_owned(),
        format!("deliveries?state=pending&endpoint={zero}&cursor=-5&limit=500"),
    ] {
        let answer = api.get(&format!("/api/v1/{path}")).await;
        assert_eq!(answer.json, json!({ "items": [], "next": null }), "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_is_not_there_and_a_method_that_does_not_fit_are_problems_too() {
    let api = Api::start().await;
    for path in ["/api", "/api/", "/api/v1/", "/api/v1/nothing", "/api/v2/events", "/api/v1/events/"] {
        assert_eq!(api.get(path).await.status, StatusCode::NOT_FOUND, "{path}");
    }
    for path in ["events/x", "events/1-0", "events/0-0"] {
        assert_eq!(api.get(&format!("/api/v1/{path}")).await.status, StatusCode::NOT_FOUND, "{path}");
    }
    for path in ["deliveries/1/redeliver", "deliveries/x/redeliver"] {
        assert_eq!(api.post(&format!("/api/v1/{path}"), &json!({})).await.status, StatusCode::NOT_FOUND);
    }
    for id in ["x".to_owned(), uuid::Uuid::nil().to_string()] {
        let delete = api.request(Method::DELETE, &format!("/api/v1/endpoints/{id}")).bearer_auth(&api.write);
        assert_eq!(api.send(delete).await.status, StatusCode::NOT_FOUND);
    }
    let put = api.send(api.request(Method::PUT, "/api/v1/endpoints").bearer_auth(&api.write)).await;
    assert_eq!(put.status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(put.header("allow"), "GET, HEAD, POST");
    assert_eq!(put.json["code"], "method_not_allowed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_not_what_is_asked_for_is_refused_with_the_reason() {
    let app = TestApp::with(|config| config.limits.body_deadline = Duration::from_millis(300)).await;
    let api = Api::of(app).await;
    let send = async |media: &str, body: String| {
        let request = api.request(Method::POST, "/api/v1/endpoints").bearer_auth(&api.write);
        api.send(request.header("Content-Type", media).body(body)).await
    };
    let good = json!({ "url": "http://127.0.0.1:9/" }).to_string();
    assert_eq!(send("text/plain", good.clone()).await.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    assert_eq!(send("application/jsonp", good.clone()).await.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    for body in ["", "{", "[]", "{}", "{\"url\":7}", "\u{0}"] {
        assert_eq!(send("application/json", body.to_owned()).await.status, StatusCode::BAD_REQUEST, "{body}");
    }
    let unknown = send("application/json", json!({ "url": "x", "adress": 1 }).to_string()).await;
    assert_eq!(unknown.status, StatusCode::BAD_REQUEST);
    assert!(unknown.json["detail"].as_str().unwrap().contains("`adress`"), "{}", unknown.json);
    let large = json!({ "url": "x".repeat(65_536) }).to_string();
    assert_eq!(send("application/json", large).await.status, StatusCode::PAYLOAD_TOO_LARGE);
    for (field, body) in [
        ("url", json!({ "url": "nonsense" })),
        ("url", json!({ "url": "https://169.254.169.254/" })),
        ("url", json!({ "url": "http://a.example@8.8.8.8/" })),
        ("url", json!({ "url": "http://8.8.8.8/" })),
        ("types", json!({ "url": "http://127.0.0.1:9/", "types": ["created"] })),
        ("instances", json!({ "url": "http://127.0.0.1:9/", "instances": ["x"] })),
        ("instances", json!({ "url": "http://127.0.0.1:9/", "instances": [uuid::Uuid::nil()] })),
        ("tags", json!({ "url": "http://127.0.0.1:9/", "tags": [" "] })),
        ("tags", json!({ "url": "http://127.0.0.1:9/", "tags": vec!["x"; 101] })),
    ] {
        let answer = send("application/json", body.to_string()).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{body}");
        assert_eq!(answer.json["field"], field, "{}", answer.json);
    }
    let inside = send("application/json", json!({ "url": "https://10.0.0.1/" }).to_string()).await;
    assert!(inside.json["detail"].as_str().unwrap().contains("DELIVERY_ALLOWED_NETWORKS"));
    assert!(api.get("/api/v1/endpoints").await.items().is_empty());
    let slow = format!(
        "POST /api/v1/endpoints HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{{",
        api.write
    );
    assert!(raw(&api.one.app, &slow).await.starts_with("HTTP/1.1 408"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_is_made_with_its_secret_this_once_listed_and_deleted() {
    let api = Api::start().await;
    let asked = json!({ "url": "http://127.0.0.1:9/in", "instances": [api.one.id], "tags": ["a"], "types": ["CREATED"] });
    let made = api.post("/api/v1/endpoints", &asked).await;
    assert_eq!(made.status, StatusCode::CREATED);
    for name in ["url", "instances", "tags", "types"] {
        assert_eq!(made.json[name], asked[name]);
    }
    assert!(made.json["secret"].as_str().unwrap().starts_with("whsec_"));
    assert_eq!((&made.json["state"], &made.json["off_reason"]), (&"on".into(), &Value::Null));
    for number in 0..4 {
        api.one.app.clock.advance(time::Duration::milliseconds(1));
        api.post("/api/v1/endpoints", &json!({ "url": format!("http://127.0.0.1:9/{number}") })).await;
    }
    let (mut all, mut cursor) = (Vec::new(), String::new());
    loop {
        let part = api.get(&format!("/api/v1/endpoints?limit=2&cursor={cursor}")).await;
        assert!(!part.json.to_string().contains("whsec_") && part.items().len() <= 2);
        all.extend(part.items().iter().map(|item| item["url"].as_str().unwrap().to_owned()));
        match part.json["next"].as_str() {
            Some(next) => next.clone_into(&mut cursor),
            None => break,
        }
    }
    assert_eq!(all.len(), 5);
    assert_eq!(all.last().unwrap(), "http://127.0.0.1:9/in", "the newest first");
    let id = made.json["id"].as_str().unwrap();
    for expected in [StatusCode::NO_CONTENT, StatusCode::NOT_FOUND] {
        let delete = api.request(Method::DELETE, &format!("/api/v1/endpoints/{id}")).bearer_auth(&api.write);
        assert_eq!(api.send(delete).await.status, expected);
    }
    assert_eq!(api.get("/api/v1/endpoints").await.items().len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_is_listed_with_its_attempts_and_asked_for_again() {
    let api = Api::start().await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    // A receiver that answers whatever comes.
    tokio::spawn(async move {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.read(&mut [0; 4096]).await;
            let _ = stream.write_all(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n").await;
        }
    });
    let made = api.post("/api/v1/endpoints", &json!({ "url": url })).await;
    let endpoint = made.json["id"].as_str().unwrap();
    api.one.send(notification("n1")).await;
    let delivered = async |attempts: usize| {
        for _ in 0..600 {
            let answer = api.get(&format!("/api/v1/deliveries?state=delivered&endpoint={endpoint}")).await;
            if let [one] = answer.items()
                && one["attempts"].as_array().unwrap().len() == attempts
            {
                return one.clone();
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("never delivered");
    };
    let one = delivered(1).await;
    assert_eq!((&one["endpoint"], &one["notification_id"]), (&endpoint.into(), &"n1".into()));
    assert_eq!((&one["attempts"][0]["status"], &one["next_attempt_at"]), (&204.into(), &Value::Null));
    assert!(one["attempts"][0]["at"].as_str().unwrap().ends_with('Z'));
    assert!(api.get("/api/v1/deliveries?state=failed").await.items().is_empty());
    let again = format!("/api/v1/deliveries/{}/redeliver", one["id"].as_str().unwrap());
    let asked = api.send(api.request(Method::POST, &again).bearer_auth(&api.write)).await;
    assert_eq!((asked.status, &asked.json["id"]), (StatusCode::OK, &one["id"]));
    delivered(2).await;
    let delete = api.request(Method::DELETE, &format!("/api/v1/endpoints/{endpoint}"));
    api.send(delete.bearer_auth(&api.write)).await;
    let off = api.send(api.request(Method::POST, &again).bearer_auth(&api.write)).await;
    assert_eq!((off.status, &off.json["code"]), (StatusCode::CONFLICT, &"not_repeatable".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_was_switched_off_is_switched_on_again() {
    let api = Api::start().await;
    let receiver = Receiver::start(Mood::Says(410, "")).await;
    let made = api.post("/api/v1/endpoints", &json!({ "url": receiver.url })).await;
    let path = format!("/api/v1/endpoints/{}", made.json["id"].as_str().unwrap());
    api.one.send(notification("n1")).await;
    for _ in 0..600 {
        if api.get("/api/v1/endpoints").await.items()[0]["off_reason"] == "gone" {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let switch = async || {
        let request = api.request(Method::POST, &format!("{path}/switch-on")).bearer_auth(&api.write);
        api.send(request).await
    };
    let on = switch().await;
    assert_eq!(
        (on.status, &on.json["state"], &on.json["off_reason"]),
        (StatusCode::OK, &"on".into(), &Value::Null)
    );
    assert_eq!(switch().await.status, StatusCode::OK, "twice is once");
    api.send(api.request(Method::DELETE, &path).bearer_auth(&api.write)).await;
    assert_eq!(switch().await.status, StatusCode::NOT_FOUND);
}

/// The addresses below `/api/v1` that the router is given.
fn routed() -> BTreeSet<String> {
    let source = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/web/mod.rs");
    let source = std::fs::read_to_string(source).unwrap();
    let parts = source.split("on(\"/api/v1/").skip(1);
    parts.map(|part| format!("/api/v1/{}", part.split('"').next().unwrap())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn people_read_the_same_document_as_a_page_without_a_key() {
    let api = Api::start().await;
    let page = api.one.app.browser().page("/api/v1").await;
    assert!(page.status == StatusCode::OK && page.text.len() < 60 * 1024, "{}", page.text.len());
    for (path, operations) in api.document["paths"].as_object().unwrap() {
        for method in operations.as_object().unwrap().keys() {
            assert!(page.text.contains(&format!("{} {path}", method.to_uppercase())), "{method} {path}");
        }
    }
    for link in page.attributes("main a", "href").iter().filter(|link| link.starts_with('#')) {
        assert!(page.text.contains(&format!("id=\"{}\"", &link[1..])), "{link} leads nowhere");
    }
    assert!(page.text.contains("whsec_") || page.text.contains("shown this once"), "what the fields mean");
}

#[tokio::test(flavor = "multi_thread")]
async fn e12_the_document_knows_every_route_and_each_but_itself_needs_a_key() {
    let api = Api::start().await;
    assert_eq!(api.document["openapi"], "3.1.0");
    assert_eq!(api.document["components"]["securitySchemes"]["key"]["scheme"], "bearer");
    let paths = api.document["paths"].as_object().unwrap();
    assert_eq!(paths.keys().cloned().collect::<BTreeSet<_>>(), routed());
    for (path, operations) in paths {
        let concrete = path.replace("{id}", "1-0");
        for method in [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
            let answer = api.send(api.request(method.clone(), &concrete)).await;
            let operation = &operations[method.as_str().to_lowercase()];
            let expected = match operation["security"][0].get("key") {
                _ if operation.is_null() => StatusCode::METHOD_NOT_ALLOWED,
                Some(_) => StatusCode::UNAUTHORIZED,
                None => StatusCode::OK,
            };
            assert_eq!(answer.status, expected, "{method} {path}");
            if expected == StatusCode::METHOD_NOT_ALLOWED {
                let allowed: BTreeSet<_> =
                    answer.header("allow").split(", ").map(str::to_lowercase).collect();
                let known: BTreeSet<_> = operations.as_object().unwrap().keys().cloned().collect();
                assert!(known.is_subset(&allowed), "{path}: {allowed:?}");
            }
        }
    }
    let browser = Browser::of(&api.one.app.origin);
    assert_eq!(browser.send(Method::HEAD, "/api/v1/openapi.json", None).await.status(), StatusCode::OK);
}
