//! The stand-in Cloud Elements, API v2: instances, the hub of the marketing element, incoming vendor
//! events and outgoing notifications (reference/cloud-elements.md sections 2 to 6).

mod credentials;
mod hub;
mod instances;
mod kept_events;
mod listing;
mod notifications;
mod oauth_url;
mod queue;

use actix_web::web::{self, ServiceConfig};

pub(super) use queue::redeliver_all;

pub(super) fn routes(services: &mut ServiceConfig) {
    services.service(
        web::scope("/elements/api-v2")
            .route("/organizations/me", web::get().to(instances::organization))
            .route("/elements/{element}/oauth/url", web::get().to(oauth_url::from_query))
            .route("/elements/{element}/oauth/url", web::post().to(oauth_url::from_body))
            .route("/elements/{element}/instances", web::get().to(listing::of_element))
            .route("/elements/{element}/instances", web::post().to(instances::create_of_element))
            .route("/instances", web::post().to(instances::create))
            .route("/instances", web::get().to(listing::all))
            .route("/instances/{id}", web::get().to(instances::get))
            .route("/instances/{id}", web::put().to(instances::put))
            .route("/instances/{id}", web::patch().to(instances::patch))
            .route("/instances/{id}", web::delete().to(instances::delete))
            .route("/instances/{id}/enabled", web::put().to(instances::enable))
            .route("/instances/{id}/enabled", web::delete().to(instances::disable))
            .route("/instances/{id}/configuration", web::get().to(instances::configuration))
            .route("/instances/{id}/configuration/{entry}", web::patch().to(instances::configure))
            .route("/instances/{id}/events", web::get().to(kept_events::events))
            .route("/notifications/subscriptions/deliveries", web::get().to(queue::queued))
            .route("/notifications/subscriptions/deliveries", web::put().to(queue::redeliver))
            .route("/events/{element}", web::get().to(notifications::validate))
            .route("/events/{element}", web::post().to(notifications::ingest))
            .route("/events/{element}/{id}", web::get().to(notifications::validate))
            .route("/events/{element}/{id}", web::post().to(notifications::ingest))
            .route("/ping", web::get().to(hub::ping))
            .route("/hubs/{hub}/ping", web::get().to(hub::ping))
            .route("/hubs/{hub}/lists", web::get().to(hub::lists))
            .route("/lists", web::get().to(hub::lists))
            .route("/hubs/{hub}/lists/{list}/webhook", web::get().to(hub::webhooks))
            .route("/hubs/{hub}/lists/{list}/webhook", web::post().to(hub::create_webhook))
            .route("/hubs/{hub}/lists/{list}/webhook/{webhook}", web::delete().to(hub::delete_webhook))
            .route("/lists/{list}/webhook", web::get().to(hub::webhooks))
            .route("/lists/{list}/webhook", web::post().to(hub::create_webhook))
            .route("/lists/{list}/webhook/{webhook}", web::delete().to(hub::delete_webhook)),
    );
}
