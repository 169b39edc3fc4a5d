//! `GET /oauth/callback`: the way back from Mailchimp. The state must be pending in this browser; then one
//! claim, for ever. Whatever the outcome, the browser leaves this address at once: it holds code and state.

use actix_web::{HttpRequest, HttpResponse, web};
use uuid::Uuid;

use super::instance::page_of;
use super::renewal::renewal_elsewhere;
use super::{Action, ProblemPage};
use crate::checkpoint::Point;
use crate::elements::BrowserHash;
use crate::oauth::{AuthorizationResponse, ErrorCode};
use crate::onboarding::{Arrived, Denial, Grant};
use crate::reference::Reference;
use crate::storage::{ClaimedRequest, Trip};
use crate::web::Gangway;
use crate::web::failure::Failure;
use crate::web::guards::BrowserSession;
use crate::web::view::{Page, see_other};

/// Claims what came back and leads to what became of it.
pub async fn callback(
    request: HttpRequest,
    session: BrowserSession,
    reference: Reference,
    app: web::Data<Gangway>,
) -> Result<HttpResponse, Failure> {
    let response = AuthorizationResponse::parse(request.query_string())?;
    let browser = session.browser().ok_or(Failure::NoCookie)?;
    let state = response.state().hash();
    let (renews, invite, started_at) = match session.pending().find(state, app.clock.now()) {
        Ok(pending) => (pending.renews, pending.invite, pending.started_at()),
        Err(refusal) => {
            // A reload after the pending entry has gone leads the same browser to the same result.
            let earlier = app.storage.claimed_request(state).await?;
            let earlier = earlier.filter(|earlier| earlier.browser == browser).ok_or(refusal)?;
            return see(app.onboarding.page_of(&earlier).await?);
        }
    };
    let patience = app.config.limits.callback_patience;
    let arrived = match (response, renews) {
        (AuthorizationResponse::Granted { code, .. }, renews) => {
            let grant = Grant { state, code, browser, reference, invite, started_at };
            match renews {
                Some(instance) => app.onboarding.renew(instance, grant, patience).await?,
                None => app.onboarding.accept(grant, patience).await?,
            }
        }
        (AuthorizationResponse::Denied { error, .. }, renews) => {
            let owner = browser.clone();
            let declined =
                app.onboarding.decline(Denial { state, error, browser, reference, started_at }).await?;
            // Whose instance it is is told there how it stands.
            match renews {
                Some(id) if app.storage.instance(id).await?.is_some_and(|known| known.browser == owner) => {
                    Arrived::Instance(id)
                }
                _ => declined,
            }
        }
    };
    app.checkpoints.reached(Point::BeforeRedirect).await;
    see(arrived)
}

fn see(arrived: Arrived) -> Result<HttpResponse, Failure> {
    let page = match arrived {
        Arrived::Instance(id) => page_of(id),
        Arrived::Request(id) => format!("/authorization-requests/{id}"),
        Arrived::ClosedInvite => return Err(Failure::InviteClosed),
    };
    Ok(see_other(&page))
}

/// `GET /authorization-requests/{id}`: what became of a trip whose browser has no instance to see: it
/// brought no grant, or renewed what another browser made. For its browser alone.
pub async fn authorization_request(
    id: web::Path<String>,
    session: BrowserSession,
    app: web::Data<Gangway>,
) -> Result<HttpResponse, Failure> {
    let id = id.parse::<Uuid>().map_err(|_| Failure::NotFound)?;
    let claimed = app.storage.claimed_request_by_id(id).await?.ok_or(Failure::NotFound)?;
    owned(&claimed, session.browser().as_ref())?;
    match claimed.trip {
        Trip::Denied(error) => not_granted(error, &claimed, &app).show(),
        Trip::Granted(instance) => match app.onboarding.page_of(&claimed).await? {
            Arrived::Request(_) => renewal_elsewhere(&app, &claimed, instance).await,
            here => see(here),
        },
    }
}

fn owned(claimed: &ClaimedRequest, browser: Option<&BrowserHash>) -> Result<(), Failure> {
    if browser == Some(&claimed.browser) { Ok(()) } else { Err(Failure::NotFound) }
}

fn not_granted(error: ErrorCode, claimed: &ClaimedRequest, app: &Gangway) -> ProblemPage {
    let (headline, sentences): (_, &[&str]) = match error {
        ErrorCode::AccessDenied => (
            "You chose not to connect",
            &[
                "Nothing was shared and nothing was changed.",
                "If that was not what you meant, you can try again at any time.",
            ],
        ),
        ErrorCode::ServerTrouble => (
            "MailChimp could not finish",
            &[
                "MailChimp reported trouble on its side.",
                "Nothing was shared. Please approve again in a minute.",
            ],
        ),
        ErrorCode::Misconfigured => (
            "We need to fix something on our side",
            &[
                "MailChimp did not accept the way we asked. This is our fault, not yours.",
                "Nothing was shared. Please tell us the reference below; you can try again once it is fixed.",
            ],
        ),
    };
    ProblemPage {
        frame: app.frame(),
        calm: error == ErrorCode::AccessDenied,
        headline,
        sentences: sentences.iter().map(|&sentence| sentence.to_owned()).collect(),
        action: Action::start_again(app),
        code: error.as_str(),
        reference: claimed.reference.to_string(),
        support: app.support_for(claimed.reference),
        at: claimed.claimed_at.into(),
    }
}
