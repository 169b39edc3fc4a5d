//! Our own side: database, key, disk.

use std::path::Path;
use std::time::{Duration, Instant};

use secrecy::{ExposeSecret, SecretString};

use super::{Finding, fail, pass, warn, with_causes};
use crate::storage::{Storage, StorageError};

/// One row written, synced and read back.
pub(super) async fn database(storage: &Storage, slow: Duration) -> Finding {
    let started = Instant::now();
    match storage.try_out().await {
        Ok(()) if started.elapsed() > slow => warn(
            "database",
            &format!("a durable write took {} ms", started.elapsed().as_millis()),
            "put the database on a local disk, not on a network drive",
        ),
        Ok(()) => pass(
            "database",
            &format!("written, synced and read back in {} ms", started.elapsed().as_millis()),
        ),
        Err(error) => fail(
            "database",
            &with_causes(&error),
            "let the user that runs Gangway write to the file of DATABASE_URL and its folder, and check the disk",
        ),
    }
}

/// What is stored opens with the present key.
pub(super) async fn key(storage: &Storage) -> Finding {
    match storage.newest_sealed_opens().await {
        Ok(()) => pass("key", "SECRET_KEY opens what is stored"),
        Err(StorageError::DoesNotOpen(error)) => fail(
            "key",
            &error.to_string(),
            "put the SECRET_KEY back that sealed it, or name that one in SECRET_KEY_PREVIOUS",
        ),
        Err(error) => fail("key", &with_causes(&error), "see the database above"),
    }
}

/// Room on the disk of the database, and what it takes up there.
pub(super) async fn disk(storage: &Storage, database_url: &SecretString, least: u64) -> Finding {
    let taken = match storage.sizes().await {
        Ok(sizes) => format!("the database has {} MiB", sizes.database_bytes / 1024 / 1024),
        Err(error) => return warn("disk", &with_causes(&error), "see the database above"),
    };
    let Some(path) = database_url.expose_secret().strip_prefix("sqlite://") else {
        return pass("disk", &format!("{taken} on its own server"));
    };
    let path = Path::new(path.split('?').next().unwrap_or(path));
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let free = match rustix::fs::statvfs(folder) {
        Ok(disk) => disk.f_bavail.saturating_mul(disk.f_frsize),
        Err(error) => return warn("disk", &error.to_string(), "check the folder of DATABASE_URL"),
    };
    let said = format!("{taken}, and {} MiB are free beside it", free / 1024 / 1024);
    match free {
        free if free < least => fail(
            "disk",
            &said,
            "make room, or move the database to a larger disk; a full one stops every event",
        ),
        free if free < least.saturating_mul(10) => warn("disk", &said, "make room before it is full"),
        _ => pass("disk", &said),
    }
}
