//! What `gangway doctor` says, on a page: every link of the chain, and the fix where one does not hold.

use actix_web::{HttpResponse, web};
use askama::Template;

use crate::doctor::{self, Chain, Verdict};
use crate::mailchimp::Mailchimp;
use crate::oauth::State;
use crate::web::Gangway;
use crate::web::failure::Failure;
use crate::web::guards::SignedIn;
use crate::web::view::{Frame, Moment, Page};

#[derive(Template)]
#[template(path = "admin/doctor.html")]
struct DoctorPage {
    frame: Frame,
    here: &'static str,
    at: Moment,
    headline: String,
    findings: Vec<FindingView>,
    redirect_uri: String,
}

struct FindingView {
    name: &'static str,
    state: super::instances::StateBadge,
    cause: String,
    fix: Option<String>,
}

impl Gangway {
    /// This process's chain.
    pub fn chain(&self) -> anyhow::Result<Chain> {
        Ok(Chain {
            config: self.config.clone(),
            storage: self.storage.clone(),
            cloud_elements: self.cloud_elements.clone(),
            mailchimp: Mailchimp::new(&self.config.mailchimp, &self.config.public_url)?,
            clock: self.clock.clone(),
            state: State::draw(&*self.entropy),
            process: Some(self.process),
            least_free: doctor::LEAST_FREE,
            slow_write: doctor::SLOW_WRITE,
        })
    }
}

/// `GET /admin/doctor`
pub async fn doctor(by: SignedIn, app: web::Data<Gangway>) -> Result<HttpResponse, Failure> {
    let chain = app.chain().map_err(|error| Failure::Internal(error.to_string()))?;
    let findings = doctor::examine(&chain).await;
    let count = |verdict| findings.iter().filter(|finding| finding.verdict == verdict).count();
    let headline = match (count(Verdict::Fail), count(Verdict::Warn)) {
        (0, 0) => "Everything holds".to_owned(),
        (0, warnings) => format!("Everything holds, {warnings} to look at"),
        (failures, _) => format!("{failures} to put right"),
    };
    DoctorPage {
        frame: app.frame_for(by.session()),
        here: "doctor",
        at: app.clock.now().into(),
        headline,
        findings: findings.into_iter().map(FindingView::from).collect(),
        redirect_uri: app.config.public_url.redirect_uri(),
    }
    .show()
}

impl From<doctor::Finding> for FindingView {
    fn from(finding: doctor::Finding) -> Self {
        let tone = match finding.verdict {
            Verdict::Pass => "good",
            Verdict::Warn => "busy",
            Verdict::Fail => "bad",
        };
        let state = super::instances::StateBadge { word: finding.verdict.as_str(), tone };
        Self { name: finding.name, state, cause: finding.cause, fix: finding.fix }
    }
}
