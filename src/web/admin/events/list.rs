//! `GET /admin/events`: every event in a list, the newest arrival first. The whole question stands in the
//! address; a page that looked through as much as one page may says so and offers to look on.

use actix_web::{HttpResponse, web};
use askama::Template;

use super::HERE;
use super::chart::{Chart, charts};
use super::filter::Query;
use super::refused::RefusedView;
use crate::elements::EventType;
use crate::storage::{EventId, EventRow};
use crate::web::Gangway;
use crate::web::failure::Failure;
use crate::web::guards::SignedIn;
use crate::web::view::{Frame, Moment, Page};

const ROWS: usize = 50;
/// So many instances are named of those that were refused most.
const MOST_REFUSED: usize = 5;

#[derive(Template)]
#[template(path = "admin/events.html")]
struct EventsPage {
    frame: Frame,
    here: &'static str,
    query: Query,
    types: [EventType; 4],
    filtered: bool,
    rows: Vec<RowView>,
    next: Option<String>,
    stopped_after: Option<usize>,
    charts: [Chart; 2],
    refused: Vec<RefusedView>,
    /// Address, name and count of the instances that were refused most in the last hour.
    most_refused: Vec<(String, String, u64)>,
    refused_since: Moment,
}

/// One row of a list of events.
pub(super) struct RowView {
    pub(super) link: String,
    /// What happened, such as `CREATED`; `None` where nothing could be read.
    pub(super) event_type: Option<String>,
    pub(super) object_type: String,
    pub(super) object_id: String,
    pub(super) instance: String,
    pub(super) instance_link: String,
    pub(super) received: Moment,
    pub(super) read_back: bool,
    pub(super) occurred: Option<Moment>,
}

/// `GET /admin/events`
pub async fn events(
    by: SignedIn,
    query: web::Query<Query>,
    app: web::Data<Gangway>,
) -> Result<HttpResponse, Failure> {
    let query = query.into_inner();
    let (filter, key) = (query.filter()?, &app.config.secret_key);
    let page = app.storage.events(&filter, query.start(key)?, ROWS).await?;
    EventsPage {
        frame: app.frame_for(by.session()),
        here: HERE,
        types: EventType::ALL,
        filtered: query.filters(),
        rows: page.items.into_iter().map(RowView::from).collect(),
        next: page.next.map(|next| query.page_after(key, next)),
        stopped_after: page.stopped_after,
        charts: charts(&app.storage, None, app.clock.now()).await?,
        refused: app.refusals.all(app.clock.now()).into_iter().map(RefusedView::from).collect(),
        most_refused: most_refused(&app).await?,
        refused_since: app.refusals.since().into(),
        query,
    }
    .show()
}

async fn most_refused(app: &Gangway) -> Result<Vec<(String, String, u64)>, Failure> {
    let mut most = Vec::new();
    for (id, count) in app.refusals.most(app.clock.now(), MOST_REFUSED) {
        if let Some(instance) = app.storage.instance(id).await? {
            most.push((format!("/admin/instances/{id}"), instance.name, count));
        }
    }
    Ok(most)
}

/// The page of one event.
pub(super) fn page_of(id: EventId) -> String {
    format!("/admin/events/{id}")
}

impl From<EventRow> for RowView {
    fn from(row: EventRow) -> Self {
        let event = row.event;
        let (event_type, object_type, object_id, occurred_at) = match event {
            Some(event) => (Some(event.event_type), event.object_type, event.object_id, event.occurred_at),
            None => (None, None, None, None),
        };
        Self {
            link: page_of(row.id),
            event_type,
            object_type: object_type.unwrap_or_default(),
            object_id: object_id.unwrap_or_default(),
            instance: row.instance_name.unwrap_or_else(|| row.instance.to_string()),
            instance_link: format!("/admin/instances/{}", row.instance),
            received: row.received_at.into(),
            read_back: row.read_back,
            occurred: occurred_at.map(Moment::from),
        }
    }
}
