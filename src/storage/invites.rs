//! Invites: one row each. A use is made by the claim of a grant, in its transaction; opening and starting are only
//! noted.

use sqlx::Row;
use sqlx::any::AnyRow;
use time::OffsetDateTime;
use uuid::Uuid;

use super::endpoints::list;
use super::instances::{moment, parsed};
use super::statement::Statement;
use super::{Storage, StorageError, TokenHash};
use crate::clock::to_milliseconds;
use crate::elements::BrowserHash;
use crate::invite::Invite;

const COLUMNS: &str = "id, customer, tags, return_url, uses, used, created_at, expires_at, opened_at, started_at, \
     connected_at, revoked_at";

/// What is noted of an invite the first time it happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InviteMark {
    /// Its page was shown.
    Opened,
    /// Somebody went to MailChimp with it.
    Started,
}

impl Storage {
    /// Keeps a fresh invite.
    pub async fn add_invite(&self, invite: &Invite, token: TokenHash) -> Result<(), StorageError> {
        let insert = Statement::new(
            "INSERT INTO invites (id, token_hash, customer, tags, return_url, uses, created_at, expires_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        )
        .bind(invite.id)
        .bind(token.bytes())
        .bind(invite.customer.as_str())
        .bind(list(&invite.tags))
        .bind(invite.return_url.clone())
        .bind(invite.uses.map(i64::from))
        .bind(to_milliseconds(invite.created_at))
        .bind(to_milliseconds(invite.expires_at));
        self.writer.write(insert).await.map(drop)
    }

    /// The invite whose link carries this token.
    pub async fn invite_of_token(&self, token: &TokenHash) -> Result<Option<Invite>, StorageError> {
        let query = sqlx::AssertSqlSafe(format!("SELECT {COLUMNS} FROM invites WHERE token_hash = $1"));
        let row = sqlx::query(query).bind(token.bytes()).fetch_optional(&self.readers).await?;
        row.as_ref().map(read).transpose()
    }

    /// One invite.
    pub async fn invite(&self, id: Uuid) -> Result<Option<Invite>, StorageError> {
        let query = sqlx::AssertSqlSafe(format!("SELECT {COLUMNS} FROM invites WHERE id = $1"));
        let row = sqlx::query(query).bind(id.to_string()).fetch_optional(&self.readers).await?;
        row.as_ref().map(read).transpose()
    }

    /// The newest invites first, from `after` on, one more than `limit` where there are more.
    pub async fn invites(&self, after: Option<Uuid>, limit: usize) -> Result<Vec<Invite>, StorageError> {
        let query = format!("SELECT {COLUMNS} FROM invites WHERE id < $1 ORDER BY id DESC LIMIT $2");
        let rows = sqlx::query(sqlx::AssertSqlSafe(query))
            .bind(after.unwrap_or(Uuid::max()).to_string())
            .bind(i64::try_from(limit).unwrap_or(i64::MAX).saturating_add(1))
            .fetch_all(&self.readers)
            .await?;
        rows.iter().map(read).collect()
    }

    /// The instances that came of an invite, the newest first; a hundred at most.
    pub async fn instances_of_invite(&self, invite: Uuid) -> Result<Vec<(Uuid, String)>, StorageError> {
        let query = "SELECT id, name FROM instances WHERE invite = $1 ORDER BY id DESC LIMIT 100";
        let rows = sqlx::query(query).bind(invite.to_string()).fetch_all(&self.readers).await?;
        rows.iter().map(|row| Ok((parsed(row, "id")?, row.try_get("name")?))).collect()
    }

    /// The invite that an instance came of, and its customer.
    pub async fn invite_of_instance(&self, instance: Uuid) -> Result<Option<(Uuid, String)>, StorageError> {
        let query =
            "SELECT id, customer FROM invites WHERE id = (SELECT invite FROM instances WHERE id = $1)";
        let row = sqlx::query(query).bind(instance.to_string()).fetch_optional(&self.readers).await?;
        row.map(|row| Ok((parsed(&row, "id")?, row.try_get("customer")?))).transpose()
    }

    /// The newest instance that came of an invite in this browser.
    pub async fn instance_of_invite_in(
        &self,
        invite: Uuid,
        browser: &BrowserHash,
    ) -> Result<Option<Uuid>, StorageError> {
        let query = "SELECT id FROM instances WHERE invite = $1 AND browser = $2 ORDER BY id DESC LIMIT 1";
        let row = sqlx::query(query)
            .bind(invite.to_string())
            .bind(browser.as_bytes().to_vec())
            .fetch_optional(&self.readers)
            .await?;
        row.as_ref().map(|row| parsed(row, "id")).transpose()
    }

    /// Where the invite of an instance sends its customer afterwards.
    pub async fn return_url(&self, instance: Uuid) -> Result<Option<String>, StorageError> {
        let query = "SELECT return_url FROM invites WHERE id = (SELECT invite FROM instances WHERE id = $1)";
        let url: Option<Option<String>> =
            sqlx::query_scalar(query).bind(instance.to_string()).fetch_optional(&self.readers).await?;
        Ok(url.flatten())
    }

    /// Notes that something happened to it, the first time it does.
    pub async fn mark_invite(
        &self,
        id: Uuid,
        mark: InviteMark,
        now: OffsetDateTime,
    ) -> Result<(), StorageError> {
        let note = Statement::new(match mark {
            InviteMark::Opened => "UPDATE invites SET opened_at = $2 WHERE id = $1 AND opened_at IS NULL",
            InviteMark::Started => {
                "UPDATE invites SET started_at = $2, opened_at = COALESCE(opened_at, $2) WHERE id = $1 AND started_at IS NULL"
            }
        });
        self.writer.write(note.bind(id).bind(to_milliseconds(now))).await.map(drop)
    }

    /// Takes it back; answers whether it was not already.
    pub async fn revoke_invite(&self, id: Uuid, now: OffsetDateTime) -> Result<bool, StorageError> {
        let revoke =
            Statement::new("UPDATE invites SET revoked_at = $2 WHERE id = $1 AND revoked_at IS NULL");
        Ok(self.writer.write(revoke.bind(id).bind(to_milliseconds(now))).await? > 0)
    }
}

/// A use is made, and the instance is of this invite. With the claim that needed it to be open.
pub(super) fn using(invite: Uuid, instance: Uuid, now: OffsetDateTime) -> [Statement; 2] {
    let used = "UPDATE invites SET used = used + 1, connected_at = COALESCE(connected_at, $2) WHERE id = $1";
    [
        Statement::new(used).bind(invite).bind(to_milliseconds(now)),
        Statement::new("UPDATE instances SET invite = $2 WHERE id = $1").bind(instance).bind(invite),
    ]
}

/// There is no instance, for certain: the use is given back, so that its customer can try again.
pub(super) fn giving_back(instance: Uuid) -> Statement {
    Statement::new(
        "UPDATE invites SET used = used - 1, connected_at = CASE WHEN used = 1 THEN NULL ELSE connected_at END \
         WHERE used > 0 AND id = (SELECT invite FROM instances WHERE id = $1)",
    )
    .bind(instance)
}

fn read(row: &AnyRow) -> Result<Invite, StorageError> {
    let id: Uuid = parsed(row, "id")?;
    let misfit = |what: &str| StorageError::Inconsistent(format!("invite {id} has no {what}"));
    let count = |column| {
        Ok::<_, StorageError>(
            row.try_get::<Option<i64>, _>(column)?.and_then(|count| u32::try_from(count).ok()),
        )
    };
    Ok(Invite {
        id,
        customer: row.try_get("customer")?,
        tags: serde_json::from_str(&row.try_get::<String, _>("tags")?).map_err(|_| misfit("tags"))?,
        return_url: row.try_get("return_url")?,
        uses: count("uses")?,
        used: count("used")?.unwrap_or_default(),
        created_at: moment(row, "created_at")?.ok_or_else(|| misfit("created_at"))?,
        expires_at: moment(row, "expires_at")?.ok_or_else(|| misfit("expires_at"))?,
        opened_at: moment(row, "opened_at")?,
        started_at: moment(row, "started_at")?,
        connected_at: moment(row, "connected_at")?,
        revoked_at: moment(row, "revoked_at")?,
    })
}
