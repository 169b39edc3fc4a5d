//! Refused notifications, counted by reason so that a wrong key is found at once. Kept in memory and bounded:
//! whoever sends what is refused can make neither the process nor the database grow. A restart forgets them.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use time::OffsetDateTime;
use uuid::Uuid;

/// So many instances are counted by themselves; the one refused longest ago makes room.
const INSTANCES: usize = 256;
const MINUTES: usize = 60;
const HOURS: usize = 24;
/// More in one second are a flood.
const FLOOD: u32 = 100;

macro_rules! refusals {
    ($($(#[$doc:meta])* $name:ident = $word:literal;)*) => {
        /// Why a notification was refused.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Refusal { $($(#[$doc])* $name,)* }

        impl Refusal {
            /// Each of them.
            pub const ALL: [Self; REASONS] = [$(Self::$name,)*];

            /// The word for it, as in the metrics.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $word,)* }
            }
        }

        const REASONS: usize = [$($word,)*].len();
    };
}

refusals! {
    /// Signed with another key, or over other bytes.
    BadSignature = "bad_signature";
    /// Not signed, or not in the way that was agreed.
    MalformedSignature = "malformed_signature";
    /// For no instance of ours.
    UnknownInstance = "unknown_instance";
    /// For an instance that was disconnected.
    Disconnected = "disconnected";
    /// Over the limit.
    TooLarge = "too_large";
    /// Not there in time.
    TooSlow = "too_slow";
}

/// How many of one reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refused {
    /// The reason.
    pub reason: Refusal,
    /// In the last sixty minutes.
    pub last_hour: u64,
    /// In the last twenty-four hours.
    pub last_day: u64,
}

/// Counts refusals.
pub struct Refusals {
    since: OffsetDateTime,
    counted: Mutex<Counted>,
}

#[derive(Default)]
struct Counted {
    all: Count,
    /// The latest second, and how many it had.
    second: (i64, u32),
    instances: HashMap<Uuid, Count>,
}

/// Of one instance, or of all.
#[derive(Default)]
struct Count {
    minutes: Ring<MINUTES>,
    hours: Ring<HOURS>,
}

/// The latest `N` spans, each with its number since 1970; one that has passed is overwritten.
struct Ring<const N: usize>([(i64, [u32; REASONS]); N]);

impl<const N: usize> Default for Ring<N> {
    fn default() -> Self {
        Self([(0, [0; REASONS]); N])
    }
}

impl<const N: usize> Ring<N> {
    fn length() -> i64 {
        i64::try_from(N).unwrap_or(i64::MAX)
    }

    fn add(&mut self, span: i64, reason: Refusal) {
        let place = usize::try_from(span.rem_euclid(Self::length())).unwrap_or_default();
        let Some((number, counts)) = self.0.get_mut(place) else { return };
        if *number != span {
            (*number, *counts) = (span, [0; REASONS]);
        }
        if let Some(count) = counts.get_mut(reason as usize) {
            *count = count.saturating_add(1);
        }
    }

    fn sum(&self, now: i64, reason: Refusal) -> u64 {
        let recent = self.0.iter().filter(|(span, _)| *span > now - Self::length() && *span <= now);
        recent.filter_map(|(_, counts)| counts.get(reason as usize)).map(|count| u64::from(*count)).sum()
    }
}

impl Count {
    fn add(&mut self, at: OffsetDateTime, reason: Refusal) {
        self.minutes.add(minute(at), reason);
        self.hours.add(hour(at), reason);
    }

    /// What there was, by reason.
    fn read(&self, now: OffsetDateTime) -> Vec<Refused> {
        let read = |reason| Refused {
            reason,
            last_hour: self.minutes.sum(minute(now), reason),
            last_day: self.hours.sum(hour(now), reason),
        };
        Refusal::ALL.into_iter().map(read).filter(|refused| refused.last_day > 0).collect()
    }

    fn latest(&self) -> i64 {
        self.minutes.0.iter().map(|(span, _)| *span).max().unwrap_or_default()
    }
}

fn minute(at: OffsetDateTime) -> i64 {
    at.unix_timestamp().div_euclid(60)
}

fn hour(at: OffsetDateTime) -> i64 {
    at.unix_timestamp().div_euclid(3600)
}

impl Refusals {
    /// Nothing refused yet, from `since` on.
    pub fn new(since: OffsetDateTime) -> Self {
        Self { since, counted: Mutex::default() }
    }

