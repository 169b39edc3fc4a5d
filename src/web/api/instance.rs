//! `/api/v1/instances/{id}`: one instance, its timeline, and what can be done about it.

use std::future::Future;

use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;
use utoipa::ToSchema;

use super::lists::Part;
use super::openapi::{NotThere, ReadOnly, Refused, Upstream, WrongQuery, WrongState};
use super::query::{self, query};
use crate::elements::{self, InstanceState};
use crate::onboarding::{Checked, DELAYED, asked_by};
use crate::reference::Reference;
use crate::representation::{Instance, List, Time, TimelineLine};
use crate::web::Gangway;
use crate::web::failure::Failure;
use crate::web::guards::{ApiKey, Needs, Read, Write};
use crate::web::pages::renewable;

/// A link for the customer.
#[derive(Serialize, ToSchema)]
pub(super) struct Link {
    #[serde(flatten)]
    instance: Instance,
    /// Leads to approving again, for this one instance. In this answer alone.
    #[schema(format = "uri")]
    url: String,
    /// Until when.
    expires_at: Time,
}

pub(super) fn answer(instance: &elements::Instance) -> HttpResponse {
    HttpResponse::Ok().json(Instance::from(instance))
}

/// Does `act` in the name of the key.
pub(super) fn by<N: Needs, F: Future>(key: &ApiKey<N>, act: F) -> impl Future<Output = F::Output> {
    asked_by(format!("the API key “{}”", key.name()), act)
}

/// One instance.
#[utoipa::path(
    get, path = "/api/v1/instances/{id}", tag = "instances", security(("key" = [])),
    params(("id" = String, Path, description = "The instance.")),
    responses((status = 200, description = "The instance", body = Instance), NotThere, Refused)
)]
pub async fn one(
    _: ApiKey<Read>,
    id: web::Path<String>,
    app: web::Data<Gangway>,
) -> Result<HttpResponse, Failure> {
    Ok(answer(&app.instance(&id).await?))
}

/// Everything that happened to an instance, the newest first.
#[utoipa::path(
    get, path = "/api/v1/instances/{id}/timeline", tag = "instances", security(("key" = [])),
    params(("id" = String, Path, description = "The instance."), Part),
    responses((status = 200, description = "Lines", body = List<TimelineLine>), NotThere, WrongQuery, Refused)
)]
pub async fn timeline(
    _: ApiKey<Read>,
    id: web::Path<String>,
    request: HttpRequest,
    app: web::Data<Gangway>,
) -> Result<HttpResponse, Failure> {
    let part: Part = query(&request)?;
    let limit = u16::try_from(query::limit(part.limit.as_deref())?).unwrap_or(u16::MAX);
    let before = query::read("cursor", part.cursor.as_deref(), "is no cursor of this list")?;
    let instance = app.instance(&id).await?;
    let (lines, next) = app.storage.timeline_page(instance.id, before, limit).await?;
    let items: Vec<TimelineLine> = lines.into_iter().map(TimelineLine::from).collect();
    Ok(HttpResponse::Ok().json(List { items, next: next.map(|next| next.to_string()) }))
}

/// Checks an instance now: whether Cloud Elements and Mailchimp let it in. What was found stands in `state` and
/// `problem`; a 502 says why nothing can be told.
#[utoipa::path(
    post, path = "/api/v1/instances/{id}/check", tag = "instances", security(("key" = [])),
    params(("id" = String, Path, description = "The instance.")),
    responses((status = 200, description = "How it stands now", body = Instance), NotThere, WrongState, Upstream, ReadOnly, Refused)
)]
pub async fn check(
    key: ApiKey<Write>,
    id: web::Path<String>,
    reference: Reference,
    app: web::Data<Gangway>,
) -> Result<HttpResponse, Failure> {
    let instance = app.instance(&id).await?;
    match by(&key, app.onboarding.check(instance.id, reference, true)).await? {
        None => Err(Failure::Conflict(instance.state.as_str())),
        Some(Checked::Undetermined(why)) => Err(Failure::Upstream(why)),
        Some(_) => Ok(answer(&app.instance(&id).await?)),
    }
}

