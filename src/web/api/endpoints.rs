//! `/api/v1/endpoints`: where notifications are passed on to.

use actix_web::{HttpRequest, HttpResponse, web};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::body::body;
use super::lists::Part;
use super::openapi::{NotThere, ReadOnly, Refused, WrongBody, WrongQuery};
use super::query::{self, query};
use crate::elements::EventType;
use crate::representation::{List, Time};
use crate::storage::{self, EndpointState, Wanted};
use crate::web::Gangway;
use crate::web::failure::Failure;
use crate::web::guards::{ApiKey, Read, Write};

const LONGEST_TAG: usize = 200;

/// Where notifications are passed on to.
#[derive(Serialize, ToSchema)]
pub(super) struct Endpoint {
    #[schema(format = "uuid")]
    id: String,
    url: String,
    /// Of these instances; where `tags` is empty too, of every one.
    instances: Vec<String>,
    /// Or of those that carry one of these tags.
    tags: Vec<String>,
    /// With one of these types of event; empty: of every type.
    types: Vec<&'static str>,
    /// `on` or `off`
    #[schema(example = "on")]
    state: &'static str,
    /// Why it is off: `gone` (it answered 410) or `failing` (too long without a success).
    #[schema(required)]
    off_reason: Option<&'static str>,
    /// The first failure since the last success.
    #[schema(required)]
    failing_since: Option<Time>,
    created_at: Time,
}

/// An endpoint that was just made.
#[derive(Serialize, ToSchema)]
pub(super) struct MadeEndpoint {
    #[serde(flatten)]
    endpoint: Endpoint,
    /// What its deliveries are signed with; shown this once.
    #[schema(example = "whsec_…")]
    secret: String,
}

/// An endpoint to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewEndpoint {
    /// https, to a public address; others must be in `DELIVERY_ALLOWED_NETWORKS`.
    #[schema(example = "https://receiver.example/gangway")]
    url: String,
    /// Only of these instances.
    #[serde(default)]
    instances: Vec<String>,
    /// Or of those with one of these tags.
    #[serde(default)]
    tags: Vec<String>,
    /// Only with one of these types of event.
    #[serde(default)]
    #[schema(example = json!(["CREATED", "DELETED"]))]
    types: Vec<String>,
}

/// Every endpoint, the newest first.
#[utoipa::path(
    get, path = "/api/v1/endpoints", tag = "endpoints", security(("key" = [])), params(Part),
    responses((status = 200, description = "Endpoints", body = List<Endpoint>), WrongQuery, Refused)
)]
pub async fn list(
    _: ApiKey<Read>,
    request: HttpRequest,
    app: web::Data<Gangway>,
) -> Result<HttpResponse, Failure> {
    let part: Part = query(&request)?;
    let limit = query::limit(part.limit.as_deref())?;
    let before: Option<Uuid> = query::read("cursor", part.cursor.as_deref(), "is no cursor of this list")?;
    let mut rest = app.storage.endpoints().await?;
    rest.retain(|endpoint| before.is_none_or(|before| endpoint.id < before));
    let more = rest.len() > limit;
    rest.truncate(limit);
    let next = rest.last().filter(|_| more).map(|last| last.id.to_string());
    Ok(HttpResponse::Ok().json(List { items: rest.into_iter().map(Endpoint::from).collect(), next }))
}

/// Makes an endpoint. What arrives from now on and is wanted is sent there.
#[utoipa::path(
    post, path = "/api/v1/endpoints", tag = "endpoints", security(("key" = [])), request_body = NewEndpoint,
    responses((status = 201, description = "Made", body = MadeEndpoint), WrongBody, ReadOnly, Refused)
)]
pub async fn create(
    _: ApiKey<Write>,
    request: HttpRequest,
    payload: web::Payload,
    app: web::Data<Gangway>,
) -> Result<HttpResponse, Failure> {
    let new: NewEndpoint = body(&request, payload, &app).await?;
    let wanted = new.wanted(&app).await?;
    let (endpoint, secret) = app.deliveries.register(&new.url, wanted).await?;
    Ok(HttpResponse::Created().json(MadeEndpoint { endpoint: endpoint.into(), secret: secret.shown() }))
}

