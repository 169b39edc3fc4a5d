//! Another SECRET_KEY while instances connect, endpoints are made and notifications pour in; and the change itself is
//! killed half-way. Afterwards everything opens with the new key alone.

use std::io::{BufRead, BufReader};
use std::sync::Arc;
use std::time::Duration;

use gangway::app::{Surroundings, onboarding, sealer};
use gangway::entropy::SystemEntropy;
use gangway::onboarding::Checked;
use gangway::reference::Reference;
use gangway::seal::SecretKey;
use gangway::storage::{Storage, Wanted};
use gangway::webhook::EndpointSecret;
use reqwest::StatusCode;
use secrecy::ExposeSecret;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::app::Browser;
use crate::child::{Order, Running, config, database_url};
use crate::deliveries::register;
use crate::kill::Stage;
use crate::receiver::{Mood, Receiver};
use crate::sender::Sender;

/// So many endpoints are there already, so that the change takes a while.
const ENDPOINTS: usize = 3_000;

fn fresh_key() -> String {
    SecretKey::draw(&SystemEntropy::default()).expose()
}

/// Wants nothing of what is sent here.
fn nothing() -> Wanted {
    Wanted { instances: vec![Uuid::from_u128(1)], ..Wanted::default() }
}

/// Every sealed value of two tables, for telling whether one has changed.
async fn sealed(stage: &Stage) -> Vec<(Vec<u8>, Option<Vec<u8>>)> {
    let pool = sqlx::SqlitePool::connect(&database_url(&stage.order.folder)).await.unwrap();
    let query = "SELECT signature_key, token FROM instances UNION ALL SELECT value, NULL FROM settings";
    let rows = sqlx::query_as(query).fetch_all(&pool).await.unwrap();
    pool.close().await;
    rows
}

/// Customers connect and an operator adds endpoints, until told to stop. Answers how many connected.
async fn keep_connecting(stage: &Stage, ebb: CancellationToken) -> usize {
    let mut connected = 0;
    while !ebb.is_cancelled() {
        let browser = Browser::of(&stage.origin);
        let page = browser.connect().await;
        browser.wait_for(&page, "MailChimp is connected").await;
        register(stage, "http://127.0.0.1:9/", nothing(), 3).await;
        connected += 1;
    }
    connected
}

/// Begins the change, and kills it once some endpoints have been done.
async fn killed_half_way(stage: &Stage) {
    let mut command = stage.command(&["rekey"]);
    let said = tokio::task::spawn_blocking(move || {
        let mut process = command.spawn().unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let said = lines.find(|line| line.as_ref().unwrap().starts_with("endpoint secrets"));
        process.kill().unwrap();
        process.wait().unwrap();
        said.unwrap().unwrap()
    })
    .await
    .unwrap();
    assert!(said.contains(" of 3,0"), "{said}");
    let (well, said) = stage.run(&["rekey", "--check"]).await;
    assert!(!well && said.contains("still need the previous key"), "{said}");
}

/// Of every instance, by its own token.
async fn all_instances_work(stage: &Stage) -> usize {
    let (config, surroundings) = (config(&stage.order), Surroundings::default());
    let storage = Storage::open_beside(&config.database_url, sealer(&config, &surroundings)).await.unwrap();
    let onboarding = onboarding(&config, storage.clone(), surroundings).unwrap();
    let all = storage.instances(None, None, 500).await.unwrap().items;
    for instance in &all {
        let reference = Reference::draw(&SystemEntropy::default());
        let checked = onboarding.check(instance.id, reference, true).await.unwrap();
        assert!(matches!(checked, Some(Checked::Works)), "{checked:?}");
        assert!(storage.instance_with_key(instance.id).await.unwrap().is_some());
    }
    storage.close().await;
    all.len()
}

