//! Whether an instance works: asked of Cloud Elements with the instance's own token, spread over the day,
//! and whenever somebody wants to know. Marks only what is certain; a Cloud Elements that does not answer
//! says nothing about an instance.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use secrecy::{ExposeSecret, SecretString};
use time::OffsetDateTime;
use uuid::Uuid;

use super::Onboarding;
use super::settle::Outcome;
use crate::elements::{
    Access, Audience, CallError, Instance, InstanceState, Ping, Problem, ProblemKind, noting_calls,
};
use crate::entropy::draw;
use crate::reference::Reference;
use crate::storage::{StorageError, Token};

/// Between two looks at which instances are due, and how many are checked in each: the budget is one a
/// second, 86,400 a day.
pub(super) const GAP: Duration = Duration::from_secs(5);
const ROWS: u16 = 5;
const CALLS_AT_ONCE: usize = 2;
/// A new instance is looked after soon: then its account is known.
pub(super) const FIRST: time::Duration = time::Duration::minutes(1);
/// From then on about once a day; what needs attention, once an hour.
const DAILY: time::Duration = time::Duration::hours(24);
const HOURLY: time::Duration = time::Duration::hours(1);

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Checked {
    /// It works.
    Works,
    /// It does not, for certain.
    NeedsAttention(ProblemKind),
    /// Nothing can be said; why, for the operator.
    Undetermined(String),
}

/// What was found out, before anything is written.
pub(super) enum Diagnosis {
    /// With the account's audiences, where they could be read, and a token that replaces ours.
    Works { audiences: Option<Vec<String>>, token: Option<SecretString> },
    /// Certain.
    Trouble(ProblemKind, Option<String>),
    /// Not certain.
    Undetermined(String),
}

impl Onboarding {
    /// Checks what is due, within the budget.
    pub async fn check_due(self: &Arc<Self>) -> Result<(), StorageError> {
        let due = self.storage.due_checks(self.clock.now(), self.next_check(DAILY), ROWS).await?;
        let checks = futures_util::stream::iter(due);
        checks
            .for_each_concurrent(CALLS_AT_ONCE, |id| async move {
                let reference = Reference::draw(&*self.entropy);
                match self.check(id, reference, false).await {
                    Ok(Some(Checked::NeedsAttention(kind))) => {
                        tracing::warn!(instance = %id, problem = kind.as_str(), "an instance needs attention");
                    }
                    Ok(_) => {}
                    Err(error) => tracing::error!(instance = %id, %error, "a check could not be written"),
                }
            })
            .await;
        Ok(())
    }

    /// Checks one instance now. `None` where there is nothing to check: it does not exist upstream, or is
    /// on its way out. `asked` puts a line on the timeline whatever is found.
    pub async fn check(
        &self,
        id: Uuid,
        reference: Reference,
        asked: bool,
    ) -> Result<Option<Checked>, StorageError> {
        noting_calls(self.check_and_note(id, reference, asked)).await
    }

    async fn check_and_note(
        &self,
        id: Uuid,
        reference: Reference,
        asked: bool,
    ) -> Result<Option<Checked>, StorageError> {
        let Some(instance) = self.storage.instance(id).await? else { return Ok(None) };
        let Some(connection) = instance.state.in_use().cloned() else { return Ok(None) };
        let diagnosis = match self.storage.instance_token(id).await? {
            // Which grant would answer is not certain just now.
            _ if instance.renewing => Diagnosis::Undetermined("a new approval is being worked on".to_owned()),
            Some(token) => self.diagnose(connection.element_instance_id, &token).await,
            None => Diagnosis::Undetermined("there is no token to ask with".to_owned()),
        };
        let checked = self.conclude(instance, diagnosis, (reference, asked)).await?;
        let result = match &checked {
            Checked::Works => "works",
            Checked::NeedsAttention(kind) => kind.as_str(),
            Checked::Undetermined(_) => "undetermined",
        };
        metrics::counter!("gangway_checks_total", "result" => result).increment(1);
        Ok(Some(checked))
    }

