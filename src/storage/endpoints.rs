//! Endpoints of the operator: where notifications are passed on to, and which. A deleted one keeps its row, so
//! that what was delivered can be looked up, and loses its secret.

use sqlx::Row;
use sqlx::any::AnyRow;
use time::OffsetDateTime;
use uuid::Uuid;

use super::sealed::SealedColumn;
use super::statement::Statement;
use super::{Storage, StorageError, instances};
use crate::clock::{from_milliseconds, to_milliseconds};
use crate::elements::EventType;
use crate::webhook::EndpointSecret;

/// One endpoint.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// Ours.
    pub id: Uuid,
    /// Where it is.
    pub url: String,
    /// Which notifications it wants.
    pub wanted: Wanted,
    /// Whether anything is sent there.
    pub state: EndpointState,
    /// The first failure since its last success.
    pub failing_since: Option<OffsetDateTime>,
    /// When it was registered.
    pub created_at: OffsetDateTime,
}

/// Which notifications an endpoint wants.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Of these instances. Where tags are empty too: of every one.
    pub instances: Vec<Uuid>,
    /// Or of those that carry one of these tags.
    pub tags: Vec<String>,
    /// With one of these types of event; empty: with every type.
    pub types: Vec<EventType>,
}

/// Whether anything is sent to an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndpointState {
    /// It is.
    On,
    /// It is not, and why.
    Off(OffReason),
    /// It is gone for good.
    Deleted,
}

/// Why an endpoint is off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OffReason {
    /// It answered 410.
    Gone,
    /// It failed for too long without any success.
    Failing,
}

impl EndpointState {
    /// The word in the database and on pages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::On => "on",
            Self::Off(_) => "off",
            Self::Deleted => "deleted",
        }
    }
}

impl OffReason {
    /// The word in the database and in the log.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Gone => "gone",
            Self::Failing => "failing",
        }
    }
}

const COLUMNS: &str = "id, url, instances, tags, types, state, off_reason, failing_since, created_at";

impl Storage {
    /// Registers an endpoint.
    pub async fn add_endpoint(
        &self,
        endpoint: &Endpoint,
        secret: &EndpointSecret,
    ) -> Result<(), StorageError> {
        let id = endpoint.id.to_string();
        let sealed = self.sealer.seal(SealedColumn::EndpointSecret.place(&id), secret.expose());
        let types: Vec<&str> = endpoint.wanted.types.iter().map(|kind| kind.as_str()).collect();
        let insert = Statement::new(
            "INSERT INTO endpoints (id, url, secret, instances, tags, types, state, created_at) \
             VALUES ($1, $2, $3, $4, $5, $6, 'on', $7)",
        )
        .bind(id)
        .bind(endpoint.url.as_str())
        .bind(sealed)
        .bind(list(&endpoint.wanted.instances))
        .bind(list(&endpoint.wanted.tags))
        .bind(list(&types))
        .bind(to_milliseconds(endpoint.created_at));
        self.writer.write(insert).await.map(drop)
    }

    /// Every endpoint that is not deleted, newest first. An operator has a handful.
    pub async fn endpoints(&self) -> Result<Vec<Endpoint>, StorageError> {
        let query = format!("SELECT {COLUMNS} FROM endpoints WHERE state <> 'deleted' ORDER BY id DESC");
        let rows = sqlx::query(sqlx::AssertSqlSafe(query)).fetch_all(&self.readers).await?;
        rows.iter().map(read).collect()
    }

    /// One endpoint, deleted ones too.
    pub async fn endpoint(&self, id: Uuid) -> Result<Option<Endpoint>, StorageError> {
        let query = sqlx::AssertSqlSafe(format!("SELECT {COLUMNS} FROM endpoints WHERE id = $1"));
        let row = sqlx::query(query).bind(id.to_string()).fetch_optional(&self.readers).await?;
        row.as_ref().map(read).transpose()
    }

    /// Switches an endpoint on again; answers whether it was off.
    pub async fn switch_on(&self, id: Uuid) -> Result<bool, StorageError> {
        let on = "UPDATE endpoints SET state = 'on', off_reason = NULL, failing_since = NULL WHERE id = $1 AND state = 'off'";
        Ok(self.writer.write(Statement::new(on).bind(id)).await? > 0)
    }

    /// Deletes an endpoint, and its secret with it; answers whether there was one.
    pub async fn delete_endpoint(&self, id: Uuid) -> Result<bool, StorageError> {
        let delete = Statement::new(
            "UPDATE endpoints SET state = 'deleted', secret = $2, off_reason = NULL WHERE id = $1 AND state <> 'deleted'",
        );
        Ok(self.writer.write(delete.bind(id).bind(Vec::new())).await? > 0)
    }
}

/// As lists stand in a column.
pub(super) fn list<T: serde::Serialize>(items: &[T]) -> String {
    serde_json::to_string(items).unwrap_or_default()
}

fn read(row: &AnyRow) -> Result<Endpoint, StorageError> {
    let id: Uuid = instances::parsed(row, "id")?;
    Ok(Endpoint {
        id,
        url: row.try_get("url")?,
        wanted: read_wanted(row)?,
        state: read_state(row, id)?,
        failing_since: instances::moment(row, "failing_since")?,
        created_at: from_milliseconds(row.try_get("created_at")?),
    })
}

/// From the three lists of a row.
pub(super) fn read_wanted(row: &AnyRow) -> Result<Wanted, StorageError> {
    let text = |column| row.try_get::<String, _>(column);
    let misfit = || StorageError::Inconsistent("what an endpoint wants is no list".to_owned());
    let types: Vec<String> = serde_json::from_str(&text("types")?).map_err(|_| misfit())?;
    Ok(Wanted {
        instances: serde_json::from_str(&text("instances")?).map_err(|_| misfit())?,
        tags: serde_json::from_str(&text("tags")?).map_err(|_| misfit())?,
        // A type that is not known, left out, would make the filter wider.
        types: types.iter().map(|word| EventType::named(word)).collect::<Option<_>>().ok_or_else(misfit)?,
    })
}

fn read_state(row: &AnyRow, id: Uuid) -> Result<EndpointState, StorageError> {
    let word: String = row.try_get("state")?;
    let reason: Option<String> = row.try_get("off_reason")?;
    Ok(match (word.as_str(), reason.as_deref()) {
        ("on", None) => EndpointState::On,
        ("off", Some("gone")) => EndpointState::Off(OffReason::Gone),
        ("off", Some("failing")) => EndpointState::Off(OffReason::Failing),
        ("deleted", None) => EndpointState::Deleted,
        _ => {
            return Err(StorageError::Inconsistent(format!("endpoint {id} does not fit the state {word:?}")));
        }
    })
}

impl Wanted {
    /// So many instances can be named, and so many tags.
    pub const MOST_NAMED: usize = 100;

    /// Whether a notification of `instance`, which carries `tags`, with events of these `types` is wanted.
    /// One that could not be read counts as `UNKNOWN`.
    pub fn wants(&self, instance: Uuid, tags: &[String], types: &[EventType]) -> bool {
        let everyone = self.instances.is_empty() && self.tags.is_empty();
        let its =
            everyone || self.instances.contains(&instance) || self.tags.iter().any(|tag| tags.contains(tag));
        let types = if types.is_empty() { &[EventType::Unknown] } else { types };
        its && (self.types.is_empty() || types.iter().any(|kind| self.types.contains(kind)))
    }
}
