//! Deliveries as work: made with the notification, worked on by whoever holds the endpoint's lease, one attempt
//! written down at a time. What is pending will be tried; nothing else will.

use std::sync::LazyLock;

use sqlx::{AnyConnection, Row};
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use super::rows::Insert;
use super::sealed::SealedColumn;
use super::statement::Statement;
use super::writer::Write;
use super::{Lease, NewNotification, OffReason, Storage, StorageError, Wanted, endpoints, timeline};
use crate::clock::to_milliseconds;
use crate::elements::{EventType, own_tag};
use crate::webhook::EndpointSecret;

/// Without any success for so long, an endpoint is switched off.
pub(super) const FAILING_FOR: Duration = Duration::days(5);
/// Deliveries whose endpoint is off become failed by so many at a time, so that no other write waits long.
const SWEPT: i64 = 500;

/// What is needed for one attempt.
#[derive(Debug)]
pub struct Outgoing {
    /// Where to.
    pub url: String,
    /// What it is signed with.
    pub secret: EndpointSecret,
    /// The notification's place in the order of arrival.
    pub notification: i64,
    /// Cloud Elements' id of it.
    pub notification_id: Option<String>,
    /// What tells it from every other.
    pub fingerprint: Vec<u8>,
    /// Its headers as JSON pairs.
    pub headers: String,
    /// Its bytes.
    pub body: Vec<u8>,
    /// It was read back, not received: its bytes are not a notification's.
    pub read_back: bool,
    /// So many attempts were made.
    pub attempts: u32,
}

/// What an attempt means for its delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It arrived.
    Delivered,
    /// It is tried again then.
    Again(OffsetDateTime),
    /// It was tried often enough.
    Failed,
    /// Nothing is sent to this endpoint any more.
    Off(OffReason),
}

/// One attempt that was made.
#[derive(Debug, Clone)]
pub struct Attempt {
    /// When it began.
    pub at: OffsetDateTime,
    /// What was answered; `None`: nothing.
    pub status: Option<u16>,
    /// How long it took.
    pub took: std::time::Duration,
    /// Why nothing was answered.
    pub error: Option<String>,
    /// The beginning of the answer.
    pub answer: Vec<u8>,
}

pub(super) const DUE_ENDPOINTS: &str = "SELECT id FROM endpoints WHERE state = 'on' AND EXISTS (SELECT 1 FROM deliveries \
     WHERE deliveries.endpoint = endpoints.id AND deliveries.state = 'pending' AND deliveries.due_at <= $1)";
/// The oldest of the thousand that have been due for longest: however many there are, no more are put in order.
pub(super) const DUE: &str = "SELECT seq FROM (SELECT seq FROM deliveries WHERE endpoint = $1 AND state = 'pending' \
     AND due_at <= $2 AND EXISTS (SELECT 1 FROM endpoints WHERE id = $1 AND state = 'on') ORDER BY due_at LIMIT 1000) AS due \
     ORDER BY seq LIMIT $3";

impl Storage {
    /// Wakes whoever works on deliveries when there may be new ones.
    pub fn deliveries_made(&self) -> tokio::sync::watch::Receiver<()> {
        self.deliveries_made.subscribe()
    }

    /// Endpoints with something due.
    pub async fn due_endpoints(&self, now: OffsetDateTime) -> Result<Vec<Uuid>, StorageError> {
        let due: Vec<String> =
            sqlx::query_scalar(DUE_ENDPOINTS).bind(to_milliseconds(now)).fetch_all(&self.readers).await?;
        due.iter()
            .map(|id| id.parse().map_err(|_| StorageError::Inconsistent(format!("no id: {id:?}"))))
            .collect()
    }

    /// Takes an endpoint into the holder's hands, or keeps it there; answers whether it is.
    pub async fn hold_endpoint(
        &self,
        id: Uuid,
        lease: Lease,
        now: OffsetDateTime,
    ) -> Result<bool, StorageError> {
        let hold = Statement::new(
            "UPDATE endpoints SET lease_holder = $2, lease_until = $3 WHERE id = $1 AND state = 'on' \
             AND (lease_holder = $2 OR lease_until IS NULL OR lease_until <= $4)",
        );
        let hold =
            hold.bind(id).bind(lease.holder).bind(to_milliseconds(lease.until)).bind(to_milliseconds(now));
        Ok(self.writer.write(hold).await? > 0)
    }

    /// Lets go of every endpoint of `holder`.
    pub async fn let_go_of_endpoints(&self, holder: Uuid) -> Result<(), StorageError> {
        let free = "UPDATE endpoints SET lease_holder = NULL, lease_until = NULL WHERE lease_holder = $1";
        self.writer.write(Statement::new(free).bind(holder)).await.map(drop)
    }

    /// Frees every endpoint: whoever held them has ended. Only for a database that one process has to itself.
    pub(super) async fn free_all_endpoints(&self) -> Result<(), StorageError> {
        let held: Option<String> =
            sqlx::query_scalar("SELECT id FROM endpoints WHERE lease_holder IS NOT NULL LIMIT 1")
                .fetch_optional(&self.readers)
                .await?;
        if held.is_some() {
            let free = "UPDATE endpoints SET lease_holder = NULL, lease_until = NULL";
            self.writer.write(Statement::new(free)).await?;
        }
        Ok(())
    }

