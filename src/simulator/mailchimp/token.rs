//! `POST /oauth2/token` and `/oauth2/metadata`: sections 1.4 and 1.6 of the reference. Pre-RFC 6749: no
//! `token_type`, `expires_in` 0, `scope` null.

use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::{AUTHORIZATION, CACHE_CONTROL};
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Deserialize;
use serde_json::json;

use crate::simulator::world::Simulation;

/// The form of the token request; credentials in the body.
#[derive(Deserialize)]
#[serde(default)]
#[derive(Default)]
pub(super) struct TokenRequest {
    grant_type: String,
    client_id: String,
    client_secret: String,
    redirect_uri: String,
    code: String,
}

/// Spends a code.
pub(super) async fn token(form: web::Form<TokenRequest>, simulation: web::Data<Simulation>) -> HttpResponse {
    let faults = simulation.faults();
    tokio::time::sleep(Duration::from_millis(faults.token_slow_ms)).await;
    if faults.token_html_502 {
        return HttpResponse::BadGateway().content_type("text/html").body("<h1>502 Bad Gateway</h1>");
    }
    let form = form.into_inner();
    if form.grant_type.is_empty() || form.code.is_empty() || form.client_id.is_empty() {
        return error(StatusCode::BAD_REQUEST, "invalid_request");
    }
    if form.grant_type != "authorization_code" {
        return error(StatusCode::BAD_REQUEST, "unsupported_grant_type");
    }
    let now = simulation.clock.now();
    let client = (form.client_id.as_str(), form.client_secret.as_str());
    match simulation.with(|world| world.spend(&form.code, client, &form.redirect_uri, now)) {
        Ok(token) => HttpResponse::Ok()
            .insert_header((CACHE_CONTROL, "no-store"))
            .json(json!({ "access_token": token, "expires_in": 0, "scope": null })),
        Err("invalid_client") => error(StatusCode::UNAUTHORIZED, "invalid_client"),
        Err(word) => error(StatusCode::BAD_REQUEST, word),
    }
}

fn error(status: StatusCode, word: &str) -> HttpResponse {
    HttpResponse::build(status).insert_header((CACHE_CONTROL, "no-store")).json(json!({ "error": word }))
}

/// `?oauth_token=`
#[derive(Deserialize)]
pub(super) struct InQuery {
    oauth_token: Option<String>,
}

/// Whose token this is. A bad one is a 200 with an error, unless the fault says otherwise.
pub(super) async fn metadata(
    request: HttpRequest,
    query: web::Query<InQuery>,
    simulation: web::Data<Simulation>,
) -> HttpResponse {
    let header = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let in_header = header.and_then(|value| value.strip_prefix("OAuth ").or(value.strip_prefix("Bearer ")));
    let token = in_header.or(query.oauth_token.as_deref()).unwrap_or_default();
    let origin = simulation.origin.clone();
    simulation.with(|world| {
        let account = world.tokens.get(token).and_then(|id| world.accounts.get(*id));
        let Some(account) = account else {
            let status = if world.faults.strict_metadata { StatusCode::UNAUTHORIZED } else { StatusCode::OK };
            return error(status, "invalid_token");
        };
        if world.faults.minimal_metadata {
            return HttpResponse::Ok()
                .json(json!({ "dc": "us0", "login_url": origin, "api_endpoint": origin }));
        }
        let id = |id: usize| if world.faults.ids_as_text { json!(id.to_string()) } else { json!(id) };
        HttpResponse::Ok().json(json!({
            "dc": "us0", "role": "owner", "accountname": account.name, "user_id": id(481_516 + account.id),
            "login": { "email": account.email, "avatar": null, "login_id": id(234_200 + account.id),
                "login_name": account.email, "login_email": account.email },
            "login_url": origin, "api_endpoint": origin,
        }))
    })
}
