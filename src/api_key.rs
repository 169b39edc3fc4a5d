//! An API key: 256 random bits, written so that scanners of sources and logs can tell one. A plain value; what it
//! opens is decided elsewhere, by its hash.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::entropy::{Entropy, fresh_token};

const PREFIX: &str = "gangway_";

/// A key as its owner has it.
pub struct ApiKeySecret(String);

impl ApiKeySecret {
    /// A fresh one.
    pub fn draw(entropy: &dyn Entropy) -> Self {
        Self(format!("{PREFIX}{}", fresh_token(entropy)))
    }

    /// A text that may be a key; `None` where it certainly is none, which spares a look for it.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text.strip_prefix(PREFIX)?).ok()?;
        (bytes.len() == 32).then(|| Self(text.to_owned()))
    }

    /// For its owner, once, and for its hash.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ApiKeySecret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("ApiKeySecret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::SeededEntropy;

    #[test]
    fn a_key_reads_back_and_what_is_none_is_told() {
        let key = ApiKeySecret::draw(&SeededEntropy::new(1));
        assert_eq!(ApiKeySecret::parse(key.expose()).unwrap().expose(), key.expose());
        assert_eq!(format!("{key:?}"), "ApiKeySecret(…)");
        let cut = &key.expose()[..key.expose().len() - 1];
        for text in ["", "gangway_", cut, &key.expose()[8..], &format!("{}A", key.expose()), "gangway_é"] {
            assert!(ApiKeySecret::parse(text).is_none(), "{text}");
        }
    }
}
