//! Keys of programs that use the JSON API. Of each only the hash is kept, and every request looks it up, so that
//! a key that was revoked opens nothing from then on, whichever process revoked it.

use sqlx::Row;
use sqlx::any::AnyRow;
use time::OffsetDateTime;
use uuid::Uuid;

use super::audit::recording;
use super::statement::{Deciding, Statement};
use super::{Act, Storage, StorageError, TokenHash, instances};
use crate::clock::{from_milliseconds, to_milliseconds};

/// Being used is written down at most once in so many milliseconds.
const NOTED_EVERY: i64 = 60_000;

/// What a key may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Look.
    Read,
    /// Look and change.
    Write,
}

impl Scope {
    /// The word in the database and on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
        }
    }

    /// The scope a word names.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Read, Self::Write].into_iter().find(|scope| scope.as_str() == word)
    }

    /// Whether a key of this scope may do what needs `needed`.
    pub fn covers(self, needed: Self) -> bool {
        self == needed || self == Self::Write
    }
}

/// A key, as it is told of: never the key itself.
#[derive(Debug, Clone)]
pub struct ApiKeyRow {
    /// Ours.
    pub id: Uuid,
    /// What the operator calls it.
    pub name: String,
    /// What it may do.
    pub scope: Scope,
    /// When it was made.
    pub created_at: OffsetDateTime,
    /// When it ends by itself.
    pub expires_at: Option<OffsetDateTime>,
    /// When it was revoked.
    pub revoked_at: Option<OffsetDateTime>,
    /// When it was used last, give or take a minute.
    pub last_used_at: Option<OffsetDateTime>,
}

impl ApiKeyRow {
    /// `active`, `expired` or `revoked`.
    pub fn state(&self, now: OffsetDateTime) -> &'static str {
        match (self.revoked_at, self.expires_at) {
            (Some(_), _) => "revoked",
            (None, Some(end)) if end <= now => "expired",
            (None, _) => "active",
        }
    }
}

const COLUMNS: &str = "id, name, scope, created_at, expires_at, revoked_at, last_used_at";

impl Storage {
    /// Makes a key, and the row of `act` in the audit trail with it; answers whether its name was free.
    pub async fn add_api_key(
        &self,
        key: &ApiKeyRow,
        hash: TokenHash,
        act: Act,
    ) -> Result<bool, StorageError> {
        let first = Statement::new(
            "INSERT INTO api_keys (id, name, scope, key_hash, created_at, expires_at) VALUES ($1, $2, $3, $4, $5, $6) \
             ON CONFLICT (name) WHERE revoked_at IS NULL DO NOTHING",
        )
        .bind(key.id)
        .bind(key.name.as_str())
        .bind(key.scope.as_str())
        .bind(hash.bytes())
        .bind(to_milliseconds(key.created_at))
        .bind(key.expires_at.map(to_milliseconds));
        self.writer.write(Deciding { first, then: vec![recording(act)] }).await
    }

    /// Every key, the newest first. An operator has a handful.
    pub async fn api_keys(&self) -> Result<Vec<ApiKeyRow>, StorageError> {
        let query = format!("SELECT {COLUMNS} FROM api_keys ORDER BY id DESC LIMIT 1000");
        let rows = sqlx::query(sqlx::AssertSqlSafe(query)).fetch_all(&self.readers).await?;
        rows.iter().map(read).collect()
    }

    /// The key with this hash, if it is neither revoked nor expired. That it was used is written down, coarsely.
    pub async fn use_api_key(
        &self,
        hash: &TokenHash,
        now: OffsetDateTime,
    ) -> Result<Option<ApiKeyRow>, StorageError> {
        let query = sqlx::AssertSqlSafe(format!("SELECT {COLUMNS} FROM api_keys WHERE key_hash = $1"));
        let row = sqlx::query(query).bind(hash.bytes()).fetch_optional(&self.readers).await?;
        let Some(key) = row.as_ref().map(read).transpose()? else { return Ok(None) };
        if key.state(now) != "active" {
            return Ok(None);
        }
        let now = to_milliseconds(now);
        if key.last_used_at.is_none_or(|last| now - to_milliseconds(last) >= NOTED_EVERY) {
            // Of a crowd at once the first one's is written.
            let used = Statement::new(
                "UPDATE api_keys SET last_used_at = $2 WHERE id = $1 AND (last_used_at IS NULL OR last_used_at <= $3)",
            );
            let noted = self.writer.write(used.bind(key.id).bind(now).bind(now - NOTED_EVERY)).await;
            if let Err(error) = noted {
                tracing::warn!(target: "gangway::storage", api_key = %key.id, %error, "that a key was used is not written down");
            }
        }
        Ok(Some(key))
    }

    /// Revokes the key with this id or name, and writes the row of `act` with it; answers whether there was one
    /// that could be.
    pub async fn revoke_api_key(&self, named: &str, act: Act) -> Result<bool, StorageError> {
        let revoke = Statement::new(
            "UPDATE api_keys SET revoked_at = $2 WHERE (id = $1 OR name = $1) AND revoked_at IS NULL",
        );
        let first = revoke.bind(named).bind(to_milliseconds(act.at));
        self.writer.write(Deciding { first, then: vec![recording(act)] }).await
    }
}

fn read(row: &AnyRow) -> Result<ApiKeyRow, StorageError> {
    let id: Uuid = instances::parsed(row, "id")?;
    let scope: String = row.try_get("scope")?;
    let misfit = || StorageError::Inconsistent(format!("API key {id} has no scope {scope:?}"));
    Ok(ApiKeyRow {
        id,
        name: row.try_get("name")?,
        scope: Scope::parse(&scope).ok_or_else(misfit)?,
        created_at: from_milliseconds(row.try_get("created_at")?),
        expires_at: instances::moment(row, "expires_at")?,
        revoked_at: instances::moment(row, "revoked_at")?,
        last_used_at: instances::moment(row, "last_used_at")?,
    })
}
