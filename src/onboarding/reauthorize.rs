//! An instance through consent again: it keeps its id, its history and its callback URL. The new code is
//! spent once, as the first was; whatever the answer, the instance's own token then tells whether it works.
//! Another account that arrives there is noticed and asked about; and the page of an instance moves to the
//! browser that renewed it only where the same account stood behind both.

use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;
use tokio::sync::oneshot;
use tracing::Instrument;
use uuid::Uuid;

use super::adopt::own_tags_and_others;
use super::check::Diagnosis;
use super::provision::{Arrived, Grant};
use super::recover::gap_after;
use super::settle::Outcome;
use super::{Onboarding, check};
use crate::elements::{BrowserHash, CallError, Instance, InstanceState, Problem, ProblemKind, noting_calls};
use crate::oauth::GrantCode;
use crate::reference::Reference;
use crate::storage::{Change, Claim, ClaimedRequest, OpenWork, StorageError, Ticket, Token, Trip};

/// What is looked at before the call must not eat up the code's life.
const PREPARING: Duration = Duration::from_secs(3);

/// How the call with the code ended.
struct Answered {
    /// The token of a yes.
    token: Option<SecretString>,
    /// What a no said.
    said: Option<String>,
    /// Whose request it was.
    browser: Option<BrowserHash>,
}

impl Onboarding {
    /// Claims a grant that renews `instance`, and waits for the outcome as [`Onboarding::accept`] does.
    pub async fn renew(
        self: &Arc<Self>,
        instance: Uuid,
        grant: Grant,
        patience: Duration,
    ) -> Result<Arrived, StorageError> {
        let (tell, told) = oneshot::channel();
        let task = Arc::clone(self).claim_and_reauthorize(instance, grant, tell).in_current_span();
        let task = self.tasks.spawn_on(task, &self.runtime);
        let claimed = told.await.map_err(|_| StorageError::Closed)??;
        let _ = tokio::time::timeout(patience, task).await;
        self.page_of(&claimed).await
    }

    /// The page that tells this request's browser what became of it.
    pub async fn page_of(&self, claimed: &ClaimedRequest) -> Result<Arrived, StorageError> {
        let Trip::Granted(id) = claimed.trip else { return Ok(claimed.destination()) };
        let instance = self.storage.instance(id).await?;
        let owner = instance.is_some_and(|instance| instance.browser == claimed.browser);
        Ok(if owner { Arrived::Instance(id) } else { Arrived::Request(claimed.id) })
    }

    async fn claim_and_reauthorize(
        self: Arc<Self>,
        id: Uuid,
        grant: Grant,
        tell: oneshot::Sender<Result<ClaimedRequest, StorageError>>,
    ) {
        let Grant { state, code, browser, reference, .. } = grant;
        let request = self.claimed(browser.clone(), Trip::Granted(id), reference);
        let ticket = Ticket { instance: id, id: request.id };
        let step =
            self.step("granted", "The customer approved again; the grant code was claimed.", reference);
        let open = (ticket, step, self.short_lease());
        let claim = self.storage.claim_renewal(state, &request, &code, open).await;
        let won = matches!(claim, Ok(Claim::Won));
        let _ = tell.send(claim.map(|claim| match claim {
            // A renewal has no invite that could be closed.
            Claim::Won | Claim::InviteClosed => request,
            Claim::Lost(earlier) => earlier,
        }));
        let Some(_held) = won.then(|| self.hold(ticket)).flatten() else { return };
        if let Ok(Some(instance)) = self.storage.instance(id).await {
            noting_calls(self.reauthorize(ticket, instance, (code, browser), reference)).await;
        }
    }

