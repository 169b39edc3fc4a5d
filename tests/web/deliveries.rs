//! Passing on, as the operator meets it: endpoints, receivers that fail in every way, deliveries again.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use reqwest::StatusCode;
use sha2::Sha256;

use crate::app::{Browser, TestApp, location};
use crate::events::{Connected, notification, sign};
use crate::receiver::{Mood, Receiver};

/// An instance that receives, and the operator.
async fn operated(change: impl FnOnce(&mut gangway::config::Config)) -> (Connected, Browser) {
    let app = TestApp::with(|config| {
        config.limits.delivery_deadline = Duration::from_millis(600);
        change(config);
    })
    .await;
    let operator = app.operator().await;
    (Connected::of(app).await, operator)
}

/// Registers an endpoint; answers its page and its secret.
async fn register(operator: &Browser, url: &str) -> (String, String) {
    register_for(operator, &[("url", url)]).await
}

async fn register_for(operator: &Browser, form: &[(&str, &str)]) -> (String, String) {
    let answer = operator.form("/admin/endpoints", form).await;
    assert_eq!(answer.status(), StatusCode::OK);
    let page = crate::app::Page { status: answer.status(), text: answer.text().await.unwrap() };
    (page.attributes("main .choices a", "href").remove(0), page.one("#secret"))
}

/// The deliveries to an endpoint, as the words of their rows.
async fn rows(operator: &Browser, endpoint: &str) -> Vec<String> {
    let id = endpoint.rsplit('/').next().unwrap();
    operator.page(&format!("/admin/deliveries?endpoint={id}")).await.all("tbody tr")
}

