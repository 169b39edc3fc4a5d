//! `/admin/invites`: every invite, and the form that makes one. Its link is shown in the answer to that form, and never
//! again. Taking one back ends it at once, on opened pages too.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use askama::Template;
use qrcode::QrCode;
use qrcode::render::svg;
use serde::Deserialize;
use time::OffsetDateTime;
use uuid::Uuid;

use super::instances::StateBadge;
use crate::config::setting::duration;
use crate::invite::{Draft, Invite, InviteState, InviteToken};
use crate::web::Gangway;
use crate::web::failure::Failure;
use crate::web::guards::SignedIn;
use crate::web::view::{Frame, Moment, Page, see_other};

/// This part of the console.
const HERE: &str = "invites";
const ROWS: usize = 50;

#[derive(Template)]
#[template(path = "admin/invites.html")]
struct InvitesPage {
    frame: Frame,
    here: &'static str,
    rows: Vec<InviteRow>,
    next: Option<String>,
    sent: Sent,
    error: Option<String>,
    /// Where customers may be sent afterwards.
    return_urls: Vec<String>,
}

#[derive(Template)]
#[template(path = "admin/invite_link.html")]
struct LinkPage {
    frame: Frame,
    here: &'static str,
    customer: String,
    url: String,
    /// The same as a picture.
    code: String,
    ends: Moment,
    page: String,
}

#[derive(Template)]
#[template(path = "admin/invite.html")]
struct InvitePage {
    frame: Frame,
    here: &'static str,
    row: InviteRow,
    tags: String,
    return_url: Option<String>,
    /// What happened to it, the first time each.
    steps: Vec<(&'static str, Moment)>,
    /// Page and name of what came of it.
    instances: Vec<(String, String)>,
    /// It can be taken back.
    revocable: bool,
}

struct InviteRow {
    page: String,
    customer: String,
    state: StateBadge,
    used: String,
    created: Moment,
    ends: Moment,
}

/// What was typed.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Sent {
    customer: String,
    ttl: String,
    uses: String,
    tags: String,
    return_url: String,
}

/// `?after=`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct After {
    after: Option<Uuid>,
}

/// `GET /admin/invites`
pub async fn invites(
    by: SignedIn,
    part: web::Query<After>,
    app: web::Data<Gangway>,
) -> Result<HttpResponse, Failure> {
    let sent = Sent { ttl: "7d".to_owned(), uses: "1".to_owned(), ..Sent::default() };
    page(&app, &by, part.after, sent, None).await?.show()
}

/// `POST /admin/invites`
pub async fn create(
    by: SignedIn,
    sent: web::Form<Sent>,
    app: web::Data<Gangway>,
) -> Result<HttpResponse, Failure> {
    let sent = sent.into_inner();
    let checked = match sent.draft() {
        Ok(draft) => draft.checked(&app.config.connecting.return_urls).map_err(|no| no.to_string()),
        Err(no) => Err(no),
    };
    let refused = match checked {
        Ok(checked) => {
            let (invite, token) = app.onboarding.invite(checked).await?;
            return LinkPage::of(&app, invite, &token)?.show();
        }
        Err(refused) => refused,
    };
    let page = page(&app, &by, None, sent, Some(in_a_sentence(&refused))).await?;
    page.show_with(&mut HttpResponse::build(StatusCode::UNPROCESSABLE_ENTITY))
}

/// `GET /admin/invites/{id}`
pub async fn invite(
    by: SignedIn,
    id: web::Path<String>,
    app: web::Data<Gangway>,
) -> Result<HttpResponse, Failure> {
    let invite = found(&app, &id).await?;
    let now = app.clock.now();
    let instances = app.storage.instances_of_invite(invite.id).await?;
    let steps = [
        ("Made", Some(invite.created_at)),
        ("First opened", invite.opened_at),
        ("First gone to MailChimp with", invite.started_at),
        ("First connected", invite.connected_at),
        ("Taken back", invite.revoked_at),
    ];
    InvitePage {
        frame: app.frame_for(by.session()),
        here: HERE,
        tags: invite.tags.join(", "),
        return_url: invite.return_url.clone(),
        steps: steps.into_iter().filter_map(|(what, at)| Some((what, at?.into()))).collect(),
        instances: instances.into_iter().map(|(id, name)| (format!("/admin/instances/{id}"), name)).collect(),
        revocable: invite.revoked_at.is_none(),
        row: InviteRow::of(&invite, now),
    }
    .show()
}

