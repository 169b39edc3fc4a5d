//! The other side by itself: what reference/mailchimp.md section 7 and reference/cloud-elements.md say,
//! and the app must be able to rely on being contradicted by.

use std::sync::Arc;

use gangway::clock::ManualClock;
use gangway::simulator::{RegisteredApp, Simulator, SimulatorOptions};
use reqwest::{RequestBuilder, StatusCode};
use serde_json::{Value, json};
use time::macros::datetime;
use tokio_util::sync::CancellationToken;

use crate::app::{TestApp, location, parameter, plain};

const REDIRECT: &str = "http://127.0.0.1:9/oauth/callback";

struct Other {
    origin: String,
    clock: Arc<ManualClock>,
    credentials: String,
    stop: CancellationToken,
}

impl Drop for Other {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Other {
    #[expect(clippy::unused_async, reason = "spawns, so it needs a runtime")]
    async fn start() -> Self {
        let clock = Arc::new(ManualClock::starting_at(datetime!(2026-11-23 12:00 UTC)));
        let simulator = Simulator::bind(SimulatorOptions { port: 0, clock: clock.clone() }).unwrap();
        simulator.register(RegisteredApp {
            name: "Test".into(),
            client_id: "1".into(),
            client_secret: "s".into(),
            redirect_uris: vec![REDIRECT.into()],
        });
        let credentials =
            format!("Organization {}, User {}", simulator.organization_secret(), simulator.user_secret());
        let (origin, stop) = (simulator.origin(), CancellationToken::new());
        tokio::spawn(simulator.run(stop.clone()));
        Self { origin, clock, credentials, stop }
    }

    async fn code(&self) -> String {
        let form = [
            ("client_id", "1"),
            ("redirect_uri", REDIRECT),
            ("decision", "allow"),
            ("account", "0"),
            ("state", "a b&c"),
        ];
        let answer =
            plain().post(format!("{}/oauth2/authorize", self.origin)).form(&form).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::FOUND);
        let target = location(&answer);
        assert_eq!(parameter(&target, "state"), "a b&c", "byte for byte");
        parameter(&target, "code")
    }

    async fn token(&self, code: &str, redirect: &str, secret: &str) -> (StatusCode, Value) {
        let form = [
            ("grant_type", "authorization_code"),
            ("client_id", "1"),
            ("client_secret", secret),
            ("redirect_uri", redirect),
            ("code", code),
        ];
        let answer = plain().post(format!("{}/oauth2/token", self.origin)).form(&form).send().await.unwrap();
        (answer.status(), answer.json().await.unwrap())
    }

    fn api(&self, request: RequestBuilder) -> RequestBuilder {
        request.header("Authorization", &self.credentials)
    }

    fn url(&self, path: &str) -> String {
        format!("{}/elements/api-v2{path}", self.origin)
    }

