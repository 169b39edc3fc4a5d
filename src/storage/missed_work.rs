//! Rows of missed events: worked on under a lease, so that two processes never ask for the same; whoever holds
//! it writes the whole row.

use sqlx::Row;
use sqlx::any::AnyRow;
use time::OffsetDateTime;
use uuid::Uuid;

use super::instances::{moment, parsed};
use super::missed_events::{Ask, AskOutcome, Fill, FillOutcome, Filled, Hold, MissedEvents, Subscription};
use super::statement::{Deciding, Statement};
use super::writer::Write;
use super::{Lease, Step, Storage, StorageError, timeline};
use crate::clock::{from_milliseconds, to_milliseconds};
use crate::elements::{Instance, InstanceState};
use crate::reference::Reference;

/// A new instance is looked at for the first time after so long.
const FIRST: time::Duration = time::Duration::hours(1);

const COLUMNS: &str = "instance, next_look_at, wanted, looked_at, waiting, more, waiting_since, subscription, trouble, \
     trouble_at, asks, asked_at, ask_outcome, ask_detail, fill_due_at, fill_from, fill_page, fill_pages, fill_stored, \
     fill_tries, filled_at, filled_outcome, filled_stored, filled_detail, filled_from";

pub(super) const DUE: &str = "SELECT instance FROM missed_events WHERE next_look_at <= $1 \
     AND (lease_until IS NULL OR lease_until <= $1) ORDER BY next_look_at LIMIT $2";

/// What waits for some instances, as many as there are placeholders.
pub(super) fn waiting(count: usize) -> String {
    let places: Vec<String> = (1..=count).map(|place| format!("${place}")).collect();
    let places = places.join(", ");
    format!(
        "SELECT instance, waiting FROM missed_events WHERE instance IN ({places}) AND waiting > 0 AND next_look_at IS NOT NULL"
    )
}

/// The sign keeps SQLite from reading all that is looked at.
pub(super) const WAITING_IN_ALL: &str = "SELECT CAST(COALESCE(sum(waiting), 0) AS BIGINT) FROM missed_events \
     WHERE waiting > 0 AND +next_look_at IS NOT NULL";

/// With a transition of its instance: one that exists upstream and works, or could, is looked at; no other.
pub(super) fn following(after: &Instance, at: OffsetDateTime) -> Statement {
    if is_looked_at(&after.state) {
        Statement::new(
            "INSERT INTO missed_events (instance, next_look_at) VALUES ($1, $2) ON CONFLICT (instance) \
             DO UPDATE SET next_look_at = COALESCE(missed_events.next_look_at, excluded.next_look_at)",
        )
        .bind(after.id)
        .bind(to_milliseconds(at + FIRST))
    } else {
        Statement::new("UPDATE missed_events SET next_look_at = NULL, wanted = NULL WHERE instance = $1")
            .bind(after.id)
    }
}

/// Whether events of an instance in this state could be missing.
pub fn is_looked_at(state: &InstanceState) -> bool {
    matches!(state, InstanceState::Connected(_) | InstanceState::NeedsAttention(..))
}

impl Storage {
    /// What is known of one instance.
    pub async fn missed_events(&self, instance: Uuid) -> Result<Option<MissedEvents>, StorageError> {
        let query = format!("SELECT {COLUMNS} FROM missed_events WHERE instance = $1");
        let row = sqlx::query(sqlx::AssertSqlSafe(query))
            .bind(instance.to_string())
            .fetch_optional(&self.readers)
            .await?;
        row.as_ref().map(read).transpose()
    }

    /// Whether anything is due for a look.
    pub async fn looks_are_due(&self, now: OffsetDateTime) -> Result<bool, StorageError> {
        let due: Option<String> = sqlx::query_scalar(DUE)
            .bind(to_milliseconds(now))
            .bind(1_i64)
            .fetch_optional(&self.readers)
            .await?;
        Ok(due.is_some())
    }

    /// Takes at most `limit` rows that are due and in nobody's hands into the holder's.
    pub async fn take_up_looks(
        &self,
        lease: Lease,
        now: OffsetDateTime,
        limit: u16,
    ) -> Result<Vec<MissedEvents>, StorageError> {
        let taken = self.writer.write(TakeUp { lease, now: to_milliseconds(now), limit }).await?;
        taken.into_iter().filter_map(Taken::read).collect()
    }

    /// Writes a row that is in the holder's hands, with lines on its timeline. Answers whether it still was.
    pub async fn keep_missed_events(
        &self,
        row: &MissedEvents,
        hold: Hold,
        steps: &[Step],
    ) -> Result<bool, StorageError> {
        let then = steps.iter().map(|step| timeline::line(row.instance, step)).collect();
        self.writer.write(Deciding { first: keeping(row, hold), then }).await
    }

