//! When an attempt is made again, and when no more. Plain values; docs/operations.md shows the same table.

use reqwest::StatusCode;
use time::format_description::well_known::Rfc2822;
use time::{Duration, OffsetDateTime};

use super::sender::Answer;
use crate::entropy::{Entropy, draw};
use crate::storage::{OffReason, Verdict};

/// The gaps between ten attempts, each up to a tenth longer by chance, so that what failed together is not
/// tried again together. A little more than three days in all.
pub const GAPS: [Duration; 9] = [
    Duration::seconds(5),
    Duration::minutes(5),
    Duration::minutes(30),
    Duration::hours(2),
    Duration::hours(5),
    Duration::hours(10),
    Duration::hours(14),
    Duration::hours(20),
    Duration::hours(24),
];

/// A `Retry-After` is believed up to here.
const LONGEST_WAIT: Duration = Duration::hours(24);

/// What an attempt means for its delivery. `attempts` were made before it.
pub(super) fn verdict(answer: &Answer, attempts: u32, now: OffsetDateTime, entropy: &dyn Entropy) -> Verdict {
    match answer.status {
        Some(status) if status.is_success() => return Verdict::Delivered,
        Some(StatusCode::GONE) => return Verdict::Off(OffReason::Gone),
        _ => {}
    }
    let Some(gap) = usize::try_from(attempts).ok().and_then(|made| GAPS.get(made)) else {
        return Verdict::Failed;
    };
    let longer: Duration = *gap / 10 * f64::from(u16::from_le_bytes(draw(entropy))) / f64::from(u16::MAX);
    let asked = answer.retry_after.unwrap_or_default().min(LONGEST_WAIT);
    // Never sooner than the table says: ten attempts within seconds would be no help.
    Verdict::Again(now + (*gap + longer).max(asked))
}

/// How long a 429 or 503 asks to be left alone (RFC 9110 section 10.2.3).
pub(super) fn retry_after(status: StatusCode, value: Option<&str>, now: OffsetDateTime) -> Option<Duration> {
    if !matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
        return None;
    }
    let value = value?.trim();
    if !value.is_empty() && value.bytes().all(|digit| digit.is_ascii_digit()) {
        // More digits than fit are a long time too.
        return Some(value.parse().map_or(LONGEST_WAIT, |seconds: u32| Duration::seconds(seconds.into())));
    }
    let until = OffsetDateTime::parse(value, &Rfc2822).ok()?;
    Some((until - now).max(Duration::ZERO))
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;
    use crate::entropy::SeededEntropy;

    const NOON: OffsetDateTime = datetime!(2026-11-23 12:00 UTC);

    fn answer(status: u16, retry_after: Option<Duration>) -> Answer {
        Answer { status: StatusCode::from_u16(status).ok(), retry_after, ..Answer::default() }
    }

    #[test]
    fn ten_attempts_are_made_over_three_days_and_each_waits_a_little_longer_by_chance() {
        let entropy = SeededEntropy::new(1);
        let mut now = NOON;
        for (made, gap) in (0..).zip(GAPS) {
            let Verdict::Again(next) = verdict(&answer(500, None), made, now, &entropy) else {
                panic!("{made}")
            };
            assert!(next - now >= gap && next - now <= gap + gap / 10, "{made}: {}", next - now);
            now = next;
        }
        assert!(now - NOON > Duration::days(3) && now - NOON < Duration::days(4));
        assert_eq!(verdict(&answer(500, None), 9, now, &entropy), Verdict::Failed);
        let one = verdict(&answer(500, None), 8, NOON, &entropy);
        assert_ne!(one, verdict(&answer(500, None), 8, NOON, &entropy), "by chance");
    }

    #[test]
    fn every_2xx_is_a_success_410_is_the_end_and_the_rest_is_tried_again() {
        let entropy = SeededEntropy::new(1);
        for status in [200, 201, 202, 204, 299] {
            assert_eq!(verdict(&answer(status, None), 0, NOON, &entropy), Verdict::Delivered, "{status}");
        }
        assert_eq!(verdict(&answer(410, None), 0, NOON, &entropy), Verdict::Off(OffReason::Gone));
        for status in [0, 301, 302, 304, 400, 401, 404, 429, 500, 503] {
            let verdict = verdict(&answer(status, None), 0, NOON, &entropy);
            assert!(matches!(verdict, Verdict::Again(_)), "{status}: {verdict:?}");
        }
    }

    #[test]
    fn retry_after_is_honoured_on_429_and_503_as_seconds_and_as_a_date_up_to_a_day() {
        let entropy = SeededEntropy::new(1);
        for (status, value, expected) in [
            (429, "120", Some(Duration::minutes(2))),
            (503, "Mon, 23 Nov 2026 13:00:00 GMT", Some(Duration::HOUR)),
            (503, "Mon, 23 Nov 2026 11:00:00 GMT", Some(Duration::ZERO)),
            (500, "120", None),
            (429, "soon", None),
            (429, "-1", None),
            (429, "", None),
            (429, "99999999999999999999", Some(Duration::DAY)),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(retry_after(status, Some(value), NOON), expected, "{status} {value}");
        }
        let after = |wait| verdict(&answer(429, Some(wait)), 0, NOON, &entropy);
        assert_eq!(after(Duration::MINUTE), Verdict::Again(NOON + Duration::MINUTE));
        assert_eq!(after(Duration::WEEK), Verdict::Again(NOON + Duration::DAY));
        let Verdict::Again(soon) = after(Duration::ZERO) else { panic!() };
        assert!(soon >= NOON + GAPS[0], "never sooner than the table says");
    }

    #[test]
    fn the_table_in_the_documents_is_the_table_in_the_code() {
        let document = include_str!("../../../docs/operations.md");
        let table = document.split("| attempt | after the one before |").nth(1).expect("the table");
        let rows: Vec<&str> = table.lines().skip(2).take_while(|line| line.starts_with('|')).collect();
        let gap = |gap: Duration| humantime::format_duration(gap.unsigned_abs()).to_string();
        let expected = std::iter::once("| 1 | at once |".to_owned())
            .chain((2..).zip(GAPS).map(|(attempt, wait)| format!("| {attempt} | {} |", gap(wait))));
        assert_eq!(rows, expected.collect::<Vec<_>>());
    }
}
