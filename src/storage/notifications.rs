//! Event notifications: the bytes as they came, and what could be read of them. The same notification
//! twice is one row, decided by a unique key.

use std::sync::Arc;

use sha2::{Digest, Sha256};
use sqlx::AnyConnection;
use time::OffsetDateTime;
use uuid::Uuid;

use super::event_counts::Tally;
use super::statement::Statement;
use super::timeline::Step;
use super::writer::Write;
use super::{Storage, StorageError, delivery_work, timeline};
use crate::clock::to_milliseconds;
use crate::elements::{Event, Notification};

/// A verified notification on its way to the disk.
#[derive(Debug)]
pub struct NewNotification {
    /// Whose it is.
    pub instance: Uuid,
    /// The tags of its instance besides our own.
    pub tags: Arc<[String]>,
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
    /// It is on disk, beside an earlier one with the same id and another body.
    StoredApart,
    /// It was on disk already.
    Duplicate,
    /// It was one to try the way out, and is not kept.
    Tried,
}

impl Storage {
    /// Stores a notification; answers once it is on disk. Refused, and to be sent again, where more waits
    /// than may.
    pub async fn store_notification(&self, new: NewNotification) -> Result<Arrival, StorageError> {
        let (instance, first) = (new.instance, new.first.is_some());
        let stored = self.writer.write_unless_busy(StoreNotification::of(new)).await;
        if first {
            self.recipients.forget(instance);
        }
        let (arrival, due) = stored?;
        if due {
            self.deliveries_made.send_replace(());
        }
        Ok(arrival)
    }

    /// The kind of the first event of an instance, such as `CREATED contacts`.
    pub async fn first_event_kind(&self, instance: Uuid) -> Result<Option<String>, StorageError> {
        let query = "SELECT type, object_type FROM events WHERE instance = $1 ORDER BY notification, position LIMIT 1";
        let row: Option<(String, Option<String>)> =
            sqlx::query_as(query).bind(instance.to_string()).fetch_optional(&self.readers).await?;
        Ok(row.map(|(kind, object)| object.map_or(kind.clone(), |object| format!("{kind} {object}"))))
    }
}

struct StoreNotification {
    /// Cloud Elements' id of the notification, or the body where there is none.
    fingerprint: Fingerprint,
    new: NewNotification,
}

/// With the instance, sixteen bytes of SHA-256, so that the index stays short.
type Fingerprint = [u8; 16];

/// The place of a new row in the order of arrival, and how many endpoints there are.
type Inserted = (i64, i64);

fn fingerprint(instance: Uuid, parts: &[&[u8]]) -> Fingerprint {
    let mut hash = Sha256::new();
    hash.update(instance.as_bytes());
    for part in parts {
        hash.update(part);
    }
    let mut short = Fingerprint::default();
    for (to, from) in short.iter_mut().zip(hash.finalize()) {
        *to = from;
    }
    short
}

impl StoreNotification {
    fn of(new: NewNotification) -> Self {
        let fingerprint = match new.id() {
            Some(id) => fingerprint(new.instance, &[b"id", id]),
            None => fingerprint(new.instance, &[b"body", &new.body]),
        };
        Self { fingerprint, new }
    }

    /// Its id and its body, for when another body came under the same id.
    fn apart(&self) -> Fingerprint {
        let body = Sha256::digest(&self.new.body);
        let apart = |id| fingerprint(self.new.instance, &[b"apart", &body, id]);
        self.new.id().map_or(self.fingerprint, apart)
    }

    /// Answers its place in the order of arrival, and how many endpoints there are, which costs no statement of
    /// its own; `None` where the fingerprint is taken.
    async fn insert(
        &self,
        connection: &mut AnyConnection,
        fingerprint: Fingerprint,
        same_id_as: Option<i64>,
    ) -> sqlx::Result<Option<Inserted>> {
        let NewNotification { instance, decoded, headers, body, received_at, .. } = &self.new;
        sqlx::query_as(
            "INSERT INTO notifications (fingerprint, instance, notification_id, received_at, headers, body, decoded, \
             same_id_as) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (fingerprint) DO NOTHING \
             RETURNING seq, (SELECT count(*) FROM endpoints WHERE state <> 'deleted')",
        )
        .bind(fingerprint.as_slice().to_vec())
        .bind(instance.to_string())
        .bind(decoded.as_ref().and_then(|decoded| decoded.id.as_deref()))
        .bind(to_milliseconds(*received_at))
        .bind(headers.as_str())
        .bind(body.as_slice())
        .bind(i64::from(decoded.is_some()))
        .bind(same_id_as)
        .fetch_optional(connection)
        .await
    }