    async fn create(&self, code: &str) -> (StatusCode, Value) {
        let body = json!({ "element": { "key": "mailchimpv3" }, "providerData": { "code": code }, "name": "A <b>name</b>",
            "tags": ["t-1"], "configuration": { "oauth.api.key": "1", "oauth.api.secret": "s", "oauth.callback.url": REDIRECT,
            "event.notification.enabled": true, "event.notification.callback.url": "http://127.0.0.1:9/events/1",
            "event.notification.signature.key": "k" } });
        let answer = self.api(plain().post(self.url("/instances"))).json(&body).send().await.unwrap();
        (answer.status(), answer.json().await.unwrap())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_works_once_within_thirty_seconds_with_the_same_redirect_uri_and_the_right_secret() {
    let other = Other::start().await;
    let code = other.code().await;
    let (status, body) = other.token(&code, REDIRECT, "s").await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!((&body["expires_in"], &body["scope"]), (&json!(0), &json!(null)));
    assert!(body.get("token_type").is_none());
    assert_eq!(
        other.token(&code, REDIRECT, "s").await,
        (StatusCode::BAD_REQUEST, json!({ "error": "invalid_grant" }))
    );
    let code = other.code().await;
    assert_eq!(other.token(&code, "http://127.0.0.1:9/other", "s").await.0, StatusCode::BAD_REQUEST);
    let code = other.code().await;
    other.clock.advance(time::Duration::seconds(30));
    assert_eq!(other.token(&code, REDIRECT, "s").await.0, StatusCode::BAD_REQUEST);
    let code = other.code().await;
    assert_eq!(other.token(&code, REDIRECT, "wrong").await.0, StatusCode::UNAUTHORIZED);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unregistered_redirect_uri_is_a_page_and_not_a_redirect() {
    let other = Other::start().await;
    for query in [
        "client_id=9&redirect_uri=x&response_type=code",
        "client_id=1&redirect_uri=http://127.0.0.1:9/oauth/callback/&response_type=code",
    ] {
        let answer = plain().get(format!("{}/oauth2/authorize?{query}", other.origin)).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
    }
    let query = format!("client_id=1&redirect_uri={REDIRECT}&response_type=token&state=s");
    let answer = plain().get(format!("{}/oauth2/authorize?{query}", other.origin)).send().await.unwrap();
    assert_eq!(parameter(&location(&answer), "error"), "unsupported_response_type");
}

#[tokio::test(flavor = "multi_thread")]
async fn metadata_ping_and_lists_know_the_token_and_a_revoked_one_is_refused() {
    let other = Other::start().await;
    let token =
        other.token(&other.code().await, REDIRECT, "s").await.1["access_token"].as_str().unwrap().to_owned();
    let metadata = |header: String| {
        plain().get(format!("{}/oauth2/metadata", other.origin)).header("Authorization", header)
    };
    for scheme in ["OAuth", "Bearer"] {
        let body: Value = metadata(format!("{scheme} {token}")).send().await.unwrap().json().await.unwrap();
        assert_eq!(body["api_endpoint"], other.origin);
    }
    let bad = metadata("OAuth wrong".into()).send().await.unwrap();
    assert_eq!(bad.status(), StatusCode::OK, "a bad token is a 200 with an error");
    assert_eq!(bad.json::<Value>().await.unwrap()["error"], "invalid_token");
    let api = |path: &str| plain().get(format!("{}/3.0{path}", other.origin)).bearer_auth(&token);
    assert_eq!(api("/ping").send().await.unwrap().status(), StatusCode::OK);
    let lists: Value = api("/lists").send().await.unwrap().json().await.unwrap();
    assert_eq!(lists["total_items"], 2);
    assert_eq!(
        api("/lists/none").send().await.unwrap().headers()["content-type"],
        "application/problem+json; charset=utf-8"
    );
    let answer = api("/ping").header("X-Trigger-Error", "APIKeyMissing").send().await.unwrap();
    assert_eq!(answer.json::<Value>().await.unwrap()["title"], "APIKeyMissing");
    plain().post(format!("{}/_sim/revoke", other.origin)).send().await.unwrap();
    assert_eq!(api("/ping").send().await.unwrap().status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_audience_webhook_is_checked_with_a_get_and_shows_its_secret_once() {
    let other = Other::start().await;
    let token =
        other.token(&other.code().await, REDIRECT, "s").await.1["access_token"].as_str().unwrap().to_owned();
    let webhooks = format!("{}/3.0/lists/b7e51c90aa/webhooks", other.origin);
    let make = |url: String| plain().post(&webhooks).bearer_auth(&token).json(&json!({ "url": url })).send();
    let refused = make(format!("{}/nothing-here", other.origin)).await.unwrap();
    assert_eq!(refused.status(), StatusCode::BAD_REQUEST);
    assert_eq!(refused.json::<Value>().await.unwrap()["errors"][0]["field"], "url");
    let ingest = other.url("/events/mailchimpv3");
    let webhook: Value = make(ingest.clone()).await.unwrap().json().await.unwrap();
    assert!(webhook["signing_secret"].as_str().unwrap().len() >= 24);
    assert_eq!(
        make(format!("{ingest}?again")).await.unwrap().status(),
        StatusCode::BAD_REQUEST,
        "a duplicate"
    );
    let one = format!("{webhooks}/{}", webhook["id"].as_str().unwrap());
    let shown: Value = plain().get(&one).bearer_auth(&token).send().await.unwrap().json().await.unwrap();
    assert!(shown.get("signing_secret").is_none());
    assert_eq!(
        plain().delete(&one).bearer_auth(&token).send().await.unwrap().status(),
        StatusCode::NO_CONTENT
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn instances_are_made_with_a_good_code_masked_and_an_empty_list_is_404() {
    let other = Other::start().await;
    let list = || other.api(plain().get(other.url("/instances?tags[]=t-1"))).send();
    assert_eq!(list().await.unwrap().status(), StatusCode::NOT_FOUND);
    let wrong = plain()
        .get(other.url("/instances"))
        .header("Authorization", "User x, Organization y")
        .send()
        .await
        .unwrap();
    assert_eq!(wrong.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(
        wrong.json::<Value>().await.unwrap()["message"],
        "Invalid Organization or User secret, or invalid Element token provided."
    );
    let code = other.code().await;
    let (status, made) = other.create(&code).await;
    assert_eq!(status, StatusCode::OK, "200, not 201");
    assert_eq!(made["configuration"]["oauth.api.secret"], "********");
    assert_eq!((&made["name"], &made["eventsEnabled"]), (&json!("A name"), &json!(true)));
    assert_eq!(made["providerData"]["code"], code);
    let (status, refused) = other.create(&code).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(refused["providerMessage"].as_str().unwrap().contains("invalid_grant"));
    assert_eq!(list().await.unwrap().json::<Value>().await.unwrap().as_array().unwrap().len(), 1);
    let id = made["id"].as_i64().unwrap();
    let one = |method: reqwest::Method, path: &str| {
        other.api(plain().request(method, other.url(&format!("/instances/{id}{path}")))).send()
    };
    let ping = plain().get(other.url("/ping")).header(
        "Authorization",
        format!("{}, Element {}", other.credentials, made["token"].as_str().unwrap()),
    );
    assert_eq!(
        ping.try_clone().unwrap().send().await.unwrap().json::<Value>().await.unwrap()["valid"],
        "true",
        "as text"
    );
    assert_eq!(one(reqwest::Method::DELETE, "/enabled").await.unwrap().status(), StatusCode::OK);
    assert_eq!(ping.try_clone().unwrap().send().await.unwrap().status(), StatusCode::FORBIDDEN, "disabled");
    assert_eq!(one(reqwest::Method::DELETE, "").await.unwrap().status(), StatusCode::OK);
    assert_eq!(ping.send().await.unwrap().status(), StatusCode::UNAUTHORIZED, "deleted");
    assert_eq!(one(reqwest::Method::GET, "").await.unwrap().status(), StatusCode::NOT_FOUND);
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_are_followed_by_page_token() {
    let other = Other::start().await;
    for _ in 0..5 {
        assert_eq!(other.create(&other.code().await).await.0, StatusCode::OK);
    }
    let (mut found, mut next) = (Vec::new(), String::new());
    loop {
        let answer = other
            .api(plain().get(other.url(&format!("/instances?pageSize=2&nextPage={next}"))))
            .send()
            .await
            .unwrap();
        let token =
            answer.headers().get("elements-next-page-token").map(|token| token.to_str().unwrap().to_owned());
        found
            .extend(answer.json::<Vec<Value>>().await.unwrap().iter().map(|one| one["id"].as_i64().unwrap()));
        match token {
            Some(token) => next = token,
            None => break,
        }
    }
    assert_eq!(found.len(), 5);
    assert!(found.is_sorted());
}

#[tokio::test(flavor = "multi_thread")]
async fn audience_webhooks_come_twice_and_swapped_when_told_to() {
    let app = TestApp::start().await;
    let (browser, result) = app.connected().await;
    app.add_contact("first@reader.example").await;
    browser.wait_for(&result, "First event received").await;
    let database = app.database().await;
    let arrived = async |count: i64| {
        let query = "SELECT count(*) FROM notifications";
        while sqlx::query_scalar::<_, i64>(query).fetch_one(&database).await.unwrap() < count {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    };
    app.faults(json!({ "webhook_duplicate": true })).await;
    app.add_contact("twice@reader.example").await;
    arrived(3).await;
    app.faults(json!({ "webhook_reorder": true })).await;
    app.add_contact("held@reader.example").await;
    app.add_contact("overtakes@reader.example").await;
    arrived(5).await;
    let bodies: Vec<Vec<u8>> =
        // In the order in which the stand-in Cloud Elements took the forms: its own deliveries may overtake.
        sqlx::query_scalar("SELECT body FROM notifications ORDER BY CAST(notification_id AS BIGINT)")
            .fetch_all(&database)
            .await
            .unwrap();
    let place = |email: &str| {
        bodies.iter().position(|body| String::from_utf8_lossy(body).contains(email)).expect("it arrived")
    };
    assert_eq!(bodies.len(), 5);
    assert!(place("overtakes@reader.example") < place("held@reader.example"));
}

/// A Gangway that does not answer until it is told to, then says yes to everything.
async fn receiver(port: u16) -> Arc<std::sync::Mutex<Vec<String>>> {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await.unwrap();
    let taken = Arc::<std::sync::Mutex<Vec<String>>>::default();
    let kept = taken.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = vec![0; 65_536];
            let mut length = 0;
            while !String::from_utf8_lossy(&request[..length])
                .ends_with("\"notifications@cloud-elements.com\"}")
            {
                length += stream.read(&mut request[length..]).await.unwrap();
            }
            kept.lock().unwrap().push(String::from_utf8_lossy(&request[..length]).into_owned());
            let answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}";
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    taken
}

#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::too_many_lines, reason = "one notification from its first try to its last")]
async fn after_its_last_try_it_gives_up_and_queues_until_it_is_asked() {
    let other = Other::start().await;
    let (_, instance) = other.create(&other.code().await).await;
    let id = instance["id"].as_i64().unwrap();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let url = format!("http://127.0.0.1:{port}/events/1");
    let change = json!({ "configuration": { "event.notification.callback.url": url } });
    other.api(plain().patch(other.url(&format!("/instances/{id}")))).json(&change).send().await.unwrap();
    let control = async |path: &str, body: Value| {
        plain().post(format!("{}/_sim/{path}", other.origin)).json(&body).send().await.unwrap();
    };
    control("faults", json!({ "hasty": true })).await;
    for email in ["a@reader.example", "b@reader.example", "c@reader.example"] {
        control("contacts", json!({ "email": email })).await;
    }
    let queue = |condition: &str| {
        let query = form_urlencoded::Serializer::new(String::new()).append_pair("where", condition).finish();
        other.url(&format!("/notifications/subscriptions/deliveries?{query}"))
    };
    let ours = format!("channel='webhook' and status='queued' and config.url='{url}'");
    let get = async |url: String| {
        let answer = other.api(plain().get(url)).send().await.unwrap();
        (answer.status(), answer.headers().clone(), answer.json::<Value>().await.unwrap_or_default())
    };
    let queued = async || get(queue(&ours)).await.2.as_array().unwrap().len();
    while queued().await < 3 {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let (_, _, all) = get(queue("channel='webhook' and status='queued'")).await;
    for delivery in all.as_array().unwrap() {
        assert!(delivery["notificationId"].is_i64() && delivery["status"] == "queued", "{delivery}");
    }
    let (_, _, others) = get(queue("channel='webhook' and config.url='https://elsewhere.example/'")).await;
    assert_eq!(others, json!([]));
    // The events are there all the while, in pages, the newest first.
    let (_, headers, first) = get(other.url(&format!("/instances/{id}/events?pageSize=2"))).await;
    assert_eq!(
        (first.as_array().unwrap().len(), &headers["elements-next-page-token"]),
        (2, &"2".parse().unwrap())
    );
    let (_, headers, last) = get(other.url(&format!("/instances/{id}/events?pageSize=2&nextPage=2"))).await;
    assert!(headers.get("elements-next-page-token").is_none());
    let share = &last[0]["eventElementInstances"][0];
    assert!(
        share["elementInstanceId"] == json!(id)
            && share["notificationId"].is_i64()
            && share["notifiedData"].is_string()
    );
    assert_eq!(get(other.url("/instances/1/events")).await.0, StatusCode::NOT_FOUND);
    // Sent again under the id it had.
    let taken = receiver(port).await;
    let answer = other.api(plain().put(queue(&ours))).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    while taken.lock().unwrap().len() < 3 {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert_eq!(queued().await, 0);
    let number = format!("\"id\":\"{}\"", share["notificationId"]);
    assert_eq!(taken.lock().unwrap().iter().filter(|request| request.contains(&number)).count(), 1);
    control("contacts", json!({ "email": "d@reader.example" })).await;
    while taken.lock().unwrap().len() < 4 {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}