/// `POST /admin/invites/{id}/revoke`
pub async fn revoke(
    _: SignedIn,
    id: web::Path<String>,
    app: web::Data<Gangway>,
) -> Result<HttpResponse, Failure> {
    let invite = found(&app, &id).await?;
    if app.storage.revoke_invite(invite.id, app.clock.now()).await? {
        tracing::info!(invite = %invite.id, "invite revoked");
    }
    Ok(see_other(&page_of(invite.id)))
}

async fn found(app: &Gangway, id: &str) -> Result<Invite, Failure> {
    let id = id.parse::<Uuid>().map_err(|_| Failure::NotFound)?;
    app.storage.invite(id).await?.ok_or(Failure::NotFound)
}

fn page_of(id: Uuid) -> String {
    format!("/admin/invites/{id}")
}

async fn page(
    app: &Gangway,
    by: &SignedIn,
    after: Option<Uuid>,
    sent: Sent,
    error: Option<String>,
) -> Result<InvitesPage, Failure> {
    let mut invites = app.storage.invites(after, ROWS).await?;
    let more = invites.len() > ROWS;
    invites.truncate(ROWS);
    let next = invites.last().filter(|_| more).map(|last| format!("/admin/invites?after={}", last.id));
    let now = app.clock.now();
    Ok(InvitesPage {
        frame: app.frame_for(by.session()),
        here: HERE,
        rows: invites.iter().map(|invite| InviteRow::of(invite, now)).collect(),
        next,
        sent,
        error,
        return_urls: app.config.connecting.return_urls.0.iter().map(ToString::to_string).collect(),
    })
}

/// `customer must have …` begins with a capital, and ends.
fn in_a_sentence(refused: &str) -> String {
    let plain = refused.replace("return_url", "the return address").replace("ttl", "the lifetime");
    let mut letters = plain.chars();
    let first = letters.next().map(|letter| letter.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}.", letters.as_str())
}

impl Sent {
    fn draft(&self) -> Result<Draft, String> {
        let some = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
        let ttl = some(&self.ttl)
            .map(|text| duration(&text).map_err(|_| "ttl must be such as 1h or 7d".to_owned()));
        let uses = some(&self.uses)
            .map(|text| text.parse().map_err(|_| "uses must be a whole number, or empty".to_owned()));
        Ok(Draft {
            customer: self.customer.clone(),
            ttl: ttl.transpose()?,
            uses: uses.transpose()?,
            tags: self.tags.split(',').filter_map(some).collect(),
            return_url: some(&self.return_url),
        })
    }
}

impl LinkPage {
    fn of(app: &Gangway, invite: Invite, token: &InviteToken) -> Result<Self, Failure> {
        let url = app.config.public_url.invite_url(token);
        let code = QrCode::new(&url).map_err(|error| Failure::Internal(format!("QR code: {error}")))?;
        let code = code.render::<svg::Color<'_>>().min_dimensions(200, 200).build();
        // In a page, a picture has no prologue.
        let code = code.find("<svg").and_then(|at| code.get(at..)).unwrap_or_default().to_owned();
        let (page, ends) = (page_of(invite.id), invite.expires_at.into());
        Ok(Self { frame: app.frame(), here: HERE, customer: invite.customer, url, code, ends, page })
    }
}

impl InviteRow {
    fn of(invite: &Invite, now: OffsetDateTime) -> Self {
        let state = invite.state(now);
        let tone = match state {
            InviteState::Connected => "good",
            InviteState::Started => "busy",
            _ => "quiet",
        };
        let used = match invite.uses {
            None => format!("{}, any number", invite.used),
            Some(uses) => format!("{} of {uses}", invite.used),
        };
        Self {
            page: page_of(invite.id),
            customer: invite.customer.clone(),
            state: StateBadge { word: state.as_str(), tone },
            used,
            created: invite.created_at.into(),
            ends: invite.expires_at.into(),
        }
    }
}