    async fn conclude(
        &self,
        instance: Instance,
        diagnosis: Diagnosis,
        (reference, asked): (Reference, bool),
    ) -> Result<Checked, StorageError> {
        match diagnosis {
            Diagnosis::Works { audiences, token } => {
                let found = audiences.as_deref().unwrap_or_default();
                if let Some(problem) = instance.another_account(found, self.clock.now()) {
                    return self.in_trouble(instance, problem, (reference, asked)).await;
                }
                self.working(instance, (audiences, token), (reference, asked)).await
            }
            Diagnosis::Trouble(kind, detail) => {
                let problem = Problem { kind, detail, since: self.clock.now() };
                self.in_trouble(instance, problem, (reference, asked)).await
            }
            Diagnosis::Undetermined(why) => {
                let next = self.next_check(HOURLY);
                self.storage.looked_after(instance.id, self.clock.now(), next, None).await?;
                if asked {
                    let summary = format!("The check could not tell: {why}");
                    let state = instance.state.clone();
                    self.note(instance, (state, None), ("checked", summary, reference)).await;
                }
                Ok(Checked::Undetermined(why))
            }
        }
    }

    async fn working(
        &self,
        instance: Instance,
        (audiences, token): (Option<Vec<String>>, Option<SecretString>),
        (reference, asked): (Reference, bool),
    ) -> Result<Checked, StorageError> {
        let mended = mendable(&instance.state);
        self.storage.looked_after(instance.id, self.clock.now(), self.next_check(DAILY), audiences).await?;
        let summary = if mended.is_some() {
            "Checked: it works again."
        } else {
            "Checked: Cloud Elements and MailChimp let this instance in."
        };
        if mended.is_some() || asked || token.is_some() {
            let state = mended.unwrap_or_else(|| instance.state.clone());
            self.note(instance, (state, token), ("checked", summary.to_owned(), reference)).await;
        }
        Ok(Checked::Works)
    }

    async fn in_trouble(
        &self,
        instance: Instance,
        problem: Problem,
        (reference, asked): (Reference, bool),
    ) -> Result<Checked, StorageError> {
        let kind = problem.kind;
        self.storage.looked_after(instance.id, self.clock.now(), self.next_check(HOURLY), None).await?;
        let summary = problem.for_operator();
        let known = instance.state.problem().is_some_and(|known| known.kind == kind);
        if let Ok(state) = instance.state.clone().trouble(problem)
            && (!known || asked)
        {
            self.note(instance, (state, None), ("needs_attention", summary, reference)).await;
        }
        Ok(Checked::NeedsAttention(kind))
    }

