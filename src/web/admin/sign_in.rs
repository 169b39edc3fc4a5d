//! Coming in and going out. No default password: the first start prints a link that works once, at which
//! the operator chooses one. Passwords are argon2id, checked off the async threads and a few at a time.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Argon2, PasswordHash};
use askama::Template;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use time::Duration;
use tokio::sync::Semaphore;

use crate::entropy::{draw, fresh_id};
use crate::storage::{Operator, StorageError, TokenHash};
use crate::web::Gangway;
use crate::web::failure::Failure;
use crate::web::guards::{Admitted, BrowserSession};
use crate::web::view::{Frame, Page, see_other};

/// The one-time link works so long.
const LINK_LIFETIME: Duration = Duration::days(1);
const SHORTEST_PASSWORD: usize = 12;
/// Longer ones cost time and add nothing.
const LONGEST_PASSWORD: usize = 256;
/// One check takes 19 MiB and some 20 ms; a flood of sign-ins must not take more than this at once.
const CHECKS_AT_ONCE: usize = 2;

/// Who may see the console.
pub struct Console {
    /// `ADMIN_PASSWORD_HASH`, which counts more than a chosen password.
    configured: Option<String>,
    checks: Semaphore,
}

impl Console {
    /// With the hash of the settings, if there is one.
    pub fn new(configured: Option<String>) -> Self {
        Self { configured, checks: Semaphore::new(CHECKS_AT_ONCE) }
    }
}

impl Gangway {
    /// A fresh one-time sign-in link, if nobody can sign in yet.
    pub async fn first_sign_in_link(&self) -> Result<Option<String>, StorageError> {
        if self.password_hash().await?.is_some() {
            return Ok(None);
        }
        let token = self.fresh_token();
        self.storage.make_sign_in_link(TokenHash::of(&token), self.clock.now() + LINK_LIFETIME).await?;
        Ok(Some(format!("{}/admin/first-sign-in/{token}", self.config.public_url.origin())))
    }

    async fn password_hash(&self) -> Result<Option<String>, StorageError> {
        if let Some(configured) = &self.console.configured {
            return Ok(Some(configured.clone()));
        }
        Ok(self.storage.operator().await?.map(|operator| operator.password_hash))
    }

    fn fresh_token(&self) -> String {
        URL_SAFE_NO_PAD.encode(draw::<32>(&*self.entropy))
    }

    /// Whether `password` is the operator's.
    async fn is_operators(&self, password: SecretString) -> Result<bool, Failure> {
        let Some(hash) = self.password_hash().await? else { return Ok(false) };
        let _turn = self.console.checks.acquire().await;
        let check = move || {
            let hash = PasswordHash::new(&hash)?;
            Argon2::default().verify_password(password.expose_secret().as_bytes(), &hash)
        };
        Ok(web::block(check).await.map_err(|error| Failure::Internal(error.to_string()))?.is_ok())
    }

    async fn hash(&self, password: SecretString) -> Result<String, Failure> {
        let salt = draw::<16>(&*self.entropy);
        let _turn = self.console.checks.acquire().await;
        let hash = move || {
            let hash = Argon2::default().hash_password_with_salt(password.expose_secret().as_bytes(), &salt);
            hash.map(|hash| hash.to_string())
        };
        let hash = web::block(hash).await.map_err(|error| Failure::Internal(error.to_string()))?;
        hash.map_err(|error| Failure::Internal(error.to_string()))
    }
}

#[derive(Template)]
#[template(path = "admin/sign_in.html")]
struct SignInPage {
    frame: Frame,
    next: String,
    error: Option<String>,
    demo: bool,
}

#[derive(Template)]
#[template(path = "admin/first_sign_in.html")]
struct FirstSignInPage {
    frame: Frame,
    target: String,
    ask_password: bool,
    error: Option<String>,
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
    password: SecretString,
    #[serde(default)]
    next: String,
}

/// The form of the one-time link.
#[derive(Deserialize)]
pub struct FirstSignIn {
    #[serde(default)]
    password: SecretString,
    #[serde(default)]
    password_again: SecretString,
}

/// A page of the console, or its first: never an address elsewhere, however it is spelt.
fn within_the_console(next: &str) -> &str {
    let plain = next.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    if next.starts_with("/admin/") && plain { next } else { "/admin/instances" }
}

/// `GET /admin/sign-in`
pub async fn sign_in_form(query: web::Query<Next>, app: web::Data<Gangway>) -> Result<HttpResponse, Failure> {
    let next = within_the_console(&query.next).to_owned();
    SignInPage { frame: app.frame(), next, error: None, demo: app.config.demo.is_some() }.show()
}

