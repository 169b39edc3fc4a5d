//! What Cloud Elements is about to be told of an instance, noted before it is and gone once the row says so. What a
//! crash, or a browser that hangs up, cuts off between the two is found here and done again.

use sqlx::Row;
use sqlx::any::AnyRow;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use super::statement::Statement;
use super::{Storage, StorageError};
use crate::clock::to_milliseconds;
use crate::reference::Reference;

/// Longer than the calls of an act take.
const TAKES: Duration = Duration::minutes(5);

/// What is wanted of an instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wish {
    /// Its events on, or off.
    Events(bool),
    /// This name.
    Name(String),
    /// These tags of its own.
    Tags(Vec<String>),
}

impl Wish {
    fn kind(&self) -> &'static str {
        match self {
            Self::Events(_) => "events",
            Self::Name(_) => "name",
            Self::Tags(_) => "tags",
        }
    }

    fn wanted(&self) -> String {
        let json = match self {
            Self::Events(on) => serde_json::to_string(on),
            Self::Name(name) => serde_json::to_string(name),
            Self::Tags(tags) => serde_json::to_string(tags),
        };
        json.unwrap_or_default()
    }

    fn read(kind: &str, wanted: &str) -> Option<Self> {
        match kind {
            "events" => serde_json::from_str(wanted).ok().map(Self::Events),
            "name" => serde_json::from_str(wanted).ok().map(Self::Name),
            "tags" => serde_json::from_str(wanted).ok().map(Self::Tags),
            _ => None,
        }
    }
}

/// An act that was begun. An instance has one of each kind at most, the latest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenAct {
    /// Names it.
    pub ticket: Uuid,
    /// Of which instance.
    pub instance: Uuid,
    /// What is wanted.
    pub wish: Wish,
    /// Who asked for it, as it stands on the timeline.
    pub asked_by: Option<String>,
    /// Of the request that asked.
    pub reference: Reference,
    /// How often it was done again.
    pub tries: u32,
}

impl Storage {
    /// Notes that it begins, in the place of an earlier one of its kind.
    pub async fn begin_act(&self, open: &OpenAct, now: OffsetDateTime) -> Result<(), StorageError> {
        let begin = Statement::new(
            "INSERT INTO open_acts (instance, kind, wanted, ticket, asked_by, reference, tries, due_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (instance, kind) DO UPDATE SET \
             wanted = excluded.wanted, ticket = excluded.ticket, asked_by = excluded.asked_by, \
             reference = excluded.reference, tries = excluded.tries, due_at = excluded.due_at",
        )
        .bind(open.instance)
        .bind(open.wish.kind())
        .bind(open.wish.wanted())
        .bind(open.ticket)
        .bind(open.asked_by.clone())
        .bind(open.reference.to_string())
        .bind(i64::from(open.tries))
        .bind(to_milliseconds(now + TAKES));
        self.writer.write(begin).await.map(drop)
    }

    /// It has ended, one way or another.
    pub async fn end_act(&self, open: &OpenAct) -> Result<(), StorageError> {
        let end = Statement::new("DELETE FROM open_acts WHERE instance = $1 AND kind = $2 AND ticket = $3");
        let end = end.bind(open.instance).bind(open.wish.kind()).bind(open.ticket);
        self.writer.write(end).await.map(drop)
    }

    /// At most `limit` that were cut off; each is put off and so claimed.
    pub async fn cut_off_acts(&self, now: OffsetDateTime, limit: u16) -> Result<Vec<OpenAct>, StorageError> {
        let due = sqlx::query(
            "SELECT instance, kind, wanted, ticket, asked_by, reference, tries, due_at FROM open_acts \
             WHERE due_at <= $1 ORDER BY due_at LIMIT $2",
        )
        .bind(to_milliseconds(now))
        .bind(i64::from(limit))
        .fetch_all(&self.readers)
        .await?;
        let mut claimed = Vec::with_capacity(due.len());
        for row in due {
            let open = read(&row)?;
            let claim = Statement::new(
                "UPDATE open_acts SET due_at = $5, tries = tries + 1 \
                 WHERE instance = $1 AND kind = $2 AND ticket = $3 AND due_at = $4",
            );
            let claim = claim.bind(open.instance).bind(open.wish.kind()).bind(open.ticket);
            let claim = claim.bind(row.try_get::<i64, _>("due_at")?).bind(to_milliseconds(now + TAKES));
            if self.writer.write(claim).await? > 0 {
                claimed.push(open);
            }
        }
        Ok(claimed)
    }

    /// Makes every one due: whoever was at it has ended. Only for a database that one process has to itself.
    pub(super) async fn free_all_acts(&self) -> Result<(), StorageError> {
        let left: Option<String> = sqlx::query_scalar("SELECT instance FROM open_acts LIMIT 1")
            .fetch_optional(&self.readers)
            .await?;
        if left.is_some() {
            self.writer.write(Statement::new("UPDATE open_acts SET due_at = 0")).await?;
        }
        Ok(())
    }
}

fn read(row: &AnyRow) -> Result<OpenAct, StorageError> {
    let misfit = || StorageError::Inconsistent("an open act cannot be read".to_owned());
    let text = |column: &str| row.try_get::<String, _>(column);
    Ok(OpenAct {
        ticket: text("ticket")?.parse().map_err(|_| misfit())?,
        instance: text("instance")?.parse().map_err(|_| misfit())?,
        wish: Wish::read(&text("kind")?, &text("wanted")?).ok_or_else(misfit)?,
        asked_by: row.try_get("asked_by")?,
        reference: text("reference")?.parse().map_err(|_| misfit())?,
        tries: u32::try_from(row.try_get::<i64, _>("tries")?).unwrap_or(u32::MAX),
    })
}
