//! A copy of a SQLite database, looked at without changing it: whether it is whole, whether this Gangway can take
//! it up, and what is in it.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection, SqliteConnection};
use time::OffsetDateTime;

use super::open::SQLITE;
use super::sealed::{SealedColumn, Unopened};
use crate::clock::from_milliseconds;
use crate::seal::Sealer;

/// A copy that is whole and opens with the present keys.
#[derive(Debug)]
pub struct DatabaseCopy {
    /// Its size.
    pub bytes: u64,
    /// Migrations that the next start will run on it.
    pub migrations_to_run: usize,
    /// Rows.
    pub instances: i64,
    /// Rows.
    pub notifications: i64,
    /// Its id, its state, and when it was made.
    pub newest_instance: Option<(String, String, OffsetDateTime)>,
    /// Cloud Elements' id of it, where it has one, its instance, and when it arrived.
    pub newest_notification: Option<(Option<String>, String, OffsetDateTime)>,
    /// Sealed values; all of them open.
    pub sealed: u64,
    /// Those that only the previous key opens.
    pub need_previous: u64,
}

/// Why a file is no copy to go back to.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// It cannot be read.
    #[error("{0} cannot be read")]
    Unreadable(PathBuf, #[source] std::io::Error),
    /// Something else.
    #[error("{0} is not a SQLite database")]
    NoDatabase(PathBuf),
    /// A database that is in use, or was copied as a file while it was.
    #[error(
        "{0}-wal lies beside {0} and is not empty: this is a database in use or half of one, not a copy; make one with `gangway backup`"
    )]
    HasWal(PathBuf),
    /// Its end is missing.
    #[error("{path} is cut off: it has {has} bytes of {should}")]
    CutOff {
        /// The file.
        path: PathBuf,
        /// Its length.
        has: u64,
        /// What its head says.
        should: u64,
    },
    /// SQLite finds fault with it.
    #[error("{0} is damaged: {1}")]
    Damaged(PathBuf, String),
    /// Without our tables.
    #[error("{0} is a SQLite database, but not Gangway's")]
    NotOurs(PathBuf),
    /// Its tables are ahead of this Gangway.
    #[error("{0} was written by a newer Gangway (migration {1} is not known to this one); use that version")]
    Newer(PathBuf, i64),
    /// A migration ended half-way, or is not the one of this Gangway.
    #[error("migration {1} of {0} is not the one that this Gangway knows")]
    OtherMigration(PathBuf, i64),
    /// Sealed under another key.
    #[error(
        "SECRET_KEY is not the key that {0} was sealed with; put the right one in, or name it in SECRET_KEY_PREVIOUS"
    )]
    WrongKey(PathBuf),
    /// One value is.
    #[error("{0}: {1} opens neither with SECRET_KEY nor with SECRET_KEY_PREVIOUS")]
    Unopened(PathBuf, Unopened),
}

/// Looks at the copy `path`.
pub(super) async fn look(path: &Path, sealer: &Sealer) -> Result<DatabaseCopy, CopyError> {
    let bytes = measured(path)?;
    let damaged = |error: sqlx::Error| CopyError::Damaged(path.to_owned(), error.to_string());
    // Immutable: nothing is made beside it, and what lies beside it is not read.
    let options = SqliteConnectOptions::new().filename(path).read_only(true).immutable(true);
    let mut connection = options.connect().await.map_err(damaged)?;
    let verdict: String =
        sqlx::query_scalar("PRAGMA integrity_check(1)").fetch_one(&mut connection).await.map_err(damaged)?;
    if verdict != "ok" {
        return Err(CopyError::Damaged(path.to_owned(), verdict));
    }
    let migrations_to_run = migrations_to_run(&mut connection, path).await?;
    let (values, need_previous) = sealed(&mut connection, path, sealer).await?;
    let contents = contents(&mut connection).await.map_err(damaged)?;
    connection.close().await.map_err(damaged)?;
    Ok(DatabaseCopy { bytes, migrations_to_run, sealed: values, need_previous, ..contents })
}

