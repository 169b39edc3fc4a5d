//! The console's page of what did not work.

use actix_web::{HttpResponse, HttpResponseBuilder};
use askama::Template;
use time::OffsetDateTime;

use crate::reference::Reference;
use crate::web::pages::Action;
use crate::web::view::{Frame, Moment, Page};

/// One problem, in words for the operator.
#[derive(Template)]
#[template(path = "admin/problem.html")]
pub struct ConsoleProblemPage {
    frame: Frame,
    here: &'static str,
    headline: &'static str,
    sentences: Vec<String>,
    action: Action,
    code: String,
    reference: String,
    at: Moment,
}

impl ConsoleProblemPage {
    /// What happened and where to go, with the stable code and the log's reference.
    pub fn new(
        frame: Frame,
        headline: &'static str,
        (sentences, action): (Vec<String>, Action),
        (code, reference): (String, Reference),
    ) -> Self {
        let at = OffsetDateTime::UNIX_EPOCH.into();
        let reference = reference.to_string();
        Self { frame, here: "", headline, sentences, action, code, reference, at }
    }

    /// When.
    pub fn at(self, at: OffsetDateTime) -> Self {
        Self { at: at.into(), ..self }
    }

    /// The page on `builder`; its bare words, should the template fail.
    pub fn respond(self, builder: &mut HttpResponseBuilder) -> HttpResponse {
        let bare = format!("{}\nReference: {}\n", self.headline, self.reference);
        self.show_with(builder)
            .unwrap_or_else(|_| builder.content_type("text/plain; charset=utf-8").body(bare))
    }
}
