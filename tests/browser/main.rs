//! The whole journey as a person takes it: the demo of the real binary, in headless Chromium, light and
//! dark, on a telephone and on a desk, with an accessibility check of every page; and once without script.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test that cannot go on should say where, and is told by its environment where it runs"
)]

mod chromium;
mod colleague;
mod demo;

use std::time::Instant;

use chromium::{Chromium, Look};
use colleague::viewing;
use demo::Demo;

const LIGHT_DESK: Look = Look { scheme: "light", width: 1280 };
const LIGHT_PHONE: Look = Look { scheme: "light", width: 320 };
const DARK_DESK: Look = Look { scheme: "dark", width: 1280 };
const DARK_PHONE: Look = Look { scheme: "dark", width: 320 };

async fn journey(look: Look) {
    let Some(browser) = Chromium::start(true).await else { return };
    browser.look(look).await;
    let demo = Demo::start();

    browser.open(&demo.home).await;
    browser.check("landing").await;
    browser.click("main form button").await;
    browser.wait_for("h1", "Allow Gangway demo?").await;
    browser.check("the simulator's consent").await;
    browser.click("button[value=cancel]").await;
    browser.wait_for("h1", "You chose not to connect").await;
    browser.check("denied").await;

    let started = Instant::now();
    browser.click("main form button").await;
    browser.wait_for("h1", "Allow Gangway demo?").await;
    browser.click("button[value=allow]").await;
    browser.wait_for("h1", "MailChimp is connected").await;
    browser.check("connected").await;
    demo.add_contact().await;
    browser.wait_for("main", "First event received at").await;
    assert!(started.elapsed().as_secs() < 10, "the journey took {:?}", started.elapsed());
    browser.check("proven").await;

    let result = browser.address().await;
    audiences(&browser, &result).await;
    browser.open(&demo.control).await;
    browser.check("the simulator's control page").await;
    browser.open(&format!("{}/oauth/callback?code=x&state=y", demo.home)).await;
    browser.check("another browser").await;
    console(&browser, &demo, look).await;
    approving_again(&browser, &demo, &result).await;
    disconnecting(&browser, &result).await;
    browser.close().await;
}

/// Another audience is picked, and reports from then on.
async fn audiences(browser: &Chromium, result: &str) {
    browser.open(&format!("{result}/audiences")).await;
    browser.wait_for("fieldset", "Events").await;
    browser.check("audiences").await;
    browser.click("main form button").await;
    browser.wait_for("[role=alert]", "Pick at least one").await;
    browser.check("no audience picked").await;
    browser.click("fieldset label").await;
    browser.click("main form button").await;
    browser.wait_for("section.reporting", "Events").await;
    browser.check("every audience reports").await;
}

/// The operator signs in for the first time and looks around.
async fn console(browser: &Chromium, demo: &Demo, look: Look) {
    browser.open(&format!("{}/admin/sign-in", demo.home)).await;
    browser.check("sign-in").await;
    browser.open(&demo.sign_in_link).await;
    browser.check("the first sign-in").await;
    browser.click("main form button").await;
    browser.wait_for("h1", "Overview").await;
    browser.check("overview").await;
    browser.click("header summary").await;
    browser.check("the rest of the navigation").await;
    browser.open(&format!("{}/admin/instances", demo.home)).await;
    browser.wait_for("h1", "Instances").await;
    browser.check("instances").await;
    browser.click("tbody a").await;
    browser.wait_for("main", "Timeline").await;
    browser.click("form[action$='/check'] button").await;
    browser.wait_for("ol.timeline", "let this instance in").await;
    browser.check("one instance").await;
    let instance = browser.address().await;
    browser.open(&format!("{instance}/audiences")).await;
    browser.wait_for("section.reporting", "Events").await;
    browser.check("audiences in the console").await;
    browser.open(&instance).await;
    browser.click("form[action$='/reconnect-link'] button").await;
    browser.wait_for("h1", "Link").await;
    browser.check("a reconnect link").await;
    events(browser, demo).await;
    passing_on(browser, demo).await;
    missed_events(browser, demo, &instance).await;
    inviting(browser, demo).await;
    viewing(browser, demo, &instance, look).await;
    under_more(browser, demo, &instance).await;
}

