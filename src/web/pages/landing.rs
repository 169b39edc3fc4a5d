//! `GET /`: who asks, what will happen, what is shared, one form. And the same for somebody who was invited.

use actix_web::{HttpResponse, web};
use askama::Template;

use crate::config::ConnectAccess;
use crate::invite::Invite;
use crate::web::Gangway;
use crate::web::failure::Failure;
use crate::web::view::{Frame, Moment, Page};

/// The page.
#[derive(Template)]
#[template(path = "landing.html")]
pub(super) struct LandingPage {
    frame: Frame,
    /// Approving would most likely be in vain just now.
    trouble: bool,
    /// Where the form leads; `None`: it takes an invite.
    target: Option<String>,
    /// For whom, and until when.
    invited: Option<(String, Moment)>,
}

impl LandingPage {
    /// For the customer of an invite.
    pub(super) fn invited(app: &Gangway, invite: &Invite, target: String) -> Self {
        let invited = Some((invite.customer.clone(), invite.expires_at.into()));
        Self { invited, ..Self::of(app, Some(target)) }
    }

    fn of(app: &Gangway, target: Option<String>) -> Self {
        Self { frame: app.frame(), trouble: app.cloud_elements.is_down(), target, invited: None }
    }
}

/// Shows it. Starts nothing: link previews come here too.
pub async fn landing(app: web::Data<Gangway>) -> Result<HttpResponse, Failure> {
    let open = app.config.connecting.access == ConnectAccess::Public;
    LandingPage::of(&app, open.then(|| "/connect".to_owned())).show()
}
