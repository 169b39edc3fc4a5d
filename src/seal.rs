//! Keys and seals. Every key is derived from `SECRET_KEY` (HKDF, RFC 5869); what is stored sealed is
//! XChaCha20-Poly1305, bound to its table, column and row, so that a sealed value moved elsewhere does
//! not open. Knows nothing of what it seals.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use hkdf::Hkdf;
use hmac::Hmac;
use sha2::Sha256;

use crate::entropy::{Entropy, SharedEntropy, draw};

const VERSION: u8 = 1;
const NONCE_LENGTH: usize = 24;

/// `SECRET_KEY`: 32 random bytes, the root of every other key.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretKey([u8; 32]);

/// Why a text is no `SECRET_KEY`. Never repeats the text.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum InvalidSecretKey {
    /// Not standard base64.
    #[error("is not base64")]
    NotBase64,
    /// Decodes to another length than 32 bytes.
    #[error("must hold 32 bytes, holds {0}")]
    WrongLength(usize),
    /// All bytes alike: a placeholder, not a key.
    #[error("is a placeholder, not a random key")]
    NotRandom,
}

impl SecretKey {
    /// A fresh key.
    pub fn draw(entropy: &dyn Entropy) -> Self {
        Self(draw(entropy))
    }

    /// Reads the base64 form.
    pub fn parse(text: &str) -> Result<Self, InvalidSecretKey> {
        let bytes = STANDARD.decode(text.trim()).map_err(|_| InvalidSecretKey::NotBase64)?;
        let key: [u8; 32] =
            bytes.try_into().map_err(|bytes: Vec<u8>| InvalidSecretKey::WrongLength(bytes.len()))?;
        let first = key.first().copied().unwrap_or_default();
        if key.iter().all(|byte| *byte == first) {
            return Err(InvalidSecretKey::NotRandom);
        }
        Ok(Self(key))
    }

    /// The base64 form, for `gangway keygen` and the demo's key file alone.
    pub fn expose(&self) -> String {
        STANDARD.encode(self.0)
    }

    /// The key for one purpose; `purpose` is the HKDF info.
    pub fn derive<const N: usize>(&self, purpose: &str) -> [u8; N] {
        let mut key = [0; N];
        // HKDF-SHA256 refuses only outputs over 255 × 32 bytes; ours are 32 and 64.
        let _ = Hkdf::<Sha256>::new(None, &self.0).expand(purpose.as_bytes(), &mut key);
        key
    }
}

impl SecretKey {
    /// An HMAC-SHA256 under the key for one purpose, which is as long as a block (RFC 2104 section 2).
    pub fn mac(&self, purpose: &str) -> Hmac<Sha256> {
        <Hmac<Sha256> as hmac::KeyInit>::new(&self.derive::<64>(purpose).into())
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("SecretKey(…)")
    }
}

/// The place a sealed value belongs to; it opens nowhere else.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// The table.
    pub table: &'a str,
    /// The column.
    pub column: &'a str,
    /// The row's key.
    pub row: &'a str,
}

impl Place<'_> {
    fn bytes(self) -> Vec<u8> {
        format!("{}.{}:{}", self.table, self.column, self.row).into_bytes()
    }
}

/// A sealed value that does not open: another key, another place, or changed bytes.
#[derive(Debug, Clone, thiserror::Error)]
#[error("a sealed value does not open with the present SECRET_KEY")]
pub struct DoesNotOpen;

/// Seals and opens what is stored.
#[derive(Clone)]
pub struct Sealer {
    current: XChaCha20Poly1305,
    previous: Option<XChaCha20Poly1305>,
    entropy: SharedEntropy,
}

impl Sealer {
    /// Seals under `current`; opens what was sealed under `current` or `previous`.
    pub fn new(current: &SecretKey, previous: Option<&SecretKey>, entropy: SharedEntropy) -> Self {
        let cipher = |key: &SecretKey| XChaCha20Poly1305::new(&key.derive::<32>("gangway seal v1").into());
        Self { current: cipher(current), previous: previous.map(cipher), entropy }
    }

    /// Version, nonce, ciphertext with tag.
    pub fn seal(&self, place: Place<'_>, plain: &[u8]) -> Vec<u8> {
        let nonce: [u8; NONCE_LENGTH] = draw(&*self.entropy);
        let payload = Payload { msg: plain, aad: &place.bytes() };
        // The cipher refuses only messages over 256 GiB.
        let ciphertext = self.current.encrypt(&XNonce::from(nonce), payload).unwrap_or_default();
        [&[VERSION], nonce.as_slice(), &ciphertext].concat()
    }

