//! One act on many instances: which are meant, how many, how far it has got, and who is in trouble. Its steps are
//! `bulk_work`'s; what an act is, `onboarding`'s.

use sqlx::Row;
use sqlx::any::AnyRow;
use time::OffsetDateTime;
use uuid::Uuid;

use super::instances::parsed;
use super::statement::Statement;
use super::{InstanceOrder, InstancePlace, InstanceQuestion, RunState, Storage, StorageError};
use crate::clock::{from_milliseconds, to_milliseconds};
use crate::elements::InstanceState;
use crate::reference::Reference;

/// Nobody counts further before something is asked for.
const COUNTED: usize = 10_000;
/// Nor through more pages, where few of many fit.
const PAGES: usize = 40;
const PAGE: usize = 500;
/// So many troubles are kept of one act.
pub const TROUBLES: i64 = 200;

/// What is done to each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BulkAct {
    /// Asked whether it works.
    Check,
    /// Its events are switched off.
    Pause,
    /// They are switched on again.
    Resume,
}

/// What is asked for.
#[derive(Debug, Clone)]
pub struct NewBulk {
    /// Ours.
    pub id: Uuid,
    /// What is done.
    pub act: BulkAct,
    /// To which; in no order of its own.
    pub question: InstanceQuestion,
    /// By whom, as timelines say it.
    pub asked_by: String,
    /// Of the request that asked.
    pub reference: Reference,
}

/// One act on many instances.
#[derive(Debug, Clone)]
pub struct Bulk {
    /// What was asked for. Silence is held against the time of the step.
    pub asked: NewBulk,
    /// How it stands.
    pub state: RunState,
    /// So many were meant when it was asked for.
    pub total: Counted,
    /// So many are done. Less than the total at the end, if some changed meanwhile.
    pub done: i64,
    /// Of those, so many for which there is something to say.
    pub troubled: i64,
    /// When it was asked for; what was made later is not meant.
    pub created_at: OffsetDateTime,
    pub(super) position: Option<InstancePlace>,
    pub(super) step_at: i64,
}

/// How many instances are meant, as far as somebody counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counted {
    /// So many, at least.
    pub number: usize,
    /// And no more.
    pub exact: bool,
}

/// An instance for which there is something to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// Which.
    pub instance: Uuid,
    /// What.
    pub why: String,
}

impl BulkAct {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Check, Self::Pause, Self::Resume];

    /// The word in the database and in forms.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Check => "check",
            Self::Pause => "pause",
            Self::Resume => "resume",
        }
    }

    /// The act of a word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.as_str() == word)
    }

    /// The question whose instances in use are meant; `None` where none can be.
    pub(super) fn narrowed(self, question: &InstanceQuestion) -> Option<InstanceQuestion> {
        let only = match self {
            Self::Check => question.state,
            Self::Pause => Some("connected"),
            Self::Resume => Some("paused"),
        };
        let same = question.state.is_none_or(|state| only == Some(state));
        same.then(|| InstanceQuestion { state: only, order: InstanceOrder::Newest, ..question.clone() })
    }
}

pub(super) const COLUMNS: &str = "id, act, state, asked_by, reference, text, tag, instance_state, events, silent, total, \
     total_exact, done, troubled, position, step_at, created_at";

impl Storage {
    /// How many instances of a question an act would be done to.
    pub async fn count_bulk(
        &self,
        act: BulkAct,
        question: &InstanceQuestion,
    ) -> Result<Counted, StorageError> {
        let (mut number, mut place) = (0, None);
        let Some(question) = act.narrowed(question) else { return Ok(Counted { number, exact: true }) };
        for _ in 0..PAGES {
            let found = self.find_instances(&question, place.as_ref(), PAGE).await?;
            number += found.items.iter().filter(|instance| instance.state.in_use().is_some()).count();
            place = found.next;
            if place.is_none() {
                return Ok(Counted { number, exact: true });
            }
            if number >= COUNTED {
                break;
            }
        }
        Ok(Counted { number: number.min(COUNTED), exact: false })
    }