    /// An operator wants what waits asked for again: it is due at once. Answers whether it is looked at at all.
    pub async fn want_missed_events(
        &self,
        instance: Uuid,
        reference: Reference,
        now: OffsetDateTime,
    ) -> Result<bool, StorageError> {
        let want = Statement::new(
            "UPDATE missed_events SET wanted = $2, next_look_at = $3 WHERE instance = $1 AND next_look_at IS NOT NULL",
        );
        let want = want.bind(instance).bind(reference.to_string()).bind(to_milliseconds(now));
        Ok(self.writer.write(want).await? > 0)
    }

    /// Which of these instances have notifications waiting upstream.
    pub async fn waiting_of(&self, instances: &[Uuid]) -> Result<Vec<(Uuid, i64)>, StorageError> {
        if instances.is_empty() {
            return Ok(Vec::new());
        }
        let query = sqlx::AssertSqlSafe(waiting(instances.len()));
        let query = instances.iter().fold(sqlx::query(query), |query, id| query.bind(id.to_string()));
        let rows = query.fetch_all(&self.readers).await?;
        rows.iter().map(|row| Ok((parsed(row, "instance")?, row.try_get("waiting")?))).collect()
    }

    /// How many wait upstream in all, as of the last looks.
    pub async fn waiting_in_all(&self) -> Result<i64, StorageError> {
        Ok(sqlx::query_scalar(WAITING_IN_ALL).fetch_one(&self.readers).await?)
    }

    /// Frees every row: whoever held them has ended. Only for a database that one process has to itself.
    pub(super) async fn free_all_looks(&self) -> Result<(), StorageError> {
        let free =
            "UPDATE missed_events SET lease_holder = NULL, lease_until = NULL WHERE lease_holder IS NOT NULL";
        self.writer.write(Statement::new(free)).await.map(drop)
    }
}

fn keeping(row: &MissedEvents, hold: Hold) -> Statement {
    let (holder, kept, until, next) = match hold {
        Hold::Keep(lease) => (lease.holder, Some(lease.holder.to_string()), Some(lease.until), None),
        Hold::LetGo(holder, next) => (holder, None, None, Some(next)),
    };
    let milliseconds = |at: Option<OffsetDateTime>| at.map(to_milliseconds);
    let (ask, fill, filled) = (row.ask.as_ref(), row.fill.as_ref(), row.filled.as_ref());
    // An instance that is not looked at any more stays so, and is not kept in anybody's hands; a wish that came
    // meanwhile stays due.
    let statement = Statement::new(
        "UPDATE missed_events SET lease_holder = $3, lease_until = $4, \
         next_look_at = CASE WHEN next_look_at IS NULL OR (wanted IS NOT NULL AND wanted <> COALESCE($6, '')) \
         THEN next_look_at ELSE COALESCE($5, next_look_at) END, \
         wanted = CASE WHEN wanted = COALESCE($6, '') THEN NULL ELSE wanted END, \
         looked_at = $7, waiting = $8, more = $9, waiting_since = $10, subscription = $11, trouble = $12, trouble_at = $13, \
         asks = $14, asked_at = $15, ask_outcome = $16, ask_detail = $17, fill_due_at = $18, fill_from = $19, \
         fill_page = $20, fill_pages = $21, fill_stored = $22, fill_tries = $23, filled_at = $24, filled_outcome = $25, \
         filled_stored = $26, filled_detail = $27, filled_from = $28 WHERE instance = $1 AND lease_holder = $2 \
         AND ($4 IS NULL OR next_look_at IS NOT NULL)",
    );
    let statement = statement
        .bind(row.instance)
        .bind(holder)
        .bind(kept)
        .bind(milliseconds(until))
        .bind(milliseconds(next))
        .bind(row.wanted.map(|wanted| wanted.to_string()))
        .bind(milliseconds(row.looked_at))
        .bind(row.waiting)
        .bind(row.more)
        .bind(milliseconds(row.waiting_since))
        .bind(row.subscription.as_str())
        .bind(row.trouble.as_ref().map(|(_, why)| why.clone()))
        .bind(row.trouble.as_ref().map(|(at, _)| to_milliseconds(*at)))
        .bind(row.asks)
        .bind(ask.map(|ask| to_milliseconds(ask.at)))
        .bind(ask.map(|ask| ask.outcome.as_str().to_owned()))
        .bind(ask.and_then(|ask| ask.detail.clone()));
    statement
        .bind(fill.map(|fill| to_milliseconds(fill.due_at)))
        .bind(fill.map(|fill| to_milliseconds(fill.from)))
        .bind(fill.and_then(|fill| fill.page.clone()))
        .bind(fill.map_or(0, |fill| fill.pages))
        .bind(fill.map_or(0, |fill| fill.stored))
        .bind(fill.map_or(0, |fill| fill.tries))
        .bind(filled.map(|filled| to_milliseconds(filled.at)))
        .bind(filled.map(|filled| filled.outcome.as_str().to_owned()))
        .bind(filled.map(|filled| filled.stored))
        .bind(filled.and_then(|filled| filled.detail.clone()))
        .bind(filled.map(|filled| to_milliseconds(filled.from)))
}