    /// Writes a state, or the same one again, with a line. What was found of a row that has changed
    /// meanwhile, by a new approval for one, says nothing about how it stands now.
    async fn note(
        &self,
        instance: Instance,
        (state, token): (InstanceState, Option<SecretString>),
        (kind, summary, reference): (&'static str, String, Reference),
    ) {
        let seen = instance.version;
        let gap = if matches!(state, InstanceState::NeedsAttention(..)) { HOURLY } else { DAILY };
        let next_check = Some(self.next_check(gap));
        self.settle(instance, |now| {
            let outcome = Outcome::of(state.clone(), (kind, summary.clone(), reference));
            let token = token.as_ref().map_or(Token::Keep, Token::Put);
            (now.version == seen).then_some(Outcome { token, next_check, ..outcome })
        })
        .await;
    }

    /// Asks with the token; what it leaves open is asked without.
    pub(super) async fn diagnose(&self, element_instance_id: i64, token: &SecretString) -> Diagnosis {
        match self.ask(token).await {
            Ok(audiences) => Diagnosis::Works { audiences, token: None },
            Err(Said::NotValid) => Diagnosis::Trouble(ProblemKind::NotValid, None),
            Err(Said::Error(error)) => self.explain(element_instance_id, token, error).await,
        }
    }

    /// The ping, and the audiences: the one call may be answered without asking Mailchimp, the other not. A
    /// yes to either is a yes; no answer to both says nothing.
    async fn ask(&self, token: &SecretString) -> Result<Option<Vec<String>>, Said> {
        let pinged = match self.cloud_elements.ping(token).await {
            Ok(Ping::NotValid) => return Err(Said::NotValid),
            Ok(Ping::Valid) => true,
            // Whether this element has a ping is not documented; then the list alone decides.
            Err(error) if matches!(error.status(), Some(404 | 405)) => false,
            Err(error) => return Err(Said::Error(error)),
        };
        match self.cloud_elements.audiences(token).await {
            Ok(audiences) => Ok(Some(ids(audiences))),
            Err(error) if matches!(error.status(), Some(401 | 403)) => Err(Said::Error(error)),
            // An element without this resource can still work.
            Err(error) if error.status().is_some() && pinged => Ok(None),
            Err(error) => Err(Said::Error(error)),
        }
    }

    /// The account's audiences, asked for in passing.
    pub(super) async fn audiences_of(&self, token: &SecretString) -> Option<Vec<String>> {
        self.cloud_elements.audiences(token).await.ok().map(ids)
    }

    /// A 401 has one text for wrong account secrets, a wrong token and a deleted instance (reference section
    /// 7.9); a 403 may be the vendor's or a switched-off instance's.
    async fn explain(&self, id: i64, token: &SecretString, error: CallError) -> Diagnosis {
        let CallError::Refused(refusal) = error else { return Diagnosis::Undetermined(error.to_string()) };
        let said = Some(refusal.to_string());
        if !matches!(refusal.status.as_u16(), 401 | 403) {
            return Diagnosis::Undetermined(refusal.to_string());
        }
        if refusal.status.as_u16() == 401 && refusal.provider_message.is_some() {
            return Diagnosis::Trouble(ProblemKind::AccessRevoked, said);
        }
        if !matches!(self.cloud_elements.access().await, Ok(Access::Granted(_))) {
            let why = "Cloud Elements refuses Gangway's own secrets, so nothing can be said of this instance";
            return Diagnosis::Undetermined(why.to_owned());
        }
        match self.cloud_elements.instance(id).await {
            Ok(None) => Diagnosis::Trouble(ProblemKind::GoneUpstream, said),
            Ok(Some(found)) if found.disabled => Diagnosis::Trouble(ProblemKind::DisabledUpstream, said),
            Ok(Some(found)) if found.token.expose_secret() != token.expose_secret() => {
                match self.ask(&found.token).await {
                    Ok(audiences) => Diagnosis::Works { audiences, token: Some(found.token) },
                    Err(Said::NotValid) => Diagnosis::Trouble(ProblemKind::NotValid, said),
                    Err(Said::Error(error)) if matches!(error.status(), Some(401 | 403)) => {
                        Diagnosis::Trouble(ProblemKind::AccessRevoked, said)
                    }
                    Err(Said::Error(error)) => Diagnosis::Undetermined(error.to_string()),
                }
            }
            Ok(Some(_)) => Diagnosis::Trouble(ProblemKind::AccessRevoked, said),
            Err(error) => Diagnosis::Undetermined(error.to_string()),
        }
    }

    /// `gap` from now, give or take a tenth, so that what was made together does not stay together.
    fn next_check(&self, gap: time::Duration) -> OffsetDateTime {
        let [byte] = draw::<1>(&*self.entropy);
        self.clock.now() + gap + gap * (f64::from(byte) / 255.0 - 0.5) / 5.0
    }
}

enum Said {
    NotValid,
    Error(CallError),
}

fn ids(audiences: Vec<Audience>) -> Vec<String> {
    let mut ids: Vec<String> = audiences.into_iter().map(|audience| audience.id).collect();
    ids.sort();
    ids
}

/// What a check that found nothing wrong mends. That another account was approved is for the customer to
/// settle.
fn mendable(state: &InstanceState) -> Option<InstanceState> {
    match state {
        InstanceState::NeedsAttention(_, problem) if problem.kind == ProblemKind::OtherAccount => None,
        InstanceState::NeedsAttention(connection, _) => state.clone().mend(connection.clone()).ok(),
        _ => None,
    }
}