/// `POST /admin/sign-in`
pub async fn sign_in(
    _: Admitted,
    form: web::Form<SignIn>,
    session: BrowserSession,
    app: web::Data<Gangway>,
) -> Result<HttpResponse, Failure> {
    let SignIn { password, next } = form.into_inner();
    let next = within_the_console(&next).to_owned();
    if !app.is_operators(password).await? {
        tracing::warn!("sign-in refused");
        metrics::counter!("gangway_sign_ins_total", "result" => "refused").increment(1);
        let error = Some("This is not the operator's password. Try again.".to_owned());
        let page = SignInPage { frame: app.frame(), next, error, demo: app.config.demo.is_some() };
        return page.show_with(&mut HttpResponse::build(StatusCode::UNAUTHORIZED));
    }
    let token = app.fresh_token();
    app.storage.open_session(TokenHash::of(&token), app.clock.now()).await?;
    come_in(&app, &session, token).await?;
    Ok(see_other(&next))
}

/// The browser carries the new session; the one it carried before ends.
async fn come_in(app: &Gangway, session: &BrowserSession, token: String) -> Result<(), Failure> {
    if let Some(before) = session.operator() {
        app.storage.end_session(before).await?;
    }
    session.set_operator(Some(token))?;
    tracing::info!("signed in");
    metrics::counter!("gangway_sign_ins_total", "result" => "signed_in").increment(1);
    Ok(())
}

/// `GET /admin/first-sign-in/{token}`. Uses nothing up: mail scanners and previews come here too.
pub async fn first_sign_in_form(
    token: web::Path<String>,
    app: web::Data<Gangway>,
) -> Result<HttpResponse, Failure> {
    if !app.storage.sign_in_link_works(&TokenHash::of(&token), app.clock.now()).await? {
        return Err(Failure::NotFound);
    }
    first_sign_in_page(&token, &app, None).show()
}

/// In the demo nobody chooses a password: what it guards goes with the process.
fn first_sign_in_page(token: &str, app: &Gangway, error: Option<String>) -> FirstSignInPage {
    let target = format!("/admin/first-sign-in/{token}");
    FirstSignInPage { frame: app.frame(), target, ask_password: app.config.demo.is_none(), error }
}

/// `POST /admin/first-sign-in/{token}`
pub async fn first_sign_in(
    _: Admitted,
    token: web::Path<String>,
    form: web::Form<FirstSignIn>,
    session: BrowserSession,
    app: web::Data<Gangway>,
) -> Result<HttpResponse, Failure> {
    let link = TokenHash::of(&token);
    if !app.storage.sign_in_link_works(&link, app.clock.now()).await? {
        return Err(Failure::NotFound);
    }
    let operator = if app.config.demo.is_some() {
        None
    } else {
        let password = match chosen(form.into_inner()) {
            Ok(password) => password,
            Err(error) => {
                let page = first_sign_in_page(&token, &app, Some(error.to_owned()));
                return page.show_with(&mut HttpResponse::build(StatusCode::UNPROCESSABLE_ENTITY));
            }
        };
        Some(Operator { id: fresh_id(&*app.clock, &*app.entropy), password_hash: app.hash(password).await? })
    };
    let token = app.fresh_token();
    if !app.storage.use_sign_in_link(link, operator, TokenHash::of(&token), app.clock.now()).await? {
        return Err(Failure::NotFound);
    }
    come_in(&app, &session, token).await?;
    Ok(see_other("/admin/instances"))
}

fn chosen(form: FirstSignIn) -> Result<SecretString, &'static str> {
    let (password, again) = (form.password.expose_secret(), form.password_again.expose_secret());
    match password.chars().count() {
        _ if password != again => Err("The two passwords differ. Type the same one twice."),
        length if length < SHORTEST_PASSWORD => Err("Choose at least 12 characters."),
        length if length > LONGEST_PASSWORD => Err("Choose at most 256 characters."),
        _ => Ok(form.password),
    }
}

/// `POST /admin/sign-out`
pub async fn sign_out(session: BrowserSession, app: web::Data<Gangway>) -> Result<HttpResponse, Failure> {
    if let Some(token) = session.operator() {
        app.storage.end_session(token).await?;
        session.set_operator(None)?;
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
            assert_eq!(within_the_console(elsewhere), "/admin/instances", "{elsewhere:?}");
        }
        assert_eq!(within_the_console("/admin/instances/7?x=1"), "/admin/instances/7?x=1");
    }
}
