//! `/api/v1/invites`: links for named customers.

use std::time::Duration;

use actix_web::{HttpRequest, HttpResponse, web};
use serde::Deserialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::body::body;
use super::lists::Part;
use super::openapi::{NotThere, ReadOnly, Refused, WrongBody, WrongQuery};
use super::query::{self, query};
use crate::config::setting::duration;
use crate::invite::Draft;
use crate::representation::{Invite, List, MadeInvite};
use crate::web::Gangway;
use crate::web::failure::Failure;
use crate::web::guards::{ApiKey, Read, Write};

/// An invite to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewInvite {
    /// For whom, as they will read it: 1 to 120 characters.
    #[schema(example = "Ada's Bakery")]
    customer: String,
    /// Good for so long, from `1h` to `30d`; `7d` without.
    #[serde(default)]
    #[schema(example = "7d")]
    ttl: Option<String>,
    /// How many accounts may be connected with it: 1 without; null is any number.
    #[serde(default = "one")]
    #[schema(minimum = 1, maximum = 10000)]
    uses: Option<u32>,
    /// For the instance: 20 at most, of 1 to 60 characters, without commas.
    #[serde(default)]
    #[schema(example = json!(["bakery"]))]
    tags: Vec<String>,
    /// Where the customer goes afterwards: at or below an address in `RETURN_URLS`.
    #[serde(default)]
    #[schema(example = json!(null))]
    return_url: Option<String>,
}

#[expect(clippy::unnecessary_wraps, reason = "the default of a field that may be null")]
fn one() -> Option<u32> {
    Some(1)
}

/// Every invite, the newest first.
#[utoipa::path(
    get, path = "/api/v1/invites", tag = "invites", security(("key" = [])), params(Part),
    responses((status = 200, description = "Invites", body = List<Invite>), WrongQuery, Refused)
)]
pub async fn list(
    _: ApiKey<Read>,
    request: HttpRequest,
    app: web::Data<Gangway>,
) -> Result<HttpResponse, Failure> {
    let part: Part = query(&request)?;
    let limit = query::limit(part.limit.as_deref())?;
    let after: Option<Uuid> = query::read("cursor", part.cursor.as_deref(), "is no cursor of this list")?;
    let mut found = app.storage.invites(after, limit).await?;
    let more = found.len() > limit;
    found.truncate(limit);
    let next = found.last().filter(|_| more).map(|last| last.id.to_string());
    let now = app.clock.now();
    let items = found.into_iter().map(|invite| Invite::of(invite, now)).collect();
    Ok(HttpResponse::Ok().json(List { items, next }))
}

/// Makes an invite.
#[utoipa::path(
    post, path = "/api/v1/invites", tag = "invites", security(("key" = [])), request_body = NewInvite,
    responses((status = 201, description = "Made", body = MadeInvite), WrongBody, ReadOnly, Refused)
)]
pub async fn create(
    _: ApiKey<Write>,
    request: HttpRequest,
    payload: web::Payload,
    app: web::Data<Gangway>,
) -> Result<HttpResponse, Failure> {
    let new: NewInvite = body(&request, payload, &app).await?;
    let checked = new.draft()?.checked(&app.config.connecting.return_urls);
    let checked = checked.map_err(|no| Failure::Field(no.field, no.why))?;
    let (invite, token) = app.onboarding.invite(checked).await?;
    let url = app.config.public_url.invite_url(&token);
    Ok(HttpResponse::Created().json(MadeInvite { invite: Invite::of(invite, app.clock.now()), url }))
}

/// Takes an invite back, at once. What was connected with it stays.
#[utoipa::path(
    delete, path = "/api/v1/invites/{id}", tag = "invites", security(("key" = [])),
    params(("id" = String, Path, description = "The invite.")),
    responses((status = 204, description = "Revoked, now or before"), NotThere, ReadOnly, Refused)
)]
pub async fn revoke(
    _: ApiKey<Write>,
    id: web::Path<String>,
    app: web::Data<Gangway>,
) -> Result<HttpResponse, Failure> {
    let id = id.parse().map_err(|_| Failure::NotFound)?;
    app.storage.invite(id).await?.ok_or(Failure::NotFound)?;
    app.storage.revoke_invite(id, app.clock.now()).await?;
    Ok(HttpResponse::NoContent().finish())
}

impl NewInvite {
    fn draft(self) -> Result<Draft, Failure> {
        let ttl = |text: &str| -> Result<Duration, Failure> {
            duration(text)
                .map_err(|_| Failure::Field("ttl", "must be a duration such as 1h or 7d".to_owned()))
        };
        let ttl = self.ttl.as_deref().map(ttl).transpose()?;
        let Self { customer, uses, tags, return_url, .. } = self;
        Ok(Draft { customer, ttl, uses, tags, return_url })
    }
}
