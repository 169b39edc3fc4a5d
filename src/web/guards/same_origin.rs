//! Unsafe requests must come from our own pages: Fetch Metadata says so in every current browser, Origin
//! in the others. A request with neither comes from a program; it passes only while it carries no cookie
//! of ours, because then it can act for nobody.

use actix_web::body::{EitherBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{self, HeaderMap};
use actix_web::middleware::Next;
use actix_web::{Error, web};

use crate::web::Gangway;
use crate::web::failure::Failure;

/// The middleware. Refuses with a response, so that the edge can put the page and the headers on it.
pub async fn same_origin(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<EitherBody<impl MessageBody + 'static>>, Error> {
    let exempt = request.method().is_safe() || taken_by_programs(request.path());
    let ours = || request.app_data::<web::Data<Gangway>>().map(|app| app.config.public_url.origin());
    if exempt || comes_from_us(request.headers(), ours) {
        return Ok(next.call(request).await?.map_into_left_body());
    }
    Ok(request.error_response(Failure::CrossOrigin).map_into_right_body())
}

/// Notifications are signed, and programs have a key that no browser adds by itself: a cookie does nothing there.
pub fn taken_by_programs(path: &str) -> bool {
    ["/events/", "/api/"].iter().any(|programs| path.starts_with(programs))
}

fn comes_from_us(headers: &HeaderMap, ours: impl FnOnce() -> Option<String>) -> bool {
    let text = |name| headers.get(name).map(|value| value.to_str().unwrap_or("unreadable"));
    match (text(header::HeaderName::from_static("sec-fetch-site")), text(header::ORIGIN)) {
        (Some(site), _) => site == "same-origin" || site == "none",
        (None, Some(origin)) => ours().is_some_and(|ours| ours == origin),
        (None, None) => !headers.contains_key(header::COOKIE),
    }
}
