//! What the operator does about one instance: check it now, pause and resume its events, send its customer a
//! link to approve again, take it down. Taking down asks for its name.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use askama::Template;
use serde::Deserialize;

use super::OPERATOR;
use super::instances::HERE;
use crate::elements::Instance;
use crate::onboarding::asked_by;
use crate::reference::Reference;
use crate::web::Gangway;
use crate::web::failure::Failure;
use crate::web::guards::{MayAct, SignedIn};
use crate::web::pages::renewable;
use crate::web::view::{Frame, Moment, Page, see_other};

#[derive(Template)]
#[template(path = "admin/reconnect_link.html")]
struct ReconnectLinkPage {
    frame: Frame,
    here: &'static str,
    name: String,
    page: String,
    url: String,
    ends: Moment,
}

#[derive(Template)]
#[template(path = "admin/disconnect.html")]
struct DisconnectPage {
    frame: Frame,
    here: &'static str,
    name: String,
    page: String,
    error: Option<&'static str>,
}

/// What was typed to confirm.
#[derive(Deserialize)]
pub struct Confirmed {
    name: String,
}

pub(super) fn page_of(instance: &Instance) -> String {
    format!("/admin/instances/{}", instance.id)
}

/// `POST /admin/instances/{id}/check`: the result stands on the timeline.
pub async fn check(
    _: SignedIn,
    id: web::Path<String>,
    reference: Reference,
    app: web::Data<Gangway>,
) -> Result<HttpResponse, Failure> {
    let instance = app.instance(&id).await?;
    let checking = app.onboarding.check(instance.id, reference, true);
    let checked = asked_by(OPERATOR.to_owned(), checking).await?;
    checked.ok_or(Failure::Conflict(instance.state.as_str()))?;
    Ok(see_other(&page_of(&instance)))
}

/// `POST /admin/instances/{id}/pause`
pub async fn pause(
    _: SignedIn,
    id: web::Path<String>,
    reference: Reference,
    app: web::Data<Gangway>,
) -> Result<HttpResponse, Failure> {
    let instance = app.instance(&id).await?;
    asked_by(OPERATOR.to_owned(), app.onboarding.pause(instance.id, reference)).await?;
    Ok(see_other(&page_of(&instance)))
}

/// `POST /admin/instances/{id}/resume`
pub async fn resume(
    _: SignedIn,
    id: web::Path<String>,
    reference: Reference,
    app: web::Data<Gangway>,
) -> Result<HttpResponse, Failure> {
    let instance = app.instance(&id).await?;
    asked_by(OPERATOR.to_owned(), app.onboarding.resume(instance.id, reference)).await?;
    Ok(see_other(&page_of(&instance)))
}

/// `POST /admin/instances/{id}/reconnect-link`
pub async fn reconnect_link(
    _: SignedIn,
    id: web::Path<String>,
    app: web::Data<Gangway>,
) -> Result<HttpResponse, Failure> {
    let instance = app.instance(&id).await?;
    renewable(&instance)?;
    let (url, ends) = app.reconnect_link(instance.id);
    ReconnectLinkPage {
        frame: app.frame(),
        here: HERE,
        page: page_of(&instance),
        name: instance.name,
        url,
        ends: ends.into(),
    }
    .show()
}

/// `GET /admin/instances/{id}/disconnect`
pub async fn disconnect_form(
    _: MayAct,
    id: web::Path<String>,
    app: web::Data<Gangway>,
) -> Result<HttpResponse, Failure> {
    let instance = app.instance(&id).await?;
    instance.state.clone().disconnect().map_err(|_| Failure::Conflict(instance.state.as_str()))?;
    confirmation(&app, instance, None).show()
}

/// `POST /admin/instances/{id}/disconnect`
pub async fn disconnect(
    _: SignedIn,
    id: web::Path<String>,
    form: web::Form<Confirmed>,
    reference: Reference,
    app: web::Data<Gangway>,
) -> Result<HttpResponse, Failure> {
    let instance = app.instance(&id).await?;
    if form.name.trim() != instance.name.trim() {
        let page = confirmation(&app, instance, Some("That is not its name. Nothing was changed."));
        return page.show_with(&mut HttpResponse::build(StatusCode::UNPROCESSABLE_ENTITY));
    }
    asked_by(OPERATOR.to_owned(), app.onboarding.disconnect(instance.id, reference)).await?;
    Ok(see_other(&page_of(&instance)))
}

fn confirmation(app: &Gangway, instance: Instance, error: Option<&'static str>) -> DisconnectPage {
    DisconnectPage { frame: app.frame(), here: HERE, page: page_of(&instance), name: instance.name, error }
}