    /// The one call with this code.
    async fn reauthorize(
        &self,
        ticket: Ticket,
        instance: Instance,
        (code, browser): (GrantCode, BrowserHash),
        reference: Reference,
    ) {
        let id = instance.id;
        let Some(upstream) = instance.state.connection().map(|connection| connection.element_instance_id)
        else {
            return self.end_without(ticket).await;
        };
        let Ok(Some((_, key))) = self.storage.instance_with_key(id).await else { return };
        let mut order = self.order(&instance, &code, &key);
        if let Ok(Some(others)) = tokio::time::timeout(PREPARING, self.prepare(&instance, upstream)).await {
            order.tags = own_tags_and_others(order.tags, &others);
        }
        if !self.may_send(ticket).await {
            return;
        }
        let answer = self.cloud_elements.reauthorize(upstream, &order).await;
        let browser = Some(browser);
        let answered = match answer {
            Ok(found) => Answered { token: Some(found.token), said: None, browser },
            Err(error @ CallError::Unclear { .. }) => {
                return self.renewal_is_unclear(ticket, instance, error, reference).await;
            }
            Err(error) => {
                let (problem, _) = error.into_problem(self.clock.now());
                tracing::warn!(instance = %id, problem = problem.kind.as_str(), detail = problem.detail, "the renewal was not accepted");
                Answered { token: None, said: Some(problem.for_operator()), browser }
            }
        };
        self.conclude_renewal((ticket, true), instance, answered, reference).await;
    }

    /// Before the call: whose account it was, where nobody has looked yet, and which tags it carries.
    async fn prepare(&self, instance: &Instance, upstream: i64) -> Option<Vec<String>> {
        if instance.audiences.is_none()
            && let Ok(Some(token)) = self.storage.instance_token(instance.id).await
            && let Some(audiences) = self.audiences_of(&token).await
            && let Err(error) = self.storage.first_account(instance.id, &audiences).await
        {
            tracing::warn!(instance = %instance.id, %error, "whose account it was could not be kept");
        }
        self.cloud_elements.instance(upstream).await.ok().flatten().map(|found| found.tags)
    }

    /// The call may still take effect.
    async fn renewal_is_unclear(
        &self,
        ticket: Ticket,
        instance: Instance,
        error: CallError,
        reference: Reference,
    ) {
        let (problem, _) = error.into_problem(self.clock.now());
        let summary = format!(
            "The new approval was sent and no clear answer came ({}); whether it works is looked at again.",
            problem.detail.unwrap_or_default()
        );
        self.settle(instance, |now| {
            Some(Outcome::of(now.state.clone(), ("unknown", summary.clone(), reference)))
        })
        .await;
        self.try_again_in(ticket, Duration::from_secs(1)).await;
    }

    /// After a crash, or where nothing could be told: a code that was never sent may be, while it lives; one
    /// that was is looked up by what the instance's token says.
    pub(super) async fn resume_reauthorization(&self, open: OpenWork) {
        let over = self.has_looked_long_enough(&open);
        let OpenWork { ticket, instance, sent_at, looks, .. } = open;
        let reference = instance.reference;
        let (Ok(code), Ok(request)) =
            (self.storage.grant_code(ticket).await, self.storage.claimed_request_by_id(ticket.id).await)
        else {
            return self.try_again_in(ticket, gap_after(looks)).await;
        };
        let browser = request.map(|request| request.browser);
        let late = ProblemKind::NotSent.for_operator().to_owned();
        match (sent_at, code, browser) {
            (None, Some((code, claimed_at)), Some(browser))
                if self.clock.now() - claimed_at < super::recover::CODE_LIVES =>
            {
                self.reauthorize(ticket, instance, (code, browser), reference).await;
            }
            (None, _, browser) => {
                let answered = Answered { token: None, said: Some(late), browser };
                self.conclude_renewal((ticket, true), instance, answered, reference).await;
            }
            (Some(_), _, browser) => {
                let answered = Answered { token: None, said: None, browser };
                self.conclude_renewal((ticket, over), instance, answered, reference).await;
            }
        }
    }

