//! When an instance is looked at, when what waits is asked for, and from when on events are read back. Plain
//! values; docs/operations.md says the same.

use time::{Duration, OffsetDateTime};

use crate::elements::Instance;
use crate::storage::{AskOutcome, FillOutcome, MissedEvents};

/// Every instance that is connected, about so often.
pub(super) const LOOK_EVERY: Duration = Duration::HOUR;
/// After a look that could not tell.
pub(super) const LOOK_AGAIN: Duration = Duration::minutes(10);
/// What was asked for is given so long to come before anybody looks again, or reads it back.
pub(super) const AFTER_ASKING: Duration = Duration::MINUTE;
/// A silence is not called one before.
const LEAST_SILENCE: Duration = Duration::minutes(10);
/// Where asking does not help, it is done again after these, and then after the last of them each time.
pub(super) const ASK_GAPS: [Duration; 4] =
    [Duration::minutes(10), Duration::HOUR, Duration::hours(6), Duration::DAY];
/// Cloud Elements tries for a little over three days before it gives up: a notification can be missing that is
/// so much older than the last one that came.
const OVERLAP: Duration = Duration::days(4);

/// Whether the instance has been silent for longer than is usual for it, and nothing was read back since.
pub(super) fn has_fallen_silent(row: &MissedEvents, instance: &Instance, now: OffsetDateTime) -> bool {
    let silent = instance.silent_from(LEAST_SILENCE).is_some_and(|from| now >= from);
    let read = row.filled.as_ref().map(|filled| filled.at);
    silent && read < instance.last_event_at
}

/// Whether there is no need to ask about this instance by itself just now.
pub(super) fn is_calm(row: &MissedEvents, instance: &Instance, now: OffsetDateTime) -> bool {
    // Looks come a tenth early by chance.
    let lately = row.looked_at.is_some_and(|at| now - at < LOOK_EVERY * 4 / 5);
    lately
        && row.waiting == 0
        && row.trouble.is_none()
        && row.fill.is_none()
        && !has_fallen_silent(row, instance, now)
}

/// Whether what waits is to be asked for now.
pub(super) fn ask_is_due(row: &MissedEvents, now: OffsetDateTime) -> bool {
    row.waiting > 0 && next_ask(row).is_none_or(|next| now >= next)
}

/// The earliest moment of the next time; `None`: they were not asked for yet.
fn next_ask(row: &MissedEvents) -> Option<OffsetDateTime> {
    let asks = usize::try_from(row.asks).unwrap_or(usize::MAX);
    let gap = ASK_GAPS.get(asks.checked_sub(1)?).or(ASK_GAPS.last())?;
    row.ask.as_ref().map(|ask| ask.at + *gap)
}

/// A clear no is no reason to wait until what was asked for has come.
pub(super) fn first_page_at(outcome: AskOutcome, now: OffsetDateTime) -> OffsetDateTime {
    if outcome == AskOutcome::Refused { now } else { now + AFTER_ASKING }
}

/// What happened before is not read back: it arrived, or was read back, or is older than what is kept. A reading that
/// did not reach its end is begun again where it was.
pub(super) fn read_from(
    row: &MissedEvents,
    instance: &Instance,
    kept: Duration,
    now: OffsetDateTime,
) -> OffsetDateTime {
    let known = |until: OffsetDateTime| until.min(now) - OVERLAP;
    let since = match (&row.filled, instance.last_event_at) {
        (Some(filled), _) if filled.outcome != FillOutcome::Complete => filled.from,
        (Some(filled), _) => known(filled.at),
        (None, Some(last)) => known(last),
        (None, None) => instance.created_at,
    };
    since.max(instance.created_at).max(now - kept)
}

