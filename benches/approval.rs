//! A customer up to the way back: started, and approved at the simulator.

use reqwest::{Client, Response};

pub fn header(answer: &Response, name: &str) -> String {
    answer.headers()[name].to_str().unwrap().to_owned()
}

/// Start and approve; the callback's address and the browser's cookie.
pub async fn approved(client: &Client, app: &str) -> (String, String) {
    let start = client.post(format!("{app}/connect")).send().await.unwrap();
    let cookie = header(&start, "set-cookie").split(';').next().unwrap().to_owned();
    let target = header(&start, "location");
    let (page, query) = target.split_once('?').unwrap();
    let form = client.post(page).header("content-type", "application/x-www-form-urlencoded");
    let answer = form.body(format!("{query}&decision=allow&account=0")).send().await.unwrap();
    (header(&answer, "location"), cookie)
}
