//! One look at one instance, in this process's hands: what waits, asking for it where that is due, reading back.
//! What is about to be done is on disk before it is: a process that ends in between does not do it twice.

use time::OffsetDateTime;

use super::{Missed, Queue, schedule};
use crate::elements::{CallError, Instance, Queued};
use crate::reference::Reference;
use crate::storage::{
    Ask, AskOutcome, Fill, Hold, MissedEvents, Step, StorageError, Subscription, is_looked_at,
};

/// An instance that is looked at.
pub(super) struct Attention {
    pub(super) row: MissedEvents,
    pub(super) instance: Instance,
    pub(super) element_instance_id: i64,
    /// Of this look, or of the operator who asked for it.
    pub(super) reference: Reference,
    /// Lines for its timeline that are not written yet.
    pub(super) steps: Vec<Step>,
}

impl Attention {
    /// A line for the timeline.
    pub(super) fn tell(&mut self, at: OffsetDateTime, summary: String) {
        let kind = "missed_events".to_owned();
        self.steps.push(Step { at, kind, summary, reference: self.reference });
    }
}

impl Missed {
    pub(super) async fn attend(&self, row: MissedEvents, queue: &Queue) -> Result<(), StorageError> {
        let now = self.clock.now();
        let instance = self.storage.instance(row.instance).await?;
        let found = instance.filter(|instance| is_looked_at(&instance.state));
        let Some(instance) = found else { return self.let_go(&row, now).await };
        let Some(connection) = instance.state.connection() else { return self.let_go(&row, now).await };
        let mut attention = Attention {
            reference: row.wanted.unwrap_or_else(|| Reference::draw(&*self.entropy)),
            element_instance_id: connection.element_instance_id,
            row,
            instance,
            steps: Vec::new(),
        };
        self.see(&mut attention, queue, now).await;
        let Attention { row, instance, .. } = &attention;
        let wanted = row.wanted.is_some();
        // An operator may ask where it cannot be told whether anything waits.
        let ask = schedule::ask_is_due(row, now) || (wanted && (row.waiting > 0 || row.trouble.is_some()));
        let read = wanted || schedule::has_fallen_silent(row, instance, now);
        if ask && !self.ask(&mut attention, now).await? {
            return Ok(());
        }
        if !ask && read {
            self.open_fill(&mut attention, now, now);
        }
        if !self.fill(&mut attention).await? {
            return Ok(());
        }
        let next = schedule::next_look(&attention.row, &attention.instance, now, self.jitter());
        let hold = Hold::LetGo(self.holder, next);
        self.storage.keep_missed_events(&attention.row, hold, &attention.steps).await.map(drop)
    }

    /// An instance that is not looked at has no next look; its transition saw to that.
    async fn let_go(&self, row: &MissedEvents, now: OffsetDateTime) -> Result<(), StorageError> {
        let hold = Hold::LetGo(self.holder, now + schedule::LOOK_EVERY);
        self.storage.keep_missed_events(row, hold, &[]).await.map(drop)
    }

    /// How many wait for this instance.
    async fn see(&self, attention: &mut Attention, queue: &Queue, now: OffsetDateTime) {
        let Attention { row, instance, .. } = attention;
        let wanted = row.wanted.is_some();
        let found = match queue {
            Queue::Empty if !wanted => Ok(Queued { count: 0, more: false }),
            Queue::Unknown(why) if !wanted => Err(why.clone()),
            Queue::Holds if !wanted && schedule::is_calm(row, instance, now) => return,
            _ => {
                let url = self.public_url.events_url(row.instance);
                self.cloud_elements.queued(Some(&url)).await.map_err(|error| error.to_string())
            }
        };
        match found {
            Ok(queued) => note(attention, queued, now),
            Err(why) => {
                tracing::warn!(instance = %row.instance, why, "whether notifications wait upstream cannot be told");
                row.trouble = Some((now, why));
            }
        }
    }

