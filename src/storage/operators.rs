//! The operators: name, role and password's hash, and the one-time links at which a password is chosen. Of
//! every token only the hash is kept.

use sha2::{Digest, Sha256};
use sqlx::Row;
use sqlx::any::AnyRow;
use time::OffsetDateTime;
use uuid::Uuid;

use super::sessions::{Opening, opening};
use super::statement::{Deciding, Statement};
use super::{Storage, StorageError, instances};
use crate::clock::{from_milliseconds, to_milliseconds};

/// The first one's name, until another is chosen.
pub const FIRST_OPERATOR: &str = "operator";

/// What somebody may do in the console.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Look and act.
    Operator,
    /// Look.
    Viewer,
}

impl Role {
    /// Its word in the database and on the pages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Operator => "operator",
            Self::Viewer => "viewer",
        }
    }
}

/// A word that names no role.
#[derive(Debug, thiserror::Error)]
#[error("no such role")]
pub struct NoRole;

impl std::str::FromStr for Role {
    type Err = NoRole;

    fn from_str(word: &str) -> Result<Self, NoRole> {
        [Self::Operator, Self::Viewer].into_iter().find(|role| role.as_str() == word).ok_or(NoRole)
    }
}

/// Who may see the console.
#[derive(Debug, Clone)]
pub struct Operator {
    /// The row's key.
    pub id: Uuid,
    /// What they sign in with.
    pub name: String,
    /// What they may do.
    pub role: Role,
    /// argon2id in PHC form; empty until a password is chosen.
    pub password_hash: String,
    /// Since when.
    pub created_at: OffsetDateTime,
}

/// Whose password a link sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkFor {
    /// The first operator's, whose row is made with it.
    First,
    /// One's who was added, or forgot it.
    Operator(Uuid),
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

fn read(row: &AnyRow) -> Result<Operator, StorageError> {
    Ok(Operator {
        id: instances::parsed(row, "id")?,
        name: row.try_get("name")?,
        role: instances::parsed(row, "role")?,
        password_hash: row.try_get("password_hash")?,
        created_at: from_milliseconds(row.try_get("created_at")?),
    })
}

impl Storage {
    /// Every operator, by name.
    pub async fn operators(&self) -> Result<Vec<Operator>, StorageError> {
        let query = "SELECT id, name, role, password_hash, created_at FROM operators ORDER BY name";
        sqlx::query(query).fetch_all(&self.readers).await?.iter().map(read).collect()
    }

    /// The operator of this name.
    pub async fn operator_named(&self, name: &str) -> Result<Option<Operator>, StorageError> {
        let query = "SELECT id, name, role, password_hash, created_at FROM operators WHERE name = $1";
        sqlx::query(query).bind(name).fetch_optional(&self.readers).await?.as_ref().map(read).transpose()
    }

    /// Adds one; answers whether the name was free.
    pub async fn add_operator(&self, operator: Operator) -> Result<bool, StorageError> {
        let insert = Statement::new(
            "INSERT INTO operators (id, name, role, password_hash, created_at) VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING",
        );
        let insert = insert.bind(operator.id).bind(operator.name).bind(operator.role.as_str());
        let insert = insert.bind(operator.password_hash).bind(to_milliseconds(operator.created_at));
        Ok(self.writer.write(insert).await? == 1)
    }

    /// Removes one, with sessions and links; answers whether one was there that may go. `spare`: somebody
    /// beside the rows can act.
    pub async fn remove_operator(&self, id: Uuid, spare: bool) -> Result<bool, StorageError> {
        // Somebody who can act must be left.
        const REMOVE: &str = "DELETE FROM operators WHERE id = $1 AND (role <> 'operator' OR CAST($2 AS BIGINT) = 1 OR EXISTS (SELECT 1 FROM operators other \
             WHERE other.role = 'operator' AND other.password_hash <> '' AND other.id <> $1))";
        let first = Statement::new(REMOVE).bind(id).bind(spare);
        let then = vec![
            Statement::new("DELETE FROM operator_sessions WHERE operator = $1").bind(id),
            Statement::new("DELETE FROM sign_in_links WHERE operator = $1").bind(id),
        ];
        self.writer.write(Deciding { first, then }).await
    }

