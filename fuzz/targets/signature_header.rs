//! The signature header: whatever stands in it, over whatever body, it is accepted if and only if it is, byte
//! for byte, the one documented spelling of the true signature: `sha256=` and padded base64. What is true is
//! computed here a second time, from RFC 2104 and RFC 4648.
//!
//! An input is a key, a header and a body, with a line feed between them; `<digest>` in the header stands for
//! the base64 of the true digest, which no fuzzer would guess.
#![no_main]

use gangway::elements::{MalformedSignature, Signature, SignatureKey};
use libfuzzer_sys::fuzz_target;
use sha2::{Digest, Sha256};

const SCHEME: &[u8] = b"sha256=";
const PLACE: &[u8] = b"<digest>";
/// The scheme, and the base64 of 32 bytes.
const LENGTH: usize = 7 + 44;

fuzz_target!(|input: &[u8]| {
    let mut parts = input.splitn(3, |byte| *byte == b'\n');
    let mut part = || parts.next().unwrap_or_default();
    let (key_bytes, header, body) = (part(), part(), part());
    let text = String::from_utf8_lossy(key_bytes).into_owned();
    let Some(key) = SignatureKey::from_stored(text.clone()) else {
        assert!(text.is_empty(), "an empty key alone is none");
        return;
    };
    let digest = hmac(text.as_bytes(), body);
    let digest_text = base64(&digest);
    let truth = [SCHEME, &digest_text].concat();

    assert_eq!(key.sign(body).as_bytes(), truth);
    assert!(accepts(&key, body, &truth), "the true signature is always accepted");
    agrees(&key, body, &filled(header, &digest_text), &truth);
    // The digest itself decides where and how the rest is changed: the same for the same input.
    let [place, change, ..] = digest;
    for header in changed(&truth, place, change) {
        agrees(&key, body, &header, &truth);
    }
    for other in changed(body, place, change).filter(|other| other != body) {
        assert!(!accepts(&key, &other, &truth), "a signature of other bytes");
    }
    let other = SignatureKey::from_stored(text + "x").expect("a key that is not empty");
    assert!(!accepts(&other, body, &truth), "a signature of another key");
    assert_eq!(Signature::parse(None), Err(MalformedSignature::Missing));
});

fn accepts(key: &SignatureKey, body: &[u8], header: &[u8]) -> bool {
    Signature::parse(Some(header)).is_ok_and(|signature| key.verify(body, &signature).is_ok())
}

fn agrees(key: &SignatureKey, body: &[u8], header: &[u8], truth: &[u8]) {
    assert_eq!(accepts(key, body, header), header == truth, "{}", header.escape_ascii());
    match Signature::parse(Some(header)) {
        Ok(_) => assert!(header.starts_with(SCHEME) && header.len() == LENGTH),
        Err(MalformedSignature::OtherScheme) => assert!(!header.starts_with(SCHEME)),
        Err(MalformedSignature::NotADigest) => assert!(header.starts_with(SCHEME)),
        Err(MalformedSignature::Missing) => panic!("there is a header"),
    }
}

/// `header` with the digest in its place.
fn filled(header: &[u8], digest: &[u8]) -> Vec<u8> {
    match header.windows(PLACE.len()).position(|part| part == PLACE) {
        Some(at) => [&header[..at], digest, &header[at + PLACE.len()..]].concat(),
        None => header.to_vec(),
    }
}

/// `bytes` with one changed, taken out, put in, and with the rest cut off.
fn changed(bytes: &[u8], place: u8, change: u8) -> impl Iterator<Item = Vec<u8>> {
    let at = usize::from(place) % bytes.len().max(1);
    let (before, after) = bytes.split_at(at.min(bytes.len()));
    let rest = after.get(1..).unwrap_or_default();
    let flipped = after.first().map(|byte| byte ^ change.max(1));
    [
        before.iter().copied().chain(flipped).chain(rest.iter().copied()).collect(),
        [before, rest].concat(),
        [before, &[change], after].concat(),
        before.to_vec(),
    ]
    .into_iter()
}

/// RFC 2104 over SHA-256.
fn hmac(key: &[u8], body: &[u8]) -> [u8; 32] {
    let mut block = [0; 64];
    if key.len() <= block.len() {
        block[..key.len()].copy_from_slice(key);
    } else {
        block[..32].copy_from_slice(&Sha256::digest(key));
    }
    let hash = |pad: u8, data: &[u8]| {
        Sha256::new().chain_update(block.map(|byte| byte ^ pad)).chain_update(data).finalize()
    };
    hash(0x5c, &hash(0x36, body)).into()
}

/// RFC 4648 section 4, padded.
fn base64(bytes: &[u8]) -> Vec<u8> {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    bytes
        .chunks(3)
        .flat_map(|chunk| {
            let byte = |at| u32::from(chunk.get(at).copied().unwrap_or_default());
            let group = byte(0) << 16 | byte(1) << 8 | byte(2);
            let letter = move |at: usize| LETTERS[(group >> (18 - 6 * at) & 63) as usize];
            let letters = chunk.len() + 1;
            (0..4).map(move |at| if at < letters { letter(at) } else { b'=' })
        })
        .collect()
}
