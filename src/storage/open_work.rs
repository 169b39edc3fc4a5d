//! Pieces of work that must end in a true state whatever happens to the process that has them. A row is
//! taken up under a lease, so that no second process works on it; what is settled has no row.

use sqlx::Row;
use sqlx::any::AnyRow;
use time::OffsetDateTime;
use uuid::Uuid;

use super::statement::{Deciding, Statement};
use super::writer::Write;
use super::{Storage, StorageError, authorization_requests};
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

/// Names one open piece of work. An instance has one at a time; whoever holds the ticket of one that a later
/// one took the place of changes nothing with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Ticket {
    /// Whose work it is.
    pub instance: Uuid,
    /// The authorization request whose code is to be spent; a fresh id where there is none.
    pub id: Uuid,
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
    /// Names it.
    pub ticket: Ticket,
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
    /// When it was for the first time.
    pub first_look_at: Option<OffsetDateTime>,
}

/// Opens it. The end of an instance takes the place of whatever is open; an approval takes the place of an
/// earlier one, and only where there is something to renew.
pub(super) fn opening(ticket: Ticket, work: Work, now: OffsetDateTime, lease: Lease) -> Statement {
    const NEW: &str = "INSERT INTO open_work (instance, ticket, kind, since, due_at, lease_holder, lease_until) \
         VALUES ($1, $2, $3, $4, $4, $5, $6)";
    const IN_PLACE_OF_AN_EARLIER: &str = "INSERT INTO open_work (instance, ticket, kind, since, due_at, lease_holder, \
         lease_until) SELECT $1, $2, $3, $4, $4, $5, $6 FROM instances \
         WHERE id = $1 AND state IN ('connected', 'needs_attention') \
         ON CONFLICT (instance) DO UPDATE SET ticket = excluded.ticket, since = excluded.since, sent_at = NULL, \
         looks = 0, first_look_at = NULL, due_at = excluded.due_at, lease_holder = excluded.lease_holder, \
         lease_until = excluded.lease_until WHERE open_work.kind = 'reauthorize'";
    const IN_PLACE_OF_ALL: &str = "INSERT INTO open_work (instance, ticket, kind, since, due_at, lease_holder, lease_until) \
         VALUES ($1, $2, $3, $4, $4, $5, $6) \
         ON CONFLICT (instance) DO UPDATE SET ticket = excluded.ticket, kind = excluded.kind, since = excluded.since, \
         sent_at = NULL, looks = 0, first_look_at = NULL, due_at = excluded.due_at, \
         lease_holder = excluded.lease_holder, lease_until = excluded.lease_until";
    let insert = match work {
        Work::Provision => NEW,
        Work::Reauthorize => IN_PLACE_OF_AN_EARLIER,
        Work::Disconnect => IN_PLACE_OF_ALL,
    };
    Statement::new(insert)
        .bind(ticket.instance)
        .bind(ticket.id)
        .bind(work.as_str())
        .bind(to_milliseconds(now))
        .bind(lease.holder)
        .bind(to_milliseconds(lease.until))
}

/// The work is done, and what is left of its grant code goes.
pub(super) fn closing(ticket: Ticket) -> [Statement; 2] {
    let delete = Statement::new("DELETE FROM open_work WHERE instance = $1 AND ticket = $2");
    [delete.bind(ticket.instance).bind(ticket.id), authorization_requests::forgetting_code(ticket)]
}

