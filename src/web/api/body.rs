//! The JSON body of a request: said to be JSON, not large, not slow, and without a field that is not known.

use actix_web::http::header::CONTENT_TYPE;
use actix_web::{HttpRequest, web};
use futures_util::StreamExt;
use serde::de::DeserializeOwned;

use crate::web::Gangway;
use crate::web::failure::Failure;

const MOST_BYTES: usize = 64 * 1024;

/// Reads the body of `request`.
pub(super) async fn body<T: DeserializeOwned>(
    request: &HttpRequest,
    payload: web::Payload,
    app: &Gangway,
) -> Result<T, Failure> {
    let said = request.headers().get(CONTENT_TYPE).and_then(|said| said.to_str().ok()).unwrap_or_default();
    if !said.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/json") {
        return Err(Failure::MediaType);
    }
    let bytes = bytes_in_time(payload, app).await?;
    // A list would be taken for the fields in their order.
    if bytes.trim_ascii_start().first() != Some(&b'{') {
        return Err(Failure::Body("an object is asked for".to_owned()));
    }
    serde_json::from_slice(&bytes).map_err(|error| Failure::Body(error.to_string()))
}

/// The bytes of a body that is neither large nor slow.
pub(super) async fn bytes_in_time(payload: web::Payload, app: &Gangway) -> Result<Vec<u8>, Failure> {
    let reading = tokio::time::timeout(app.config.limits.body_deadline, bytes(payload));
    reading.await.map_err(|_| Failure::TooSlow)?
}

async fn bytes(mut payload: web::Payload) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|error| Failure::BadRequest(error.to_string()))?;
        if bytes.len() + chunk.len() > MOST_BYTES {
            return Err(Failure::TooLarge);
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}
