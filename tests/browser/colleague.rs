//! A colleague who may only look comes into the console.

use crate::chromium::{Chromium, Look};
use crate::demo::Demo;

/// The operator lets a colleague in who may only look; the colleague finds nothing to press.
pub async fn viewing(browser: &Chromium, demo: &Demo, instance: &str, look: Look) {
    let Some(other) = Chromium::start(true).await else { return };
    other.look(look).await;
    browser.open(&format!("{}/admin/operators", demo.home)).await;
    browser.check("operators").await;
    browser.type_into("#name", "erika.mustermann@example.com").await;
    browser.click("form[action='/admin/operators'] button").await;
    browser.wait_for("h1", "Sign-in link").await;
    browser.check("a colleague's sign-in link").await;
    other.open(&browser.text("main code").await).await;
    other.type_into("#password", "Password-2026").await;
    other.type_into("#password_again", "Password-2026").await;
    other.click("main form button").await;
    other.wait_for("[role=alert]", "guessed first").await;
    other.check("a password that is guessed first").await;
    other.type_into("#password", "seven grey elephants").await;
    other.type_into("#password_again", "seven grey elephants").await;
    other.click("main form button").await;
    other.wait_for("header", "may look at everything").await;
    for (page, name) in [
        ("", "overview"),
        ("/instances", "instances"),
        ("/endpoints", "endpoints"),
        ("/operators", "operators"),
    ] {
        other.open(&format!("{}/admin{page}", demo.home)).await;
        other.check(&format!("{name} for a viewer")).await;
    }
    other.open(instance).await;
    other.check("one instance for a viewer").await;
    other.open(&format!("{instance}/disconnect")).await;
    other.wait_for("h1", "You may look here, not act").await;
    other.check("a form for a viewer").await;
    other.close().await;
    browser.open(&format!("{}/admin/operators", demo.home)).await;
    browser.check("operators, two of them").await;
}
