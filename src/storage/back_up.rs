//! A copy of the SQLite database while a Gangway writes to it. `VACUUM INTO` reads one state of it, however long that
//! takes; the copy has its name only once it is whole, on disk and found good.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection};
use tempfile::NamedTempFile;

use super::database_copy::{CopyError, DatabaseCopy, look};
use super::database_file;
use crate::seal::Sealer;

/// Why there is no copy.
#[derive(Debug, thiserror::Error)]
pub enum BackUpError {
    /// Its tools are better.
    #[error(
        "the database is Postgres, whose own tool copies it while Gangway serves. Nothing was made; run:\n  {0}"
    )]
    Postgres(String),
    /// Nothing to copy.
    #[error("there is no database at {0}")]
    NoDatabase(PathBuf),
    /// A copy is never written over.
    #[error("{0} exists; a backup never takes the place of a file")]
    Exists(PathBuf),
    /// The copy cannot be written.
    #[error("{0} cannot be written")]
    Write(PathBuf, #[source] std::io::Error),
    /// The database cannot be read, or the copy not be written.
    #[error("the database cannot be copied")]
    Copy(#[source] sqlx::Error),
    /// What was copied is not good.
    #[error("the copy was not kept")]
    NotGood(#[source] CopyError),
}

/// Copies the database that `url` names to `file`, which must not exist.
pub async fn back_up(url: &SecretString, file: &Path, sealer: &Sealer) -> Result<DatabaseCopy, BackUpError> {
    let url = url.expose_secret();
    let Some(database) = database_file::path_of(url) else {
        return Err(BackUpError::Postgres(pg_dump(url, file)));
    };
    let failed = |error| BackUpError::Write(file.to_owned(), error);
    if !std::fs::metadata(database).is_ok_and(|database| database.len() > 0) {
        return Err(BackUpError::NoDatabase(database.to_owned()));
    }
    if file.symlink_metadata().is_ok() {
        return Err(BackUpError::Exists(file.to_owned()));
    }
    let folder = database_file::folder_of(file);
    // For its owner alone from the beginning; gone again if this ends early.
    let part = tempfile::Builder::new().prefix(".gangway-backup-").tempfile_in(folder).map_err(failed)?;
    vacuum_into(url, &part).await.map_err(BackUpError::Copy)?;
    part.as_file().sync_all().map_err(failed)?;
    let copy = look(part.path(), sealer).await.map_err(BackUpError::NotGood)?;
    part.persist_noclobber(file).map_err(|error| match error.error.kind() {
        std::io::ErrorKind::AlreadyExists => BackUpError::Exists(file.to_owned()),
        _ => failed(error.error),
    })?;
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)?;
    Ok(copy)
}

async fn vacuum_into(url: &str, part: &NamedTempFile) -> sqlx::Result<()> {
    // Not read-only: whoever closes a database last tidies up beside it.
    let options = SqliteConnectOptions::from_str(url)?.create_if_missing(false);
    let mut connection = options.busy_timeout(Duration::from_secs(60)).connect().await?;
    let path = part.path().to_string_lossy().into_owned();
    sqlx::query("VACUUM INTO $1").bind(path).execute(&mut connection).await?;
    connection.close().await
}

/// Without the password: pg_dump asks for it, or takes it from `PGPASSWORD` or `~/.pgpass`.
fn pg_dump(url: &str, file: &Path) -> String {
    let file = word(&file.to_string_lossy());
    format!("pg_dump --format=custom --file={file} {}", database_options(url))
}

/// Where the Postgres database is, as its tools take it.
pub(super) fn database_options(url: &str) -> String {
    let Ok(url) = url::Url::parse(url) else { return "--dbname=NAME".to_owned() };
    let mut options = Vec::new();
    options.extend(url.host_str().map(|host| format!("--host={}", word(host.trim_matches(['[', ']'])))));
    options.extend(url.port().map(|port| format!("--port={port}")));
    let user = url.username();
    options.extend((!user.is_empty()).then(|| format!("--username={}", word(user))));
    options.push(format!("--dbname={}", word(url.path().trim_start_matches('/'))));
    options.join(" ")
}

/// As a shell takes it.
fn word(text: &str) -> String {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "-_./:@%".contains(letter);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_for_postgres_is_exact_and_holds_no_password() {
        let url = "postgres://gangway:canary-password@db.example.com:5433/gangway_one?sslmode=require";
        assert_eq!(
            pg_dump(url, Path::new("it's today.dump")),
            r"pg_dump --format=custom --file='it'\''s today.dump' --host=db.example.com --port=5433 --username=gangway --dbname=gangway_one"
        );
    }
}