struct TakeUp {
    lease: Lease,
    now: i64,
    limit: u16,
}

/// A row, or why it cannot be read; it holds up no other.
struct Taken(Result<MissedEvents, StorageError>);

impl Taken {
    fn read(self) -> Option<Result<MissedEvents, StorageError>> {
        match self.0 {
            Err(error @ StorageError::Inconsistent(_)) => {
                tracing::error!(%error, "what is missed of an instance cannot be read");
                None
            }
            read => Some(read),
        }
    }
}

impl Write for TakeUp {
    type Output = Vec<Taken>;

    async fn run(&self, connection: &mut sqlx::AnyConnection) -> sqlx::Result<Vec<Taken>> {
        // The outer condition is for Postgres: it is looked at again once a lock is free.
        let query = format!(
            "UPDATE missed_events SET lease_holder = $3, lease_until = $4 WHERE instance IN ({DUE}) \
             AND (lease_until IS NULL OR lease_until <= $1) RETURNING {COLUMNS}"
        );
        let rows = sqlx::query(sqlx::AssertSqlSafe(query))
            .bind(self.now)
            .bind(i64::from(self.limit))
            .bind(self.lease.holder.to_string())
            .bind(to_milliseconds(self.lease.until))
            .fetch_all(connection)
            .await?;
        Ok(rows.iter().map(|row| Taken(read(row))).collect())
    }
}

fn read(row: &AnyRow) -> Result<MissedEvents, StorageError> {
    let text = |column| row.try_get::<Option<String>, _>(column);
    let wanted: Option<String> = text("wanted")?;
    let trouble = text("trouble")?.zip(moment(row, "trouble_at")?).map(|(why, at)| (at, why));
    Ok(MissedEvents {
        instance: parsed(row, "instance")?,
        next_look_at: moment(row, "next_look_at")?,
        wanted: wanted.map(|_| parsed(row, "wanted")).transpose()?,
        looked_at: moment(row, "looked_at")?,
        waiting: row.try_get("waiting")?,
        more: row.try_get::<i64, _>("more")? != 0,
        waiting_since: moment(row, "waiting_since")?,
        subscription: Subscription::read(&row.try_get::<String, _>("subscription")?)?,
        trouble,
        asks: row.try_get("asks")?,
        ask: read_ask(row)?,
        fill: read_fill(row)?,
        filled: read_filled(row)?,
    })
}

fn read_ask(row: &AnyRow) -> Result<Option<Ask>, StorageError> {
    let (at, outcome) = (moment(row, "asked_at")?, row.try_get::<Option<String>, _>("ask_outcome")?);
    let Some((at, outcome)) = at.zip(outcome) else { return Ok(None) };
    Ok(Some(Ask { at, outcome: AskOutcome::read(&outcome)?, detail: row.try_get("ask_detail")? }))
}

fn read_fill(row: &AnyRow) -> Result<Option<Fill>, StorageError> {
    let Some(due_at) = moment(row, "fill_due_at")? else { return Ok(None) };
    let from = row.try_get::<Option<i64>, _>("fill_from")?;
    Ok(Some(Fill {
        due_at,
        from: from_milliseconds(from.unwrap_or_default()),
        page: row.try_get("fill_page")?,
        pages: row.try_get("fill_pages")?,
        stored: row.try_get("fill_stored")?,
        tries: row.try_get("fill_tries")?,
    }))
}

fn read_filled(row: &AnyRow) -> Result<Option<Filled>, StorageError> {
    let (at, outcome) = (moment(row, "filled_at")?, row.try_get::<Option<String>, _>("filled_outcome")?);
    let Some((at, outcome)) = at.zip(outcome) else { return Ok(None) };
    let stored = row.try_get::<Option<i64>, _>("filled_stored")?.unwrap_or_default();
    let detail = row.try_get("filled_detail")?;
    let from = moment(row, "filled_from")?.unwrap_or(OffsetDateTime::UNIX_EPOCH);
    Ok(Some(Filled { at, outcome: FillOutcome::read(&outcome)?, from, stored, detail }))
}
