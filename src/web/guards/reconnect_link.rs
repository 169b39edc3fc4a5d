//! Proof that the operator lets somebody renew one instance: an id and an end, signed. Nothing is stored;
//! opening the link does nothing, and what it leads to is consent at Mailchimp.

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest, web};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use sha2::Sha256;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use crate::seal::SecretKey;
use crate::web::Gangway;
use crate::web::failure::Failure;

/// Links work so long.
const LIFETIME: Duration = Duration::days(7);

/// A link that the operator made and that has not ended.
pub struct ReconnectLink {
    /// Whose access may be renewed.
    pub instance: Uuid,
    /// As it stands in the address.
    pub token: String,
}

impl ReconnectLink {
    /// A fresh link for `instance`, good until `ends`.
    fn make(key: &SecretKey, instance: Uuid, ends: OffsetDateTime) -> Self {
        let mut said = instance.as_bytes().to_vec();
        said.extend(ends.unix_timestamp().to_be_bytes());
        let tag = mac(key, &said).finalize().into_bytes();
        said.extend_from_slice(&tag);
        Self { instance, token: URL_SAFE_NO_PAD.encode(said) }
    }

    fn read(key: &SecretKey, token: &str, now: OffsetDateTime) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
        let (said, tag) = bytes.split_at_checked(24)?;
        mac(key, said).verify_slice(tag).ok()?;
        let (id, ends) = said.split_at_checked(16)?;
        let ends = i64::from_be_bytes(ends.try_into().ok()?);
        let instance = Uuid::from_slice(id).ok()?;
        (now.unix_timestamp() < ends).then(|| Self { instance, token: token.to_owned() })
    }
}

impl Gangway {
    /// The address of a fresh link, and when it ends.
    pub(in crate::web) fn reconnect_link(&self, instance: Uuid) -> (String, OffsetDateTime) {
        let ends = self.clock.now() + LIFETIME;
        let link = ReconnectLink::make(&self.config.secret_key, instance, ends);
        (format!("{}/reconnect/{}", self.config.public_url.origin(), link.token), ends)
    }
}

fn mac(key: &SecretKey, said: &[u8]) -> Hmac<Sha256> {
    key.mac("gangway reconnect link v1").chain_update(said)
}

impl FromRequest for ReconnectLink {
    type Error = Failure;
    type Future = std::future::Ready<Result<Self, Failure>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let app = request.app_data::<web::Data<Gangway>>().ok_or_else(Failure::misassembled);
        let token = request.match_info().get("token").unwrap_or_default();
        let link = app.and_then(|app| {
            Self::read(&app.config.secret_key, token, app.clock.now()).ok_or(Failure::LinkEnded)
        });
        std::future::ready(link)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::SeededEntropy;

    #[test]
    fn a_link_opens_what_it_was_made_for_until_it_ends_and_not_a_bit_changed() {
        let key = SecretKey::draw(&SeededEntropy::new(1));
        let now = OffsetDateTime::UNIX_EPOCH;
        let link = ReconnectLink::make(&key, Uuid::max(), now + Duration::HOUR);
        assert_eq!(ReconnectLink::read(&key, &link.token, now).unwrap().instance, Uuid::max());
        assert!(ReconnectLink::read(&key, &link.token, now + Duration::HOUR).is_none());
        assert!(ReconnectLink::read(&SecretKey::draw(&SeededEntropy::new(2)), &link.token, now).is_none());
        let bytes = URL_SAFE_NO_PAD.decode(&link.token).unwrap();
        for place in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[place] ^= 1;
            assert!(ReconnectLink::read(&key, &URL_SAFE_NO_PAD.encode(changed), now).is_none(), "{place}");
            assert!(ReconnectLink::read(&key, &URL_SAFE_NO_PAD.encode(&bytes[..place]), now).is_none());
        }
    }
}
