//! The page of everything that is not the happy path: what happened, what it means, what to do now.

use actix_web::{HttpResponse, HttpResponseBuilder};
use askama::Template;

use crate::config::ConnectAccess;
use crate::mailchimp::PROVIDER;
use crate::web::Gangway;
use crate::web::view::{Frame, Moment, Page};

/// One problem, in a person's words.
#[derive(Template)]
#[template(path = "problem.html")]
pub struct ProblemPage {
    /// The frame.
    pub frame: Frame,
    /// A choice of the customer's, not an error.
    pub calm: bool,
    /// The heading and title.
    pub headline: &'static str,
    /// Three short ones at most.
    pub sentences: Vec<String>,
    /// The way forward.
    pub action: Option<Action>,
    /// Stable.
    pub code: &'static str,
    /// The log's.
    pub reference: String,
    /// Where help is, with the reference filled in where it is a mail.
    pub support: Option<String>,
    /// When.
    pub at: Moment,
}

/// A button or link.
pub struct Action {
    /// Its words.
    pub label: String,
    /// Where it leads.
    pub target: String,
    /// A form, not a link.
    pub post: bool,
}

impl Action {
    /// One click to approve again; none where it takes an invite, whose link is open still.
    pub fn start_again(app: &Gangway) -> Option<Self> {
        let open = app.config.connecting.access == ConnectAccess::Public;
        open.then(|| Self { label: format!("Connect {PROVIDER}"), target: "/connect".into(), post: true })
    }
}

impl ProblemPage {
    /// The page on `builder`; its bare words, should the template fail.
    pub fn respond(self, builder: &mut HttpResponseBuilder) -> HttpResponse {
        let bare = format!("{}\nReference: {}\n", self.headline, self.reference);
        self.show_with(builder)
            .unwrap_or_else(|_| builder.content_type("text/plain; charset=utf-8").body(bare))
    }
}
