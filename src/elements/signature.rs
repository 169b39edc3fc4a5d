//! `Elements-Webhook-Signature`: `sha256=` and the padded base64 of HMAC-SHA256 over the raw body
//! (Cloud Elements, "Event security"; reference section 6.4). The older `sha1=` is refused.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::entropy::{Entropy, fresh_token};

const SCHEME: &str = "sha256=";

/// `event.notification.signature.key` of one instance. ASCII, because Cloud Elements takes its bytes in
/// its platform's charset.
#[derive(Clone)]
pub struct SignatureKey(String);

impl SignatureKey {
    /// A fresh key of 256 bits.
    pub fn draw(entropy: &dyn Entropy) -> Self {
        Self(fresh_token(entropy))
    }

    /// The key of 32 bytes that were derived elsewhere.
    pub fn from_bytes(bytes: &[u8; 32]) -> Self {
        Self(URL_SAFE_NO_PAD.encode(bytes))
    }

    /// The header's value for `body`.
    pub fn sign(&self, body: &[u8]) -> String {
        let mac = Hmac::<Sha256>::new_from_slice(self.0.as_bytes());
        let digest = mac.map(|mac| mac.chain_update(body).finalize().into_bytes()).unwrap_or_default();
        format!("{SCHEME}{}", STANDARD.encode(digest))
    }

    /// A key as it was stored. An empty key is none.
    pub fn from_stored(text: String) -> Option<Self> {
        (!text.is_empty()).then_some(Self(text))
    }

    /// The key itself; for the call to Cloud Elements and the seal.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether `signature` is ours over exactly these bytes; in constant time.
    pub fn verify(&self, body: &[u8], signature: &Signature) -> Result<(), SignatureMismatch> {
        // HMAC takes keys of any length (RFC 2104 section 2); the error exists for other MACs.
        let mac = Hmac::<Sha256>::new_from_slice(self.0.as_bytes()).map_err(|_| SignatureMismatch)?;
        mac.chain_update(body).verify_slice(&signature.0).map_err(|_| SignatureMismatch)
    }
}

impl fmt::Debug for SignatureKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("SignatureKey(…)")
    }
}

/// A well-formed signature. That it is the right one is shown by [`SignatureKey::verify`] alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature([u8; 32]);

/// A header that cannot be a signature, whatever the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MalformedSignature {
    /// No header at all. We always set a key, so Cloud Elements always signs.
    #[error("the signature is missing")]
    Missing,
    /// Not `sha256=`.
    #[error("the signature's scheme is not sha256")]
    OtherScheme,
    /// Not the base64 of 32 bytes.
    #[error("the signature is not the base64 of 32 bytes")]
    NotADigest,
}

/// A signature of another key or of other bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the signature does not fit the body")]
pub struct SignatureMismatch;

impl Signature {
    /// Parses the header's value.
    pub fn parse(header: Option<&[u8]>) -> Result<Self, MalformedSignature> {
        let header = header.ok_or(MalformedSignature::Missing)?;
        let digest = header.strip_prefix(SCHEME.as_bytes()).ok_or(MalformedSignature::OtherScheme)?;
        let bytes = STANDARD.decode(digest).map_err(|_| MalformedSignature::NotADigest)?;
        bytes.try_into().map(Self).map_err(|_| MalformedSignature::NotADigest)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::entropy::SeededEntropy;

    fn key(text: &str) -> SignatureKey {
        SignatureKey::from_stored(text.to_owned()).unwrap()
    }

    #[test]
    fn the_vectors_of_the_reference_verify() {
        for (key_text, body, header) in [
            // Published by Cloud Elements.
            (
                "MySecretEventSignatureKey",
                "<INSERT_EVENT_NOTIFICATION_RESPONSE_BODY>",
                "sha256=jHdbRx5EZAsOfTwAPJOGkNUzQMVVdu5VJlxcsk+G6jQ=",
            ),
            (
                "team-test-key-1",
                r#"{"id":"9001","message":{"instanceId":4242,"events":[]}}"#,
                "sha256=JNhHv968Y9Z/PRZKYc8VKugbWg53OwNchwuIGi7ADcQ=",
            ),
            ("team-test-key-1", "", "sha256=aJ6UO/Efb5OonTB4SvDgGpTLp801AAKuueM5vGHztDs="),
            ("clé-é", "{\"name\":\"Zoë – ☕\"}", "sha256=bmodCDlgu/aHP5Pe4iDR332BRvhLZwE1CX5foo54dw8="),
        ] {
            let signature = Signature::parse(Some(header.as_bytes())).unwrap();
            assert_eq!(key(key_text).verify(body.as_bytes(), &signature), Ok(()), "{key_text} {body}");
        }
    }

    #[test]
    fn d01_d02_d05_what_is_no_sha256_digest_is_malformed() {
        use MalformedSignature as Malformed;
        assert_eq!(Signature::parse(None), Err(Malformed::Missing));
        for other in ["", "v1,", "sha1=2jmj7l5rSw0yVb/vlWAYkK/YBwk=", "SHA256=", "sha256"] {
            assert_eq!(Signature::parse(Some(other.as_bytes())), Err(Malformed::OtherScheme), "{other}");
        }
        let full = STANDARD.encode([7; 32]);
        for length in 0..32 {
            let short = format!("sha256={}", STANDARD.encode(&[7; 32][..length]));
            assert_eq!(Signature::parse(Some(short.as_bytes())), Err(Malformed::NotADigest));
        }
        for wrong in [
            STANDARD.encode([7; 33]),
            "07".repeat(32),
            full.trim_end_matches('=').to_owned(),
            format!(" {full}"),
            format!("{full},{full}"),
        ] {
            let header = format!("sha256={wrong}");
            assert_eq!(Signature::parse(Some(header.as_bytes())), Err(Malformed::NotADigest), "{header}");
        }
        assert!(Signature::parse(Some(b"sha256=\xff\xfe")).is_err());
    }

    proptest! {
        #[test]
        fn any_flipped_bit_of_body_or_signature_fails(
            seed: u64, body in prop::collection::vec(any::<u8>(), 1..400), place: prop::sample::Index, bit in 0_u8..8,
        ) {
            let key = SignatureKey::draw(&SeededEntropy::new(seed));
            let mac = Hmac::<Sha256>::new_from_slice(key.expose().as_bytes()).unwrap().chain_update(&body);
            let digest: [u8; 32] = mac.finalize().into_bytes().into();
            let signature = Signature(digest);
            prop_assert_eq!(key.verify(&body, &signature), Ok(()));
            let mut other = body.clone();
            other[place.index(body.len())] ^= 1 << bit;
            prop_assert_eq!(key.verify(&other, &signature), Err(SignatureMismatch));
            let mut other = digest;
            other[place.index(32)] ^= 1 << bit;
            prop_assert_eq!(key.verify(&body, &Signature(other)), Err(SignatureMismatch));
        }

        #[test]
        fn no_header_makes_the_parser_panic(header: Vec<u8>) {
            let _ = Signature::parse(Some(&header));
        }
    }
}
