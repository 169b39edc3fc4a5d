//! Opening a database: the file or the server, its tables, the key that everything in it is sealed with.

use std::sync::Arc;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use sqlx::any::{AnyConnectOptions, AnyPoolOptions};
use sqlx::migrate::Migrator;
use sqlx::{AnyConnection, AnyPool, Connection, Executor};

use super::error::lock_failed;
use super::statement::Statement;
use super::writer::{Begin, Checkpoints, Writer};
use super::{OpenError, SealedColumn, Storage, arrivals, database_file, rekey, retention};
use crate::seal::Sealer;

pub(super) static SQLITE: Migrator = sqlx::migrate!("migrations/sqlite");
pub(super) static POSTGRES: Migrator = sqlx::migrate!("migrations/postgres");

/// Readers of one process; WAL lets them read while the one writer writes.
const READERS: u32 = 4;

/// Run on every SQLite connection. A page of a new file holds several notifications. FULL: a commit survives a
/// power cut. The WAL is bounded, because the start after a crash reads it.
const PRAGMAS: &str = "PRAGMA page_size = 8192; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA busy_timeout = 10000;
    PRAGMA foreign_keys = ON; PRAGMA journal_size_limit = 67108864; PRAGMA temp_store = MEMORY;
    PRAGMA wal_autocheckpoint = 6000;";

/// Brings what the WAL has into the database while the writer goes on: by itself SQLite does it within a commit,
/// which all of the next group wait for. That stays the bound of the WAL (48 MiB).
async fn keep_checkpointing(due: Checkpoints, connections: AnyPool) {
    while due.next().await {
        if let Err(error) = sqlx::query("PRAGMA wal_checkpoint(PASSIVE)").execute(&connections).await {
            tracing::debug!(target: "gangway::storage", %error, "no checkpoint; the writer makes it");
        }
    }
}

impl Storage {
    /// Opens the database that `url` names, brings its tables up to date and checks the key. A SQLite file
    /// is this process's alone from then on.
    pub async fn open(url: &SecretString, sealer: Sealer) -> Result<Self, OpenError> {
        let path = url.expose_secret().strip_prefix("sqlite://");
        let file = path.map(database_file::DatabaseFile::claim).transpose()?;
        let storage = Self::connect(url, sealer, file).await?;
        if let Some(file) = &storage.file {
            file.has_tables().map_err(lock_failed)?;
            // Whoever held work in it has ended.
            storage.free_all().await?;
            storage.free_all_endpoints().await?;
            storage.free_all_looks().await?;
            storage.free_all_bulks().await?;
            tokio::spawn(keep_checkpointing(storage.writer.checkpoints(), storage.readers.clone()));
        }
        Ok(storage)
    }

    /// The same beside a process that has the file: for commands, which are short and take leases like
    /// everybody else. A file that does not exist yet is made as the first start would make it.
    pub async fn open_beside(url: &SecretString, sealer: Sealer) -> Result<Self, OpenError> {
        let path = url.expose_secret().strip_prefix("sqlite://");
        let made = match path {
            Some(path) => database_file::beside(path).await?,
            None => None,
        };
        let storage = Self::connect(url, sealer, None).await?;
        if let Some(file) = made {
            file.has_tables().map_err(lock_failed)?;
        }
        Ok(storage)
    }

    async fn connect(
        url: &SecretString,
        sealer: Sealer,
        file: Option<database_file::DatabaseFile>,
    ) -> Result<Self, OpenError> {
        sqlx::any::install_default_drivers();
        let url = url.expose_secret();
        let (migrator, begin, pragmas, size_query) = if url.starts_with("sqlite://") {
            (&SQLITE, Begin::on_sqlite(file.is_some()), Some(PRAGMAS), retention::SQLITE_SIZE)
        } else {
            (&POSTGRES, Begin::once(arrivals::POSTGRES_BEGIN), None, retention::POSTGRES_SIZE)
        };
        let options: AnyConnectOptions = url.parse()?;
        // A pool would try a broken file for ten seconds and then not say why. Held until the pools are open:
        // the last connection to close rewrites the file.
        let mut first = None;
        if let Some(pragmas) = pragmas {
            let connection = first.insert(AnyConnection::connect_with(&options).await?);
            connection.execute(pragmas).await?;
        }
        let pool = |connections| {
            AnyPoolOptions::new()
                .max_connections(connections)
                .test_before_acquire(pragmas.is_none())
                .acquire_timeout(Duration::from_secs(10))
                .after_connect(move |connection, _| {
                    Box::pin(async move {
                        if let Some(pragmas) = pragmas {
                            connection.execute(pragmas).await?;
                        }
                        Ok(())
                    })
                })
        };
        let writing = pool(1).connect_with(options.clone()).await?;
        migrator.run(&writing).await?;
        let readers = pool(READERS).connect_with(options).await?;
        let storage = Self {
            readers,
            writer: Writer::start(writing, begin),
            sealer,
            recipients: Arc::default(),
            size_query,
            deliveries_made: tokio::sync::watch::Sender::default(),
            file: file.map(Arc::new),
        };
        storage.check_key().await?;
        storage.fill_in_words().await?;
        if let Some(first) = first {
            first.close().await?;
        }
        Ok(storage)
    }

    /// A value that only the right key opens is sealed at the first start and opened at every other; so is what
    /// the last key that a Gangway served with has sealed.
    async fn check_key(&self) -> Result<(), OpenError> {
        const KEY_CHECK: &str = "key_check";
        let in_use = SealedColumn::Setting.place(rekey::KEY_IN_USE);
        let check = SealedColumn::KeyCheck.place(KEY_CHECK);
        if let Some(sealed) = self.setting(rekey::KEY_IN_USE).await? {
            self.sealer.open(in_use, &sealed).map_err(|_| OpenError::WrongKey)?;
        }
        if let Some(sealed) = self.setting(KEY_CHECK).await? {
            return self.sealer.open(check, &sealed).map(|_| ()).map_err(|_| OpenError::WrongKey);
        }
        let insert = Statement::new("INSERT INTO settings (name, value) VALUES ($1, $2)")
            .bind(KEY_CHECK)
            .bind(self.sealer.seal(check, b"gangway"));
        self.writer.write(insert).await?;
        Ok(())
    }
}