/// Its length, which must be as long as its head says (<https://sqlite.org/fileformat2.html#the_database_header>).
fn measured(path: &Path) -> Result<u64, CopyError> {
    let unreadable = |error| CopyError::Unreadable(path.to_owned(), error);
    let mut file = File::open(path).map_err(unreadable)?;
    let mut wal = path.as_os_str().to_owned();
    wal.push("-wal");
    if std::fs::metadata(&wal).is_ok_and(|wal| wal.len() > 0) {
        return Err(CopyError::HasWal(path.to_owned()));
    }
    let (mut head, has) = (Vec::new(), file.metadata().map_err(unreadable)?.len());
    file.by_ref().take(100).read_to_end(&mut head).map_err(unreadable)?;
    let Some(head) = head.first_chunk::<100>().filter(|head| head.starts_with(b"SQLite format 3\0")) else {
        return Err(CopyError::NoDatabase(path.to_owned()));
    };
    let page = match u16::from_be_bytes([head[16], head[17]]) {
        1 => 65_536,
        size => u64::from(size),
    };
    let should = page * u64::from(u32::from_be_bytes([head[28], head[29], head[30], head[31]]));
    if has < should {
        return Err(CopyError::CutOff { path: path.to_owned(), has, should });
    }
    Ok(has)
}

async fn migrations_to_run(connection: &mut SqliteConnection, path: &Path) -> Result<usize, CopyError> {
    let query = "SELECT version, success, checksum FROM _sqlx_migrations ORDER BY version";
    let rows: Result<Vec<(i64, bool, Vec<u8>)>, _> = sqlx::query_as(query).fetch_all(connection).await;
    let rows = rows.map_err(|_| CopyError::NotOurs(path.to_owned()))?;
    for (version, success, checksum) in &rows {
        let Some(ours) = SQLITE.iter().find(|migration| migration.version == *version) else {
            return Err(CopyError::Newer(path.to_owned(), *version));
        };
        if !success || *ours.checksum != **checksum {
            return Err(CopyError::OtherMigration(path.to_owned(), *version));
        }
    }
    Ok(SQLITE.iter().count() - rows.len())
}

/// How many sealed values there are, and how many need the previous key.
async fn sealed(
    connection: &mut SqliteConnection,
    path: &Path,
    sealer: &Sealer,
) -> Result<(u64, u64), CopyError> {
    const ROWS: i64 = 1000;
    let damaged = |error: sqlx::Error| CopyError::Damaged(path.to_owned(), error.to_string());
    let (mut count, mut need_previous) = (0, 0);
    for column in SealedColumn::ALL.iter().rev() {
        let texts = column.texts();
        let there = "SELECT count(*) FROM pragma_table_info($1) WHERE name = $2";
        let there = sqlx::query_scalar::<_, i64>(there).bind(texts.table).bind(texts.column);
        if there.fetch_one(&mut *connection).await.map_err(damaged)? == 0 {
            // Older than this column.
            continue;
        }
        let mut after = String::new();
        loop {
            let page = sqlx::query_as(texts.page).bind(&after).bind(ROWS);
            let rows: Vec<(String, Vec<u8>)> = page.fetch_all(&mut *connection).await.map_err(damaged)?;
            let Some((last, _)) = rows.last() else { break };
            after.clone_from(last);
            count += rows.len() as u64;
            for (row, value) in rows {
                let renewed = sealer.renewed(column.place(&row), &value).map_err(|_| {
                    let unopened = Unopened { column: *column, row: row.clone() };
                    match column {
                        SealedColumn::KeyCheck => CopyError::WrongKey(path.to_owned()),
                        _ => CopyError::Unopened(path.to_owned(), unopened),
                    }
                })?;
                need_previous += u64::from(renewed.is_some());
            }
        }
    }
    Ok((count, need_previous))
}

/// Rows and the newest of them.
async fn contents(connection: &mut SqliteConnection) -> sqlx::Result<DatabaseCopy> {
    let instances = sqlx::query_scalar("SELECT count(*) FROM instances").fetch_one(&mut *connection).await?;
    let notifications =
        sqlx::query_scalar("SELECT count(*) FROM notifications").fetch_one(&mut *connection).await?;
    let newest = "SELECT id, state, created_at FROM instances ORDER BY id DESC LIMIT 1";
    let instance: Option<(String, String, i64)> =
        sqlx::query_as(newest).fetch_optional(&mut *connection).await?;
    let newest = "SELECT notification_id, instance, received_at FROM notifications ORDER BY seq DESC LIMIT 1";
    let notification: Option<(Option<String>, String, i64)> =
        sqlx::query_as(newest).fetch_optional(&mut *connection).await?;
    Ok(DatabaseCopy {
        bytes: 0,
        migrations_to_run: 0,
        instances,
        notifications,
        newest_instance: instance.map(|(id, state, at)| (id, state, from_milliseconds(at))),
        newest_notification: notification.map(|(id, instance, at)| (id, instance, from_milliseconds(at))),
        sealed: 0,
        need_previous: 0,
    })
}
