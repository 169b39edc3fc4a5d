//! Events: the vendor's form comes in, is normalised, signed and sent on as a notification; tried again
//! with growing gaps; after the last try the subscription is deactivated, and it and what follows is queued
//! (section 6). The gaps are seconds where Cloud Elements' grow to hours, or milliseconds where it is told.

use std::time::Duration;

use actix_web::{HttpRequest, HttpResponse, web};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;

use super::instances::text;
use crate::simulator::mailchimp::is_loopback;
use crate::simulator::world::{Instance, Queued, Simulation};

/// Seconds before each of the five further tries of the newer documentation.
const GAPS: [u64; 5] = [1, 2, 4, 8, 16];
/// Events kept for `GET /instances/{id}/events`.
const KEPT: usize = 1000;

/// Mailchimp's check of the address.
pub(super) async fn validate() -> HttpResponse {
    HttpResponse::Ok().finish()
}

/// A vendor webhook. With an id in the path (base64 of the decimal id) it is that instance's; without,
/// every instance of the account that owns the list: how Cloud Elements routes is not known (section 6.2).
pub(super) async fn ingest(
    request: HttpRequest,
    body: web::Bytes,
    simulation: web::Data<Simulation>,
) -> HttpResponse {
    let form: Vec<(String, String)> = form_urlencoded::parse(&body).into_owned().collect();
    let field = |name: &str| form.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value.as_str());
    let named = request
        .match_info()
        .get("id")
        .and_then(|id| STANDARD.decode(id).ok())
        .and_then(|id| String::from_utf8(id).ok()?.parse::<i64>().ok());
    let list = field("data[list_id]");
    let receivers: Vec<Instance> = simulation.with(|world| {
        let owner = world
            .accounts
            .iter()
            .find(|account| account.lists.iter().any(|one| one.id == list))
            .map(|account| account.id);
        let is_receiver = |instance: &&Instance| match named {
            Some(id) => instance.id == id,
            None => Some(instance.account) == owner,
        };
        let on = |instance: &&Instance| {
            !instance.disabled && text(&instance.configuration, "event.notification.enabled") == "true"
        };
        world.instances.values().filter(is_receiver).filter(on).cloned().collect()
    });
    let object = if field("data[id]").is_empty() { field("data[email]") } else { field("data[id]") };
    for instance in receivers {
        let queued = notification(&simulation, &instance, (field("type"), object), &form);
        send(&simulation, queued);
    }
    HttpResponse::Ok().finish()
}

fn event_type(vendor: &str) -> &'static str {
    match vendor {
        "subscribe" => "CREATED",
        "profile" | "upemail" | "cleaned" => "UPDATED",
        "unsubscribe" => "DELETED",
        _ => "UNKNOWN",
    }
}

/// The payload of section 6.3.
fn notification(
    simulation: &Simulation,
    instance: &Instance,
    (vendor, object): (&str, &str),
    form: &[(String, String)],
) -> Queued {
    let now = simulation.clock.now();
    let iso = now.format(&Rfc3339).unwrap_or_default();
    let java = format_description!(
        "[weekday repr:short] [month repr:short] [day] [hour]:[minute]:[second] UTC [year]"
    );
    let raw: serde_json::Map<String, Value> =
        form.iter().map(|(key, value)| (key.clone(), json!(value))).collect();
    simulation.with(|world| {
        let id = world.next_id().to_string();
        let event = json!({
            "date": iso, "elementKey": instance.element, "pollDate": iso, "eventType": event_type(vendor),
            "hubKey": "marketing", "objectId": object, "objectType": "contacts",
        });
        let event_id = format!("AX{}", world.hex(18));
        world.events.truncate(KEPT - 1);
        // Its own type has the number where the notification has text, and a text for what was told each instance.
        world.events.push_front(json!({ "id": event_id, "eventDate": iso, "status": "NOTIFIED",
            "providerData": json!(raw).to_string(), "notifiedData": [event], "eventElementInstances": [{
                "eventId": event_id, "elementInstanceId": instance.id, "notificationId": id.parse::<i64>().ok(),
                "notifiedData": json!([event]).to_string(), "createdDate": iso, "updatedDate": iso }] }));
        let body = json!({
            "severity": "medium", "createdDate": now.format(java).unwrap_or_default(),
            "topic": format!("instance-{}-{}-events", instance.id, instance.element), "action": "create", "id": id,
            "message": {
                "elementKey": instance.element, "accountId": 11, "eventId": event_id, "companyId": 12,
                "instanceId": instance.id, "instance_id": instance.id, "instanceName": instance.name,
                "instanceTags": instance.tags, "raw": raw, "userId": 13, "events": [event],
            },
            "user": "notifications@cloud-elements.com",
        });
        Queued { instance: instance.id, id, body: body.to_string() }
    })
}

