//! Event notifications: the bytes as they came, and what could be read of them. The same notification
//! twice is one row, decided by a unique key.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use sha2::{Digest, Sha256};
use sqlx::AnyConnection;
use time::OffsetDateTime;
use uuid::Uuid;

use super::event_counts::Tally;
use super::rows::Insert;
use super::statement::Statement;
use super::timeline::Step;
use super::{Storage, StorageError, delivery_work, read_back, timeline};
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
        let stored = self.writer.store(StoreNotification::of(new)).await;
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

/// A notification as it is to be stored.
pub(super) struct StoreNotification {
    /// Cloud Elements' id of the notification, or the body where there is none.
    fingerprint: Fingerprint,
    /// It did not arrive: it was read from Cloud Elements, and nothing signs it.
    read_back: bool,
    new: NewNotification,
}

/// What became of a notification, and whether there is something to pass on of its group.
pub(super) type Stored = (Arrival, bool);

/// Sixteen bytes, so that the index stays short: of the instance and the id where that is a number, as Cloud Elements'
/// are, so that what arrives together stands together in the index; of a SHA-256 of both where it is not.
type Fingerprint = [u8; 16];

/// The place of a new row in the order of arrival, and how many endpoints there are.
type Inserted = (i64, i64);

static INSERT: LazyLock<Insert> = LazyLock::new(|| {
    Insert::new(
        "INSERT INTO notifications (fingerprint, instance, notification_id, received_at, headers, body, decoded, \
         same_id_as, read_back) VALUES",
        9,
        // How many endpoints there are costs no statement of its own.
        "ON CONFLICT (fingerprint) DO NOTHING \
         RETURNING fingerprint, seq, (SELECT count(*) FROM endpoints WHERE state <> 'deleted')",
    )
});
static INSERT_EVENTS: LazyLock<Insert> = LazyLock::new(|| {
    let head = "INSERT INTO events (notification, position, instance, type, object_type, object_id, occurred_at) VALUES";
    Insert::new(head, 7, "")
});
static INSERT_UNDECODED: LazyLock<Insert> =
    LazyLock::new(|| Insert::new("INSERT INTO undecoded (notification, instance) VALUES", 2, ""));

/// A number as it is usually written.
fn number(id: &[u8]) -> Option<u64> {
    let number: u64 = std::str::from_utf8(id).ok()?.parse().ok()?;
    (number.to_string().as_bytes() == id).then_some(number)
}

/// An instance's last eight bytes are random (RFC 9562 section 5.7).
fn numbered(instance: Uuid, number: u64) -> Fingerprint {
    let (_, random) = instance.as_u64_pair();
    Uuid::from_u64_pair(random, number).into_bytes()
}

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

/// Stores them together, each once, and counts them. Called again for each alone where it fails for some.
pub(super) async fn store(
    connection: &mut AnyConnection,
    all: &[&StoreNotification],
) -> sqlx::Result<Vec<Stored>> {
    let rows: Vec<Row<'_>> = all.iter().map(|one| one.row(one.fingerprint, None)).collect();
    let mut inserted = insert(connection, &rows).await?;
    let (mut arrivals, mut fresh, mut endpoints) = (Vec::with_capacity(all.len()), Vec::new(), 0);
    for one in all {
        // Of two with one fingerprint the first is the row.
        let (row, arrival) = match inserted.remove(&one.fingerprint) {
            Some(row) => (Some(row), Arrival::Stored),
            None => one.again(connection).await?,
        };
        if let Some((seq, there_are)) = row {
            endpoints = there_are;
            fresh.push((seq, &one.new));
        }
        arrivals.push(arrival);
    }
    insert_events(connection, &fresh).await?;
    let mut tally = Tally::default();
    for (_, new) in &fresh {
        new.note_first(connection).await?;
        // One without events is one row of the list, and so one in the charts.
        let events = i64::try_from(new.events().max(1)).unwrap_or(i64::MAX);
        tally.add(new.instance, new.received_at, events);
    }
    tally.write(connection).await?;
    let due = endpoints > 0 && delivery_work::make(connection, &fresh).await?;
    Ok(arrivals.into_iter().map(|arrival| (arrival, due)).collect())
}

