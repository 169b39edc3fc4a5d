//! An instance through consent again: it keeps its id, its history and its callback URL. The new code is
//! spent once, as the first was; whatever the answer, the instance's own token then tells whether it works.
//! Another account that arrives there is noticed and asked about.

use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;
use tokio::sync::oneshot;
use tracing::Instrument;
use uuid::Uuid;

use super::check::Diagnosis;
use super::provision::{Arrived, Grant};
use super::settle::{NewToken, Outcome};
use super::{Onboarding, check};
use crate::elements::{Connection, Instance, InstanceState, InvalidTransition, Problem, ProblemKind};
use crate::oauth::GrantCode;
use crate::reference::Reference;
use crate::storage::{Change, Claim, OpenWork, StorageError, Trip};

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
        let arrived = told.await.map_err(|_| StorageError::Closed)?;
        let _ = tokio::time::timeout(patience, task).await;
        arrived
    }

    async fn claim_and_reauthorize(
        self: Arc<Self>,
        id: Uuid,
        grant: Grant,
        tell: oneshot::Sender<Result<Arrived, StorageError>>,
    ) {
        let Grant { state, code, browser, reference } = grant;
        let request = self.claimed(browser, Trip::Granted(id), reference);
        let step =
            self.step("granted", "The customer approved again; the grant code was claimed.", reference);
        let _held = self.hold(id);
        let claim = self.storage.claim_renewal(state, &request, &code, (id, step, self.lease())).await;
        let won = matches!(claim, Ok(Claim::Won));
        // Whoever may renew it may see its page: the callback lets nobody else here.
        let _ = tell.send(claim.map(|_| Arrived::Instance(id)));
        if won && let Ok(Some(instance)) = self.storage.instance(id).await {
            self.reauthorize(instance, code, reference).await;
        }
    }

    /// The one call with this code.
    async fn reauthorize(&self, instance: Instance, code: GrantCode, reference: Reference) {
        let id = instance.id;
        let Some(connection) = instance.state.connection().cloned() else { return };
        let Ok(Some((_, key))) = self.storage.instance_with_key(id).await else { return };
        if !matches!(self.storage.mark_sent(id, self.holder, self.clock.now()).await, Ok(true)) {
            return tracing::warn!(instance = %id, "the renewal did not leave; recovery takes it up");
        }
        let order = self.order(&instance, &code, &key);
        let answer = self.cloud_elements.reauthorize(connection.element_instance_id, &order).await;
        let (token, said) = match answer {
            Ok(found) => (Some(found.token), None),
            Err(error) => {
                let (problem, _) = error.into_problem(self.clock.now());
                tracing::warn!(instance = %id, problem = problem.kind.as_str(), detail = problem.detail, "the renewal was not accepted");
                (None, Some(problem.for_operator()))
            }
        };
        self.conclude_renewal(instance, token, said, reference).await;
    }

    /// After a crash, or where nothing could be told: a code that was never sent has ended by now, and one
    /// that was is looked up by what the instance's token says.
    pub(super) async fn resume_reauthorization(&self, open: OpenWork) {
        let reference = open.instance.reference;
        let said = if open.sent_at.is_none() {
            match self.storage.grant_code(open.instance.id).await {
                Ok(Some((code, claimed_at)))
                    if self.clock.now() - claimed_at < super::recover::CODE_LIVES =>
                {
                    return self.reauthorize(open.instance, code, reference).await;
                }
                _ => Some(ProblemKind::NotSent.for_operator().to_owned()),
            }
        } else {
            None
        };
        self.conclude_renewal(open.instance, None, said, reference).await;
    }

    async fn conclude_renewal(
        &self,
        instance: Instance,
        token: Option<SecretString>,
        said: Option<String>,
        reference: Reference,
    ) {
        let id = instance.id;
        let Some(connection) = instance.state.connection().cloned() else { return };
        let stored = self.storage.instance_token(id).await.ok().flatten();
        let diagnosis = match token.as_ref().or(stored.as_ref()) {
            Some(token) => self.diagnose(connection.element_instance_id, token).await,
            None => Diagnosis::Undetermined("there is no token to ask with".to_owned()),
        };
        let now = self.clock.now();
        let (state, summary) = match diagnosis {
            Diagnosis::Undetermined(why) => {
                tracing::warn!(instance = %id, why, "whether a renewal worked cannot be told yet");
                return self.look_again_in(id, Duration::from_secs(5)).await;
            }
            Diagnosis::Trouble(kind, detail) => {
                let problem = Problem { kind, detail, since: now };
                let summary = said.unwrap_or_else(|| problem.for_operator());
                (instance.state.clone().trouble(problem), summary)
            }
            Diagnosis::Works { audiences, .. } => {
                self.approved(&instance, connection, audiences.as_deref(), said)
            }
        };
        let Ok(state) = state else { return };
        let kind = if matches!(state, InstanceState::Connected(_)) { "renewed" } else { "needs_attention" };
        let from = instance.state.as_str();
        let outcome = Outcome::closing(from, Instance { state, ..instance }, (kind, summary, reference));
        let token = token.map_or(NewToken::Keep, NewToken::Put);
        let next_check = Some(now + check::FIRST);
        self.settle(Outcome { token, next_check, work: Change::Close, ..outcome }).await;
    }

    /// It works; whose account it is now is told by its audiences.
    fn approved(
        &self,
        instance: &Instance,
        connection: Connection,
        after: Option<&[String]>,
        said: Option<String>,
    ) -> (Result<InstanceState, InvalidTransition>, String) {
        let before = instance.audiences.as_deref();
        if is_another_account(before.unwrap_or_default(), after.unwrap_or_default()) {
            let detail = format!(
                "audiences {} before, {} now",
                before.unwrap_or_default().join(", "),
                after.unwrap_or_default().join(", ")
            );
            let kind = ProblemKind::OtherAccount;
            let problem = Problem { kind, detail: Some(detail), since: self.clock.now() };
            let summary = problem.for_operator();
            return (instance.state.clone().trouble(problem), summary);
        }
        let summary = said.unwrap_or_else(|| "Approved again: the instance works.".to_owned());
        (instance.state.clone().mend(connection), summary)
    }

    /// The customer says that the other account is the one that is meant.
    pub async fn keep_other_account(&self, id: Uuid, reference: Reference) -> Result<bool, StorageError> {
        let Some(instance) = self.storage.instance(id).await? else { return Ok(false) };
        let InstanceState::NeedsAttention(connection, problem) = instance.state.clone() else {
            return Ok(false);
        };
        if problem.kind != ProblemKind::OtherAccount {
            return Ok(false);
        }
        self.storage.forget_account(id).await?;
        let Ok(state) = instance.state.clone().mend(connection) else { return Ok(false) };
        let summary = "The customer chose the other MailChimp account.".to_owned();
        let after = Instance { state, ..instance };
        let outcome = Outcome::closing("needs_attention", after, ("renewed", summary, reference));
        let next_check = Some(self.clock.now() + check::FIRST);
        Ok(self.settle(Outcome { next_check, ..outcome }).await)
    }
}

/// Mailchimp's audience ids are unique among all accounts: two lists without a common one are of two.
fn is_another_account(before: &[String], after: &[String]) -> bool {
    !before.is_empty() && !after.is_empty() && !before.iter().any(|id| after.contains(id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_another_one_only_if_no_audience_is_the_same() {
        let of = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect::<Vec<_>>();
        assert!(is_another_account(&of(&["a", "b"]), &of(&["c"])));
        assert!(!is_another_account(&of(&["a", "b"]), &of(&["b", "c"])));
        assert!(!is_another_account(&of(&[]), &of(&["c"])));
        assert!(!is_another_account(&of(&["a"]), &of(&[])));
    }
}
