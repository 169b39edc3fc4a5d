//! Invites: a link for one customer, used up by a grant and by nothing else.

use gangway::config::ReturnUrls;
use gangway::config::{Config, ConnectAccess};
use gangway::storage::Scope;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use time::Duration;

use crate::app::{Browser, TestApp, location, plain};

/// An operator makes one; answers the link's path and the invite's page.
async fn invited(operator: &Browser, form: &[(&str, &str)]) -> (String, String) {
    let answer = operator.form("/admin/invites", form).await;
    assert_eq!(answer.status(), StatusCode::OK);
    let page = crate::app::Page { status: StatusCode::OK, text: answer.text().await.unwrap() };
    let url = page.one("#link");
    let invite = page.attributes("main .choices a", "href").remove(0);
    assert!(page.text.contains("<svg"), "and the same to be scanned");
    (url[url.find("/invites/").unwrap()..].to_owned(), invite)
}

/// Starts with the link; answers where Mailchimp asks.
async fn started(browser: &Browser, link: &str) -> String {
    let answer = browser.form(&format!("{link}/connect"), &[]).await;
    assert_eq!(answer.status(), StatusCode::SEE_OTHER, "{:?}", answer.text().await);
    location(&answer)
}

async fn back(browser: &Browser, authorize_url: &str) -> reqwest::Response {
    let callback = browser.decide(authorize_url, "allow").await;
    browser.get(&callback).await
}

async fn state(operator: &Browser, invite: &str) -> String {
    operator.page(invite).await.one("main .badge")
}

