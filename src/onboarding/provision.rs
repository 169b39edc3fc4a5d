//! Grant to instance, once. The claim is on disk before the call leaves; the call leaves once; its
//! outcome is one transaction. The task goes on when the browser has gone.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use secrecy::SecretString;
use tokio::sync::oneshot;
use tokio::time::Instant;
use tracing::Instrument;
use uuid::Uuid;

use super::Onboarding;
use crate::elements::{
    BrowserHash, CallError, Connection, CreatedInstance, Instance, InstanceState, NewInstance, SignatureKey,
    own_tag,
};
use crate::entropy::fresh_id;
use crate::mailchimp::PROVIDER;
use crate::oauth::{ErrorCode, GrantCode, StateHash};
use crate::reference::Reference;
use crate::storage::{Claim, ClaimedRequest, NewInstanceRow, StorageError, Trip};

/// How often a settled outcome is tried to be written when the database says no, and the gap between.
const SAVE_TRIES: u32 = 20;
const SAVE_GAP: Duration = Duration::from_millis(500);

/// A grant whose state is pending in the browser that brought it.
#[derive(Debug)]
pub struct Grant {
    /// The state it came with.
    pub state: StateHash,
    /// To be spent once.
    pub code: GrantCode,
    /// Who brought it.
    pub browser: BrowserHash,
    /// Of the request that brought it.
    pub reference: Reference,
}

/// A denial whose state is pending in the browser that brought it.
#[derive(Debug)]
pub struct Denial {
    /// The state it came with.
    pub state: StateHash,
    /// Why.
    pub error: ErrorCode,
    /// Who brought it.
    pub browser: BrowserHash,
    /// Of the request that brought it.
    pub reference: Reference,
}

/// Where the browser belongs now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrived {
    /// The page of this instance.
    Instance(Uuid),
    /// The page of this authorization request, which became no instance.
    Request(Uuid),
}

impl ClaimedRequest {
    /// The page that tells what became of it.
    pub fn destination(&self) -> Arrived {
        match self.trip {
            Trip::Granted(instance) => Arrived::Instance(instance),
            Trip::Denied(_) => Arrived::Request(self.id),
        }
    }
}

impl Onboarding {
    /// Claims the grant and starts its instance, or leads to what an earlier claim of it became. Waits
    /// for the outcome, but no longer than `patience`. From here on it is a task of its own: a browser
    /// that goes away, even between the claim and the call, changes nothing.
    pub async fn accept(self: &Arc<Self>, grant: Grant, patience: Duration) -> Result<Arrived, StorageError> {
        let (tell, told) = oneshot::channel();
        let task = Arc::clone(self).claim_and_provision(grant, tell).in_current_span();
        let task = self.tasks.spawn_on(task, &self.runtime);
        let arrived = told.await.map_err(|_| StorageError::Closed)?;
        let _ = tokio::time::timeout(patience, task).await;
        arrived
    }