/// Deletes an endpoint. What is pending there is not sent any more.
#[utoipa::path(
    delete, path = "/api/v1/endpoints/{id}", tag = "endpoints", security(("key" = [])),
    params(("id" = String, Path, description = "The endpoint.")),
    responses((status = 204, description = "Deleted"), NotThere, ReadOnly, Refused)
)]
pub async fn delete(
    _: ApiKey<Write>,
    id: web::Path<String>,
    app: web::Data<Gangway>,
) -> Result<HttpResponse, Failure> {
    let id = id.parse().map_err(|_| Failure::NotFound)?;
    if !app.deliveries.delete(id).await? {
        return Err(Failure::NotFound);
    }
    Ok(HttpResponse::NoContent().finish())
}

/// Switches an endpoint on again, whatever switched it off. What failed meanwhile can be asked for again.
#[utoipa::path(
    post, path = "/api/v1/endpoints/{id}/switch-on", tag = "endpoints", security(("key" = [])),
    params(("id" = String, Path, description = "The endpoint.")),
    responses((status = 200, description = "It is on", body = Endpoint), NotThere, ReadOnly, Refused)
)]
pub async fn switch_on(
    _: ApiKey<Write>,
    id: web::Path<String>,
    app: web::Data<Gangway>,
) -> Result<HttpResponse, Failure> {
    let id = id.parse().map_err(|_| Failure::NotFound)?;
    app.deliveries.switch_on(id).await?;
    let endpoint = app.storage.endpoint(id).await?;
    let endpoint = endpoint.filter(|one| one.state != EndpointState::Deleted).ok_or(Failure::NotFound)?;
    Ok(HttpResponse::Ok().json(Endpoint::from(endpoint)))
}

impl NewEndpoint {
    /// What it asks for, in words that are known. A filter that can never hold would be a slip.
    async fn wanted(&self, app: &Gangway) -> Result<Wanted, Failure> {
        let refused = |field, why: &str| Err(Failure::Field(field, why.to_owned()));
        for (field, list) in [("instances", &self.instances), ("tags", &self.tags), ("types", &self.types)] {
            if list.len() > Wanted::MOST_NAMED {
                return refused(field, "there are more than 100");
            }
        }
        let mut wanted = Wanted::default();
        for text in &self.instances {
            let Ok(id) = text.parse() else { return refused("instances", "not the id of an instance") };
            if app.storage.instance(id).await?.is_none() {
                return refused("instances", "there is no such instance");
            }
            wanted.instances.push(id);
        }
        for text in &self.types {
            let Some(known) = EventType::named(text) else {
                return refused("types", "must be CREATED, UPDATED, DELETED or UNKNOWN");
            };
            wanted.types.push(known);
        }
        if self.tags.iter().any(|tag| tag.trim().is_empty() || tag.len() > LONGEST_TAG) {
            return refused("tags", "a tag must have 1 to 200 bytes");
        }
        wanted.tags.clone_from(&self.tags);
        Ok(wanted)
    }
}

impl From<storage::Endpoint> for Endpoint {
    fn from(endpoint: storage::Endpoint) -> Self {
        let off_reason = match endpoint.state {
            EndpointState::Off(reason) => Some(reason.as_str()),
            EndpointState::On | EndpointState::Deleted => None,
        };
        Self {
            id: endpoint.id.to_string(),
            url: endpoint.url,
            instances: endpoint.wanted.instances.iter().map(Uuid::to_string).collect(),
            tags: endpoint.wanted.tags,
            types: endpoint.wanted.types.into_iter().map(EventType::as_str).collect(),
            state: endpoint.state.as_str(),
            off_reason,
            failing_since: endpoint.failing_since.map(Time::from),
            created_at: endpoint.created_at.into(),
        }
    }
}
