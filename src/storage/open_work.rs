//! Pieces of work that must end in a true state whatever happens to the process that has them. A row is
//! taken up under a lease, so that no second process works on it; what is settled has no row.

use sqlx::Row;
use sqlx::any::AnyRow;
use time::OffsetDateTime;
use uuid::Uuid;

use super::statement::Statement;
use super::writer::Write;
use super::{Storage, StorageError};
use crate::clock::{from_milliseconds, to_milliseconds};
use crate::elements::Instance;

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// A claimed grant must become an instance, or be told why not.
    Provision,
    /// A claimed grant must renew an instance's access.
    Reauthorize,
    /// An instance must be taken down upstream.
    Disconnect,
}

impl Work {
    const ALL: [Self; 3] = [Self::Provision, Self::Reauthorize, Self::Disconnect];

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Provision => "provision",
            Self::Reauthorize => "reauthorize",
            Self::Disconnect => "disconnect",
        }
    }
}

/// Who works on a row, and until when nobody else may.
#[derive(Debug, Clone, Copy)]
pub struct Lease {
    /// The process.
    pub holder: Uuid,
    /// Renewed long before, while the holder lives.
    pub until: OffsetDateTime,
}

/// One open piece of work, taken up.
#[derive(Debug)]
pub struct OpenWork {
    /// Whose it is, as it stands.
    pub instance: Instance,
    /// What is to be done.
    pub work: Work,
    /// Since when it is open.
    pub since: OffsetDateTime,
    /// When the call with the grant code left; `None`: it certainly did not.
    pub sent_at: Option<OffsetDateTime>,
    /// How often it has been looked at.
    pub looks: u32,
}

pub(super) fn opening(instance: Uuid, work: Work, now: OffsetDateTime, lease: Lease) -> Statement {
    Statement::new(
        "INSERT INTO open_work (instance, kind, since, due_at, lease_holder, lease_until) \
         VALUES ($1, $2, $3, $3, $4, $5) ON CONFLICT (instance) DO NOTHING",
    )
    .bind(instance)
    .bind(work.as_str())
    .bind(to_milliseconds(now))
    .bind(lease.holder)
    .bind(to_milliseconds(lease.until))
}

pub(super) fn closing(instance: Uuid) -> Statement {
    Statement::new("DELETE FROM open_work WHERE instance = $1").bind(instance)
}

impl Storage {
    /// Takes up at most `limit` rows that are due and in nobody's hands.
    pub async fn take_up(
        &self,
        lease: Lease,
        now: OffsetDateTime,
        limit: u16,
    ) -> Result<Vec<OpenWork>, StorageError> {
        let now = to_milliseconds(now);
        let due: Option<i64> = sqlx::query_scalar("SELECT due_at FROM open_work WHERE due_at <= $1 LIMIT 1")
            .bind(now)
            .fetch_optional(&self.readers)
            .await?;
        if due.is_none() {
            return Ok(Vec::new());
        }
        let taken = self.writer.write(TakeUp { lease, now, limit }).await?;
        let mut open = Vec::with_capacity(taken.len());
        for Taken { instance, kind, since, sent_at, looks } in taken {
            let id =
                instance.parse().map_err(|_| StorageError::Inconsistent(format!("no id: {instance:?}")))?;
            let Some(instance) = self.instance(id).await? else { continue };
            let work = Work::ALL.into_iter().find(|work| work.as_str() == kind);
            let work = work.ok_or_else(|| StorageError::Inconsistent(format!("no such work: {kind:?}")))?;
            open.push(OpenWork { instance, work, since, sent_at, looks });
        }
        Ok(open)
    }

    /// Marks that the call with the grant code is about to leave. Answers whether it may: the row is this
    /// holder's and nothing was sent before.
    pub async fn mark_sent(
        &self,
        instance: Uuid,
        holder: Uuid,
        now: OffsetDateTime,
    ) -> Result<bool, StorageError> {
        let mark = Statement::new(
            "UPDATE open_work SET sent_at = $3 WHERE instance = $1 AND lease_holder = $2 AND sent_at IS NULL",
        );
        let mark = mark.bind(instance).bind(holder).bind(to_milliseconds(now));
        Ok(self.writer.write(mark).await? > 0)
    }

    /// Lets go of a row until `due`; `looked` counts one more look.
    pub async fn put_off(
        &self,
        instance: Uuid,
        due: OffsetDateTime,
        looked: bool,
    ) -> Result<(), StorageError> {
        let put_off = Statement::new(
            "UPDATE open_work SET due_at = $2, looks = looks + $3, lease_holder = NULL, lease_until = NULL WHERE instance = $1",
        );
        self.writer.write(put_off.bind(instance).bind(to_milliseconds(due)).bind(looked)).await.map(drop)
    }

    /// Keeps every row of the holder in its hands.
    pub async fn renew(&self, lease: Lease) -> Result<(), StorageError> {
        let renew = Statement::new("UPDATE open_work SET lease_until = $2 WHERE lease_holder = $1");
        self.writer.write(renew.bind(lease.holder).bind(to_milliseconds(lease.until))).await.map(drop)
    }

    /// Frees every row: whoever held them has ended. Only for a database that one process has to itself.
    pub(super) async fn free_all(&self) -> Result<(), StorageError> {
        let held: Option<String> = sqlx::query_scalar("SELECT instance FROM open_work LIMIT 1")
            .fetch_optional(&self.readers)
            .await?;
        if held.is_some() {
            self.writer
                .write(Statement::new("UPDATE open_work SET lease_holder = NULL, lease_until = NULL"))
                .await?;
        }
        Ok(())
    }
}

struct TakeUp {
    lease: Lease,
    now: i64,
    limit: u16,
}

struct Taken {
    instance: String,
    kind: String,
    since: OffsetDateTime,
    sent_at: Option<OffsetDateTime>,
    looks: u32,
}

impl Write for TakeUp {
    type Output = Vec<Taken>;

    async fn run(&self, connection: &mut sqlx::AnyConnection) -> sqlx::Result<Vec<Taken>> {
        // The outer condition is for Postgres: it is looked at again once a lock is free.
        let rows = sqlx::query(
            "UPDATE open_work SET lease_holder = $1, lease_until = $2 WHERE instance IN (SELECT instance FROM open_work \
             WHERE due_at <= $3 AND (lease_until IS NULL OR lease_until <= $3) ORDER BY due_at LIMIT $4) \
             AND (lease_until IS NULL OR lease_until <= $3) RETURNING instance, kind, since, sent_at, looks",
        )
        .bind(self.lease.holder.to_string())
        .bind(to_milliseconds(self.lease.until))
        .bind(self.now)
        .bind(i64::from(self.limit))
        .fetch_all(connection)
        .await?;
        rows.iter().map(read).collect()
    }
}

fn read(row: &AnyRow) -> sqlx::Result<Taken> {
    let sent_at: Option<i64> = row.try_get("sent_at")?;
    Ok(Taken {
        instance: row.try_get("instance")?,
        kind: row.try_get("kind")?,
        since: from_milliseconds(row.try_get("since")?),
        sent_at: sent_at.map(from_milliseconds),
        looks: u32::try_from(row.try_get::<i64, _>("looks")?).unwrap_or(u32::MAX),
    })
}
