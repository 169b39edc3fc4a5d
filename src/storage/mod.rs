//! What is kept. The only room that names sqlx; one set of queries in the dialect that SQLite and
//! Postgres share, one file per subject, and one suite of tests (`contract`) for both. Secrets are
//! sealed on the way in and opened on the way out, so that no other room sees a column.

mod api_keys;
mod arrivals;
mod audience_webhooks;
mod audit;
mod authorization_requests;
mod back_up;
mod checks;
mod database_copy;
mod database_file;
mod deliveries;
mod delivery_work;
mod endpoints;
mod event_counts;
mod event_query;
mod events;
mod idempotency;
mod instance_finding;
mod instance_order;
mod instance_words;
mod instances;
mod invites;
mod missed_events;
mod missed_work;
mod notifications;
mod open_work;
mod operators;
mod overview;
mod read_back;
mod recipients;
mod redeliveries;
mod rekey;
mod restore;
mod retention;
mod rows;
mod sealed;
mod sessions;
mod statement;
mod timeline;
mod writer;

#[cfg(test)]
mod contract;

use std::sync::Arc;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use sqlx::any::{AnyConnectOptions, AnyPoolOptions};
use sqlx::migrate::Migrator;
use sqlx::{AnyConnection, AnyPool, Connection, Executor};

use crate::seal::{DoesNotOpen, Sealer};
pub use api_keys::{ApiKeyRow, Scope};
pub use arrivals::Arrivals;
pub use audience_webhooks::{AudienceWebhook, Looked, Origin};
pub use audit::{Act, ActFilter};
pub use authorization_requests::{Claim, ClaimedRequest, Trip};
pub use back_up::{BackUpError, back_up};
pub use database_copy::{CopyError, DatabaseCopy};
pub use deliveries::{Delivery, DeliveryFilter, DeliveryState};
pub use delivery_work::{Attempt, Outgoing, Verdict};
pub use endpoints::{Endpoint, EndpointState, OffReason, Wanted};
pub use event_counts::{EventCount, Span};
pub use events::{
    EventFilter, EventId, EventPage, EventRow, NoEventId, PAYLOAD_HEAD, ReadEvent, StoredEvent,
};
pub use idempotency::{OnceOnly, Turn};
pub use instance_finding::{Found, InstanceQuestion, Total};
pub use instance_order::{InstanceOrder, InstancePlace};
pub use instances::{Change, NewInstanceRow, Page, Token, Transition};
pub use invites::InviteMark;
pub use missed_events::{Ask, AskOutcome, Fill, FillOutcome, Filled, Hold, MissedEvents, Subscription};
pub use missed_work::is_looked_at;
pub use notifications::{Arrival, NewNotification};
pub use open_work::{Lease, OpenWork, Ticket, Work};
pub use operators::{FIRST_OPERATOR, LinkFor, Operator, Role, TokenHash};
pub use overview::{COUNTED, LATEST, TripOfLate};
pub use recipients::Recipient;
pub use redeliveries::{Again, Redelivery, RedeliveryState};
pub use rekey::{RekeyError, RekeyProgress, Rekeyed};
pub use restore::{RestoreError, Restored, check_copy, restore};
pub use retention::Sizes;
pub use sealed::{SealedColumn, Unopened};
pub use sessions::{OpenSession, Opening, SessionLimits};
use statement::Statement;
pub use timeline::{Line, Step};
use writer::{Begin, Checkpoints, Writer};

static SQLITE: Migrator = sqlx::migrate!("migrations/sqlite");
static POSTGRES: Migrator = sqlx::migrate!("migrations/postgres");

/// Readers of one process; WAL lets them read while the one writer writes.
const READERS: u32 = 4;

/// The database of one Gangway.
#[derive(Clone)]
pub struct Storage {
    readers: AnyPool,
    writer: Writer,
    sealer: Sealer,
    recipients: Arc<recipients::Recipients>,
    /// The database asked for its size.
    size_query: &'static str,
    deliveries_made: tokio::sync::watch::Sender<()>,
    /// Held while this process has the SQLite file.
    file: Option<Arc<database_file::DatabaseFile>>,
}

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

fn lock_failed(source: std::io::Error) -> OpenError {
    OpenError::File { path: "the database's lock".to_owned(), source }
}

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

    /// Whether the database answers, and takes what is written.
    pub async fn ping(&self) -> Result<(), StorageError> {
        if self.writer.has_failed() {
            return Err(StorageError::DiskFailed);
        }
        sqlx::query("SELECT 1").execute(&self.readers).await?;
        Ok(())
    }

    /// Writes a row of its own, durably, and reads it back.
    pub async fn try_out(&self) -> Result<(), StorageError> {
        const TRIED: &str = "tried_out";
        let write = "INSERT INTO settings (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value";
        // Sealed, it differs every time: SQLite does not write a row that is there already.
        let sealed = self.sealer.seal(SealedColumn::Setting.place(TRIED), b"gangway");
        self.writer.write(Statement::new(write).bind(TRIED).bind(sealed)).await?;
        self.setting(TRIED).await.map(drop)
    }

    async fn setting(&self, name: &str) -> Result<Option<Vec<u8>>, StorageError> {
        let query = sqlx::query_scalar("SELECT value FROM settings WHERE name = $1");
        Ok(query.bind(name).fetch_optional(&self.readers).await?)
    }

    /// Whether the newest sealed row opens, and the key check.
    pub async fn newest_sealed_opens(&self) -> Result<(), StorageError> {
        let newest: Option<String> = sqlx::query_scalar("SELECT id FROM instances ORDER BY id DESC LIMIT 1")
            .fetch_optional(&self.readers)
            .await?;
        if let Some(id) = newest.and_then(|id| id.parse().ok()) {
            self.instance_with_key(id).await?;
            self.instance_token(id).await?;
        }
        Ok(())
    }

    /// Waits for the writes under way and closes every connection.
    pub async fn close(&self) {
        self.writer.close().await;
        self.readers.close().await;
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
