//! `PATCH /api/v1/instances/{id}`: what an instance is called.

use actix_web::{HttpRequest, HttpResponse, web};
use serde::Deserialize;
use utoipa::ToSchema;

use super::body::body;
use super::instance::{answer, by};
use super::openapi::{NotThere, ReadOnly, Refused, WrongBody, WrongState};
use crate::onboarding;
use crate::reference::Reference;
use crate::representation::Instance;
use crate::web::Gangway;
use crate::web::failure::Failure;
use crate::web::guards::{ApiKey, Write};

/// What changes; what is null or not there stays.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Amendment {
    /// 1 to 120 characters on one line.
    #[serde(default)]
    #[schema(example = "Ada's Bakery")]
    name: Option<String>,
    /// All of its own from now on: 20 at most, of 1 to 60 characters, without commas. Those that others put on it at
    /// Cloud Elements stay there.
    #[serde(default)]
    #[schema(example = json!(["bakery"]))]
    tags: Option<Vec<String>>,
}

/// Gives an instance another name, or other tags. Where Cloud Elements could not be told so, its timeline says what it
/// said; the change holds here all the same.
#[utoipa::path(
    patch, path = "/api/v1/instances/{id}", tag = "instances", security(("key" = [])), request_body = Amendment,
    params(("id" = String, Path, description = "The instance.")),
    responses((status = 200, description = "How it stands now", body = Instance), NotThere, WrongState, WrongBody, ReadOnly, Refused)
)]
pub async fn amend(
    key: ApiKey<Write>,
    id: web::Path<String>,
    (request, payload): (HttpRequest, web::Payload),
    reference: Reference,
    app: web::Data<Gangway>,
) -> Result<HttpResponse, Failure> {
    let Amendment { name, tags } = body(&request, payload, &app).await?;
    let instance = app.instance(&id).await?;
    let amendment = onboarding::Amendment { name, tags };
    by(&key, app.onboarding.amend(instance.id, &amendment, reference)).await?;
    Ok(answer(&app.instance(&id).await?))
}