/// What stands beside the daily pages.
async fn under_more(browser: &Chromium, demo: &Demo, instance: &str) {
    browser.open(&format!("{}/api/v1", demo.home)).await;
    browser.check("the API for people").await;
    for page in ["password", "sessions", "audit"] {
        browser.open(&format!("{}/admin/{page}", demo.home)).await;
        browser.check(page).await;
    }
    browser.open(&format!("{instance}/disconnect")).await;
    browser.type_into("#name", "another name").await;
    browser.click("main form button").await;
    browser.wait_for("[role=alert]", "not its name").await;
    browser.check("disconnecting in the console, refused").await;
    browser.open(&format!("{instance}/name")).await;
    browser.check("name and tags").await;
    browser.open(&format!("{}/admin/references?reference=7KQM", demo.home)).await;
    browser.check("no reference number").await;
    browser.open(&format!("{}/admin/doctor", demo.home)).await;
    browser.wait_for("h1", "Everything holds").await;
    browser.check("doctor").await;
    browser.open(&format!("{}/admin/reconcile", demo.home)).await;
    browser.click("main form button").await;
    browser.wait_for("main", "Nothing differs.").await;
    browser.check("the comparison").await;
}

/// The operator looks at what came in, and watches it come.
async fn events(browser: &Chromium, demo: &Demo) {
    browser.open(&format!("{}/admin/events", demo.home)).await;
    browser.wait_for("tbody th", "CREATED contacts").await;
    browser.check("events").await;
    browser.click("tbody th a").await;
    browser.wait_for("#pretty", "mira@reader.example").await;
    browser.check("one event").await;
    browser.open(&format!("{}/admin/events?text=nowhere", demo.home)).await;
    browser.wait_for("main", "No such event").await;
    browser.check("no such event").await;
    browser.open(&format!("{}/admin/events/live", demo.home)).await;
    browser.wait_for("#stream", "Live").await;
    browser.click("#pause").await;
    browser.wait_for("#stream", "Paused").await;
    demo.add_contact().await;
    browser.click("#pause").await;
    browser.wait_for("tbody tr:nth-child(2) th", "CREATED contacts").await;
    browser.check("events, live").await;
}

/// The operator registers an endpoint where nobody listens, and finds out why nothing arrives.
async fn passing_on(browser: &Chromium, demo: &Demo) {
    browser.open(&format!("{}/admin/endpoints", demo.home)).await;
    browser.check("no endpoint yet").await;
    browser.type_into("#url", "http://127.0.0.1:1/in").await;
    browser.click("form[action$='/endpoints'] button").await;
    browser.wait_for("h1", "Keep its secret").await;
    browser.check("an endpoint's secret").await;
    demo.add_contact().await;
    browser.click("main .choices a").await;
    browser.wait_for("h1", "http://127.0.0.1:1/in").await;
    browser.check("one endpoint").await;
    browser.click("main .choices a[href$='/delete']").await;
    browser.wait_for("h1", "Delete this endpoint?").await;
    browser.check("deleting an endpoint").await;
    browser.open(&format!("{}/admin/endpoints", demo.home)).await;
    browser.click("main details summary").await;
    browser.check("endpoints").await;
    browser.open(&format!("{}/admin/deliveries", demo.home)).await;
    browser.wait_for("tbody tr", "pending").await;
    browser.check("deliveries").await;
    browser.click("tbody th a").await;
    browser.wait_for(".timeline", "No answer").await;
    browser.check("one delivery").await;
    browser.open(&format!("{}/admin/redeliveries/new?state=delivered", demo.home)).await;
    browser.wait_for("#count", "None fits").await;
    browser.check("none to deliver again").await;
    browser.open(&format!("{}/admin/redeliveries", demo.home)).await;
    browser.check("nothing delivered again yet").await;
    delivering_again(browser, demo).await;
}