/// The next that arrives there is signed with the endpoint's own secret.
async fn deliveries_are_signed(sender: &Sender, receiver: &Receiver, secret: &EndpointSecret) {
    let id = sender.fresh(321);
    assert_eq!(sender.deliver(&crate::app::plain(), &id).await.unwrap(), StatusCode::OK);
    for _ in 0..2400 {
        let arrived = receiver.received();
        if let Some(one) = arrived.iter().find(|one| one.headers["elements-webhook-id"] == id) {
            let signed = secret.sign_as_elements(&one.body);
            assert_eq!(one.headers["elements-webhook-signature"], signed);
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("{id} never arrived");
}

#[tokio::test(flavor = "multi_thread")]
async fn c18_another_key_under_load_loses_nothing_though_the_change_is_killed_half_way() {
    another_key_under_load(Stage::set().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn c18_another_key_under_load_loses_nothing_on_postgres_either() {
    let Some(url) = crate::postgres::database("rekey").await else { return };
    let mut stage = Stage::set().await;
    stage.order.postgres = Some(url.expose_secret().to_owned());
    another_key_under_load(stage).await;
}

async fn another_key_under_load(mut stage: Stage) {
    let (old, new) = (stage.order.secret_key.clone(), fresh_key());
    let child = Running::start(&stage.order);
    let sender = Arc::new(Sender::connect(&stage).await);
    let receiver = Receiver::start(Mood::Good(0)).await;
    let secret = register(&stage, &receiver.url, Wanted::default(), 1).await;
    register(&stage, "http://127.0.0.1:9/", nothing(), ENDPOINTS).await;
    child.kill();
    stage.order = Order { secret_key: new.clone(), previous_key: Some(old), ..stage.order.clone() };
    let child = Running::start(&stage.order);
    assert_eq!(sender.send(100).await, StatusCode::OK);
    let (flood, ebb) = (sender.flood(19), CancellationToken::new());
    let arriving = async {
        killed_half_way(&stage).await;
        let alone = Stage::command(&stage, &["rekey"]).env_remove("SECRET_KEY_PREVIOUS").output().unwrap();
        assert!(
            String::from_utf8_lossy(&alone.stderr).contains("SECRET_KEY is not the key"),
            "not too early"
        );
        let (well, said) = stage.run(&["rekey"]).await;
        assert!(well && said.contains("Nothing needs the previous key"), "{said}");
        ebb.cancel();
    };
    let (connected, ()) = futures_util::future::join(keep_connecting(&stage, ebb.clone()), arriving).await;
    flood.end().await;
    let (well, said) = stage.run(&["rekey"]).await;
    assert!(well && said.contains("\n0 sealed anew"), "{said}");
    child.kill();

    stage.order.previous_key = None;
    let _child = Running::start(&stage.order);
    sender.check_in(&stage.order.database_url()).await;
    assert_eq!(all_instances_work(&stage).await, connected + 1);
    deliveries_are_signed(&sender, &receiver, &secret).await;
    let (well, said) = stage.run(&["rekey", "--check"]).await;
    assert!(well && said.contains("Nothing needs a previous key"), "{said}");
    println!("{} acknowledged and {connected} connected meanwhile, none lost", sender.acknowledged().len());
}

#[tokio::test(flavor = "multi_thread")]
async fn c18_a_wrong_key_before_or_after_changes_nothing() {
    let mut stage = Stage::set().await;
    let child = Running::start(&stage.order);
    let sender = Sender::connect(&stage).await;
    let before = sealed(&stage).await;
    let original = stage.order.clone();
    for previous_key in [None, Some(fresh_key())] {
        stage.order = Order { secret_key: fresh_key(), previous_key, ..original.clone() };
        for command in [&["rekey"][..], &["rekey", "--check"]] {
            let (well, said) = stage.run(command).await;
            assert!(!well && said.contains("SECRET_KEY is not the key"), "{said}");
        }
    }
    // Right keys, but the Gangway that serves does not know the new one yet.
    let previous_key = Some(original.secret_key.clone());
    stage.order.previous_key = previous_key;
    let (well, said) = stage.run(&["rekey"]).await;
    assert!(!well && said.contains("no Gangway has served with this SECRET_KEY yet"), "{said}");
    assert_eq!(sealed(&stage).await, before);
    assert_eq!(sender.send(100).await, StatusCode::OK);
    child.kill();
    // Once one has served with the new key, the old one alone would not open what it sealed.
    let child = Running::start(&stage.order);
    assert_eq!(sender.send(100).await, StatusCode::OK);
    child.kill();
    stage.order = original;
    let (well, said) = stage.run(&["serve"]).await;
    assert!(!well && said.contains("SECRET_KEY is not the key"), "{said}");
}
