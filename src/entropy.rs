//! Where randomness comes from. The only room that may draw it; everything else is handed an
//! [`Entropy`], so that a test can seed it and a failure can be replayed.

use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use uuid::Uuid;

use crate::clock::{Clock, to_milliseconds};

/// A source of bytes that nobody can guess.
pub trait Entropy: Send + Sync + 'static {
    /// Fills `bytes`.
    fn fill(&self, bytes: &mut [u8]);
}

/// An entropy source shared by the rooms of one process.
pub type SharedEntropy = Arc<dyn Entropy>;

/// `N` fresh bytes.
pub fn draw<const N: usize>(entropy: &dyn Entropy) -> [u8; N] {
    let mut bytes = [0; N];
    entropy.fill(&mut bytes);
    bytes
}

/// A fresh token of 256 bits, as it stands in links, headers and cookies: base64 for URLs, without padding.
pub fn fresh_token(entropy: &dyn Entropy) -> String {
    URL_SAFE_NO_PAD.encode(draw::<32>(entropy))
}

/// A fresh UUID v7 (RFC 9562 section 5.7): ascending by time, so that new rows stand at the end of an index.
pub fn fresh_id(clock: &dyn Clock, entropy: &dyn Entropy) -> Uuid {
    let milliseconds = u64::try_from(to_milliseconds(clock.now())).unwrap_or_default();
    uuid::Builder::from_unix_timestamp_millis(milliseconds, &draw(entropy)).into_uuid()
}

/// ChaCha12, seeded by the operating system: a CSPRNG without a system call for every draw.
pub struct SystemEntropy(Mutex<StdRng>);

impl Default for SystemEntropy {
    fn default() -> Self {
        Self(Mutex::new(rand::make_rng()))
    }
}

impl Entropy for SystemEntropy {
    fn fill(&self, bytes: &mut [u8]) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).fill_bytes(bytes);
    }
}

/// The same bytes for the same seed; for tests.
pub struct SeededEntropy(Mutex<StdRng>);

impl SeededEntropy {
    /// The source that `seed` names.
    pub fn new(seed: u64) -> Self {
        Self(Mutex::new(StdRng::seed_from_u64(seed)))
    }
}

impl Entropy for SeededEntropy {
    fn fill(&self, bytes: &mut [u8]) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).fill_bytes(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn a_hundred_thousand_states_hold_no_repeat_and_balanced_bits() {
        let entropy = SystemEntropy::default();
        let mut seen = HashSet::new();
        let mut ones = 0_u64;
        for _ in 0..100_000 {
            let bytes = draw::<32>(&entropy);
            ones += bytes.iter().map(|byte| u64::from(byte.count_ones())).sum::<u64>();
            assert!(seen.insert(bytes));
        }
        let bits = 100_000 * 256;
        assert!(ones.abs_diff(bits / 2) < bits / 1000, "{ones} of {bits} bits are ones");
    }
}
