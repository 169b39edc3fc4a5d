//! `GET /admin/events/{id}`: one event and the notification it came in. The payload is somebody else's: it is
//! shown as text and downloaded as bytes, never rendered.

use actix_web::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use actix_web::{HttpResponse, web};
use askama::Template;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::super::deliveries::DeliveryRow;
use super::HERE;
use super::list::{RowView, page_of};
use super::payload::{Shown, shown};
use crate::storage::{EventId, StoredEvent};
use crate::web::Gangway;
use crate::web::failure::Failure;
use crate::web::guards::SignedIn;
use crate::web::view::{Frame, Page};

#[derive(Template)]
#[template(path = "admin/event.html")]
struct EventPage {
    frame: Frame,
    here: &'static str,
    id: String,
    row: RowView,
    notification_id: Option<String>,
    received_exactly: String,
    headers: Vec<(String, String)>,
    came_again: i64,
    /// The page of an earlier one with the same id and another body.
    same_id_as: Option<String>,
    payload_gone: bool,
    bytes: usize,
    payload: Shown,
    download: String,
    deliveries: Vec<DeliveryRow>,
}

/// `GET /admin/events/{id}`
pub async fn event(
    by: SignedIn,
    id: web::Path<String>,
    app: web::Data<Gangway>,
) -> Result<HttpResponse, Failure> {
    let id: EventId = id.parse().map_err(|_| Failure::NotFound)?;
    let found = app.storage.event(id).await?.ok_or(Failure::NotFound)?;
    let deliveries = app.storage.deliveries_of(id.notification()).await?;
    let StoredEvent { row, headers, bytes, head, duplicates, same_id_as, payload_gone } = found;
    EventPage {
        frame: app.frame_for(by.session()),
        here: HERE,
        id: id.to_string(),
        notification_id: row.notification_id.clone(),
        received_exactly: exactly(row.received_at),
        row: row.into(),
        headers,
        came_again: duplicates,
        same_id_as: same_id_as.map(page_of),
        payload_gone,
        bytes,
        payload: shown(&head, bytes),
        download: format!("{}/payload", page_of(id)),
        deliveries: deliveries.into_iter().map(DeliveryRow::from).collect(),
    }
    .show()
}

/// `GET /admin/events/{id}/payload`: the bytes as they came, to be saved. The name says nothing of what they are.
pub async fn payload(
    _: SignedIn,
    id: web::Path<String>,
    app: web::Data<Gangway>,
) -> Result<HttpResponse, Failure> {
    let id: EventId = id.parse().map_err(|_| Failure::NotFound)?;
    let body = app.storage.payload(id).await?.ok_or(Failure::NotFound)?;
    Ok(HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "application/octet-stream"))
        .insert_header((CONTENT_DISPOSITION, format!("attachment; filename=\"event-{id}.bin\"")))
        .body(body))
}

/// To the millisecond.
fn exactly(at: OffsetDateTime) -> String {
    at.format(&Rfc3339).unwrap_or_default()
}
