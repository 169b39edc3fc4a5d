//! Refused notifications on a page: each reason with how often, and what usually is behind it.

use crate::events::{Refusal, Refused};

/// One reason.
pub struct RefusedView {
    pub(super) reason: &'static str,
    pub(super) last_hour: u64,
    pub(super) last_day: u64,
    pub(super) hint: &'static str,
}

impl From<Refused> for RefusedView {
    fn from(Refused { reason, last_hour, last_day }: Refused) -> Self {
        let hint = match reason {
            Refusal::BadSignature => {
                "Signed with another key. If it goes on, somebody changed the instance's signature key at Cloud Elements; let the customer approve again. Otherwise it was a stranger."
            }
            Refusal::MalformedSignature => {
                "Not signed with sha256. A stranger, or the signature was switched off at Cloud Elements."
            }
            Refusal::UnknownInstance => "Sent to an address that no instance here has.",
            Refusal::Disconnected => "Sent to an instance that was disconnected. It should stop by itself.",
            Refusal::TooLarge => "Larger than is taken.",
            Refusal::TooSlow => "Did not arrive in time. A slow network, or a stranger.",
        };
        Self { reason: reason.as_str(), last_hour, last_day, hint }
    }
}

/// In a sentence, for the page of an instance: `12 refused in the last hour: bad_signature.`
pub fn in_a_sentence(refused: &[Refused]) -> Option<String> {
    let sentence = |count: fn(&Refused) -> u64, span: &str| {
        let of: Vec<_> = refused.iter().filter(|one| count(one) > 0).collect();
        let total: u64 = of.iter().map(|one| count(one)).sum();
        let reasons: Vec<_> = of.iter().map(|one| one.reason.as_str()).collect();
        (total > 0).then(|| format!("{total} refused in the last {span}: {}.", reasons.join(", ")))
    };
    sentence(|one| one.last_hour, "hour").or_else(|| sentence(|one| one.last_day, "day"))
}
