//! What is kept. The only room that names sqlx; one set of queries in the dialect that SQLite and
//! Postgres share, one file per subject, and one suite of tests (`contract`) for both. Secrets are
//! sealed on the way in and opened on the way out, so that no other room sees a column.

mod api_keys;
mod arrivals;
mod audience_webhooks;
mod audit;
mod authorization_requests;
mod back_up;
mod bulk;
mod bulk_work;
mod checks;
mod database_copy;
mod database_file;
mod deliveries;
mod delivery_work;
mod endpoints;
mod error;
mod event_counts;
mod event_query;
mod events;
mod idempotency;
mod instance_finding;
mod instance_marks;
mod instance_order;
mod instance_question;
mod instance_row;
mod instance_words;
mod instances;
mod invites;
mod missed_events;
mod missed_work;
mod notifications;
mod open;
mod open_acts;
mod open_work;
mod operators;
mod overview;
mod read_back;
mod recipients;
mod redeliveries;
mod rekey;
mod restore;
mod retention;
mod rows;
mod run_state;
mod sealed;
mod sessions;
mod statement;
mod timeline;
mod transitions;
mod word_lists;
mod writer;

#[cfg(test)]
mod contract;

use std::sync::Arc;

use sqlx::AnyPool;

use crate::seal::Sealer;
pub use api_keys::{ApiKeyRow, Scope};
pub use arrivals::Arrivals;
pub use audience_webhooks::{AudienceWebhook, Looked, Origin};
pub use audit::{Act, ActFilter};
pub use authorization_requests::{Claim, ClaimedRequest, Trip};
pub use back_up::{BackUpError, back_up};
pub use bulk::{Bulk, BulkAct, Counted, NewBulk, TROUBLES, Trouble};
pub use bulk_work::BulkStep;
pub use database_copy::{CopyError, DatabaseCopy};
pub use deliveries::{Delivery, DeliveryFilter, DeliveryState};
pub use delivery_work::{Attempt, Outgoing, Verdict};
pub use endpoints::{Endpoint, EndpointState, OffReason, Wanted};
pub use error::{OpenError, StorageError};
pub use event_counts::{EventCount, Span};
pub use events::{
    EventFilter, EventId, EventPage, EventRow, NoEventId, PAYLOAD_HEAD, ReadEvent, StoredEvent,
};
pub use idempotency::{OnceOnly, Turn};
pub use instance_finding::{Found, Total};
pub use instance_order::{InstanceOrder, InstancePlace};
pub use instance_question::InstanceQuestion;
pub use instances::Page;
pub use invites::InviteMark;
pub use missed_events::{Ask, AskOutcome, Fill, FillOutcome, Filled, Hold, MissedEvents, Subscription};
pub use missed_work::is_looked_at;
pub use notifications::{Arrival, NewNotification};
pub use open_acts::{OpenAct, Wish};
pub use open_work::{Lease, OpenWork, Ticket, Work};
pub use operators::{FIRST_OPERATOR, LinkFor, Operator, Role, TokenHash};
pub use overview::{COUNTED, LATEST, TripOfLate};
pub use recipients::Recipient;
pub use redeliveries::{Again, Redelivery};
pub use rekey::{RekeyError, RekeyProgress, Rekeyed};
pub use restore::{RestoreError, Restored, check_copy, restore};
pub use retention::Sizes;
pub use run_state::RunState;
pub use sealed::{SealedColumn, Unopened};
pub use sessions::{OpenSession, Opening, SessionLimits};
use statement::Statement;
pub use timeline::{Line, Step};
pub use transitions::{Change, NewInstanceRow, Token, Transition};
use writer::Writer;

/// The database of one Gangway.
#[derive(Clone)]
pub struct Storage {
    readers: AnyPool,
    writer: Writer,
    sealer: Sealer,
    recipients: Arc<recipients::Recipients>,
    /// The database asked for its size.
    size_query: &'static str,
    deliveries_made: tokio::sync::watch::Sender<()>,
    /// Held while this process has the SQLite file.
    file: Option<Arc<database_file::DatabaseFile>>,
}

impl Storage {
    /// Whether the database answers, and takes what is written.
    pub async fn ping(&self) -> Result<(), StorageError> {
        if self.writer.has_failed() {
            return Err(StorageError::DiskFailed);
        }
        sqlx::query("SELECT 1").execute(&self.readers).await?;
        Ok(())
    }

    /// Goes up with everything that this process writes: what was read since then stands as it was read, unless another
    /// process wrote.
    pub fn commits(&self) -> u64 {
        self.writer.commits()
    }

    /// Writes a row of its own, durably, and reads it back.
    pub async fn try_out(&self) -> Result<(), StorageError> {
        const TRIED: &str = "tried_out";
        let write = "INSERT INTO settings (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value";
        // Sealed, it differs every time: SQLite does not write a row that is there already.
        let sealed = self.sealer.seal(SealedColumn::Setting.place(TRIED), b"gangway");
        self.writer.write(Statement::new(write).bind(TRIED).bind(sealed)).await?;
        self.setting(TRIED).await.map(drop)
    }

    async fn setting(&self, name: &str) -> Result<Option<Vec<u8>>, StorageError> {
        let query = sqlx::query_scalar("SELECT value FROM settings WHERE name = $1");
        Ok(query.bind(name).fetch_optional(&self.readers).await?)
    }

    /// Whether the newest sealed row opens, and the key check.
    pub async fn newest_sealed_opens(&self) -> Result<(), StorageError> {
        let newest: Option<String> = sqlx::query_scalar("SELECT id FROM instances ORDER BY id DESC LIMIT 1")
            .fetch_optional(&self.readers)
            .await?;
        if let Some(id) = newest.and_then(|id| id.parse().ok()) {
            self.instance_with_key(id).await?;
            self.instance_token(id).await?;
        }
        Ok(())
    }

    /// Waits for the writes under way and closes every connection.
    pub async fn close(&self) {
        self.writer.close().await;
        self.readers.close().await;
    }
}
