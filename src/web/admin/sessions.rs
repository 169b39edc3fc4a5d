//! The sessions that are open, and one's own password. Everybody sees and ends their own; an operator
//! everybody's.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use askama::Template;
use secrecy::SecretString;
use serde::Deserialize;
use uuid::Uuid;

use super::console::Choice;
use crate::storage::{OpenSession, Role};
use crate::web::Gangway;
use crate::web::failure::Failure;
use crate::web::guards::{BrowserSession, Counted, OwnAffairs, SESSION_LIMITS, SignedIn};
use crate::web::view::{Frame, Moment, Page, see_other};

#[derive(Template)]
#[template(path = "admin/sessions.html")]
struct SessionsPage {
    frame: Frame,
    here: &'static str,
    rows: Vec<SessionRow>,
}

struct SessionRow {
    id: Uuid,
    name: String,
    this: bool,
    opened: Moment,
    used: Moment,
    address: String,
    agent: String,
}

#[derive(Template)]
#[template(path = "admin/password.html")]
struct PasswordPage {
    frame: Frame,
    here: &'static str,
    name: String,
    /// The password is one of the settings.
    by_settings: bool,
    error: Option<&'static str>,
}

/// The form of a new password.
#[derive(Deserialize)]
pub struct NewPassword {
    current: SecretString,
    password: SecretString,
    password_again: SecretString,
}

async fn seen_by(app: &Gangway, who: &OpenSession) -> Result<Vec<OpenSession>, Failure> {
    let mut sessions = app.storage.sessions(app.clock.now(), SESSION_LIMITS).await?;
    sessions.retain(|one| who.role == Role::Operator || one.operator == who.operator);
    Ok(sessions)
}

/// `GET /admin/sessions`
pub async fn sessions(by: SignedIn, app: web::Data<Gangway>) -> Result<HttpResponse, Failure> {
    let unknown = || "unknown".to_owned();
    let rows = seen_by(&app, by.session()).await?.into_iter().map(|one| SessionRow {
        id: one.id,
        this: one.id == by.session().id,
        name: one.name,
        opened: one.created_at.into(),
        used: one.last_seen_at.into(),
        address: one.address.unwrap_or_else(unknown),
        agent: one.agent.unwrap_or_else(unknown),
    });
    SessionsPage { frame: app.frame_for(by.session()), here: "sessions", rows: rows.collect() }.show()
}

/// `POST /admin/sessions/{id}/end`
pub async fn end(
    by: OwnAffairs,
    id: web::Path<String>,
    app: web::Data<Gangway>,
) -> Result<HttpResponse, Failure> {
    let id: Uuid = id.parse().map_err(|_| Failure::NotFound)?;
    if !seen_by(&app, by.session()).await?.iter().any(|one| one.id == id) {
        return Err(Failure::NotFound);
    }
    app.storage.end_session_named(id).await?;
    Ok(see_other("/admin/sessions"))
}

/// `POST /admin/sessions/end-others`
pub async fn end_others(by: OwnAffairs, app: web::Data<Gangway>) -> Result<HttpResponse, Failure> {
    let session = by.session();
    app.storage.end_other_sessions(session.operator, session.id).await?;
    Ok(see_other("/admin/sessions"))
}

/// `GET /admin/password`
pub async fn password_form(by: SignedIn, app: web::Data<Gangway>) -> Result<HttpResponse, Failure> {
    password_page(&app, by.session(), None).show()
}

fn password_page(app: &Gangway, session: &OpenSession, error: Option<&'static str>) -> PasswordPage {
    PasswordPage {
        frame: app.frame_for(session),
        here: "password",
        name: session.name.clone(),
        by_settings: session.operator.is_none(),
        error,
    }
}

/// `POST /admin/password`: ends every other session of this operator.
pub async fn set_password(
    by: OwnAffairs,
    form: web::Form<NewPassword>,
    session: BrowserSession,
    app: web::Data<Gangway>,
) -> Result<HttpResponse, Failure> {
    let who = by.session();
    let NewPassword { current, password, password_again: again } = form.into_inner();
    let (Some(id), Some(kept)) = (who.operator, session.operator()) else { return Err(Failure::NotFound) };
    // Whoever found a console left open does not guess here for long either.
    let counted = [Counted::Device(id.to_string())];
    app.console.throttle.begin(&counted, app.clock.now()).map_err(Failure::TooMany)?;
    let outcome = if app.account(&who.name, current).await?.is_some() {
        app.console.throttle.succeeded(&counted);
        app.choose(&who.name, Choice { password, again }).await?
    } else {
        Err("This is not your password of now.")
    };
    match outcome {
        Ok(hash) => {
            app.storage.set_password(id, hash, kept).await?;
            Ok(see_other("/admin/sessions"))
        }
        Err(error) => password_page(&app, who, Some(error))
            .show_with(&mut HttpResponse::build(StatusCode::UNPROCESSABLE_ENTITY)),
    }
}
