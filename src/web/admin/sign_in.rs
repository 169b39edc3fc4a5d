//! Coming in and going out. No default password: the first start prints a link that works once, at which
//! the operator chooses one. Whoever tries in vain waits longer each time; a browser that signed in before
//! has a count of its own, so that strangers who guess lock nobody out.

use actix_web::http::StatusCode;
use actix_web::http::header::USER_AGENT;
use actix_web::{FromRequest, HttpRequest, HttpResponse, web};
use askama::Template;
use secrecy::SecretString;
use serde::Deserialize;
use uuid::Uuid;

use super::console::{Account, Choice};
use crate::entropy::{fresh_id, fresh_token};
use crate::operators::{NO_NAME, is_name};
use crate::storage::{FIRST_OPERATOR, LinkFor, Opening, Operator, Role, TokenHash};
use crate::web::Gangway;
use crate::web::failure::Failure;
use crate::web::guards::{Admitted, BrowserSession, Counted, KnownDevice, Place};
use crate::web::view::{Frame, Page, see_other};

const LONGEST_AGENT: usize = 120;
/// A longer name is nobody's; it is not kept either.
const LONGEST_NAME: usize = 40;

#[derive(Template)]
#[template(path = "admin/sign_in.html")]
struct SignInPage {
    frame: Frame,
    name: String,
    next: String,
    error: Option<&'static str>,
    demo: bool,
}

#[derive(Template)]
#[template(path = "admin/first_sign_in.html")]
struct FirstSignInPage {
    frame: Frame,
    target: String,
    name: String,
    /// Whose the link is, is known.
    fixed: bool,
    ask_password: bool,
    error: Option<&'static str>,
}

/// Where to go after signing in.
#[derive(Deserialize)]
pub struct Next {
    #[serde(default)]
    next: String,
}

/// The sign-in form.
#[derive(Deserialize)]
pub struct SignIn {
    #[serde(default = "first")]
    name: String,
    password: SecretString,
    #[serde(default)]
    next: String,
}

/// The form of the one-time link.
#[derive(Deserialize)]
pub struct FirstSignIn {
    #[serde(default = "first")]
    name: String,
    #[serde(default)]
    password: SecretString,
    #[serde(default)]
    password_again: SecretString,
}

fn first() -> String {
    FIRST_OPERATOR.to_owned()
}

/// The browser that comes in.
pub struct Comer {
    place: Place,
    session: BrowserSession,
    agent: Option<String>,
}

impl FromRequest for Comer {
    type Error = Failure;
    type Future = std::future::Ready<Result<Self, Failure>>;

    fn from_request(request: &HttpRequest, payload: &mut actix_web::dev::Payload) -> Self::Future {
        let agent = request.headers().get(USER_AGENT).and_then(|agent| agent.to_str().ok());
        let agent = agent.map(|agent| agent.chars().take(LONGEST_AGENT).collect());
        let session = BrowserSession::from_request(request, payload).into_inner();
        std::future::ready(session.map(|session| Self { place: Place::of(request), session, agent }))
    }
}

impl Comer {
    /// Whose counts a try of `name` goes to.
    fn counted(&self, name: &str) -> [Counted; 2] {
        let address = self.place.address().unwrap_or_default();
        let known = self.session.known().filter(|known| known.name == name);
        match known {
            Some(known) => [Counted::Device(known.id.clone()), Counted::Device(known.id)],
            None => [Counted::Account(name.to_owned()), Counted::Address(address)],
        }
    }

    fn opening(&self, app: &Gangway, token: &str, operator: Option<Uuid>) -> Opening {
        Opening {
            token: TokenHash::of(token),
            id: fresh_id(&*app.clock, &*app.entropy),
            operator,
            address: self.place.address(),
            agent: self.agent.clone(),
        }
    }

    /// The browser carries the new session; the one it carried before ends.
    async fn come_in(&self, app: &Gangway, name: String, token: String) -> Result<(), Failure> {
        if let Some(before) = self.session.operator() {
            app.storage.end_session(before).await?;
        }
        self.place.note(app, name.clone(), "sign_in".to_owned(), None).await?;
        self.session.come_in(token, KnownDevice { name, id: fresh_token(&*app.entropy) })?;
        tracing::info!("signed in");
        metrics::counter!("gangway_sign_ins_total", "result" => "signed_in").increment(1);
        Ok(())
    }
}

/// A page of the console, or its first: never an address elsewhere, however it is spelt.
fn within_the_console(next: &str) -> &str {
    let plain = next.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    if next.starts_with("/admin/") && plain { next } else { "/admin" }
}

/// `GET /admin/sign-in`
pub async fn sign_in_form(query: web::Query<Next>, app: web::Data<Gangway>) -> Result<HttpResponse, Failure> {
    let next = within_the_console(&query.next).to_owned();
    SignInPage { frame: app.frame(), name: first(), next, error: None, demo: app.config.demo.is_some() }
        .show()
}

/// `POST /admin/sign-in`. A name that nobody has is answered like a wrong password, and as late.
pub async fn sign_in(
    _: Admitted,
    form: web::Form<SignIn>,
    comer: Comer,
    app: web::Data<Gangway>,
) -> Result<HttpResponse, Failure> {
    let SignIn { name, password, next } = form.into_inner();
    let name: String = name.trim().chars().filter(|letter| !letter.is_control()).take(LONGEST_NAME).collect();
    let next = within_the_console(&next).to_owned();
    let counted = comer.counted(&name);
    app.console.throttle.begin(&counted, app.clock.now()).map_err(Failure::TooMany)?;
    let Some(Account { operator }) = app.account(&name, password).await? else {
        tracing::warn!("sign-in refused");
        metrics::counter!("gangway_sign_ins_total", "result" => "refused").increment(1);
        comer.place.note(&app, name.clone(), "sign_in.refused".to_owned(), None).await?;
        let error = Some("This is not the password that goes with this name. Try again.");
        let page = SignInPage { frame: app.frame(), name, next, error, demo: app.config.demo.is_some() };
        return page.show_with(&mut HttpResponse::build(StatusCode::UNAUTHORIZED));
    };
    app.console.throttle.succeeded(&counted);
    let token = fresh_token(&*app.entropy);
    app.storage.open_session(comer.opening(&app, &token, operator), app.clock.now()).await?;
    comer.come_in(&app, name, token).await?;
    Ok(see_other(&next))
}

