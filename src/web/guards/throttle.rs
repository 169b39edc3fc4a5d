//! Sign-ins that fail slow the next ones down: for the account, for the address, and for a browser that signed in
//! before by itself, so that strangers who guess never lock the real operator out. In memory and bounded.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use time::{Duration, OffsetDateTime};

/// Tries that cost nothing but themselves.
const FREE: u32 = 5;
const LONGEST_WAIT: Duration = Duration::minutes(15);
/// What was not tried for so long is forgotten.
const FORGOTTEN_AFTER: Duration = Duration::hours(1);
const MOST_KEPT: usize = 20_000;

/// Whose tries are counted together.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Counted {
    /// Everybody's who tries this account from a browser that is not known.
    Account(String),
    /// Everybody's at this address.
    Address(String),
    /// Those of one browser that signed in before.
    Device(String),
}

#[derive(Clone, Copy)]
struct Tries {
    failed: u32,
    last: OffsetDateTime,
}

impl Tries {
    fn opens_at(self) -> OffsetDateTime {
        match self.failed.checked_sub(FREE) {
            None => self.last,
            Some(beyond) => self.last + Duration::seconds(1 << beyond.min(10)).min(LONGEST_WAIT),
        }
    }
}

/// The counts.
#[derive(Default)]
pub struct Throttle(Mutex<HashMap<Counted, Tries>>);

impl Throttle {
    /// Lets a try begin, counted as one that fails; or answers how many seconds it is too early.
    pub fn begin(&self, counted: &[Counted], now: OffsetDateTime) -> Result<(), u64> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let opens_at = counted.iter().filter_map(|one| kept.get(one)).map(|tries| tries.opens_at()).max();
        if let Some(wait) = opens_at.map(|at| at - now).filter(|wait| wait.is_positive()) {
            return Err(wait.whole_seconds().unsigned_abs() + 1);
        }
        for one in counted {
            if kept.len() >= MOST_KEPT && !kept.contains_key(one) {
                make_room(&mut kept, now);
            }
            let tries = kept.entry(one.clone()).or_insert(Tries { failed: 0, last: now });
            if now - tries.last > FORGOTTEN_AFTER {
                tries.failed = 0;
            }
            *tries = Tries { failed: tries.failed.saturating_add(1), last: now };
        }
        Ok(())
    }

    /// The try was a good one: the account and the browser begin anew, the address has one less against it.
    pub fn succeeded(&self, counted: &[Counted]) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for one in counted {
            match one {
                Counted::Address(_) => {
                    if let Some(tries) = kept.get_mut(one) {
                        tries.failed = tries.failed.saturating_sub(1);
                    }
                }
                Counted::Account(_) | Counted::Device(_) => {
                    kept.remove(one);
                }
            }
        }
    }
}

/// What is idle goes, and where that is not enough, what has the least against it.
fn make_room(kept: &mut HashMap<Counted, Tries>, now: OffsetDateTime) {
    kept.retain(|_, tries| now - tries.last <= FORGOTTEN_AFTER);
    let mut bar = 1;
    while kept.len() > MOST_KEPT / 2 {
        kept.retain(|_, tries| tries.failed > bar);
        bar += 1;
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    const NOON: OffsetDateTime = datetime!(2026-11-23 12:00 UTC);

    #[test]
    fn the_wait_grows_and_ends_and_is_bounded() {
        let throttle = Throttle::default();
        let account = [Counted::Account("operator".to_owned())];
        for _ in 0..FREE {
            assert_eq!(throttle.begin(&account, NOON), Ok(()));
        }
        let mut now = NOON;
        let mut waits = Vec::new();
        for _ in 0..14 {
            let wait = throttle.begin(&account, now).unwrap_err();
            assert_eq!(throttle.begin(&account, now), Err(wait), "asking too early changes nothing");
            waits.push(wait);
            now += Duration::seconds(wait.cast_signed());
            assert_eq!(throttle.begin(&account, now), Ok(()));
        }
        assert!(waits.is_sorted() && waits[13] <= 901, "{waits:?}");
        throttle.succeeded(&account);
        assert_eq!(throttle.begin(&account, now), Ok(()));
    }

    #[test]
    fn memory_is_bounded_and_the_guessed_account_is_not_forgotten() {
        let throttle = Throttle::default();
        let account = Counted::Account("operator".to_owned());
        for _ in 0..FREE {
            throttle.begin(std::slice::from_ref(&account), NOON).unwrap();
        }
        for number in 0..50_000 {
            throttle.begin(&[Counted::Address(number.to_string())], NOON).unwrap();
        }
        assert!(throttle.0.lock().unwrap().len() <= MOST_KEPT);
        assert!(throttle.begin(&[account], NOON).is_err());
    }
}