    /// What the instance's token says now decides. That it does not work is believed of an unclear call only
    /// when it has been looked at long enough: `surely`.
    async fn conclude_renewal(
        &self,
        (ticket, surely): (Ticket, bool),
        instance: Instance,
        answered: Answered,
        reference: Reference,
    ) {
        let id = instance.id;
        let Some(connection) = instance.state.connection().cloned() else {
            return self.end_without(ticket).await;
        };
        let stored = self.storage.instance_token(id).await.ok().flatten();
        let diagnosis = match answered.token.as_ref().or(stored.as_ref()) {
            Some(token) => self.diagnose(connection.element_instance_id, token).await,
            None => Diagnosis::Undetermined("there is no token to ask with".to_owned()),
        };
        match diagnosis {
            Diagnosis::Undetermined(why) => {
                tracing::warn!(instance = %id, why, "whether a renewal worked cannot be told yet");
                self.look_again_in(ticket, Duration::from_secs(5)).await;
            }
            Diagnosis::Trouble(..) if !surely => self.look_again_in(ticket, Duration::from_secs(5)).await,
            Diagnosis::Trouble(kind, detail) => {
                let problem = Problem { kind, detail, since: self.clock.now() };
                let summary = answered.said.unwrap_or_else(|| problem.for_operator());
                let next_check = Some(self.clock.now() + check::FIRST);
                self.settle(instance, |now| {
                    let state = now.state.clone().trouble(problem.clone()).ok()?;
                    let outcome = Outcome::of(state, ("needs_attention", summary.clone(), reference));
                    Some(Outcome { next_check, work: Change::Close(ticket), ..outcome })
                })
                .await;
            }
            Diagnosis::Works { audiences, token } => {
                let token = token.or(answered.token);
                let answered = Answered { token, ..answered };
                self.works(ticket, instance, (audiences, answered), reference).await;
            }
        }
    }

    /// It works; whose account it is now is told by its audiences.
    async fn works(
        &self,
        ticket: Ticket,
        instance: Instance,
        (audiences, answered): (Option<Vec<String>>, Answered),
        reference: Reference,
    ) {
        let found = audiences.unwrap_or_default();
        let Answered { token, said, browser } = answered;
        let accepted = said.is_none() && token.is_some();
        let next_check = Some(self.clock.now() + check::FIRST);
        // An earlier look may have learnt whose account it was since the row was read.
        let instance = match self.storage.instance(instance.id).await {
            Ok(Some(now)) => now,
            _ => instance,
        };
        self.settle(instance, |now| {
            let (state, kind, summary) = if let Some(problem) = now.another_account(&found, self.clock.now())
            {
                let summary = problem.for_operator();
                (now.state.clone().trouble(problem).ok()?, "needs_attention", summary)
            } else {
                let summary =
                    said.clone().unwrap_or_else(|| "Approved again: the instance works.".to_owned());
                let kind = if said.is_some() { "not_renewed" } else { "renewed" };
                (now.state.clone().mend(now.state.connection()?.clone()).ok()?, kind, summary)
            };
            let proven = accepted && now.same_account(&found);
            let outcome = Outcome::of(state, (kind, summary, reference));
            Some(Outcome {
                token: token.as_ref().map_or(Token::Keep, Token::Put),
                browser: browser.as_ref().filter(|_| proven),
                next_check,
                work: Change::Close(ticket),
                ..outcome
            })
        })
        .await;
    }

    /// The work leads to nothing: there is no instance that it could be about.
    pub(super) async fn end_without(&self, ticket: Ticket) {
        tracing::error!(instance = %ticket.instance, "open work is about nothing, and is closed");
        if let Err(error) = self.storage.drop_work(ticket).await {
            tracing::error!(instance = %ticket.instance, %error, "open work could not be closed");
        }
    }

    /// The customer says that the other account is the one that is meant.
    pub async fn keep_other_account(&self, id: Uuid, reference: Reference) -> Result<bool, StorageError> {
        let Some(instance) = self.storage.instance(id).await? else { return Ok(false) };
        let asked = |now: &Instance| {
            now.state.problem().is_some_and(|problem| problem.kind == ProblemKind::OtherAccount)
                && !now.renewing
        };
        if !asked(&instance) {
            return Ok(false);
        }
        self.storage.forget_account(id).await?;
        // They were the other account's; its webhooks are out of this token's reach.
        self.storage.forget_audiences(id).await?;
        let next_check = Some(self.clock.now() + check::FIRST);
        let kept = self.settle(instance, |now| {
            let InstanceState::NeedsAttention(connection, _) = &now.state else { return None };
            let state = now.state.clone().mend(connection.clone()).ok().filter(|_| asked(now))?;
            let summary = "The customer chose the other MailChimp account.".to_owned();
            Some(Outcome { next_check, ..Outcome::of(state, ("renewed", summary, reference)) })
        });
        Ok(kept.await.is_some())
    }
}
