//! Events in the order of their arrival, for whoever reads on from the last one seen. Nothing is left out and
//! nothing comes twice, because the places in that order are given out and committed by one writer at a time:
//! SQLite has but one, and on Postgres each holds a lock meanwhile, whichever process it belongs to.

use super::event_query::{Look, Order};
use super::events::{BATCH, EventFilter, EventId, EventRow, LOOKED_THROUGH};
use super::{Storage, StorageError};

/// Opens the transaction of a Postgres writer. One that hangs in the middle gives way to the others.
pub(super) const POSTGRES_BEGIN: &str = "BEGIN; SET LOCAL idle_in_transaction_session_timeout = '15s'; \
     SELECT pg_advisory_xact_lock(7453010373645639031)";

/// Some events, and how far was looked for them.
#[derive(Debug)]
pub struct Arrivals {
    /// The oldest arrival first.
    pub items: Vec<EventRow>,
    /// Everything up to here was looked at.
    pub looked_to: EventId,
    /// There may be more after it.
    pub more: bool,
}

impl Storage {
    /// The events that `filter` means and that arrived after `after`, the oldest first, at most `limit` of them.
    /// Looks no further than a page of a list does.
    pub async fn arrivals(
        &self,
        filter: &EventFilter,
        after: EventId,
        limit: usize,
    ) -> Result<Arrivals, StorageError> {
        let mut arrivals = Arrivals { items: Vec::new(), looked_to: after, more: false };
        let batch = if filter.looks_closer() { BATCH } else { limit + 1 };
        let look = Look { order: Order::Forth, instance: filter.instance, bodies: filter.text.is_some() };
        let mut looked_through = 0;
        loop {
            let rows = self.look(look, arrivals.looked_to, batch).await?;
            let last = rows.len() < batch;
            looked_through += rows.len();
            for looked in rows {
                let meant = filter.holds(&looked);
                if meant && arrivals.items.len() == limit {
                    arrivals.more = true;
                    return Ok(arrivals);
                }
                arrivals.looked_to = looked.row.id;
                if meant {
                    arrivals.items.push(looked.row);
                }
            }
            if last || looked_through >= LOOKED_THROUGH {
                arrivals.more = !last;
                return Ok(arrivals);
            }
        }
    }
}