    /// Asks for what waits. Answers whether the instance is still in our hands.
    async fn ask(&self, attention: &mut Attention, now: OffsetDateTime) -> Result<bool, StorageError> {
        attention.row.asks += 1;
        attention.row.ask = Some(Ask { at: now, outcome: AskOutcome::Sent, detail: None });
        self.open_fill(attention, now + schedule::AFTER_ASKING, now);
        if !self.keep(attention).await? {
            return Ok(false);
        }
        let url = self.public_url.events_url(attention.row.instance);
        let (outcome, detail) = outcome_of(self.cloud_elements.redeliver(&url).await);
        metrics::counter!("gangway_redeliveries_asked_total", "result" => outcome.as_str()).increment(1);
        let instance = attention.row.instance;
        tracing::info!(%instance, result = outcome.as_str(), "missed notifications were asked for again");
        attention.tell(now, in_words(outcome, attention.row.wanted.is_some()));
        if let Some(fill) = &mut attention.row.fill {
            fill.due_at = fill.due_at.min(schedule::first_page_at(outcome, now));
        }
        attention.row.ask = Some(Ask { at: now, outcome, detail });
        self.keep(attention).await
    }

    /// From `at` on, events are read back. One that is open already goes on.
    fn open_fill(&self, attention: &mut Attention, at: OffsetDateTime, now: OffsetDateTime) {
        let Attention { row, instance, .. } = attention;
        let from = schedule::read_from(row, instance, self.kept, now);
        let new = || Fill { due_at: at, from, page: None, pages: 0, stored: 0, tries: 0 };
        let fill = row.fill.get_or_insert_with(new);
        fill.due_at = fill.due_at.min(at);
    }

    /// Writes how far it has got, and keeps the instance in our hands. Answers whether it still was.
    pub(super) async fn keep(&self, attention: &mut Attention) -> Result<bool, StorageError> {
        let steps = std::mem::take(&mut attention.steps);
        let kept = self.storage.keep_missed_events(&attention.row, Hold::Keep(self.lease()), &steps).await?;
        if kept && !steps.is_empty() {
            self.feed.nudge(attention.row.instance);
        }
        Ok(kept)
    }
}

/// Notes what a look found.
fn note(attention: &mut Attention, Queued { count, more }: Queued, now: OffsetDateTime) {
    let row = &mut attention.row;
    (row.looked_at, row.trouble) = (Some(now), None);
    // More than can be read is one at least.
    row.waiting = i64::try_from(count).unwrap_or(i64::MAX).max(i64::from(more));
    row.more = more;
    if row.waiting > 0 {
        row.subscription = Subscription::Stopped;
        if row.waiting_since.replace(row.waiting_since.unwrap_or(now)).is_none() {
            let count = row.waiting_in_words();
            tracing::warn!(instance = %row.instance, waiting = row.waiting, "notifications wait at Cloud Elements");
            attention.tell(now, format!("Cloud Elements has stopped sending: {count} there."));
        }
        return;
    }
    row.subscription = Subscription::Delivering;
    row.waiting_since = None;
    match &mut row.ask {
        Some(ask) if now - ask.at >= schedule::LOOK_EVERY => row.asks = 0,
        Some(ask) if ask.outcome != AskOutcome::Helped && row.asks > 0 => {
            ask.outcome = AskOutcome::Helped;
            attention.tell(now, "Nothing waits at Cloud Elements any more.".to_owned());
        }
        _ => {}
    }
}

fn outcome_of(answer: Result<(), CallError>) -> (AskOutcome, Option<String>) {
    match answer {
        Ok(()) => (AskOutcome::Accepted, None),
        // What was not sent can be sent again like what was refused, and says as much.
        Err(error) if error.status().is_some() => (AskOutcome::Refused, Some(error.to_string())),
        Err(error) => (AskOutcome::Unclear, Some(error.to_string())),
    }
}

fn in_words(outcome: AskOutcome, by_operator: bool) -> String {
    let who = if by_operator { "On an operator's wish, Gangway" } else { "Gangway" };
    let what = match outcome {
        AskOutcome::Refused => "was refused",
        AskOutcome::Unclear | AskOutcome::Sent => "got no clear answer",
        AskOutcome::Accepted | AskOutcome::Helped => "was told yes",
    };
    format!("{who} asked Cloud Elements to send what waits there, and {what}.")
}
