//! What time it is. The only room that may ask the machine; everything else is handed a [`Clock`],
//! so that a test can move time by hand. Waiting (deadlines, back-off) is not its business.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use time::{Duration, OffsetDateTime};

/// Tells the time, in UTC.
pub trait Clock: Send + Sync + 'static {
    /// The current moment.
    fn now(&self) -> OffsetDateTime;
}

/// A clock shared by the rooms of one process.
pub type SharedClock = Arc<dyn Clock>;

/// The machine's own clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the machine's clock")]
    fn now(&self) -> OffsetDateTime {
        OffsetDateTime::now_utc()
    }
}

/// A clock that stands still until it is moved; for tests.
#[derive(Debug)]
pub struct ManualClock {
    milliseconds: AtomicI64,
}

impl ManualClock {
    /// A clock that shows `start`, to the millisecond.
    pub fn starting_at(start: OffsetDateTime) -> Self {
        Self { milliseconds: AtomicI64::new(to_milliseconds(start)) }
    }

    /// Moves the clock; a negative `step` moves it back.
    pub fn advance(&self, step: Duration) {
        let step = i64::try_from(step.whole_milliseconds()).unwrap_or(i64::MAX);
        self.milliseconds.fetch_add(step, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> OffsetDateTime {
        from_milliseconds(self.milliseconds.load(Ordering::SeqCst))
    }
}

/// Milliseconds since 1970-01-01 UTC: the shape in which times are stored.
pub fn to_milliseconds(at: OffsetDateTime) -> i64 {
    i64::try_from(at.unix_timestamp_nanos() / 1_000_000).unwrap_or(i64::MAX)
}

/// The moment `milliseconds` after 1970-01-01 UTC; one outside the calendar is taken as 1970.
pub fn from_milliseconds(milliseconds: i64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(milliseconds) * 1_000_000)
        .unwrap_or(OffsetDateTime::UNIX_EPOCH)
}