/// Waits until every delivery to an endpoint reads so.
async fn all_are(operator: &Browser, endpoint: &str, word: &str) -> Vec<String> {
    for _ in 0..2400 {
        let rows = rows(operator, endpoint).await;
        if !rows.is_empty() && rows.iter().all(|row| row.contains(word)) {
            return rows;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("not all are {word}: {:?}", rows(operator, endpoint).await);
}

/// Waits until the newest delivery to an endpoint has been tried, and answers its page.
async fn tried(operator: &Browser, endpoint: &str) -> crate::app::Page {
    let id = endpoint.rsplit('/').next().unwrap();
    for _ in 0..2400 {
        let list = operator.page(&format!("/admin/deliveries?endpoint={id}")).await;
        if let Some(link) = list.attributes("tbody th a", "href").first() {
            let page = operator.page(link).await;
            if !page.all(".timeline li").is_empty() {
                return page;
            }
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("nothing was tried at {endpoint}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_notification_arrives_byte_for_byte_signed_both_ways_and_its_pages_tell_of_it() {
    let (one, operator) = operated(|_| {}).await;
    assert!(operator.page("/admin/endpoints").await.text.contains("No endpoint yet"));
    let receiver = Receiver::start(Mood::Good(0)).await;
    let (endpoint, secret) = register(&operator, &receiver.url).await;
    let body = format!(" {}\n", notification("n-1"));
    one.send(body.clone()).await;
    let arrived = receiver.until(1).await.remove(0);
    assert_eq!(arrived.body, body.as_bytes());
    assert_eq!(arrived.headers["elements-webhook-id"], "n-1");
    assert_eq!(arrived.headers["elements-webhook-signature"], sign(&secret, body.as_bytes()));
    let (id, at) = (&arrived.headers["webhook-id"], &arrived.headers["webhook-timestamp"]);
    let key = STANDARD.decode(secret.strip_prefix("whsec_").unwrap()).unwrap();
    let mac = Hmac::<Sha256>::new_from_slice(&key).unwrap().chain_update(format!("{id}.{at}.{body}"));
    let signed = format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()));
    assert_eq!(arrived.headers["webhook-signature"], signed);

    all_are(&operator, &endpoint, "delivered").await;
    let page = tried(&operator, &endpoint).await;
    assert!(page.one(".timeline li").contains("Answered 204"));
    let event = operator.page(&page.attributes("dd a", "href")[1]).await;
    assert!(event.one("section[aria-labelledby=deliveries] tbody tr").contains("delivered"));
    for path in ["/admin/endpoints", &endpoint, "/admin/deliveries"] {
        assert!(!operator.page(path).await.text.contains(&secret[6..]), "{path}: the secret is shown once");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_gets_only_what_it_wants() {
    let (one, operator) = operated(|_| {}).await;
    let receiver = Receiver::start(Mood::Good(0)).await;
    let at = |path: &str| receiver.url.replace("/in", path);
    let wanted = [
        [("url", at("/instance")), ("instances", one.id.clone())],
        [("url", at("/other")), ("instances", "01a20a99-a8ce-7563-ba33-fbd382988f52".to_owned())],
        [("url", at("/tag")), ("tags", "nobody test".to_owned())],
        [("url", at("/none")), ("tags", "nobody".to_owned())],
        [("url", at("/type")), ("type", "UPDATED".to_owned())],
        [("url", at("/untyped")), ("type", "DELETED".to_owned())],
    ];
    let mut pages = Vec::new();
    for form in &wanted {
        let form: Vec<(&str, &str)> = form.iter().map(|(name, value)| (*name, value.as_str())).collect();
        pages.push(register_for(&operator, &form).await.0);
    }
    one.send(notification("1")).await;
    receiver.until(3).await;
    for (page, count) in pages.iter().zip([1, 0, 1, 0, 1, 0]) {
        assert_eq!(rows(&operator, page).await.len(), count, "{}", operator.page(page).await.one("main"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn f02_addresses_inside_are_refused_with_a_clear_word_and_what_was_typed_stays() {
    let (_one, operator) = operated(|config| config.delivery_allowed_networks.clear()).await;
    for url in [
        "http://127.0.0.1/in",
        "https://127.0.0.1/in",
        "https://127.1/",
        "https://0x7f.1/",
        "https://2130706433/",
        "https://017700000001/",
        "https://[::1]/",
        "https://[::ffff:127.0.0.1]/",
        "https://[64:ff9b::a9fe:a9fe]/",
        "https://169.254.169.254/latest/meta-data/",
        "https://10.0.0.1/",
        "https://192.168.1.1/",
        "https://100.100.100.200/",
        "https://[fd00:ec2::254]/",
        "https://0.0.0.0/",
        "http://example.com/",
        "https://user:secret@example.com/",
        "ftp://example.com/",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "no address",
        "",
    ] {
        let answer = operator.form("/admin/endpoints", &[("url", url), ("tags", "kept")]).await;
        assert_eq!(answer.status(), StatusCode::UNPROCESSABLE_ENTITY, "{url}");
        let page = crate::app::Page { status: answer.status(), text: answer.text().await.unwrap() };
        assert!(page.one("[role=alert]").contains("Nothing was changed"), "{url}");
        assert_eq!(page.attributes("#url", "value"), [url]);
        assert_eq!(page.attributes("#tags", "value"), ["kept"]);
    }
    assert!(operator.page("/admin/endpoints").await.text.contains("No endpoint yet"));
}

/// A name is judged by what it resolves to when the connection is made; the demo's own address is one.
#[tokio::test(flavor = "multi_thread")]
async fn f02_a_name_that_leads_inside_gets_no_connection() {
    let (one, operator) = operated(|config| config.delivery_allowed_networks.clear()).await;
    let receiver = Receiver::start(Mood::Good(0)).await;
    let port = receiver.url.rsplit(':').next().unwrap();
    let (endpoint, _) = register(&operator, &format!("https://localhost:{port}")).await;
    one.send(notification("1")).await;
    let attempt = tried(&operator, &endpoint).await.one(".timeline li");
    assert!(attempt.contains("the address is not public"), "{attempt}");
    assert_eq!(receiver.most_at_once(), 0, "nobody connected");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_may_fail_in_every_way_and_slows_no_other() {
    let (one, operator) = operated(|_| {}).await;
    let moods = [
        (Mood::Hangs, "no answer in time"),
        (Mood::HangsUp, "No answer"),
        (Mood::Resets, "No answer"),
        (Mood::Babbles, "No answer"),
        (Mood::Drips, "no answer in time"),
        (Mood::Boasts, "No answer"),
        (Mood::Says(500, ""), "Answered 500"),
        (Mood::Says(429, "Retry-After: 3600\r\n"), "Answered 429"),
        (Mood::Says(302, "Location: http://127.0.0.1:1/\r\n"), "Answered 302"),
        (Mood::Says(401, ""), "Answered 401"),
    ];
    let mut failing = Vec::new();
    for (mood, words) in moods {
        let receiver = Receiver::start(mood).await;
        failing.push((register(&operator, &receiver.url).await.0, words, receiver));
    }
    // Nobody listens there any more.
    let (nobody, _) = register(&operator, "http://127.0.0.1:1/").await;
    let endless = Receiver::start(Mood::NeverEnds).await;
    let (endless_page, _) = register(&operator, &endless.url).await;
    let good = Receiver::start(Mood::Good(0)).await;
    register(&operator, &good.url).await;
    for number in 0..30 {
        one.send(notification(&number.to_string())).await;
    }
    let arrived = good.until(30).await;
    let mut ids: Vec<_> = arrived.iter().map(|one| one.headers["elements-webhook-id"].clone()).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 30, "each once");
    for (endpoint, words, receiver) in &failing {
        let page = tried(&operator, endpoint).await;
        assert!(page.all(".timeline li").concat().contains(words), "{words}: {}", page.one("main"));
        assert!(page.text.contains("pending"), "{words}: it is tried again");
        receiver.becomes(Mood::Good(0));
    }
    assert!(tried(&operator, &nobody).await.text.contains("No answer"));
    all_are(&operator, &endless_page, "delivered").await;
    // An hour later all of them have come round.
    one.app.clock.advance(time::Duration::HOUR + time::Duration::MINUTE);
    for (endpoint, words, _) in &failing {
        let rows = all_are(&operator, endpoint, "delivered").await;
        assert_eq!(rows.len(), 30, "{words}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_oldest_goes_first_and_never_more_than_eight_at_once() {
    let (one, operator) = operated(|_| {}).await;
    let receiver = Receiver::start(Mood::Says(500, "")).await;
    let (endpoint, _) = register(&operator, &receiver.url).await;
    for number in 0..40 {
        one.send(notification(&number.to_string())).await;
    }
    receiver.until(40).await;
    all_are(&operator, &endpoint, "pending").await;
    receiver.becomes(Mood::Good(30));
    one.app.clock.advance(time::Duration::MINUTE);
    let order: Vec<usize> = receiver.until(80).await[40..]
        .iter()
        .map(|one| one.headers["elements-webhook-id"].parse().unwrap())
        .collect();
    for (place, number) in order.iter().enumerate() {
        assert!(number.abs_diff(place) < 8, "{number} came in place {place}: {order:?}");
    }
    assert!(receiver.most_at_once() <= 8, "{} at once", receiver.most_at_once());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_410_switches_off_and_what_was_missed_can_be_had_after_switching_on() {
    let (one, operator) = operated(|_| {}).await;
    let receiver = Receiver::start(Mood::Says(410, "")).await;
    let (endpoint, _) = register(&operator, &receiver.url).await;
    one.send(notification("1")).await;
    all_are(&operator, &endpoint, "failed").await;
    assert!(operator.page(&endpoint).await.one(".note.bad").contains("410"));
    assert!(operator.page("/admin/instances").await.one(".note.bad").contains("switched off"));
    one.send(notification("2")).await;
    assert_eq!(all_are(&operator, &endpoint, "failed").await.len(), 2);
    let delivery = tried_link(&operator, &endpoint).await;
    let refused = operator.form(&format!("{delivery}/redeliver"), &[]).await;
    assert_eq!(refused.status(), StatusCode::CONFLICT, "while it is off");

    receiver.becomes(Mood::Good(0));
    let answer = operator.form(&format!("{endpoint}/switch-on"), &[]).await;
    assert_eq!(location(&answer), endpoint);
    assert!(operator.page("/admin/instances").await.all(".note.bad").is_empty());
    operator.form(&format!("{delivery}/redeliver"), &[]).await;
    receiver.until(2).await;
}

async fn tried_link(operator: &Browser, endpoint: &str) -> String {
    let id = endpoint.rsplit('/').next().unwrap();
    operator
        .page(&format!("/admin/deliveries?endpoint={id}"))
        .await
        .attributes("tbody th a", "href")
        .remove(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn after_five_days_without_a_success_it_is_switched_off_and_the_operator_told() {
    let (one, operator) = operated(|_| {}).await;
    let receiver = Receiver::start(Mood::Says(503, "Retry-After: 99999999999999\r\n")).await;
    let (endpoint, _) = register(&operator, &receiver.url).await;
    for day in 0..6 {
        let before = receiver.received().len();
        one.send(notification(&day.to_string())).await;
        // On the last day an older one may be what ends it, before this one is sent.
        if day < 5 {
            receiver.until(before + 1).await;
            all_are(&operator, &endpoint, "pending").await;
            assert!(operator.page(&endpoint).await.one("main [role=status]").ends_with("on"));
            one.app.clock.advance(time::Duration::DAY);
            operator.form("/admin/sign-in", &[("password", "a long enough password")]).await;
        }
    }
    all_are(&operator, &endpoint, "failed").await;
    assert!(operator.page(&endpoint).await.one(".note.bad").contains("five days"));
}

#[tokio::test(flavor = "multi_thread")]
async fn many_are_delivered_again_after_the_count_was_shown_and_it_can_be_stopped() {
    let (one, operator) = operated(|_| {}).await;
    let receiver = Receiver::start(Mood::Good(0)).await;
    let (endpoint, _) = register(&operator, &receiver.url).await;
    for number in 0..12 {
        one.send(notification(&number.to_string())).await;
    }
    receiver.until(12).await;
    all_are(&operator, &endpoint, "delivered").await;
    let id = endpoint.rsplit('/').next().unwrap();
    let none = operator.page(&format!("/admin/redeliveries/new?endpoint={id}")).await;
    assert!(none.one("#count").contains("None fits"), "failed ones are meant unless others are asked for");
    let asked = operator.page(&format!("/admin/redeliveries/new?state=delivered&endpoint={id}")).await;
    assert!(asked.one("#count").contains("12 deliveries fit"));
    assert_eq!(receiver.received().len(), 12, "counting does nothing");
    let form = [("state", "delivered"), ("endpoint", id), ("hours", "24"), ("rate", "5")];
    assert_eq!(location(&operator.form("/admin/redeliveries", &form).await), "/admin/redeliveries");
    receiver.until(17).await;
    let page = operator.page("/admin/redeliveries").await;
    assert!(page.one("tbody tr").contains("5 of 12, 5 a second"), "{}", page.one("tbody tr"));
    one.app.clock.advance(time::Duration::seconds(2));
    receiver.until(22).await;
    operator.form(&page.attributes("tbody form", "action").remove(0), &[]).await;
    one.app.clock.advance(time::Duration::MINUTE);
    assert!(operator.page("/admin/redeliveries").await.one("tbody tr").contains("stopped"));
    let again = &receiver.received()[12..];
    assert_eq!(again.len(), 10, "after it was stopped nothing more is asked for");
    let first = receiver.received()[0].headers["webhook-id"].clone();
    assert!(again.iter().any(|one| one.headers["webhook-id"] == first), "with the same webhook-id");
    for bad in [("rate", "0"), ("rate", "100000"), ("hours", "7"), ("state", "x"), ("endpoint", "x")] {
        let mut form = form.to_vec();
        form.retain(|(name, _)| *name != bad.0);
        form.push(bad);
        assert_eq!(operator.form("/admin/redeliveries", &form).await.status(), StatusCode::BAD_REQUEST);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_pending_goes_on_after_a_restart_and_a_deleted_endpoint_gets_nothing() {
    let (mut one, operator) = operated(|_| {}).await;
    let receiver = Receiver::start(Mood::Hangs).await;
    let (endpoint, _) = register(&operator, &receiver.url).await;
    let doomed = Receiver::start(Mood::Hangs).await;
    let (doomed_page, secret) = register(&operator, &doomed.url).await;
    for number in 0..20 {
        one.send(notification(&number.to_string())).await;
    }
    receiver.until(1).await;
    doomed.until(1).await;
    one.app.stop().await;
    receiver.becomes(Mood::Good(0));
    doomed.becomes(Mood::Good(0));
    let before = doomed.received().len();
    one.app.start_again().await;
    assert_eq!(location(&operator.form(&format!("{doomed_page}/delete"), &[]).await), "/admin/endpoints");
    one.app.clock.advance(time::Duration::HOUR);
    let rows = all_are(&operator, &endpoint, "delivered").await;
    assert_eq!(rows.len(), 20, "the restart lost none");
    one.send(notification("later")).await;
    assert_eq!(all_are(&operator, &endpoint, "delivered").await.len(), 21);
    let after = doomed.received();
    assert!(after[before..].iter().all(|one| one.headers["elements-webhook-id"] != "later"));
    assert!(operator.page(&doomed_page).await.text.contains("It is deleted"));
    let pool = one.app.database().await;
    let kept: i64 = sqlx::query_scalar("SELECT count(*) FROM endpoints WHERE length(secret) > 0")
        .fetch_one(&pool)
        .await
        .unwrap();
    assert_eq!(kept, 1, "its secret is gone with it: {}", secret.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_words_of_a_receiver_are_shown_as_text_and_a_form_sent_twice_registers_once() {
    let (one, operator) = operated(|_| {}).await;
    let receiver = Receiver::start(Mood::Says(500, "")).await;
    let (endpoint, _) = register(&operator, &receiver.url).await;
    let again = operator.form("/admin/endpoints", &[("url", &receiver.url)]).await;
    assert_eq!(again.status(), StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(operator.page("/admin/endpoints").await.all("tbody tr").len(), 1);
    one.send(notification("1")).await;
    let page = tried(&operator, &endpoint).await;
    assert_eq!(page.one(".timeline pre"), "<so>");
    assert!(!page.text.contains("<so>"));
    for path in ["/admin/deliveries/0", "/admin/deliveries/x", "/admin/endpoints/x", "/admin/deliveries/-1"] {
        assert_eq!(operator.get(path).await.status(), StatusCode::NOT_FOUND, "{path}");
    }
    for query in ["state=x", "endpoint=x", "after=x", "page=2"] {
        let answer = operator.get(&format!("/admin/deliveries?{query}")).await;
        assert_eq!(answer.status(), StatusCode::BAD_REQUEST, "{query}");
    }
}
