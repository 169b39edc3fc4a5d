//! What a person reads when something did not work. One enum for the whole edge: it picks the status, the
//! words and the next step, and is logged once, with the reference number that stands on the page.

mod console;
mod conversions;
mod problem;
mod words;

use std::time::Duration;

use actix_web::http::{StatusCode, header};
use actix_web::web::Bytes;
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder, ResponseError};
use futures_util::{StreamExt, stream};

use super::Gangway;
use super::guards::{KeyRefused, taken_by_programs};
use super::pages::ProblemPage;
use crate::elements::{CallError, MalformedSignature, SignatureMismatch};
use crate::events::NoRoom;
use crate::oauth::{InvalidAuthorizationResponse, NotPending};
use crate::reference::Reference;
use crate::storage::StorageError;
pub use problem::Problem;
use words::Words;

/// An answer before the end of its request gets so long to leave before the connection ends.
const FLUSH: Duration = Duration::from_millis(200);

/// A request that ends without what was asked for.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The callback's query is no answer of an authorization server.
    #[error("callback refused: {0}")]
    InvalidResponse(#[from] InvalidAuthorizationResponse),
    /// The callback's state is not good for a claim in this browser.
    #[error("callback refused: {0}")]
    NotPending(#[from] NotPending),
    /// The callback came without our cookie.
    #[error("callback refused: no cookie of ours came with it")]
    NoCookie,
    /// Cloud Elements did not give an authorize URL.
    #[error("no authorize URL: {0}")]
    AuthorizeUrl(CallError),
    /// A form that did not come from our own pages.
    #[error("refused: not from the same origin")]
    CrossOrigin,
    /// Too many starts or sign-ins; come back after so many seconds.
    #[error("refused: too many requests")]
    TooMany(u64),
    /// Only the operator may see this; `Some` is where to come back to.
    #[error("not signed in")]
    SignInFirst(Option<String>),
    /// A viewer who wants to act.
    #[error("refused: a viewer may look, not act")]
    ViewersLook,
    /// Nothing can be left that nobody can act in.
    #[error("refused: the last operator")]
    LastOperator,
    /// Nothing here, or nothing for this browser.
    #[error("not found")]
    NotFound,
    /// A reconnect link that has ended, or never was one.
    #[error("refused: no such link, or it has ended")]
    LinkEnded,
    /// An invite that was revoked or used up while its customer was at MailChimp.
    #[error("refused: the invite was revoked or used up meanwhile")]
    InviteClosed,
    /// A start without an invite, where one is needed.
    #[error("refused: only an invite leads to the provider")]
    InvitedOnly,
    /// What was asked does not fit how the instance stands.
    #[error("refused: the instance is {0}")]
    Conflict(&'static str),
    /// A delivery that nothing can be sent of, or nowhere.
    #[error("refused: the endpoint is off, or the payload is gone")]
    NotRepeatable,
    /// Cloud Elements did not do what was asked.
    #[error("upstream: {0}")]
    Upstream(String),
    /// Cloud Elements may have done what was asked, or not.
    #[error("upstream, unclear: {0}")]
    Unclear(String),
    /// A form that cannot be read.
    #[error("bad request: {0}")]
    BadRequest(String),
    /// A notification's signature header is no signature.
    #[error("notification refused: {0}")]
    MalformedSignature(#[from] MalformedSignature),
    /// A notification's signature is not ours.
    #[error("notification refused: {0}")]
    SignatureMismatch(#[from] SignatureMismatch),
    /// A notification for an instance that was disconnected.
    #[error("notification refused: the instance is disconnected")]
    Gone,
    /// A body over its limit.
    #[error("refused: the body is too large")]
    TooLarge,
    /// A body that did not arrive in time.
    #[error("refused: the body is too slow")]
    TooSlow,
    /// Too much is under way; come back soon.
    #[error("refused: {0}")]
    Busy(#[from] NoRoom),
    /// A program without a key that opens what it asks for.
    #[error("no API key that opens this: {0:?}")]
    Key(KeyRefused),
    /// A query parameter that is not known. Its name may be anything, a pasted key too: for the answer alone.
    #[error("bad request: a parameter that is not known")]
    UnknownParameter(String),
    /// A query parameter, or a header, whose value cannot be meant.
    #[error("bad request: {0} {1}")]
    Parameter(String, &'static str),
    /// A body that is not the JSON that is asked for. Why may repeat some of it: for the answer alone.
    #[error("bad request: the body is not what is asked for")]
    Body(String),
    /// A body that says it is something else than JSON.
    #[error("refused: the body is not said to be JSON")]
    MediaType,
    /// A field whose value cannot be used. Why may repeat it: for the answer alone.
    #[error("refused: the field {0} cannot be used")]
    Field(&'static str, String),
    /// An Idempotency-Key whose first request is under way.
    #[error("refused: the Idempotency-Key is in use")]
    KeyInUse,
    /// An Idempotency-Key that stands for another request.
    #[error("refused: the Idempotency-Key stands for another request")]
    KeyReused,
    /// The database does not answer.
    #[error("storage: {0}: {detail}", detail = innermost(.0))]
    Storage(#[from] StorageError),
    /// Refused by the server itself.
    #[error("refused with {0}")]
    Other(StatusCode),
    /// A fault of ours.
    #[error("internal: {0}")]
    Internal(String),
}

fn innermost(error: &StorageError) -> String {
    match error {
        StorageError::Database(cause) => cause.to_string(),
        other => other.to_string(),
    }
}

impl Failure {
    /// The app was put together without its state: a bug that every test would show.
    pub fn misassembled() -> Self {
        Self::Internal("a middleware is missing".to_owned())
    }

    /// For what the server refused before any handler saw it.
    pub fn from_status(status: StatusCode) -> Self {
        match status {
            StatusCode::NOT_FOUND => Self::NotFound,
            StatusCode::PAYLOAD_TOO_LARGE => Self::TooLarge,
            StatusCode::REQUEST_TIMEOUT => Self::TooSlow,
            status if status.is_server_error() => Self::Internal("an error of the server".to_owned()),
            status => Self::Other(status),
        }
    }

    /// One line, at the level it deserves.
    pub(super) fn log(&self) {
        let code = self.words().code;
        match self {
            Self::Storage(StorageError::Busy) => tracing::warn!(code, error = %self, "refused"),
            Self::Storage(_) | Self::Internal(_) => tracing::error!(code, error = %self, "failed"),
            Self::AuthorizeUrl(error) => tracing::error!(code, %error, "failed"),
            Self::NotFound
            | Self::SignInFirst(_)
            | Self::Key(KeyRefused::Missing)
            | Self::UnknownParameter(_)
            | Self::Parameter(..)
            | Self::Body(_)
            | Self::Field(..)
            | Self::Other(_) => {
                tracing::debug!(code, error = %self, "refused");
            }
            _ => tracing::warn!(code, error = %self, "refused"),
        }
    }

    /// The page, or a problem document (RFC 9457) where a program asked.
    pub(super) fn respond(&self, request: &HttpRequest, app: &Gangway, reference: Reference) -> HttpResponse {
        let Words { code, headline, sentences, next } = self.words();
        let mut builder = HttpResponse::build(self.status_code());
        match self {
            Self::TooMany(seconds) => {
                builder.insert_header((header::RETRY_AFTER, seconds.to_string()));
            }
            Self::Storage(_) | Self::Busy(_) => {
                builder.insert_header((header::RETRY_AFTER, "5"));
            }
            Self::KeyInUse => {
                builder.insert_header((header::RETRY_AFTER, "1"));
            }
            Self::Key(refused) => {
                builder.insert_header((header::WWW_AUTHENTICATE, refused.challenge()));
            }
            _ => {}
        }
        if for_programs(request.path()) {
            let body = serde_json::to_string(&Problem::of(self, reference)).unwrap_or_default();
            builder.content_type("application/problem+json");
            return match self {
                Self::TooLarge | Self::TooSlow | Self::Busy(_) => closing(&mut builder, body),
                _ => builder.body(body),
            };
        }
        if self.is_for_operator(request.path()) {
            return self.console_page(request.path(), app, reference).respond(&mut builder);
        }
        let page = ProblemPage {
            frame: app.frame(),
            calm: false,
            headline,
            sentences: sentences.iter().map(|&sentence| sentence.to_owned()).collect(),
            action: next.action(app),
            code,
            reference: reference.to_string(),
            support: app.support_for(reference),
            at: app.clock.now().into(),
        };
        page.respond(&mut builder)
    }
}

/// Where nobody reads pages.
fn for_programs(path: &str) -> bool {
    path == "/api" || taken_by_programs(path)
}

/// `body`, and then the end of the connection. The server by itself would go on reading a chunked request
/// that nobody wants, for as long as somebody sends; only a response that fails makes it stop.
fn closing(builder: &mut HttpResponseBuilder, body: String) -> HttpResponse {
    let length = body.len() as u64;
    let end = async {
        tokio::time::sleep(FLUSH).await;
        Err(std::io::Error::other("the rest of the request is not read"))
    };
    let body = stream::iter([Ok(Bytes::from(body))]).chain(stream::once(end));
    builder.force_close().no_chunking(length).streaming(body)
}

impl ResponseError for Failure {
    fn status_code(&self) -> StatusCode {
        match self {
            Self::InvalidResponse(_)
            | Self::NotPending(_)
            | Self::NoCookie
            | Self::BadRequest(_)
            | Self::UnknownParameter(_)
            | Self::Parameter(..)
            | Self::Body(_) => StatusCode::BAD_REQUEST,
            Self::MediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Field(..) | Self::KeyReused => StatusCode::UNPROCESSABLE_ENTITY,
            Self::AuthorizeUrl(_) | Self::Upstream(_) | Self::Unclear(_) => StatusCode::BAD_GATEWAY,
            Self::Conflict(_) | Self::NotRepeatable | Self::LastOperator | Self::KeyInUse => {
                StatusCode::CONFLICT
            }
            Self::CrossOrigin | Self::InvitedOnly | Self::ViewersLook | Self::Key(KeyRefused::ReadOnly) => {
                StatusCode::FORBIDDEN
            }
            Self::TooMany(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::SignInFirst(Some(_)) => StatusCode::SEE_OTHER,
            Self::SignInFirst(None)
            | Self::MalformedSignature(_)
            | Self::SignatureMismatch(_)
            | Self::Key(KeyRefused::Missing | KeyRefused::Invalid) => StatusCode::UNAUTHORIZED,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::Gone | Self::LinkEnded | Self::InviteClosed => StatusCode::GONE,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::Storage(_) | Self::Busy(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Other(status) => *status,
            Self::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// Bare: the edge puts the page in, because only it knows the reference number.
    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status_code());
        if let Self::SignInFirst(Some(next)) = self {
            let query = form_urlencoded::Serializer::new(String::new()).append_pair("next", next).finish();
            response.insert_header((header::LOCATION, format!("/admin/sign-in?{query}")));
        }
        response.finish()
    }
}
