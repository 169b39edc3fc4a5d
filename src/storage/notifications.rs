//! Event notifications: the bytes as they came, and what could be read of them. The same notification
//! twice is one row, decided by a unique key.

use sha2::{Digest, Sha256};
use sqlx::AnyConnection;
use time::OffsetDateTime;
use uuid::Uuid;

use super::timeline::Step;
use super::writer::Write;
use super::{Storage, StorageError, timeline};
use crate::clock::to_milliseconds;
use crate::elements::{Event, Notification};

/// A verified notification on its way to the disk.
#[derive(Debug)]
pub struct NewNotification {
    /// Whose it is.
    pub instance: Uuid,
    /// What could be read of it; nothing, if nothing could.
    pub decoded: Option<Notification>,
    /// Its headers as JSON pairs.
    pub headers: String,
    /// Its bytes.
    pub body: Vec<u8>,
    /// When its last byte came.
    pub received_at: OffsetDateTime,
    /// The line to write if it is the instance's first.
    pub first: Option<Step>,
}

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrival {
    /// It is on disk.
    Stored,
    /// It was on disk already.
    Duplicate,
    /// It was one to try the way out, and is not kept.
    Tried,
}

impl Storage {
    /// Stores a notification; answers once it is on disk.
    pub async fn store_notification(&self, new: NewNotification) -> Result<Arrival, StorageError> {
        let fingerprint = fingerprint(&new);
        self.writer.write(StoreNotification { fingerprint, new }).await
    }

    /// The kind of the first event of an instance, such as `CREATED contacts`.
    pub async fn first_event_kind(&self, instance: Uuid) -> Result<Option<String>, StorageError> {
        let query = "SELECT type, object_type FROM events WHERE instance = $1 ORDER BY notification, position LIMIT 1";
        let row: Option<(String, Option<String>)> =
            sqlx::query_as(query).bind(instance.to_string()).fetch_optional(&self.readers).await?;
        Ok(row.map(|(kind, object)| object.map_or(kind.clone(), |object| format!("{kind} {object}"))))
    }
}

/// Cloud Elements' id of the notification, or the body where there is none: with the instance, sixteen
/// bytes of SHA-256, so that the index stays short.
fn fingerprint(new: &NewNotification) -> Vec<u8> {
    let mut hash = Sha256::new();
    hash.update(new.instance.as_bytes());
    match new.decoded.as_ref().and_then(|decoded| decoded.id.as_deref()) {
        Some(id) => hash.update([b"id".as_slice(), id.as_bytes()].concat()),
        None => hash.update([b"body".as_slice(), &new.body].concat()),
    }
    hash.finalize().iter().copied().take(16).collect()
}

struct StoreNotification {
    fingerprint: Vec<u8>,
    new: NewNotification,
}

impl Write for StoreNotification {
    type Output = Arrival;

    async fn run(&self, connection: &mut AnyConnection) -> sqlx::Result<Arrival> {
        let NewNotification { instance, decoded, headers, body, received_at, first } = &self.new;
        let id = *instance;
        let instance = instance.to_string();
        let seq: Option<i64> = sqlx::query_scalar(
            "INSERT INTO notifications (fingerprint, instance, notification_id, received_at, headers, body) \
             VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (fingerprint) DO NOTHING RETURNING seq",
        )
        .bind(self.fingerprint.as_slice())
        .bind(instance.as_str())
        .bind(decoded.as_ref().and_then(|decoded| decoded.id.as_deref()))
        .bind(to_milliseconds(*received_at))
        .bind(headers.as_str())
        .bind(body.as_slice())
        .fetch_optional(&mut *connection)
        .await?;
        // The other may stand in a WAL that a killed process did not sync. The insert has moved the row counter
        // on (AUTOINCREMENT), so this commit syncs it: a look before the insert would not.
        let Some(seq) = seq else { return Ok(Arrival::Duplicate) };
        for (position, event) in (0_i64..).zip(decoded.iter().flat_map(|decoded| &decoded.events)) {
            insert_event(connection, seq, position, &instance, event).await?;
        }
        let at = to_milliseconds(*received_at);
        sqlx::query("UPDATE instances SET last_event_at = $2, notification_count = notification_count + 1 WHERE id = $1")
            .bind(instance.as_str())
            .bind(at)
            .execute(&mut *connection)
            .await?;
        if let Some(step) = first {
            let first = sqlx::query(
                "UPDATE instances SET first_event_at = $2 WHERE id = $1 AND first_event_at IS NULL",
            )
            .bind(instance.as_str())
            .bind(at)
            .execute(&mut *connection)
            .await?;
            if first.rows_affected() == 1 {
                timeline::line(id, step).execute(connection).await?;
            }
        }
        Ok(Arrival::Stored)
    }
}

async fn insert_event(
    connection: &mut AnyConnection,
    notification: i64,
    position: i64,
    instance: &str,
    event: &Event,
) -> sqlx::Result<()> {
    sqlx::query(
        "INSERT INTO events (notification, position, instance, type, object_type, object_id, occurred_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(notification)
    .bind(position)
    .bind(instance)
    .bind(event.event_type.as_str())
    .bind(event.object_type.as_deref())
    .bind(event.object_id.as_deref())
    .bind(event.occurred_at.map(to_milliseconds))
    .execute(connection)
    .await?;
    Ok(())
}
