//! Notifications that did not arrive and were read back over the API. They stand among the others, marked; what
//! arrives later under the same id takes their place, because it is signed.

use sqlx::AnyConnection;

use super::notifications::{self, StoreNotification, Stored};
use super::statement::Statement;
use super::writer::Write;
use super::{Arrival, NewNotification, Storage, StorageError};
use crate::elements::Event;

impl Storage {
    /// Stores what was read back, unless a notification of the same id is there, however it came; answers
    /// whether it was stored. Where upstream names no notification, `event` is its id of the event.
    pub async fn store_read_back(
        &self,
        new: NewNotification,
        event: Option<&str>,
    ) -> Result<bool, StorageError> {
        let (instance, first) = (new.instance, new.first.is_some());
        let stored = self.writer.write(StoreReadBack(StoreNotification::read_back(new, event))).await;
        if first {
            self.recipients.forget(instance);
        }
        let (arrival, due) = stored?;
        if due {
            self.deliveries_made.send_replace(());
        }
        Ok(arrival == Arrival::Stored)
    }
}

/// It may wait for its turn: nobody sends it again.
struct StoreReadBack(StoreNotification);

impl Write for StoreReadBack {
    type Output = Stored;

    async fn run(&self, connection: &mut AnyConnection) -> sqlx::Result<Stored> {
        let mut stored = notifications::store(connection, &[&self.0]).await?;
        stored.pop().ok_or(sqlx::Error::RowNotFound)
    }
}

/// The signed bytes take the place of what was read back, if they tell of the same events. Where they tell of
/// others, both are kept: nobody can say which is right. Answers whether they did.
pub(super) async fn give_place(
    connection: &mut AnyConnection,
    seq: i64,
    arrived: &NewNotification,
) -> sqlx::Result<bool> {
    let Some(decoded) = &arrived.decoded else { return Ok(false) };
    let known: Vec<(String, Option<String>, Option<String>)> = sqlx::query_as(
        "SELECT type, object_type, object_id FROM events WHERE notification = $1 ORDER BY position",
    )
    .bind(seq)
    .fetch_all(&mut *connection)
    .await?;
    let told = |event: &Event| {
        (event.event_type.as_str().to_owned(), event.object_type.clone(), event.object_id.clone())
    };
    if known != decoded.events.iter().map(told).collect::<Vec<_>>() {
        return Ok(false);
    }
    let place =
        Statement::new("UPDATE notifications SET body = $2, headers = $3, read_back = 0 WHERE seq = $1");
    place.bind(seq).bind(arrived.body.clone()).bind(arrived.headers.as_str()).execute(connection).await?;
    Ok(true)
}
