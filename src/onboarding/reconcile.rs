//! Cloud Elements' instances and ours, compared: what one side has and the other does not, and what differs.
//! Tells first; puts right only what it is told to. What others made is never touched: ours carry our tag,
//! or an id that a row of ours has.

use std::collections::HashSet;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use secrecy::SecretString;
use time::OffsetDateTime;
use uuid::Uuid;

use super::Onboarding;
use super::settle::Outcome;
use crate::elements::{
    BrowserHash, CallError, Connection, ElementInstance, Instance, InstanceState, Problem, ProblemKind,
    SignatureKey, Wanted, named_by_tag, own_tag,
};
use crate::entropy::draw;
use crate::reference::Reference;
use crate::storage::{NewInstanceRow, StorageError};

/// Between two looks at whether it is time, and between two comparisons.
pub(super) const GAP: Duration = Duration::from_secs(60);
const EVERY: time::Duration = time::Duration::hours(6);
/// More findings are counted, not kept.
const MOST_FINDINGS: usize = 1000;
const ROWS: u16 = 500;

/// What differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drift {
    /// Carries our tag, and there is no row for it: a database that was put back, most likely.
    UnknownUpstream,
    /// Carries our tag, and its row says that nothing is connected, or another instance is.
    Leftover,
    /// A row says that it exists, and Cloud Elements has none of that id.
    MissingUpstream,
    /// Its notifications go somewhere else.
    WrongCallbackUrl,
    /// It sends no notifications.
    EventsOff,
    /// It is switched off.
    Disabled,
    /// It has another name there.
    Renamed,
    /// It has lost our tag.
    Retagged,
}

impl Drift {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::UnknownUpstream => "unknown_upstream",
            Self::Leftover => "leftover",
            Self::MissingUpstream => "missing_upstream",
            Self::WrongCallbackUrl => "wrong_callback_url",
            Self::EventsOff => "events_off",
            Self::Disabled => "disabled",
            Self::Renamed => "renamed",
            Self::Retagged => "retagged",
        }
    }

    /// What `--apply` does about it.
    pub fn remedy(self) -> &'static str {
        match self {
            Self::UnknownUpstream => "adopt",
            Self::Leftover => "delete",
            Self::MissingUpstream => "mark",
            Self::Renamed => "take over the name",
            Self::WrongCallbackUrl | Self::EventsOff | Self::Disabled | Self::Retagged => "repair",
        }
    }
}

/// One difference.
#[derive(Debug, Clone)]
pub struct Finding {
    /// What.
    pub drift: Drift,
    /// Our id of it.
    pub instance: Uuid,
    /// Cloud Elements' id of it.
    pub element_instance_id: i64,
    /// Its name.
    pub name: String,
    /// What was done about it, or why that failed; `None`: nothing was asked.
    pub done: Option<Result<(), String>>,
}

/// What may be done about findings.
#[derive(Debug, Clone, Copy, Default)]
pub struct Measures {
    /// Adopt, repair and mark.
    pub apply: bool,
    /// Delete leftovers at Cloud Elements, too.
    pub delete: bool,
}

/// What a comparison found.
#[derive(Debug, Clone)]
pub struct Report {
    /// When it began.
    pub at: OffsetDateTime,
    /// Instances of Cloud Elements' list.
    pub upstream: usize,
    /// Of those, ours.
    pub ours: usize,
    /// What differs; the first thousand.
    pub findings: Vec<Finding>,
    /// How much differs.
    pub count: usize,
}

