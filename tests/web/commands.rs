//! `gangway instances` and `gangway events`: the binary itself, beside a Gangway that serves.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use gangway::seal::SecretKey;
use reqwest::StatusCode;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use crate::app::{CLIENT_SECRET, TestApp};
use crate::program::Api;

const KEY: &str = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";

struct Ran {
    code: i32,
    out: String,
    words: String,
}

impl Ran {
    fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|_| panic!("{} {}", self.out, self.words))
    }
}

async fn serving() -> Api {
    Api::of(TestApp::with(|config| config.secret_key = SecretKey::parse(KEY).unwrap()).await).await
}

fn command(app: &TestApp, arguments: &[&str]) -> Command {
    let access = &app.config.cloud_elements;
    let mut command = Command::new(env!("CARGO_BIN_EXE_gangway"));
    command.args(arguments).env_clear().current_dir(app.folder());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    for (name, value) in [
        ("PUBLIC_URL", app.origin.as_str()),
        ("SECRET_KEY", KEY),
        ("DATABASE_URL", app.config.database_url.expose_secret()),
        ("MAILCHIMP_CLIENT_ID", &app.config.mailchimp.client_id),
        ("MAILCHIMP_CLIENT_SECRET", CLIENT_SECRET),
        ("CLOUD_ELEMENTS_USER_SECRET", access.user_secret.expose_secret()),
        ("CLOUD_ELEMENTS_ORGANIZATION_SECRET", access.organization_secret.expose_secret()),
        ("CLOUD_ELEMENTS_URL", access.url.as_str()),
    ] {
        command.env(name, value);
    }
    command
}

