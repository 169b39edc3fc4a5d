//! The `state` of RFC 6749 section 4.1.1: what ties the answer to the browser that asked.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::entropy::{Entropy, fresh_token};

/// 256 random bits. Goes to the authorize URL and nowhere else; Gangway keeps only its hash.
pub struct State(String);

impl State {
    /// A fresh state (RFC 6749 section 10.10 asks for at most 2^-128 to be guessed, better 2^-160).
    pub fn draw(entropy: &dyn Entropy) -> Self {
        Self(fresh_token(entropy))
    }

    /// What a callback brought. Any text is a state; only those drawn here have a known hash.
    pub fn received(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The value of the `state` parameter.
    pub fn as_parameter(&self) -> &str {
        &self.0
    }

    /// What is kept of it.
    pub fn hash(&self) -> StateHash {
        StateHash(Sha256::digest(self.0.as_bytes()).into())
    }
}

impl fmt::Debug for State {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("State(…)")
    }
}

/// SHA-256 of a state. Compared in constant time.
#[derive(Clone, Copy, Debug)]
pub struct StateHash([u8; 32]);

impl StateHash {
    /// The 32 bytes, as the key of a row.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl PartialEq for StateHash {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for StateHash {}

impl Serialize for StateHash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl<'de> Deserialize<'de> for StateHash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(de::Error::custom)?;
        bytes.try_into().map(Self).map_err(|_| de::Error::custom("not 32 bytes"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::entropy::SeededEntropy;

    proptest! {
        #[test]
        fn a_state_equals_itself_and_nothing_else(seed: u64, other: String, place in 0_usize..43) {
            let state = State::draw(&SeededEntropy::new(seed));
            prop_assert_eq!(state.as_parameter().len(), 43);
            prop_assert_eq!(State::received(state.as_parameter()).hash(), state.hash());
            prop_assert_ne!(State::received(other).hash(), state.hash());
            let mut changed = state.as_parameter().to_owned().into_bytes();
            changed[place] ^= 1;
            prop_assert_ne!(State::received(String::from_utf8_lossy(&changed)).hash(), state.hash());
            prop_assert_ne!(State::received(&state.as_parameter()[..place]).hash(), state.hash());
        }
    }

    #[test]
    fn a_state_does_not_print_itself() {
        let state = State::draw(&SeededEntropy::new(1));
        assert!(!format!("{state:?}").contains(state.as_parameter()));
    }
}
