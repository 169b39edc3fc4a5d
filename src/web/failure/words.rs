//! The words of every failure: what a person reads.

use actix_web::http::StatusCode;

use super::Failure;
use crate::mailchimp::PROVIDER;
use crate::oauth::NotPending;
use crate::storage::StorageError;
use crate::web::Gangway;
use crate::web::guards::KeyRefused;
use crate::web::pages::Action;

/// What a failure says: the stable code, the headline, at most three sentences, and the way forward.
pub(super) struct Words {
    pub(super) code: &'static str,
    pub(super) headline: &'static str,
    pub(super) sentences: &'static [&'static str],
    pub(super) next: Next,
}

#[derive(Clone, Copy)]
pub(super) enum Next {
    StartAgain,
    Home,
    Nothing,
}

impl Failure {
    #[expect(clippy::too_many_lines, reason = "a table: one entry for each failure")]
    pub(super) fn words(&self) -> Words {
        let words = |code, headline, sentences, next| Words { code, headline, sentences, next };
        match self {
            Self::NotPending(NotPending::Expired) => words(
                "request_expired",
                "That took a little too long",
                &[
                    "For your safety an approval must come back within an hour.",
                    "Nothing was shared. Start again; it takes a few seconds.",
                ],
                Next::StartAgain,
            ),
            Self::InvalidResponse(_) | Self::NotPending(NotPending::Unknown) | Self::NoCookie => words(
                "start_again_here",
                "Please start in this browser",
                &[
                    "We could not match this approval with a start in this browser.",
                    "It happens when the link was opened in another browser or app, or when a private window was closed. Nothing was shared.",
                    "Start again here and stay in this browser until you are back.",
                ],
                Next::StartAgain,
            ),
            Self::AuthorizeUrl(_) => words(
                "provider_trouble",
                "MailChimp cannot be reached right now",
                &[
                    "We could not get the address to send you to.",
                    "Nothing was shared. Please try again in a minute.",
                ],
                Next::StartAgain,
            ),
            Self::CrossOrigin => words(
                "cross_origin",
                "This did not come from our page",
                &[
                    "The request came from another website, so we did not act on it.",
                    "If it was you, open our page and try again there.",
                ],
                Next::Home,
            ),
            Self::TooMany(_) => words(
                "too_many_requests",
                "One moment, please",
                &[
                    "There were many tries from your network in a short time.",
                    "Nothing was shared. Wait a minute and try again.",
                ],
                Next::Home,
            ),
            Self::SignInFirst(_) => {
                words("sign_in_first", "Please sign in", &["This page is for the operator."], Next::Nothing)
            }
            Self::ViewersLook => words(
                "viewers_look",
                "You may look here, not act",
                &[
                    "You are signed in as a viewer. Nothing was changed.",
                    "Ask an operator to do it, or to give you the role.",
                ],
                Next::Nothing,
            ),
            Self::LastOperator => words(
                "last_operator",
                "Somebody must be able to act",
                &[
                    "This is the last operator who has a password. Nothing was changed.",
                    "Add another one first; as soon as they have signed in, try again.",
                ],
                Next::Nothing,
            ),
            Self::NotFound => words(
                "not_found",
                "There is nothing here",
                &[
                    "This page does not exist, or it belongs to another browser.",
                    "A connection's page opens only in the browser that made it.",
                ],
                Next::Home,
            ),
            Self::LinkEnded => words(
                "link_ended",
                "This link has ended",
                &["For your safety such a link works for a week.", "Ask whoever sent it for a new one."],
                Next::Nothing,
            ),
            Self::InviteClosed => words(
                "invite_closed",
                "This link cannot be used any more",
                &[
                    "It was used up or taken back while you were at MailChimp. Your approval was not used, and nothing was connected.",
                    "Ask whoever sent the link for a new one.",
                ],
                Next::Nothing,
            ),
            Self::InvitedOnly => words(
                "invited_only",
                "You need a link of your own",
                &[
                    "Connecting starts with a link that was made for you.",
                    "Ask us for one; nothing was shared.",
                ],
                Next::Nothing,
            ),
            Self::Conflict(_) => words(
                "conflict",
                "That does not fit how it stands",
                &[
                    "The connection is in another state by now, so nothing was changed.",
                    "Go back, look at it again, and decide then.",
                ],
                Next::Nothing,
            ),
            Self::NotRepeatable => words(
                "not_repeatable",
                "It cannot be delivered again",
                &[
                    "Its endpoint is off or deleted, or its payload is no longer kept.",
                    "Nothing was changed. An endpoint that is off can be switched on again on its page.",
                ],
                Next::Nothing,
            ),
            Self::Upstream(_) => words(
                "upstream_trouble",
                "Cloud Elements did not do it",
                &["Nothing was changed here. The reference below finds what it said in the log."],
                Next::Nothing,
            ),
            Self::Unclear(_) => words(
                "upstream_unclear",
                "Cloud Elements gave no clear answer",
                &[
                    "What was asked may have happened there, or not; nothing was changed here.",
                    "Ask again, or let the comparison tell.",
                ],
                Next::Nothing,
            ),
            Self::BadRequest(_) => words(
                "bad_request",
                "That could not be read",
                &["The form did not arrive whole.", "Go back and send it again."],
                Next::Home,
            ),
            Self::Key(refused) => match refused {
                KeyRefused::Missing => words(
                    "api_key_missing",
                    "An API key is needed",
                    &["Send a key that `gangway api-key create` made as `Authorization: Bearer KEY`."],
                    Next::Nothing,
                ),
                KeyRefused::Invalid => words(
                    "api_key_invalid",
                    "This API key opens nothing",
                    &["It was never made, was revoked, or has expired."],
                    Next::Nothing,
                ),
                KeyRefused::ReadOnly => words(
                    "api_key_read_only",
                    "This API key is for reading",
                    &["What is asked needs a key of the scope `write`."],
                    Next::Nothing,
                ),
            },
            Self::UnknownParameter(_) => {
                words("unknown_parameter", "There is no such parameter", &[], Next::Nothing)
            }
            Self::Parameter(..) => words("bad_parameter", "A parameter cannot be read", &[], Next::Nothing),
            Self::Body(_) => words("bad_body", "The body cannot be read", &[], Next::Nothing),
            Self::MediaType => words(
                "unsupported_media_type",
                "The body must be JSON",
                &["Send it with `Content-Type: application/json`."],
                Next::Nothing,
            ),
            Self::Field(..) => words("bad_field", "A field cannot be used", &[], Next::Nothing),
            Self::MalformedSignature(_) | Self::SignatureMismatch(_) => words(
                "bad_signature",
                "The signature does not fit",
                &["The notification was not stored."],
                Next::Nothing,
            ),
            Self::Gone => words(
                "disconnected",
                "This instance is disconnected",
                &["It takes no more notifications."],
                Next::Nothing,
            ),
            Self::KeyInUse => words(
                "idempotency_key_in_use",
                "This is being done",
                &["A request with this Idempotency-Key is under way; ask again in a moment."],
                Next::Nothing,
            ),
            Self::KeyReused => words(
                "idempotency_key_reused",
                "This Idempotency-Key was used",
                &["It stands for another body within the last 24 hours; take a fresh one."],
                Next::Nothing,
            ),
            Self::TooLarge => {
                words("too_large", "That is too large", &["The request was larger than we take."], Next::Home)
            }
            Self::TooSlow => {
                words("too_slow", "That took too long", &["The request did not arrive in time."], Next::Home)
            }
            Self::Busy(_) | Self::Storage(StorageError::Busy) => words(
                "busy",
                "We need a moment",
                &["Too much arrives at once.", "Please try again in a few seconds."],
                Next::Home,
            ),
            Self::Storage(_) => words(
                "storage_trouble",
                "We need a moment",
                &[
                    "We could not save or read what is needed.",
                    "Please try again in a minute; the reference below tells us what happened.",
                ],
                Next::Home,
            ),
            Self::Other(StatusCode::METHOD_NOT_ALLOWED) => words(
                "method_not_allowed",
                "That does not work here",
                &["This address takes another kind of request."],
                Next::Home,
            ),
            Self::Other(_) => {
                words("refused", "That could not be done", &["The request is not one we take."], Next::Home)
            }
            Self::Internal(_) => words(
                "internal",
                "We need to fix something on our side",
                &[
                    "This is our fault, not yours.",
                    "Please try again later; the reference below tells us what happened.",
                ],
                Next::Home,
            ),
        }
    }
}

impl Next {
    pub(super) fn action(self, app: &Gangway) -> Option<Action> {
        match self {
            Self::StartAgain => Action::start_again(app),
            Self::Home => {
                Some(Action { label: format!("Go to Connect {PROVIDER}"), target: "/".into(), post: false })
            }
            Self::Nothing => None,
        }
    }
}
