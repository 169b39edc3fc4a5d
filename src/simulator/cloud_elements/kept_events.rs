//! `GET /instances/{id}/events`: what happened, whether or not its notification arrived; the newest first, in
//! pages, and a 404 where there is none (sections 5 and 6.5).

use std::time::Duration;

use actix_web::{HttpResponse, web};
use serde::Deserialize;
use serde_json::Value;

use super::credentials::{Platform, error};
use crate::simulator::world::Simulation;

/// No page is larger.
const LARGEST: usize = 200;
/// Nor where pages are told to be small.
const SMALL: usize = 5;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Paging {
    page_size: Option<usize>,
    next_page: Option<usize>,
}

pub(super) async fn events(
    _: Platform,
    id: web::Path<i64>,
    paging: web::Query<Paging>,
    simulation: web::Data<Simulation>,
) -> HttpResponse {
    let faults = simulation.faults();
    let from = paging.next_page.unwrap_or(0);
    simulation.record(format!("events of {id}"), &format!("page {from}"), "asked");
    tokio::time::sleep(Duration::from_millis(faults.events_slow_ms)).await;
    if faults.events_status > 0 {
        return error(faults.events_status, "The events cannot be had");
    }
    let largest = if faults.small_pages { SMALL } else { LARGEST };
    let size = paging.page_size.unwrap_or(largest).clamp(1, largest);
    let is_meant = |event: &&Value| {
        faults.events_mixed || event["eventElementInstances"][0]["elementInstanceId"].as_i64() == Some(*id)
    };
    let (page, more) = simulation.with(|world| {
        let mut found = world.events.iter().filter(is_meant).skip(from);
        let page: Vec<Value> = found.by_ref().take(size).cloned().collect();
        (page, found.next().is_some())
    });
    if page.is_empty() {
        return error(404, "No events found");
    }
    let mut answer = HttpResponse::Ok();
    if more {
        answer.insert_header(("Elements-Next-Page-Token", (from + size).to_string()));
    }
    answer.json(page)
}
