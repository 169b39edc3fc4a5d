//! Events in the console: rows D and E of the threat list as the operator meets them.

use reqwest::StatusCode;
use serde_json::json;

use crate::app::{Browser, Page, TestApp, plain};
use crate::events::{Connected, notification, sign};

const HOSTILE: &str = r#""><script>alert(1)</script><img src=x onerror=alert(1)><svg onload=alert(1)>"#;

/// A connected instance and the operator who looks at it.
async fn watched() -> (Connected, Browser) {
    let app = TestApp::start().await;
    let operator = app.operator().await;
    (Connected::of(app).await, operator)
}

fn links(page: &Page) -> Vec<String> {
    page.attributes("tbody th a", "href")
}

#[tokio::test(flavor = "multi_thread")]
async fn every_event_is_listed_once_and_found_by_its_filters() {
    let (one, operator) = watched().await;
    assert!(operator.page("/admin/events").await.text.contains("No event yet"));
    for number in 0..60 {
        one.send(notification(&number.to_string())).await;
    }
    one.send("not to be decoded").await;
    let first = operator.page("/admin/events").await;
    assert_eq!(first.all("tbody tr").len(), 50);
    assert!(first.all("tbody tr")[0].contains("Could not be decoded"), "the newest comes first");
    one.send(notification("late")).await;
    let next = first.attributes("a[rel=next]", "href").remove(0);
    let second = operator.page(&next).await;
    assert_eq!(second.all("tbody tr").len(), 11);
    let mut all = [links(&first), links(&second)].concat();
    all.sort();
    all.dedup();
    assert_eq!(all.len(), 61);
    assert!(second.all("a[rel=next]").is_empty());
    for (query, count) in [
        ("type=UPDATED&object_type=contacts", 50),
        ("type=CREATED", 0),
        ("type=&object_type=&from=&to=&text=&instance=", 50),
        ("text=NOT+to+be", 1),
        ("from=2026-11-23T11:59&to=2026-11-23T12:01:00", 50),
        ("to=2026-11-23T12:00:00Z", 0),
        (&format!("instance={}&text=%22late%22", one.id), 1),
        ("instance=01a20a99-a8ce-7563-ba33-fbd382988f52", 0),
    ] {
        let page = operator.page(&format!("/admin/events?{query}")).await;
        assert_eq!(page.all("tbody tr").len(), count, "{query}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn e14_a_forged_or_foreign_cursor_and_an_unknown_filter_are_a_clear_no() {
    let (one, operator) = watched().await;
    for number in 0..52 {
        one.send(notification(&number.to_string())).await;
    }
    let next = operator.page("/admin/events").await.attributes("a[rel=next]", "href").remove(0);
    let cursor = next.split_once("after=").unwrap().1.to_owned();
    for query in [
        format!("type=UPDATED&after={cursor}"),
        format!("after={}", cursor.replace("-0.", "-1.")),
        format!("after={cursor}0"),
        "after=1-0".to_owned(),
        "after=-1".to_owned(),
        "after=%00".to_owned(),
        "page=2".to_owned(),
        "limit=0".to_owned(),
        "type=created".to_owned(),
        "instance=x".to_owned(),
        "from=yesterday".to_owned(),
        "to=2026-02-30T00:00".to_owned(),
        format!("text={}", "x".repeat(201)),
    ] {
        let page = operator.page(&format!("/admin/events?{query}")).await;
        assert_eq!(page.status, StatusCode::BAD_REQUEST, "{query}");
    }
    assert_eq!(operator.page(&next).await.all("tbody tr").len(), 2);
    for id in ["1-7", "999-0", "x", "0-0", "-1-0", "1-0-0"] {
        for path in [format!("/admin/events/{id}"), format!("/admin/events/{id}/payload")] {
            assert_eq!(operator.get(&path).await.status(), StatusCode::NOT_FOUND, "{path}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn e01_e02_a_hostile_payload_is_text_and_downloads_as_bytes() {
    let (one, operator) = watched().await;
    let event = json!({ "eventType": "CREATED", "objectType": HOSTILE, "objectId": HOSTILE });
    let decoded = json!({ "id": HOSTILE, "message": { "events": [event] } }).to_string();
    let svg = format!("<svg xmlns='http://www.w3.org/2000/svg'>{HOSTILE}</svg>");
    let bodies = [decoded.into_bytes(), svg.into_bytes(), [b"\xff\x00", HOSTILE.as_bytes()].concat()];
    for body in &bodies {
        one.send(body.clone()).await;
    }
    let list = operator.page("/admin/events").await;
    let pages = links(&list);
    for (link, body) in pages.iter().rev().zip(&bodies) {
        let page = operator.page(link).await;
        for shown in [&page, &list] {
            let live = shown.all("main script, main img, main svg[onload], [onerror]");
            assert!(!shown.text.contains("<script>alert") && live.is_empty(), "{link}");
        }
        let download = operator.get(&page.attributes("a[download]", "href")[0]).await;
        assert_eq!(download.headers()["content-type"], "application/octet-stream");
        assert_eq!(download.headers()["x-content-type-options"], "nosniff");
        assert!(download.headers()["content-disposition"].to_str().unwrap().starts_with("attachment;"));
        assert_eq!(&download.bytes().await.unwrap()[..], &body[..]);
    }
    let binary = operator.page(&pages[0]).await;
    assert!(binary.one("pre#raw").contains("ff 00 22 3e 3c"), "bytes are shown as numbers");
    assert!(operator.page(&pages[2]).await.one("pre#pretty").contains("alert(1)"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_came_again_is_counted_and_another_body_under_the_same_id_is_pointed_out() {
    let (one, operator) = watched().await;
    let sent = |text: &str| format!(r#"{{"id":"7","message":{{"events":[]}},"text":"{text}"}}"#);
    for text in ["a", "a", "a", "b"] {
        one.send(sent(text)).await;
    }
    let [apart, first] = links(&operator.page("/admin/events").await).try_into().unwrap();
    assert_eq!(operator.page(&first).await.fact("Came again"), "2 times; stored once");
    let page = operator.page(&apart).await;
    assert_eq!(page.fact("Came again"), "never");
    assert!(page.fact("Same id").contains("another body"));
    assert_eq!(page.attributes("dl.facts a[href^='/admin/events/']", "href"), [first]);
    one.send("").await;
    let empty = links(&operator.page("/admin/events").await).remove(0);
    assert!(operator.page(&empty).await.text.contains("0 bytes."), "signed, and nothing in it");
    app_forgets_payloads(&one.app).await;
    let gone = operator.page(&apart).await;
    assert!(gone.text.contains("older than payloads are kept"), "{}", gone.text);
}

/// As if a month had gone by.
async fn app_forgets_payloads(app: &TestApp) {
    let forget = sqlx::query("UPDATE notifications SET body = x'', payload_gone = 1");
    forget.execute(&app.database().await).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_huge_payload_makes_no_huge_page() {
    let (one, operator) = watched().await;
    let body = format!("{{\"id\":\"1\",\"x\":\"{}\"}}", "<".repeat(9 * 1024 * 1024));
    assert_eq!(one.send(body.clone()).await.status(), StatusCode::OK);
    let link = links(&operator.page("/admin/events").await).remove(0);
    let page = operator.page(&link).await;
    assert!(page.text.len() < 500_000, "{}", page.text.len());
    assert!(page.text.contains(&format!("The first 65536 of {} bytes.", body.len())));
    let download = operator.get(&page.attributes("a[download]", "href")[0]).await;
    assert_eq!(download.bytes().await.unwrap().len(), body.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_key_is_seen_at_once_on_both_pages_and_forgotten_by_a_restart() {
    let (mut one, operator) = watched().await;
    let instance = format!("/admin/instances/{}", one.id);
    assert!(!operator.page("/admin/events").await.text.contains("Refused notifications"));
    let send = async |url: &str, signature: Option<String>| {
        let request = plain().post(url).body("{}");
        let request = match signature {
            Some(signature) => request.header("Elements-Webhook-Signature", signature),
            None => request,
        };
        request.send().await.unwrap().status()
    };
    let wrong = Some(sign("another key", b"{}"));
    for _ in 0..12 {
        assert_eq!(send(&one.url(), wrong.clone()).await, StatusCode::UNAUTHORIZED);
    }
    assert_eq!(send(&one.url(), None).await, StatusCode::UNAUTHORIZED);
    for number in 0..20_u128 {
        let nobody = format!("{}/events/{}", one.app.origin, uuid::Uuid::from_u128(number));
        assert_eq!(send(&nobody, wrong.clone()).await, StatusCode::NOT_FOUND);
    }
    let page = operator.page("/admin/events").await;
    for (reason, count) in [("bad_signature", 12), ("malformed_signature", 1), ("unknown_instance", 20)] {
        let row = page.all("section[aria-labelledby=refused] tbody tr");
        let row = row.iter().find(|row| row.starts_with(reason)).unwrap();
        assert!(row.starts_with(&format!("{reason} {count} {count} ")), "{row}");
    }
    assert_eq!(
        page.attributes("section[aria-labelledby=refused] p a", "href"),
        std::slice::from_ref(&instance)
    );
    let sentence = "13 refused in the last hour: bad_signature, malformed_signature.";
    assert!(operator.page(&instance).await.one(".note.bad").contains(sentence));
    one.app.clock.advance(time::Duration::hours(2));
    assert!(operator.page(&instance).await.one(".note.bad").contains("in the last day"));
    one.app.stop().await;
    one.app.start_again().await;
    assert!(!operator.page("/admin/events").await.text.contains("Refused notifications"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_charts_add_up_to_the_list_on_both_pages() {
    let (one, operator) = watched().await;
    let instance = format!("/admin/instances/{}", one.id);
    for number in 0..4 {
        one.send(notification(&number.to_string())).await;
        one.send(notification(&number.to_string())).await;
        one.app.clock.advance(time::Duration::minutes(25));
    }
    for path in ["/admin/events", &instance] {
        let page = operator.page(path).await;
        let told = page.all(".chart figcaption .faint");
        // At 13:40 the hour holds those of 12:50 and 13:15; a duplicate counts in none.
        assert_eq!(told, ["2 in all, 1 at most", "4 in all, 3 at most"], "{path}");
        assert_eq!(page.all(".chart rect").len(), 4, "{path}");
        let rows: Vec<u32> = page.all(".chart dd").iter().map(|count| count.parse().unwrap()).collect();
        assert_eq!(rows, [1, 1, 3, 1], "{path}");
        assert_eq!(page.all(".chart svg[role=img] > title").len(), 2, "{path}");
    }
    let events = operator.page(&instance).await.attributes("a[href*='?instance=']", "href").remove(0);
    assert_eq!(operator.page(&events).await.all("tbody tr").len(), 4);
}

/// An open live view.
struct Stream {
    answer: reqwest::Response,
    text: String,
    last: String,
    /// Links of the rows that were shown, and how many were folded.
    shown: Vec<String>,
    folded: usize,
}

impl Stream {
    async fn open(one: &Connected, operator: &Browser, after: &str, last: Option<&str>) -> Self {
        let url = format!("{}/admin/events/live/feed?after={after}", one.app.origin);
        let request = one.client.get(url).header("Cookie", operator.cookie().unwrap());
        let request = match last {
            Some(last) => request.header("Last-Event-ID", last),
            None => request,
        };
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        Self { answer, text: String::new(), last: after.to_owned(), shown: Vec::new(), folded: 0 }
    }

    /// Reads until so many events were told of; answers how many rows the fullest message showed.
    async fn until(&mut self, events: usize) -> usize {
        let mut fullest = 0;
        while self.shown.len() + self.folded < events {
            let chunk = self.answer.chunk().await.unwrap().expect("the stream goes on");
            self.text += std::str::from_utf8(&chunk).unwrap();
            while let Some((message, rest)) = self.text.split_once("\n\n") {
                let (message, rest) = (message.to_owned(), rest.to_owned());
                let Some(id) = message.strip_prefix("id: ") else {
                    self.text = rest;
                    continue;
                };
                id.lines().next().unwrap().clone_into(&mut self.last);
                let html: String = message.lines().filter_map(|line| line.strip_prefix("data: ")).collect();
                let page = Page { status: StatusCode::OK, text: format!("<table>{html}</table>") };
                let rows = page.attributes("th a", "href");
                fullest = fullest.max(rows.len());
                self.shown.extend(rows);
                let folds = page.attributes("[data-count]", "data-count");
                self.folded += folds.iter().map(|count| count.parse::<usize>().unwrap()).sum::<usize>();
                self.text = rest;
            }
        }
        fullest
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_live_view_folds_a_burst_and_leaves_nothing_out() {
    let (one, operator) = watched().await;
    let page = operator.page("/admin/events/live").await;
    assert_eq!(page.attributes("[data-live]", "data-live"), ["0-0"]);
    futures_util::future::join_all((0..300).map(|number| one.send(notification(&number.to_string())))).await;
    let mut stream = Stream::open(&one, &operator, "0-0", None).await;
    assert_eq!(stream.until(300).await, 20, "a message shows twenty and counts the others");
    assert_eq!((stream.shown.len(), stream.folded), (20, 280));
    let newest = operator.page("/admin/events/live").await;
    assert_eq!(newest.attributes("[data-live]", "data-live"), [stream.last.clone()]);
    futures_util::future::join_all((300..600).map(|number| one.send(notification(&number.to_string()))))
        .await;
    stream.until(600).await;
    one.send("\rid: 9-9\r").await;
    one.send(notification("the last")).await;
    stream.until(602).await;
    assert_eq!(stream.shown.len() + stream.folded, 602, "and nothing twice");
    stream.shown.sort();
    let shown = stream.shown.len();
    stream.shown.dedup();
    assert_eq!(stream.shown.len(), shown);
    for wrong in ["", "x", "1", "-1-0"] {
        let answer = operator.get(&format!("/admin/events/live/feed?after={wrong}")).await;
        assert_eq!(answer.status(), StatusCode::BAD_REQUEST, "{wrong}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_live_view_goes_on_without_gap_or_double_over_a_reconnect_and_a_restart() {
    let (mut one, operator) = watched().await;
    let (mut all, mut last) = (Vec::new(), "0-0".to_owned());
    for round in 0..3 {
        let mut stream = Stream::open(&one, &operator, "0-0", Some(&last)).await;
        if round > 0 {
            // What came while nobody watched.
            stream.until(3).await;
        }
        for number in 0..3 {
            one.send(notification(&format!("{round} watched {number}"))).await;
        }
        stream.until(if round > 0 { 6 } else { 3 }).await;
        all.append(&mut stream.shown);
        last.clone_from(&stream.last);
        if round == 1 {
            assert!(one.app.stop().await.as_millis() < 1000, "an open live view does not hold it up");
            assert!(stream.answer.chunk().await.unwrap_or_default().is_none(), "the stream has ended");
            one.app.start_again().await;
        } else {
            drop(stream);
        }
        for number in 0..3 {
            one.send(notification(&format!("{round} alone {number}"))).await;
        }
    }
    assert_eq!(all.len(), 15);
    all.sort();
    all.dedup();
    assert_eq!(all.len(), 15);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_script_the_live_page_loads_itself_again_and_can_be_paused() {
    let (one, operator) = watched().await;
    one.send(notification("1")).await;
    let page = operator.page("/admin/events/live").await;
    assert_eq!(page.all("tbody tr").len(), 1);
    assert!(page.text.contains(r#"<noscript><meta http-equiv="refresh" content="5"></noscript>"#));
    assert!(!operator.page("/admin/events/live?paused=true").await.text.contains("http-equiv"));
    assert_eq!(operator.get("/admin/events/live?pause=1").await.status(), StatusCode::BAD_REQUEST);
}
