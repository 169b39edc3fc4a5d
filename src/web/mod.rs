//! Everything HTTP: every route on one screen. Handlers take proof, ask one subject to act, and answer;
//! what the subjects are is not known here beyond their names.

mod admin;
mod api;
mod assets;
mod edge;
mod events;
mod failure;
mod finding;
mod fresh;
mod guards;
mod headers;
mod operations;
mod pages;
mod view;

use std::sync::Arc;
use std::sync::atomic::AtomicI64;

use actix_web::web::{self, ServiceConfig};
use actix_web::{Resource, Route, guard};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::checkpoint::SharedCheckpoints;
use crate::clock::SharedClock;
use crate::config::Config;
use crate::elements::{CloudElements, Instance};
use crate::entropy::SharedEntropy;
use crate::events::{Deliveries, Feed, Inbox, Missed, Refusals};
use crate::mailchimp::Mailchimp;
use crate::onboarding::Onboarding;
use crate::storage::Storage;
pub use admin::Console;
pub use api::{Waiting, idempotency};
pub use assets::Assets;
pub use edge::edge;
use failure::Failure;
pub use fresh::Fresh;
pub use guards::{RateLimit, same_origin, session_middleware};
pub use headers::SecurityHeaders;
pub use operations::Metrics;

/// What the handlers work with: one for the whole process.
pub struct Gangway {
    /// The settings.
    pub config: Config,
    /// Tells this process from another one.
    pub process: Uuid,
    /// The rows.
    pub storage: Storage,
    /// Grants to instances.
    pub onboarding: Arc<Onboarding>,
    /// Event notifications.
    pub inbox: Inbox,
    /// Notifications that were refused.
    pub refusals: Refusals,
    /// Passing them on.
    pub deliveries: Arc<Deliveries>,
    /// What did not arrive.
    pub missed: Arc<Missed>,
    /// Who watches.
    pub feed: Feed,
    /// Programs that wait for events.
    pub waiting: Waiting,
    /// Authorize URLs.
    pub mailchimp: Mailchimp,
    /// Cloud Elements, for `AUTHORIZE_URL_FROM=cloud-elements`.
    pub cloud_elements: Arc<CloudElements>,
    /// Who may see the console.
    pub console: Console,
    /// Starts and sign-ins per client address.
    pub rate_limit: RateLimit,
    /// The files of `static/`.
    pub assets: Assets,
    /// What every response carries.
    pub headers: SecurityHeaders,
    /// Pages of lists that were made a moment ago.
    pub lists: Fresh,
    /// `/metrics`.
    pub metrics: Metrics,
    /// Trips that were started and not written down yet.
    pub starts: AtomicI64,
    /// The time.
    pub clock: SharedClock,
    /// States, ids, tokens.
    pub entropy: SharedEntropy,
    /// Where tests stop the flow.
    pub checkpoints: SharedCheckpoints,
    /// Cancelled when Gangway stops, so that live pages end.
    pub closing: CancellationToken,
}

impl Gangway {
    /// The instance that a path names.
    async fn instance(&self, id: &str) -> Result<Instance, Failure> {
        let id = id.parse::<Uuid>().map_err(|_| Failure::NotFound)?;
        self.storage.instance(id).await?.ok_or(Failure::NotFound)
    }
}

