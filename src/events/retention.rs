//! Keeps what is stored from growing for ever: old payloads and rows go off the hot path, in small steps with
//! rests between. How long they are kept is the operator's to say.

use std::time::Duration;

use crate::clock::SharedClock;
use crate::config::Retention;
use crate::storage::{Storage, StorageError};

/// Between two steps, so that a long catching-up leaves the writer to others.
const REST: Duration = Duration::from_millis(50);

/// Removes everything that is old by now, and measures what is left.
pub async fn prune(storage: &Storage, clock: &SharedClock, kept: Retention) -> Result<(), StorageError> {
    while storage.prune_payloads(clock.now() - kept.payloads).await? {
        tokio::time::sleep(REST).await;
    }
    while storage.prune_notifications(clock.now() - kept.events).await? {
        tokio::time::sleep(REST).await;
    }
    while storage.prune_idempotent_requests(clock.now()).await? {
        tokio::time::sleep(REST).await;
    }
    let sizes = storage.sizes().await?;
    #[expect(clippy::cast_precision_loss, reason = "a gauge")]
    let gauges = [
        ("gangway_database_bytes", sizes.database_bytes as f64),
        ("gangway_notifications", sizes.notifications as f64),
    ];
    for (name, value) in gauges {
        metrics::gauge!(name).set(value);
    }
    Ok(())
}
