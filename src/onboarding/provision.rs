//! Grant to instance, once. The claim is on disk before the call leaves; the call leaves once; its
//! outcome is one transaction. The task goes on when the browser has gone.

use std::sync::Arc;
use std::time::Duration;

use time::OffsetDateTime;
use tokio::sync::oneshot;
use tokio::time::Instant;
use tracing::Instrument;
use uuid::Uuid;

use super::settle::Outcome;
use super::{Onboarding, check};
use crate::checkpoint::Point;
use crate::elements::{
    BrowserHash, CallError, Connection, ElementInstance, Instance, InstanceState, NewInstance, SignatureKey,
    noting_calls, own_tag,
};
use crate::entropy::fresh_id;
use crate::invite::Invite;
use crate::mailchimp::PROVIDER;
use crate::oauth::{ErrorCode, GrantCode, StateHash};
use crate::reference::Reference;
use crate::storage::{Change, Claim, ClaimedRequest, NewInstanceRow, StorageError, Ticket, Token, Trip};

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
    /// The invite it was started with.
    pub invite: Option<Uuid>,
    /// When its browser left for Mailchimp.
    pub started_at: OffsetDateTime,
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
    /// When its browser left for Mailchimp.
    pub started_at: OffsetDateTime,
}

/// Where the browser belongs now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrived {
    /// The page of this instance.
    Instance(Uuid),
    /// The page of this authorization request, which became no instance.
    Request(Uuid),
    /// Nowhere: its invite was revoked or used up meanwhile, and the grant was not spent.
    ClosedInvite,
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
        let Grant { state, code, browser, reference, invite, started_at } = grant;
        let invite = match self.invited(invite).await {
            Ok(invite) => invite,
            Err(error) => {
                let _ = tell.send(Err(error));
                return;
            }
        };
        let new = self.new_row(browser.clone(), reference, invite);
        let id = new.instance.id;
        let started_at = Some(started_at);
        let request = ClaimedRequest { started_at, ..self.claimed(browser, Trip::Granted(id), reference) };
        let invited = new.instance.customer.as_ref().map(|customer| format!(", invited as {customer}"));
        let invited = invited.unwrap_or_default();
        let summary = format!("The customer approved at {PROVIDER}{invited}; the grant code was claimed.");
        let step = self.step("granted", summary, reference);
        self.checkpoints.reached(Point::BeforeIntent).await;
        let claim = self.storage.claim_grant(state, &request, &code, &new, (step, self.short_lease())).await;
        let won = matches!(claim, Ok(Claim::Won));
        let ticket = Ticket { instance: id, id: request.id };
        let arrived = claim.map(|claim| match claim {
            Claim::Won => Arrived::Instance(id),
            Claim::Lost(earlier) => earlier.destination(),
            Claim::InviteClosed => Arrived::ClosedInvite,
        });
        // Nobody may be listening any more.
        let _ = tell.send(arrived);
        if !won {
            return;
        }
        metrics::counter!("gangway_authorization_requests_total", "outcome" => "granted").increment(1);
        tracing::info!(instance = %id, "grant claimed");
        // Where recovery was quicker, because the clock was moved, it has the code.
        let Some(_held) = self.hold(ticket) else { return };
        self.checkpoints.reached(Point::AfterIntent).await;
        noting_calls(self.provision(ticket, new, code)).await;
    }

    /// Claims the denial, or leads to what an earlier claim of it became.
    pub async fn decline(&self, denial: Denial) -> Result<Arrived, StorageError> {
        let Denial { state, error, browser, reference, started_at } = denial;
        let started_at = Some(started_at);
        let request = ClaimedRequest { started_at, ..self.claimed(browser, Trip::Denied(error), reference) };
        Ok(match self.storage.claim_denial(state, &request).await? {
            Claim::Won => {
                metrics::counter!("gangway_authorization_requests_total", "outcome" => error.as_str())
                    .increment(1);
                tracing::info!(error = error.as_str(), "denied");
                request.destination()
            }
            Claim::Lost(earlier) => earlier.destination(),
            Claim::InviteClosed => Arrived::ClosedInvite,
        })
    }

    /// The invite of a grant. One that is gone is as good as none that can be used.
    async fn invited(&self, invite: Option<Uuid>) -> Result<Option<Invite>, StorageError> {
        let Some(id) = invite else { return Ok(None) };
        let gone = || StorageError::Inconsistent(format!("invite {id} is gone"));
        self.storage.invite(id).await?.ok_or_else(gone).map(Some)
    }

    pub(super) fn claimed(&self, browser: BrowserHash, trip: Trip, reference: Reference) -> ClaimedRequest {
        let id = fresh_id(&*self.clock, &*self.entropy);
        ClaimedRequest { id, browser, trip, reference, claimed_at: self.clock.now(), started_at: None }
    }

    fn new_row(&self, browser: BrowserHash, reference: Reference, invite: Option<Invite>) -> NewInstanceRow {
        let mut instance = self.new_instance(browser, reference);
        let id = invite.as_ref().map(|invite| invite.id);
        if let Some(Invite { customer, tags, .. }) = invite {
            instance.name = format!("{PROVIDER} {customer}");
            (instance.customer, instance.tags) = (Some(customer), tags);
        }
        NewInstanceRow { instance, signature_key: SignatureKey::draw(&*self.entropy), invite: id }
    }

    pub(super) fn new_instance(&self, browser: BrowserHash, reference: Reference) -> Instance {
        Instance {
            id: fresh_id(&*self.clock, &*self.entropy),
            // Where no invite names the customer, the reference tells one instance from another.
            name: format!("{PROVIDER} {reference}"),
            customer: None,
            tags: Vec::new(),
            element: self.element.clone(),
            reference,
            browser,
            created_at: self.clock.now(),
            first_event_at: None,
            last_event_at: None,
            notification_count: 0,
            last_checked_at: None,
            audiences: None,
            renewing: false,
            version: 0,
            state: InstanceState::Provisioning,
        }
    }

    /// The one call with this code, and its outcome. That it leaves is on disk before it does, so that
    /// whoever comes after a crash knows whether it may have left.
    pub(super) async fn provision(&self, ticket: Ticket, new: NewInstanceRow, code: GrantCode) {
        let NewInstanceRow { instance, signature_key, .. } = new;
        if !self.may_send(ticket).await {
            return;
        }
        self.checkpoints.reached(Point::BeforeCall).await;
        let order = self.order(&instance, &code, &signature_key);
        let started = Instant::now();
        let answer = self.cloud_elements.create_instance(&order).await;
        metrics::histogram!("gangway_upstream_seconds", "call" => "create_instance")
            .record(started.elapsed());
        self.checkpoints.reached(Point::AfterReply).await;
        let reference = instance.reference;
        match answer {
            Ok(created) => {
                self.settle_connected(ticket, instance, &created, ("connected", reference)).await;
            }
            Err(error) => self.settle_without(ticket, instance, error, reference).await,
        }
    }

    /// Whether this process may send the code of `ticket` now; nobody may afterwards.
    pub(super) async fn may_send(&self, ticket: Ticket) -> bool {
        match self.storage.mark_sent(ticket, self.lease(), self.clock.now()).await {
            Ok(true) => true,
            Ok(false) => {
                tracing::warn!(instance = %ticket.instance, "the code is not this process's to send");
                false
            }
            Err(error) => {
                tracing::error!(instance = %ticket.instance, %error, "the call did not leave; recovery takes it up");
                false
            }
        }
    }

    pub(super) fn order<'a>(
        &self,
        instance: &'a Instance,
        code: &'a GrantCode,
        signature_key: &'a SignatureKey,
    ) -> NewInstance<'a> {
        NewInstance {
            name: &instance.name,
            code,
            events_url: self.public_url.events_url(instance.id),
            signature_key,
            tags: self.tags(instance),
        }
    }

    /// Ours first, then those of the settings.
    pub(super) fn tags(&self, instance: &Instance) -> Vec<String> {
        let mut tags = vec![own_tag(instance.id)];
        for tag in self.instance_tags.iter().chain(&instance.tags) {
            if !tags.contains(tag) {
                tags.push(tag.clone());
            }
        }
        tags
    }

    /// An instance exists: keep its token and say so.
    pub(super) async fn settle_connected(
        &self,
        ticket: Ticket,
        instance: Instance,
        created: &ElementInstance,
        (kind, reference): (&'static str, Reference),
    ) {
        let connection = Connection {
            element_instance_id: created.id,
            // We asked for events; older answers do not say (reference section 4.2).
            events_enabled: created.events_enabled.unwrap_or(true),
            connected_at: self.clock.now(),
        };
        let summary = format!("Cloud Elements has the instance as {}.", created.id);
        let next_check = Some(self.clock.now() + check::FIRST);
        self.settle(instance, |now| {
            let state = now.state.clone().connect(connection.clone()).ok()?;
            let outcome = Outcome::of(state, (kind, summary.clone(), reference));
            let token = Token::Put(&created.token);
            Some(Outcome { token, next_check, work: Change::Close(ticket), ..outcome })
        })
        .await;
    }

    async fn settle_without(
        &self,
        ticket: Ticket,
        instance: Instance,
        error: CallError,
        reference: Reference,
    ) {
        let nothing_happened = error.nothing_happened();
        let (problem, unread) = error.into_problem(self.clock.now());
        let summary = problem.for_operator();
        tracing::warn!(instance = %instance.id, problem = problem.kind.as_str(), detail = problem.detail, "the instance was not created");
        self.settle(instance, |now| {
            let (state, problem) = (now.state.clone(), problem.clone());
            let state = if nothing_happened { state.fail(problem) } else { state.lose(problem) };
            let state = state.ok()?;
            let outcome = Outcome::of(state.clone(), (state.as_str(), summary.clone(), reference));
            let work = if nothing_happened { Change::Close(ticket) } else { Change::Keep };
            Some(Outcome { unread: unread.as_ref(), work, ..outcome })
        })
        .await;
        if !nothing_happened {
            self.try_again_in(ticket, Duration::ZERO).await;
        }
    }
}
