//! Passing on: every stored notification to every endpoint that wants it, at least once, oldest first, and one
//! endpoint never at the expense of another. What is to be done stands in the table; this room does it.

mod addresses;
mod endpoint_work;
mod schedule;
mod sender;
#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use url::Url;
use uuid::Uuid;

use crate::clock::SharedClock;
use crate::config::Config;
use crate::entropy::{SharedEntropy, fresh_id};
use crate::storage::{Endpoint, EndpointState, Storage, StorageError, Wanted};
use crate::webhook::EndpointSecret;
use addresses::Allowed;
pub use addresses::NotAllowed;
pub use schedule::GAPS;
use sender::Sender;

/// Between two looks at what is due, if nobody says that there is something.
const GAP: Duration = Duration::from_secs(1);
/// However often it is said.
const SHORTEST_GAP: Duration = Duration::from_millis(20);
/// Attempts under way may take so long to end; what is left is sent again by the next start.
const GRACE: Duration = Duration::from_secs(5);

/// Passes on.
pub struct Deliveries {
    storage: Storage,
    clock: SharedClock,
    entropy: SharedEntropy,
    sender: Sender,
    /// Names this process in leases.
    holder: Uuid,
    /// Endpoints this process works for.
    at_work: Mutex<HashSet<Uuid>>,
    tasks: TaskTracker,
    runtime: Handle,
    stopping: CancellationToken,
}

/// Why an endpoint is not registered.
#[derive(Debug, thiserror::Error)]
pub enum NotRegistered {
    /// Nothing may be sent there.
    #[error(transparent)]
    NotAllowed(#[from] NotAllowed),
    /// It cannot be written down.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl Deliveries {
    /// Must be called on the runtime that outlives the web workers.
    pub fn new(config: &Config, storage: Storage, clock: SharedClock, entropy: SharedEntropy) -> Arc<Self> {
        let allowed = Allowed(config.delivery_allowed_networks.clone().into());
        Arc::new(Self {
            storage,
            sender: Sender::new(allowed, config.limits.delivery_deadline),
            holder: fresh_id(&*clock, &*entropy),
            clock,
            entropy,
            at_work: Mutex::default(),
            tasks: TaskTracker::new(),
            runtime: Handle::current(),
            stopping: CancellationToken::new(),
        })
    }

    /// Registers an endpoint; its secret is told here and never again.
    pub async fn register(
        &self,
        url: &str,
        wanted: Wanted,
    ) -> Result<(Endpoint, EndpointSecret), NotRegistered> {
        let url = Url::parse(url.trim()).map_err(|_| NotAllowed::NotAWebAddress)?;
        self.sender.check(&url)?;
        let endpoint = Endpoint {
            id: fresh_id(&*self.clock, &*self.entropy),
            url: url.into(),
            wanted,
            state: EndpointState::On,
            failing_since: None,
            created_at: self.clock.now(),
        };
        let secret = EndpointSecret::draw(&*self.entropy);
        self.storage.add_endpoint(&endpoint, &secret).await?;
        tracing::info!(endpoint = %endpoint.id, "an endpoint was registered");
        Ok((endpoint, secret))
    }

    /// Deletes an endpoint; answers whether there was one.
    pub async fn delete(&self, endpoint: Uuid) -> Result<bool, StorageError> {
        let deleted = self.storage.delete_endpoint(endpoint).await?;
        if deleted {
            tracing::info!(%endpoint, "an endpoint was deleted");
        }
        Ok(deleted)
    }

    /// Switches an endpoint on again, whatever switched it off.
    pub async fn switch_on(&self, endpoint: Uuid) -> Result<(), StorageError> {
        if self.storage.switch_on(endpoint).await? {
            tracing::info!(%endpoint, "an endpoint was switched on");
        }
        Ok(())
    }

    /// Asks for a delivery again; answers whether its endpoint takes any and its payload is still there.
    pub async fn redeliver(&self, delivery: i64) -> Result<bool, StorageError> {
        let asked = self.storage.redeliver(delivery, self.clock.now()).await?;
        if asked {
            tracing::info!(delivery, "a delivery was asked for again");
        }
        Ok(asked)
    }

    /// Starts what goes on in the background until Gangway stops.
    pub fn start_background(self: &Arc<Self>) {
        let deliveries = Arc::clone(self);
        self.tasks.spawn_on(async move { deliveries.keep_looking().await }, &self.runtime);
    }

    /// Waits a little for the attempts under way.
    pub async fn stop(&self) {
        self.stopping.cancel();
        self.tasks.close();
        if tokio::time::timeout(GRACE, self.tasks.wait()).await.is_err() {
            tracing::warn!(
                left = self.tasks.len(),
                "stopping with attempts under way; the next start makes them again"
            );
        }
        if let Err(error) = self.storage.let_go_of_endpoints(self.holder).await {
            tracing::warn!(%error, "the endpoints' leases could not be given back; they will end");
        }
    }

    async fn keep_looking(self: &Arc<Self>) {
        let mut made = self.storage.deliveries_made();
        loop {
            if let Err(error) = self.look().await {
                tracing::error!(%error, "what is to be delivered could not be looked up; it is tried again");
            }
            tokio::select! {
                () = self.stopping.cancelled() => return,
                () = tokio::time::sleep(SHORTEST_GAP) => {}
            }
            tokio::select! {
                () = self.stopping.cancelled() => return,
                _ = made.changed() => {}
                () = tokio::time::sleep(GAP) => {}
            }
        }
    }

    async fn look(self: &Arc<Self>) -> Result<(), StorageError> {
        while self.storage.sweep_deliveries().await? && !self.stopping.is_cancelled() {}
        for redelivery in self.storage.due_redeliveries(self.clock.now()).await? {
            self.storage.step_redelivery(&redelivery, self.clock.now()).await?;
        }
        for endpoint in self.storage.due_endpoints(self.clock.now()).await? {
            if self.at_work().insert(endpoint) {
                let deliveries = Arc::clone(self);
                let working = async move {
                    // Whatever becomes of the work, the endpoint can be taken up again.
                    let _at_work = AtWork { deliveries: &deliveries, endpoint };
                    if let Err(error) = deliveries.work_for(endpoint).await {
                        tracing::error!(%endpoint, %error, "deliveries could not be worked on; they are taken up again");
                    }
                };
                self.tasks.spawn_on(working, &self.runtime);
            }
        }
        Ok(())
    }

    fn at_work(&self) -> MutexGuard<'_, HashSet<Uuid>> {
        self.at_work.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct AtWork<'a> {
    deliveries: &'a Deliveries,
    endpoint: Uuid,
}

impl Drop for AtWork<'_> {
    fn drop(&mut self) {
        self.deliveries.at_work().remove(&self.endpoint);
    }
}
