//! Who may come in: the list, a new one, another role, a new one-time link, and the end.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use askama::Template;
use serde::Deserialize;
use uuid::Uuid;

use super::console::{NO_NAME, is_name};
use crate::entropy::fresh_id;
use crate::storage::{FIRST_OPERATOR, LinkFor, Operator, Role};
use crate::web::Gangway;
use crate::web::failure::Failure;
use crate::web::guards::{Place, SignedIn};
use crate::web::view::{Frame, Moment, Page, see_other};

const HERE: &str = "operators";

#[derive(Template)]
#[template(path = "admin/operators.html")]
struct OperatorsPage {
    frame: Frame,
    here: &'static str,
    rows: Vec<OperatorRow>,
    by_settings: bool,
    draft: String,
    error: Option<&'static str>,
}

struct OperatorRow {
    id: Uuid,
    name: String,
    role: &'static str,
    viewer: bool,
    ready: bool,
    since: Moment,
}

#[derive(Template)]
#[template(path = "admin/operator_link.html")]
struct LinkPage {
    frame: Frame,
    here: &'static str,
    name: String,
    url: String,
}

/// A new operator.
#[derive(Deserialize)]
pub struct Addition {
    name: String,
    role: String,
}

/// Another role.
#[derive(Deserialize)]
pub struct Wanted {
    role: String,
}

/// `GET /admin/operators`
pub async fn operators(by: SignedIn, app: web::Data<Gangway>) -> Result<HttpResponse, Failure> {
    page(&app, &by, String::new(), None).await?.show()
}

async fn page(
    app: &Gangway,
    by: &SignedIn,
    draft: String,
    error: Option<&'static str>,
) -> Result<OperatorsPage, Failure> {
    let rows = app.storage.operators().await?.into_iter().map(|one| OperatorRow {
        id: one.id,
        role: one.role.as_str(),
        viewer: one.role == Role::Viewer,
        ready: !one.password_hash.is_empty(),
        since: one.created_at.into(),
        name: one.name,
    });
    Ok(OperatorsPage {
        frame: app.frame_for(by.session()),
        here: HERE,
        rows: rows.collect(),
        by_settings: app.console.has_spare() || app.config.demo.is_some(),
        draft,
        error,
    })
}

fn role(word: &str) -> Result<Role, Failure> {
    word.parse().map_err(|_| Failure::BadRequest("no such role".to_owned()))
}

/// `POST /admin/operators`: the link at which the new one chooses a password is shown this once.
pub async fn add(
    by: SignedIn,
    form: web::Form<Addition>,
    place: Place,
    app: web::Data<Gangway>,
) -> Result<HttpResponse, Failure> {
    let Addition { name, role: word } = form.into_inner();
    let name = name.trim().to_owned();
    let taken = by_settings(&app) && name == FIRST_OPERATOR;
    let operator = Operator {
        id: fresh_id(&*app.clock, &*app.entropy),
        name: name.clone(),
        role: role(&word)?,
        password_hash: String::new(),
        created_at: app.clock.now(),
    };
    let id = operator.id;
    let error = if !is_name(&name) {
        Some(NO_NAME)
    } else if taken || !app.storage.add_operator(operator).await? {
        Some("There is an operator of this name.")
    } else {
        None
    };
    if error.is_some() {
        let page = page(&app, &by, name, error).await?;
        return page.show_with(&mut HttpResponse::build(StatusCode::UNPROCESSABLE_ENTITY));
    }
    let subject = Some(format!("{name} ({word})"));
    place.note(&app, by.session().name.clone(), "operator.add".to_owned(), subject).await?;
    link_page(&app, id, name).await
}

fn by_settings(app: &Gangway) -> bool {
    app.console.has_spare() || app.config.demo.is_some()
}

async fn link_page(app: &Gangway, id: Uuid, name: String) -> Result<HttpResponse, Failure> {
    let url = app.sign_in_link(LinkFor::Operator(id)).await?;
    LinkPage { frame: app.frame(), here: HERE, name, url }.show()
}

async fn found(app: &Gangway, id: &str) -> Result<Operator, Failure> {
    let id: Uuid = id.parse().map_err(|_| Failure::NotFound)?;
    app.storage.operators().await?.into_iter().find(|one| one.id == id).ok_or(Failure::NotFound)
}

/// `POST /admin/operators/{id}/sign-in-link`: for one who forgot the password, or lost the first link.
pub async fn link(
    by: SignedIn,
    id: web::Path<String>,
    place: Place,
    app: web::Data<Gangway>,
) -> Result<HttpResponse, Failure> {
    let operator = found(&app, &id).await?;
    named(&app, &by, &place, "operator.linked", &operator).await?;
    link_page(&app, operator.id, operator.name).await
}

/// `POST /admin/operators/{id}/role`
pub async fn set_role(
    by: SignedIn,
    id: web::Path<String>,
    form: web::Form<Wanted>,
    place: Place,
    app: web::Data<Gangway>,
) -> Result<HttpResponse, Failure> {
    let operator = found(&app, &id).await?;
    if !app.storage.set_role(operator.id, role(&form.role)?, by_settings(&app)).await? {
        return Err(Failure::LastOperator);
    }
    named(
        &app,
        &by,
        &place,
        if form.role == "viewer" { "operator.demoted" } else { "operator.promoted" },
        &operator,
    )
    .await?;
    Ok(see_other("/admin/operators"))
}

/// `POST /admin/operators/{id}/remove`
pub async fn remove(
    by: SignedIn,
    id: web::Path<String>,
    place: Place,
    app: web::Data<Gangway>,
) -> Result<HttpResponse, Failure> {
    let operator = found(&app, &id).await?;
    if !app.storage.remove_operator(operator.id, by_settings(&app)).await? {
        return Err(Failure::LastOperator);
    }
    named(&app, &by, &place, "operator.removed", &operator).await?;
    Ok(see_other("/admin/operators"))
}

/// That it was done, with the name: the row it belongs to may go.
async fn named(
    app: &Gangway,
    by: &SignedIn,
    place: &Place,
    act: &str,
    operator: &Operator,
) -> Result<(), Failure> {
    place.note(app, by.session().name.clone(), act.to_owned(), Some(operator.name.clone())).await
}