/// The operator whose password the link sets, as it is before.
async fn whose(app: &Gangway, link: &TokenHash) -> Result<Option<Operator>, Failure> {
    match app.storage.sign_in_link(link, app.clock.now()).await?.ok_or(Failure::NotFound)? {
        LinkFor::First => Ok(None),
        LinkFor::Operator(id) => {
            let operator = app.storage.operators().await?.into_iter().find(|operator| operator.id == id);
            operator.map(Some).ok_or(Failure::NotFound)
        }
    }
}

/// `GET /admin/first-sign-in/{token}`. Uses nothing up: mail scanners and previews come here too.
pub async fn first_sign_in_form(
    token: web::Path<String>,
    app: web::Data<Gangway>,
) -> Result<HttpResponse, Failure> {
    let operator = whose(&app, &TokenHash::of(&token)).await?;
    first_sign_in_page(&token, &app, operator.as_ref(), None).show()
}

/// In the demo the first operator chooses no password: what it guards goes with the process.
fn first_sign_in_page(
    token: &str,
    app: &Gangway,
    operator: Option<&Operator>,
    error: Option<&'static str>,
) -> FirstSignInPage {
    FirstSignInPage {
        frame: app.frame(),
        target: format!("/admin/first-sign-in/{token}"),
        name: operator.map_or_else(first, |operator| operator.name.clone()),
        fixed: operator.is_some(),
        ask_password: app.config.demo.is_none() || operator.is_some(),
        error,
    }
}

/// `POST /admin/first-sign-in/{token}`
pub async fn first_sign_in(
    _: Admitted,
    token: web::Path<String>,
    form: web::Form<FirstSignIn>,
    comer: Comer,
    app: web::Data<Gangway>,
) -> Result<HttpResponse, Failure> {
    let link = TokenHash::of(&token);
    let known = whose(&app, &link).await?;
    let operator = if app.config.demo.is_some() && known.is_none() {
        None
    } else {
        match chosen(&app, known.clone(), form.into_inner()).await? {
            Ok(operator) => Some(operator),
            Err(error) => {
                let page = first_sign_in_page(&token, &app, known.as_ref(), Some(error));
                return page.show_with(&mut HttpResponse::build(StatusCode::UNPROCESSABLE_ENTITY));
            }
        }
    };
    let name = operator.as_ref().map_or_else(first, |operator| operator.name.clone());
    let token = fresh_token(&*app.entropy);
    let opening = comer.opening(&app, &token, operator.as_ref().map(|operator| operator.id));
    if !app.storage.use_sign_in_link(link, operator, opening, app.clock.now()).await? {
        return Err(Failure::NotFound);
    }
    comer.come_in(&app, name, token).await?;
    Ok(see_other("/admin"))
}

/// The operator with the password of the form, or why it cannot be.
async fn chosen(
    app: &Gangway,
    known: Option<Operator>,
    form: FirstSignIn,
) -> Result<Result<Operator, &'static str>, Failure> {
    let name = known.as_ref().map_or(form.name.trim(), |operator| &operator.name).to_owned();
    if !is_name(&name) {
        return Ok(Err(NO_NAME));
    }
    let choice = Choice { password: form.password, again: form.password_again };
    let password_hash = match app.choose(&name, choice).await? {
        Ok(hash) => hash,
        Err(error) => return Ok(Err(error)),
    };
    let now = app.clock.now();
    let id = known.as_ref().map_or_else(|| fresh_id(&*app.clock, &*app.entropy), |operator| operator.id);
    let role = known.as_ref().map_or(Role::Operator, |operator| operator.role);
    let created_at = known.map_or(now, |operator| operator.created_at);
    Ok(Ok(Operator { id, name, role, password_hash, created_at }))
}

/// `POST /admin/sign-out`
pub async fn sign_out(comer: Comer, app: web::Data<Gangway>) -> Result<HttpResponse, Failure> {
    if let Some(token) = comer.session.operator() {
        let open = app.storage.session(&token, app.clock.now(), crate::web::guards::SESSION_LIMITS).await?;
        if let Some(session) = open {
            comer.place.note(&app, session.name, "sign_out".to_owned(), None).await?;
        }
        app.storage.end_session(token).await?;
        comer.session.go_out()?;
    }
    Ok(see_other("/admin/sign-in"))
}

#[cfg(test)]
mod tests {
    use super::within_the_console;

    #[test]
    fn f01_after_signing_in_nobody_is_sent_elsewhere() {
        for elsewhere in [
            "",
            "//evil.example",
            "/\\evil.example",
            "/admin/\\evil",
            "https://evil.example",
            "/\t/evil.example",
            "/admin/ \r\nSet-Cookie: a=b",
            "javascript:alert(1)",
            "admin/instances",
            "/adminevil",
            "/instances/1",
        ] {
            assert_eq!(within_the_console(elsewhere), "/admin", "{elsewhere:?}");
        }
        assert_eq!(within_the_console("/admin/instances/7?x=1"), "/admin/instances/7?x=1");
    }
}
