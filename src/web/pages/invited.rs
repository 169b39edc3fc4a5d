//! `/invites/{token}`: the same start, for a named customer. Showing it uses nothing up, whoever looks; a use is made by
//! the grant that comes back.

use actix_web::http::{Method, StatusCode};
use actix_web::{HttpRequest, HttpResponse, web};

use super::connect::start;
use super::instance::page_of;
use super::landing::LandingPage;
use super::problem::ProblemPage;
use crate::invite::{Invite, InviteState};
use crate::oauth::Purpose;
use crate::reference::Reference;
use crate::storage::InviteMark;
use crate::web::Gangway;
use crate::web::failure::Failure;
use crate::web::guards::{Admitted, BrowserSession, InviteLink};
use crate::web::view::{Moment, Page, see_other};

/// `GET /invites/{token}`
pub async fn invited(
    link: InviteLink,
    request: HttpRequest,
    session: BrowserSession,
    reference: Reference,
    app: web::Data<Gangway>,
) -> Result<HttpResponse, Failure> {
    let InviteLink { invite, token } = link;
    if !invite.is_open(app.clock.now()) {
        return closed(&app, &invite, &session, reference).await;
    }
    if invite.opened_at.is_none() && request.method() == Method::GET {
        app.storage.mark_invite(invite.id, InviteMark::Opened, app.clock.now()).await?;
    }
    LandingPage::invited(&app, &invite, format!("/invites/{token}/connect")).show()
}

/// `POST /invites/{token}/connect`
pub async fn connect_invited(
    _: Admitted,
    link: InviteLink,
    session: BrowserSession,
    reference: Reference,
    app: web::Data<Gangway>,
) -> Result<HttpResponse, Failure> {
    let invite = link.invite;
    if !invite.is_open(app.clock.now()) {
        return closed(&app, &invite, &session, reference).await;
    }
    if invite.started_at.is_none() {
        app.storage.mark_invite(invite.id, InviteMark::Started, app.clock.now()).await?;
    }
    start(&app, &session, Purpose::Invited(invite.id)).await
}

/// Whoever connected with it is led there; everybody else is told how it stands.
async fn closed(
    app: &Gangway,
    invite: &Invite,
    session: &BrowserSession,
    reference: Reference,
) -> Result<HttpResponse, Failure> {
    if let Some(browser) = session.browser()
        && let Some(own) = app.storage.instance_of_invite_in(invite.id, &browser).await?
    {
        return Ok(see_other(&page_of(own)));
    }
    let now = app.clock.now();
    let (code, headline, sentences) = match invite.state(now) {
        InviteState::Revoked => (
            "invite_revoked",
            "This link was taken back",
            vec![
                "Whoever sent it to you has ended it.".to_owned(),
                "Ask them for a new one; nothing was shared.".to_owned(),
            ],
        ),
        InviteState::Connected => (
            "invite_used",
            "Already connected with this link",
            vec![
                "The account was connected in another browser; its page opens there.".to_owned(),
                "To connect another account, ask whoever sent the link for a new one.".to_owned(),
            ],
        ),
        _ => (
            "invite_expired",
            "This link has ended",
            vec![
                format!("It was good until {}.", Moment::from(invite.expires_at).human),
                "Ask whoever sent it for a new one; nothing was shared.".to_owned(),
            ],
        ),
    };
    let page = ProblemPage {
        frame: app.frame(),
        calm: true,
        headline,
        sentences,
        action: None,
        code,
        support: app.support_for(reference),
        reference: reference.to_string(),
        at: now.into(),
    };
    Ok(page.respond(&mut HttpResponse::build(StatusCode::GONE)))
}
