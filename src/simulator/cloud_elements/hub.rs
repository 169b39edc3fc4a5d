//! The marketing hub with an Element token: ping, audiences, and the singular `/lists/{id}/webhook`
//! (section 5.1). The hub's name does not matter; the token decides.

use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::{Value, json};
use time::format_description::well_known::Rfc3339;

use super::credentials::{ElementToken, error, provider_error};
use crate::simulator::mailchimp::{NotSaved, as_json, people_only, save_webhook};
use crate::simulator::world::Simulation;

/// `valid` is a text, as it was seen.
pub(super) async fn ping(
    ElementToken(instance): ElementToken,
    simulation: web::Data<Simulation>,
) -> HttpResponse {
    let now = simulation.clock.now().format(&Rfc3339).unwrap_or_default();
    HttpResponse::Ok().json(json!({ "dateTime": now, "endpoint": instance.element, "valid": "true" }))
}

pub(super) async fn lists(
    ElementToken(instance): ElementToken,
    simulation: web::Data<Simulation>,
) -> HttpResponse {
    simulation.with(|world| {
        let lists = world.accounts.get(instance.account).map(|account| account.lists.as_slice());
        HttpResponse::Ok().json(lists.unwrap_or_default().iter().map(as_json).collect::<Vec<_>>())
    })
}

fn list_of(request: &HttpRequest) -> String {
    request.match_info().get("list").unwrap_or_default().to_owned()
}

/// Where Mailchimp is told to send its forms.
fn ingest_url(simulation: &Simulation) -> String {
    format!("{}/elements/api-v2/events/mailchimpv3", simulation.origin)
}

pub(super) async fn webhooks(
    _: ElementToken,
    request: HttpRequest,
    simulation: web::Data<Simulation>,
) -> HttpResponse {
    simulation.with(|world| match world.list(&list_of(&request)) {
        None => provider_error(404, "Not found at the vendor", "Resource Not Found"),
        Some(list) => {
            let shown = |webhook: &crate::simulator::world::Webhook| json!({ "id": webhook.id, "url": webhook.url, "list_id": list.id });
            HttpResponse::Ok().json(list.webhooks.iter().map(shown).collect::<Vec<Value>>())
        }
    })
}

/// The body may be missing: the platform's own test sends none.
pub(super) async fn create_webhook(
    _: ElementToken,
    request: HttpRequest,
    body: web::Bytes,
    simulation: web::Data<Simulation>,
) -> HttpResponse {
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let url = body["url"].as_str().map_or_else(|| ingest_url(&simulation), str::to_owned);
    match save_webhook(&simulation, &list_of(&request), &url, people_only()).await {
        Ok(webhook) => HttpResponse::Ok()
            .json(json!({ "id": webhook.id, "url": webhook.url, "list_id": list_of(&request) })),
        Err(NotSaved::NoSuchList) => provider_error(404, "Not found at the vendor", "Resource Not Found"),
        Err(NotSaved::Duplicate) => {
            provider_error(400, "The vendor refused", "Sorry, you can't set up multiple WebHooks for one URL")
        }
        Err(NotSaved::Unverified(saw)) => {
            provider_error(400, "The vendor refused", &format!("We couldn't verify the WebHook URL: {saw}"))
        }
    }
}

pub(super) async fn delete_webhook(
    _: ElementToken,
    request: HttpRequest,
    simulation: web::Data<Simulation>,
) -> HttpResponse {
    let id = request.match_info().get("webhook").unwrap_or_default().to_owned();
    simulation.with(|world| {
        let Some(list) = world.list(&list_of(&request)) else { return error(404, "No list found") };
        list.webhooks.retain(|webhook| webhook.id != id);
        HttpResponse::Ok().finish()
    })
}
