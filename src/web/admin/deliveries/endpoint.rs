//! `/admin/endpoints/{id}`: one endpoint, switched on again or deleted.

use actix_web::{HttpResponse, web};
use askama::Template;
use uuid::Uuid;

use super::super::instances::StateBadge;
use super::endpoints::in_words;
use super::{ENDPOINTS, endpoint_badge, endpoint_page, why_off};
use crate::storage::{Endpoint, EndpointState};
use crate::web::Gangway;
use crate::web::failure::Failure;
use crate::web::guards::{MayAct, SignedIn};
use crate::web::view::{Frame, Moment, Page, see_other};

#[derive(Template)]
#[template(path = "admin/endpoint.html")]
struct EndpointPage {
    frame: Frame,
    here: &'static str,
    id: String,
    url: String,
    page: String,
    state: StateBadge,
    /// It is off, and why.
    off: Option<&'static str>,
    failing_since: Option<Moment>,
    wants: String,
    instances: Vec<String>,
    created: Moment,
    deleted: bool,
}

#[derive(Template)]
#[template(path = "admin/endpoint_delete.html")]
struct DeletePage {
    frame: Frame,
    here: &'static str,
    url: String,
    page: String,
}

async fn found(app: &Gangway, id: &str) -> Result<Endpoint, Failure> {
    let id = id.parse::<Uuid>().map_err(|_| Failure::NotFound)?;
    app.storage.endpoint(id).await?.ok_or(Failure::NotFound)
}

/// `GET /admin/endpoints/{id}`
pub async fn endpoint(
    by: SignedIn,
    id: web::Path<String>,
    app: web::Data<Gangway>,
) -> Result<HttpResponse, Failure> {
    let endpoint = found(&app, &id).await?;
    EndpointPage {
        frame: app.frame_for(by.session()),
        here: ENDPOINTS,
        id: endpoint.id.to_string(),
        page: endpoint_page(&endpoint),
        state: endpoint_badge(endpoint.state),
        off: match endpoint.state {
            EndpointState::Off(reason) => Some(why_off(reason)),
            _ => None,
        },
        failing_since: endpoint.failing_since.map(Moment::from),
        wants: in_words(&endpoint.wanted),
        instances: endpoint.wanted.instances.iter().map(Uuid::to_string).collect(),
        created: endpoint.created_at.into(),
        deleted: endpoint.state == EndpointState::Deleted,
        url: endpoint.url,
    }
    .show()
}

/// `POST /admin/endpoints/{id}/switch-on`: what failed meanwhile can be asked for again.
pub async fn switch_on(
    _: SignedIn,
    id: web::Path<String>,
    app: web::Data<Gangway>,
) -> Result<HttpResponse, Failure> {
    let endpoint = found(&app, &id).await?;
    app.deliveries.switch_on(endpoint.id).await?;
    Ok(see_other(&endpoint_page(&endpoint)))
}

/// `GET /admin/endpoints/{id}/delete`
pub async fn delete_form(
    _: MayAct,
    id: web::Path<String>,
    app: web::Data<Gangway>,
) -> Result<HttpResponse, Failure> {
    let endpoint = found(&app, &id).await?;
    let page = endpoint_page(&endpoint);
    DeletePage { frame: app.frame(), here: ENDPOINTS, url: endpoint.url, page }.show()
}

/// `POST /admin/endpoints/{id}/delete`
pub async fn delete(
    _: SignedIn,
    id: web::Path<String>,
    app: web::Data<Gangway>,
) -> Result<HttpResponse, Failure> {
    let endpoint = found(&app, &id).await?;
    app.deliveries.delete(endpoint.id).await?;
    Ok(see_other("/admin/endpoints"))
}
