//! Approving again: from the instance's own page, or by a link that the operator sent. And the answer to
//! "is this other account the one you mean?".

use actix_web::{HttpResponse, web};
use uuid::Uuid;

use super::connect::start;
use super::instance::{changeable, finishing_elsewhere, page_of};
use super::stopped::StoppedPage;
use crate::elements::{Instance, InstanceState};
use crate::oauth::Purpose;
use crate::reference::Reference;
use crate::storage::ClaimedRequest;
use crate::web::Gangway;
use crate::web::failure::Failure;
use crate::web::guards::{Admitted, BrowserSession, ReconnectLink};
use crate::web::view::{Page, see_other};

/// `POST /instances/{id}/reconnect`
pub async fn reconnect(
    _: Admitted,
    id: web::Path<String>,
    session: BrowserSession,
    app: web::Data<Gangway>,
) -> Result<HttpResponse, Failure> {
    let instance = changeable(&app, &session, &id).await?;
    renewable(&instance)?;
    start(&app, &session, Purpose::Renew(instance.id)).await
}

/// `GET /reconnect/{token}`: says what it is for, and does nothing.
pub async fn reconnect_link(link: ReconnectLink, app: web::Data<Gangway>) -> Result<HttpResponse, Failure> {
    let instance = app.storage.instance(link.instance).await?.ok_or(Failure::LinkEnded)?;
    renewable(&instance)?;
    StoppedPage::asking_to_renew(&app, &instance, format!("/reconnect/{}", link.token)).show()
}

/// `POST /reconnect/{token}`
pub async fn reconnect_by_link(
    _: Admitted,
    link: ReconnectLink,
    session: BrowserSession,
    app: web::Data<Gangway>,
) -> Result<HttpResponse, Failure> {
    let instance = app.storage.instance(link.instance).await?.ok_or(Failure::LinkEnded)?;
    renewable(&instance)?;
    start(&app, &session, Purpose::Renew(instance.id)).await
}

/// `POST /instances/{id}/keep-account`
pub async fn keep_account(
    id: web::Path<String>,
    session: BrowserSession,
    reference: Reference,
    app: web::Data<Gangway>,
) -> Result<HttpResponse, Failure> {
    let instance = changeable(&app, &session, &id).await?;
    if !app.onboarding.keep_other_account(instance.id, reference).await? {
        return Err(Failure::Conflict(instance.state.as_str()));
    }
    Ok(see_other(&page_of(instance.id)))
}

/// What became of an approval that another browser's connection was renewed with.
pub(super) async fn renewal_elsewhere(
    app: &Gangway,
    claimed: &ClaimedRequest,
    instance: Uuid,
) -> Result<HttpResponse, Failure> {
    let instance = app.storage.instance(instance).await?.ok_or(Failure::NotFound)?;
    if instance.renewing {
        return finishing_elsewhere(app, &instance, claimed.reference);
    }
    StoppedPage::renewed_elsewhere(app, &instance, claimed.reference).show()
}

/// Whether it stands so that its access can be renewed.
pub fn renewable(instance: &Instance) -> Result<(), Failure> {
    match &instance.state {
        InstanceState::Connected(_) | InstanceState::NeedsAttention(..) => Ok(()),
        other => Err(Failure::Conflict(other.as_str())),
    }
}
