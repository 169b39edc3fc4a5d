//! Missed events: whether Cloud Elements has given up on an instance, noticed by what waits there and by silence;
//! asking for it again; and reading back what does not come. What is known stands in the table; this room acts.

mod attention;
mod fill;
mod schedule;

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use super::Feed;
use crate::clock::SharedClock;
use crate::config::{Config, PublicUrl};
use crate::elements::CloudElements;
use crate::entropy::{SharedEntropy, draw, fresh_id};
use crate::reference::Reference;
use crate::storage::{Lease, MissedEvents, Storage, StorageError};

/// Between two looks at what is due.
const GAP: Duration = Duration::from_secs(2);
/// Instances that are asked about one by one after each: two a second, two at once.
const ROWS: u16 = 4;
const CALLS_AT_ONCE: usize = 2;
/// Where one call answers for all of them, so many.
const ROWS_AT_ONCE: u16 = 100;
/// Longer than a call takes, and renewed between two.
const LEASE: time::Duration = time::Duration::minutes(2);
/// Work under way may take so long to end; what is left goes on at the next start.
const GRACE: Duration = Duration::from_secs(5);
/// An operator who asks waits so long for what came of it.
const PATIENCE: Duration = Duration::from_secs(5);

/// Looks after what may be missing.
pub struct Missed {
    storage: Storage,
    cloud_elements: Arc<CloudElements>,
    feed: Feed,
    clock: SharedClock,
    entropy: SharedEntropy,
    public_url: PublicUrl,
    /// The tags of every instance besides our own.
    tags: Arc<[String]>,
    /// Events that happened earlier are not kept, and so not read.
    kept: time::Duration,
    /// Names this process in leases.
    holder: Uuid,
    wanted: Notify,
    tasks: TaskTracker,
    runtime: Handle,
    stopping: CancellationToken,
}

/// What one call said of everything that waits in the account.
enum Queue {
    /// Nothing, so nothing for any instance.
    Empty,
    /// Something; whose it is, is asked one by one.
    Holds,
    /// It cannot be told, for a reason.
    Unknown(String),
}

impl Missed {
    /// Must be called on the runtime that outlives the web workers.
    pub fn new(
        config: &Config,
        storage: Storage,
        cloud_elements: Arc<CloudElements>,
        feed: Feed,
        (clock, entropy): (SharedClock, SharedEntropy),
    ) -> Arc<Self> {
        Arc::new(Self {
            holder: fresh_id(&*clock, &*entropy),
            storage,
            cloud_elements,
            feed,
            clock,
            entropy,
            public_url: config.public_url.clone(),
            tags: config.cloud_elements.instance_tags.as_slice().into(),
            kept: config.retention.events.try_into().unwrap_or(time::Duration::MAX),
            wanted: Notify::new(),
            tasks: TaskTracker::new(),
            runtime: Handle::current(),
            stopping: CancellationToken::new(),
        })
    }

    /// Starts what goes on in the background until Gangway stops.
    pub fn start_background(self: &Arc<Self>) {
        let missed = Arc::clone(self);
        self.tasks.spawn_on(async move { missed.keep_looking().await }, &self.runtime);
    }

    /// Waits a little for the calls under way.
    pub async fn stop(&self) {
        self.stopping.cancel();
        self.tasks.close();
        if tokio::time::timeout(GRACE, self.tasks.wait()).await.is_err() {
            tracing::warn!("stopping while missed events are looked for; the next start goes on");
        }
    }

    /// An operator wants what waits for an instance asked for again. Waits a little for what comes of it; it
    /// is done all the same if nobody waits. Answers whether the instance is looked at at all.
    pub async fn ask_again(&self, instance: Uuid, reference: Reference) -> Result<bool, StorageError> {
        let mut watcher = self.feed.watch();
        if !self.storage.want_missed_events(instance, reference, self.clock.now()).await? {
            return Ok(false);
        }
        self.wanted.notify_one();
        let taken_up = async {
            while watcher.changed(instance).await.is_some() {
                let row = self.storage.missed_events(instance).await.ok().flatten();
                if row.is_none_or(|row| row.wanted.is_none()) {
                    return;
                }
            }
        };
        // Whoever waited longer reads on the page that it is still going on.
        let _ = tokio::time::timeout(PATIENCE, taken_up).await;
        Ok(true)
    }

    /// What would have to be called by hand: the address for `PUT`.
    pub fn by_hand(&self, instance: Uuid) -> String {
        self.cloud_elements.queue(Some(&self.public_url.events_url(instance))).into()
    }

    async fn keep_looking(self: &Arc<Self>) {
        loop {
            if let Err(error) = self.look().await {
                tracing::error!(%error, "missed events could not be looked for; it is tried again");
            }
            tokio::select! {
                () = self.stopping.cancelled() => return,
                () = self.wanted.notified() => {}
                () = tokio::time::sleep(GAP) => {}
            }
        }
    }

    /// One round. Where nothing at all waits in the account, one call has answered for everybody.
    async fn look(&self) -> Result<(), StorageError> {
        self.count().await?;
        if !self.storage.looks_are_due(self.clock.now()).await? {
            return Ok(());
        }
        let queue = match self.cloud_elements.queued(None).await {
            Ok(queued) if queued.count == 0 && !queued.more => Queue::Empty,
            Ok(_) => Queue::Holds,
            Err(error) => Queue::Unknown(error.to_string()),
        };
        let rows = match queue {
            // One probe at a time while nobody answers; the rest waits for its turn.
            _ if self.cloud_elements.is_down() => 1,
            Queue::Holds => ROWS,
            Queue::Empty | Queue::Unknown(_) => ROWS_AT_ONCE,
        };
        let due = self.storage.take_up_looks(self.lease(), self.clock.now(), rows).await?;
        let looks = futures_util::stream::iter(due);
        looks.for_each_concurrent(CALLS_AT_ONCE, |row| self.look_at(row, &queue)).await;
        self.count().await
    }

    async fn look_at(&self, row: MissedEvents, queue: &Queue) {
        let instance = row.instance;
        if let Err(error) = self.attend(row, queue).await {
            tracing::error!(%instance, %error, "what is missed of an instance could not be written; its lease will end");
        }
        self.feed.nudge(instance);
    }

    async fn count(&self) -> Result<(), StorageError> {
        let waiting = self.storage.waiting_in_all().await?;
        #[expect(clippy::cast_precision_loss, reason = "a gauge")]
        metrics::gauge!("gangway_waiting_upstream").set(waiting as f64);
        Ok(())
    }

    fn lease(&self) -> Lease {
        Lease { holder: self.holder, until: self.clock.now() + LEASE }
    }

    /// Between -1 and 1.
    fn jitter(&self) -> f64 {
        let [byte] = draw::<1>(&*self.entropy);
        f64::from(byte) / 127.5 - 1.0
    }
}