/// What arrived is delivered once more, many at a time.
async fn delivering_again(browser: &Chromium, demo: &Demo) {
    let receiver = demo::receiver();
    browser.open(&format!("{}/admin/endpoints", demo.home)).await;
    browser.type_into("#url", &receiver).await;
    browser.click("form[action$='/endpoints'] button").await;
    browser.wait_for("h1", "Keep its secret").await;
    demo.add_contact().await;
    browser.open(&format!("{}/admin/deliveries?state=delivered", demo.home)).await;
    browser.reload_until("tbody", "delivered").await;
    browser.open(&format!("{}/admin/redeliveries/new?state=delivered", demo.home)).await;
    browser.wait_for("#count", "One delivery fits").await;
    browser.check("how many to deliver again").await;
    browser.click("form[method=post][action$='/redeliveries'] button").await;
    browser.wait_for("tbody", "1 of 1").await;
    browser.check("delivered again").await;
}

/// The operator invites a customer, and takes it back.
async fn inviting(browser: &Chromium, demo: &Demo) {
    browser.open(&format!("{}/admin/invites", demo.home)).await;
    browser.check("no invite yet").await;
    browser.type_into("#customer", "Ada's Bakery and Coffee House by the Harbour").await;
    browser.click("form[action='/admin/invites'] button").await;
    browser.wait_for("h1", "Link for Ada").await;
    browser.check("an invite's link").await;
    let link = browser.text("#link").await;
    browser.open(&link).await;
    browser.wait_for("main", "This link was made for Ada").await;
    browser.check("invited").await;
    browser.open(&format!("{}/admin/invites", demo.home)).await;
    browser.wait_for("tbody", "opened").await;
    browser.check("invites").await;
    browser.click("tbody a").await;
    browser.wait_for("main", "What happened").await;
    browser.check("one invite").await;
    browser.click("form[action$='/revoke'] button").await;
    browser.wait_for("main", "revoked").await;
    browser.open(&link).await;
    browser.wait_for("h1", "This link was taken back").await;
    browser.check("an invite that was taken back").await;
}

