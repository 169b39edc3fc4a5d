//! The reference number: what a person reads on a page and the operator finds in the log.
//! It names one request to Gangway; it is no secret and opens nothing.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

use crate::entropy::{Entropy, draw};

/// Crockford's alphabet: no I, L, O, U, so that it can be read out over a telephone.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// Forty random bits, written `7KQM-2X9T`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Reference([u8; 8]);

impl Reference {
    /// A fresh one.
    pub fn draw(entropy: &dyn Entropy) -> Self {
        Self(draw::<8>(entropy).map(|byte| byte % 32))
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [b'-'; 9];
        let places = text.iter_mut().enumerate().filter(|(place, _)| *place != 4).map(|(_, byte)| byte);
        for (place, digit) in places.zip(self.0) {
            *place = ALPHABET.get(usize::from(digit)).copied().unwrap_or(b'0');
        }
        formatter.write_str(std::str::from_utf8(&text).unwrap_or_default())
    }
}

/// A text that is no reference number.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a reference number")]
pub struct NotAReference;

impl FromStr for Reference {
    type Err = NotAReference;

    fn from_str(text: &str) -> Result<Self, NotAReference> {
        let mut digits = [0; 8];
        let mut letters = text.bytes().filter(|byte| *byte != b'-');
        for digit in &mut digits {
            let letter = letters.next().ok_or(NotAReference)?.to_ascii_uppercase();
            let value = ALPHABET.iter().position(|known| *known == letter).ok_or(NotAReference)?;
            *digit = u8::try_from(value).map_err(|_| NotAReference)?;
        }
        letters.next().is_none().then_some(Self(digits)).ok_or(NotAReference)
    }
}

impl Serialize for Reference {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::SeededEntropy;

    #[test]
    fn a_reference_reads_back_as_itself_with_or_without_the_dash() {
        let entropy = SeededEntropy::new(7);
        for _ in 0..1000 {
            let reference = Reference::draw(&entropy);
            let text = reference.to_string();
            assert_eq!(text.len(), 9);
            assert_eq!(text.parse(), Ok(reference));
            assert_eq!(text.replace('-', "").to_lowercase().parse(), Ok(reference));
        }
    }

    #[test]
    fn what_is_no_reference_is_refused() {
        for text in ["", "7KQM", "7KQM-2X9T0", "7KQM-2X9U", "é"] {
            assert_eq!(text.parse::<Reference>(), Err(NotAReference), "{text:?}");
        }
    }
}