    /// Begins it; what is made from now on is not meant.
    pub async fn begin_bulk(&self, bulk: &NewBulk, now: OffsetDateTime) -> Result<(), StorageError> {
        let Counted { number, exact } = self.count_bulk(bulk.act, &bulk.question).await?;
        let InstanceQuestion { text, state, tag, events, silent_at, order: _ } = bulk.question.clone();
        let insert = Statement::new(
            "INSERT INTO bulk_acts (id, act, state, asked_by, reference, text, tag, instance_state, events, silent, \
             total, total_exact, step_at, created_at) \
             VALUES ($1, $2, 'running', $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $12)",
        )
        .bind(bulk.id)
        .bind(bulk.act.as_str())
        .bind(bulk.asked_by.as_str())
        .bind(bulk.reference.to_string())
        .bind(text)
        .bind(tag)
        .bind(state.map(str::to_owned))
        .bind(events.map(i64::from))
        .bind(silent_at.is_some())
        .bind(i64::try_from(number).unwrap_or(i64::MAX))
        .bind(exact)
        .bind(to_milliseconds(now));
        self.writer.write(insert).await.map(drop)
    }

    /// The latest of them, newest first.
    pub async fn bulks(&self, limit: u16) -> Result<Vec<Bulk>, StorageError> {
        let query = format!("SELECT {COLUMNS} FROM bulk_acts ORDER BY id DESC LIMIT $1");
        let query = sqlx::query(sqlx::AssertSqlSafe(query)).bind(i64::from(limit));
        query.fetch_all(&self.readers).await?.iter().map(read).collect()
    }

    /// One of them.
    pub async fn bulk(&self, id: Uuid) -> Result<Option<Bulk>, StorageError> {
        let query = format!("SELECT {COLUMNS} FROM bulk_acts WHERE id = $1");
        let query = sqlx::query(sqlx::AssertSqlSafe(query)).bind(id.to_string());
        query.fetch_optional(&self.readers).await?.as_ref().map(read).transpose()
    }

    /// The first of its instances for which there is something to say, each with its name.
    pub async fn bulk_troubles(&self, id: Uuid) -> Result<Vec<(Trouble, String)>, StorageError> {
        let query = "SELECT instance, why, COALESCE(name, instance) AS name FROM bulk_troubles \
             LEFT JOIN instances ON instances.id = instance WHERE bulk = $1 ORDER BY instance DESC LIMIT $2";
        let rows = sqlx::query(query).bind(id.to_string()).bind(TROUBLES).fetch_all(&self.readers).await?;
        let trouble = |row: &AnyRow| -> Result<_, StorageError> {
            let trouble = Trouble { instance: parsed(row, "instance")?, why: row.try_get("why")? };
            Ok((trouble, row.try_get("name")?))
        };
        rows.iter().map(trouble).collect()
    }

    /// Stops one; answers whether it was running. The step under way is taken to its end.
    pub async fn stop_bulk(&self, id: Uuid) -> Result<bool, StorageError> {
        let stop = "UPDATE bulk_acts SET state = 'stopped' WHERE id = $1 AND state = 'running'";
        Ok(self.writer.write(Statement::new(stop).bind(id)).await? > 0)
    }
}

pub(super) fn read(row: &AnyRow) -> Result<Bulk, StorageError> {
    let id: Uuid = parsed(row, "id")?;
    let misfit = || StorageError::Inconsistent(format!("bulk act {id} does not fit any state"));
    let (act, state): (String, String) = (row.try_get("act")?, row.try_get("state")?);
    let in_state: Option<String> = row.try_get("instance_state")?;
    let known = |word: String| InstanceState::WORDS.iter().copied().find(|known| *known == word);
    let created_at = from_milliseconds(row.try_get("created_at")?);
    let silent = row.try_get::<i64, _>("silent")? > 0;
    let question = InstanceQuestion {
        text: row.try_get("text")?,
        state: in_state.map(|word| known(word).ok_or_else(misfit)).transpose()?,
        tag: row.try_get("tag")?,
        events: row.try_get::<Option<i64>, _>("events")?.map(|on| on > 0),
        silent_at: silent.then_some(created_at),
        order: InstanceOrder::Newest,
    };
    let number = usize::try_from(row.try_get::<i64, _>("total")?).unwrap_or_default();
    let exact = row.try_get::<i64, _>("total_exact")? > 0;
    let position: Option<String> = row.try_get("position")?;
    Ok(Bulk {
        asked: NewBulk {
            id,
            act: BulkAct::parse(&act).ok_or_else(misfit)?,
            question,
            asked_by: row.try_get("asked_by")?,
            reference: parsed(row, "reference")?,
        },
        state: RunState::parse(&state).ok_or_else(misfit)?,
        total: Counted { number, exact },
        done: row.try_get("done")?,
        troubled: row.try_get("troubled")?,
        created_at,
        position: position.map(|place| place.parse().map_err(|_| misfit())).transpose()?,
        step_at: row.try_get("step_at")?,
    })
}
