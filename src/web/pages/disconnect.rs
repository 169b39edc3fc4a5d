//! Taking a connection down, by the customer who made it: asked once more, then done, with a receipt.

use actix_web::{HttpResponse, web};
use askama::Template;

use super::instance::{changeable, page_of, visible};
use crate::onboarding::asked_by;
use crate::reference::Reference;
use crate::web::Gangway;
use crate::web::failure::Failure;
use crate::web::guards::BrowserSession;
use crate::web::view::{Frame, Page, see_other};

#[derive(Template)]
#[template(path = "disconnect.html")]
struct DisconnectPage {
    frame: Frame,
    name: String,
    page: String,
}

/// `GET /instances/{id}/disconnect`: what will happen.
pub async fn disconnect_form(
    id: web::Path<String>,
    session: BrowserSession,
    app: web::Data<Gangway>,
) -> Result<HttpResponse, Failure> {
    let instance = visible(&app, &session, &id).await?;
    instance.state.clone().disconnect().map_err(|_| Failure::Conflict(instance.state.as_str()))?;
    let page = page_of(instance.id);
    DisconnectPage { frame: app.frame(), name: instance.name, page }.show()
}

/// `POST /instances/{id}/disconnect`
pub async fn disconnect(
    id: web::Path<String>,
    session: BrowserSession,
    reference: Reference,
    app: web::Data<Gangway>,
) -> Result<HttpResponse, Failure> {
    let instance = changeable(&app, &session, &id).await?;
    let disconnecting = app.onboarding.disconnect(instance.id, reference);
    asked_by("the customer".to_owned(), disconnecting).await?;
    Ok(see_other(&page_of(instance.id)))
}
