//! A row that is an instance: it becomes an [`Instance`] only if it fits one of its states.

use sqlx::Row;
use sqlx::any::AnyRow;
use time::OffsetDateTime;
use uuid::Uuid;

use super::StorageError;
use crate::clock::from_milliseconds;
use crate::elements::{BrowserHash, Connection, Instance, InstanceState, Problem, ProblemKind};

pub(super) const COLUMNS: &str = "id, state, name, customer, tags, element, reference, browser, element_instance_id, events_enabled, \
     connected_at, problem_kind, problem_detail, problem_since, created_at, first_event_at, last_event_at, \
     notification_count, last_checked_at, audiences, version, \
     (SELECT count(*) FROM open_work WHERE open_work.instance = instances.id AND open_work.kind = 'reauthorize') AS renewing";

pub(super) fn parsed<T: std::str::FromStr>(row: &AnyRow, column: &str) -> Result<T, StorageError> {
    let text: String = row.try_get(column)?;
    text.parse().map_err(|_| StorageError::Inconsistent(format!("{column} is {text:?}")))
}

pub(super) fn moment(row: &AnyRow, column: &str) -> Result<Option<OffsetDateTime>, StorageError> {
    Ok(row.try_get::<Option<i64>, _>(column)?.map(from_milliseconds))
}

pub(super) fn read(row: &AnyRow) -> Result<Instance, StorageError> {
    let id: Uuid = parsed(row, "id")?;
    let missing = |column: &str| StorageError::Inconsistent(format!("instance {id} has no {column}"));
    Ok(Instance {
        id,
        name: row.try_get("name")?,
        customer: row.try_get("customer")?,
        tags: serde_json::from_str(&row.try_get::<String, _>("tags")?)
            .map_err(|_| StorageError::Inconsistent(format!("the tags of instance {id} are no list")))?,
        element: row.try_get("element")?,
        reference: parsed(row, "reference")?,
        browser: BrowserHash::from_stored(row.try_get("browser")?),
        created_at: moment(row, "created_at")?.ok_or_else(|| missing("created_at"))?,
        first_event_at: moment(row, "first_event_at")?,
        last_event_at: moment(row, "last_event_at")?,
        notification_count: row.try_get("notification_count")?,
        last_checked_at: moment(row, "last_checked_at")?,
        audiences: read_audiences(row)?,
        renewing: row.try_get::<i64, _>("renewing")? > 0,
        version: row.try_get("version")?,
        state: read_state(row).map_err(|error| match error {
            StorageError::Inconsistent(what) => StorageError::Inconsistent(format!("instance {id}: {what}")),
            other => other,
        })?,
    })
}

/// A combination of columns that no state has is an error, not a guess.
fn read_state(row: &AnyRow) -> Result<InstanceState, StorageError> {
    let word: String = row.try_get("state")?;
    let misfit = || StorageError::Inconsistent(format!("its columns do not fit the state {word:?}"));
    let problem = read_problem(row)?;
    let connection = match (
        row.try_get::<Option<i64>, _>("element_instance_id")?,
        row.try_get::<Option<i64>, _>("events_enabled")?,
        moment(row, "connected_at")?,
    ) {
        (Some(element_instance_id), Some(events), Some(connected_at)) => {
            Some(Connection { element_instance_id, events_enabled: events != 0, connected_at })
        }
        (None, None, None) => None,
        _ => return Err(misfit()),
    };
    Ok(match (word.as_str(), connection, problem) {
        ("provisioning", None, None) => InstanceState::Provisioning,
        ("unknown", None, Some(problem)) => InstanceState::Unknown(problem),
        ("failed", None, Some(problem)) => InstanceState::Failed(problem),
        ("connected", Some(connection), None) => InstanceState::Connected(connection),
        ("paused", Some(connection), None) => InstanceState::Paused(connection),
        ("needs_attention", Some(connection), Some(problem)) => {
            InstanceState::NeedsAttention(connection, problem)
        }
        ("disconnecting", Some(connection), None) => InstanceState::Disconnecting(connection),
        ("disconnected", Some(connection), None) => InstanceState::Disconnected(connection),
        _ => return Err(misfit()),
    })
}

fn read_problem(row: &AnyRow) -> Result<Option<Problem>, StorageError> {
    let Some(word) = row.try_get::<Option<String>, _>("problem_kind")? else { return Ok(None) };
    let kind = ProblemKind::ALL.iter().find(|kind| kind.as_str() == word);
    let kind = *kind.ok_or_else(|| StorageError::Inconsistent(format!("no such problem: {word:?}")))?;
    let since = moment(row, "problem_since")?.unwrap_or(OffsetDateTime::UNIX_EPOCH);
    Ok(Some(Problem { kind, detail: row.try_get("problem_detail")?, since }))
}

fn read_audiences(row: &AnyRow) -> Result<Option<Vec<String>>, StorageError> {
    let Some(text) = row.try_get::<Option<String>, _>("audiences")? else { return Ok(None) };
    let audiences = serde_json::from_str(&text);
    audiences.map(Some).map_err(|_| StorageError::Inconsistent("audiences are no list".to_owned()))
}
