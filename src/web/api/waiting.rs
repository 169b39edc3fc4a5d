//! Waiting for events: looks at the table after a cursor, now and whenever something may have arrived. The table
//! is the truth; a nudge only wakes. Ends when time is up and when Gangway stops, and looks on the way whether the
//! key still opens.

use std::sync::Arc;
use std::time::Duration;

use actix_web::web;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use crate::events::{NoRoom, Watcher};
use crate::storage::{Arrivals, EventFilter, EventId};
use crate::web::Gangway;
use crate::web::failure::Failure;
use crate::web::guards::{ApiKey, Read};

/// So many requests may wait at once, streams among them.
const MOST: usize = 256;
/// Between two looks.
const PACE: Duration = Duration::from_millis(100);
/// So often the table is looked at without a nudge: another process may write to it too.
const LOOK_ANYWAY: Duration = Duration::from_secs(2);
/// So often the key is looked at again.
const KEY_CHECKED_EVERY: Duration = Duration::from_secs(3);

/// Room for those who wait.
pub struct Waiting(Arc<Semaphore>);

impl Default for Waiting {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(MOST)))
    }
}

/// One who waits, or streams.
pub(super) struct Reader {
    app: web::Data<Gangway>,
    key: ApiKey<Read>,
    filter: EventFilter,
    /// Everything up to here was looked at.
    cursor: EventId,
    watcher: Watcher,
    next_look: Instant,
    key_checked: Instant,
    _place: OwnedSemaphorePermit,
}

impl Reader {
    /// Takes a place, if there is one, and watches from now on, so that nothing falls between the first look and
    /// the first wait.
    pub(super) fn new(
        app: web::Data<Gangway>,
        key: ApiKey<Read>,
        filter: EventFilter,
        cursor: EventId,
    ) -> Result<Self, Failure> {
        let place = app.waiting.0.clone().try_acquire_owned().map_err(|_| NoRoom)?;
        let now = Instant::now();
        let watcher = app.feed.watch();
        Ok(Self { app, key, filter, cursor, watcher, next_look: now, key_checked: now, _place: place })
    }

    /// At most `limit` events that are new to this reader; none when it is `until`, or Gangway stops.
    pub(super) async fn next(&mut self, limit: usize, until: Instant) -> Result<Arrivals, Failure> {
        let closing = self.app.closing.clone();
        loop {
            self.check_key().await?;
            let arrivals = self.app.storage.arrivals(&self.filter, self.cursor, limit).await?;
            self.cursor = arrivals.looked_to;
            self.next_look = Instant::now() + PACE;
            let over = Instant::now() >= until || closing.is_cancelled();
            if !arrivals.items.is_empty() || over || (!arrivals.more && !self.wait(until).await) {
                return Ok(arrivals);
            }
        }
    }

    /// Until something may have arrived; answers whether it is worth another look.
    async fn wait(&mut self, until: Instant) -> bool {
        let closing = self.app.closing.clone();
        let woken = async {
            tokio::select! {
                _ = self.watcher.any() => {}
                () = tokio::time::sleep(LOOK_ANYWAY) => {}
            }
            tokio::time::sleep_until(self.next_look).await;
        };
        tokio::select! {
            () = closing.cancelled() => false,
            () = tokio::time::sleep_until(until) => false,
            () = woken => true,
        }
    }

    /// Whether Gangway stops.
    pub(super) fn ends(&self) -> bool {
        self.app.closing.is_cancelled()
    }

    async fn check_key(&mut self) -> Result<(), Failure> {
        if self.key_checked.elapsed() >= KEY_CHECKED_EVERY {
            self.key.still_opens(&self.app).await?;
            self.key_checked = Instant::now();
        }
        Ok(())
    }
}
