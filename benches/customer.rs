//! A customer who connects, so that there is something to send notifications for.

#[path = "approval.rs"]
mod approval;

use approval::{approved, header};
use gangway::elements::SignatureKey;
use reqwest::Client;
use serde_json::Value;

/// One customer connects; answers where its notifications go, and their key.
pub async fn connected(app: &str, simulator: &str) -> (String, SignatureKey) {
    let client = Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy().build().unwrap();
    let (callback, cookie) = approved(&client, app).await;
    let back = client.get(callback).header("cookie", cookie).send().await.unwrap();
    assert!(header(&back, "location").contains("/instances/"));
    let id = header(&back, "location").rsplit('/').next().unwrap().to_owned();
    loop {
        let ledger: Value =
            client.get(format!("{simulator}/_sim/ledger")).send().await.unwrap().json().await.unwrap();
        let found = ledger["instances"].as_array().unwrap().iter().find_map(|one| {
            let configuration = &one["configuration"];
            let url = configuration["event.notification.callback.url"].as_str()?;
            url.ends_with(&id).then(|| configuration["event.notification.signature.key"].as_str())?
        });
        if let Some(key) = found {
            return (format!("/events/{id}"), SignatureKey::from_stored(key.to_owned()).expect("a key"));
        }
    }
}
