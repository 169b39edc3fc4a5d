//! `/api/v1/instances/{id}/audiences`: which audiences of an instance report their changes.

use actix_web::{HttpRequest, HttpResponse, web};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::body::body;
use super::instance::by;
use super::openapi::{NotThere, ReadOnly, Refused, Upstream, WrongBody, WrongState};
use crate::onboarding::{Choice, Reports};
use crate::reference::Reference;
use crate::web::Gangway;
use crate::web::failure::Failure;
use crate::web::guards::{ApiKey, Read, Write};

const MOST_NAMED: usize = 200;

/// An audience of the account.
#[derive(Serialize, ToSchema)]
pub(super) struct Audience {
    /// Mailchimp's.
    id: String,
    /// As the customer named it.
    name: String,
    /// `yes`; `no`; `asked`: somebody else did, a moment ago; `refused`, clearly; `unknown`: there was no clear answer.
    #[schema(example = "yes")]
    reports: &'static str,
}

/// Every audience of the account; 200 at most are read.
#[derive(Serialize, ToSchema)]
pub(super) struct Audiences {
    items: Vec<Audience>,
}

/// Those that should report.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    /// Ids of audiences.
    audiences: Vec<String>,
}

/// The audiences of an instance, each with whether its changes are reported.
#[utoipa::path(
    get, path = "/api/v1/instances/{id}/audiences", tag = "instances", security(("key" = [])),
    params(("id" = String, Path, description = "The instance.")),
    responses((status = 200, description = "Audiences", body = Audiences), NotThere, WrongState, Upstream, Refused)
)]
pub async fn list(
    _: ApiKey<Read>,
    id: web::Path<String>,
    reference: Reference,
    app: web::Data<Gangway>,
) -> Result<HttpResponse, Failure> {
    let instance = app.instance(&id).await?;
    Ok(answer(app.onboarding.audiences(&instance, &[], reference).await?))
}

/// Makes audiences report: each gets a webhook, once, however often it is asked for. Those that are not named stay as
/// they are.
#[utoipa::path(
    post, path = "/api/v1/instances/{id}/audiences", tag = "instances", security(("key" = [])), request_body = Wanted,
    params(("id" = String, Path, description = "The instance.")),
    responses((status = 200, description = "How all of them stand now", body = Audiences), NotThere, WrongState, Upstream, WrongBody, ReadOnly, Refused)
)]
pub async fn report(
    key: ApiKey<Write>,
    id: web::Path<String>,
    (request, payload): (HttpRequest, web::Payload),
    reference: Reference,
    app: web::Data<Gangway>,
) -> Result<HttpResponse, Failure> {
    let Wanted { audiences } = body(&request, payload, &app).await?;
    let count = audiences.len();
    if count == 0 || count > MOST_NAMED {
        return Err(Failure::Field("audiences", format!("there must be 1 to {MOST_NAMED}, not {count}")));
    }
    let instance = app.instance(&id).await?;
    Ok(answer(by(&key, app.onboarding.audiences(&instance, &audiences, reference)).await?))
}

fn answer(choices: Vec<Choice>) -> HttpResponse {
    let audience = |Choice { id, name, reports }| {
        let reports = match reports {
            Reports::Yes => "yes",
            Reports::No => "no",
            Reports::Asked => "asked",
            Reports::Refused => "refused",
            Reports::Unknown => "unknown",
        };
        Audience { id, name, reports }
    };
    HttpResponse::Ok().json(Audiences { items: choices.into_iter().map(audience).collect() })
}
