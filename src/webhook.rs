//! What stands on a notification that is passed on: the id, the time and both signatures (Standard Webhooks,
//! and the one Cloud Elements signs with). Plain values; who receives them is not known here.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::elements::SignatureKey;
use crate::entropy::{Entropy, draw};

/// Standard Webhooks marks secrets for symmetric signatures so.
const PREFIX: &str = "whsec_";

/// The secret that an endpoint shares with us. Its 32 bytes are the key of `webhook-signature`; its text, as it
/// is shown, is the key of `Elements-Webhook-Signature`, which takes a key's characters and not what they encode.
#[derive(Clone)]
pub struct EndpointSecret([u8; 32]);

impl EndpointSecret {
    /// A fresh one.
    pub fn draw(entropy: &dyn Entropy) -> Self {
        Self(draw(entropy))
    }

    /// A secret as it was stored; `None` where it is not 32 bytes.
    pub fn from_stored(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// For the seal alone.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// `whsec_` and base64: shown once, when the endpoint is made.
    pub fn shown(&self) -> String {
        format!("{PREFIX}{}", STANDARD.encode(self.0))
    }

    /// The value of `webhook-signature`.
    pub fn sign(&self, id: &str, timestamp: i64, body: &[u8]) -> String {
        signature(&self.0, id, timestamp, body)
    }

    /// The value of `Elements-Webhook-Signature`, as Cloud Elements signs: over the body alone.
    pub fn sign_as_elements(&self, body: &[u8]) -> String {
        SignatureKey::from_stored(self.shown()).map(|key| key.sign(body)).unwrap_or_default()
    }
}

impl fmt::Debug for EndpointSecret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("EndpointSecret(…)")
    }
}

/// Over id, time and body, so that none of them can be exchanged.
fn signature(key: &[u8], id: &str, timestamp: i64, body: &[u8]) -> String {
    let signed = format!("{id}.{timestamp}.");
    let mac = Hmac::<Sha256>::new_from_slice(key);
    let digest = mac
        .map(|mac| mac.chain_update(signed).chain_update(body).finalize().into_bytes())
        .unwrap_or_default();
    format!("v1,{}", STANDARD.encode(digest))
}

/// The value of `webhook-id`: the same for every attempt, and for no other notification. From the notification's
/// fingerprint, which goes on where a database is put back from a copy, as its place in the order would not.
pub fn message_id(fingerprint: &[u8]) -> String {
    let digits: String = fingerprint.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("msg_{digits}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::SeededEntropy;

    #[test]
    fn the_vector_of_standard_webhooks_is_signed_as_published() {
        let key = STANDARD.decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let signed =
            signature(&key, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, br#"{"test": 2432232314}"#);
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn both_signatures_are_what_a_receiver_computes_from_the_text_it_was_shown() {
        let secret = EndpointSecret::draw(&SeededEntropy::new(1));
        let shown = secret.shown();
        let bytes = STANDARD.decode(shown.strip_prefix("whsec_").unwrap()).unwrap();
        let mac = |key: &[u8], body: &[u8]| {
            let mac = Hmac::<Sha256>::new_from_slice(key).unwrap().chain_update(body);
            STANDARD.encode(mac.finalize().into_bytes())
        };
        assert_eq!(secret.sign("msg_1", 7, b"\xff{}"), format!("v1,{}", mac(&bytes, b"msg_1.7.\xff{}")));
        assert_eq!(secret.sign_as_elements(b"{}"), format!("sha256={}", mac(shown.as_bytes(), b"{}")));
        assert!(!format!("{secret:?}").contains(&shown[6..]));
    }

    #[test]
    fn an_id_is_without_dots_and_of_one_notification() {
        assert_eq!(message_id(&[0, 255]), "msg_00ff");
    }
}
