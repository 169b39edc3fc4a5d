//! Proof that an operator is signed in. The cookie carries a token; the table says whether its session is
//! open, so that signing out, a new password or too long a time ends it everywhere. What is no look is an act:
//! it takes the role for it, and stands in the audit trail before any handler runs.

use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::http::Method;
use actix_web::{FromRequest, HttpRequest, web};
use time::Duration;

use super::BrowserSession;
use super::act::Place;
use crate::storage::{OpenSession, Role, SessionLimits};
use crate::web::Gangway;
use crate::web::failure::Failure;

/// When sessions end by themselves.
pub const SESSION_LIMITS: SessionLimits =
    SessionLimits { idle: Duration::hours(8), longest: Duration::days(7) };

/// An operator with an open session, who may do what this route does: look with GET, act with anything else.
pub struct SignedIn(OpenSession);

/// An operator who may act, for pages that are forms: a viewer is told so before anything is filled in.
pub struct MayAct;

/// Anybody with an open session, in a matter of their own: password and sessions. Recorded like every act.
pub struct OwnAffairs(OpenSession);

impl SignedIn {
    /// Whether the browser of this request is an operator's. For looking alone.
    pub async fn check(app: &Gangway, session: &BrowserSession) -> Result<Option<Self>, Failure> {
        Ok(open_session(app, session).await?.map(Self))
    }

    /// Who it is.
    pub fn session(&self) -> &OpenSession {
        &self.0
    }
}

impl OwnAffairs {
    /// Who it is.
    pub fn session(&self) -> &OpenSession {
        &self.0
    }
}

async fn open_session(app: &Gangway, session: &BrowserSession) -> Result<Option<OpenSession>, Failure> {
    let Some(token) = session.operator() else { return Ok(None) };
    Ok(app.storage.session(&token, app.clock.now(), SESSION_LIMITS).await?)
}

/// Whose affair a route is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Affair {
    Everybodys,
    Own,
}

type Admission<T> = Pin<Box<dyn Future<Output = Result<T, Failure>>>>;

fn admit(request: &HttpRequest, payload: &mut Payload, affair: Affair) -> Admission<OpenSession> {
    let app = request.app_data::<web::Data<Gangway>>().cloned();
    let session = BrowserSession::from_request(request, payload).into_inner();
    // A page is shown after signing in; anything else has to be asked for again.
    let back = (request.method() == Method::GET).then(|| request.uri().to_string());
    let place = Place::of(request);
    Box::pin(async move {
        let app = app.ok_or_else(Failure::misassembled)?;
        let session = open_session(&app, &session?).await?.ok_or(Failure::SignInFirst(back))?;
        if place.is_act() {
            if affair == Affair::Everybodys && session.role != Role::Operator {
                place.record(&app, session.name, ".refused").await?;
                return Err(Failure::ViewersLook);
            }
            place.record(&app, session.name.clone(), "").await?;
        }
        Ok(session)
    })
}

impl FromRequest for SignedIn {
    type Error = Failure;
    type Future = Admission<Self>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let session = admit(request, payload, Affair::Everybodys);
        Box::pin(async move { session.await.map(Self) })
    }
}

impl FromRequest for MayAct {
    type Error = Failure;
    type Future = Admission<Self>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let session = admit(request, payload, Affair::Everybodys);
        Box::pin(async move { if session.await?.may_act() { Ok(Self) } else { Err(Failure::ViewersLook) } })
    }
}

impl FromRequest for OwnAffairs {
    type Error = Failure;
    type Future = Admission<Self>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let session = admit(request, payload, Affair::Own);
        Box::pin(async move { session.await.map(Self) })
    }
}