/// Cloud Elements has given up, and at first will not send again what it kept.
async fn missed_events(browser: &Chromium, demo: &Demo, instance: &str) {
    const PANEL: &str = "section[aria-labelledby=missed-events]";
    const ASK: &str = "form[action$='/missed-events'] button";
    demo.faults(r#"{"hasty":true,"redeliver_status":403,"events_status":403}"#).await;
    demo.give_up().await;
    demo.add_contact().await;
    browser.open(instance).await;
    browser.click(ASK).await;
    browser.wait_for(PANEL, "1 waiting upstream").await;
    browser.wait_for(PANEL, "How to ask by hand").await;
    browser.check("missed events").await;
    browser.open(&format!("{}/admin/instances", demo.home)).await;
    browser.wait_for("tbody", "1 waiting upstream").await;
    browser.check("instances, one with missed events").await;
    demo.faults("{}").await;
    browser.open(instance).await;
    browser.click(ASK).await;
    browser.wait_for(PANEL, "Cloud Elements said yes").await;
    browser.check("missed events, asked for").await;
}

/// The customer takes the permission back at Mailchimp, the operator notices, and it is given again.
async fn approving_again(browser: &Chromium, demo: &Demo, result: &str) {
    demo.revoke().await;
    let instance = result.replace("/instances/", "/admin/instances/");
    browser.open(&instance).await;
    browser.click("form[action$='/check'] button").await;
    browser.wait_for("main", "needs attention").await;
    browser.check("an instance in trouble").await;
    checking_many(browser, demo).await;
    browser.open(result).await;
    browser.wait_for("h1", "MailChimp needs your approval again").await;
    browser.check("needs attention").await;
    browser.click("main form button").await;
    browser.wait_for("h1", "Allow Gangway demo?").await;
    browser.click("button[value=allow]").await;
    browser.wait_for("h1", "MailChimp is connected").await;
}

/// The operator wants to know who else is in trouble.
async fn checking_many(browser: &Chromium, demo: &Demo) {
    browser.open(&format!("{}/admin/bulk", demo.home)).await;
    browser.check("nothing done to many yet").await;
    browser.open(&format!("{}/admin/instances?state=needs_attention", demo.home)).await;
    browser.click("main a[href^='/admin/bulk/new']").await;
    browser.wait_for("h2#check", "Check 1").await;
    browser.check("what can be done to many").await;
    browser.click("form[action$='/check'] button").await;
    browser.wait_for("#done", "1 of 1").await;
    browser.wait_for("tbody", "no longer").await;
    browser.check("a check of many").await;
    browser.open(&format!("{}/admin/bulk", demo.home)).await;
    browser.check("done to many").await;
}

/// And in the end the customer has had enough.
async fn disconnecting(browser: &Chromium, result: &str) {
    browser.open(&format!("{result}/disconnect")).await;
    browser.check("disconnect?").await;
    browser.click("main form button").await;
    browser.wait_for("h1", "Disconnected").await;
    browser.check("the receipt").await;
    browser.open(&result.replace("/instances/", "/admin/instances/")).await;
    browser.check("a disconnected instance").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_customer_and_the_operator_at_a_light_desk() {
    journey(LIGHT_DESK).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_customer_and_the_operator_on_a_light_phone() {
    journey(LIGHT_PHONE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_customer_and_the_operator_at_a_dark_desk() {
    journey(DARK_DESK).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_customer_and_the_operator_on_a_dark_phone() {
    journey(DARK_PHONE).await;
}

/// Nothing but Tab, Enter and letters: connect; then sign in, find the instance, disconnect it.
#[tokio::test(flavor = "multi_thread")]
async fn with_the_keyboard_alone_a_customer_connects_and_the_operator_disconnects() {
    const ENTER: &str = "\u{e007}";
    let Some(browser) = Chromium::start(true).await else { return };
    let demo = Demo::start();
    browser.open(&demo.home).await;
    browser.tab_to("main form button", ENTER).await;
    browser.wait_for("h1", "Allow Gangway demo?").await;
    browser.tab_to("button[value=allow]", ENTER).await;
    browser.wait_for("h1", "MailChimp is connected").await;
    browser.open(&demo.sign_in_link).await;
    browser.tab_to("main form button", ENTER).await;
    browser.wait_for("header", "Instances").await;
    browser.tab_to("header a[href='/admin/instances']", ENTER).await;
    browser.wait_for("h1", "Instances").await;
    browser.tab_to("tbody a[href*='/admin/instances/']", ENTER).await;
    browser.wait_for("main", "Timeline").await;
    let name = browser.text("h1").await;
    browser.tab_to("a[href$='/disconnect']", ENTER).await;
    browser.wait_for("h1", "Disconnect MailChimp").await;
    browser.tab_to("#name", &format!("{name}{ENTER}")).await;
    browser.wait_for("main", "disconnected").await;
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_script_the_pages_follow_by_themselves_too() {
    let Some(browser) = Chromium::start(false).await else { return };
    let demo = Demo::start();
    demo.faults(r#"{"slow_ms":3000}"#).await;
    browser.open(&demo.home).await;
    browser.click("main form button").await;
    browser.wait_for("h1", "Allow Gangway demo?").await;
    browser.click("button[value=allow]").await;
    browser.wait_for("h1", "Finishing the connection…").await;
    browser.wait_for("h1", "MailChimp is connected").await;
    demo.add_contact().await;
    browser.wait_for("main", "First event received at").await;
    browser.close().await;
}
