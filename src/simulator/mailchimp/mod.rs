//! The stand-in Mailchimp: consent, tokens, the corner of the Marketing API that matters here, and
//! audience webhooks (reference/mailchimp.md).

mod authorize;
mod marketing_api;
mod token;
mod webhooks;

use actix_web::web::{self, ServiceConfig};

pub(super) use marketing_api::as_json;
pub(super) use webhooks::{
    About, Change, Form, NotSaved, announce, is_loopback, people_only, release, save_webhook,
};

pub(super) fn routes(services: &mut ServiceConfig) {
    services
        .route("/oauth2/authorize", web::get().to(authorize::show))
        .route("/oauth2/authorize", web::post().to(authorize::decide))
        .route("/oauth2/token", web::post().to(token::token))
        .route("/oauth2/metadata", web::get().to(token::metadata))
        .route("/oauth2/metadata", web::post().to(token::metadata))
        .route("/3.0/", web::get().to(marketing_api::root))
        .route("/3.0/ping", web::get().to(marketing_api::ping))
        .route("/3.0/lists", web::get().to(marketing_api::lists))
        .route("/3.0/lists/{list}", web::get().to(marketing_api::list))
        .route("/3.0/lists/{list}/webhooks", web::get().to(marketing_api::webhooks))
        .route("/3.0/lists/{list}/webhooks", web::post().to(marketing_api::create_webhook))
        .route("/3.0/lists/{list}/webhooks/{webhook}", web::get().to(marketing_api::webhook))
        .route("/3.0/lists/{list}/webhooks/{webhook}", web::patch().to(marketing_api::change_webhook))
        .route("/3.0/lists/{list}/webhooks/{webhook}", web::delete().to(marketing_api::delete_webhook));
}