    /// What is due at an endpoint, oldest first.
    pub async fn due_deliveries(
        &self,
        endpoint: Uuid,
        now: OffsetDateTime,
        limit: u16,
    ) -> Result<Vec<i64>, StorageError> {
        let due = sqlx::query_scalar(DUE)
            .bind(endpoint.to_string())
            .bind(to_milliseconds(now))
            .bind(i64::from(limit))
            .fetch_all(&self.readers)
            .await?;
        Ok(due)
    }

    /// What an attempt at this delivery needs; `None` where none is to be made any more.
    pub async fn outgoing(&self, delivery: i64) -> Result<Option<Outgoing>, StorageError> {
        let row = sqlx::query(
            "SELECT endpoints.id, url, secret, notification, attempts, notification_id, fingerprint, headers, body, read_back \
             FROM deliveries JOIN endpoints ON endpoints.id = endpoint JOIN notifications ON notifications.seq = notification \
             WHERE deliveries.seq = $1 AND deliveries.state = 'pending' AND endpoints.state = 'on' AND payload_gone = 0",
        )
        .bind(delivery)
        .fetch_optional(&self.readers)
        .await?;
        let Some(row) = row else { return Ok(None) };
        let id: String = row.try_get("id")?;
        let sealed: Vec<u8> = row.try_get("secret")?;
        let secret = self.sealer.open(SealedColumn::EndpointSecret.place(&id), &sealed)?;
        let misfit = || StorageError::Inconsistent(format!("endpoint {id} has no secret"));
        Ok(Some(Outgoing {
            url: row.try_get("url")?,
            secret: EndpointSecret::from_stored(&secret).ok_or_else(misfit)?,
            notification: row.try_get("notification")?,
            notification_id: row.try_get("notification_id")?,
            fingerprint: row.try_get("fingerprint")?,
            headers: row.try_get("headers")?,
            body: row.try_get("body")?,
            read_back: row.try_get::<i64, _>("read_back")? != 0,
            attempts: u32::try_from(row.try_get::<i64, _>("attempts")?).unwrap_or(u32::MAX),
        }))
    }

    /// Gives up a delivery of which there is nothing to send, or nowhere to send it.
    pub async fn abandon(&self, delivery: i64) -> Result<(), StorageError> {
        let abandon =
            "UPDATE deliveries SET state = 'failed', due_at = NULL WHERE seq = $1 AND state = 'pending'";
        self.writer.write(Statement::new(abandon).bind(delivery)).await.map(drop)
    }

    /// Writes an attempt down with what it means. Answers why the endpoint was switched off, if it was.
    pub async fn attempted(
        &self,
        endpoint: Uuid,
        delivery: i64,
        attempt: Attempt,
        verdict: Verdict,
    ) -> Result<Option<OffReason>, StorageError> {
        self.writer.write(Attempted { endpoint: endpoint.to_string(), delivery, attempt, verdict }).await
    }

    /// Makes pending deliveries of endpoints that are off or deleted failed, some at a time; answers whether
    /// there may be more.
    pub async fn sweep_deliveries(&self) -> Result<bool, StorageError> {
        let left: Option<i64> = sqlx::query_scalar(
            "SELECT 1 FROM endpoints WHERE state <> 'on' AND EXISTS (SELECT 1 FROM deliveries \
             WHERE deliveries.endpoint = endpoints.id AND deliveries.state = 'pending') LIMIT 1",
        )
        .fetch_optional(&self.readers)
        .await?;
        if left.is_none() {
            return Ok(false);
        }
        let sweep = Statement::new(
            "UPDATE deliveries SET state = 'failed', due_at = NULL WHERE seq IN (SELECT deliveries.seq FROM endpoints \
             JOIN deliveries ON deliveries.endpoint = endpoints.id AND deliveries.state = 'pending' \
             WHERE endpoints.state <> 'on' LIMIT $1)",
        );
        Ok(self.writer.write(sweep.bind(SWEPT)).await? > 0)
    }
}

static INSERT: LazyLock<Insert> = LazyLock::new(|| {
    let head = "INSERT INTO deliveries (endpoint, notification, state, created_at, due_at) VALUES";
    Insert::new(head, 5, "")
});

