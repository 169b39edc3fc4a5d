//! A backup is taken while notifications pour in, and restored elsewhere: everything acknowledged before it began
//! is in it, once and whole, and it opens with the key of its Gangway and no other.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use gangway::app::{Surroundings, sealer};
use gangway::entropy::SystemEntropy;
use gangway::seal::SecretKey;
use gangway::storage::{OpenError, Storage};
use reqwest::StatusCode;
use secrecy::ExposeSecret;

use crate::child::{Order, Running, config, database_url};
use crate::kill::Stage;
use crate::sender::{Sender, missing};

async fn open(order: &Order) -> Result<Storage, OpenError> {
    let config = config(order);
    Storage::open(&config.database_url, sealer(&config, &Surroundings::default())).await
}

/// The token of the one instance.
async fn token(storage: Storage) -> String {
    let instance = storage.instances(None, None, 10).await.unwrap().items.remove(0);
    let token = storage.instance_token(instance.id).await.unwrap().unwrap();
    storage.close().await;
    token.expose_secret().to_owned()
}

/// `back_up` is told the Gangway that runs, and the file to make.
async fn backed_up(back_up: impl AsyncFnOnce(&Stage, &Path)) {
    let stage = Stage::set().await;
    let child = Running::start(&stage.order);
    let sender = Arc::new(Sender::connect(&stage).await);
    let flood = sender.flood(17);
    sender.until_acknowledged(500).await;
    let elsewhere = tempfile::tempdir().unwrap();
    let (copy, folder) = (elsewhere.path().join("copy.db"), elsewhere.path().join("restored"));
    let before = sender.acknowledged();
    back_up(&stage, &copy).await;
    child.kill();
    flood.end().await;
    std::fs::create_dir(&folder).unwrap();
    std::fs::copy(&copy, folder.join("gangway.db")).unwrap();
    let restored = Order { folder, ..stage.order.clone() };

    let other = SecretKey::draw(&SystemEntropy::default()).expose();
    let refused = open(&Order { secret_key: other, ..restored.clone() }).await;
    assert!(matches!(refused.err(), Some(OpenError::WrongKey)));
    let original = token(open(&stage.order).await.unwrap()).await;
    assert_eq!(token(open(&restored).await.unwrap()).await, original);
    assert_eq!(missing(&restored.folder, &before).await, Ok(Vec::new()));
    let _child = Running::start(&restored);
    assert_eq!(sender.send(100).await, StatusCode::OK, "it goes on from there");
    assert_eq!(missing(&restored.folder, &before).await, Ok(Vec::new()));
}

#[tokio::test(flavor = "multi_thread")]
async fn c17_a_copy_that_vacuum_into_takes_under_a_flood_holds_what_was_acknowledged_before() {
    backed_up(async |stage, copy| {
        let pool = sqlx::SqlitePool::connect(&database_url(&stage.order.folder)).await.unwrap();
        sqlx::query("VACUUM INTO $1").bind(copy.to_str().unwrap()).execute(&pool).await.unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn c17_a_copy_that_sqlite3_takes_under_a_flood_holds_what_was_acknowledged_before() {
    if Command::new("sqlite3").arg("--version").output().is_err() {
        eprintln!("SKIPPED: sqlite3 is not installed");
        return;
    }
    backed_up(async |stage, copy| {
        let mut sqlite3 = Command::new("sqlite3");
        sqlite3.arg(stage.order.folder.join("gangway.db")).arg(format!(".backup {}", copy.display()));
        let output = tokio::task::spawn_blocking(move || sqlite3.output().unwrap()).await.unwrap();
        assert!(output.status.success(), "{output:?}");
    })
    .await;
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn c17_a_copy_that_gangway_takes_under_a_flood_holds_what_was_acknowledged_before() {
    backed_up(async |stage, copy| {
        let (well, said) = stage.run(&["backup", text(copy)]).await;
        assert!(well && said.contains("a whole copy") && said.contains("instances       1"), "{said}");
        assert_eq!(std::fs::metadata(copy).unwrap().permissions().mode() & 0o777, 0o600);
        let made = std::fs::read(copy).unwrap();
        let (well, said) = stage.run(&["backup", text(copy)]).await;
        assert!(!well && said.contains("never takes the place of a file"), "{said}");
        let (well, said) = stage.run(&["restore", "--check", text(copy)]).await;
        assert!(well && said.contains("Nothing was changed") && said.contains("1. Stop Gangway"), "{said}");
        assert!(said.contains("the newest") && said.contains("take the same instances for theirs"), "{said}");
        let (well, said) = stage.run(&["restore", text(copy)]).await;
        assert!(!well && said.contains("another Gangway is running"), "{said}");
        assert!(std::fs::read(copy).unwrap() == made, "it is as it was made");
        let beside = std::fs::read_dir(copy.parent().unwrap()).unwrap().count();
        assert_eq!(beside, 1, "and nothing is left beside it");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn c17_going_back_keeps_what_was_there_aside_and_gangway_goes_on_from_the_copy() {
    let stage = Stage::set().await;
    let child = Running::start(&stage.order);
    let sender = Arc::new(Sender::connect(&stage).await);
    let flood = sender.flood(18);
    sender.until_acknowledged(100).await;
    let elsewhere = tempfile::tempdir().unwrap();
    let copy = elsewhere.path().join("copy.db");
    let before = sender.acknowledged();
    let (well, said) = stage.run(&["backup", text(&copy)]).await;
    assert!(well, "{said}");
    sender.until_acknowledged(before.len() + 200).await;
    child.kill();
    flood.end().await;
    let after = sender.acknowledged();
    let (well, said) = stage.run(&["restore", text(&copy)]).await;
    assert!(well && said.contains("is kept as"), "{said}");
    assert_eq!(missing(&stage.order.folder, &before).await, Ok(Vec::new()));
    let child = Running::start(&stage.order);
    assert_eq!(sender.send(100).await, StatusCode::OK);
    child.kill();
    let aside = said.lines().find_map(|line| line.split_once("is kept as ")).unwrap().1;
    let folder = elsewhere.path().join("aside");
    std::fs::create_dir(&folder).unwrap();
    for ending in ["", "-wal"] {
        let _ = std::fs::copy(format!("{aside}{ending}"), folder.join(format!("gangway.db{ending}")));
    }
    assert_eq!(missing(&folder, &after).await, Ok(Vec::new()), "what was kept aside is whole");
}
