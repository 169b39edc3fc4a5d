//! From a grant to an instance: claimed once, created once, and told truly whatever happens between. And
//! what follows for as long as the instance lives: looked after, approved again, compared with what
//! Cloud Elements has, taken down. Knows the flow; the wire is `elements`' and the rows are `storage`'s.

mod acting;
mod adopt;
mod amend;
mod audiences;
mod bulk;
mod check;
mod disconnect;
mod invite;
mod pause;
mod provision;
mod reauthorize;
mod reconcile;
mod recover;
mod remedy;
mod settle;

use std::collections::HashSet;
use std::sync::atomic::AtomicI64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use crate::checkpoint::SharedCheckpoints;
use crate::clock::{SharedClock, to_milliseconds};
use crate::config::{Config, PublicUrl};
use crate::elements::CloudElements;
use crate::entropy::{SharedEntropy, fresh_id};
use crate::events::Feed;
use crate::reference::Reference;
use crate::storage::{Lease, Step, Storage, StorageError, Ticket};
pub use acting::{asked_by, unsigned};
pub use amend::{Amended, Amendment, NotAmended};
pub use audiences::{Choice, NotListed, Reports};
pub use bulk::BULK_A_SECOND;
pub use check::Checked;
pub use disconnect::{DELAYED, NotDisconnected};
pub use pause::NotDone;
pub use provision::{Arrived, Denial, Grant};
pub use reconcile::{Drift, Finding, Measures, NotCompared, Report};

/// A lease is renewed three times before it ends.
const LEASE: time::Duration = time::Duration::seconds(30);
/// Until a code is sent, a lease is short: another process should still be able to send it.
const SHORT_LEASE: time::Duration = time::Duration::seconds(5);
const RENEW_EVERY: Duration = Duration::from_secs(10);

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
    /// Names this process in leases.
    holder: Uuid,
    /// Open work in this process's hands, whose leases it renews.
    under_way: Mutex<HashSet<Ticket>>,
    /// What the last comparison with Cloud Elements found.
    last_report: Mutex<Option<Arc<Report>>>,
    /// When the last one began, in milliseconds; at first, when the process did.
    last_comparison: AtomicI64,
    /// One comparison at a time.
    comparing: tokio::sync::Mutex<()>,
    checkpoints: SharedCheckpoints,
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
    /// Where tests stop the flow.
    pub checkpoints: SharedCheckpoints,
}

impl Onboarding {
    /// Must be called on the runtime that outlives the web workers.
    pub fn new(config: &Config, rooms: Rooms) -> Arc<Self> {
        let Rooms { storage, cloud_elements, feed, clock, entropy, checkpoints } = rooms;
        let holder = fresh_id(&*clock, &*entropy);
        Arc::new(Self {
            last_comparison: AtomicI64::new(to_milliseconds(clock.now())),
            storage,
            cloud_elements,
            feed,
            clock,
            entropy,
            public_url: config.public_url.clone(),
            element: config.cloud_elements.element_key.clone(),
            instance_tags: config.cloud_elements.instance_tags.clone(),
            recovery_window: config.recovery_window,
            holder,
            under_way: Mutex::default(),
            last_report: Mutex::default(),
            comparing: tokio::sync::Mutex::default(),
            checkpoints,
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

    /// Starts what goes on in the background until Gangway stops.
    pub fn start_background(self: &Arc<Self>) {
        self.repeat(recover::GAP, |onboarding| Box::pin(onboarding.recover()));
        self.repeat(RENEW_EVERY, |onboarding| Box::pin(onboarding.renew_leases()));
        self.repeat(check::GAP, |onboarding| Box::pin(onboarding.check_due()));
        self.repeat(bulk::GAP, |onboarding| Box::pin(onboarding.bulk_due()));
        self.repeat(reconcile::GAP, |onboarding| Box::pin(onboarding.reconcile_in_passing()));
    }

    fn repeat<F>(self: &Arc<Self>, gap: Duration, act: F)
    where
        F: for<'a> Fn(&'a Arc<Self>) -> futures_util::future::BoxFuture<'a, Result<(), StorageError>>
            + Send
            + 'static,
    {
        let onboarding = Arc::clone(self);
        let repeating = async move {
            loop {
                if let Err(error) = act(&onboarding).await {
                    tracing::error!(%error, "work in the background failed; it is tried again");
                }
                tokio::select! {
                    () = onboarding.stopping.cancelled() => break,
                    () = tokio::time::sleep(gap) => {}
                }
            }
        };
        self.tasks.spawn_on(repeating, &self.runtime);
    }

    fn lease(&self) -> Lease {
        Lease { holder: self.holder, until: self.clock.now() + LEASE }
    }

    fn short_lease(&self) -> Lease {
        Lease { holder: self.holder, until: self.clock.now() + SHORT_LEASE }
    }

    /// Renews what is in this process's hands, and nothing that fell out of them.
    async fn renew_leases(&self) -> Result<(), StorageError> {
        let held: Vec<Ticket> = self.tickets().iter().copied().collect();
        if held.is_empty() { Ok(()) } else { self.storage.renew(self.lease(), held).await }
    }

    /// Marks work as in this process's hands for as long as the answer is held. `None` where it is already:
    /// its lease may have ended because the clock was moved.
    fn hold(&self, ticket: Ticket) -> Option<Held<'_>> {
        // Not `then_some`: a `Held` that is not handed out would take the ticket away when it is dropped.
        self.tickets().insert(ticket).then(|| Held { onboarding: self, ticket })
    }

    fn tickets(&self) -> MutexGuard<'_, HashSet<Ticket>> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn step(&self, kind: &str, summary: impl Into<String>, reference: Reference) -> Step {
        Step { at: self.clock.now(), kind: kind.to_owned(), summary: summary.into(), reference }
    }
}

/// Work in this process's hands.
struct Held<'a> {
    onboarding: &'a Onboarding,
    ticket: Ticket,
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.onboarding.tickets().remove(&self.ticket);
    }
}
