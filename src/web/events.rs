//! `POST /events/{id}`: one event notification from Cloud Elements. Cheapest check first; nothing of the
//! body is believed before its signature, and 200 is said only once it is on disk.

use std::time::Duration;

use actix_web::http::header::{CONTENT_LENGTH, HeaderMap, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, web};
use futures_util::StreamExt;
use uuid::Uuid;

use super::Gangway;
use super::failure::Failure;
use crate::elements::Signature;
use crate::events::{Refusal, Share};
use crate::reference::Reference;
use crate::storage::{Arrival, StorageError};

const SIGNATURE: &str = "elements-webhook-signature";

/// In a flood of what is refused, each sender waits so long for its answer: those that are signed come first.
const FLOOD_PAUSE: Duration = Duration::from_millis(50);

/// Receives one notification.
pub async fn receive(
    request: HttpRequest,
    id: web::Path<String>,
    body: web::Payload,
    reference: Reference,
    app: web::Data<Gangway>,
) -> Result<HttpResponse, Failure> {
    let received = take(&request, &id, body, reference, &app).await;
    let result = match &received {
        Ok(Arrival::Stored) => "stored",
        Ok(Arrival::StoredApart) => "stored_apart",
        Ok(Arrival::Duplicate) => "duplicate",
        Ok(Arrival::Tried) => "tried",
        Err(Failure::Busy(_) | Failure::Storage(StorageError::Busy)) => "busy",
        Err(failure) => match refusal(failure) {
            Some(reason) => {
                // Nobody can name an instance that is not there.
                let instance = (reason != Refusal::UnknownInstance).then(|| id.parse().ok()).flatten();
                if app.refusals.add(reason, instance, app.clock.now()) {
                    tokio::time::sleep(FLOOD_PAUSE).await;
                }
                reason.as_str()
            }
            None => "failed",
        },
    };
    metrics::counter!("gangway_notifications_total", "result" => result).increment(1);
    received.map(|_| HttpResponse::Ok().content_type("application/json").body("{}"))
}

fn refusal(failure: &Failure) -> Option<Refusal> {
    match failure {
        Failure::NotFound => Some(Refusal::UnknownInstance),
        Failure::Gone => Some(Refusal::Disconnected),
        Failure::MalformedSignature(_) => Some(Refusal::MalformedSignature),
        Failure::SignatureMismatch(_) => Some(Refusal::BadSignature),
        Failure::TooLarge => Some(Refusal::TooLarge),
        Failure::TooSlow => Some(Refusal::TooSlow),
        _ => None,
    }
}

async fn take(
    request: &HttpRequest,
    id: &str,
    body: web::Payload,
    reference: Reference,
    app: &Gangway,
) -> Result<Arrival, Failure> {
    let id = id.parse::<Uuid>().map_err(|_| Failure::NotFound)?;
    let recipient = app.inbox.recipient(id).await?;
    let header = request.headers().get(SIGNATURE).map(HeaderValue::as_bytes);
    let signature = Signature::parse(header)?;
    let declared =
        request.headers().get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    let (body, _share) = read(body, declared, app).await?;
    let notification = recipient.verify(&signature, body)?;
    Ok(app.inbox.accept(notification, kept(request.headers()), reference).await?)
}

/// The body as it comes, up to its limit and its deadline, with its share of the memory.
async fn read(
    mut payload: web::Payload,
    declared: Option<u64>,
    app: &Gangway,
) -> Result<(Vec<u8>, Share), Failure> {
    let limits = app.config.limits;
    let limit = limits.notification_bytes;
    let declared = usize::try_from(declared.unwrap_or_default()).unwrap_or(usize::MAX);
    if declared > limit {
        return Err(Failure::TooLarge);
    }
    let mut share = app.inbox.share();
    share.cover(declared)?;
    let reading = async {
        let mut body = Vec::new();
        while let Some(chunk) = payload.next().await {
            let chunk = chunk.map_err(|error| Failure::BadRequest(error.to_string()))?;
            if body.len() + chunk.len() > limit {
                return Err(Failure::TooLarge);
            }
            share.cover(body.len() + chunk.len())?;
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    };
    let body = tokio::time::timeout(limits.notification_deadline, reading).await;
    Ok((body.map_err(|_| Failure::TooSlow)??, share))
}

/// The headers worth keeping, as JSON pairs: what the sender said of itself and of the body. Not those of
/// the proxies in between, and no credentials.
fn kept(headers: &HeaderMap) -> String {
    let ours =
        |name: &str| name.starts_with("elements-") || matches!(name, "content-type" | "user-agent" | "date");
    let pairs: Vec<(&str, String)> = headers
        .iter()
        .map(|(name, value)| (name.as_str(), value))
        .filter(|(name, _)| ours(name))
        .map(|(name, value)| (name, String::from_utf8_lossy(value.as_bytes()).into_owned()))
        .collect();
    serde_json::to_string(&pairs).unwrap_or_default()
}
