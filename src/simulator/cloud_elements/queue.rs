//! What waits after a subscription was deactivated, and sending it again (section 6.5): the answer to `GET` in the
//! shape that the vendor's own test wants, that to `PUT` in one that nobody knows.

use std::time::Duration;

use actix_web::{HttpResponse, web};
use serde::Deserialize;
use serde_json::json;

use super::credentials::{Platform, error};
use super::instances::text;
use super::notifications::send;
use crate::simulator::world::{Queued, Simulation};

/// `?where=channel='webhook' and status='queued' [and config.url='…']`
#[derive(Deserialize)]
pub(super) struct Where {
    #[serde(rename = "where", default)]
    condition: String,
}

fn matching(simulation: &Simulation, condition: &str, take: bool) -> Vec<Queued> {
    let url =
        condition.split("config.url='").nth(1).and_then(|rest| rest.split('\'').next()).map(str::to_owned);
    simulation.with(|world| {
        let instances = &world.instances;
        let wanted = |queued: &Queued| {
            url.as_ref().is_none_or(|url| {
                let instance = instances.get(&queued.instance);
                instance
                    .is_some_and(|one| text(&one.configuration, "event.notification.callback.url") == *url)
            })
        };
        let (found, rest): (Vec<Queued>, Vec<Queued>) = world.queue.iter().cloned().partition(wanted);
        if take {
            world.queue = rest;
            for instance in world.instances.values_mut() {
                let meant = url.as_ref().is_none_or(|url| {
                    text(&instance.configuration, "event.notification.callback.url") == *url
                });
                instance.subscribed |= meant;
            }
        }
        found
    })
}

pub(super) async fn queued(
    _: Platform,
    query: web::Query<Where>,
    simulation: web::Data<Simulation>,
) -> HttpResponse {
    let faults = simulation.faults();
    tokio::time::sleep(Duration::from_millis(faults.queue_slow_ms)).await;
    if faults.queue_garbage {
        return HttpResponse::Ok().body("<p>Welcome</p>");
    }
    if faults.queue_status > 0 {
        return error(faults.queue_status, "The deliveries cannot be had");
    }
    let found = matching(&simulation, &query.condition, false);
    let now = simulation.clock.now().unix_timestamp().to_string();
    let shown = found.iter().map(|one| {
        json!({ "notificationId": one.id.parse::<i64>().ok(), "subscriptionId": one.instance, "status": "queued",
            "createdDate": now })
    });
    HttpResponse::Ok().json(shown.collect::<Vec<_>>())
}

pub(super) async fn redeliver(
    _: Platform,
    query: web::Query<Where>,
    simulation: web::Data<Simulation>,
) -> HttpResponse {
    let faults = simulation.faults();
    simulation.with(|world| world.ledger.redeliveries += 1);
    if faults.redeliver_status > 0 {
        return error(faults.redeliver_status, "The deliveries cannot be sent again");
    }
    if faults.redeliver_deaf {
        return HttpResponse::Ok().finish();
    }
    let found = matching(&simulation, &query.condition, true);
    let count = found.len();
    for queued in found {
        send(&simulation, queued);
    }
    HttpResponse::Ok().json(json!({ "redelivering": count }))
}

/// The control page's button.
pub(in crate::simulator) fn redeliver_all(simulation: &web::Data<Simulation>) {
    for queued in matching(simulation, "", true) {
        send(simulation, queued);
    }
}
