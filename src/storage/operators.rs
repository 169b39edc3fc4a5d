//! The operator: the password's hash, the one-time sign-in link, and the sessions that are open. Of
//! every token only the hash is kept.

use sha2::{Digest, Sha256};
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use super::statement::{Deciding, Statement};
use super::{Storage, StorageError, instances};
use crate::clock::to_milliseconds;

/// Who may see the console.
#[derive(Debug, Clone)]
pub struct Operator {
    /// The row's key.
    pub id: Uuid,
    /// argon2id in PHC form.
    pub password_hash: String,
}

/// SHA-256 of a token with 256 random bits; nothing slower is needed for those.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenHash(Vec<u8>);

impl TokenHash {
    /// Of a token as it was received.
    pub fn of(token: &str) -> Self {
        Self(Sha256::digest(token.as_bytes()).to_vec())
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        self.0.clone()
    }
}

impl Storage {
    /// The operator, once a password has been chosen.
    pub async fn operator(&self) -> Result<Option<Operator>, StorageError> {
        use sqlx::Row;
        let row = sqlx::query("SELECT id, password_hash FROM operators ORDER BY id LIMIT 1")
            .fetch_optional(&self.readers)
            .await?;
        row.map(|row| {
            Ok(Operator { id: instances::parsed(&row, "id")?, password_hash: row.try_get("password_hash")? })
        })
        .transpose()
    }

    /// Makes `token` the one sign-in link that works, until `expires_at`; an older one ends.
    pub async fn make_sign_in_link(
        &self,
        token: TokenHash,
        expires_at: OffsetDateTime,
    ) -> Result<(), StorageError> {
        let clear = Statement::new("DELETE FROM sign_in_links");
        let insert = Statement::new("INSERT INTO sign_in_links (token_hash, expires_at) VALUES ($1, $2)")
            .bind(token.0)
            .bind(to_milliseconds(expires_at));
        self.writer.write(vec![clear, insert]).await
    }

    /// Whether the link still works.
    pub async fn sign_in_link_works(
        &self,
        token: &TokenHash,
        now: OffsetDateTime,
    ) -> Result<bool, StorageError> {
        let query = "SELECT expires_at FROM sign_in_links WHERE token_hash = $1 AND expires_at > $2";
        let row: Option<i64> = sqlx::query_scalar(query)
            .bind(token.0.clone())
            .bind(to_milliseconds(now))
            .fetch_optional(&self.readers)
            .await?;
        Ok(row.is_some())
    }

    /// Uses the link: with it goes the operator's new password, if one was chosen, and a session opens.
    /// Answers whether the link still worked; one statement decides.
    pub async fn use_sign_in_link(
        &self,
        token: TokenHash,
        operator: Option<Operator>,
        session: TokenHash,
        now: OffsetDateTime,
    ) -> Result<bool, StorageError> {
        let first = Statement::new("DELETE FROM sign_in_links WHERE token_hash = $1 AND expires_at > $2")
            .bind(token.0)
            .bind(to_milliseconds(now));
        let mut then = Vec::new();
        if let Some(operator) = operator {
            then.push(
                Statement::new(
                    "INSERT INTO operators (id, name, password_hash, created_at) VALUES ($1, 'operator', $2, $3) \
                     ON CONFLICT (name) DO UPDATE SET password_hash = excluded.password_hash",
                )
                .bind(operator.id)
                .bind(operator.password_hash)
                .bind(to_milliseconds(now)),
            );
            // A new password ends what the old one opened.
            then.push(Statement::new("DELETE FROM operator_sessions"));
        }
        then.push(opening(session, now));
        self.writer.write(Deciding { first, then }).await
    }

    /// Opens a session.
    pub async fn open_session(&self, token: TokenHash, now: OffsetDateTime) -> Result<(), StorageError> {
        self.writer.write(opening(token, now)).await.map(drop)
    }

    /// Whether the session is open: younger than `longest`, and used within `idle`. Being seen is written
    /// down at most once a minute.
    pub async fn session_is_open(
        &self,
        token: &TokenHash,
        now: OffsetDateTime,
        idle: Duration,
        longest: Duration,
    ) -> Result<bool, StorageError> {
        let query = "SELECT last_seen_at FROM operator_sessions WHERE token_hash = $1 AND last_seen_at > $2 AND created_at > $3";
        let seen: Option<i64> = sqlx::query_scalar(query)
            .bind(token.0.clone())
            .bind(to_milliseconds(now - idle))
            .bind(to_milliseconds(now - longest))
            .fetch_optional(&self.readers)
            .await?;
        let Some(seen) = seen else { return Ok(false) };
        let now = to_milliseconds(now);
        if now - seen > 60_000 {
            let seen = Statement::new("UPDATE operator_sessions SET last_seen_at = $2 WHERE token_hash = $1")
                .bind(token.0.clone())
                .bind(now);
            self.writer.write(seen).await?;
        }
        Ok(true)
    }

    /// Ends a session.
    pub async fn end_session(&self, token: TokenHash) -> Result<(), StorageError> {
        let end = Statement::new("DELETE FROM operator_sessions WHERE token_hash = $1").bind(token.0);
        self.writer.write(end).await.map(drop)
    }
}

fn opening(token: TokenHash, now: OffsetDateTime) -> Statement {
    Statement::new("INSERT INTO operator_sessions (token_hash, created_at, last_seen_at) VALUES ($1, $2, $2)")
        .bind(token.0)
        .bind(to_milliseconds(now))
}
