//! Charts of how many events arrived, drawn here as SVG and told as a table behind: nothing hangs on a script,
//! on colour or on sight. The counts come from storage; no row is counted for a page.

use time::OffsetDateTime;
use uuid::Uuid;

use crate::storage::{EventCount, Span, Storage, StorageError};
use crate::web::view::Moment;

/// Height of the drawing; its width is ten for each bar.
const HEIGHT: i64 = 100;
const MINUTES: i32 = 60;
const HOURS: i32 = 7 * 24;

/// One chart.
pub struct Chart {
    pub(in crate::web::admin) id: &'static str,
    pub(in crate::web::admin) title: &'static str,
    /// What the leftmost bar is.
    pub(in crate::web::admin) earliest: &'static str,
    pub(in crate::web::admin) width: i64,
    pub(in crate::web::admin) total: i64,
    pub(in crate::web::admin) most: i64,
    pub(in crate::web::admin) bars: Vec<Bar>,
    pub(in crate::web::admin) rows: Vec<(Moment, i64)>,
}

/// One bar that is higher than nothing.
pub(in crate::web::admin) struct Bar {
    pub(in crate::web::admin) x: i64,
    pub(in crate::web::admin) y: i64,
    pub(in crate::web::admin) height: i64,
}

/// The last hour by minutes and the last week by hours, of one instance or of all together.
pub async fn charts(
    storage: &Storage,
    instance: Option<Uuid>,
    now: OffsetDateTime,
) -> Result<[Chart; 2], StorageError> {
    let (hour, week) = (first(Span::Minute, MINUTES, now), first(Span::Hour, HOURS, now));
    let minutes = storage.event_counts(instance, Span::Minute, hour).await?;
    let hours = storage.event_counts(instance, Span::Hour, week).await?;
    let bare = |id, title, earliest, bars| Chart {
        id,
        title,
        earliest,
        width: i64::from(bars) * 10,
        total: 0,
        most: 0,
        bars: Vec::new(),
        rows: Vec::new(),
    };
    Ok([
        bare("last-hour", "Events per minute, last hour", "an hour ago", MINUTES).drawn(&minutes, hour),
        bare("last-week", "Events per hour, last week", "a week ago", HOURS).drawn(&hours, week),
    ])
}

/// When the first of `count` spans began, of which the last is still going on.
fn first(span: Span, count: i32, now: OffsetDateTime) -> OffsetDateTime {
    span.beginning(now) - span.length() * (count - 1)
}

impl Chart {
    /// With a bar for each count; `first` is the beginning of the leftmost. A clock that was set back may have
    /// left counts in the future: those are not drawn.
    fn drawn(mut self, counts: &[EventCount], first: OffsetDateTime) -> Self {
        let length = if self.id == "last-hour" { Span::Minute.length() } else { Span::Hour.length() };
        let place = |at: OffsetDateTime| (at - first).whole_seconds() / length.whole_seconds() * 10;
        let shown: Vec<_> =
            counts.iter().filter(|count| (0..self.width).contains(&place(count.at))).collect();
        self.total = shown.iter().map(|count| count.events).sum();
        self.most = shown.iter().map(|count| count.events).max().unwrap_or_default();
        for count in shown {
            // One event among thousands is still to be seen.
            let height = (count.events.saturating_mul(HEIGHT) / self.most.max(1)).clamp(2, HEIGHT);
            self.bars.push(Bar { x: place(count.at) + 1, y: HEIGHT - height, height });
            self.rows.push((count.at.into(), count.events));
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use time::Duration;

    use super::*;

    const NOON: OffsetDateTime = time::macros::datetime!(2026-11-23 12:00:30 UTC);

    #[test]
    fn bars_stand_in_their_place_and_in_proportion() {
        let begin = first(Span::Minute, MINUTES, NOON);
        let empty = Chart {
            id: "last-hour",
            title: "",
            earliest: "",
            width: 600,
            total: 0,
            most: 0,
            bars: vec![],
            rows: vec![],
        };
        let counts = [(-1, 7), (0, 500), (30, 1), (59, 1000), (60, 9)]
            .map(|(minute, events)| EventCount { at: begin + Duration::minutes(minute), events });
        let chart = empty.drawn(&counts, begin);
        assert_eq!(
            (chart.total, chart.most, chart.rows.len()),
            (1501, 1000, 3),
            "what is out of range is left out"
        );
        let bars: Vec<_> = chart.bars.iter().map(|bar| (bar.x, bar.y, bar.height)).collect();
        assert_eq!(bars, [(1, 50, 50), (301, 98, 2), (591, 0, 100)]);
        assert_eq!(begin + Duration::minutes(59), Span::Minute.beginning(NOON), "the last is going on");
    }
}