impl Storage {
    /// Takes up at most `limit` rows that are due and in nobody's hands; codes that may still be sent first.
    /// A row that cannot be read holds up no other: it is logged, and tried again when its lease ends.
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
        for row in taken {
            let id = row.instance.clone();
            match self.read_open(row).await {
                Ok(work) => open.extend(work),
                Err(error) => {
                    tracing::error!(instance = id, %error, "an open row cannot be read");
                }
            }
        }
        Ok(open)
    }

    async fn read_open(&self, row: Taken) -> Result<Option<OpenWork>, StorageError> {
        let misfit = |what: &str| StorageError::Inconsistent(format!("open work has no {what}"));
        let id = |text: &str, what| text.parse::<Uuid>().map_err(|_| misfit(what));
        let ticket = Ticket { instance: id(&row.instance, "instance")?, id: id(&row.ticket, "ticket")? };
        let work = Work::ALL.into_iter().find(|work| work.as_str() == row.kind);
        let work = work.ok_or_else(|| misfit("kind"))?;
        let Some(instance) = self.instance(ticket.instance).await? else { return Ok(None) };
        let Taken { since, sent_at, looks, first_look_at, .. } = row;
        Ok(Some(OpenWork { ticket, instance, work, since, sent_at, looks, first_look_at }))
    }

    /// Marks that the call with the grant code is about to leave, and forgets the code: from here on nobody
    /// may send it. Answers whether this holder may: the work is in its hands and nothing was sent before.
    pub async fn mark_sent(
        &self,
        ticket: Ticket,
        lease: Lease,
        now: OffsetDateTime,
    ) -> Result<bool, StorageError> {
        let first = Statement::new(
            "UPDATE open_work SET sent_at = $4, lease_until = $5 WHERE instance = $1 AND ticket = $2 \
             AND lease_holder = $3 AND sent_at IS NULL",
        )
        .bind(ticket.instance)
        .bind(ticket.id)
        .bind(lease.holder)
        .bind(to_milliseconds(now))
        .bind(to_milliseconds(lease.until));
        let then = vec![authorization_requests::forgetting_code(ticket)];
        self.writer.write(Deciding { first, then }).await
    }

    /// Lets go of a row of `holder` until `due`; `looked` is when one more look was taken.
    pub async fn put_off(
        &self,
        ticket: Ticket,
        holder: Uuid,
        due: OffsetDateTime,
        looked: Option<OffsetDateTime>,
    ) -> Result<(), StorageError> {
        let put_off = Statement::new(
            "UPDATE open_work SET due_at = $4, looks = looks + $5, first_look_at = COALESCE(first_look_at, $6), \
             lease_holder = NULL, lease_until = NULL WHERE instance = $1 AND ticket = $2 AND lease_holder = $3",
        )
        .bind(ticket.instance)
        .bind(ticket.id)
        .bind(holder)
        .bind(to_milliseconds(due))
        .bind(looked.is_some())
        .bind(looked.map(to_milliseconds));
        self.writer.write(put_off).await.map(drop)
    }

    /// Ends a piece of work that leads to nothing.
    pub async fn drop_work(&self, ticket: Ticket) -> Result<(), StorageError> {
        self.writer.write(Vec::from(closing(ticket))).await
    }

    /// Keeps these in the holder's hands.
    pub async fn renew(&self, lease: Lease, tickets: Vec<Ticket>) -> Result<(), StorageError> {
        let renew = |ticket: Ticket| {
            let statement = "UPDATE open_work SET lease_until = $4 WHERE instance = $1 AND ticket = $2 AND lease_holder = $3";
            let statement = Statement::new(statement).bind(ticket.instance).bind(ticket.id);
            statement.bind(lease.holder).bind(to_milliseconds(lease.until))
        };
        self.writer.write(tickets.into_iter().map(renew).collect::<Vec<_>>()).await
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
    ticket: String,
    kind: String,
    since: OffsetDateTime,
    sent_at: Option<OffsetDateTime>,
    looks: u32,
    first_look_at: Option<OffsetDateTime>,
}

impl Write for TakeUp {
    type Output = Vec<Taken>;

    async fn run(&self, connection: &mut sqlx::AnyConnection) -> sqlx::Result<Vec<Taken>> {
        // The outer condition is for Postgres: it is looked at again once a lock is free.
        let rows = sqlx::query(
            "UPDATE open_work SET lease_holder = $1, lease_until = $2 WHERE instance IN (SELECT instance FROM open_work \
             WHERE due_at <= $3 AND (lease_until IS NULL OR lease_until <= $3) \
             ORDER BY CASE WHEN sent_at IS NULL THEN 0 ELSE 1 END, due_at LIMIT $4) \
             AND (lease_until IS NULL OR lease_until <= $3) \
             RETURNING instance, ticket, kind, since, sent_at, looks, first_look_at",
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
    let moment = |column| row.try_get::<Option<i64>, _>(column).map(|at| at.map(from_milliseconds));
    Ok(Taken {
        instance: row.try_get("instance")?,
        ticket: row.try_get("ticket")?,
        kind: row.try_get("kind")?,
        since: from_milliseconds(row.try_get("since")?),
        sent_at: moment("sent_at")?,
        looks: u32::try_from(row.try_get::<i64, _>("looks")?).unwrap_or(u32::MAX),
        first_look_at: moment("first_look_at")?,
    })
}
