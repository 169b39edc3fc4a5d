//! Going back to a copy, while no Gangway serves. What was there is kept aside.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret, SecretString};

use super::OpenError;
use super::back_up::database_options;
use super::database_copy::{CopyError, DatabaseCopy, look};
use super::database_file::{self, DatabaseFile, beside_it, folder_of};
use crate::seal::Sealer;

/// What was done.
#[derive(Debug)]
pub struct Restored {
    /// What is there now.
    pub copy: DatabaseCopy,
    /// What was there before, if anything was.
    pub aside: Option<PathBuf>,
}

/// Why nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// Its tools are better.
    #[error(
        "the database is Postgres, whose own tool restores it. Nothing was changed; stop Gangway, then run:\n  {0}"
    )]
    Postgres(String),
    /// The copy is not good.
    #[error(transparent)]
    NotGood(#[from] CopyError),
    /// A Gangway serves, or the folder cannot be used.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The copy is the database.
    #[error("{0} is the database itself")]
    Itself(PathBuf),
    /// Something cannot be written.
    #[error("{0} cannot be written")]
    Write(PathBuf, #[source] io::Error),
}

/// Looks at a copy and changes nothing.
pub async fn check_copy(
    url: &SecretString,
    file: &Path,
    sealer: &Sealer,
) -> Result<DatabaseCopy, RestoreError> {
    sqlite_path(url.expose_secret())?;
    Ok(look(file, sealer).await?)
}

fn sqlite_path(url: &str) -> Result<&Path, RestoreError> {
    database_file::path_of(url).ok_or_else(|| {
        RestoreError::Postgres(format!("pg_restore --clean --if-exists {} FILE", database_options(url)))
    })
}

/// Puts a copy of `file` in the place of the database that `url` names; what was there gets `suffix` to its name.
pub async fn restore(
    url: &SecretString,
    file: &Path,
    sealer: &Sealer,
    suffix: &str,
) -> Result<Restored, RestoreError> {
    let database = sqlite_path(url.expose_secret())?;
    let copy = look(file, sealer).await?;
    // Held until the end, so that none starts meanwhile.
    let lock = DatabaseFile::hold(database)?;
    let failed = |error| RestoreError::Write(database.to_owned(), error);
    let same = |path: &Path| path.canonicalize().ok();
    if same(file).is_some() && same(file) == same(database) {
        return Err(RestoreError::Itself(file.to_owned()));
    }
    let folder = folder_of(database);
    let part = tempfile::Builder::new().prefix(".gangway-restore-").tempfile_in(folder).map_err(failed)?;
    io::copy(&mut File::open(file).map_err(failed)?, &mut part.as_file()).map_err(failed)?;
    part.as_file().sync_all().map_err(failed)?;
    let aside = put_aside(database, suffix)?;
    part.persist_noclobber(database).map_err(|error| failed(error.error))?;
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)?;
    lock.has_tables().map_err(failed)?;
    Ok(Restored { copy, aside })
}

/// The database and what SQLite keeps beside it, under names that still belong together. The database goes first: if
/// this ends half-way, the next start finds none and refuses, instead of going on without the WAL.
fn put_aside(database: &Path, suffix: &str) -> Result<Option<PathBuf>, RestoreError> {
    let aside = beside_it(database, suffix);
    if aside.symlink_metadata().is_ok() {
        return Err(RestoreError::Write(aside, io::ErrorKind::AlreadyExists.into()));
    }
    for ending in ["", "-wal", "-shm"] {
        let (from, to) = (beside_it(database, ending), beside_it(&aside, ending));
        match std::fs::rename(&from, &to) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(RestoreError::Write(to, error));
            }
            _ => {}
        }
    }
    Ok(aside.exists().then_some(aside))
}