/// Why no comparison came about.
#[derive(Debug, thiserror::Error)]
pub enum NotCompared {
    /// Cloud Elements' list could not be read.
    #[error("Cloud Elements' instances could not be listed: {0}")]
    Upstream(#[from] CallError),
    /// Ours could not.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl Onboarding {
    /// The latest comparison of this process.
    pub fn last_report(&self) -> Option<Arc<Report>> {
        self.last_report.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) async fn reconcile_in_passing(self: &Arc<Self>) -> Result<(), StorageError> {
        let last = self.last_report().map_or(self.started_at, |report| report.at);
        if self.clock.now() - last < EVERY {
            return Ok(());
        }
        match self.reconcile(Measures::default()).await {
            Ok(report) => {
                if report.count > 0 {
                    tracing::warn!(
                        count = report.count,
                        "Cloud Elements and Gangway differ; see `gangway reconcile`"
                    );
                }
                Ok(())
            }
            Err(NotCompared::Storage(error)) => Err(error),
            Err(NotCompared::Upstream(error)) => {
                tracing::warn!(%error, "the comparison with Cloud Elements did not come about");
                Ok(())
            }
        }
    }

    /// Compares everything, and does what `measures` allow.
    pub async fn reconcile(&self, measures: Measures) -> Result<Arc<Report>, NotCompared> {
        let at = self.clock.now();
        let mut report = Report { at, upstream: 0, ours: 0, findings: Vec::new(), count: 0 };
        let mut seen = HashSet::new();
        let mut next: Option<String> = None;
        loop {
            let page = self.cloud_elements.page(None, next.as_deref()).await?;
            report.upstream += page.instances.len();
            for found in page.instances {
                if !seen.insert(found.id) {
                    continue;
                }
                if let Some(mut finding) = self.compare(&found, &mut report).await? {
                    self.act(&mut finding, Some(&found), measures).await;
                    report.add(finding);
                }
            }
            // A token that repeats would lead in a circle.
            if page.next.is_none() || page.next == next {
                break;
            }
            next = page.next;
        }
        self.find_missing(&seen, &mut report, measures).await?;
        metrics::gauge!("gangway_drift").set(u32::try_from(report.count).unwrap_or(u32::MAX));
        let report = Arc::new(report);
        *self.last_report.lock().unwrap_or_else(PoisonError::into_inner) = Some(report.clone());
        Ok(report)
    }

    async fn compare(
        &self,
        found: &ElementInstance,
        report: &mut Report,
    ) -> Result<Option<Finding>, StorageError> {
        let tagged = found.tags.iter().find_map(|tag| named_by_tag(tag));
        let row = match tagged {
            Some(id) => self.storage.instance(id).await?,
            None => self.storage.instance_of_element_instance(found.id).await?,
        };
        let (Some(id), true) = (tagged.or(row.as_ref().map(|row| row.id)), self.is_our_element(found)) else {
            return Ok(None);
        };
        report.ours += 1;
        let drift = row.as_ref().map_or(Some(Drift::UnknownUpstream), |row| self.drift(row, found));
        Ok(drift.map(|drift| Finding {
            drift,
            instance: id,
            element_instance_id: found.id,
            name: found.name.clone(),
            done: None,
        }))
    }

    fn is_our_element(&self, found: &ElementInstance) -> bool {
        found.element.as_ref().is_none_or(|element| *element == self.element)
    }

    fn drift(&self, row: &Instance, found: &ElementInstance) -> Option<Drift> {
        let connection = match &row.state {
            // Recovery has it.
            InstanceState::Provisioning | InstanceState::Unknown(_) | InstanceState::Disconnecting(_) => {
                return None;
            }
            InstanceState::Failed(_) | InstanceState::Disconnected(_) => return Some(Drift::Leftover),
            InstanceState::Connected(connection)
            | InstanceState::Paused(connection)
            | InstanceState::NeedsAttention(connection, _) => connection,
        };
        let paused = matches!(row.state, InstanceState::Paused(_));
        let url = self.public_url.events_url(row.id);
        if connection.element_instance_id != found.id {
            Some(Drift::Leftover)
        } else if found.events_url.as_ref().is_some_and(|known| *known != url) {
            Some(Drift::WrongCallbackUrl)
        } else if found.disabled {
            Some(Drift::Disabled)
        } else if found.events_enabled == Some(false) && !paused {
            Some(Drift::EventsOff)
        } else if !found.tags.iter().any(|tag| *tag == own_tag(row.id)) {
            Some(Drift::Retagged)
        } else if !found.name.is_empty() && found.name != row.name {
            Some(Drift::Renamed)
        } else {
            None
        }
    }

    /// Rows that say connected, and were on no page: asked for one by one, because a list may be behind.
    async fn find_missing(
        &self,
        seen: &HashSet<i64>,
        report: &mut Report,
        measures: Measures,
    ) -> Result<(), NotCompared> {
        for state in ["connected", "paused", "needs_attention"] {
            let mut after = None;
            loop {
                let page = self.storage.instances(Some(state), after, ROWS).await?;
                for row in page.items {
                    let Some(connection) = row.state.connection() else { continue };
                    let id = connection.element_instance_id;
                    let known =
                        row.state.problem().is_some_and(|known| known.kind == ProblemKind::GoneUpstream);
                    if seen.contains(&id) || connection.connected_at > report.at || known {
                        continue;
                    }
                    if self.cloud_elements.instance(id).await?.is_none() {
                        let (drift, name) = (Drift::MissingUpstream, row.name.clone());
                        let mut finding =
                            Finding { drift, instance: row.id, element_instance_id: id, name, done: None };
                        self.act(&mut finding, None, measures).await;
                        report.add(finding);
                    }
                }
                after = page.next;
                if after.is_none() {
                    break;
                }
            }
        }
        Ok(())
    }

    async fn act(&self, finding: &mut Finding, found: Option<&ElementInstance>, measures: Measures) {
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
        let storage = |error: StorageError| error.to_string();
        let upstream = |error: CallError| error.to_string();
        let row = self.storage.instance(finding.instance).await.map_err(storage)?;
        let reference = Reference::draw(&*self.entropy);
        match (finding.drift, row, found) {
            (Drift::Leftover, _, Some(found)) => self.cloud_elements.delete(found.id).await.map_err(upstream),
            (Drift::UnknownUpstream, None, Some(found)) => {
                self.adopt_unknown(finding.instance, found, reference).await
            }
            (Drift::MissingUpstream, Some(row), _) => {
                let problem = Problem::new(ProblemKind::GoneUpstream, self.clock.now());
                let summary = problem.for_operator();
                let state = row.state.clone().trouble(problem).map_err(|error| error.to_string())?;
                let step = ("needs_attention", summary, reference);
                self.write(row.state.as_str(), Instance { state, ..row.clone() }, step).await
            }
            (Drift::Renamed, Some(row), Some(found)) => {
                let summary = format!("Renamed at Cloud Elements: {} is now {}.", row.name, found.name);
                let after = Instance { name: found.name.clone(), ..row.clone() };
                self.write(row.state.as_str(), after, ("renamed", summary, reference)).await
            }
            (drift, Some(row), Some(found)) => {
                self.put_right(&row, found).await.map_err(upstream)?;
                let summary = format!("Put right at Cloud Elements: {}.", drift.as_str().replace('_', " "));
                let mut after = row.clone();
                if let (Drift::EventsOff, InstanceState::Connected(connection)) = (drift, &mut after.state) {
                    connection.events_enabled = true;
                }
                self.write(row.state.as_str(), after, ("repaired", summary, reference)).await
            }
            _ => Err("it has changed meanwhile".to_owned()),
        }
    }

    async fn write(
        &self,
        from: &'static str,
        after: Instance,
        step: (&'static str, String, Reference),
    ) -> Result<(), String> {
        let next_check = Some(self.clock.now() + super::check::FIRST);
        let outcome = Outcome { next_check, ..Outcome::closing(from, after, step) };
        if self.settle(outcome).await { Ok(()) } else { Err("it has changed meanwhile".to_owned()) }
    }

    /// A row for an instance that has none. Its old signature key is lost, so it gets a new one.
    async fn adopt_unknown(
        &self,
        id: Uuid,
        found: &ElementInstance,
        reference: Reference,
    ) -> Result<(), String> {
        let signature_key = SignatureKey::draw(&*self.entropy);
        let connection = Connection {
            element_instance_id: found.id,
            events_enabled: true,
            connected_at: self.clock.now(),
        };
        // No browser made it, so none may see its page.
        let browser = BrowserHash::from_stored(draw::<32>(&*self.entropy).to_vec());
        let instance = Instance {
            id,
            name: found.name.clone(),
            element: self.element.clone(),
            reference,
            browser,
            created_at: self.clock.now(),
            first_event_at: None,
            last_event_at: None,
            notification_count: 0,
            last_checked_at: None,
            audiences: None,
            state: InstanceState::Connected(connection),
        };
        let wanted = Wanted {
            tags: None,
            events: Some((self.public_url.events_url(id), &signature_key)),
            events_enabled: Some(true),
        };
        let changed = self.cloud_elements.change(found.id, &wanted).await;
        changed.map_err(|error| error.to_string())?;
        let summary = format!("Found at Cloud Elements as {} without a row here, and adopted.", found.id);
        let step = self.step("found", summary, reference);
        let row = NewInstanceRow { instance, signature_key };
        let token: &SecretString = &found.token;
        self.storage.adopt(&row, token, step).await.map_err(|error| error.to_string())
    }
}

impl Report {
    fn add(&mut self, finding: Finding) {
        self.count += 1;
        if self.findings.len() < MOST_FINDINGS {
            self.findings.push(finding);
        }
    }
}