/// Makes a delivery of each notification for every endpoint that wants it; answers whether one is to be tried. For
/// an endpoint that is off it is made failed: it can be asked for later.
pub(super) async fn make(
    connection: &mut AnyConnection,
    notifications: &[(i64, &NewNotification)],
) -> sqlx::Result<bool> {
    let endpoints = takers(connection).await?;
    let mut wanted = Vec::new();
    for (seq, new) in notifications {
        let types: Vec<EventType> =
            new.decoded.iter().flat_map(|decoded| &decoded.events).map(|event| event.event_type).collect();
        let own = own_tag(new.instance);
        let tags: Vec<String> = new.tags.iter().cloned().chain([own]).collect();
        let takers = endpoints.iter().filter(|taker| taker.takes(new.instance, &tags, &types));
        wanted.extend(takers.map(|taker| (taker, *seq, to_milliseconds(new.received_at))));
    }
    for (text, rows) in INSERT.statements(&wanted) {
        let mut query = sqlx::query(text);
        for (taker, seq, at) in rows {
            let state = if taker.on { "pending" } else { "failed" };
            query =
                query.bind(taker.id.as_str()).bind(*seq).bind(state).bind(*at).bind(taker.on.then_some(*at));
        }
        query.execute(&mut *connection).await?;
    }
    Ok(wanted.iter().any(|(taker, ..)| taker.on))
}

/// An endpoint that is not deleted.
struct Taker {
    id: String,
    on: bool,
    /// Nothing: its row cannot be read, which must not keep a notification from it.
    wanted: Option<Wanted>,
}

impl Taker {
    fn takes(&self, instance: Uuid, tags: &[String], types: &[EventType]) -> bool {
        self.wanted.as_ref().is_none_or(|wanted| wanted.wants(instance, tags, types))
    }
}

async fn takers(connection: &mut AnyConnection) -> sqlx::Result<Vec<Taker>> {
    let query =
        "SELECT id, state, instances, tags, types FROM endpoints WHERE state <> 'deleted' ORDER BY id";
    let rows = sqlx::query(query).fetch_all(connection).await?;
    rows.iter()
        .map(|row| {
            let wanted = endpoints::read_wanted(row).inspect_err(|error| {
                tracing::error!(%error, "an endpoint cannot be read; it is passed everything");
            });
            let on = row.try_get::<String, _>("state")? == "on";
            Ok(Taker { id: row.try_get("id")?, on, wanted: wanted.ok() })
        })
        .collect()
}

struct Attempted {
    endpoint: String,
    delivery: i64,
    attempt: Attempt,
    verdict: Verdict,
}

impl Write for Attempted {
    type Output = Option<OffReason>;

    async fn run(&self, connection: &mut AnyConnection) -> sqlx::Result<Option<OffReason>> {
        let Attempt { at, status, took, error, answer } = &self.attempt;
        let milliseconds = i64::try_from(took.as_millis()).unwrap_or(i64::MAX);
        Statement::new(
            "INSERT INTO delivery_attempts (delivery, at, status, duration_ms, error, answer) VALUES ($1, $2, $3, $4, $5, $6)",
        )
        .bind(self.delivery)
        .bind(to_milliseconds(*at))
        .bind(status.map(i64::from))
        .bind(milliseconds)
        .bind(error.clone())
        .bind(answer.clone())
        .execute(connection)
        .await?;
        let (state, due) = match self.verdict {
            Verdict::Delivered => ("delivered", None),
            Verdict::Again(at) => ("pending", Some(to_milliseconds(at))),
            Verdict::Failed | Verdict::Off(_) => ("failed", None),
        };
        // What arrived has arrived, whatever was decided meanwhile.
        Statement::new(
            "UPDATE deliveries SET state = $2, due_at = $3, attempts = attempts + 1 \
             WHERE seq = $1 AND (state = 'pending' OR $2 = 'delivered')",
        )
        .bind(self.delivery)
        .bind(state)
        .bind(due)
        .execute(connection)
        .await?;
        if state == "failed" {
            let why = status.map_or("no answer".to_owned(), |status| format!("answered {status}"));
            timeline::gave_up(self.delivery, to_milliseconds(*at), &why).execute(connection).await?;
        }
        self.judge_endpoint(connection, to_milliseconds(*at)).await
    }
}

impl Attempted {
    async fn judge_endpoint(
        &self,
        connection: &mut AnyConnection,
        at: i64,
    ) -> sqlx::Result<Option<OffReason>> {
        let endpoint = || self.endpoint.as_str();
        if self.verdict == Verdict::Delivered {
            let well =
                "UPDATE endpoints SET failing_since = NULL WHERE id = $1 AND failing_since IS NOT NULL";
            Statement::new(well).bind(endpoint()).execute(connection).await?;
            return Ok(None);
        }
        let ill = "UPDATE endpoints SET failing_since = $2 WHERE id = $1 AND failing_since IS NULL";
        Statement::new(ill).bind(endpoint()).bind(at).execute(connection).await?;
        let off = "UPDATE endpoints SET state = 'off', off_reason = $2 WHERE id = $1 AND state = 'on' AND failing_since <= $3";
        let off = Statement::new(off).bind(endpoint());
        let (reason, before) = match self.verdict {
            Verdict::Off(reason) => (reason, i64::MAX),
            _ => (OffReason::Failing, at - to_milliseconds(OffsetDateTime::UNIX_EPOCH + FAILING_FOR)),
        };
        let switched = off.bind(reason.as_str()).bind(before).execute(connection).await?;
        Ok((switched > 0).then_some(reason))
    }
}
