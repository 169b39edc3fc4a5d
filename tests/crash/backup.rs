//! A backup is taken while notifications pour in, and restored elsewhere: everything acknowledged before it began
//! is in it, once and whole, and it opens with the key of its Gangway and no other.

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

/// `back_up` is told the folder of the Gangway that runs, and the file to make.
async fn backed_up(back_up: impl AsyncFnOnce(&Path, &Path)) {
    let stage = Stage::set().await;
    let child = Running::start(&stage.order);
    let sender = Arc::new(Sender::connect(&stage).await);
    let flood = sender.flood(17);
    sender.until_acknowledged(500).await;
    let elsewhere = tempfile::tempdir().unwrap();
    let (copy, folder) = (elsewhere.path().join("copy.db"), elsewhere.path().join("restored"));
    let before = sender.acknowledged();
    back_up(&stage.order.folder, &copy).await;
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
    backed_up(async |folder, copy| {
        let pool = sqlx::SqlitePool::connect(&database_url(folder)).await.unwrap();
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
    backed_up(async |folder, copy| {
        let mut sqlite3 = Command::new("sqlite3");
        sqlite3.arg(folder.join("gangway.db")).arg(format!(".backup {}", copy.display()));
        let output = tokio::task::spawn_blocking(move || sqlite3.output().unwrap()).await.unwrap();
        assert!(output.status.success(), "{output:?}");
    })
    .await;
}