async fn run(app: &TestApp, arguments: &[&str]) -> Ran {
    let mut command = command(app, arguments);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Ran { code: output.status.code().unwrap(), out: text(output.stdout), words: text(output.stderr) }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_done_says_so_and_by_its_code() {
    let api = serving().await;
    let (app, id) = (&api.one.app, api.one.id.as_str());
    for wrong in [
        &["instances", "show", "abc"][..],
        &["instances", "show", "not-an-id-at-all"],
        &["instances", "show"],
        &["instances", "list", "--state", "happy"],
        &["instances", "list", "--limit", "0"],
        &["events", "list", "--type", "NEWS"],
        &["events", "list", "--after", "x"],
        &["events", "list", "--instance", "abc"],
        &["events", "redeliver"],
    ] {
        assert_eq!(run(app, wrong).await.code, 2, "{wrong:?}");
    }
    for missing in [
        &["instances", "pause", "01a20a99-a8ce-7563-ba33-fbd382988f52"][..],
        &["instances", "show", "0000-0000"],
        &["instances", "resume", "00000000"],
        &["events", "redeliver", "999-0"],
        &["events", "redeliver", "--delivery", "999"],
    ] {
        let ran = run(app, missing).await;
        assert_eq!((ran.code, ran.out.as_str()), (1, ""), "{missing:?}");
        assert!(!ran.words.is_empty());
    }
    app.faults(json!({ "change_status": 403 })).await;
    let refused = run(app, &["instances", "pause", id]).await;
    assert_eq!(refused.code, 1);
    assert!(refused.words.contains("403: It cannot be changed now"), "{}", refused.words);
    assert!(!refused.words.contains(CLIENT_SECRET));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_goes_on_with_its_cursor_and_means_what_was_looked_for() {
    let api = serving().await;
    let app = &api.one.app;
    let other = app.connected().await.1;
    let other = other.rsplit('/').next().unwrap();
    let mut listed = Vec::new();
    let mut arguments =
        vec!["instances".to_owned(), "list".into(), "--json".into(), "--limit".into(), "1".into()];
    for _ in 0..2 {
        let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let part = run(app, &words).await.json();
        listed.push(part["items"][0]["id"].as_str().unwrap().to_owned());
        arguments.truncate(5);
        arguments.extend(["--cursor".to_owned(), part["next"].as_str().unwrap_or_default().to_owned()]);
    }
    assert_eq!(arguments[6], "", "that was all");
    listed.sort_unstable();
    let mut both = [api.one.id.as_str(), other];
    both.sort_unstable();
    assert_eq!(listed, both);
    let found = run(app, &["instances", "list", "--json", "--q", other]).await.json();
    assert_eq!(found["items"][0]["id"], json!(other));
    assert_eq!(run(app, &["instances", "list", "--tag", "nobody's"]).await.out.lines().count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn instances_are_listed_shown_paused_resumed_checked_and_disconnected_as_the_api_has_them() {
    let api = serving().await;
    let (app, id) = (&api.one.app, api.one.id.as_str());
    let path = format!("/api/v1/instances/{id}");
    let listed = run(app, &["instances", "list", "--json"]).await;
    assert_eq!(listed.json(), json!({ "items": [api.get(&path).await.json], "next": null }));
    for (arguments, lines) in [
        (&["instances", "list"][..], 2),
        (&["instances", "list", "--q", "MAILCHIMP", "--state", "connected"], 2),
        (&["instances", "list", "--state", "paused"], 1),
        (&["instances", "list", "--q", "nobody"], 1),
    ] {
        assert_eq!(run(app, arguments).await.out.lines().count(), lines, "{arguments:?}");
    }
    let beginning = &id[..13];
    let paused = run(app, &["instances", "pause", beginning, "--json"]).await;
    assert_eq!((paused.code, &paused.json()["state"]), (0, &json!("paused")), "{}", paused.words);
    assert_eq!(paused.json(), api.get(&path).await.json);
    let timeline = api.get(&format!("{path}/timeline")).await;
    let shown = run(app, &["instances", "show", id, "--json"]).await.json();
    assert_eq!(shown["timeline"], timeline.json["items"]);
    assert!(timeline.items()[0]["summary"].as_str().unwrap().ends_with("Asked for by the command line."));
    let reference = timeline.items()[0]["reference"].as_str().unwrap();
    let shown = run(app, &["instances", "show", &reference.to_lowercase()]).await;
    assert!(shown.out.contains(id) && shown.out.contains(reference), "{}", shown.out);
    assert_eq!(run(app, &["instances", "resume", id]).await.code, 0);
    assert_eq!(run(app, &["instances", "check", id]).await.code, 0);
    app.revoke().await;
    let checked = run(app, &["instances", "check", id, "--json"]).await;
    assert_eq!((checked.code, &checked.json()["state"]), (1, &json!("needs_attention")));
    assert_eq!(run(app, &["instances", "pause", id]).await.code, 1);
    let gone = run(app, &["instances", "disconnect", id, "--json"]).await;
    assert_eq!((gone.code, &gone.json()["state"]), (0, &json!("disconnected")), "{}", gone.words);
    assert_eq!(run(app, &["instances", "disconnect", id]).await.code, 0, "it is done");
}

#[tokio::test(flavor = "multi_thread")]
async fn events_are_listed_as_the_api_has_them_and_followed_as_they_arrive() {
    let api = serving().await;
    let (app, id) = (&api.one.app, api.one.id.as_str());
    app.add_contact("one@reader.example").await;
    api.one.browser.wait_for(&api.one.page, "First event received").await;
    let through_api = api.get("/api/v1/events").await;
    let listed = run(app, &["events", "list", "--json", "--instance", id]).await;
    assert_eq!(listed.json()["items"], through_api.json["items"]);
    let first = through_api.items()[0]["id"].as_str().unwrap();
    assert_eq!(
        run(app, &["events", "list", "--after", first]).await.out.lines().count(),
        1,
        "the head alone"
    );
    let mut tail = command(app, &["events", "tail", "--json", "--after", "0-0"]).spawn().unwrap();
    let out = tail.stdout.take().unwrap();
    let line = tokio::task::spawn_blocking(move || {
        let mut line = String::new();
        BufReader::new(out).read_line(&mut line).unwrap();
        line
    });
    let line: Value = serde_json::from_str(&line.await.unwrap()).unwrap();
    assert_eq!(line, through_api.items()[0]);
    // Its reader has gone; the next event ends it, and well.
    app.add_contact("two@reader.example").await;
    let ended = tokio::task::spawn_blocking(move || tail.wait().unwrap()).await.unwrap();
    assert!(ended.success());
    let mut tail = command(app, &["events", "tail"]).spawn().unwrap();
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    Command::new("kill").args(["-INT", &tail.id().to_string()]).status().unwrap();
    assert!(tokio::task::spawn_blocking(move || tail.wait().unwrap()).await.unwrap().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_notification_is_passed_on_again() {
    let api = serving().await;
    let app = &api.one.app;
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let made = api.post("/api/v1/endpoints", &json!({ "url": format!("http://{closed}/") })).await;
    assert_eq!(made.status, StatusCode::CREATED);
    app.add_contact("one@reader.example").await;
    api.one.browser.wait_for(&api.one.page, "First event received").await;
    let event = api.get("/api/v1/events").await.items()[0]["id"].as_str().unwrap().to_owned();
    let delivery = api.get("/api/v1/deliveries").await.items()[0]["id"].as_str().unwrap().to_owned();
    for arguments in [&["events", "redeliver", &event][..], &["events", "redeliver", "--delivery", &delivery]]
    {
        let asked = run(app, arguments).await;
        assert_eq!(asked.code, 0, "{}", asked.words);
        assert!(asked.out.contains(&format!("Delivery {delivery} is asked for again")));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_is_amended_and_the_trail_has_every_act_of_the_command_line() {
    let api = serving().await;
    let (app, id) = (&api.one.app, api.one.id.as_str());
    let amended =
        run(app, &["instances", "amend", id, "--name", "Ada's Bakery", "--tag", "eu", "--json"]).await;
    assert_eq!((&amended.json()["name"], &amended.json()["tags"]), (&json!("Ada's Bakery"), &json!(["eu"])));
    let bare = run(app, &["instances", "amend", id, "--no-tags", "--json"]).await;
    assert_eq!((&bare.json()["name"], &bare.json()["tags"]), (&json!("Ada's Bakery"), &json!([])));
    for wrong in [&["instances", "amend", id][..], &["instances", "amend", id, "--tag", "a,b"]] {
        assert_eq!(run(app, wrong).await.code, 2, "{wrong:?}");
    }
    run(app, &["instances", "pause", id]).await;
    run(app, &["invite", "create", "--customer", "Ada"]).await;
    run(app, &["reconcile", "--apply"]).await;
    let trail = run(app, &["audit", "--json", "--who", "command line"]).await.json();
    let acts: Vec<_> =
        trail["items"].as_array().unwrap().iter().map(|row| row["act"].as_str().unwrap()).collect();
    let expected = [
        "reconcile",
        "invite.create",
        "instance.pause",
        "instance.amend",
        "instance.amend",
        "instance.amend",
    ];
    assert_eq!(acts, expected, "the newest first");
    assert_eq!(trail["items"][2]["subject"], json!(id));
    assert!(trail["items"][2]["reference"].is_string());
    let part = run(app, &["audit", "--json", "--act", "instance.amend", "--limit", "2"]).await.json();
    let next = part["next"].as_str().unwrap();
    let rest = run(app, &["audit", "--json", "--act", "instance.amend", "--cursor", next]).await.json();
    assert_eq!((rest["items"].as_array().unwrap().len(), &rest["next"]), (1, &json!(null)));
    assert_eq!(run(app, &["audit", "--limit", "1"]).await.out.lines().count(), 2);
}
