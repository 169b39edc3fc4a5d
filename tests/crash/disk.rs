//! A disk that fails: full, read-only, locked, or unable to sync. What was answered with 200 is stored,
//! once; the rest is 503; and Gangway goes on by itself, or says clearly that it cannot.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use reqwest::StatusCode;

use crate::app::{Browser, plain};
use crate::child::{Order, Running, database_url};
use crate::kill::Stage;
use crate::sender::Sender;

/// A small disk of its own; `None`, said aloud, where mounting is not allowed.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap().keep();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=3m", "tmpfs"])
            .arg(&folder)
            .status()
            .is_ok_and(|status| status.success());
        if !mounted {
            eprintln!("SKIPPED: a small disk cannot be mounted here");
        }
        mounted.then_some(Self(folder))
    }

    fn remount(&self, how: &str) {
        let options = format!("remount,{how}");
        assert!(Command::new("mount").args(["-o", &options]).arg(&self.0).status().unwrap().success());
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

async fn stage_on(disk: &SmallDisk) -> Stage {
    let mut stage = Stage::set().await;
    stage.order = Order { folder: disk.0.join("data"), ..stage.order.clone() };
    stage
}

async fn ready(stage: &Stage) -> StatusCode {
    plain().get(format!("{}/readyz", stage.origin)).send().await.unwrap().status()
}

#[tokio::test(flavor = "multi_thread")]
async fn c09_a_full_disk_acknowledges_nothing_it_has_not_and_recovers_without_a_restart() {
    let Some(disk) = SmallDisk::mount() else { return };
    let stage = stage_on(&disk).await;
    let _child = Running::start(&stage.order);
    let sender = Sender::connect(&stage).await;
    assert_eq!(sender.send(100).await, StatusCode::OK);
    let mut refused = 0;
    while refused < 20 {
        refused += u32::from(sender.send(20_000).await != StatusCode::OK);
        assert!(sender.sent() < 1000, "the disk never filled");
    }
    disk.remount("size=64m");
    for _ in 0..50 {
        assert_eq!(sender.send(1000).await, StatusCode::OK, "it goes on by itself");
    }
    sender.check(&stage.order.folder).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_turns_read_only_acknowledges_nothing_and_a_start_on_it_says_why() {
    let Some(disk) = SmallDisk::mount() else { return };
    let stage = stage_on(&disk).await;
    let child = Running::start(&stage.order);
    let sender = Sender::connect(&stage).await;
    assert_eq!(sender.send(100).await, StatusCode::OK);
    child.kill();
    disk.remount("ro");
    let output = Command::new(env!("CARGO_BIN_EXE_gangway"))
        .arg("serve")
        .env_clear()
        .envs(stage.settings())
        .current_dir("/")
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && told.to_lowercase().contains("read-only"), "{told}");
    disk.remount("rw");
    let _child = Running::start(&stage.order);
    assert_eq!(sender.send(100).await, StatusCode::OK);
    sender.check(&stage.order.folder).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn c08_a_database_locked_for_ten_seconds_loses_nothing() {
    let stage = Stage::set().await;
    let _child = Running::start(&stage.order);
    let sender = Sender::connect(&stage).await;
    let pool = sqlx::SqlitePool::connect(&database_url(&stage.order.folder)).await.unwrap();
    let mut other = pool.acquire().await.unwrap();
    sqlx::query("BEGIN IMMEDIATE").execute(&mut *other).await.unwrap();
    let late = tokio::spawn(async move {
        let status = sender.send(100).await;
        (sender, status)
    });
    let browser = Browser::of(&stage.origin);
    let callback = browser.decide(&browser.start().await, "allow").await;
    let back = tokio::spawn(async move { browser.get(&callback).await.status() });
    tokio::time::sleep(Duration::from_secs(8)).await;
    sqlx::query("ROLLBACK").execute(&mut *other).await.unwrap();
    let (sender, status) = late.await.unwrap();
    assert!(matches!(status, StatusCode::OK | StatusCode::SERVICE_UNAVAILABLE));
    assert!(back.await.unwrap().is_redirection(), "the customer waited, and got there");
    assert_eq!(sender.send(100).await, StatusCode::OK);
    sender.check(&stage.order.folder).await;
    stage.check().await;
}

/// A library that makes every sync fail while a file exists; `None`, said aloud, without a C compiler.
fn failing_sync(folder: &Path) -> Option<PathBuf> {
    const SOURCE: &str = r#"
        #define _GNU_SOURCE
        #include <dlfcn.h>
        #include <errno.h>
        #include <stdlib.h>
        #include <unistd.h>
        static int fails(void) {
            const char *flag = getenv("SYNC_FAILS_WHILE");
            if (flag && access(flag, F_OK) == 0) { errno = EIO; return 1; }
            return 0;
        }
        int fsync(int fd) { return fails() ? -1 : ((int (*)(int))dlsym(RTLD_NEXT, "fsync"))(fd); }
        int fdatasync(int fd) { return fails() ? -1 : ((int (*)(int))dlsym(RTLD_NEXT, "fdatasync"))(fd); }
    "#;
    let (source, library) = (folder.join("sync.c"), folder.join("sync.so"));
    std::fs::write(&source, SOURCE).unwrap();
    let built =
        Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(&library).arg(&source).arg("-ldl").status();
    let built = built.is_ok_and(|status| status.success());
    if !built {
        eprintln!("SKIPPED: no C compiler for the library that makes syncs fail");
    }
    built.then_some(library)
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_failed_sync_nothing_is_acknowledged_until_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let Some(library) = failing_sync(folder.path()) else { return };
    let flag = folder.path().join("fails");
    let stage = Stage::set().await;
    let environment = [("LD_PRELOAD", library.as_path()), ("SYNC_FAILS_WHILE", flag.as_path())];
    let child = Running::start_with(&stage.order, &environment);
    let sender = Sender::connect(&stage).await;
    for _ in 0..5 {
        assert_eq!(sender.send(100).await, StatusCode::OK);
    }
    assert_eq!(ready(&stage).await, StatusCode::OK);
    std::fs::write(&flag, "").unwrap();
    assert_eq!(sender.send(100).await, StatusCode::SERVICE_UNAVAILABLE);
    std::fs::remove_file(&flag).unwrap();
    for _ in 0..5 {
        assert_eq!(sender.send(100).await, StatusCode::SERVICE_UNAVAILABLE, "even when syncs work again");
    }
    assert_eq!(ready(&stage).await, StatusCode::SERVICE_UNAVAILABLE, "health is red");
    child.kill();
    let _child = Running::start(&stage.order);
    assert_eq!(sender.send(100).await, StatusCode::OK);
    assert_eq!(ready(&stage).await, StatusCode::OK);
    sender.check(&stage.order.folder).await;
}
