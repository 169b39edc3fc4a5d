//! What comes back to the redirect URI (RFC 6749 sections 4.1.2 and 4.1.2.1), parsed once into a grant
//! or a denial. Anything else is refused. Never keeps `error_description`: that text is a stranger's.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};

use super::State;

/// Longer values are nobody's: Mailchimp's codes have 32 characters, our states 43.
const LONGEST_CODE: usize = 2048;
const LONGEST_STATE: usize = 512;
const LONGEST_ERROR: usize = 128;

/// A well-formed answer of the authorization server.
#[derive(Debug)]
pub enum AuthorizationResponse {
    /// The customer approved.
    Granted {
        /// To be spent by Cloud Elements, once.
        code: GrantCode,
        /// Names the authorization request.
        state: State,
    },
    /// The customer, or the server, said no.
    Denied {
        /// Why.
        error: ErrorCode,
        /// Names the authorization request.
        state: State,
    },
}

/// The grant code: single use, 30 seconds.
#[derive(Clone)]
pub struct GrantCode(SecretString);

impl GrantCode {
    /// Takes a code as it was received or opened.
    pub fn new(code: impl Into<String>) -> Self {
        Self(SecretString::from(code.into()))
    }

    /// The code itself; for the call to Cloud Elements and the seal.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl fmt::Debug for GrantCode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("GrantCode(…)")
    }
}

/// The `error` parameter, sorted by what the customer should do. Other words than RFC 6749's are met
/// too: Mailchimp speaks draft 10 (reference section 1.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorCode {
    /// `access_denied`: the customer chose not to.
    AccessDenied,
    /// `server_error`, `temporarily_unavailable`: trouble at Mailchimp.
    ServerTrouble,
    /// Every other: our registration or request is wrong.
    Misconfigured,
}

impl ErrorCode {
    fn parse(text: &str) -> Self {
        match text {
            "access_denied" | "user_denied" => Self::AccessDenied,
            "server_error" | "temporarily_unavailable" => Self::ServerTrouble,
            _ => Self::Misconfigured,
        }
    }

    /// The word under which it is stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AccessDenied => "access_denied",
            Self::ServerTrouble => "server_error",
            Self::Misconfigured => "misconfigured",
        }
    }

    /// Reads the stored word.
    pub fn from_stored(text: &str) -> Option<Self> {
        [Self::AccessDenied, Self::ServerTrouble, Self::Misconfigured]
            .into_iter()
            .find(|code| code.as_str() == text)
    }
}

/// Why a query is no answer of an authorization server. For the log; the page is one for all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidAuthorizationResponse {
    /// Without state nothing can be matched.
    #[error("state is missing")]
    MissingState,
    /// Neither a grant nor a denial.
    #[error("neither code nor error")]
    NeitherCodeNorError,
    /// Both; the server cannot have meant that.
    #[error("both code and error")]
    BothCodeAndError,
    /// RFC 6749 section 3.1: parameters must not be included more than once.
    #[error("a parameter stands twice")]
    Repeated,
    /// Longer than any real one.
    #[error("a parameter is too long")]
    TooLong,
}

impl AuthorizationResponse {
    /// Parses the raw query of the callback. Unknown parameters are ignored (RFC 6749 section 4.1.2);
    /// empty ones count as absent (section 3.1).
    pub fn parse(query: &str) -> Result<Self, InvalidAuthorizationResponse> {
        let (mut code, mut state, mut error) = (None, None, None);
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let (slot, longest) = match &*name {
                "code" => (&mut code, LONGEST_CODE),
                "state" => (&mut state, LONGEST_STATE),
                "error" => (&mut error, LONGEST_ERROR),
                _ => continue,
            };
            if value.is_empty() {
                continue;
            }
            if value.len() > longest {
                return Err(InvalidAuthorizationResponse::TooLong);
            }
            if slot.replace(value.into_owned()).is_some() {
                return Err(InvalidAuthorizationResponse::Repeated);
            }
        }
        let state = State::received(state.ok_or(InvalidAuthorizationResponse::MissingState)?);
        match (code, error) {
            (Some(code), None) => Ok(Self::Granted { code: GrantCode::new(code), state }),
            (None, Some(error)) => Ok(Self::Denied { error: ErrorCode::parse(&error), state }),
            (None, None) => Err(InvalidAuthorizationResponse::NeitherCodeNorError),
            (Some(_), Some(_)) => Err(InvalidAuthorizationResponse::BothCodeAndError),
        }
    }

    /// The state it brought.
    pub fn state(&self) -> &State {
        match self {
            Self::Granted { state, .. } | Self::Denied { state, .. } => state,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_grant_and_a_denial_are_told_apart_and_all_else_is_refused() {
        use InvalidAuthorizationResponse as Invalid;
        let parse = AuthorizationResponse::parse;
        assert!(matches!(parse("code=c&state=s"), Ok(AuthorizationResponse::Granted { .. })));
        assert!(matches!(
            parse("error=access_denied&state=s&error_description=x"),
            Ok(AuthorizationResponse::Denied { error: ErrorCode::AccessDenied, .. })
        ));
        for (query, expected) in [
            ("", Invalid::MissingState),
            ("code=c", Invalid::MissingState),
            ("code=c&state=", Invalid::MissingState),
            ("state=s", Invalid::NeitherCodeNorError),
            ("state=s&code=", Invalid::NeitherCodeNorError),
            ("state=s&code=c&error=e", Invalid::BothCodeAndError),
            ("state=s&code=c&code=d", Invalid::Repeated),
            ("state=s&state=t&code=c", Invalid::Repeated),
        ] {
            assert_eq!(parse(query).err(), Some(expected), "{query}");
        }
        assert_eq!(parse(&format!("state=s&code={}", "x".repeat(3000))).err(), Some(Invalid::TooLong));
    }

    proptest! {
        #[test]
        fn no_query_makes_the_parser_panic(query in "\\PC*") {
            let _ = AuthorizationResponse::parse(&query);
        }

        #[test]
        fn what_the_server_sent_is_what_is_read(code in "[!-~]{1,100}", state in "[!-~]{1,100}") {
            let query = form_urlencoded::Serializer::new(String::new())
                .append_pair("state", &state).append_pair("code", &code).finish();
            match AuthorizationResponse::parse(&query) {
                Ok(AuthorizationResponse::Granted { code: read, state: same }) => {
                    prop_assert_eq!(read.expose(), code);
                    prop_assert_eq!(same.as_parameter(), state);
                }
                other => prop_assert!(false, "{:?}", other),
            }
        }
    }

    #[test]
    fn a_code_does_not_print_itself() {
        let response = AuthorizationResponse::parse("code=canary&state=canary").unwrap();
        assert!(!format!("{response:?}").contains("canary"));
    }
}