/// When the instance is looked at next. `jitter` is between -1 and 1: what was connected together is not looked
/// at together for ever.
pub(super) fn next_look(
    row: &MissedEvents,
    instance: &Instance,
    now: OffsetDateTime,
    jitter: f64,
) -> OffsetDateTime {
    let about = |gap: Duration| now + gap + gap * (jitter / 10.0);
    let usual = about(if row.trouble.is_some() { LOOK_AGAIN } else { LOOK_EVERY });
    let ask = next_ask(row).filter(|_| row.waiting > 0).map(|next| next.max(now + AFTER_ASKING));
    let silent = instance.silent_from(LEAST_SILENCE).filter(|from| *from > now);
    let fill = row.fill.as_ref().map(|fill| fill.due_at);
    [ask, silent, fill].into_iter().flatten().fold(usual, OffsetDateTime::min)
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;
    use uuid::Uuid;

    use super::*;
    use crate::elements::{BrowserHash, InstanceState};
    use crate::entropy::SeededEntropy;
    use crate::reference::Reference;
    use crate::storage::{Ask, Fill, Filled, Subscription};

    const NOON: OffsetDateTime = datetime!(2026-11-23 12:00 UTC);

    fn row() -> MissedEvents {
        MissedEvents {
            instance: Uuid::nil(),
            next_look_at: Some(NOON),
            wanted: None,
            looked_at: Some(NOON),
            waiting: 0,
            more: false,
            waiting_since: None,
            subscription: Subscription::Delivering,
            trouble: None,
            asks: 0,
            ask: None,
            fill: None,
            filled: None,
        }
    }

    /// One that sent eleven, a minute apart, until noon.
    fn instance() -> Instance {
        Instance {
            id: Uuid::nil(),
            name: String::new(),
            customer: None,
            tags: Vec::new(),
            element: String::new(),
            reference: Reference::draw(&SeededEntropy::new(1)),
            browser: BrowserHash::of("browser"),
            created_at: NOON - Duration::days(30),
            first_event_at: Some(NOON - Duration::minutes(10)),
            last_event_at: Some(NOON),
            notification_count: 11,
            last_checked_at: None,
            audiences: None,
            renewing: false,
            version: 0,
            state: InstanceState::Provisioning,
        }
    }

    fn asked(row: MissedEvents, asks: i64, at: OffsetDateTime) -> MissedEvents {
        let ask = Some(Ask { at, outcome: AskOutcome::Accepted, detail: None });
        MissedEvents { waiting: 3, asks, ask, ..row }
    }

    fn filled(at: OffsetDateTime, outcome: FillOutcome) -> MissedEvents {
        let filled = Filled { at, outcome, from: NOON - Duration::days(9), stored: 0, detail: None };
        MissedEvents { filled: Some(filled), ..row() }
    }

    #[test]
    fn what_waits_is_asked_for_once_and_then_ever_more_rarely() {
        let now = |minutes| NOON + Duration::minutes(minutes);
        assert!(!ask_is_due(&row(), NOON), "nothing waits");
        assert!(ask_is_due(&MissedEvents { waiting: 3, ..row() }, NOON));
        for (asks, minutes) in [(1, 10), (2, 60), (3, 360), (4, 1440), (5, 1440), (i64::MAX, 1440)] {
            let row = asked(row(), asks, NOON);
            assert!(!ask_is_due(&row, now(minutes - 1)) && ask_is_due(&row, now(minutes)), "{asks}");
        }
    }

    #[test]
    fn a_silence_brings_the_look_forward_and_is_read_back_once() {
        let (instance, calm) = (instance(), row());
        assert_eq!(
            next_look(&calm, &instance, NOON, 0.0),
            NOON + Duration::minutes(10),
            "ten times a minute"
        );
        assert!(!has_fallen_silent(&calm, &instance, NOON + Duration::minutes(9)));
        let late = NOON + Duration::minutes(10);
        assert!(has_fallen_silent(&calm, &instance, late) && !is_calm(&calm, &instance, late));
        let read = filled(late, FillOutcome::Complete);
        assert!(!has_fallen_silent(&read, &instance, late));
        assert_eq!(next_look(&read, &instance, late, 0.0), late + LOOK_EVERY);
        let unknown = Instance { notification_count: 4, ..instance };
        assert_eq!(next_look(&calm, &unknown, NOON, 1.0), NOON + LOOK_EVERY * 11 / 10, "no rhythm yet");
    }

    #[test]
    fn what_is_open_is_looked_at_sooner() {
        let instance = Instance { notification_count: 0, ..instance() };
        let next = |row: &MissedEvents| next_look(row, &instance, NOON, 0.0) - NOON;
        assert_eq!(next(&row()), LOOK_EVERY);
        assert_eq!(next(&MissedEvents { trouble: Some((NOON, String::new())), ..row() }), LOOK_AGAIN);
        assert_eq!(next(&asked(row(), 1, NOON)), Duration::minutes(10));
        assert_eq!(next(&asked(row(), 1, NOON - Duration::DAY)), AFTER_ASKING, "never in a tight loop");
        let due_at = NOON + Duration::MINUTE;
        let fill = Fill { due_at, from: NOON, page: None, pages: 0, stored: 0, tries: 0 };
        assert_eq!(next(&MissedEvents { fill: Some(fill), ..row() }), Duration::MINUTE);
    }

    #[test]
    fn events_are_read_back_from_four_days_before_the_last_that_is_known() {
        let (instance, kept) = (instance(), Duration::days(400));
        assert_eq!(read_from(&row(), &instance, kept, NOON), NOON - Duration::days(4));
        let later = NOON + Duration::days(14);
        assert_eq!(read_from(&row(), &instance, kept, later), NOON - Duration::days(4), "a long time away");
        assert_eq!(
            read_from(&row(), &instance, Duration::DAY, later),
            later - Duration::DAY,
            "no longer kept"
        );
        let read = filled(later, FillOutcome::Complete);
        assert_eq!(read_from(&read, &instance, kept, later), later - Duration::days(4));
        for outcome in [FillOutcome::Cut, FillOutcome::Refused, FillOutcome::Unclear] {
            let read = filled(later, outcome);
            assert_eq!(read_from(&read, &instance, kept, later), NOON - Duration::days(9), "not read yet");
        }
        let silent = Instance { last_event_at: None, ..instance };
        assert_eq!(read_from(&row(), &silent, kept, NOON), silent.created_at);
    }
}
