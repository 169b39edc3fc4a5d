//! `GET /admin/deliveries`: every delivery, the newest first, by state and endpoint.

use actix_web::{HttpResponse, web};
use askama::Template;
use serde::Deserialize;
use uuid::Uuid;

use super::super::instances::StateBadge;
use super::{DELIVERIES, delivery_badge};
use crate::storage::{Delivery, DeliveryFilter, DeliveryState, Endpoint, EventId};
use crate::web::Gangway;
use crate::web::failure::Failure;
use crate::web::guards::SignedIn;
use crate::web::view::{Frame, Moment, Page};

const ROWS: u16 = 50;

#[derive(Template)]
#[template(path = "admin/deliveries.html")]
struct DeliveriesPage {
    frame: Frame,
    here: &'static str,
    filter: Filter,
    states: [DeliveryState; 3],
    endpoints: Vec<Endpoint>,
    rows: Vec<DeliveryRow>,
    next: Option<String>,
    /// What is shown, asked for again.
    again: String,
}

/// One row of a list of deliveries.
pub struct DeliveryRow {
    /// Its page.
    pub link: String,
    /// Its number.
    pub seq: i64,
    /// The endpoint's address.
    pub url: String,
    /// The endpoint's page.
    pub endpoint_link: String,
    /// How it stands.
    pub state: StateBadge,
    /// So many attempts.
    pub attempts: i64,
    /// The page of its notification.
    pub notification_link: String,
    /// Cloud Elements' id of the notification.
    pub notification_id: Option<String>,
    /// When the notification arrived.
    pub arrived: Moment,
    /// When it is tried next.
    pub next_attempt: Option<Moment>,
}

/// `?state=`, `?endpoint=` and `?after=`; an empty one is none.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub struct Filter {
    pub(super) state: String,
    pub(super) endpoint: String,
    after: Option<i64>,
}

impl Filter {
    /// Without a cursor.
    pub(super) fn of(state: &str, endpoint: &str) -> Self {
        Self { state: state.to_owned(), endpoint: endpoint.to_owned(), after: None }
    }

    /// What it means.
    pub(super) fn read(&self) -> Result<DeliveryFilter, Failure> {
        let no = |what| Failure::BadRequest(format!("no such {what}"));
        let given = |text: &'_ str| Some(text.to_owned()).filter(|text| !text.is_empty());
        let state = given(&self.state).map(|word| DeliveryState::parse(&word).ok_or_else(|| no("state")));
        let endpoint = given(&self.endpoint).map(|id| id.parse::<Uuid>().map_err(|_| no("endpoint")));
        Ok(DeliveryFilter { state: state.transpose()?, endpoint: endpoint.transpose()? })
    }

    /// As it stands in an address.
    fn written(&self) -> String {
        format!("state={}&endpoint={}", self.state, self.endpoint)
    }
}

/// `GET /admin/deliveries`
pub async fn deliveries(
    by: SignedIn,
    filter: web::Query<Filter>,
    app: web::Data<Gangway>,
) -> Result<HttpResponse, Failure> {
    let filter = filter.into_inner();
    let (rows, next) = app.storage.deliveries(filter.read()?, filter.after, ROWS).await?;
    DeliveriesPage {
        frame: app.frame_for(by.session()),
        here: DELIVERIES,
        states: DeliveryState::ALL,
        endpoints: app.storage.endpoints().await?,
        rows: rows.into_iter().map(DeliveryRow::from).collect(),
        next: next.map(|after| format!("/admin/deliveries?{}&after={after}", filter.written())),
        again: format!("/admin/redeliveries/new?{}", filter.written()),
        filter,
    }
    .show()
}

/// The page of one delivery.
pub fn page_of(seq: i64) -> String {
    format!("/admin/deliveries/{seq}")
}

impl From<Delivery> for DeliveryRow {
    fn from(one: Delivery) -> Self {
        Self {
            link: page_of(one.seq),
            seq: one.seq,
            endpoint_link: format!("/admin/endpoints/{}", one.endpoint),
            url: one.url,
            state: delivery_badge(one.state),
            attempts: one.attempts,
            notification_link: format!("/admin/events/{}", EventId::first_of(one.notification)),
            notification_id: one.notification_id,
            arrived: one.created_at.into(),
            next_attempt: one.next_attempt_at.map(Moment::from),
        }
    }
}
