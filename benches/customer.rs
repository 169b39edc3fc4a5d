//! A customer who connects, so that there is something to send notifications for.

use gangway::elements::SignatureKey;
use reqwest::Client;
use serde_json::Value;

/// One customer connects; answers where its notifications go, and their key.
pub async fn connected(app: &str, simulator: &str) -> (String, SignatureKey) {
    let client = Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy().build().unwrap();
    let header = |answer: &reqwest::Response, name: &str| answer.headers()[name].to_str().unwrap().to_owned();
    let start = client.post(format!("{app}/connect")).send().await.unwrap();
    let cookie = header(&start, "set-cookie").split(';').next().unwrap().to_owned();
    let target = header(&start, "location");
    let (page, query) = target.split_once('?').unwrap();
    let form = client.post(page).header("content-type", "application/x-www-form-urlencoded");
    let answer = form.body(format!("{query}&decision=allow&account=0")).send().await.unwrap();
    let back = client.get(header(&answer, "location")).header("cookie", cookie).send().await.unwrap();
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
