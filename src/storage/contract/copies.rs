//! Copies of the SQLite file: what is no copy is told from one, and nothing is changed by looking.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::*;
use crate::storage::database_copy::look;

impl Bench {
    fn sealer(&self) -> Sealer {
        Sealer::new(&self.key, None, self.entropy.clone())
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    async fn back_up(&self, name: &str) -> PathBuf {
        let file = self.at(name);
        back_up(&self.url, &file, &self.sealer()).await.unwrap();
        file
    }
}

async fn told(bench: &Bench, file: &Path) -> String {
    let before = std::fs::read(file).ok();
    let entries = || std::fs::read_dir(file.parent().unwrap()).unwrap().count();
    let count = entries();
    let error = look(file, &bench.sealer()).await.unwrap_err();
    assert_eq!((std::fs::read(file).ok(), entries()), (before, count), "looking changes nothing");
    error.to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_tells_what_is_in_it_and_is_for_its_owner_alone() {
    let bench = Bench::sqlite().await;
    let id = bench.connected().await.id;
    let file = bench.back_up("a copy? 100%.db").await;
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let copy = look(&file, &bench.sealer()).await.unwrap();
    assert_eq!((copy.instances, copy.notifications, copy.migrations_to_run), (1, 0, 0));
    assert_eq!(copy.newest_instance, Some((id.to_string(), "connected".to_owned(), NOON)));
    assert_eq!((copy.sealed, copy.need_previous), (3, 0), "signature key, token, check");
    let (new, old) = (SecretKey::draw(bench.entropy()), bench.key.clone());
    let both = Sealer::new(&new, Some(&old), bench.entropy.clone());
    assert_eq!(look(&file, &both).await.unwrap().need_previous, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_takes_no_files_place_and_wants_a_database_of_its_own_kind() {
    let bench = Bench::sqlite().await;
    let file = bench.at("copy.db");
    std::fs::write(&file, "mine").unwrap();
    let again = back_up(&bench.url, &file, &bench.sealer()).await;
    assert!(matches!(again, Err(BackUpError::Exists(_))), "{again:?}");
    assert_eq!(std::fs::read(&file).unwrap(), b"mine");
    let nowhere = SecretString::from(format!("sqlite://{}", bench.at("nothing.db").display()));
    let nothing = back_up(&nowhere, &bench.at("other.db"), &bench.sealer()).await;
    assert!(matches!(nothing, Err(BackUpError::NoDatabase(_))), "{nothing:?}");
    let nowhere = back_up(&bench.url, &bench.at("no/folder.db"), &bench.sealer()).await;
    assert!(matches!(nowhere, Err(BackUpError::Write(..))), "{nowhere:?}");
    let postgres = SecretString::from("postgres://gangway:canary@db/gangway");
    let error = back_up(&postgres, &bench.at("other.db"), &bench.sealer()).await.unwrap_err().to_string();
    assert!(error.contains("pg_dump") && !error.contains("canary"), "{error}");
    let wrong = Sealer::new(&SecretKey::draw(bench.entropy()), None, bench.entropy.clone());
    let refused = back_up(&bench.url, &bench.at("other.db"), &wrong).await;
    assert!(matches!(refused, Err(BackUpError::NotGood(CopyError::WrongKey(_)))), "{refused:?}");
    assert_eq!(std::fs::read_dir(bench.folder.path()).unwrap().count(), 2, "the data, and what was there");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_copy_is_told_from_one() {
    let bench = Bench::sqlite().await;
    bench.connected().await;
    let file = bench.back_up("copy.db").await;
    let whole = std::fs::read(&file).unwrap();
    assert!(told(&bench, &bench.at("missing.db")).await.contains("cannot be read"));
    for (bytes, words) in [
        (Vec::new(), "is not a SQLite database"),
        (b"a text, not a database ".repeat(100), "is not a SQLite database"),
        (whole[..whole.len() - 5000].to_vec(), "is cut off"),
        (whole[..200].to_vec(), "is cut off"),
        (
            whole.iter().enumerate().map(|(at, byte)| if at < 8192 { *byte } else { !*byte }).collect(),
            "is damaged",
        ),
    ] {
        std::fs::write(&file, bytes).unwrap();
        let said = told(&bench, &file).await;
        assert!(said.contains(words) && said.contains("copy.db"), "{said}");
    }
    let data = bench.at("data/gangway.db");
    assert!(told(&bench, &data).await.contains("a database in use"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_of_another_program_another_version_or_another_key_is_told_from_ours() {
    let bench = Bench::sqlite().await;
    bench.connected().await;
    let change = async |name: &str, sql: &'static str| {
        let file = bench.back_up(name).await;
        let url = format!("sqlite://{}", file.display());
        let pool = AnyPool::connect(&url).await.unwrap();
        pool.execute(sql).await.unwrap();
        pool.close().await;
        told(&bench, &file).await
    };
    let newer = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) VALUES (9999, 'x', 1, x'00', 0)";
    assert!(change("newer.db", newer).await.contains("written by a newer Gangway (migration 9999"));
    let half = "UPDATE _sqlx_migrations SET success = 0 WHERE version = 2";
    assert!(change("half.db", half).await.contains("migration 2 of"));
    assert!(change("other.db", "DROP TABLE _sqlx_migrations").await.contains("not Gangway's"));
    let moved = "UPDATE instances SET token = signature_key";
    assert!(change("moved.db", moved).await.contains("instances.token of row"));
    let file = bench.back_up("key.db").await;
    let wrong = Sealer::new(&SecretKey::draw(bench.entropy()), None, bench.entropy.clone());
    assert!(matches!(look(&file, &wrong).await, Err(CopyError::WrongKey(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_copy_is_good_and_says_what_is_to_be_brought_up_to_date() {
    let bench = Bench::sqlite().await;
    let file = bench.at("old.db");
    std::fs::write(&file, "").unwrap();
    let pool = AnyPool::connect(&format!("sqlite://{}", file.display())).await.unwrap();
    SQLITE.run_to(1, &pool).await.unwrap();
    let check = bench.storage.setting("key_check").await.unwrap().unwrap();
    let insert = sqlx::query("INSERT INTO settings (name, value) VALUES ('key_check', $1)").bind(check);
    insert.execute(&pool).await.unwrap();
    pool.close().await;
    let copy = look(&file, &bench.sealer()).await.unwrap();
    assert_eq!((copy.migrations_to_run, copy.sealed), (SQLITE.iter().count() - 1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn going_back_to_a_copy_needs_a_good_one_and_no_gangway_and_forgets_nothing() {
    let bench = Bench::sqlite().await;
    let id = bench.connected().await.id;
    let file = bench.back_up("copy.db").await;
    let later = bench.connected().await.id;
    let (url, key, entropy, database) =
        (bench.url.clone(), bench.key.clone(), bench.entropy.clone(), bench.at("data/gangway.db"));
    let sealer = || Sealer::new(&key, None, entropy.clone());
    let refused = restore(&url, &file, &sealer(), ".before").await;
    assert!(matches!(refused, Err(RestoreError::Open(OpenError::InUse(_)))), "{refused:?}");
    bench.storage.close().await;
    let Bench { storage, folder, .. } = bench;
    drop(storage);
    let bad = folder.path().join("bad.db");
    std::fs::write(&bad, "nothing").unwrap();
    assert!(matches!(restore(&url, &bad, &sealer(), ".before").await, Err(RestoreError::NotGood(_))));
    let itself = restore(&url, &database, &sealer(), ".before").await;
    assert!(matches!(itself, Err(RestoreError::Itself(_))), "{itself:?}");
    let restored = restore(&url, &file, &sealer(), ".before").await.unwrap();
    let aside = restored.aside.unwrap();
    assert!(look(&aside, &sealer()).await.unwrap().instances == 2 && file.exists());
    assert_eq!(std::fs::metadata(&database).unwrap().permissions().mode() & 0o777, 0o600);
    let again = restore(&url, &file, &sealer(), ".before").await;
    assert!(matches!(again, Err(RestoreError::Write(..))), "what was kept aside is kept: {again:?}");
    let storage = Storage::open(&url, sealer()).await.unwrap();
    assert!(
        storage.instance(id).await.unwrap().is_some() && storage.instance(later).await.unwrap().is_none()
    );
    storage.close().await;
    drop(storage);
    // A lost file is what copies are for.
    std::fs::remove_file(&database).unwrap();
    let restored = restore(&url, &file, &sealer(), ".before-that").await.unwrap();
    assert!(restored.aside.is_none());
    assert!(Storage::open(&url, sealer()).await.unwrap().instance(id).await.unwrap().is_some());
}