/// The routes. Fixed paths come first: they are compared, the others matched.
#[expect(clippy::too_many_lines, reason = "every route, on one screen")]
pub fn routes(services: &mut ServiceConfig) {
    services
        // The customer.
        .service(on("/", get().to(pages::landing)))
        .service(on("/connect", web::post().to(pages::connect)))
        .service(on("/oauth/callback", web::get().to(pages::callback)))
        // Operations: no cookies.
        .service(on("/healthz", get().to(operations::healthz)))
        .service(on("/readyz", get().to(operations::readyz)))
        .service(on("/metrics", get().to(operations::metrics)))
        // Cloud Elements.
        .service(on("/events/{id}", web::post().to(events::receive)))
        .service(on("/assets/{name}", get().to(assets::serve)))
        .service(on("/authorization-requests/{id}", get().to(pages::authorization_request)))
        .service(on("/instances/{id}", get().to(pages::instance)))
        .service(on("/instances/{id}/feed", web::get().to(pages::feed)))
        .service(on("/instances/{id}/reconnect", web::post().to(pages::reconnect)))
        .service(on("/instances/{id}/keep-account", web::post().to(pages::keep_account)))
        .service(
            on("/instances/{id}/disconnect", get().to(pages::disconnect_form))
                .route(web::post().to(pages::disconnect)),
        )
        .service(
            on("/instances/{id}/audiences", get().to(pages::audiences_form))
                .route(web::post().to(pages::audiences)),
        )
        .service(
            on("/reconnect/{token}", get().to(pages::reconnect_link))
                .route(web::post().to(pages::reconnect_by_link)),
        )
        .service(on("/invites/{token}", get().to(pages::invited)))
        .service(on("/invites/{token}/connect", web::post().to(pages::connect_invited)))
        // The operator.
        .service(on("/admin", get().to(admin::overview)))
        .service(
            on("/admin/first-sign-in/{token}", get().to(admin::first_sign_in_form))
                .route(web::post().to(admin::first_sign_in)),
        )
        .service(on("/admin/sign-in", get().to(admin::sign_in_form)).route(web::post().to(admin::sign_in)))
        .service(on("/admin/sign-out", web::post().to(admin::sign_out)))
        .service(on("/admin/instances", get().to(admin::instances)))
        .service(on("/admin/instances.csv", get().to(admin::instances_csv)))
        .service(on("/admin/instances.json", get().to(admin::instances_json)))
        .service(on("/admin/instances/{id}", get().to(admin::instance)))
        .service(on("/admin/instances/{id}/check", web::post().to(admin::check)))
        .service(on("/admin/instances/{id}/pause", web::post().to(admin::pause)))
        .service(on("/admin/instances/{id}/resume", web::post().to(admin::resume)))
        .service(
            on("/admin/instances/{id}/name", get().to(admin::name_form)).route(web::post().to(admin::rename)),
        )
        .service(on("/admin/instances/{id}/tags", web::post().to(admin::retag)))
        .service(on("/admin/bulk", get().to(admin::bulks)))
        .service(on("/admin/bulk/new", get().to(admin::new_bulk)))
        .service(on("/admin/bulk/check", web::post().to(admin::check_many)))
        .service(on("/admin/bulk/pause", web::post().to(admin::pause_many)))
        .service(on("/admin/bulk/resume", web::post().to(admin::resume_many)))
        .service(on("/admin/bulk/{id}", get().to(admin::bulk)))
        .service(on("/admin/bulk/{id}/stop", web::post().to(admin::stop_bulk)))
        .service(on("/admin/references", get().to(admin::references)))
        .service(on("/admin/references/{reference}", get().to(admin::reference)))
        .service(on("/admin/references/{reference}/{line}", get().to(admin::reference_line)))
        .service(on("/admin/instances/{id}/missed-events", web::post().to(admin::ask_again)))
        .service(on("/admin/instances/{id}/reconnect-link", web::post().to(admin::reconnect_link)))
        .service(
            on("/admin/instances/{id}/disconnect", get().to(admin::disconnect_form))
                .route(web::post().to(admin::disconnect)),
        )
        .service(on("/admin/events", get().to(admin::events)))
        .service(on("/admin/events/live", get().to(admin::live)))
        .service(on("/admin/events/live/feed", web::get().to(admin::live_feed)))
        .service(on("/admin/events/{id}", get().to(admin::event)))
        .service(on("/admin/events/{id}/payload", get().to(admin::payload)))
        .service(on("/admin/deliveries", get().to(admin::deliveries)))
        .service(on("/admin/deliveries/{seq}", get().to(admin::delivery)))
        .service(on("/admin/deliveries/{seq}/redeliver", web::post().to(admin::redeliver)))
        .service(
            on("/admin/endpoints", get().to(admin::endpoints))
                .route(web::post().to(admin::register_endpoint)),
        )
        .service(on("/admin/endpoints/{id}", get().to(admin::endpoint)))
        .service(on("/admin/endpoints/{id}/switch-on", web::post().to(admin::switch_endpoint_on)))
        .service(
            on("/admin/endpoints/{id}/delete", get().to(admin::delete_endpoint_form))
                .route(web::post().to(admin::delete_endpoint)),
        )
        .service(
            on("/admin/redeliveries", get().to(admin::redeliveries))
                .route(web::post().to(admin::begin_redelivery)),
        )
        .service(on("/admin/redeliveries/new", get().to(admin::new_redelivery)))
        .service(on("/admin/redeliveries/{id}/stop", web::post().to(admin::stop_redelivery)))
        .service(
            on("/admin/instances/{id}/audiences", get().to(admin::audiences_form))
                .route(web::post().to(admin::audiences)),
        )
        .service(on("/admin/invites", get().to(admin::invites)).route(web::post().to(admin::create_invite)))
        .service(on("/admin/invites/{id}", get().to(admin::invite)))
        .service(on("/admin/invites/{id}/revoke", web::post().to(admin::revoke_invite)))
        .service(
            on("/admin/reconcile", get().to(admin::reconcile_page)).route(web::post().to(admin::reconcile)),
        )
        .service(
            on("/admin/operators", get().to(admin::operators)).route(web::post().to(admin::add_operator)),
        )
        .service(on("/admin/operators/{id}/role", web::post().to(admin::set_role)))
        .service(on("/admin/operators/{id}/sign-in-link", web::post().to(admin::operator_link)))
        .service(on("/admin/operators/{id}/remove", web::post().to(admin::remove_operator)))
        .service(on("/admin/sessions", get().to(admin::sessions)))
        .service(on("/admin/sessions/end-others", web::post().to(admin::end_others)))
        .service(on("/admin/sessions/{id}/end", web::post().to(admin::end_session)))
        .service(
            on("/admin/password", get().to(admin::password_form)).route(web::post().to(admin::set_password)),
        )
        .service(on("/admin/audit", get().to(admin::audit)))
        .service(on("/admin/audit.csv", get().to(admin::audit_csv)))
        .service(on("/admin/audit.json", get().to(admin::audit_json)))
        .service(on("/admin/doctor", get().to(admin::doctor)))
        .service(on("/doctor/{challenge}", get().to(operations::answer_challenge)))
        // Programs.
        .service(on("/api/v1", get().to(api::readable_document)))
        .service(on("/api/v1/openapi.json", get().to(api::openapi)))
        .service(on("/api/v1/instances", get().to(api::instances)))
        .service(
            on("/api/v1/instances/{id}", get().to(api::instance))
                .route(web::patch().to(api::amend_instance))
                .route(web::delete().to(api::disconnect_instance)),
        )
        .service(on("/api/v1/instances/{id}/timeline", get().to(api::timeline)))
        .service(on("/api/v1/instances/{id}/check", web::post().to(api::check_instance)))
        .service(on("/api/v1/instances/{id}/pause", web::post().to(api::pause_instance)))
        .service(on("/api/v1/instances/{id}/resume", web::post().to(api::resume_instance)))
        .service(on("/api/v1/instances/{id}/reconnect-link", web::post().to(api::instance_reconnect_link)))
        .service(on("/api/v1/instances/{id}/missed-events", web::post().to(api::ask_again)))
        .service(
            on("/api/v1/instances/{id}/audiences", get().to(api::audiences))
                .route(web::post().to(api::report_audiences)),
        )
        .service(on("/api/v1/events", get().to(api::events)))
        .service(on("/api/v1/events/{id}", get().to(api::event)))
        .service(
            on("/api/v1/endpoints", get().to(api::endpoints)).route(web::post().to(api::create_endpoint)),
        )
        .service(on("/api/v1/endpoints/{id}", web::delete().to(api::delete_endpoint)))
        .service(on("/api/v1/endpoints/{id}/switch-on", web::post().to(api::switch_endpoint_on)))
        .service(on("/api/v1/invites", get().to(api::invites)).route(web::post().to(api::create_invite)))
        .service(on("/api/v1/invites/{id}", web::delete().to(api::revoke_invite)))
        .service(on("/api/v1/deliveries", get().to(api::deliveries)))
        .service(on("/api/v1/deliveries/{id}/redeliver", web::post().to(api::redeliver)));
}

/// The path of a route, as the metrics name it.
#[derive(Clone, Copy)]
pub struct RouteName(&'static str);

fn on(path: &'static str, route: Route) -> Resource {
    web::resource(path).app_data(RouteName(path)).route(route)
}

/// GET, and HEAD with it (RFC 9110 section 9.3.2).
fn get() -> Route {
    web::route().guard(guard::Any(guard::Get()).or(guard::Head()))
}
