//! After a lost answer or a crash: look upstream for our tag, adopt what is there, and give up only on
//! what is surely absent. Never creates anything.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use futures_util::StreamExt;
use uuid::Uuid;

use super::Onboarding;
use crate::elements::{Instance, InstanceState, Problem, ProblemKind, own_tag};
use crate::storage::StorageError;

/// Between two looks at what is unsettled.
const GAP: Duration = Duration::from_secs(3);
/// Rows of one look, and calls at once.
const ROWS: u16 = 1000;
const CALLS_AT_ONCE: usize = 8;

impl Onboarding {
    /// Looks again and again until Gangway stops.
    pub fn start_recovery(self: &Arc<Self>) {
        let onboarding = Arc::clone(self);
        self.tasks.spawn_on(
            async move {
                loop {
                    if let Err(error) = onboarding.recover().await {
                        tracing::error!(%error, "recovery could not read what is unsettled");
                    }
                    tokio::select! {
                        () = onboarding.stopping.cancelled() => break,
                        () = tokio::time::sleep(GAP) => {}
                    }
                }
            },
            &self.runtime,
        );
    }

    /// One look at everything unsettled.
    pub async fn recover(&self) -> Result<(), StorageError> {
        let unsettled = self.storage.unsettled(ROWS).await?;
        let ours = |id: Uuid| self.under_way.lock().unwrap_or_else(PoisonError::into_inner).contains(&id);
        let open = unsettled.into_iter().filter(|instance| !ours(instance.id));
        futures_util::stream::iter(open)
            .for_each_concurrent(CALLS_AT_ONCE, |instance| self.look_up(instance))
            .await;
        Ok(())
    }

    async fn look_up(&self, instance: Instance) {
        if self.stopping.is_cancelled() {
            return;
        }
        let reference = instance.reference;
        let Some(instance) = self.marked_unknown(instance).await else { return };
        match self.cloud_elements.instances_tagged(&own_tag(instance.id)).await {
            Ok(mut found) if !found.is_empty() => {
                if found.len() > 1 {
                    tracing::error!(instance = %instance.id, count = found.len(), "several instances carry one tag; the first is adopted");
                }
                self.settle_connected(instance, found.swap_remove(0), reference, "found").await;
            }
            Ok(_) if self.clock.now() - instance.created_at < self.recovery_window => {}
            Ok(_) => {
                let problem = Problem::new(ProblemKind::NotFound);
                let summary = problem.kind.for_operator().to_owned();
                let Ok(state) = instance.state.clone().fail(problem) else { return };
                self.save("unknown", Instance { state, ..instance }, None, ("failed", summary, reference))
                    .await;
            }
            Err(error) => {
                tracing::warn!(instance = %instance.id, %error, "the lookup failed; it is tried again");
            }
        }
    }

    /// A row that says provisioning while nobody works on it was left by a crash.
    async fn marked_unknown(&self, instance: Instance) -> Option<Instance> {
        if !matches!(instance.state, InstanceState::Provisioning) {
            return Some(instance);
        }
        let problem = Problem::new(ProblemKind::Interrupted);
        let summary = problem.kind.for_operator().to_owned();
        let reference = instance.reference;
        let state = instance.state.clone().lose(problem).ok()?;
        let instance = Instance { state, ..instance };
        self.save("provisioning", instance.clone(), None, ("unknown", summary, reference)).await;
        Some(instance)
    }
}