/// A notification that is new, and its place in the order of arrival.
type Fresh<'n> = (i64, &'n NewNotification);

/// A row to insert.
struct Row<'n> {
    fingerprint: Fingerprint,
    same_id_as: Option<i64>,
    read_back: bool,
    new: &'n NewNotification,
}

/// Answers the new rows; those whose fingerprint is taken are missing.
async fn insert(
    connection: &mut AnyConnection,
    rows: &[Row<'_>],
) -> sqlx::Result<HashMap<Fingerprint, Inserted>> {
    let mut inserted = HashMap::with_capacity(rows.len());
    for (text, rows) in INSERT.statements(rows) {
        let mut query = sqlx::query_as::<_, (Vec<u8>, i64, i64)>(text);
        for Row { fingerprint, same_id_as, read_back, new } in rows {
            let NewNotification { instance, decoded, headers, body, received_at, .. } = new;
            query = query
                .bind(fingerprint.as_slice().to_vec())
                .bind(instance.to_string())
                .bind(decoded.as_ref().and_then(|decoded| decoded.id.as_deref()))
                .bind(to_milliseconds(*received_at))
                .bind(headers.as_str())
                .bind(body.as_slice())
                .bind(i64::from(decoded.is_some()))
                .bind(*same_id_as)
                .bind(i64::from(*read_back));
        }
        for (fingerprint, seq, endpoints) in query.fetch_all(&mut *connection).await? {
            let fingerprint = fingerprint.try_into().map_err(|_| sqlx::Error::RowNotFound)?;
            inserted.insert(fingerprint, (seq, endpoints));
        }
    }
    Ok(inserted)
}

/// A row for every event, and one for each notification without any.
async fn insert_events(connection: &mut AnyConnection, fresh: &[Fresh<'_>]) -> sqlx::Result<()> {
    let events: Vec<(&Fresh<'_>, i64, &Event)> = fresh
        .iter()
        .flat_map(|one| {
            let events = one.1.decoded.iter().flat_map(|decoded| &decoded.events);
            (0_i64..).zip(events).map(move |(position, event)| (one, position, event))
        })
        .collect();
    for (text, rows) in INSERT_EVENTS.statements(&events) {
        let mut query = sqlx::query(text);
        for ((seq, new), position, event) in rows {
            query = query
                .bind(*seq)
                .bind(*position)
                .bind(new.instance.to_string())
                .bind(event.event_type.as_str())
                .bind(event.object_type.as_deref())
                .bind(event.object_id.as_deref())
                .bind(event.occurred_at.map(to_milliseconds));
        }
        query.execute(&mut *connection).await?;
    }
    let bare: Vec<&Fresh<'_>> = fresh.iter().filter(|(_, new)| new.events() == 0).collect();
    for (text, rows) in INSERT_UNDECODED.statements(&bare) {
        let mut query = sqlx::query(text);
        for (seq, new) in rows {
            query = query.bind(*seq).bind(new.instance.to_string());
        }
        query.execute(&mut *connection).await?;
    }
    Ok(())
}

impl StoreNotification {
    pub(super) fn of(new: NewNotification) -> Self {
        let by_body = || fingerprint(new.instance, &[b"body", &new.body]);
        Self { fingerprint: new.by_id().unwrap_or_else(by_body), read_back: false, new }
    }

    /// One that was read back. Where upstream names no notification, `event` is its id of the event.
    pub(super) fn read_back(new: NewNotification, event: Option<&str>) -> Self {
        let by_event = || event.map(|event| fingerprint(new.instance, &[b"event", event.as_bytes()]));
        match new.by_id().or_else(by_event) {
            Some(fingerprint) => Self { fingerprint, read_back: true, new },
            None => Self { read_back: true, ..Self::of(new) },
        }
    }

    fn row(&self, fingerprint: Fingerprint, same_id_as: Option<i64>) -> Row<'_> {
        Row { fingerprint, same_id_as, read_back: self.read_back, new: &self.new }
    }

    /// Its id and its body, for when another body came under the same id.
    fn apart(&self) -> Fingerprint {
        let body = Sha256::digest(&self.new.body);
        let apart = |id| fingerprint(self.new.instance, &[b"apart", &body, id]);
        self.new.id().map_or(self.fingerprint, apart)
    }

    /// The id came before. The same body again is counted, another one is kept apart; where the earlier one is
    /// gone, it counts as the same. One that was read back gives its place to what arrives, and is not needed
    /// where anything is.
    async fn again(&self, connection: &mut AnyConnection) -> sqlx::Result<(Option<Inserted>, Arrival)> {
        if self.read_back {
            return Ok((None, Arrival::Duplicate));
        }
        let earlier: (i64, i64, i64) = sqlx::query_as(
            "SELECT seq, CASE WHEN body = $2 OR payload_gone = 1 THEN 1 ELSE 0 END, read_back FROM notifications \
             WHERE fingerprint = $1",
        )
        .bind(self.fingerprint.as_slice().to_vec())
        .bind(self.new.body.as_slice())
        .fetch_one(&mut *connection)
        .await?;
        let (seq, same, was_read_back) = earlier;
        if same == 1 {
            count_again(connection, self.fingerprint).await?;
            return Ok((None, Arrival::Duplicate));
        }
        if was_read_back == 1 && read_back::give_place(connection, seq, &self.new).await? {
            return Ok((None, Arrival::Duplicate));
        }
        let fingerprint = self.apart();
        let apart = insert(connection, &[self.row(fingerprint, Some(seq))]).await?.remove(&fingerprint);
        if apart.is_none() {
            count_again(connection, fingerprint).await?;
            return Ok((None, Arrival::Duplicate));
        }
        Ok((apart, Arrival::StoredApart))
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

impl NewNotification {
    /// An instance's first notification is a line on its timeline.
    async fn note_first(&self, connection: &mut AnyConnection) -> sqlx::Result<()> {
        let Some(step) = &self.first else { return Ok(()) };
        let first = Statement::new(
            "UPDATE instances SET first_event_at = $2 WHERE id = $1 AND first_event_at IS NULL",
        )
        .bind(self.instance)
        .bind(to_milliseconds(self.received_at));
        if first.execute(connection).await? == 1 {
            timeline::line(self.instance, step).execute(connection).await?;
        }
        Ok(())
    }

    /// What it is known by, where Cloud Elements gave it an id.
    fn by_id(&self) -> Option<Fingerprint> {
        let id = self.id()?;
        Some(number(id).map_or_else(
            || fingerprint(self.instance, &[b"id", id]),
            |number| numbered(self.instance, number),
        ))
    }

    /// Cloud Elements' id of it.
    fn id(&self) -> Option<&[u8]> {
        self.decoded.as_ref()?.id.as_deref().map(str::as_bytes)
    }

    fn events(&self) -> usize {
        self.decoded.as_ref().map_or(0, |decoded| decoded.events.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_number_written_as_usual_is_one_and_neighbours_stay_neighbours() {
        for id in ["", "+1", "01", "-1", "1.0", " 1", "18446744073709551616", "x"] {
            assert_eq!(number(id.as_bytes()), None, "{id}");
        }
        assert_eq!(number(b"0"), Some(0));
        assert_eq!(number(b"18446744073709551615"), Some(u64::MAX));
        let (one, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
        assert!(numbered(one, 255) < numbered(one, 256));
        assert_ne!(numbered(one, 7), numbered(other, 7));
    }
}
