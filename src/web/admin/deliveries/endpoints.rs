//! `/admin/endpoints`: every endpoint, and the form that registers one. Its secret is shown in the answer to that
//! form, and never again.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use askama::Template;

use super::super::instances::StateBadge;
use super::{ENDPOINTS, endpoint_badge, endpoint_page};
use crate::elements::EventType;
use crate::events::NotRegistered;
use crate::storage::{Endpoint, Wanted};
use crate::web::Gangway;
use crate::web::failure::Failure;
use crate::web::guards::SignedIn;
use crate::web::view::{Frame, Moment, Page};

/// Longer addresses are nobody's.
const LONGEST: usize = 2000;

#[derive(Template)]
#[template(path = "admin/endpoints.html")]
struct EndpointsPage {
    frame: Frame,
    here: &'static str,
    rows: Vec<EndpointRow>,
    draft: Draft,
    types: [EventType; 4],
    error: Option<String>,
}

#[derive(Template)]
#[template(path = "admin/endpoint_secret.html")]
struct SecretPage {
    frame: Frame,
    here: &'static str,
    url: String,
    page: String,
    secret: String,
}

struct EndpointRow {
    link: String,
    url: String,
    state: StateBadge,
    wants: String,
    failing_since: Option<Moment>,
    created: Moment,
}

/// What was typed.
#[derive(Default)]
struct Draft {
    url: String,
    instances: String,
    tags: String,
    types: Vec<String>,
}

/// What was sent: `type` as often as there are ticks, the others once.
pub type Sent = Vec<(String, String)>;

/// `GET /admin/endpoints`
pub async fn endpoints(by: SignedIn, app: web::Data<Gangway>) -> Result<HttpResponse, Failure> {
    page(&app, &by, Draft::default(), None).await?.show()
}

/// `POST /admin/endpoints`
pub async fn register(
    by: SignedIn,
    sent: web::Form<Sent>,
    app: web::Data<Gangway>,
) -> Result<HttpResponse, Failure> {
    let draft = Draft::read(sent.into_inner())?;
    let refused = match draft.wanted() {
        Err(refused) => refused,
        Ok(wanted) if known(&app, &draft, &wanted).await? => {
            "It is registered already, for the same. Its secret was shown when it was made.".to_owned()
        }
        Ok(wanted) => match app.deliveries.register(&draft.url, wanted).await {
            Ok((endpoint, secret)) => {
                let (frame, page) = (app.frame(), endpoint_page(&endpoint));
                let (url, secret) = (endpoint.url, secret.shown());
                return SecretPage { frame, here: ENDPOINTS, url, page, secret }.show();
            }
            Err(NotRegistered::NotAllowed(reason)) => format!("Nothing can be sent there: {reason}."),
            Err(NotRegistered::Storage(error)) => return Err(error.into()),
        },
    };
    let page = page(&app, &by, draft, Some(refused)).await?;
    page.show_with(&mut HttpResponse::build(StatusCode::UNPROCESSABLE_ENTITY))
}

async fn page(
    app: &Gangway,
    by: &SignedIn,
    draft: Draft,
    error: Option<String>,
) -> Result<EndpointsPage, Failure> {
    let rows = app.storage.endpoints().await?.into_iter().map(EndpointRow::from).collect();
    let frame = app.frame_for(by.session());
    Ok(EndpointsPage { frame, here: ENDPOINTS, rows, draft, types: EventType::ALL, error })
}

/// A form sent twice must not make two of it: each would be sent everything.
async fn known(app: &Gangway, draft: &Draft, wanted: &Wanted) -> Result<bool, Failure> {
    let same = |known: &Endpoint| known.url.trim_end_matches('/') == draft.url.trim_end_matches('/');
    Ok(app.storage.endpoints().await?.iter().any(|known| same(known) && known.wanted == *wanted))
}

impl Draft {
    fn read(sent: Sent) -> Result<Self, Failure> {
        let mut draft = Self::default();
        for (name, value) in sent {
            match name.as_str() {
                "url" => draft.url = value.trim().to_owned(),
                "instances" => draft.instances = value,
                "tags" => draft.tags = value,
                "type" => draft.types.push(value),
                _ => return Err(Failure::BadRequest("a field that is not in the form".to_owned())),
            }
        }
        Ok(draft)
    }

    /// What it means; or what cannot be read, as a sentence.
    fn wanted(&self) -> Result<Wanted, String> {
        if self.url.len() > LONGEST {
            return Err("The address is too long.".to_owned());
        }
        let instances = words(&self.instances)
            .map(|id| {
                id.parse().map_err(|_| format!("\u{201c}{id}\u{201d} is no Gangway id of an instance."))
            })
            .collect::<Result<Vec<_>, _>>()?;
        let tags: Vec<String> = words(&self.tags).map(str::to_owned).collect();
        let most = Wanted::MOST_NAMED;
        if instances.len() > most || tags.len() > most {
            return Err(format!("At most {most} instances and {most} tags can be named."));
        }
        let types = EventType::ALL.into_iter().filter(|kind| self.wants(kind.as_str())).collect();
        Ok(Wanted { instances, tags, types })
    }

    fn wants(&self, kind: &str) -> bool {
        self.types.iter().any(|word| word == kind)
    }
}

/// Separated by commas or blanks.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split([',', ' ', '\t', '\r', '\n']).filter(|word| !word.is_empty())
}

impl From<Endpoint> for EndpointRow {
    fn from(endpoint: Endpoint) -> Self {
        Self {
            link: endpoint_page(&endpoint),
            state: endpoint_badge(endpoint.state),
            wants: in_words(&endpoint.wanted),
            failing_since: endpoint.failing_since.map(Moment::from),
            created: endpoint.created_at.into(),
            url: endpoint.url,
        }
    }
}

/// Such as `CREATED or DELETED, of 2 instances, of tag eu`.
pub(super) fn in_words(wanted: &Wanted) -> String {
    let types: Vec<&str> = wanted.types.iter().map(|kind| kind.as_str()).collect();
    let mut parts = vec![if types.is_empty() { "every type".to_owned() } else { types.join(" or ") }];
    match wanted.instances.len() {
        0 if wanted.tags.is_empty() => parts.push("of every instance".to_owned()),
        0 => {}
        1 => parts.push("of one instance".to_owned()),
        more => parts.push(format!("of {more} instances")),
    }
    if !wanted.tags.is_empty() {
        parts.push(format!("of those tagged {}", wanted.tags.join(" or ")));
    }
    parts.join(", ")
}
