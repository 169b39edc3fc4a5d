//! The outermost middleware: every request gets its reference number and its span here, every response
//! its headers and its count, and every failure its page. The query is never recorded: on the callback
//! it holds the code and the state.

use std::time::Instant;

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::http::header::{self, HeaderValue};
use actix_web::middleware::Next;
use actix_web::{Error, FromRequest, HttpMessage, HttpRequest, web};
use tracing::Instrument;

use super::failure::Failure;
use super::{Gangway, RouteName};
use crate::reference::Reference;

/// Wraps everything.
pub async fn edge(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let app = request.app_data::<web::Data<Gangway>>().cloned().ok_or_else(Failure::misassembled)?;
    let started = Instant::now();
    let reference = Reference::draw(&*app.entropy);
    request.extensions_mut().insert(reference);
    let span = tracing::info_span!("request", %reference, method = %request.method());
    let response = next.call(request).instrument(span.clone()).await?;
    let _entered = span.enter();
    let mut response = with_page(response.map_into_boxed_body(), &app, reference);
    app.headers.harden(response.headers_mut());
    record(&response, started);
    Ok(response)
}

/// Replaces what a handler, a guard or the server refused with by the page of that failure.
fn with_page(
    response: ServiceResponse<BoxBody>,
    app: &Gangway,
    reference: Reference,
) -> ServiceResponse<BoxBody> {
    let status = response.status();
    let has_error = response.response().error().is_some();
    let empty = response.response().body().size().is_eof();
    if !(status.is_client_error() || status.is_server_error()) || !(has_error || empty) {
        return response;
    }
    let known = response.response().error().and_then(|error| error.as_error::<Failure>());
    let by_status;
    let failure = if let Some(failure) = known {
        failure
    } else {
        by_status = Failure::from_status(status);
        &by_status
    };
    failure.log();
    let mut page = failure.respond(response.request(), app, reference);
    if let Some(allow) = response.headers().get(header::ALLOW) {
        page.headers_mut().insert(header::ALLOW, allow.clone());
    }
    response.into_response(page)
}

fn record(response: &ServiceResponse<BoxBody>, started: Instant) {
    let route = response.request().app_data::<RouteName>().map_or("none", |route| route.0);
    let status = response.status();
    let elapsed = started.elapsed();
    tracing::debug!(route, status = status.as_u16(), microseconds = elapsed.as_micros(), "answered");
    metrics::counter!("gangway_requests_total", "route" => route, "status" => status.as_str().to_owned())
        .increment(1);
    metrics::histogram!("gangway_request_seconds").record(elapsed);
}

impl FromRequest for Reference {
    type Error = Failure;
    type Future = std::future::Ready<Result<Self, Failure>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        std::future::ready(request.extensions().get::<Self>().copied().ok_or_else(Failure::misassembled))
    }
}

/// For the body of a streamed or private answer.
pub(super) const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
