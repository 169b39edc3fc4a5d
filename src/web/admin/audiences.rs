//! Which audiences of an instance report their changes, picked by the operator.

use actix_web::{HttpResponse, web};
use askama::Template;

use super::care::page_of;
use super::instances::HERE;
use crate::reference::Reference;
use crate::web::Gangway;
use crate::web::failure::Failure;
use crate::web::guards::SignedIn;
use crate::web::pages::{AudiencesView, Picked, audiences_view, picked_view};
use crate::web::view::{Frame, Page};

#[derive(Template)]
#[template(path = "admin/audiences.html")]
struct AudiencesPage {
    frame: Frame,
    here: &'static str,
    view: AudiencesView,
}

/// `GET /admin/instances/{id}/audiences`
pub async fn audiences_form(
    by: SignedIn,
    id: web::Path<String>,
    reference: Reference,
    app: web::Data<Gangway>,
) -> Result<HttpResponse, Failure> {
    let instance = app.instance(&id).await?;
    let view = audiences_view(&app, &instance, (page_of(&instance), None), reference).await?;
    show(&app, &by, view)
}

/// `POST /admin/instances/{id}/audiences`
pub async fn audiences(
    by: SignedIn,
    id: web::Path<String>,
    picked: web::Form<Picked>,
    reference: Reference,
    app: web::Data<Gangway>,
) -> Result<HttpResponse, Failure> {
    let instance = app.instance(&id).await?;
    match picked_view(&app, &instance, (page_of(&instance), picked.into_inner()), reference).await? {
        Ok(back) => Ok(back),
        Err(view) => show(&app, &by, view),
    }
}

fn show(app: &Gangway, by: &SignedIn, view: AudiencesView) -> Result<HttpResponse, Failure> {
    let mut answer = view.answer();
    AudiencesPage { frame: app.frame_for(by.session()), here: HERE, view }.show_with(&mut answer)
}
