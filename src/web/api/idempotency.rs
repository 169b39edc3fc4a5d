//! `Idempotency-Key` on every POST of the API (draft-ietf-httpapi-idempotency-key-header): a middleware, so that a
//! route that is added has it. What was done is answered again for a day; what was refused did nothing, and is free
//! to be asked again.

use std::collections::BTreeMap;

use actix_web::body::{BoxBody, MessageBody, to_bytes};
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::http::header::{CONTENT_TYPE, HeaderName, HeaderValue, LOCATION};
use actix_web::http::{Method, StatusCode};
use actix_web::middleware::Next;
use actix_web::web::Bytes;
use actix_web::{Error, HttpResponse, web};
use serde::{Deserialize, Serialize};
use tracing::Instrument;
use uuid::Uuid;

use super::body;
use crate::entropy::fresh_id;
use crate::storage::{OnceOnly, Turn};
use crate::web::Gangway;
use crate::web::failure::Failure;
use crate::web::guards::{ApiKey, Write};

/// The header.
pub(super) const NAME: &str = "Idempotency-Key";
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
const LONGEST: usize = 255;

/// What was answered.
#[derive(Serialize, Deserialize)]
struct Answer {
    status: u16,
    headers: BTreeMap<String, String>,
    body: String,
}

/// The middleware. A request without the header, or without a key that opens the route, passes as it is.
pub async fn idempotency(
    mut request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let concerned = request.method() == Method::POST
        && request.path().starts_with("/api/v1/")
        && request.headers().contains_key(NAME);
    if !concerned {
        return Ok(next.call(request).await?.map_into_boxed_body());
    }
    let Some(key) = ApiKey::<Write>::id_in(request.request()).await else {
        return Ok(next.call(request).await?.map_into_boxed_body());
    };
    let Some(app) = request.app_data::<web::Data<Gangway>>().cloned() else {
        return Ok(request.error_response(Failure::misassembled()));
    };
    let once = match once(&mut request, key, &app).await {
        Ok(once) => once,
        Err(failure) => return Ok(request.error_response(failure)),
    };
    match app.storage.take_turn(&once, app.clock.now()).await.map_err(Failure::from) {
        Ok(Turn::Ours) => act(request, next, app, once).await,
        Ok(Turn::Done(answer)) => Ok(repeated(request, &answer)),
        Ok(Turn::UnderWay) => Ok(request.error_response(Failure::KeyInUse)),
        Ok(Turn::Reused) => Ok(request.error_response(Failure::KeyReused)),
        Err(failure) => Ok(request.error_response(failure)),
    }
}

/// What is asked, with its body read and put back for the handler.
async fn once(request: &mut ServiceRequest, key: Uuid, app: &Gangway) -> Result<OnceOnly, Failure> {
    let name = named(request)?;
    let payload = request.extract::<web::Payload>().await;
    let payload = payload.map_err(|error| Failure::BadRequest(error.to_string()))?;
    let body = body::bytes_in_time(payload, app).await?;
    let claim = fresh_id(&*app.clock, &*app.entropy);
    let route = format!("POST {}", request.path());
    let once = OnceOnly::new(key, &route, &name, claim).asking(request.query_string(), &body);
    request.set_payload(Payload::from(body));
    Ok(once)
}

fn named(request: &ServiceRequest) -> Result<String, Failure> {
    let mut given = request.headers().get_all(NAME);
    let name = given.next().and_then(|name| name.to_str().ok()).unwrap_or_default();
    let fits = (1..=LONGEST).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_graphic());
    if fits && given.next().is_none() {
        return Ok(name.to_owned());
    }
    Err(Failure::Parameter(NAME.to_owned(), "must have 1 to 255 visible characters, once"))
}

/// Acts to the end, also where nobody waits for the answer any more: whoever asks again then gets it.
async fn act(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
    app: web::Data<Gangway>,
    once: OnceOnly,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let acting = async move {
        let response = next.call(request).await.map(ServiceResponse::map_into_boxed_body);
        let response = match response {
            Ok(response) if response.status().is_success() => return Ok(kept(response, &app, &once).await),
            refused => refused,
        };
        if let Err(error) = app.storage.give_back_turn(&once).await {
            tracing::warn!(%error, "an Idempotency-Key is free again in a few minutes only");
        }
        response
    };
    let acting = actix_web::rt::spawn(acting.in_current_span());
    acting.await.unwrap_or_else(|error| Err(Failure::Internal(error.to_string()).into()))
}

/// The answer, kept for who asks again.
async fn kept(
    response: ServiceResponse<BoxBody>,
    app: &Gangway,
    once: &OnceOnly,
) -> ServiceResponse<BoxBody> {
    let (request, response) = response.into_parts();
    let (head, body) = response.into_parts();
    // Ours are made of bytes that are there.
    let body = to_bytes(body).await.unwrap_or_default();
    let header = |name: HeaderName| {
        let value = head.headers().get(&name)?.to_str().ok()?.to_owned();
        Some((name.to_string(), value))
    };
    let answer = Answer {
        status: head.status().as_u16(),
        headers: [CONTENT_TYPE, LOCATION].into_iter().filter_map(header).collect(),
        body: String::from_utf8_lossy(&body).into_owned(),
    };
    let written = serde_json::to_vec(&answer).unwrap_or_default();
    if let Err(error) = app.storage.keep_answer(once, &written, app.clock.now()).await {
        tracing::error!(%error, "what was answered to an Idempotency-Key is not kept; asking again may act again");
    }
    ServiceResponse::new(request, head.set_body(BoxBody::new(body)))
}

fn repeated(request: ServiceRequest, answer: &[u8]) -> ServiceResponse<BoxBody> {
    let read = serde_json::from_slice::<Answer>(answer).ok();
    let read = read.and_then(|answer| Some((StatusCode::from_u16(answer.status).ok()?, answer)));
    let Some((status, answer)) = read else {
        return request.error_response(Failure::Internal("a kept answer cannot be read".to_owned()));
    };
    let mut response = HttpResponse::build(status);
    for header in answer.headers {
        response.insert_header(header);
    }
    response.insert_header((REPLAYED, HeaderValue::from_static("true")));
    request.into_response(response.body(Bytes::from(answer.body)))
}
