//! Consent: `GET /oauth2/authorize` asks, `POST` decides. Sections 1.2, 1.3, 1.5 and 5 of the reference.

use actix_web::http::header::LOCATION;
use actix_web::{HttpResponse, web};
use askama::Template;
use serde::Deserialize;

use crate::simulator::control::html;
use crate::simulator::world::{Code, Simulation};

/// The authorize request; unknown parameters are ignored.
#[derive(Deserialize, Clone)]
pub(super) struct Request {
    #[serde(default)]
    response_type: String,
    #[serde(default)]
    client_id: String,
    #[serde(default)]
    redirect_uri: String,
    state: Option<String>,
}

#[derive(Template)]
#[template(path = "simulator/authorize.html")]
struct AuthorizePage {
    app: String,
    request: Request,
    accounts: Vec<(usize, String)>,
}

#[derive(Template)]
#[template(path = "simulator/refused.html")]
struct RefusedPage {
    code: &'static str,
    explanation: String,
}

/// The page, or the refusal that must not redirect.
pub(super) async fn show(request: web::Query<Request>, simulation: web::Data<Simulation>) -> HttpResponse {
    let request = request.into_inner();
    let app = match registered(&request, &simulation) {
        Ok(app) => app,
        Err(refusal) => return refusal,
    };
    if request.response_type != "code" {
        return back(&request, &[("error", "unsupported_response_type")]);
    }
    let accounts = simulation.with(|world| {
        world.accounts.iter().map(|one| (one.id, format!("{} ({})", one.name, one.email))).collect()
    });
    html(&AuthorizePage { app, request, accounts })
}

fn registered(request: &Request, simulation: &Simulation) -> Result<String, HttpResponse> {
    let refused = |code, explanation: String| {
        let mut response = html(&RefusedPage { code, explanation });
        *response.status_mut() = actix_web::http::StatusCode::BAD_REQUEST;
        response
    };
    simulation.with(|world| match world.app(&request.client_id) {
        None => Err(refused(
            "invalid_client",
            format!("No app is registered with the client_id {:?}.", request.client_id),
        )),
        Some(app) if !app.redirect_uris.contains(&request.redirect_uri) => Err(refused(
            "redirect_uri_mismatch",
            format!(
                "{:?} is not what was registered: {}.",
                request.redirect_uri,
                app.redirect_uris.join(", ")
            ),
        )),
        Some(app) => Ok(app.name.clone()),
    })
}

/// What the person decided.
#[derive(Deserialize)]
pub(super) struct Decision {
    #[serde(rename = "decision")]
    choice: String,
    #[serde(default)]
    account: usize,
    #[serde(flatten)]
    request: Request,
}

/// Back to the redirect URI, with a code or with `access_denied`.
pub(super) async fn decide(form: web::Form<Decision>, simulation: web::Data<Simulation>) -> HttpResponse {
    let Decision { choice, account, request } = form.into_inner();
    if let Err(refusal) = registered(&request, &simulation) {
        return refusal;
    }
    let now = simulation.clock.now();
    let code = simulation.with(|world| {
        let allowed = choice == "allow" && !world.faults.deny && account < world.accounts.len();
        allowed.then(|| {
            let code = world.hex(32);
            let (client_id, redirect_uri) = (request.client_id.clone(), request.redirect_uri.clone());
            world.codes.insert(
                code.clone(),
                Code { client_id, redirect_uri, account, issued_at: now, spent: false },
            );
            code
        })
    });
    match code {
        Some(code) => back(&request, &[("code", &code)]),
        None => back(&request, &[("error", "access_denied")]),
    }
}

/// 302, as Mailchimp does; the state byte for byte, absent if it was absent.
fn back(request: &Request, parameters: &[(&str, &str)]) -> HttpResponse {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(parameters);
    if let Some(state) = &request.state {
        query.append_pair("state", state);
    }
    let separator = if request.redirect_uri.contains('?') { '&' } else { '?' };
    let target = format!("{}{separator}{}", request.redirect_uri, query.finish());
    HttpResponse::Found().insert_header((LOCATION, target)).finish()
}
