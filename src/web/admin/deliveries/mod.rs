//! Passing on, as the operator sees it: endpoints, deliveries with their attempts, and many asked for again.
//! How and when something is sent is `events::deliveries`' business.

mod endpoint;
mod endpoints;
mod list;
mod one;
mod redeliveries;

pub use endpoint::{delete, delete_form, endpoint, switch_on};
pub use endpoints::{endpoints, register};
pub use list::deliveries;
pub(super) use list::{DeliveryRow, page_of as delivery_page};
pub use one::{delivery, redeliver};
pub use redeliveries::{begin_redelivery, new_redelivery, redeliveries, stop_redelivery};

use super::instances::StateBadge;
use crate::storage::{DeliveryState, Endpoint, EndpointState, OffReason};
use crate::web::Gangway;
use crate::web::failure::Failure;

/// These parts of the console.
const ENDPOINTS: &str = "endpoints";
const DELIVERIES: &str = "deliveries";

fn endpoint_page(endpoint: &Endpoint) -> String {
    format!("/admin/endpoints/{}", endpoint.id)
}

fn endpoint_badge(state: EndpointState) -> StateBadge {
    let tone = match state {
        EndpointState::On => "good",
        EndpointState::Off(_) => "bad",
        EndpointState::Deleted => "quiet",
    };
    StateBadge { word: state.as_str(), tone }
}

fn delivery_badge(state: DeliveryState) -> StateBadge {
    let tone = match state {
        DeliveryState::Pending => "busy",
        DeliveryState::Delivered => "good",
        DeliveryState::Failed => "bad",
    };
    StateBadge { word: state.as_str(), tone }
}

/// Page, address and reason of each endpoint that was switched off.
pub(super) async fn switched_off(app: &Gangway) -> Result<Vec<(String, String, &'static str)>, Failure> {
    let off = |endpoint: Endpoint| match endpoint.state {
        EndpointState::Off(reason) => Some((endpoint_page(&endpoint), endpoint.url, why_off(reason))),
        _ => None,
    };
    Ok(app.storage.endpoints().await?.into_iter().filter_map(off).collect())
}

/// Why it is off, and what that means.
fn why_off(reason: OffReason) -> &'static str {
    match reason {
        OffReason::Gone => {
            "It answered 410 Gone, so it was switched off. Nothing is sent there until you switch it on."
        }
        OffReason::Failing => {
            "It failed for five days without any success, so it was switched off. Nothing is sent there until you switch it on."
        }
    }
}
