//! From a grant to an instance: claimed once, created once, and told truly whatever happens between.
//! Knows the flow; the wire is `elements`' and the rows are `storage`'s.

mod provision;
mod recover;

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use crate::clock::SharedClock;
use crate::config::{Config, PublicUrl};
use crate::elements::CloudElements;
use crate::entropy::SharedEntropy;
use crate::events::Feed;
use crate::reference::Reference;
use crate::storage::{Step, Storage};
pub use provision::{Arrived, Denial, Grant};

/// What an onboarding works with.
pub struct Onboarding {
    storage: Storage,
    cloud_elements: Arc<CloudElements>,
    feed: Feed,
    clock: SharedClock,
    entropy: SharedEntropy,
    public_url: PublicUrl,
    element: String,
    instance_tags: Vec<String>,
    recovery_window: Duration,
    /// Calls under way here; recovery leaves them alone.
    under_way: Mutex<HashSet<Uuid>>,
    tasks: TaskTracker,
    /// Outlives the web workers: an onboarding goes on when its browser has gone.
    runtime: Handle,
    stopping: CancellationToken,
}

/// The rooms an onboarding is joined to.
pub struct Rooms {
    /// The rows.
    pub storage: Storage,
    /// The wire.
    pub cloud_elements: Arc<CloudElements>,
    /// Who is told.
    pub feed: Feed,
    /// The time.
    pub clock: SharedClock,
    /// Ids and keys.
    pub entropy: SharedEntropy,
}

impl Onboarding {
    /// Must be called on the runtime that outlives the web workers.
    pub fn new(config: &Config, rooms: Rooms) -> Arc<Self> {
        let Rooms { storage, cloud_elements, feed, clock, entropy } = rooms;
        Arc::new(Self {
            storage,
            cloud_elements,
            feed,
            clock,
            entropy,
            public_url: config.public_url.clone(),
            element: config.cloud_elements.element_key.clone(),
            instance_tags: config.cloud_elements.instance_tags.clone(),
            recovery_window: config.recovery_window,
            under_way: Mutex::default(),
            tasks: TaskTracker::new(),
            runtime: Handle::current(),
            stopping: CancellationToken::new(),
        })
    }

    /// Waits for the calls under way, at most `grace`; what is left is recovery's at the next start.
    pub async fn stop(&self, grace: Duration) {
        self.stopping.cancel();
        self.tasks.close();
        if tokio::time::timeout(grace, self.tasks.wait()).await.is_err() {
            tracing::warn!(
                left = self.tasks.len(),
                "stopping with onboardings under way; the next start looks them up"
            );
        }
    }

    fn step(&self, kind: &str, summary: impl Into<String>, reference: Reference) -> Step {
        Step { at: self.clock.now(), kind: kind.to_owned(), summary: summary.into(), reference }
    }
}
