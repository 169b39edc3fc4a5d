//! `/api/v1/deliveries`: how passing on fared, and one asked for again.

use actix_web::{HttpRequest, HttpResponse, web};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::openapi::{Conflict, NotThere, ReadOnly, Refused, WrongQuery};
use super::query::{self, query};
use crate::representation::{List, Time};
use crate::storage::{self, DeliveryFilter, DeliveryState};
use crate::web::Gangway;
use crate::web::failure::Failure;
use crate::web::guards::{ApiKey, Read, Write};

/// So many attempts are told of each.
const ATTEMPTS: u16 = 50;

/// Passing one notification on to one endpoint.
#[derive(Serialize, ToSchema)]
pub(super) struct Delivery {
    #[schema(example = "17")]
    id: String,
    /// Where to.
    #[schema(format = "uuid")]
    endpoint: String,
    /// The instance it came from.
    #[schema(format = "uuid")]
    instance: String,
    /// Cloud Elements' id of the notification.
    #[schema(required)]
    notification_id: Option<String>,
    /// `pending`, `delivered` or `failed`
    #[schema(example = "delivered")]
    state: &'static str,
    /// The newest fifty, the oldest of them first.
    attempts: Vec<Attempt>,
    /// When it is tried next, while it is pending.
    #[schema(required)]
    next_attempt_at: Option<Time>,
    /// When the notification arrived.
    created_at: Time,
}

/// One attempt.
#[derive(Serialize, ToSchema)]
pub(super) struct Attempt {
    at: Time,
    /// What the endpoint answered; null where nothing came.
    #[schema(required)]
    status: Option<u16>,
    duration_ms: u64,
    /// Why nothing came.
    #[schema(required)]
    error: Option<String>,
}

/// Which deliveries.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Question {
    /// `pending`, `delivered` or `failed`
    state: Option<String>,
    /// To this endpoint.
    endpoint: Option<String>,
    /// At most so many.
    #[param(value_type = Option<u16>, minimum = 1, maximum = 500, default = 50)]
    limit: Option<String>,
    /// `next` of the part before.
    cursor: Option<String>,
}

/// Deliveries, the newest first.
#[utoipa::path(
    get, path = "/api/v1/deliveries", tag = "deliveries", security(("key" = [])), params(Question),
    responses((status = 200, description = "Deliveries", body = List<Delivery>), WrongQuery, Refused)
)]
pub async fn list(
    _: ApiKey<Read>,
    request: HttpRequest,
    app: web::Data<Gangway>,
) -> Result<HttpResponse, Failure> {
    let question: Question = query(&request)?;
    let filter = DeliveryFilter {
        state: query::word("state", question.state.as_deref(), DeliveryState::parse)?,
        endpoint: query::read("endpoint", question.endpoint.as_deref(), "is not the id of an endpoint")?,
    };
    let limit = u16::try_from(query::limit(question.limit.as_deref())?).unwrap_or(u16::MAX);
    let cursor = query::read("cursor", question.cursor.as_deref(), "is no cursor of this list")?;
    let (found, next) = app.storage.deliveries(filter, cursor, limit).await?;
    let items = with_attempts(&app, found).await?;
    Ok(HttpResponse::Ok().json(List { items, next: next.map(|next| next.to_string()) }))
}

/// Asks for a delivery again, whatever became of it, with all its attempts.
#[utoipa::path(
    post, path = "/api/v1/deliveries/{id}/redeliver", tag = "deliveries", security(("key" = [])),
    params(("id" = String, Path, description = "The delivery.")),
    responses((status = 200, description = "How it stands now", body = Delivery), NotThere, Conflict, ReadOnly, Refused)
)]
pub async fn redeliver(
    _: ApiKey<Write>,
    id: web::Path<String>,
    app: web::Data<Gangway>,
) -> Result<HttpResponse, Failure> {
    let seq: i64 = id.parse().map_err(|_| Failure::NotFound)?;
    app.storage.delivery(seq).await?.ok_or(Failure::NotFound)?;
    if !app.deliveries.redeliver(seq).await? {
        return Err(Failure::NotRepeatable);
    }
    let found = app.storage.delivery(seq).await?.ok_or(Failure::NotFound)?;
    let delivery = with_attempts(&app, vec![found]).await?.pop().ok_or(Failure::NotFound)?;
    Ok(HttpResponse::Ok().json(delivery))
}

async fn with_attempts(app: &Gangway, found: Vec<storage::Delivery>) -> Result<Vec<Delivery>, Failure> {
    let ids: Vec<i64> = found.iter().map(|delivery| delivery.seq).collect();
    let mut attempts = app.storage.newest_attempts(&ids, ATTEMPTS).await?;
    let delivery = |found: storage::Delivery| Delivery {
        id: found.seq.to_string(),
        endpoint: found.endpoint.to_string(),
        instance: found.instance.to_string(),
        notification_id: found.notification_id,
        state: found.state.as_str(),
        attempts: attempts.remove(&found.seq).into_iter().flatten().map(Attempt::from).collect(),
        next_attempt_at: found.next_attempt_at.map(Time::from),
        created_at: found.created_at.into(),
    };
    Ok(found.into_iter().map(delivery).collect())
}

impl From<storage::Attempt> for Attempt {
    fn from(attempt: storage::Attempt) -> Self {
        Self {
            at: attempt.at.into(),
            status: attempt.status,
            duration_ms: u64::try_from(attempt.took.as_millis()).unwrap_or(u64::MAX),
            error: attempt.error,
        }
    }
}
