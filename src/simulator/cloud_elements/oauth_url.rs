//! The OAuth URL, asked for by query or by body: section 3.

use actix_web::{HttpResponse, web};
use serde::Deserialize;
use serde_json::json;

use super::credentials::{Platform, error};
use super::instances::ELEMENT;
use crate::simulator::world::Simulation;

/// What both forms of the OAuth URL call take.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[derive(Default)]
pub(super) struct OAuthInfo {
    api_key: String,
    api_secret: String,
    callback_url: String,
    state: Option<String>,
}

pub(super) async fn from_query(
    _: Platform,
    element: web::Path<String>,
    query: web::Query<OAuthInfo>,
    simulation: web::Data<Simulation>,
) -> HttpResponse {
    answer(&element, &query, &simulation)
}

pub(super) async fn from_body(
    _: Platform,
    element: web::Path<String>,
    body: web::Json<OAuthInfo>,
    simulation: web::Data<Simulation>,
) -> HttpResponse {
    answer(&element, &body, &simulation)
}

fn answer(element: &str, info: &OAuthInfo, simulation: &Simulation) -> HttpResponse {
    if element != ELEMENT {
        return error(404, &format!("No element found with key {element}"));
    }
    if info.api_key.is_empty() || info.api_secret.is_empty() || info.callback_url.is_empty() {
        return error(400, "apiKey, apiSecret and callbackUrl are required");
    }
    let query = form_urlencoded::Serializer::new(String::new())
        .append_pair("response_type", "code")
        .append_pair("redirect_uri", &info.callback_url)
        .append_pair("state", info.state.as_deref().unwrap_or(element))
        .append_pair("client_id", &info.api_key)
        .finish();
    let url = format!("{}/oauth2/authorize?{query}", simulation.origin);
    HttpResponse::Ok().json(json!({ "oauthUrl": url, "element": element }))
}