    /// Changes a role; answers whether there was one whose role may change.
    pub async fn set_role(&self, id: Uuid, role: Role, spare: bool) -> Result<bool, StorageError> {
        const SET: &str = "UPDATE operators SET role = $3 WHERE id = $1 AND ($3 = 'operator' OR (role <> 'operator' OR CAST($2 AS BIGINT) = 1 OR EXISTS (SELECT 1 FROM operators other \
             WHERE other.role = 'operator' AND other.password_hash <> '' AND other.id <> $1)))";
        let set = Statement::new(SET).bind(id).bind(spare).bind(role.as_str());
        Ok(self.writer.write(set).await? == 1)
    }

    /// Sets a password, and ends every session but `kept`.
    pub async fn set_password(&self, id: Uuid, hash: String, kept: TokenHash) -> Result<(), StorageError> {
        let set = Statement::new("UPDATE operators SET password_hash = $2 WHERE id = $1").bind(id).bind(hash);
        let end = Statement::new("DELETE FROM operator_sessions WHERE operator = $1 AND token_hash <> $2");
        self.writer.write(vec![set, end.bind(id).bind(kept.0)]).await
    }

    /// Makes `token` the one link of `whose` that works, until `expires_at`; an older one ends.
    pub async fn make_sign_in_link(
        &self,
        token: TokenHash,
        whose: LinkFor,
        expires_at: OffsetDateTime,
    ) -> Result<(), StorageError> {
        let whose = match whose {
            LinkFor::First => None,
            LinkFor::Operator(id) => Some(id.to_string()),
        };
        let clear = Statement::new("DELETE FROM sign_in_links WHERE COALESCE(operator, '') = $1")
            .bind(whose.clone().unwrap_or_default());
        let insert = Statement::new(
            "INSERT INTO sign_in_links (token_hash, expires_at, operator) VALUES ($1, $2, $3)",
        )
        .bind(token.0)
        .bind(to_milliseconds(expires_at))
        .bind(whose);
        self.writer.write(vec![clear, insert]).await
    }

    /// Whose link this is, while it works.
    pub async fn sign_in_link(
        &self,
        token: &TokenHash,
        now: OffsetDateTime,
    ) -> Result<Option<LinkFor>, StorageError> {
        let query = "SELECT operator FROM sign_in_links WHERE token_hash = $1 AND expires_at > $2";
        let row = sqlx::query(query)
            .bind(token.0.clone())
            .bind(to_milliseconds(now))
            .fetch_optional(&self.readers)
            .await?;
        let Some(row) = row else { return Ok(None) };
        let whose: Option<String> = row.try_get("operator")?;
        let id = whose.map(|_| instances::parsed(&row, "operator")).transpose()?;
        Ok(Some(id.map_or(LinkFor::First, LinkFor::Operator)))
    }

    /// Uses the link: with it goes the operator's new password, if one was chosen, and a session opens.
    /// Answers whether the link still worked; one statement decides.
    pub async fn use_sign_in_link(
        &self,
        token: TokenHash,
        operator: Option<Operator>,
        session: Opening,
        now: OffsetDateTime,
    ) -> Result<bool, StorageError> {
        let first = Statement::new("DELETE FROM sign_in_links WHERE token_hash = $1 AND expires_at > $2")
            .bind(token.0)
            .bind(to_milliseconds(now));
        let mut then = Vec::new();
        if let Some(operator) = operator {
            // A new password ends what the old one opened.
            then.push(Statement::new("DELETE FROM operator_sessions WHERE operator = $1").bind(operator.id));
            then.push(
                Statement::new(
                    "INSERT INTO operators (id, name, role, password_hash, created_at) VALUES ($1, $2, $3, $4, $5) \
                     ON CONFLICT (id) DO UPDATE SET password_hash = excluded.password_hash",
                )
                .bind(operator.id)
                .bind(operator.name)
                .bind(operator.role.as_str())
                .bind(operator.password_hash)
                .bind(to_milliseconds(operator.created_at)),
            );
        }
        then.push(opening(session, now));
        self.writer.write(Deciding { first, then }).await
    }
}
