//! What every page shows, and how a page becomes a response.

use actix_web::http::header::LOCATION;
use actix_web::web::Bytes;
use actix_web::{HttpResponse, HttpResponseBuilder};
use askama::Template;
use futures_util::Stream;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;

use super::Gangway;
use super::failure::Failure;
use crate::mailchimp::PROVIDER;
use crate::reference::Reference;
use crate::storage::OpenSession;

/// The frame around a page.
pub struct Frame {
    /// Who hosts.
    pub host: String,
    /// Where help is, if the host says so.
    pub support: Option<String>,
    /// What the host does with data, if it says so.
    pub privacy: Option<String>,
    /// The provider, as people know it.
    pub provider: &'static str,
    /// Address of the stylesheet.
    pub stylesheet: String,
    /// Address of the script.
    pub script: String,
    /// Address of the icon.
    pub icon: String,
    /// Whether MailChimp is a simulation here.
    pub simulated: bool,
    /// Whether who reads the page may act on it. A viewer of the console may not.
    pub may_act: bool,
}

impl Gangway {
    /// The frame of this process's pages.
    pub(super) fn frame(&self) -> Frame {
        Frame {
            host: self.config.host_name().to_owned(),
            support: self.config.face.support.as_ref().map(|address| address.link(None)),
            privacy: self.config.face.privacy.as_ref().map(ToString::to_string),
            provider: PROVIDER,
            stylesheet: self.assets.stylesheet().to_owned(),
            script: self.assets.script().to_owned(),
            icon: self.assets.icon().to_owned(),
            simulated: self.config.demo.is_some(),
            may_act: true,
        }
    }

    /// The frame of a page that everybody in the console may look at.
    pub(super) fn frame_for(&self, by: &OpenSession) -> Frame {
        Frame { may_act: by.may_act(), ..self.frame() }
    }
}

impl Gangway {
    /// Where help is for what carries this reference.
    pub(super) fn support_for(&self, reference: Reference) -> Option<String> {
        self.config.face.support.as_ref().map(|address| address.link(Some(&reference.to_string())))
    }
}

/// A moment, for a `time` element. The script turns it into the reader's own zone.
pub struct Moment {
    /// RFC 3339.
    pub machine: String,
    /// `23 November 2026, 14:02 UTC`
    pub human: String,
    /// `14:02`
    pub short: String,
}

impl From<OffsetDateTime> for Moment {
    fn from(at: OffsetDateTime) -> Self {
        let human = format_description!("[day padding:none] [month repr:long] [year], [hour]:[minute] UTC");
        let short = format_description!("[hour]:[minute]");
        let at = at.to_offset(time::UtcOffset::UTC);
        Self {
            machine: at.format(&Rfc3339).unwrap_or_default(),
            human: at.format(human).unwrap_or_default(),
            short: at.format(short).unwrap_or_default(),
        }
    }
}

/// To another page, with GET, whatever was asked here (RFC 9110 section 15.4.4).
pub fn see_other(target: &str) -> HttpResponse {
    HttpResponse::SeeOther().insert_header((LOCATION, target)).finish()
}

/// Server-sent events, for as long as there are any.
pub fn event_stream(events: impl Stream<Item = Result<Bytes, Failure>> + 'static) -> HttpResponse {
    HttpResponse::Ok().content_type("text/event-stream; charset=utf-8").streaming(events)
}

/// Of every page.
pub const HTML: &str = "text/html; charset=utf-8";

/// A template that is a page.
pub trait Page: Template + Sized {
    /// The page with status 200.
    fn show(self) -> Result<HttpResponse, Failure> {
        self.show_with(&mut HttpResponse::Ok())
    }

    /// The page with the status and headers of `response`.
    fn show_with(self, response: &mut HttpResponseBuilder) -> Result<HttpResponse, Failure> {
        Ok(response.content_type(HTML).body(self.body()?))
    }

    /// The page itself.
    fn body(self) -> Result<Bytes, Failure> {
        let body = self.render().map_err(|error| Failure::Internal(format!("template: {error}")))?;
        Ok(body.into())
    }
}

impl<T: Template> Page for T {}