/// Sends it, or what the faults make of it.
pub(super) fn send(simulation: &web::Data<Simulation>, queued: Queued) {
    let faults = simulation.faults();
    let mut batch = vec![queued];
    if faults.reorder {
        simulation.with(|world| match world.held.take() {
            Some(held) => batch.push(held),
            None => world.held = batch.pop(),
        });
    }
    for one in batch {
        if faults.duplicate {
            tokio::spawn(deliver(simulation.clone(), one.clone()));
        }
        tokio::spawn(deliver(simulation.clone(), one));
    }
}

async fn deliver(simulation: web::Data<Simulation>, queued: Queued) {
    let subscribed =
        simulation.with(|world| world.instances.get(&queued.instance).is_some_and(|one| one.subscribed));
    if !subscribed {
        enqueue(&simulation, queued);
        return;
    }
    for gap in GAPS.into_iter().map(Some).chain([None]) {
        if attempt(&simulation, &queued).await {
            return;
        }
        if let Some(gap) = gap {
            let hasty = simulation.faults().hasty;
            tokio::time::sleep(if hasty { Duration::from_millis(gap) } else { Duration::from_secs(gap) })
                .await;
        }
    }
    simulation.record("subscription deactivated", &queued.instance.to_string(), "all tries failed");
    simulation.with(|world| {
        if let Some(instance) = world.instances.get_mut(&queued.instance) {
            instance.subscribed = false;
        }
    });
    enqueue(&simulation, queued);
}

/// Keeps it until somebody asks for it; only in the list of events, where the queue loses things.
fn enqueue(simulation: &Simulation, queued: Queued) {
    if !simulation.faults().lose_queued {
        simulation.with(|world| world.queue.push(queued));
    }
}

/// One try; any 2xx is success.
async fn attempt(simulation: &Simulation, queued: &Queued) -> bool {
    let found = simulation.with(|world| {
        world.ledger.notifications += 1;
        let instance = world.instances.get(&queued.instance)?;
        let url = text(&instance.configuration, "event.notification.callback.url");
        Some((url, text(&instance.configuration, "event.notification.signature.key")))
    });
    let Some((url, key)) = found else { return true };
    if !is_loopback(&url) {
        simulation.record("notification", &url, "refused: not a loopback address");
        return true;
    }
    let mut request = simulation
        .http
        .post(&url)
        .header("Content-Type", "application/json")
        .header("Elements-Webhook-Id", &queued.id)
        .body(queued.body.clone());
    if !key.is_empty() {
        let key = if simulation.faults().bad_signature { "another key".to_owned() } else { key };
        request = request.header("Elements-Webhook-Signature", signature(&key, &queued.body));
    }
    let answer = request.send().await.map(|answer| answer.status());
    let outcome =
        answer.as_ref().map_or_else(|_| "no answer".to_owned(), |status| status.as_u16().to_string());
    simulation.record(format!("notification {}", queued.id), &url, outcome);
    answer.is_ok_and(|status| status.is_success())
}

/// `sha256=` and the padded base64 of HMAC-SHA256 over the raw body (section 6.4).
fn signature(key: &str, body: &str) -> String {
    let digest = Hmac::<Sha256>::new_from_slice(key.as_bytes())
        .map(|mac| mac.chain_update(body).finalize().into_bytes().to_vec())
        .unwrap_or_default();
    format!("sha256={}", STANDARD.encode(digest))
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_simulator_signs_as_cloud_elements_published() {
        let signed =
            super::signature("MySecretEventSignatureKey", "<INSERT_EVENT_NOTIFICATION_RESPONSE_BODY>");
        assert_eq!(signed, "sha256=jHdbRx5EZAsOfTwAPJOGkNUzQMVVdu5VJlxcsk+G6jQ=");
    }
}
