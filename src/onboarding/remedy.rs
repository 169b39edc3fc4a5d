//! What is done about a difference between Cloud Elements and us, where that was asked for.

use time::OffsetDateTime;
use uuid::Uuid;

use super::settle::Outcome;
use super::{Drift, Finding, Measures, Onboarding};
use crate::elements::{
    BrowserHash, ElementInstance, Instance, InstanceState, Problem, ProblemKind, SignatureKey,
};
use crate::entropy::{draw, fresh_id};
use crate::reference::Reference;
use crate::storage::{NewInstanceRow, Ticket};

impl Onboarding {
    /// Does what `measures` allow about one finding.
    pub(super) async fn act(
        &self,
        finding: &mut Finding,
        found: Option<&ElementInstance>,
        measures: Measures,
    ) {
        let allowed = match finding.drift {
            Drift::Leftover => measures.delete,
            _ => measures.apply,
        };
        if !allowed {
            return;
        }
        let done = self.remedy(finding, found).await;
        if let Err(error) = &done {
            tracing::warn!(instance = %finding.instance, drift = finding.drift.as_str(), error, "a difference could not be put right");
        }
        finding.done = Some(done);
    }

    async fn remedy(&self, finding: &Finding, found: Option<&ElementInstance>) -> Result<(), String> {
        let row = self.storage.instance(finding.instance).await.map_err(|error| error.to_string())?;
        let reference = Reference::draw(&*self.entropy);
        match (finding.drift, row, found) {
            (Drift::Leftover, _, Some(found)) => {
                self.cloud_elements.delete(found.id).await.map_err(|error| error.to_string())
            }
            (Drift::UnknownUpstream, None, Some(found)) => {
                self.take_in(finding.instance, found, reference).await
            }
            (Drift::MissingUpstream, Some(row), _) => {
                let problem = Problem::new(ProblemKind::GoneUpstream, self.clock.now());
                let marked = self.settle(row, |now| {
                    let state = now.state.clone().trouble(problem.clone()).ok()?;
                    let step = ("needs_attention", problem.for_operator(), reference);
                    Some(Outcome { next_check: Some(self.soon()), ..Outcome::of(state, step) })
                });
                written(marked.await)
            }
            (Drift::Renamed, Some(row), Some(found)) => {
                let renamed = self.settle(row, |now| {
                    let summary = format!("Renamed at Cloud Elements: {} is now {}.", now.name, found.name);
                    let outcome = Outcome::of(now.state.clone(), ("renamed", summary, reference));
                    Some(Outcome { name: Some(&found.name), next_check: Some(self.soon()), ..outcome })
                });
                written(renamed.await)
            }
            (drift, Some(row), Some(found)) => self.repair(drift, row, found, reference).await,
            _ => Err("it has changed meanwhile".to_owned()),
        }
    }

    async fn repair(
        &self,
        drift: Drift,
        row: Instance,
        found: &ElementInstance,
        reference: Reference,
    ) -> Result<(), String> {
        self.put_right(&row, found).await.map_err(|error| error.to_string())?;
        let summary = format!("Put right at Cloud Elements: {}.", drift.as_str().replace('_', " "));
        let repaired = self.settle(row, |now| {
            let mut state = now.state.clone();
            if let (Drift::EventsOff, InstanceState::Connected(connection)) = (drift, &mut state) {
                connection.events_enabled = true;
            }
            let outcome = Outcome::of(state, ("repaired", summary.clone(), reference));
            Some(Outcome { next_check: Some(self.soon()), ..outcome })
        });
        written(repaired.await)
    }

    fn soon(&self) -> OffsetDateTime {
        self.clock.now() + super::check::FIRST
    }

    /// A row for an instance that has none, in the hands of recovery's own way of adopting. Its old signature
    /// key is lost, so it gets the row's.
    async fn take_in(&self, id: Uuid, found: &ElementInstance, reference: Reference) -> Result<(), String> {
        // No browser made it, so none may see its page.
        let browser = BrowserHash::from_stored(draw::<32>(&*self.entropy).to_vec());
        let name = found.name.clone();
        let instance = Instance {
            id,
            name,
            state: InstanceState::Provisioning,
            ..self.new_instance(browser, reference)
        };
        let row =
            NewInstanceRow { instance, signature_key: SignatureKey::draw(&*self.entropy), invite: None };
        let problem = Problem::new(ProblemKind::Orphaned, self.clock.now());
        let ticket = Ticket { instance: id, id: fresh_id(&*self.clock, &*self.entropy) };
        let summary = format!("Found at Cloud Elements as {} without a row here.", found.id);
        let step = self.step("unknown", summary, reference);
        let _held = self.hold(ticket);
        let made = self.storage.take_in(&row, &problem, (ticket, self.lease(), step)).await;
        if !made.map_err(|error| error.to_string())? {
            return Err("somebody else has just adopted it".to_owned());
        }
        let instance = self.storage.instance(id).await.map_err(|error| error.to_string())?;
        let again = self.cloud_elements.instance(found.id).await.map_err(|error| error.to_string())?;
        let (Some(instance), Some(again)) = (instance, again) else {
            return Err("it has gone meanwhile".to_owned());
        };
        self.adopt(ticket, instance, again, false).await;
        let state = self.storage.instance(id).await.map_err(|error| error.to_string())?;
        match state.map(|now| now.state) {
            Some(InstanceState::Connected(_)) => Ok(()),
            _ => Err("it could not be put right yet; that is tried again".to_owned()),
        }
    }
}

fn written(settled: Option<Instance>) -> Result<(), String> {
    settled.map(drop).ok_or_else(|| "it has changed meanwhile".to_owned())
}
