//! Which audiences report their changes: what there is, what was picked, and how to do it by hand where
//! MailChimp does not let us. For the browser of the instance; the console shows the same in its frame.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, HttpResponseBuilder, web};
use askama::Template;

use super::instance::{changeable, page_of, visible};
use crate::elements::Instance;
use crate::onboarding::{Choice, NotListed, Reports};
use crate::reference::Reference;
use crate::web::Gangway;
use crate::web::failure::Failure;
use crate::web::guards::BrowserSession;
use crate::web::view::{Frame, Page, see_other};

#[derive(Template)]
#[template(path = "audiences.html")]
struct AudiencesPage {
    frame: Frame,
    view: AudiencesView,
}

/// What both pages show.
pub struct AudiencesView {
    /// Name of the instance.
    pub name: String,
    /// The instance's page, which the address of this one begins with.
    pub page: String,
    /// Audiences that can be picked, with their ids.
    pub free: Vec<Choice>,
    /// Those that report.
    pub reporting: Vec<String>,
    /// Those of which it is not known.
    pub unsure: Vec<String>,
    /// Those that MailChimp refused.
    pub refused: Vec<String>,
    /// The audiences could not be read at all.
    pub unavailable: bool,
    /// Nothing was picked.
    pub none_picked: bool,
    /// Where the webhook must point.
    pub webhook_url: String,
    /// Of this request.
    pub reference: String,
}

/// What was sent: `audience`, as often as there are ticks.
pub type Picked = Vec<(String, String)>;

impl AudiencesView {
    fn of(app: &Gangway, instance: &Instance, page: String, reference: Reference) -> Self {
        Self {
            name: instance.name.clone(),
            page,
            free: Vec::new(),
            reporting: Vec::new(),
            unsure: Vec::new(),
            refused: Vec::new(),
            unavailable: false,
            none_picked: false,
            webhook_url: app.cloud_elements.audience_webhook_url(&instance.element),
            reference: reference.to_string(),
        }
    }

    /// Where it is best done by hand.
    pub fn by_hand(&self) -> bool {
        self.unavailable || !self.refused.is_empty()
    }

    /// Nothing to pick from.
    pub fn is_empty(&self) -> bool {
        self.free.is_empty() && self.reporting.is_empty() && self.unsure.is_empty() && !self.unavailable
    }

    fn status(&self) -> StatusCode {
        match (self.by_hand(), self.none_picked) {
            (true, _) => StatusCode::BAD_GATEWAY,
            (false, true) => StatusCode::UNPROCESSABLE_ENTITY,
            (false, false) => StatusCode::OK,
        }
    }

    /// An answer with the status that fits.
    pub fn answer(&self) -> HttpResponseBuilder {
        HttpResponse::build(self.status())
    }

    fn fill(&mut self, choices: Vec<Choice>) {
        for choice in choices {
            match choice.reports {
                Reports::Yes => self.reporting.push(choice.name),
                Reports::Asked | Reports::Unknown => self.unsure.push(choice.name),
                Reports::No => self.free.push(choice),
                Reports::Refused => {
                    self.refused.push(choice.name.clone());
                    self.free.push(choice);
                }
            }
        }
    }
}

/// The audiences of an instance; those that were `picked` are made to report. `page` is the instance's.
pub async fn audiences_view(
    app: &Gangway,
    instance: &Instance,
    (page, picked): (String, Option<Picked>),
    reference: Reference,
) -> Result<AudiencesView, Failure> {
    let mut view = AudiencesView::of(app, instance, page, reference);
    let ids = |picked: Picked| picked.into_iter().filter(|(name, _)| name == "audience").map(|(_, id)| id);
    let chosen: Vec<String> = picked.map(|picked| ids(picked).collect()).unwrap_or_default();
    match app.onboarding.audiences(instance, &chosen, reference).await {
        Ok(choices) => view.fill(choices),
        Err(NotListed::Upstream(_)) => view.unavailable = true,
        Err(NotListed::AsItStands(state)) => return Err(Failure::Conflict(state)),
        Err(NotListed::Storage(error)) => return Err(error.into()),
    }
    Ok(view)
}

/// The same after a form: back to the page where all went well, or the page as it is now, which says what
/// did not. Sending it again does nothing twice.
pub async fn picked_view(
    app: &Gangway,
    instance: &Instance,
    (page, picked): (String, Picked),
    reference: Reference,
) -> Result<Result<HttpResponse, AudiencesView>, Failure> {
    let none_picked = !picked.iter().any(|(name, _)| name == "audience");
    let back = format!("{page}/audiences");
    let mut view = audiences_view(app, instance, (page, Some(picked)), reference).await?;
    view.none_picked = none_picked;
    Ok(if view.status() == StatusCode::OK { Ok(see_other(&back)) } else { Err(view) })
}

/// `GET /instances/{id}/audiences`
pub async fn audiences_form(
    id: web::Path<String>,
    session: BrowserSession,
    reference: Reference,
    app: web::Data<Gangway>,
) -> Result<HttpResponse, Failure> {
    let instance = visible(&app, &session, &id).await?;
    let page = page_of(instance.id);
    let view = audiences_view(&app, &instance, (page, None), reference).await?;
    let mut answer = view.answer();
    AudiencesPage { frame: app.frame(), view }.show_with(&mut answer)
}

/// `POST /instances/{id}/audiences`
pub async fn audiences(
    id: web::Path<String>,
    session: BrowserSession,
    picked: web::Form<Picked>,
    reference: Reference,
    app: web::Data<Gangway>,
) -> Result<HttpResponse, Failure> {
    let instance = changeable(&app, &session, &id).await?;
    let page = page_of(instance.id);
    match picked_view(&app, &instance, (page, picked.into_inner()), reference).await? {
        Ok(back) => Ok(back),
        Err(view) => {
            let mut answer = view.answer();
            AudiencesPage { frame: app.frame(), view }.show_with(&mut answer)
        }
    }
}
