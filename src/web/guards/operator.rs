//! Proof that an operator is signed in. The cookie carries a token; the table says whether its session is
//! open, so that signing out, a new password or too long a time ends it everywhere.

use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::http::Method;
use actix_web::{FromRequest, HttpRequest, web};
use time::Duration;

use super::BrowserSession;
use crate::web::Gangway;
use crate::web::failure::Failure;

/// Unused so long, a session ends.
const IDLE: Duration = Duration::hours(8);
/// However much it is used.
const LONGEST: Duration = Duration::days(7);

/// An operator with an open session.
pub struct SignedIn(());

impl SignedIn {
    /// Whether the browser of this request is an operator's.
    pub async fn check(app: &Gangway, session: &BrowserSession) -> Result<Option<Self>, Failure> {
        let Some(token) = session.operator() else { return Ok(None) };
        let open = app.storage.session_is_open(&token, app.clock.now(), IDLE, LONGEST).await?;
        Ok(open.then_some(Self(())))
    }
}

impl FromRequest for SignedIn {
    type Error = Failure;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Failure>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let app = request.app_data::<web::Data<Gangway>>().cloned();
        let session = BrowserSession::from_request(request, payload).into_inner();
        // A page is shown after signing in; anything else has to be asked for again.
        let back = (request.method() == Method::GET).then(|| request.uri().to_string());
        Box::pin(async move {
            let app = app.ok_or_else(Failure::misassembled)?;
            Self::check(&app, &session?).await?.ok_or(Failure::SignInFirst(back))
        })
    }
}
