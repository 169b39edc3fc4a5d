//! Events in the console: rows D and E of the threat list as the operator meets them.

use reqwest::StatusCode;
use serde_json::json;

use crate::app::{Browser, Page, TestApp};
use crate::events::{Connected, notification};

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
