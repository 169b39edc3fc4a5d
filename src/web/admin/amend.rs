//! The name and the tags of an instance, as the operator wants them.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use askama::Template;
use serde::Deserialize;

use super::OPERATOR;
use super::care::page_of;
use super::instances::HERE;
use crate::elements::Instance;
use crate::onboarding::{Amended, NotAmended, asked_by};
use crate::reference::Reference;
use crate::web::Gangway;
use crate::web::failure::Failure;
use crate::web::guards::{MayAct, SignedIn};
use crate::web::view::{Frame, Page, see_other};

#[derive(Template)]
#[template(path = "admin/name.html")]
struct NamePage {
    frame: Frame,
    here: &'static str,
    name: String,
    page: String,
    draft_name: String,
    draft_tags: String,
    error: Option<&'static str>,
    wrong_name: bool,
    wrong_tags: bool,
}

/// The name that is wanted.
#[derive(Deserialize)]
pub struct Named {
    name: String,
}

/// The tags that are wanted.
#[derive(Deserialize)]
pub struct Tagged {
    tags: String,
}

/// `GET /admin/instances/{id}/name`
pub async fn name_form(
    _: MayAct,
    id: web::Path<String>,
    app: web::Data<Gangway>,
) -> Result<HttpResponse, Failure> {
    let instance = app.instance(&id).await?;
    NamePage::of(&app, &instance).show()
}

/// `POST /admin/instances/{id}/name`
pub async fn rename(
    _: SignedIn,
    id: web::Path<String>,
    form: web::Form<Named>,
    reference: Reference,
    app: web::Data<Gangway>,
) -> Result<HttpResponse, Failure> {
    let instance = app.instance(&id).await?;
    let renaming = app.onboarding.rename(instance.id, &form.name, reference);
    let wrong = |page| NamePage { draft_name: form.name.clone(), wrong_name: true, ..page };
    answer(&app, &instance, asked_by(OPERATOR.to_owned(), renaming).await, wrong)
}

/// `POST /admin/instances/{id}/tags`
pub async fn retag(
    _: SignedIn,
    id: web::Path<String>,
    form: web::Form<Tagged>,
    reference: Reference,
    app: web::Data<Gangway>,
) -> Result<HttpResponse, Failure> {
    let instance = app.instance(&id).await?;
    let tags: Vec<String> =
        form.tags.split(',').map(str::trim).filter(|tag| !tag.is_empty()).map(str::to_owned).collect();
    let tagging = app.onboarding.retag(instance.id, &tags, reference);
    let wrong = |page| NamePage { draft_tags: form.tags.clone(), wrong_tags: true, ..page };
    answer(&app, &instance, asked_by(OPERATOR.to_owned(), tagging).await, wrong)
}

/// What Cloud Elements said stands on the timeline.
fn answer(
    app: &Gangway,
    instance: &Instance,
    amended: Result<Amended, NotAmended>,
    wrong: impl Fn(NamePage) -> NamePage,
) -> Result<HttpResponse, Failure> {
    match amended {
        Ok(_) => Ok(see_other(&page_of(instance))),
        Err(NotAmended::Unfit { why, .. }) => {
            let page = NamePage { error: Some(why), ..wrong(NamePage::of(app, instance)) };
            page.show_with(&mut HttpResponse::build(StatusCode::UNPROCESSABLE_ENTITY))
        }
        Err(error) => Err(error.into()),
    }
}

impl NamePage {
    fn of(app: &Gangway, instance: &Instance) -> Self {
        Self {
            frame: app.frame(),
            here: HERE,
            name: instance.name.clone(),
            page: page_of(instance),
            draft_name: instance.name.clone(),
            draft_tags: instance.tags.join(", "),
            error: None,
            wrong_name: false,
            wrong_tags: false,
        }
    }
}
