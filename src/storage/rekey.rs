//! Another `SECRET_KEY`: what only the previous one opens is sealed anew under the present one, a few hundred rows a
//! transaction, beside a Gangway that serves. What is written meanwhile is never overwritten; what is done stays done,
//! so it can be ended anywhere and begun again. The check of the key is sealed anew last: until then no start
//! without the previous key is possible.

use sqlx::AnyConnection;

use super::sealed::{SealedColumn, Unopened};
use super::statement::Statement;
use super::writer::Write;
use super::{Storage, StorageError};

/// So many rows a transaction: the writer of a Gangway that serves waits for a few milliseconds.
const ROWS: i64 = 256;
/// Beside a flood a write may find the database locked for longer than it waits.
const TRIES: usize = 10;
/// The row that says under which key a Gangway served last.
pub(super) const KEY_IN_USE: &str = "key_in_use";

/// How far it got in one column.
#[derive(Debug, Clone, Copy)]
pub struct RekeyProgress {
    /// Which.
    pub column: SealedColumn,
    /// Values looked at so far.
    pub seen: u64,
    /// Values there were at the beginning.
    pub total: u64,
}

/// What was found, and done.
#[derive(Debug, Default)]
pub struct Rekeyed {
    /// Values sealed anew.
    pub renewed: u64,
    /// Values that only the previous key opens.
    pub need_previous: u64,
    /// Values that neither key opens.
    pub unopened: Vec<Unopened>,
}

/// Why nothing was sealed anew.
#[derive(Debug, thiserror::Error)]
pub enum RekeyError {
    /// Values would be sealed under a key that no Gangway has.
    #[error(
        "no Gangway has served with this SECRET_KEY yet; set it, and the one before as SECRET_KEY_PREVIOUS, restart Gangway, then run this again"
    )]
    NotInUse,
    /// The database failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// One value and what takes its place.
pub(super) struct Renewal {
    pub(super) row: String,
    pub(super) sealed: Vec<u8>,
    pub(super) renewed: Vec<u8>,
}

/// The values of one transaction. Answers how many were replaced.
struct Renewals(Vec<Statement>);

impl Write for Renewals {
    type Output = u64;

    async fn run(&self, connection: &mut AnyConnection) -> sqlx::Result<u64> {
        let mut replaced = 0;
        for statement in &self.0 {
            replaced += statement.execute(connection).await?;
        }
        Ok(replaced)
    }
}

impl Storage {
    /// Notes that values are sealed under the present key from now on.
    pub async fn serve_under_present_key(&self) -> Result<(), StorageError> {
        if self.present_key_has_served().await? {
            return Ok(());
        }
        let note = "INSERT INTO settings (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value";
        let sealed = self.sealer.seal(SealedColumn::Setting.place(KEY_IN_USE), b"gangway");
        self.writer.write(Statement::new(note).bind(KEY_IN_USE).bind(sealed)).await.map(drop)
    }

    async fn present_key_has_served(&self) -> Result<bool, StorageError> {
        let place = SealedColumn::Setting.place(KEY_IN_USE);
        let noted = self.setting(KEY_IN_USE).await?;
        Ok(noted.is_some_and(|sealed| matches!(self.sealer.renewed(place, &sealed), Ok(None))))
    }

    /// Seals anew what only the previous key opens, and tells how far it got after every transaction.
    pub async fn rekey(&self, told: &mut dyn FnMut(RekeyProgress)) -> Result<Rekeyed, RekeyError> {
        if !self.present_key_has_served().await? {
            return Err(RekeyError::NotInUse);
        }
        let others: Vec<_> =
            SealedColumn::ALL.iter().copied().filter(|column| *column != SealedColumn::KeyCheck).collect();
        let mut renewed = self.go_over(&others, true, told).await?.renewed;
        // What was written meanwhile, by a Gangway that was not restarted.
        let left = self.go_over(&others, false, &mut |_| {}).await?;
        if left.need_previous == 0 {
            renewed += self.go_over(&[SealedColumn::KeyCheck], true, told).await?.renewed;
        }
        Ok(Rekeyed { renewed, ..left })
    }

    /// Counts what needs which key, and changes nothing.
    pub async fn count_by_key(&self, told: &mut dyn FnMut(RekeyProgress)) -> Result<Rekeyed, StorageError> {
        self.go_over(SealedColumn::ALL, false, told).await
    }

    async fn go_over(
        &self,
        columns: &[SealedColumn],
        writing: bool,
        told: &mut dyn FnMut(RekeyProgress),
    ) -> Result<Rekeyed, StorageError> {
        let mut found = Rekeyed::default();
        for &column in columns {
            let texts = column.texts();
            let total: i64 = sqlx::query_scalar(texts.count).fetch_one(&self.readers).await?;
            let mut progress = RekeyProgress { column, seen: 0, total: total.unsigned_abs() };
            let mut after = String::new();
            loop {
                let rows: Vec<(String, Vec<u8>)> =
                    sqlx::query_as(texts.page).bind(&after).bind(ROWS).fetch_all(&self.readers).await?;
                let Some((last, _)) = rows.last() else { break };
                after.clone_from(last);
                progress.seen += rows.len() as u64;
                let renewals = self.renewals(column, rows, &mut found);
                if writing {
                    found.renewed += self.replace(column, &renewals).await?;
                }
                told(progress);
            }
        }
        Ok(found)
    }

    fn renewals(
        &self,
        column: SealedColumn,
        rows: Vec<(String, Vec<u8>)>,
        found: &mut Rekeyed,
    ) -> Vec<Renewal> {
        let mut renewals = Vec::new();
        for (row, sealed) in rows {
            match self.sealer.renewed(column.place(&row), &sealed) {
                Ok(None) => {}
                Ok(Some(renewed)) => renewals.push(Renewal { row, sealed, renewed }),
                Err(_) => found.unopened.push(Unopened { column, row }),
            }
        }
        found.need_previous += renewals.len() as u64;
        renewals
    }

    /// Puts the new values in the place of the old ones, where those are still there; answers how many were.
    pub(super) async fn replace(
        &self,
        column: SealedColumn,
        renewals: &[Renewal],
    ) -> Result<u64, StorageError> {
        let statement = |Renewal { row, sealed, renewed }: &Renewal| {
            let replace = Statement::new(column.texts().replace);
            replace.bind(row.as_str()).bind(sealed.clone()).bind(renewed.clone())
        };
        let mut tries = 1;
        while !renewals.is_empty() {
            match self.writer.write(Renewals(renewals.iter().map(statement).collect())).await {
                Err(StorageError::Database(_)) if tries < TRIES => tries += 1,
                outcome => return outcome,
            }
        }
        Ok(0)
    }
}
