//! The work for one endpoint, under its lease: what is due, oldest first, some at once. Ends when nothing is due;
//! the next look begins it anew.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use time::OffsetDateTime;
use tokio::task::JoinSet;
use uuid::Uuid;

use super::sender::Answer;
use super::{Deliveries, GAP, schedule};
use crate::storage::{Attempt, Lease, OffReason, StorageError, Verdict};

/// Attempts at one endpoint at once, however many processes there are: one holds its lease.
const AT_ONCE: usize = 8;
/// Deliveries looked up at once.
const BATCH: u16 = 64;
/// Longer than an attempt takes, and renewed while more than that is left.
const LEASE: time::Duration = time::Duration::seconds(60);
const RENEWED_BELOW: time::Duration = time::Duration::seconds(40);

/// What is in hand for an endpoint.
struct Hands {
    endpoint: Uuid,
    held_until: Option<OffsetDateTime>,
    waiting: VecDeque<i64>,
    under_way: HashSet<i64>,
}

impl Deliveries {
    pub(super) async fn work_for(self: &Arc<Self>, endpoint: Uuid) -> Result<(), StorageError> {
        let mut made = self.storage.deliveries_made();
        let mut hands =
            Hands { endpoint, held_until: None, waiting: VecDeque::new(), under_way: HashSet::new() };
        // Tasks of their own: as parts of this one they would keep connections that this one waits for.
        let mut under_way = JoinSet::new();
        let mut trouble = None;
        loop {
            while trouble.is_none() && under_way.len() < AT_ONCE {
                match self.next(&mut hands).await {
                    Ok(Some(delivery)) => {
                        hands.under_way.insert(delivery);
                        let deliveries = Arc::clone(self);
                        let attempt = async move { (delivery, deliveries.deliver(endpoint, delivery).await) };
                        under_way.spawn_on(attempt, &self.runtime);
                    }
                    Ok(None) => break,
                    Err(error) => trouble = Some(error),
                }
            }
            if under_way.is_empty() {
                return trouble.map_or(Ok(()), Err);
            }
            tokio::select! {
                Some(ended) = under_way.join_next() => {
                    // What was sent and not written down is still due: nothing more is begun at once.
                    trouble = trouble.or(match ended {
                        Ok((delivery, done)) => {
                            hands.under_way.remove(&delivery);
                            done.err()
                        }
                        Err(error) => Some(StorageError::Inconsistent(error.to_string())),
                    });
                }
                _ = made.changed() => {}
                () = tokio::time::sleep(GAP) => {}
            }
        }
    }

    /// The next delivery that is due, if the endpoint is in our hands.
    async fn next(&self, hands: &mut Hands) -> Result<Option<i64>, StorageError> {
        let now = self.clock.now();
        if self.stopping.is_cancelled() {
            return Ok(None);
        }
        if hands.held_until.is_none_or(|until| until - now < RENEWED_BELOW) {
            let lease = Lease { holder: self.holder, until: now + LEASE };
            if !self.storage.hold_endpoint(hands.endpoint, lease, now).await? {
                hands.held_until = None;
                return Ok(None);
            }
            hands.held_until = Some(lease.until);
        }
        if hands.waiting.is_empty() {
            let due = self.storage.due_deliveries(hands.endpoint, now, BATCH).await?;
            hands.waiting = due.into_iter().filter(|one| !hands.under_way.contains(one)).collect();
        }
        Ok(hands.waiting.pop_front())
    }

    async fn deliver(&self, endpoint: Uuid, delivery: i64) -> Result<(), StorageError> {
        let at = self.clock.now();
        let (answer, verdict) = match self.storage.outgoing(delivery).await {
            Ok(Some(outgoing)) => {
                let attempts = outgoing.attempts;
                let answer = self.sender.attempt(outgoing, at).await;
                let verdict = schedule::verdict(&answer, attempts, self.clock.now(), &*self.entropy);
                (answer, verdict)
            }
            Ok(None) => return self.storage.abandon(delivery).await,
            // It holds up no other.
            Err(error @ (StorageError::Inconsistent(_) | StorageError::DoesNotOpen(_))) => {
                tracing::error!(delivery, %error, "a delivery cannot be read");
                (Answer { error: Some(error.to_string()), ..Answer::default() }, Verdict::Failed)
            }
            Err(error) => return Err(error),
        };
        let status = answer.status.map(|status| status.as_u16());
        let attempt = Attempt { at, status, took: answer.took, error: answer.error, answer: answer.body };
        let off = self.storage.attempted(endpoint, delivery, attempt, verdict).await?;
        tell(endpoint, delivery, verdict, status);
        if let Some(reason) = off {
            tell_off(endpoint, reason);
        }
        Ok(())
    }
}

fn tell(endpoint: Uuid, delivery: i64, verdict: Verdict, status: Option<u16>) {
    let result = match verdict {
        Verdict::Delivered => "delivered",
        Verdict::Again(_) => "again",
        Verdict::Failed | Verdict::Off(_) => "failed",
    };
    metrics::counter!("gangway_deliveries_total", "result" => result).increment(1);
    match verdict {
        Verdict::Delivered => tracing::debug!(%endpoint, delivery, status, "delivered"),
        Verdict::Again(_) => tracing::debug!(%endpoint, delivery, status, "not delivered; it is tried again"),
        Verdict::Failed | Verdict::Off(_) => tracing::warn!(%endpoint, delivery, status, "a delivery failed"),
    }
}

fn tell_off(endpoint: Uuid, reason: OffReason) {
    let reason = reason.as_str();
    tracing::error!(%endpoint, reason, "an endpoint was switched off; nothing is sent there until it is switched on again");
}
