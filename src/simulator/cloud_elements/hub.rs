//! The marketing hub with an Element token: ping, audiences, and the singular `/lists/{id}/webhook`
//! (section 5.1). The hub's name does not matter; the token decides.

use std::time::Duration;

use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::{Value, json};
use time::format_description::well_known::Rfc3339;

use super::credentials::{ElementToken, error, provider_error};
use crate::simulator::Faults;
use crate::simulator::mailchimp::{NotSaved, as_json, people_only, save_webhook};
use crate::simulator::world::{Instance, List, Simulation, Webhook};

/// `valid` is a text, as it was seen.
pub(super) async fn ping(
    ElementToken(instance): ElementToken,
    simulation: web::Data<Simulation>,
) -> HttpResponse {
    let now = simulation.clock.now().format(&Rfc3339).unwrap_or_default();
    HttpResponse::Ok().json(json!({ "dateTime": now, "endpoint": instance.element, "valid": "true" }))
}

/// An account without any audience is a 404, as every empty list is (section 7.8).
pub(super) async fn lists(
    ElementToken(instance): ElementToken,
    simulation: web::Data<Simulation>,
) -> HttpResponse {
    let faults = slowed(&simulation).await;
    if faults.no_audiences {
        return error(404, "No lists found");
    }
    simulation.with(|world| {
        let lists = world.accounts.get(instance.account).map(|account| account.lists.as_slice());
        let shown = |list: &List| {
            let mut shown = as_json(list);
            if faults.hostile_names {
                shown["name"] = json!(format!("<script>alert(1)</script>\"'>&{}", list.name));
            }
            shown
        };
        HttpResponse::Ok().json(lists.unwrap_or_default().iter().map(shown).collect::<Vec<_>>())
    })
}

/// Waits as the fault says.
async fn slowed(simulation: &Simulation) -> Faults {
    let faults = simulation.faults();
    if faults.hub_slow_ms > 0 {
        tokio::time::sleep(Duration::from_millis(faults.hub_slow_ms)).await;
    }
    faults
}

/// The list that the path names, if it is of the account of this token.
fn list_of(
    request: &HttpRequest,
    instance: &Instance,
    simulation: &Simulation,
) -> Result<String, HttpResponse> {
    let id = request.match_info().get("list").unwrap_or_default();
    let theirs = simulation.with(|world| {
        world
            .accounts
            .get(instance.account)
            .is_some_and(|account| account.lists.iter().any(|list| list.id == id))
    });
    if theirs {
        Ok(id.to_owned())
    } else {
        Err(provider_error(404, "Not found at the vendor", "Resource Not Found"))
    }
}

/// Mailchimp's words for a role that may only look.
fn not_permitted() -> HttpResponse {
    provider_error(403, "The vendor refused", "User action not permitted. Check the user's role.")
}

/// Where Mailchimp is told to send its forms.
fn ingest_url(simulation: &Simulation) -> String {
    format!("{}/elements/api-v2/events/mailchimpv3", simulation.origin)
}

pub(super) async fn webhooks(
    ElementToken(instance): ElementToken,
    request: HttpRequest,
    simulation: web::Data<Simulation>,
) -> HttpResponse {
    if slowed(&simulation).await.webhooks_down {
        return error(500, "Something is wrong");
    }
    let list = match list_of(&request, &instance, &simulation) {
        Ok(list) => list,
        Err(refused) => return refused,
    };
    simulation.with(|world| {
        let webhooks = world.list(&list).map(|list| list.webhooks.clone()).unwrap_or_default();
        let shown = webhooks.iter().map(|webhook| shown(webhook, &list));
        HttpResponse::Ok().json(shown.collect::<Vec<Value>>())
    })
}

fn shown(webhook: &Webhook, list: &str) -> Value {
    json!({ "id": webhook.id, "url": webhook.url, "list_id": list, "events": webhook.events, "sources": webhook.sources })
}

/// The body may be missing: the platform's own test sends none.
pub(super) async fn create_webhook(
    ElementToken(instance): ElementToken,
    request: HttpRequest,
    body: web::Bytes,
    simulation: web::Data<Simulation>,
) -> HttpResponse {
    if slowed(&simulation).await.viewer {
        return not_permitted();
    }
    let list = match list_of(&request, &instance, &simulation) {
        Ok(list) => list,
        Err(refused) => return refused,
    };
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let url = body["url"].as_str().map_or_else(|| ingest_url(&simulation), str::to_owned);
    let (events, sources) = people_only();
    let told =
        |name: &str, usual: Value| body.get(name).filter(|flags| flags.is_object()).cloned().unwrap_or(usual);
    match save_webhook(&simulation, &list, &url, (told("events", events), told("sources", sources))).await {
        Ok(webhook) => HttpResponse::Ok().json(shown(&webhook, &list)),
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
    ElementToken(instance): ElementToken,
    request: HttpRequest,
    simulation: web::Data<Simulation>,
) -> HttpResponse {
    if slowed(&simulation).await.viewer {
        return not_permitted();
    }
    let list = match list_of(&request, &instance, &simulation) {
        Ok(list) => list,
        Err(refused) => return refused,
    };
    let id = request.match_info().get("webhook").unwrap_or_default().to_owned();
    simulation.with(|world| {
        let Some(list) = world.list(&list) else { return error(404, "No list found") };
        let before = list.webhooks.len();
        list.webhooks.retain(|webhook| webhook.id != id);
        if list.webhooks.len() == before {
            return provider_error(404, "Not found at the vendor", "Resource Not Found");
        }
        HttpResponse::Ok().finish()
    })
}