    async fn claim_and_provision(
        self: Arc<Self>,
        grant: Grant,
        tell: oneshot::Sender<Result<Arrived, StorageError>>,
    ) {
        let Grant { state, code, browser, reference } = grant;
        let new = self.new_row(browser.clone(), reference);
        let id = new.instance.id;
        let request = self.claimed(browser, Trip::Granted(id), reference);
        let summary = format!("The customer approved at {PROVIDER}; the grant code was claimed.");
        let step = self.step("granted", summary, reference);
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner).insert(id);
        let claim = self.storage.claim_grant(state, &request, &code, &new, step).await;
        let won = matches!(claim, Ok(Claim::Won));
        let arrived = claim.map(|claim| match claim {
            Claim::Won => Arrived::Instance(id),
            Claim::Lost(earlier) => earlier.destination(),
        });
        // Nobody may be listening any more.
        let _ = tell.send(arrived);
        if won {
            metrics::counter!("gangway_authorization_requests_total", "outcome" => "granted").increment(1);
            tracing::info!(instance = %id, "grant claimed");
            self.provision(new, code).await;
        }
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
    }

    /// Claims the denial, or leads to what an earlier claim of it became.
    pub async fn decline(&self, denial: Denial) -> Result<Arrived, StorageError> {
        let Denial { state, error, browser, reference } = denial;
        let request = self.claimed(browser, Trip::Denied(error), reference);
        Ok(match self.storage.claim_denial(state, &request).await? {
            Claim::Won => {
                metrics::counter!("gangway_authorization_requests_total", "outcome" => error.as_str())
                    .increment(1);
                tracing::info!(error = error.as_str(), "denied");
                request.destination()
            }
            Claim::Lost(earlier) => earlier.destination(),
        })
    }

    fn claimed(&self, browser: BrowserHash, trip: Trip, reference: Reference) -> ClaimedRequest {
        let id = fresh_id(&*self.clock, &*self.entropy);
        ClaimedRequest { id, browser, trip, reference, claimed_at: self.clock.now() }
    }

    fn new_row(&self, browser: BrowserHash, reference: Reference) -> NewInstanceRow {
        let instance = Instance {
            id: fresh_id(&*self.clock, &*self.entropy),
            // Until invites name the customer, the reference tells one instance from another.
            name: format!("{PROVIDER} {reference}"),
            element: self.element.clone(),
            reference,
            browser,
            created_at: self.clock.now(),
            first_event_at: None,
            last_event_at: None,
            state: InstanceState::Provisioning,
        };
        NewInstanceRow { instance, signature_key: SignatureKey::draw(&*self.entropy) }
    }

    /// The one call with this code, and its outcome.
    async fn provision(&self, new: NewInstanceRow, code: GrantCode) {
        let NewInstanceRow { instance, signature_key } = new;
        let id = instance.id;
        let mut tags = vec![own_tag(id)];
        tags.extend(self.instance_tags.iter().cloned());
        let order = NewInstance {
            name: &instance.name,
            code: &code,
            events_url: self.public_url.events_url(id),
            signature_key: &signature_key,
            tags,
        };
        let started = Instant::now();
        let answer = self.cloud_elements.create_instance(&order).await;
        metrics::histogram!("gangway_upstream_seconds", "call" => "create_instance")
            .record(started.elapsed());
        let reference = instance.reference;
        match answer {
            Ok(created) => self.settle_connected(instance, created, reference, "connected").await,
            Err(error) => self.settle_without(instance, error, reference).await,
        }
    }

    /// An instance exists: keep its token and say so. `kind` names the step.
    pub(super) async fn settle_connected(
        &self,
        instance: Instance,
        created: CreatedInstance,
        reference: Reference,
        kind: &str,
    ) {
        let CreatedInstance { id: element_instance_id, token, events_enabled, .. } = created;
        let connection = Connection {
            element_instance_id,
            // We asked for events; older answers do not say (reference section 4.2).
            events_enabled: events_enabled.unwrap_or(true),
            connected_at: self.clock.now(),
        };
        let summary = format!("Cloud Elements has the instance as {element_instance_id}.");
        let from = instance.state.as_str();
        let Ok(state) = instance.state.clone().connect(connection) else { return };
        self.save(from, Instance { state, ..instance }, Some(token), (kind, summary, reference)).await;
    }

    async fn settle_without(&self, instance: Instance, error: CallError, reference: Reference) {
        let nothing_happened = error.nothing_happened();
        let problem = error.into_problem();
        let detail = problem.detail.as_deref().unwrap_or_default();
        let summary = format!("{} Cloud Elements: {detail}", problem.kind.for_operator());
        tracing::warn!(instance = %instance.id, problem = problem.kind.as_str(), detail, "the instance was not created");
        let from = instance.state.as_str();
        let state = instance.state.clone();
        let state = if nothing_happened { state.fail(problem) } else { state.lose(problem) };
        let Ok(state) = state else { return };
        let kind = state.as_str();
        self.save(from, Instance { state, ..instance }, None, (kind, summary, reference)).await;
    }

    /// Writes an outcome. The answer is kept in memory while the database says no; if it never says yes,
    /// the row stays open and recovery finds the instance by its tag.
    pub(super) async fn save(
        &self,
        from: &'static str,
        after: Instance,
        token: Option<SecretString>,
        (kind, summary, reference): (&str, String, Reference),
    ) {
        for _ in 0..SAVE_TRIES {
            let step = self.step(kind, summary.clone(), reference);
            match self.storage.transition(from, &after, token.as_ref(), step).await {
                Ok(written) => {
                    if written {
                        let state = after.state.as_str();
                        metrics::counter!("gangway_instances_total", "state" => state).increment(1);
                        tracing::info!(instance = %after.id, state, "instance settled");
                    }
                    self.feed.nudge(after.id);
                    return;
                }
                Err(StorageError::Closed) => break,
                Err(error) => {
                    tracing::error!(instance = %after.id, %error, "an outcome could not be written; trying again");
                    tokio::time::sleep(SAVE_GAP).await;
                }
            }
        }
        tracing::error!(instance = %after.id, "an outcome was not written; recovery will look it up");
    }
}
