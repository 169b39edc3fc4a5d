//! The SQLite file: made readable for its owner alone, and held by one process at a time. A second
//! process would not corrupt it, but two inboxes and two recoveries on one file are nobody's intent.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::OpenError;

/// So long a command waits for a database that another process is making.
const LOOKS: u32 = 200;
const BETWEEN_LOOKS: Duration = Duration::from_millis(50);

/// The lock on a database file; gone with the process, however it ends.
pub(super) struct DatabaseFile {
    lock: File,
}

impl DatabaseFile {
    /// Makes the file if need be, and takes it.
    pub(super) fn claim(path: &str) -> Result<Self, OpenError> {
        let path = Path::new(path.split('?').next().unwrap_or(path));
        let failed = |source| OpenError::File { path: path.display().to_string(), source };
        let held = Self::hold(path)?;
        // SQLite gives its -wal and -shm files the mode of the database file.
        private(path).map_err(failed)?;
        if is_empty(path).map_err(failed)? && !is_empty(&lock_path(path)).map_err(failed)? {
            return Err(OpenError::Emptied(path.display().to_string()));
        }
        Ok(held)
    }

    /// Takes the place of the file, whether or not it is there.
    pub(super) fn hold(path: &Path) -> Result<Self, OpenError> {
        let failed = |source| OpenError::File { path: path.display().to_string(), source };
        DirBuilder::new().recursive(true).mode(0o700).create(folder_of(path)).map_err(failed)?;
        let lock = private(&lock_path(path)).map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { lock }),
            Err(TryLockError::WouldBlock) => Err(OpenError::InUse(path.display().to_string())),
            Err(TryLockError::Error(source)) => Err(failed(source)),
        }
    }
}

impl DatabaseFile {
    /// Notes that there is a database now: from here on an empty file is a loss, not a beginning.
    pub(super) fn has_tables(&self) -> io::Result<()> {
        if self.lock.metadata()?.len() == 0 {
            (&self.lock).write_all(b"The lock of the database beside it; it holds one.\n")?;
            self.lock.sync_all()?;
        }
        Ok(())
    }
}

/// For a command: nothing to hold where a database is there, whoever has it; otherwise the claim under which it
/// is made. While another process makes it, this waits.
pub(super) async fn beside(path: &str) -> Result<Option<DatabaseFile>, OpenError> {
    let file = Path::new(path.split('?').next().unwrap_or(path));
    let holds = |path: &Path| is_empty(path).is_ok_and(|empty| !empty);
    for _ in 0..LOOKS {
        if holds(file) && holds(&lock_path(file)) {
            return Ok(None);
        }
        match DatabaseFile::claim(path) {
            Ok(claim) => return Ok(Some(claim)),
            Err(OpenError::InUse(_)) => tokio::time::sleep(BETWEEN_LOOKS).await,
            Err(error) => return Err(error),
        }
    }
    // One that is in use and was made before its lock said so.
    if holds(file) { Ok(None) } else { DatabaseFile::claim(path).map(Some) }
}

fn is_empty(path: &Path) -> io::Result<bool> {
    Ok(std::fs::metadata(path)?.len() == 0)
}

/// The file that a SQLite address names.
pub(super) fn path_of(url: &str) -> Option<&Path> {
    let path = url.strip_prefix("sqlite://")?;
    Some(Path::new(path.split('?').next().unwrap_or(path)))
}

/// The folder that a file is in.
pub(super) fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// The same name with more at its end.
pub(super) fn beside_it(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

fn lock_path(path: &Path) -> PathBuf {
    beside_it(path, ".lock")
}

fn private(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().create(true).read(true).append(true).mode(0o600).open(path)?;
    file.set_permissions(PermissionsExt::from_mode(0o600))?;
    Ok(file)
}
