//! Reading back, a page at a time: what is not known yet is stored, and how far it got is written after each
//! page. A process that ends in between goes on there; reading a page twice stores nothing twice.

use super::attention::Attention;
use super::{Missed, schedule};
use crate::elements::{CallError, Event, EventsPage, Notification, ReadBack};
use crate::events::inbox::together;
use crate::storage::{FillOutcome, Filled, NewNotification, Step, StorageError};

/// Events on a page. A page that is larger than what is read of one is asked for with fewer.
const SIZES: [u16; 3] = [100, 10, 1];
/// Pages of one reading; what is beyond is told.
const MOST_PAGES: i64 = 1000;
/// Tries without an answer, ten minutes apart.
const MOST_TRIES: i64 = 6;

impl Missed {
    /// Reads on, if that is due, until the end or the first page without an answer. Answers whether the instance
    /// is still in our hands.
    pub(super) async fn fill(&self, attention: &mut Attention) -> Result<bool, StorageError> {
        loop {
            let now = self.clock.now();
            let due = attention.row.fill.as_ref().filter(|fill| fill.due_at <= now);
            let Some(fill) = due.filter(|_| !self.stopping.is_cancelled()) else { return Ok(true) };
            let read = self.page(attention.element_instance_id, fill.page.as_deref()).await;
            match read {
                Ok(page) => self.take(attention, page).await?,
                Err(error) => self.stumble(attention, &error),
            }
            if !self.keep(attention).await? {
                return Ok(false);
            }
        }
    }

    /// One page, in a size that can be read.
    async fn page(&self, instance: i64, page: Option<&str>) -> Result<EventsPage, CallError> {
        let mut read = Ok(EventsPage::default());
        for size in SIZES {
            read = self.cloud_elements.events(instance, page, size).await;
            if !read.as_ref().is_err_and(CallError::is_too_large) {
                break;
            }
        }
        read
    }

    /// Stores what is new on a page.
    async fn take(&self, attention: &mut Attention, page: EventsPage) -> Result<(), StorageError> {
        let EventsPage { mut events, others, next } = page;
        if others > 0 {
            tracing::warn!(instance = %attention.row.instance, others, "events of other instances were left alone");
        }
        let from = attention.row.fill.as_ref().map(|fill| fill.from);
        // What does not say when it happened may be what is missing.
        events.retain(|event| event.happened_at.is_none_or(|at| from.is_none_or(|from| at >= from)));
        events.sort_by_key(|event| event.happened_at);
        let mut stored = 0;
        for event in events {
            stored += self.store(attention, event).await?;
        }
        metrics::counter!("gangway_read_back_total").increment(u64::try_from(stored).unwrap_or_default());
        let Some(fill) = &mut attention.row.fill else { return Ok(()) };
        (fill.pages, fill.stored, fill.tries) = (fill.pages + 1, fill.stored + stored, 0);
        let cut = fill.pages >= MOST_PAGES;
        fill.page = next;
        match (&fill.page, cut) {
            (None, _) => self.end(attention, FillOutcome::Complete, None),
            (Some(_), true) => self.end(attention, FillOutcome::Cut, None),
            (Some(_), false) => {}
        }
        Ok(())
    }

    /// Stores an event unless it is known. Answers how many notifications of it were not.
    async fn store(&self, attention: &Attention, event: ReadBack) -> Result<i64, StorageError> {
        let ReadBack { event_id, notifications, body, .. } = event;
        let mut stored = 0;
        for notification in notifications {
            let new = self.new_notification(attention, (notification.id, notification.events), body.clone());
            if self.storage.store_read_back(new, event_id.as_deref()).await? {
                stored += 1;
                self.feed.nudge(attention.row.instance);
            }
        }
        Ok(stored)
    }

    fn new_notification(
        &self,
        attention: &Attention,
        (id, events): (Option<String>, Vec<Event>),
        body: Vec<u8>,
    ) -> NewNotification {
        let received_at = self.clock.now();
        let first = attention.instance.first_event_at.is_none().then(|| Step {
            at: received_at,
            kind: "first_event".to_owned(),
            summary: "The first event was read back.".to_owned(),
            reference: attention.reference,
        });
        NewNotification {
            instance: attention.row.instance,
            tags: together(&self.tags, &attention.instance.tags),
            decoded: Some(Notification { id, events }),
            headers: "[]".to_owned(),
            body,
            received_at,
            first,
        }
    }

    /// No page came. A name of a page that is refused may only have grown old: then it is begun anew, which stores
    /// nothing twice.
    fn stumble(&self, attention: &mut Attention, error: &CallError) {
        let now = self.clock.now();
        tracing::warn!(instance = %attention.row.instance, %error, "events could not be read back");
        let Some(fill) = &mut attention.row.fill else { return };
        fill.tries += 1;
        let refused = error.status().is_some();
        if refused && fill.page.is_some() && fill.tries == 1 {
            fill.page = None;
        } else if refused {
            self.end(attention, FillOutcome::Refused, Some(error.to_string()));
        } else if fill.tries >= MOST_TRIES {
            self.end(attention, FillOutcome::Unclear, Some(error.to_string()));
        } else {
            fill.due_at = now + schedule::LOOK_AGAIN;
        }
    }

    fn end(&self, attention: &mut Attention, outcome: FillOutcome, detail: Option<String>) {
        let now = self.clock.now();
        let Some(fill) = attention.row.fill.take() else { return };
        if fill.stored > 0 {
            tracing::info!(instance = %attention.row.instance, stored = fill.stored, "missed events were read back");
            let events = if fill.stored == 1 { "One event" } else { "Events" };
            let how_many =
                if fill.stored == 1 { String::new() } else { format!(": {} of them", fill.stored) };
            attention.tell(
                now,
                format!("{events} that had not arrived could be read back from Cloud Elements{how_many}."),
            );
        }
        attention.row.filled =
            Some(Filled { at: now, outcome, from: fill.from, stored: fill.stored, detail });
    }
}
