//! What can go wrong with the database, and why one does not open.

use std::sync::Arc;

use crate::seal::DoesNotOpen;

/// What can go wrong with the database.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StorageError {
    /// It does not answer, or says no.
    #[error("the database failed")]
    Database(#[from] Arc<sqlx::Error>),
    /// A row fits no state: a bug, or somebody else's hand.
    #[error("inconsistent row: {0}")]
    Inconsistent(String),
    /// Sealed under another key.
    #[error(transparent)]
    DoesNotOpen(#[from] DoesNotOpen),
    /// More writes wait than may.
    #[error("too much is waiting to be written")]
    Busy,
    /// A sync failed earlier: what the disk has, nobody can tell.
    #[error("the disk failed to sync; nothing is acknowledged until Gangway is restarted")]
    DiskFailed,
    /// The writer has stopped.
    #[error("the database is closed")]
    Closed,
}

impl From<sqlx::Error> for StorageError {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(Arc::new(error))
    }
}

/// Why a database does not open.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has the file.
    #[error("another Gangway is running on {0}; stop it first, or give this one another DATABASE_URL")]
    InUse(String),
    /// The file cannot be made or read.
    #[error("the database file {path} cannot be opened")]
    File {
        /// Its path.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// The file is empty, and was not.
    #[error(
        "the database file {0} is empty, and there was a database in it; put a copy back, or remove {0}.lock to begin anew"
    )]
    Emptied(String),
    /// The database says no.
    #[error("the database cannot be opened")]
    Database(#[source] sqlx::Error),
    /// It cannot be written to.
    #[error("the database cannot be written to")]
    Write(#[from] StorageError),
    /// The tables cannot be brought up to date.
    #[error("the database's tables cannot be brought up to date")]
    Migrate(#[from] sqlx::migrate::MigrateError),
    /// What is stored was sealed under another key.
    #[error(
        "SECRET_KEY is not the key this database was sealed with; put the right one back, or name it in SECRET_KEY_PREVIOUS"
    )]
    WrongKey,
}

impl From<sqlx::Error> for OpenError {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error)
    }
}

pub(super) fn lock_failed(source: std::io::Error) -> OpenError {
    OpenError::File { path: "the database's lock".to_owned(), source }
}
