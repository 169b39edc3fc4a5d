//! How Cloud Elements' instances and ours differ: the latest comparison, and a new one on request.

use std::sync::Arc;

use actix_web::{HttpResponse, web};
use askama::Template;
use serde::Deserialize;

use crate::onboarding::{Finding, Measures, Report};
use crate::web::Gangway;
use crate::web::failure::Failure;
use crate::web::guards::SignedIn;
use crate::web::view::{Frame, Moment, Page};

#[derive(Template)]
#[template(path = "admin/reconcile.html")]
struct ReconcilePage {
    frame: Frame,
    here: &'static str,
    report: Option<ReportView>,
}

struct ReportView {
    at: Moment,
    upstream: usize,
    ours: usize,
    count: usize,
    findings: Vec<FindingView>,
    leftovers: bool,
}

struct FindingView {
    what: String,
    remedy: &'static str,
    link: String,
    name: String,
    element_instance_id: i64,
    done: Option<String>,
}

/// What is to be done besides comparing.
#[derive(Deserialize, Default)]
pub struct Wanted {
    #[serde(default)]
    apply: bool,
    #[serde(default)]
    delete: bool,
}

/// `GET /admin/reconcile`
pub async fn reconcile_page(by: SignedIn, app: web::Data<Gangway>) -> Result<HttpResponse, Failure> {
    page(&app, &by, app.onboarding.last_report()).show()
}

/// `POST /admin/reconcile`
pub async fn reconcile(
    by: SignedIn,
    wanted: web::Form<Wanted>,
    app: web::Data<Gangway>,
) -> Result<HttpResponse, Failure> {
    let measures = Measures { apply: wanted.apply, delete: wanted.delete };
    let report = app.onboarding.reconcile(measures).await?;
    page(&app, &by, Some(report)).show()
}

fn page(app: &Gangway, by: &SignedIn, report: Option<Arc<Report>>) -> ReconcilePage {
    let report = report.map(|report| ReportView {
        at: report.at.into(),
        upstream: report.upstream,
        ours: report.ours,
        count: report.count,
        findings: report.findings.iter().map(FindingView::from).collect(),
        leftovers: report.findings.iter().any(|finding| finding.drift.remedy() == "delete"),
    });
    ReconcilePage { frame: app.frame_for(by.session()), here: "reconcile", report }
}

impl From<&Finding> for FindingView {
    fn from(finding: &Finding) -> Self {
        Self {
            what: finding.drift.as_str().replace('_', " "),
            remedy: finding.drift.remedy(),
            link: format!("/admin/instances/{}", finding.instance),
            name: if finding.name.is_empty() { "no name".to_owned() } else { finding.name.clone() },
            element_instance_id: finding.element_instance_id,
            done: finding.done.as_ref().map(|done| match done {
                Ok(()) => "done".to_owned(),
                Err(error) => format!("failed: {error}"),
            }),
        }
    }
}