    /// The plain bytes, if `sealed` was sealed for this `place`.
    pub fn open(&self, place: Place<'_>, sealed: &[u8]) -> Result<Vec<u8>, DoesNotOpen> {
        opened(&self.current, place, sealed)
            .or_else(|error| self.previous.as_ref().map_or(Err(error), |key| opened(key, place, sealed)))
    }

    /// The same value under the present key, where only the previous one opens it; `None` where it is under the
    /// present one already.
    pub fn renewed(&self, place: Place<'_>, sealed: &[u8]) -> Result<Option<Vec<u8>>, DoesNotOpen> {
        if opened(&self.current, place, sealed).is_ok() {
            return Ok(None);
        }
        self.open(place, sealed).map(|plain| Some(self.seal(place, &plain)))
    }
}

fn opened(key: &XChaCha20Poly1305, place: Place<'_>, sealed: &[u8]) -> Result<Vec<u8>, DoesNotOpen> {
    let (version, rest) = sealed.split_first().ok_or(DoesNotOpen)?;
    let (nonce, ciphertext) = rest.split_first_chunk::<NONCE_LENGTH>().ok_or(DoesNotOpen)?;
    if *version != VERSION {
        return Err(DoesNotOpen);
    }
    let payload = Payload { msg: ciphertext, aad: &place.bytes() };
    key.decrypt(&XNonce::from(*nonce), payload).map_err(|_| DoesNotOpen)
}

impl fmt::Debug for Sealer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Sealer(…)")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;
    use crate::entropy::SeededEntropy;

    const TOKEN: Place<'static> = Place { table: "instances", column: "token", row: "1" };

    fn sealer(seed: u64) -> Sealer {
        let entropy = Arc::new(SeededEntropy::new(seed));
        Sealer::new(&SecretKey::draw(&*entropy), None, entropy)
    }

    proptest! {
        #[test]
        fn what_is_sealed_opens_in_its_place_and_nowhere_else(plain: Vec<u8>, flipped: prop::sample::Index) {
            let sealer = sealer(1);
            let sealed = sealer.seal(TOKEN, &plain);
            prop_assert_eq!(sealer.open(TOKEN, &sealed).unwrap(), plain);
            for place in [Place { row: "2", ..TOKEN }, Place { column: "code", ..TOKEN }, Place { table: "x", ..TOKEN }] {
                prop_assert!(sealer.open(place, &sealed).is_err());
            }
            let mut tampered = sealed.clone();
            tampered[flipped.index(sealed.len())] ^= 1;
            prop_assert!(sealer.open(TOKEN, &tampered).is_err());
        }
    }

    #[test]
    fn a_value_sealed_under_the_previous_key_still_opens() {
        let entropy = Arc::new(SeededEntropy::new(3));
        let (old, new) = (SecretKey::draw(&*entropy), SecretKey::draw(&*entropy));
        let sealed = Sealer::new(&old, None, entropy.clone()).seal(TOKEN, b"token");
        assert_eq!(Sealer::new(&new, Some(&old), entropy.clone()).open(TOKEN, &sealed).unwrap(), b"token");
        assert!(Sealer::new(&new, None, entropy).open(TOKEN, &sealed).is_err());
    }

    #[test]
    fn only_what_the_previous_key_opens_is_renewed() {
        let entropy = Arc::new(SeededEntropy::new(5));
        let [old, new] = [SecretKey::draw(&*entropy), SecretKey::draw(&*entropy)];
        let sealed = Sealer::new(&old, None, entropy.clone()).seal(TOKEN, b"token");
        let both = Sealer::new(&new, Some(&old), entropy.clone());
        let renewed = both.renewed(TOKEN, &sealed).unwrap().unwrap();
        let alone = Sealer::new(&new, None, entropy);
        assert_eq!(alone.open(TOKEN, &renewed).unwrap(), b"token");
        assert!(both.renewed(TOKEN, &renewed).unwrap().is_none());
        assert!(alone.renewed(TOKEN, &sealed).is_err());
        assert!(both.renewed(Place { row: "2", ..TOKEN }, &sealed).is_err());
    }

    #[test]
    fn a_short_empty_or_constant_key_is_refused_without_repeating_it() {
        assert_eq!(SecretKey::parse("***"), Err(InvalidSecretKey::NotBase64));
        assert_eq!(SecretKey::parse(""), Err(InvalidSecretKey::WrongLength(0)));
        assert_eq!(SecretKey::parse(&STANDARD.encode([0; 32])), Err(InvalidSecretKey::NotRandom));
        let key = SecretKey::draw(&SeededEntropy::new(1));
        assert_eq!(SecretKey::parse(&key.expose()), Ok(key.clone()));
        assert!(!format!("{key:?}").contains(&key.expose()));
    }
}
