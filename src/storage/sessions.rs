//! The sessions of operators: rows, so that they can be listed and ended, one or all of them.

use sqlx::Row;
use sqlx::any::AnyRow;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use super::operators::{FIRST_OPERATOR, Role, TokenHash};
use super::statement::Statement;
use super::{Storage, StorageError, instances};
use crate::clock::{from_milliseconds, to_milliseconds};

/// A session that is to be opened.
#[derive(Debug, Clone)]
pub struct Opening {
    /// Of the token that the browser carries.
    pub token: TokenHash,
    /// Names it in the console.
    pub id: Uuid,
    /// Whose; `None` is the one of the settings or of the demo.
    pub operator: Option<Uuid>,
    /// From where.
    pub address: Option<String>,
    /// With what.
    pub agent: Option<String>,
}

/// A session that is open.
#[derive(Debug, Clone)]
pub struct OpenSession {
    /// Names it in the console.
    pub id: Uuid,
    /// Whose; `None` is the one of the settings or of the demo.
    pub operator: Option<Uuid>,
    /// The operator's name.
    pub name: String,
    /// What they may do.
    pub role: Role,
    /// Opened at.
    pub created_at: OffsetDateTime,
    /// Last used at, to the minute.
    pub last_seen_at: OffsetDateTime,
    /// From where it was opened.
    pub address: Option<String>,
    /// With what.
    pub agent: Option<String>,
}

impl OpenSession {
    /// Whether they may act, or only look.
    pub fn may_act(&self) -> bool {
        self.role == Role::Operator
    }
}

/// Unused for `idle`, or older than `longest`, a session has ended.
#[derive(Debug, Clone, Copy)]
pub struct SessionLimits {
    /// Unused so long.
    pub idle: Duration,
    /// However much it is used.
    pub longest: Duration,
}

fn read(row: &AnyRow) -> Result<OpenSession, StorageError> {
    let operator: Option<String> = row.try_get("operator")?;
    let known = operator.is_some();
    Ok(OpenSession {
        id: instances::parsed(row, "id")?,
        operator: operator.map(|_| instances::parsed(row, "operator")).transpose()?,
        name: if known { row.try_get("name")? } else { FIRST_OPERATOR.to_owned() },
        role: if known { instances::parsed(row, "role")? } else { Role::Operator },
        created_at: from_milliseconds(row.try_get("created_at")?),
        last_seen_at: from_milliseconds(row.try_get("last_seen_at")?),
        address: row.try_get("address")?,
        agent: row.try_get("agent")?,
    })
}

impl Storage {
    /// Opens a session.
    pub async fn open_session(&self, session: Opening, now: OffsetDateTime) -> Result<(), StorageError> {
        self.writer.write(opening(session, now)).await.map(drop)
    }

    /// The session of this token, if it is open. Being seen is written down at most once a minute.
    pub async fn session(
        &self,
        token: &TokenHash,
        now: OffsetDateTime,
        limits: SessionLimits,
    ) -> Result<Option<OpenSession>, StorageError> {
        let query = "SELECT s.id, s.operator, o.name, o.role, s.created_at, s.last_seen_at, s.address, s.agent \
                     FROM operator_sessions s LEFT JOIN operators o ON o.id = s.operator \
                     WHERE s.token_hash = $1 AND s.last_seen_at > $2 AND s.created_at > $3 \
                     AND (s.operator IS NULL OR o.id IS NOT NULL)";
        let row = sqlx::query(query)
            .bind(token.bytes())
            .bind(to_milliseconds(now - limits.idle))
            .bind(to_milliseconds(now - limits.longest))
            .fetch_optional(&self.readers)
            .await?;
        let Some(session) = row.as_ref().map(read).transpose()? else { return Ok(None) };
        if now - session.last_seen_at > Duration::MINUTE {
            let seen = Statement::new("UPDATE operator_sessions SET last_seen_at = $2 WHERE token_hash = $1")
                .bind(token.bytes())
                .bind(to_milliseconds(now));
            self.writer.write(seen).await?;
        }
        Ok(Some(session))
    }

    /// Every open session, the last used first.
    pub async fn sessions(
        &self,
        now: OffsetDateTime,
        limits: SessionLimits,
    ) -> Result<Vec<OpenSession>, StorageError> {
        let query = "SELECT s.id, s.operator, o.name, o.role, s.created_at, s.last_seen_at, s.address, s.agent \
                     FROM operator_sessions s LEFT JOIN operators o ON o.id = s.operator \
                     WHERE s.last_seen_at > $1 AND s.created_at > $2 AND (s.operator IS NULL OR o.id IS NOT NULL) \
                     ORDER BY s.last_seen_at DESC, s.id LIMIT 500";
        let rows = sqlx::query(query)
            .bind(to_milliseconds(now - limits.idle))
            .bind(to_milliseconds(now - limits.longest))
            .fetch_all(&self.readers)
            .await?;
        rows.iter().map(read).collect()
    }

    /// Ends a session.
    pub async fn end_session(&self, token: TokenHash) -> Result<(), StorageError> {
        let end = Statement::new("DELETE FROM operator_sessions WHERE token_hash = $1").bind(token.bytes());
        self.writer.write(end).await.map(drop)
    }

    /// Ends the session with this id.
    pub async fn end_session_named(&self, id: Uuid) -> Result<(), StorageError> {
        let end = Statement::new("DELETE FROM operator_sessions WHERE id = $1").bind(id);
        self.writer.write(end).await.map(drop)
    }

    /// Ends every session of an operator but `kept`.
    pub async fn end_other_sessions(&self, operator: Option<Uuid>, kept: Uuid) -> Result<(), StorageError> {
        let end =
            Statement::new("DELETE FROM operator_sessions WHERE COALESCE(operator, '') = $1 AND id <> $2");
        let whose = operator.map(|id| id.to_string()).unwrap_or_default();
        self.writer.write(end.bind(whose).bind(kept)).await.map(drop)
    }
}

pub(super) fn opening(session: Opening, now: OffsetDateTime) -> Statement {
    let insert = Statement::new(
        "INSERT INTO operator_sessions (token_hash, id, operator, address, agent, created_at, last_seen_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $6)",
    );
    let insert = insert.bind(session.token.bytes()).bind(session.id);
    let insert = insert.bind(session.operator.map(|id| id.to_string())).bind(session.address);
    insert.bind(session.agent).bind(to_milliseconds(now))
}