    /// The id came before. The same body again is counted, another one is kept apart; where the earlier one is
    /// gone, it counts as the same.
    async fn again(&self, connection: &mut AnyConnection) -> sqlx::Result<(Option<Inserted>, Arrival)> {
        let earlier: (i64, i64) = sqlx::query_as(
            "SELECT seq, CASE WHEN body = $2 OR payload_gone = 1 THEN 1 ELSE 0 END FROM notifications WHERE fingerprint = $1",
        )
        .bind(self.fingerprint.as_slice().to_vec())
        .bind(self.new.body.as_slice())
        .fetch_one(&mut *connection)
        .await?;
        let (seq, same) = earlier;
        if same == 1 {
            count_again(connection, self.fingerprint).await?;
            return Ok((None, Arrival::Duplicate));
        }
        let fingerprint = self.apart();
        let apart = self.insert(connection, fingerprint, Some(seq)).await?;
        if apart.is_none() {
            count_again(connection, fingerprint).await?;
            return Ok((None, Arrival::Duplicate));
        }
        Ok((apart, Arrival::StoredApart))
    }

    /// An instance's first notification is a line on its timeline.
    async fn note_first(&self, connection: &mut AnyConnection) -> sqlx::Result<()> {
        let Some(step) = &self.new.first else { return Ok(()) };
        let id = self.new.instance;
        let first =
            sqlx::query("UPDATE instances SET first_event_at = $2 WHERE id = $1 AND first_event_at IS NULL")
                .bind(id.to_string())
                .bind(to_milliseconds(self.new.received_at))
                .execute(&mut *connection)
                .await?;
        if first.rows_affected() == 1 {
            timeline::line(id, step).execute(connection).await?;
        }
        Ok(())
    }
}

/// That a notification came again is written down, and so synced: the one that is there may stand in a WAL that
/// a killed process did not sync.
async fn count_again(connection: &mut AnyConnection, fingerprint: Fingerprint) -> sqlx::Result<()> {
    sqlx::query("UPDATE notifications SET duplicates = duplicates + 1 WHERE fingerprint = $1")
        .bind(fingerprint.as_slice().to_vec())
        .execute(connection)
        .await?;
    Ok(())
}

impl Write for StoreNotification {
    /// And whether there is something to pass on.
    type Output = (Arrival, bool);

    async fn run(&self, connection: &mut AnyConnection) -> sqlx::Result<(Arrival, bool)> {
        let (inserted, arrival) = match self.insert(connection, self.fingerprint, None).await? {
            Some(inserted) => (Some(inserted), Arrival::Stored),
            None => self.again(connection).await?,
        };
        let Some((seq, endpoints)) = inserted else { return Ok((arrival, false)) };
        let instance = self.new.instance.to_string();
        let events = self.new.decoded.iter().flat_map(|decoded| &decoded.events);
        for (position, event) in (0_i64..).zip(events) {
            insert_event(connection, seq, position, &instance, event).await?;
        }
        if self.new.events() == 0 {
            let bare = Statement::new("INSERT INTO undecoded (notification, instance) VALUES ($1, $2)");
            bare.bind(seq).bind(instance.as_str()).execute(&mut *connection).await?;
        }
        self.note_first(connection).await?;
        let due = endpoints > 0 && delivery_work::make(connection, seq, &self.new).await?;
        Ok((arrival, due))
    }

    fn count(&self, (arrival, _): &(Arrival, bool), tally: &mut Tally) {
        if matches!(arrival, Arrival::Stored | Arrival::StoredApart) {
            // One without events is one row of the list, and so one in the charts.
            let events = i64::try_from(self.new.events().max(1)).unwrap_or(i64::MAX);
            tally.add(self.new.instance, self.new.received_at, events);
        }
    }
}

impl NewNotification {
    /// Cloud Elements' id of it.
    fn id(&self) -> Option<&[u8]> {
        self.decoded.as_ref()?.id.as_deref().map(str::as_bytes)
    }

    fn events(&self) -> usize {
        self.decoded.as_ref().map_or(0, |decoded| decoded.events.len())
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