    /// One more; answers whether it is one of a flood. `instance` is one that exists; what a stranger wrote in its
    /// place is nobody's.
    pub fn add(&self, reason: Refusal, instance: Option<Uuid>, at: OffsetDateTime) -> bool {
        let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        counted.all.add(at, reason);
        let second = at.unix_timestamp();
        counted.second = if counted.second.0 == second {
            (second, counted.second.1.saturating_add(1))
        } else {
            (second, 1)
        };
        let flood = counted.second.1 > FLOOD;
        let Some(instance) = instance else { return flood };
        let instances = &mut counted.instances;
        if instances.len() >= INSTANCES && !instances.contains_key(&instance) {
            let oldest = instances.iter().min_by_key(|(_, count)| count.latest()).map(|(id, _)| *id);
            oldest.and_then(|id| instances.remove(&id));
        }
        instances.entry(instance).or_default().add(at, reason);
        flood
    }

    /// Since when they are counted.
    pub fn since(&self) -> OffsetDateTime {
        self.since
    }

    /// Of all that was sent here; reasons of which there was none in a day are left out.
    pub fn all(&self, now: OffsetDateTime) -> Vec<Refused> {
        self.counted.lock().unwrap_or_else(PoisonError::into_inner).all.read(now)
    }

    /// Of one instance.
    pub fn of(&self, instance: Uuid, now: OffsetDateTime) -> Vec<Refused> {
        let counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        counted.instances.get(&instance).map_or_else(Vec::new, |count| count.read(now))
    }

    /// The instances with the most refusals in the last hour, `limit` of them.
    pub fn most(&self, now: OffsetDateTime, limit: usize) -> Vec<(Uuid, u64)> {
        let counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        let in_an_hour = |count: &Count| count.read(now).iter().map(|refused| refused.last_hour).sum::<u64>();
        let mut most: Vec<_> = counted.instances.iter().map(|(id, count)| (*id, in_an_hour(count))).collect();
        most.retain(|(_, count)| *count > 0);
        most.sort_by_key(|(id, count)| (std::cmp::Reverse(*count), *id));
        most.truncate(limit);
        most
    }
}

#[cfg(test)]
mod tests {
    use time::Duration;

    use super::*;

    const NOON: OffsetDateTime = time::macros::datetime!(2026-11-23 12:00 UTC);

    #[test]
    fn an_hour_and_a_day_pass() {
        let refusals = Refusals::new(NOON);
        let instance = Uuid::from_u128(1);
        for minutes in [0, 30, 61] {
            refusals.add(Refusal::BadSignature, Some(instance), NOON + Duration::minutes(minutes));
        }
        refusals.add(Refusal::UnknownInstance, None, NOON);
        let at = |minutes| NOON + Duration::minutes(minutes);
        let count = |last_hour, last_day| Refused { reason: Refusal::BadSignature, last_hour, last_day };
        assert_eq!(refusals.of(instance, at(61)), [count(2, 3)]);
        assert_eq!(refusals.of(instance, at(120)), [count(1, 3)]);
        assert_eq!(refusals.all(at(59)).len(), 2);
        assert_eq!(refusals.of(instance, at(26 * 60)), []);
        assert_eq!(refusals.most(at(61), 5), [(instance, 2)]);
        assert_eq!(refusals.most(at(200), 5), []);
    }

    #[test]
    fn more_than_a_hundred_in_a_second_are_a_flood_and_the_next_second_is_none() {
        let refusals = Refusals::new(NOON);
        let add = |at| refusals.add(Refusal::BadSignature, None, at);
        assert!((0..100).all(|_| !add(NOON)));
        assert!(add(NOON + Duration::milliseconds(999)));
        assert!(!add(NOON + Duration::SECOND));
    }

    #[test]
    fn however_many_instances_are_refused_memory_stays_bounded() {
        let refusals = Refusals::new(NOON);
        for number in 0..10_000_u32 {
            let at = NOON + Duration::seconds(i64::from(number));
            refusals.add(Refusal::BadSignature, Some(Uuid::from_u128(number.into())), at);
        }
        let counted = refusals.counted.lock().unwrap();
        assert_eq!(counted.instances.len(), INSTANCES);
        assert!(counted.instances.contains_key(&Uuid::from_u128(9_999)), "the latest is there");
        assert!(INSTANCES * size_of::<Count>() < 1024 * 1024);
    }
}
