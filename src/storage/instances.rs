//! Instances, one row each: found by id or by what Cloud Elements calls them, in pages, with what is sealed in them.

use secrecy::SecretString;
use sqlx::Row;
use uuid::Uuid;

pub(super) use super::instance_row::{COLUMNS, moment, parsed, read};
use super::sealed::SealedColumn;
use super::{Storage, StorageError};
use crate::elements::{Instance, SignatureKey};

/// Some rows of a list, and where the next ones start.
#[derive(Debug)]
pub struct Page<T> {
    /// The rows.
    pub items: Vec<T>,
    /// The cursor of the next page, if there is one.
    pub next: Option<Uuid>,
}

pub(super) fn page_query(condition: &str) -> String {
    format!("SELECT {COLUMNS} FROM instances WHERE id < $1 {condition} ORDER BY id DESC LIMIT $2")
}

pub(super) fn by_element_instance() -> String {
    format!("SELECT {COLUMNS} FROM instances WHERE element_instance_id = $1 ORDER BY id DESC LIMIT 1")
}

impl Storage {
    /// One instance.
    pub async fn instance(&self, id: Uuid) -> Result<Option<Instance>, StorageError> {
        let row = sqlx::query(sqlx::AssertSqlSafe(format!("SELECT {COLUMNS} FROM instances WHERE id = $1")))
            .bind(id.to_string())
            .fetch_optional(&self.readers)
            .await?;
        row.as_ref().map(read).transpose()
    }

    /// The newest instances first, `limit` of them, from `after` on; of one state only if `state` is given.
    pub async fn instances(
        &self,
        state: Option<&str>,
        after: Option<Uuid>,
        limit: u16,
    ) -> Result<Page<Instance>, StorageError> {
        let after = after.unwrap_or(Uuid::max()).to_string();
        let limit = i64::from(limit);
        let query = |condition| sqlx::AssertSqlSafe(page_query(condition));
        let rows = match state {
            None => sqlx::query(query("")).bind(after).bind(limit + 1).fetch_all(&self.readers).await?,
            Some(state) => {
                let query = sqlx::query(query("AND state = $3")).bind(after).bind(limit + 1);
                query.bind(state.to_owned()).fetch_all(&self.readers).await?
            }
        };
        let mut items = rows.iter().map(read).collect::<Result<Vec<_>, _>>()?;
        let more = items.len() > usize::from(u16::try_from(limit).unwrap_or(u16::MAX));
        items.truncate(usize::try_from(limit).unwrap_or_default());
        let next = items.last().filter(|_| more).map(|last| last.id);
        Ok(Page { items, next })
    }

    /// The instance that Cloud Elements knows by this id.
    pub async fn instance_of_element_instance(&self, id: i64) -> Result<Option<Instance>, StorageError> {
        let query = sqlx::AssertSqlSafe(by_element_instance());
        let row = sqlx::query(query).bind(id).fetch_optional(&self.readers).await?;
        row.as_ref().map(read).transpose()
    }

    /// Two instances at most whose id begins with `text`: hexadecimal digits and dashes.
    pub async fn instances_beginning(&self, text: &str) -> Result<Vec<Uuid>, StorageError> {
        let query = sqlx::query("SELECT id FROM instances WHERE id LIKE $1 LIMIT 2").bind(format!("{text}%"));
        query.fetch_all(&self.readers).await?.iter().map(|row| parsed(row, "id")).collect()
    }

    /// An instance with the key its notifications are signed with.
    pub async fn instance_with_key(
        &self,
        id: Uuid,
    ) -> Result<Option<(Instance, SignatureKey)>, StorageError> {
        let query = format!("SELECT {COLUMNS}, signature_key FROM instances WHERE id = $1");
        let id = id.to_string();
        let row =
            sqlx::query(sqlx::AssertSqlSafe(query)).bind(id.as_str()).fetch_optional(&self.readers).await?;
        let Some(row) = row else { return Ok(None) };
        let sealed: Vec<u8> = row.try_get("signature_key")?;
        let key = self.sealer.open(SealedColumn::SignatureKey.place(&id), &sealed)?;
        let key = String::from_utf8(key).ok().and_then(SignatureKey::from_stored);
        let key =
            key.ok_or_else(|| StorageError::Inconsistent(format!("instance {id} has no signature key")))?;
        Ok(Some((read(&row)?, key)))
    }

    /// The instance token, if there is one.
    pub async fn instance_token(&self, id: Uuid) -> Result<Option<SecretString>, StorageError> {
        let id = id.to_string();
        let sealed: Option<Option<Vec<u8>>> = sqlx::query_scalar("SELECT token FROM instances WHERE id = $1")
            .bind(id.as_str())
            .fetch_optional(&self.readers)
            .await?;
        let Some(sealed) = sealed.flatten().filter(|sealed| !sealed.is_empty()) else { return Ok(None) };
        let token = self.sealer.open(SealedColumn::Token.place(&id), &sealed)?;
        let token = String::from_utf8(token)
            .map_err(|_| StorageError::Inconsistent(format!("the token of instance {id} is no text")))?;
        Ok(Some(token.into()))
    }

    /// The answer that could not be read, while the outcome is open.
    pub async fn kept_answer(&self, id: Uuid) -> Result<Option<Vec<u8>>, StorageError> {
        let id = id.to_string();
        let sealed: Option<Option<Vec<u8>>> =
            sqlx::query_scalar("SELECT kept_answer FROM instances WHERE id = $1")
                .bind(id.as_str())
                .fetch_optional(&self.readers)
                .await?;
        let Some(sealed) = sealed.flatten() else { return Ok(None) };
        Ok(Some(self.sealer.open(SealedColumn::KeptAnswer.place(&id), &sealed)?))
    }
}
