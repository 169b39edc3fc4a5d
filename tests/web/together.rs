//! Several Gangways on one Postgres: a customer may start at one and come back to another.

use gangway::app::{App, Surroundings};
use tokio_util::sync::CancellationToken;

use crate::app::{Browser, TestApp, location};
use crate::postgres::database;

#[tokio::test(flavor = "multi_thread")]
async fn c13_two_processes_on_one_postgres_read_each_others_cookies_and_rows() {
    let Some(url) = database("together").await else { return };
    let one = TestApp::with(|config| config.database_url = url).await;
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let other = format!("http://{}", listener.local_addr().unwrap());
    let surroundings = Surroundings { clock: one.clock.clone(), ..Surroundings::default() };
    let app = App::build_on(listener, one.config.clone(), surroundings).await.unwrap();
    let stop = CancellationToken::new();
    let running = tokio::spawn(app.run(stop.clone()));
    let there = Browser::of(&other);
    let here = one.browser();
    let callback = here.decide(&here.start().await, "allow").await;
    there.take_cookies_of(&here);
    let path = callback.split_once("/oauth/").unwrap().1;
    let result = location(&there.get(&format!("/oauth/{path}")).await);
    there.wait_for(&result, "MailChimp is connected").await;
    here.wait_for(&result, "MailChimp is connected").await;
    one.add_contact("mira@reader.example").await;
    there.wait_for(&result, "First event received").await;
    stop.cancel();
    running.await.unwrap().unwrap();
}
