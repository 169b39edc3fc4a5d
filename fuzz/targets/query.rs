//! What strangers write into an address: the query of the OAuth callback, and the ids of events. A query is read
//! here a second time, by the URL standard's rules for forms, and every answer must be true of that reading.
//! The event list's filters and its cursor are private to their pages; tests beside them try those.
#![no_main]

use std::borrow::Cow;

use gangway::oauth::{AuthorizationResponse, ErrorCode, InvalidAuthorizationResponse, State};
use gangway::storage::EventId;
use libfuzzer_sys::fuzz_target;

/// The longest of each that is taken.
const LONGEST: [(&str, usize); 3] = [("code", 2048), ("state", 512), ("error", 128)];

fuzz_target!(|input: &[u8]| {
    let query = String::from_utf8_lossy(input);
    let pairs = decoded(query.as_bytes());
    answer_is_true(&query, &pairs);
    event_id(&query);
    for (name, value) in &pairs {
        event_id(name);
        event_id(value);
        // The first half of a cursor.
        event_id(value.split('.').next().unwrap_or_default());
    }
});

fn answer_is_true(query: &str, pairs: &[(String, String)]) {
    // An empty one counts as absent (RFC 6749 section 3.1).
    let values = |wanted: &str| -> Vec<&str> {
        let given = |(name, value): &&(String, String)| name == wanted && !value.is_empty();
        pairs.iter().filter(given).map(|(_, value)| value.as_str()).collect()
    };
    let (codes, states, errors) = (values("code"), values("state"), values("error"));
    let too_long = LONGEST.iter().any(|(name, most)| values(name).iter().any(|value| value.len() > *most));
    let repeated = [&codes, &states, &errors].iter().any(|values| values.len() > 1);
    let answer = AuthorizationResponse::parse(query);
    match &answer {
        Ok(AuthorizationResponse::Granted { code, state }) => {
            assert_eq!(
                (&*codes, &*states, errors.len()),
                (&[code.expose()][..], &[state.as_parameter()][..], 0)
            );
        }
        Ok(AuthorizationResponse::Denied { error, state }) => {
            assert_eq!((codes.len(), &*states, errors.len()), (0, &[state.as_parameter()][..], 1));
            assert_eq!(*error, meaning(errors[0]));
            assert_eq!(ErrorCode::from_stored(error.as_str()), Some(*error));
        }
        Err(InvalidAuthorizationResponse::MissingState) => assert!(states.is_empty()),
        Err(InvalidAuthorizationResponse::NeitherCodeNorError) => {
            assert!(codes.is_empty() && errors.is_empty());
        }
        Err(InvalidAuthorizationResponse::BothCodeAndError) => {
            assert!(!codes.is_empty() && !errors.is_empty());
        }
        Err(InvalidAuthorizationResponse::Repeated) => assert!(repeated),
        Err(InvalidAuthorizationResponse::TooLong) => assert!(too_long),
    }
    let Ok(answer) = answer else { return };
    assert!(!too_long && !repeated);
    assert_eq!(answer.state().hash(), State::received(states[0]).hash());
    let granted = "Granted { code: GrantCode(…), state: State(…) }";
    let printed = format!("{answer:?}");
    assert!(printed == granted || printed.ends_with(", state: State(…) }"), "it prints no secret");
}

/// Reference section 1.1, and RFC 6749 section 4.1.2.1.
fn meaning(error: &str) -> ErrorCode {
    match error {
        "access_denied" | "user_denied" => ErrorCode::AccessDenied,
        "server_error" | "temporarily_unavailable" => ErrorCode::ServerTrouble,
        _ => ErrorCode::Misconfigured,
    }
}

fn event_id(text: &str) {
    let natural = |digits: &str| {
        let canonical = digits == "0" || !digits.starts_with('0');
        let only_digits = digits.bytes().all(|byte| byte.is_ascii_digit());
        canonical && only_digits && digits.parse::<i64>().is_ok()
    };
    let names_one = text.split_once('-').is_some_and(|(one, other)| natural(one) && natural(other));
    match text.parse::<EventId>() {
        Ok(id) => {
            assert!(names_one && id >= EventId::START, "{text}");
            assert_eq!(id.to_string(), text);
            assert_eq!(id.to_string().parse(), Ok(id));
        }
        Err(_) => assert!(!names_one, "{text}"),
    }
}

/// `application/x-www-form-urlencoded` parsing, <https://url.spec.whatwg.org/#urlencoded-parsing>.
fn decoded(query: &[u8]) -> Vec<(String, String)> {
    let pair = |pair: &[u8]| {
        let at = pair.iter().position(|byte| *byte == b'=').unwrap_or(pair.len());
        (percent_decoded(&pair[..at]), percent_decoded(pair.get(at + 1..).unwrap_or_default()))
    };
    query.split(|byte| *byte == b'&').filter(|part| !part.is_empty()).map(pair).collect()
}

fn percent_decoded(text: &[u8]) -> String {
    let digit = |byte: Option<&u8>| byte.and_then(|byte| char::from(*byte).to_digit(16));
    let (mut bytes, mut at) = (Vec::new(), 0);
    while let Some(byte) = text.get(at) {
        let escaped = (*byte == b'%').then(|| Some(digit(text.get(at + 1))? << 4 | digit(text.get(at + 2))?));
        let (byte, step) = match escaped.flatten().and_then(|value| u8::try_from(value).ok()) {
            Some(value) => (value, 3),
            None if *byte == b'+' => (b' ', 1),
            None => (*byte, 1),
        };
        bytes.push(byte);
        at += step;
    }
    match String::from_utf8_lossy(&bytes) {
        Cow::Borrowed(text) => text.to_owned(),
        Cow::Owned(text) => text,
    }
}