fn returning(config: &mut Config) {
    config.connecting.return_urls = ReturnUrls(vec!["https://app.example/done".parse().unwrap()]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_customer_is_named_connects_and_goes_back_where_the_host_said() {
    let app = TestApp::with(returning).await;
    let operator = app.operator().await;
    let form = [
        ("customer", "Ada's Bakery"),
        ("uses", "1"),
        ("tags", "bakery, eu"),
        ("return_url", "https://app.example/done/1"),
    ];
    let (link, invite) = invited(&operator, &form).await;
    assert_eq!(state(&operator, &invite).await, "created");
    let customer = app.browser();
    let page = customer.page(&link).await;
    assert!(
        page.text.contains("Ada&#39;s Bakery") && page.text.contains("It is good until"),
        "{}",
        page.text
    );
    assert_eq!(state(&operator, &invite).await, "opened");
    let authorize_url = started(&customer, &link).await;
    assert_eq!(state(&operator, &invite).await, "started");
    let result = location(&back(&customer, &authorize_url).await);
    assert_eq!(customer.headline(&result).await, "MailChimp is connected");
    assert_eq!(state(&operator, &invite).await, "connected");
    let page = customer.page(&result).await;
    assert_eq!(page.attributes("a.button", "href")[0], "https://app.example/done/1");
    assert!(page.all("a.button")[0].contains("Return to app.example"));
    let instance = app.ledger().await["instances"][0].clone();
    let tags: Vec<&str> =
        instance["tags"].as_array().unwrap().iter().map(|tag| tag.as_str().unwrap()).collect();
    assert!(tags.contains(&"bakery") && tags.contains(&"eu") && tags.contains(&"test"), "{tags:?}");
    assert_eq!(instance["name"], "MailChimp Ada's Bakery");
    assert!(
        operator
            .page(&format!("/admin{result}"))
            .await
            .one("ol.timeline")
            .contains("invited as Ada's Bakery")
    );
    assert_eq!(location(&customer.get(&link).await), result, "the same browser is led there");
    let other = app.browser().page(&link).await;
    assert_eq!(
        (other.status, other.one("h1").as_str()),
        (StatusCode::GONE, "Already connected with this link")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn looking_a_thousand_times_uses_nothing_up() {
    let app = TestApp::start().await;
    let operator = app.operator().await;
    let (link, invite) = invited(&operator, &[("customer", "Ada"), ("uses", "1")]).await;
    let (client, url) = (plain(), format!("{}{link}", app.origin));
    for method in [Method::GET, Method::HEAD] {
        for _ in 0..500 {
            let answer = client.request(method.clone(), &url).send().await.unwrap();
            assert_eq!(answer.status(), StatusCode::OK);
        }
    }
    // Nor does starting, denied or given up.
    for _ in 0..3 {
        started(&app.browser(), &link).await;
    }
    let denying = app.browser();
    let callback = denying.decide(&started(&denying, &link).await, "cancel").await;
    assert_eq!(denying.get(&callback).await.status(), StatusCode::SEE_OTHER);
    assert_eq!(state(&operator, &invite).await, "started");
    let customer = app.browser();
    assert!(location(&back(&customer, &started(&customer, &link).await).await).contains("/instances/"));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_who_come_back_with_a_single_use_one_connects_and_the_others_grant_is_not_spent() {
    let app = TestApp::start().await;
    let operator = app.operator().await;
    let (link, _) = invited(&operator, &[("customer", "Ada"), ("uses", "1")]).await;
    let (one, two) = (app.browser(), app.browser());
    let (first, second) = (started(&one, &link).await, started(&two, &link).await);
    let (first, second) = futures_util::join!(back(&one, &first), back(&two, &second));
    let mut statuses = [first.status().as_u16(), second.status().as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [303, 410]);
    assert_eq!(app.ledger().await["ledger"]["create_calls"], 1);
    let (many, _) = invited(&operator, &[("customer", "Everybody"), ("uses", "")]).await;
    for _ in 0..3 {
        let customer = app.browser();
        assert_eq!(back(&customer, &started(&customer, &many).await).await.status(), StatusCode::SEE_OTHER);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn taken_back_it_ends_at_once_also_for_whoever_is_at_mailchimp() {
    let app = TestApp::start().await;
    let operator = app.operator().await;
    let (link, invite) = invited(&operator, &[("customer", "Ada"), ("uses", "")]).await;
    let customer = app.browser();
    let away = started(&customer, &link).await;
    assert_eq!(operator.form(&format!("{invite}/revoke"), &[]).await.status(), StatusCode::SEE_OTHER);
    assert_eq!(state(&operator, &invite).await, "revoked");
    assert_eq!(
        customer.form(&format!("{link}/connect"), &[]).await.status(),
        StatusCode::GONE,
        "an opened page"
    );
    let page = customer.page(&link).await;
    assert_eq!((page.status, page.one("h1").as_str()), (StatusCode::GONE, "This link was taken back"));
    let answer = back(&customer, &away).await;
    assert_eq!(answer.status(), StatusCode::GONE);
    assert!(answer.text().await.unwrap().contains("Your approval was not used"));
    assert_eq!(app.ledger().await["ledger"]["create_calls"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn it_ends_by_itself_and_whoever_started_in_time_may_finish() {
    let app = TestApp::start().await;
    let operator = app.operator().await;
    let (link, invite) = invited(&operator, &[("customer", "Ada"), ("ttl", "1h"), ("uses", "")]).await;
    app.clock.advance(Duration::minutes(50));
    let customer = app.browser();
    let away = started(&customer, &link).await;
    app.clock.advance(Duration::minutes(11));
    let page = app.browser().page(&link).await;
    assert_eq!((page.status, page.one("h1").as_str()), (StatusCode::GONE, "This link has ended"));
    assert!(page.text.contains("It was good until 23 November 2026, 13:00 UTC."), "{}", page.text);
    assert_eq!(app.browser().form(&format!("{link}/connect"), &[]).await.status(), StatusCode::GONE);
    assert_eq!(back(&customer, &away).await.status(), StatusCode::SEE_OTHER);
    assert_eq!(state(&operator, &invite).await, "expired");
}

#[tokio::test(flavor = "multi_thread")]
async fn where_connecting_takes_an_invite_nothing_else_leads_in() {
    let app = TestApp::with(|config| config.connecting.access = ConnectAccess::Invite).await;
    let operator = app.operator().await;
    let stranger = app.browser();
    let page = stranger.page("/").await;
    assert_eq!((page.status, page.attributes("form", "action").len()), (StatusCode::OK, 0), "no button");
    let answer = stranger.form("/connect", &[]).await;
    assert_eq!(answer.status(), StatusCode::FORBIDDEN);
    assert!(answer.text().await.unwrap().contains("You need a link of your own"));
    let (link, _) = invited(&operator, &[("customer", "Ada")]).await;
    for wrong in ["/invites/x", "/invites/", &format!("{link}x"), &link[..link.len() - 1]] {
        assert_eq!(stranger.get(wrong).await.status(), StatusCode::NOT_FOUND, "{wrong}");
        assert_eq!(stranger.form(&format!("{wrong}/connect"), &[]).await.status(), StatusCode::NOT_FOUND);
    }
    let customer = app.browser();
    let result = location(&back(&customer, &started(&customer, &link).await).await);
    assert_eq!(customer.headline(&result).await, "MailChimp is connected");
    let again = customer.form(&format!("{result}/reconnect"), &[]).await;
    assert_eq!(again.status(), StatusCode::SEE_OTHER, "what is connected may be renewed");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_certainly_failed_gives_its_use_back() {
    let app = TestApp::with(|config| config.connecting.access = ConnectAccess::Invite).await;
    let operator = app.operator().await;
    let (link, invite) = invited(&operator, &[("customer", "Ada"), ("uses", "1")]).await;
    let customer = app.browser();
    let callback = customer.decide(&started(&customer, &link).await, "allow").await;
    // A code lives thirty seconds.
    app.clock.advance(Duration::seconds(40));
    let result = location(&customer.get(&callback).await);
    let page = customer.page(&result).await;
    assert!(page.attributes("main form", "action").is_empty(), "the link leads on: {}", page.one("main"));
    assert_eq!(state(&operator, &invite).await, "started");
    let result = location(&back(&customer, &started(&customer, &link).await).await);
    assert_eq!(customer.headline(&result).await, "MailChimp is connected");
    assert_eq!(state(&operator, &invite).await, "connected");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_made_says_why_and_keeps_what_was_typed() {
    let app = TestApp::with(returning).await;
    let operator = app.operator().await;
    for (field, value, words) in [
        ("customer", " ", "Customer must have"),
        ("ttl", "59m", "The lifetime must be from 1h to 30d"),
        ("ttl", "soon", "The lifetime must be such as"),
        ("uses", "0", "Uses must be"),
        ("uses", "-1", "Uses must be"),
        ("tags", "gangway-x", "Tags must"),
        ("return_url", "https://evil.example/", "The return address must begin with"),
    ] {
        let mut form = vec![("customer", "Kept <b>whole</b>"), ("ttl", "2d")];
        form.retain(|(name, _)| *name != field);
        form.push((field, value));
        let answer = operator.form("/admin/invites", &form).await;
        assert_eq!(answer.status(), StatusCode::UNPROCESSABLE_ENTITY, "{field}");
        let text = answer.text().await.unwrap();
        assert!(text.contains(words), "{field}: {text}");
        assert!(!text.contains("<b>whole"), "as text");
        assert!(
            field == "customer"
                || text.contains("Kept &#60;b&#62;whole")
                || text.contains("Kept &lt;b&gt;whole")
        );
    }
    assert!(operator.page("/admin/invites").await.text.contains("No invite yet"));
}

#[tokio::test(flavor = "multi_thread")]
async fn e01_what_an_invite_holds_is_shown_as_text_wherever_it_goes() {
    let app = TestApp::start().await;
    let operator = app.operator().await;
    let hostile = "\"><script>alert(1)</script>";
    let (link, invite) = invited(&operator, &[("customer", hostile), ("tags", hostile)]).await;
    let customer = app.browser();
    let landing = customer.page(&link).await;
    let result = location(&back(&customer, &started(&customer, &link).await).await);
    for page in [
        landing,
        operator.page("/admin/invites").await,
        operator.page(&invite).await,
        operator.page("/admin/instances").await,
        operator.page(&format!("/admin{result}")).await,
        operator.page(&format!("/admin{result}/disconnect")).await,
        customer.page(&result).await,
    ] {
        assert_eq!(page.status, StatusCode::OK);
        assert!(!page.text.contains("<script>alert"), "{}", page.text);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn programs_make_list_and_take_back_invites() {
    let api = crate::program::Api::of(TestApp::with(returning).await).await;
    let (write, read) = (api.write.clone(), api.read.clone());
    let post =
        |body: Value, key: &str| api.request(Method::POST, "/api/v1/invites").bearer_auth(key).json(&body);
    for (body, field) in [
        (json!({ "customer": "" }), "customer"),
        (json!({ "customer": "Ada", "ttl": "1m" }), "ttl"),
        (json!({ "customer": "Ada", "ttl": "x" }), "ttl"),
        (json!({ "customer": "Ada", "uses": 0 }), "uses"),
        (json!({ "customer": "Ada", "tags": ["a,b"] }), "tags"),
        (json!({ "customer": "Ada", "return_url": "https://evil.example" }), "return_url"),
    ] {
        let answer = api.send(post(body, &write)).await;
        assert_eq!(
            (answer.status, answer.json["field"].as_str()),
            (StatusCode::UNPROCESSABLE_ENTITY, Some(field))
        );
    }
    assert_eq!(api.send(post(json!({ "customer": "Ada" }), &read)).await.status, StatusCode::FORBIDDEN);
    let body = json!({ "customer": "Ada", "ttl": "2d", "uses": null, "tags": ["eu"], "return_url": "https://app.example/done" });
    let made = api.send(post(body, &write)).await;
    assert_eq!(made.status, StatusCode::CREATED);
    assert_eq!(
        (&made.json["state"], &made.json["uses"], &made.json["tags"]),
        (&json!("created"), &json!(null), &json!(["eu"]))
    );
    let url = made.json["url"].as_str().unwrap();
    api.one.app.clock.advance(Duration::seconds(1));
    assert_eq!(plain().get(url).send().await.unwrap().status(), StatusCode::OK);
    assert_eq!(api.send(post(json!({ "customer": "Eve" }), &write)).await.json["uses"], 1);
    let list = api.get("/api/v1/invites?limit=1").await;
    assert_eq!(list.items()[0]["customer"], "Eve");
    assert!(list.items()[0].get("url").is_none(), "the link is shown once");
    let rest = api.get(&format!("/api/v1/invites?cursor={}", list.json["next"].as_str().unwrap())).await;
    assert_eq!((rest.items()[0]["state"].as_str(), rest.json["next"].as_str()), (Some("opened"), None));
    let id = made.json["id"].as_str().unwrap();
    for _ in 0..2 {
        let delete = api.request(Method::DELETE, &format!("/api/v1/invites/{id}")).bearer_auth(&write);
        assert_eq!(api.send(delete).await.status, StatusCode::NO_CONTENT);
    }
    assert_eq!(plain().get(url).send().await.unwrap().status(), StatusCode::GONE);
    let nobody = api.request(Method::DELETE, "/api/v1/invites/x").bearer_auth(&write);
    assert_eq!(api.send(nobody).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tag_of_an_invite_chooses_the_endpoint() {
    let app = TestApp::start().await;
    let operator = app.operator().await;
    let form = [("url", "http://127.0.0.1:1/in"), ("tags", "vip")];
    assert_eq!(operator.form("/admin/endpoints", &form).await.status(), StatusCode::OK);
    let (link, _) = invited(&operator, &[("customer", "Ada"), ("tags", "vip")]).await;
    let customer = app.browser();
    back(&customer, &started(&customer, &link).await).await;
    app.add_contact("a@reader.example").await;
    let key = crate::program::key(&app, "reader", Scope::Read, None).await;
    for _ in 0..400 {
        let deliveries = plain().get(format!("{}/api/v1/deliveries", app.origin)).bearer_auth(&key);
        let found: Value = deliveries.send().await.unwrap().json().await.unwrap();
        if !found["items"].as_array().unwrap().is_empty() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(25)).await;
    }
    panic!("no delivery was made for the tag");
}
