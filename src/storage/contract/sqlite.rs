//! What holds for the SQLite file alone.

use std::os::unix::fs::PermissionsExt;

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn the_file_and_its_folder_are_for_their_owner_alone() {
    let bench = Bench::sqlite().await;
    bench.provisioning().await;
    let data = bench.folder.path().join("data");
    assert_eq!(std::fs::metadata(&data).unwrap().permissions().mode() & 0o777, 0o700);
    for file in std::fs::read_dir(&data).unwrap() {
        let file = file.unwrap();
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{:?}", file.file_name());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_gangway_on_the_same_file_is_refused() {
    let bench = Bench::sqlite().await;
    let sealer = Sealer::new(&bench.key, None, Arc::new(SystemEntropy::default()));
    assert!(matches!(Storage::open(&bench.url, sealer).await.err(), Some(OpenError::InUse(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_waits_for_the_disk() {
    let bench = Bench::sqlite().await;
    for (pragma, expected) in [("PRAGMA synchronous", 2), ("PRAGMA foreign_keys", 1)] {
        let value: i64 = sqlx::query_scalar(pragma).fetch_one(&bench.storage.readers).await.unwrap();
        assert_eq!(value, expected, "{pragma}");
    }
    let mode: String =
        sqlx::query_scalar("PRAGMA journal_mode").fetch_one(&bench.storage.readers).await.unwrap();
    assert_eq!(mode, "wal");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_written_is_there_after_opening_again() {
    let bench = Bench::sqlite().await;
    let id = bench.provisioning().await.instance.id;
    let key = bench.key.clone();
    let bench = bench.reopened(&key, None).await.unwrap();
    assert!(bench.storage.instance(id).await.unwrap().is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn c11_a_file_that_is_no_database_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("gangway.db");
    std::fs::write(&path, "this is not a database, and must not become one".repeat(100)).unwrap();
    let entropy = Arc::new(SystemEntropy::default());
    let sealer = Sealer::new(&SecretKey::draw(&*entropy), None, entropy);
    let url = SecretString::from(format!("sqlite://{}", path.display()));
    assert!(matches!(
        Storage::open(&url, sealer).await.err(),
        Some(OpenError::Database(_) | OpenError::Migrate(_))
    ));
}
