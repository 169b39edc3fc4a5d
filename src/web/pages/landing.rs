//! `GET /`: who asks, what will happen, what is shared, one form.

use actix_web::{HttpResponse, web};
use askama::Template;

use crate::web::Gangway;
use crate::web::failure::Failure;
use crate::web::view::{Frame, Page};

#[derive(Template)]
#[template(path = "landing.html")]
struct LandingPage {
    frame: Frame,
    /// Approving would most likely be in vain just now.
    trouble: bool,
}

/// Shows it. Starts nothing: link previews come here too.
pub async fn landing(app: web::Data<Gangway>) -> Result<HttpResponse, Failure> {
    LandingPage { frame: app.frame(), trouble: app.cloud_elements.is_down() }.show()
}
