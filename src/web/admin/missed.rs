//! What an instance may be missing, as the console tells it; and the operator's wish to ask for it again.

use actix_web::{HttpResponse, web};

use super::care::page_of;
use crate::reference::Reference;
use crate::storage::{Ask, AskOutcome, FillOutcome, Filled, MissedEvents, Subscription};
use crate::web::Gangway;
use crate::web::failure::Failure;
use crate::web::guards::SignedIn;
use crate::web::view::{Moment, see_other};

/// The panel on an instance's page.
pub(super) struct MissedView {
    /// Such as `37 waiting upstream`; `None`: nothing waits, as far as is known.
    pub(super) waiting: Option<String>,
    pub(super) since: Option<Moment>,
    pub(super) subscription: &'static str,
    pub(super) looked: Option<Moment>,
    /// When a later look could not tell, and why.
    pub(super) trouble: Option<(Moment, String)>,
    pub(super) asked: Option<AskedView>,
    pub(super) filled: Option<FilledView>,
    /// Events are being read back.
    pub(super) reading: bool,
    /// What the operator wants has not been taken up yet.
    pub(super) wanted: bool,
    /// What would have to be called by hand, where asking did not get through.
    pub(super) by_hand: Option<String>,
}

pub(super) struct AskedView {
    pub(super) at: Moment,
    /// In all, since they began to wait.
    pub(super) times: String,
    pub(super) outcome: &'static str,
    pub(super) detail: Option<String>,
}

pub(super) struct FilledView {
    pub(super) at: Moment,
    pub(super) outcome: String,
    pub(super) detail: Option<String>,
}

impl MissedView {
    /// `None` where the instance is not looked at.
    pub(super) fn of(row: MissedEvents, by_hand: String) -> Option<Self> {
        row.next_look_at?;
        let failed = |ask: &Ask| matches!(ask.outcome, AskOutcome::Refused | AskOutcome::Unclear);
        let by_hand = row.ask.as_ref().is_some_and(failed).then_some(by_hand);
        Some(Self {
            waiting: waiting(&row),
            since: row.waiting_since.map(Moment::from),
            subscription: match row.subscription {
                Subscription::Unknown => "not known yet",
                Subscription::Delivering => "delivering: nothing is queued",
                Subscription::Stopped => "deactivated: Cloud Elements queues what it has",
            },
            looked: row.looked_at.map(Moment::from),
            trouble: row.trouble.map(|(at, why)| (at.into(), why)),
            asked: row.ask.map(|ask| AskedView::of(ask, row.asks)),
            filled: row.filled.map(FilledView::of),
            reading: row.fill.is_some(),
            wanted: row.wanted.is_some(),
            by_hand,
        })
    }
}

/// How many wait, in the words of page and list.
fn waiting(row: &MissedEvents) -> Option<String> {
    let least = if row.more { "at least " } else { "" };
    (row.waiting > 0).then(|| format!("{least}{} waiting upstream", row.waiting))
}

impl AskedView {
    fn of(ask: Ask, times: i64) -> Self {
        Self {
            at: ask.at.into(),
            times: if times > 1 { format!("{times} times by now") } else { String::new() },
            outcome: match ask.outcome {
                AskOutcome::Sent => "no answer is known yet",
                AskOutcome::Accepted => "Cloud Elements said yes; they are on their way",
                AskOutcome::Refused => "Cloud Elements refused",
                AskOutcome::Unclear => "there was no clear answer; it is tried again",
                AskOutcome::Helped => "nothing waited any more at the next look",
            },
            detail: ask.detail,
        }
    }
}

impl FilledView {
    fn of(filled: Filled) -> Self {
        let stored = match filled.stored {
            0 => "nothing was missing".to_owned(),
            1 => "one event was missing, and is stored".to_owned(),
            stored => format!("{stored} events were missing, and are stored"),
        };
        let outcome = match filled.outcome {
            FillOutcome::Complete => stored,
            FillOutcome::Cut => format!("{stored}; there is more than is read in one go"),
            FillOutcome::Refused => "Cloud Elements refused".to_owned(),
            FillOutcome::Unclear => "there was no answer, several times".to_owned(),
        };
        Self { at: filled.at.into(), outcome, detail: filled.detail }
    }
}

/// `POST /admin/instances/{id}/missed-events`: the result stands on the instance's page.
pub async fn ask_again(
    _: SignedIn,
    id: web::Path<String>,
    reference: Reference,
    app: web::Data<Gangway>,
) -> Result<HttpResponse, Failure> {
    let instance = app.instance(&id).await?;
    if app.missed.ask_again(instance.id, reference).await? {
        Ok(see_other(&page_of(&instance)))
    } else {
        Err(Failure::Conflict(instance.state.as_str()))
    }
}
