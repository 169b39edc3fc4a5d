//! `GET /api/v1/openapi.json`: what the API takes and answers, made from the types that it uses.

use std::sync::LazyLock;

use actix_web::HttpResponse;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{IntoResponses, Modify, OpenApi};

use super::document::Once;
use super::{amend, audiences, deliveries, endpoints, events, instance, instances, invites};
use crate::web::failure::Problem;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Gangway",
        version = "1",
        description = "Events of connected MailChimp accounts, and where they are passed on to. Lists answer `items` and `next`; refusals are `application/problem+json`.",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0")
    ),
    paths(
        document, events::list, events::one, endpoints::list, endpoints::create, endpoints::delete, deliveries::list,
        deliveries::redeliver, invites::list, invites::create, invites::revoke, instance::one, instance::timeline,
        instance::check, instance::pause, instance::resume, instance::reconnect_link, instance::missed_events, instance::disconnect, instances::list, amend::amend,
        audiences::list, audiences::report, endpoints::switch_on
    ),
    components(schemas(Problem)),
    modifiers(&Keys, &Once)
)]
struct Document;

/// How a program shows who it is.
struct Keys;

impl Modify for Keys {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let key = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .description(Some("A key that `gangway api-key create` made."));
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("key", SecurityScheme::Http(key.build()));
    }
}

macro_rules! refusals {
    ($($(#[$about:meta])* $name:ident { $($status:literal $refusal:ident $words:literal),* })*) => {$(
        $(#[$about])*
        #[derive(IntoResponses)]
        #[expect(dead_code, reason = "read by the document alone")]
        pub(super) enum $name {$(
            #[doc = $words]
            #[response(status = $status, content_type = "application/problem+json")]
            $refusal(Problem),
        )*}
    )*};
}

refusals! {
    /// Of every route that needs a key.
    Refused {
        401 NoKey "There is no key, or it opens nothing: `WWW-Authenticate` says which.",
        500 Fault "A fault of Gangway's.",
        503 Trouble "The database does not answer; `Retry-After` says when to come back."
    }
    /// Of a route that changes something.
    ReadOnly { 403 KeyReadOnly "The key has the scope `read`." }
    WrongQuery { 400 Query "A parameter is not known, or cannot be read; `parameter` names it." }
    WrongBody {
        400 Unreadable "The body is not the JSON that is asked for; an unknown field is named.",
        408 Slow "The body did not arrive in time.",
        413 Large "The body is larger than 64 KiB.",
        415 MediaType "The body is not said to be `application/json`.",
        422 Field "A field cannot be used; `field` names it."
    }
    NotThere { 404 Nothing "There is nothing with this id." }
    Conflict { 409 NotRepeatable "The endpoint is off or deleted, or the payload is no longer kept." }
    WrongState { 409 State "What is asked does not fit how the instance stands; `detail` names its state." }
    Upstream { 502 Upstream "Cloud Elements did not do it (`upstream_trouble`) or may have done it (`upstream_unclear`); `detail` says what it said." }
    TooMuch { 503 NoPlace "Too many requests wait at once, or the database does not answer; `Retry-After` says when to come back." }
}

/// This document.
#[utoipa::path(
    get, path = "/api/v1/openapi.json", tag = "document", security(()),
    responses((status = 200, description = "OpenAPI 3.1", content_type = "application/json", body = Object))
)]
pub async fn document() -> HttpResponse {
    HttpResponse::Ok().content_type("application/json").body(written())
}

/// The document as JSON.
pub(super) fn written() -> &'static str {
    static WRITTEN: LazyLock<String> = LazyLock::new(|| Document::openapi().to_json().unwrap_or_default());
    WRITTEN.as_str()
}
