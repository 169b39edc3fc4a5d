//! Memory under upstream answers without end: measured from outside, on a process of its own.

use std::time::Duration;

use reqwest::Method;

use crate::app::{Browser, location, parameter};
use crate::child::{Order, Running};
use crate::fake::{Fake, Script};
use crate::kill::Stage;

/// Twenty answers under a cap of 1 MiB each, twice, and room for what the allocator keeps.
const MOST_MORE: u64 = 64 * 1024;

#[tokio::test(flavor = "multi_thread")]
async fn b10_answers_of_a_gigabyte_leave_memory_flat() {
    let stage = Stage::set().await;
    let fake = Fake::start(Script::Endless).await;
    let simulator = fake.url.trim_end_matches("/elements/api-v2").to_owned();
    let child = Running::start(&Order { simulator, ..stage.order.clone() });
    // The first connection, page and cookie are not what is measured.
    Browser::of(&stage.origin).start().await;
    let before = child.most_memory();
    let customers = (0..20).map(|number| {
        let browser = Browser::of(&stage.origin);
        async move {
            let pending = parameter(&browser.start().await, "state");
            let callback = format!("/oauth/callback?code=code-{number}&state={pending}");
            let page = location(&browser.try_send(Method::GET, &callback, None).await.unwrap());
            browser.wait_for(&page, "Checking whether MailChimp").await;
        }
    });
    futures_util::future::join_all(customers).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    let more = child.most_memory() - before;
    assert!(more < MOST_MORE, "{more} KiB more at the highest");
    println!("{more} KiB more at the highest, from {before} KiB");
}
