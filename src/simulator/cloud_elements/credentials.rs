//! `Authorization: User …, Organization …[, Element …]`, in any order (section 2), and the shape of an error.

use actix_web::dev::Payload;
use actix_web::http::StatusCode;
use actix_web::http::header::AUTHORIZATION;
use actix_web::{FromRequest, HttpRequest, HttpResponse, web};
use serde_json::json;

use crate::simulator::world::{Instance, Simulation};
use crate::simulator::{ORGANIZATION_SECRET, USER_SECRET};

/// The text seen for every wrong secret, ten years apart.
const WRONG: &str = "Invalid Organization or User secret, or invalid Element token provided.";

/// A caller with both secrets.
pub(super) struct Platform;

/// A caller with the token of an instance.
pub(super) struct ElementToken(pub(super) Instance);

/// Cloud Elements' own error.
pub(super) fn error(status: u16, message: &str) -> HttpResponse {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    HttpResponse::build(status).json(json!({ "requestId": "5f0011223344556677889900", "message": message }))
}

/// An error of the vendor, passed on.
pub(super) fn provider_error(status: u16, message: &str, provider_message: &str) -> HttpResponse {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    HttpResponse::build(status).json(json!({
        "requestId": "5f0011223344556677889901", "message": message, "providerMessage": provider_message,
    }))
}

fn part<'a>(request: &'a HttpRequest, name: &str) -> Option<&'a str> {
    let header = request.headers().get(AUTHORIZATION)?.to_str().ok()?;
    header.split(',').find_map(|part| part.trim().strip_prefix(name)?.strip_prefix(' '))
}

fn refuse(response: HttpResponse) -> actix_web::Error {
    actix_web::error::InternalError::from_response("refused", response).into()
}

/// The gateway in front of everything.
fn reachable(request: &HttpRequest) -> Result<web::Data<Simulation>, HttpResponse> {
    let simulation = request.app_data::<web::Data<Simulation>>().cloned();
    match simulation {
        Some(simulation) if !simulation.faults().gateway_down => Ok(simulation),
        _ => Err(HttpResponse::BadGateway().content_type("text/html").body("<h1>502 Bad Gateway</h1>")),
    }
}

impl FromRequest for Platform {
    type Error = actix_web::Error;
    type Future = std::future::Ready<Result<Self, actix_web::Error>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let known = part(request, "User") == Some(USER_SECRET)
            && part(request, "Organization") == Some(ORGANIZATION_SECRET);
        let checked = reachable(request).and_then(|_| if known { Ok(Self) } else { Err(error(401, WRONG)) });
        std::future::ready(checked.map_err(refuse))
    }
}

impl FromRequest for ElementToken {
    type Error = actix_web::Error;
    type Future = std::future::Ready<Result<Self, actix_web::Error>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let find = |simulation: web::Data<Simulation>| {
            let token = part(request, "Element").filter(|_| part(request, "User") == Some(USER_SECRET));
            let found = simulation.with(|world| {
                world.instances.values().find(|instance| Some(instance.token.as_str()) == token).cloned()
            });
            match found {
                None => Err(error(401, WRONG)),
                Some(instance) if instance.disabled => Err(error(403, "The element instance is disabled.")),
                Some(instance) => {
                    let alive = simulation.with(|world| world.tokens.contains_key(&instance.mailchimp_token));
                    if alive {
                        Ok(Self(instance))
                    } else {
                        Err(provider_error(401, "The vendor refused the call.", "API Key Invalid"))
                    }
                }
            }
        };
        std::future::ready(reachable(request).and_then(find).map_err(refuse))
    }
}