/// Switches the events of an instance off. One that is paused already stays so.
#[utoipa::path(
    post, path = "/api/v1/instances/{id}/pause", tag = "instances", security(("key" = [])),
    params(("id" = String, Path, description = "The instance.")),
    responses((status = 200, description = "How it stands now", body = Instance), NotThere, WrongState, Upstream, ReadOnly, Refused)
)]
pub async fn pause(
    key: ApiKey<Write>,
    id: web::Path<String>,
    reference: Reference,
    app: web::Data<Gangway>,
) -> Result<HttpResponse, Failure> {
    let instance = app.instance(&id).await?;
    Ok(answer(&by(&key, app.onboarding.pause(instance.id, reference)).await?))
}

/// Switches the events of an instance on again.
#[utoipa::path(
    post, path = "/api/v1/instances/{id}/resume", tag = "instances", security(("key" = [])),
    params(("id" = String, Path, description = "The instance.")),
    responses((status = 200, description = "How it stands now", body = Instance), NotThere, WrongState, Upstream, ReadOnly, Refused)
)]
pub async fn resume(
    key: ApiKey<Write>,
    id: web::Path<String>,
    reference: Reference,
    app: web::Data<Gangway>,
) -> Result<HttpResponse, Failure> {
    let instance = app.instance(&id).await?;
    Ok(answer(&by(&key, app.onboarding.resume(instance.id, reference)).await?))
}

/// A link for the customer to approve again; it works for a week.
#[utoipa::path(
    post, path = "/api/v1/instances/{id}/reconnect-link", tag = "instances", security(("key" = [])),
    params(("id" = String, Path, description = "The instance.")),
    responses((status = 200, description = "The instance with the link", body = Link), NotThere, WrongState, ReadOnly, Refused)
)]
pub async fn reconnect_link(
    _: ApiKey<Write>,
    id: web::Path<String>,
    app: web::Data<Gangway>,
) -> Result<HttpResponse, Failure> {
    let instance = app.instance(&id).await?;
    renewable(&instance)?;
    let (url, ends) = app.reconnect_link(instance.id);
    Ok(HttpResponse::Ok().json(Link { instance: (&instance).into(), url, expires_at: ends.into() }))
}

/// Asks Cloud Elements again for the events that wait there, as it does by itself at ever longer gaps. What comes of it
/// stands on the timeline; events that arrive are events like all others.
#[utoipa::path(
    post, path = "/api/v1/instances/{id}/missed-events", tag = "instances", security(("key" = [])),
    params(("id" = String, Path, description = "The instance.")),
    responses((status = 202, description = "It is done, or about to be", body = Instance), NotThere, WrongState, ReadOnly, Refused)
)]
pub async fn missed_events(
    _: ApiKey<Write>,
    id: web::Path<String>,
    reference: Reference,
    app: web::Data<Gangway>,
) -> Result<HttpResponse, Failure> {
    let instance = app.instance(&id).await?;
    if !app.missed.ask_again(instance.id, reference).await? {
        return Err(Failure::Conflict(instance.state.as_str()));
    }
    Ok(HttpResponse::Accepted().json(Instance::from(&instance)))
}

/// Disconnects an instance: events off, deleted at Cloud Elements, its token destroyed. A 502 says which step
/// failed; the instance is `disconnecting` then, and it is tried again until it is done.
#[utoipa::path(
    delete, path = "/api/v1/instances/{id}", tag = "instances", security(("key" = [])),
    params(("id" = String, Path, description = "The instance.")),
    responses((status = 200, description = "It is disconnected", body = Instance), NotThere, WrongState, Upstream, ReadOnly, Refused)
)]
pub async fn disconnect(
    key: ApiKey<Write>,
    id: web::Path<String>,
    reference: Reference,
    app: web::Data<Gangway>,
) -> Result<HttpResponse, Failure> {
    let instance = app.instance(&id).await?;
    let instance = by(&key, app.onboarding.disconnect(instance.id, reference)).await?;
    if matches!(instance.state, InstanceState::Disconnecting(_)) {
        let (lines, _) = app.storage.timeline_page(instance.id, None, 50).await?;
        let delayed = lines.into_iter().find(|line| line.step.kind == DELAYED);
        let said = delayed.map(|line| line.step.summary);
        return Err(Failure::Unclear(said.unwrap_or_else(|| "it is still being taken down".to_owned())));
    }
    Ok(answer(&instance))
}
