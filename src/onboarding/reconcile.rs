//! Cloud Elements' instances and ours, compared: what one side has and the other does not, and what differs.
//! Tells first; puts right only what it is told to. What others made is never touched: ours carry our tag,
//! or an id that a row of ours has.

use std::collections::HashSet;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use time::OffsetDateTime;
use uuid::Uuid;

use super::Onboarding;
use crate::clock::{from_milliseconds, to_milliseconds};
use crate::elements::{
    CallError, ElementInstance, Instance, InstanceState, ProblemKind, named_by_tag, own_tag,
};
use crate::storage::StorageError;

/// Between two looks at whether it is time, and between two comparisons.
pub(super) const GAP: Duration = Duration::from_secs(60);
const EVERY: time::Duration = time::Duration::hours(6);
/// A list that leads in a circle must not be followed for ever: 1,000,000 instances.
const MOST_PAGES: usize = 5000;
/// More findings are counted, not kept.
const MOST_FINDINGS: usize = 1000;
const ROWS: u16 = 500;

/// What differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drift {
    /// Carries our tag and sends its notifications to our address, and there is no row for it: a database that
    /// was put back, most likely. One that sends them elsewhere is another Gangway's, and not ours to touch.
    UnknownUpstream,
    /// Carries our tag, and its row says that nothing is connected, or another instance is.
    Leftover,
    /// A row says that it exists, and Cloud Elements has none of that id.
    MissingUpstream,
    /// Its notifications go somewhere else.
    WrongCallbackUrl,
    /// It sends no notifications.
    EventsOff,
    /// It sends notifications though its events are paused.
    EventsOn,
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
            Self::EventsOn => "events_on",
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
            Self::WrongCallbackUrl | Self::EventsOff | Self::EventsOn | Self::Disabled | Self::Retagged => {
                "repair"
            }
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
        let last = from_milliseconds(self.last_comparison.load(Ordering::Relaxed));
        let now = self.clock.now();
        if now - last < EVERY {
            return Ok(());
        }
        // Also where it fails: a list that cannot be read is not asked for every minute.
        self.last_comparison.store(to_milliseconds(now), Ordering::Relaxed);
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
        let _alone = self.comparing.lock().await;
        let at = self.clock.now();
        let mut report = Report { at, upstream: 0, ours: 0, findings: Vec::new(), count: 0 };
        let mut seen = HashSet::new();
        let mut next: Option<String> = None;
        for number in 1.. {
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
            next = page.next;
            if next.is_none() {
                break;
            }
            if number == MOST_PAGES {
                return Err(CallError::unclear("the list of instances has no end").into());
            }
        }
        self.find_missing(&seen, &mut report, measures).await?;
        metrics::gauge!("gangway_drift").set(u32::try_from(report.count).unwrap_or(u32::MAX));
        self.last_comparison.store(to_milliseconds(at), Ordering::Relaxed);
        let report = Arc::new(report);
        *self.last_report.lock().unwrap_or_else(PoisonError::into_inner) = Some(report.clone());
        Ok(report)
    }

    async fn compare(
        &self,
        found: &ElementInstance,
        report: &mut Report,
    ) -> Result<Option<Finding>, NotCompared> {
        if !self.is_our_element(found) {
            return Ok(None);
        }
        // A row that has this very id knows better than a tag, which anybody can copy.
        let mut row = self.storage.instance_of_element_instance(found.id).await?;
        let tagged = found.tags.iter().find_map(|tag| named_by_tag(tag));
        if let (None, Some(id)) = (&row, tagged) {
            row = self.storage.instance(id).await?;
        }
        let (id, drift) = match (&row, tagged) {
            (Some(row), _) => (row.id, self.drift(row, found)),
            (None, Some(id)) if self.comes_to_us(id, found).await? => (id, Some(Drift::UnknownUpstream)),
            (None, _) => return Ok(None),
        };
        report.ours += 1;
        Ok(drift.map(|drift| Finding {
            drift,
            instance: id,
            element_instance_id: found.id,
            name: found.name.clone(),
            done: None,
        }))
    }

    /// Whether its notifications are meant for this Gangway. Lists may leave that out; then it is asked for.
    async fn comes_to_us(&self, id: Uuid, found: &ElementInstance) -> Result<bool, CallError> {
        let url = self.public_url.events_url(id);
        if let Some(known) = &found.events_url {
            return Ok(*known == url);
        }
        let asked = self.cloud_elements.instance(found.id).await?;
        Ok(asked.and_then(|asked| asked.events_url).is_some_and(|known| known == url))
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
        } else if found.events_enabled == Some(true) && paused {
            Some(Drift::EventsOn)
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
}

impl Report {
    fn add(&mut self, finding: Finding) {
        self.count += 1;
        if self.findings.len() < MOST_FINDINGS {
            self.findings.push(finding);
        }
    }
}
