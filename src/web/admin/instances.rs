//! Every instance in a list, and the search over them. The whole question stands in the address.

use actix_web::{HttpRequest, HttpResponse, web};
use askama::Template;
use time::OffsetDateTime;
use uuid::Uuid;

use super::deliveries;
use crate::elements::{Instance, InstanceState};
use crate::storage::Total;
use crate::web::Gangway;
use crate::web::failure::Failure;
use crate::web::finding::InstanceQuery;
use crate::web::guards::SignedIn;
use crate::web::view::{Frame, HTML, Moment, Page};

const ROWS: usize = 50;
/// This part of the console.
pub(super) const HERE: &str = "instances";
const PATH: &str = "/admin/instances";
/// Of a name and of a customer so many letters stand in the list, of a tag fewer, and of tags so many.
const LONGEST_NAME: usize = 80;
const LONGEST_TAG: usize = 24;
const MOST_TAGS: usize = 3;

#[derive(Template)]
#[template(path = "admin/instances.html")]
struct InstancesPage {
    frame: Frame,
    here: &'static str,
    query: InstanceQuery,
    filtered: bool,
    rows: Vec<InstanceRow>,
    total: Option<String>,
    stopped_after: Option<usize>,
    next: Option<String>,
    states: Vec<Choice>,
    orders: Vec<Order>,
    csv: String,
    json: String,
    /// Where something is done to all of them.
    bulk: String,
    /// Page, address and reason of each endpoint that was switched off: this is where the operator comes in.
    off: Vec<(String, String, &'static str)>,
}

/// A state to look for, and the same question with it.
struct Choice {
    badge: StateBadge,
    link: String,
    chosen: bool,
}

/// An order, and the same question in it.
struct Order {
    label: &'static str,
    link: String,
    chosen: bool,
}

/// A state, in a word and a tone; never by colour alone.
pub(super) struct StateBadge {
    pub(super) word: &'static str,
    pub(super) tone: &'static str,
}

struct InstanceRow {
    link: String,
    name: String,
    customer: Option<String>,
    tags: Vec<String>,
    more_tags: usize,
    state: StateBadge,
    created: Moment,
    first_event: Option<Moment>,
    last_event: Option<Moment>,
    quiet: bool,
    /// So many wait for it at Cloud Elements.
    waiting: Option<i64>,
}

/// The states an instance can be in, each with its tone.
const STATES: &[(&str, &str)] = &[
    ("needs_attention", "bad"),
    ("failed", "bad"),
    ("unknown", "busy"),
    ("provisioning", "busy"),
    ("connected", "good"),
    ("paused", "quiet"),
    ("disconnecting", "quiet"),
    ("disconnected", "quiet"),
];

impl StateBadge {
    /// Every state, the most urgent first.
    pub(super) fn all() -> impl Iterator<Item = Self> {
        STATES.iter().map(|&(word, tone)| Self { word, tone })
    }

    pub(super) fn of(state: &InstanceState) -> Self {
        let known = STATES.iter().find(|(word, _)| *word == state.as_str());
        known.map_or(Self { word: state.as_str(), tone: "quiet" }, |&(word, tone)| Self { word, tone })
    }
}

/// `GET /admin/instances`
pub async fn instances(
    by: SignedIn,
    query: web::Query<InstanceQuery>,
    request: HttpRequest,
    app: web::Data<Gangway>,
) -> Result<HttpResponse, Failure> {
    let query = query.into_inner();
    let asked = format!("instances {} {}", by.session().may_act(), request.query_string());
    let page = app.fresh(asked, async { page(&app, &by, query).await?.body() });
    Ok(HttpResponse::Ok().content_type(HTML).body(page.await?))
}

async fn page(app: &Gangway, by: &SignedIn, query: InstanceQuery) -> Result<InstancesPage, Failure> {
    let (now, key) = (app.clock.now(), &app.config.secret_key);
    let found = app.storage.find_instances(&query.question(now)?, query.start(key)?.as_ref(), ROWS).await?;
    let ids: Vec<Uuid> = found.items.iter().map(|instance| instance.id).collect();
    let waiting = app.storage.waiting_of(&ids).await?;
    let first = InstanceQuery { after: String::new(), ..query.clone() };
    Ok(InstancesPage {
        frame: app.frame_for(by.session()),
        here: HERE,
        filtered: query.filters(),
        rows: found.items.iter().map(|instance| InstanceRow::of(instance, &waiting, now)).collect(),
        total: in_words(found.total),
        stopped_after: found.stopped_after,
        next: found.next.map(|place| query.page_after(key, PATH, &place)),
        states: choices(&first),
        orders: orders(&first),
        csv: first.at("/admin/instances.csv"),
        json: first.at("/admin/instances.json"),
        bulk: InstanceQuery { sort: String::new(), ..first }.at("/admin/bulk/new"),
        off: deliveries::switched_off(app).await?,
        query,
    })
}

fn in_words(total: Total) -> Option<String> {
    match total {
        Total::Exactly(1) => Some("1 instance".to_owned()),
        Total::Exactly(count) => Some(format!("{count} instances")),
        Total::MoreThan(count) => Some(format!("More than {count} instances")),
        Total::Unknown => None,
    }
}

fn choices(query: &InstanceQuery) -> Vec<Choice> {
    let choice = |&(word, tone): &(&'static str, &'static str)| Choice {
        badge: StateBadge { word, tone },
        link: InstanceQuery { state: word.to_owned(), ..query.clone() }.at(PATH),
        chosen: query.state == word,
    };
    STATES.iter().map(choice).collect()
}

fn orders(query: &InstanceQuery) -> Vec<Order> {
    let order = |(word, label): (&str, _)| Order {
        label,
        link: InstanceQuery { sort: word.to_owned(), ..query.clone() }.at(PATH),
        chosen: query.sort == word,
    };
    [("name", "Name"), ("", "State"), ("newest", "Created"), ("last_event", "Last event")].map(order).into()
}

/// The beginning of a text, told as such.
fn beginning(text: &str, letters: usize) -> String {
    match text.char_indices().nth(letters) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

impl InstanceRow {
    fn of(instance: &Instance, waiting: &[(Uuid, i64)], now: OffsetDateTime) -> Self {
        Self {
            link: format!("/admin/instances/{}", instance.id),
            name: beginning(&instance.name, LONGEST_NAME),
            customer: instance.customer.as_deref().map(|customer| beginning(customer, LONGEST_NAME)),
            tags: instance.tags.iter().take(MOST_TAGS).map(|tag| beginning(tag, LONGEST_TAG)).collect(),
            more_tags: instance.tags.len().saturating_sub(MOST_TAGS),
            state: StateBadge::of(&instance.state),
            created: instance.created_at.into(),
            first_event: instance.first_event_at.map(Moment::from),
            last_event: instance.last_event_at.map(Moment::from),
            quiet: instance.quiet_since(now).is_some(),
            waiting: waiting.iter().find(|(id, _)| *id == instance.id).map(|(_, waiting)| *waiting),
        }
    }
}
