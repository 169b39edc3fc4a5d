//! The audit trail: page by page, and whole as CSV or JSON.

use std::fmt::Write as _;
use std::sync::Arc;

use actix_web::http::header::CONTENT_DISPOSITION;
use actix_web::web::Bytes;
use actix_web::{HttpResponse, web};
use askama::Template;
use futures_util::{Stream, StreamExt, stream};
use serde::Deserialize;
use time::format_description::well_known::Rfc3339;

use super::formula::made_inert;
use crate::representation::TrailRow;
use crate::storage::{Act, ActFilter};
use crate::web::Gangway;
use crate::web::failure::Failure;
use crate::web::guards::SignedIn;
use crate::web::view::{Frame, Moment, Page};

const LISTED: usize = 50;
/// Rows of one step of an export.
const STEP: usize = 500;

#[derive(Template)]
#[template(path = "admin/audit.html")]
struct AuditPage {
    frame: Frame,
    here: &'static str,
    rows: Vec<ActRow>,
    who: String,
    act: String,
    query: String,
    older: Option<String>,
}

struct ActRow {
    at: Moment,
    who: String,
    act: String,
    subject: String,
    address: String,
    reference: String,
}

/// What is looked for.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sought {
    #[serde(default)]
    who: String,
    #[serde(default)]
    act: String,
    before: Option<i64>,
}

impl Sought {
    fn filter(&self) -> Result<ActFilter, Failure> {
        let (who, act) = (self.who.trim().to_owned(), self.act.trim().to_owned());
        if who.contains('\0') || act.contains('\0') {
            return Err(Failure::BadRequest("no such name".to_owned()));
        }
        Ok(ActFilter { who, act })
    }
}

/// `GET /admin/audit`
pub async fn audit(
    by: SignedIn,
    sought: web::Query<Sought>,
    app: web::Data<Gangway>,
) -> Result<HttpResponse, Failure> {
    let filter = sought.filter()?;
    let mut acts = app.storage.acts(&filter, sought.before, LISTED + 1).await?;
    let more = acts.len() > LISTED;
    acts.truncate(LISTED);
    let mut query = form_urlencoded::Serializer::new(String::new());
    for (name, value) in [("who", &filter.who), ("act", &filter.act)] {
        if !value.is_empty() {
            query.append_pair(name, value);
        }
    }
    let query = query.finish();
    let last = acts.last().filter(|_| more).map(|(seq, _)| *seq);
    let older = last.map(|seq| format!("/admin/audit?before={seq}&{query}").trim_end_matches('&').to_owned());
    let rows = acts.into_iter().map(|(_, act)| ActRow {
        at: act.at.into(),
        who: act.who,
        act: act.act,
        subject: act.subject.unwrap_or_default(),
        address: act.address.unwrap_or_default(),
        reference: act.reference.unwrap_or_default(),
    });
    let (who, act) = (filter.who, filter.act);
    AuditPage {
        frame: app.frame_for(by.session()),
        here: "audit",
        rows: rows.collect(),
        who,
        act,
        query,
        older,
    }
    .show()
}

/// Every act that is looked for, newest first, read as they are sent.
fn all(app: web::Data<Gangway>, filter: ActFilter) -> impl Stream<Item = Result<(i64, Act), Failure>> {
    let filter = Arc::new(filter);
    let steps = stream::try_unfold(Some(i64::MAX), move |before| {
        let (app, filter) = (app.clone(), filter.clone());
        async move {
            let Some(before) = before else { return Ok::<_, Failure>(None) };
            let acts = app.storage.acts(&filter, Some(before), STEP).await?;
            let next = acts.last().map(|(seq, _)| *seq);
            Ok(Some((acts, next)))
        }
    });
    steps.flat_map(|step| match step {
        Ok(acts) => stream::iter(acts.into_iter().map(Ok).collect::<Vec<_>>()),
        Err(error) => stream::iter(vec![Err(error)]),
    })
}

/// `GET /admin/audit.csv`
pub async fn csv(
    _: SignedIn,
    sought: web::Query<Sought>,
    app: web::Data<Gangway>,
) -> Result<HttpResponse, Failure> {
    let head = Ok(Bytes::from_static(b"seq,at,who,act,subject,address,reference\r\n"));
    let lines = all(app, sought.filter()?).map(|act| act.map(|(seq, act)| Bytes::from(line(seq, &act))));
    Ok(HttpResponse::Ok()
        .content_type("text/csv; charset=utf-8")
        .insert_header((CONTENT_DISPOSITION, "attachment; filename=\"audit.csv\""))
        .streaming(stream::once(async { head }).chain(lines)))
}

/// `GET /admin/audit.json`
pub async fn json_export(
    _: SignedIn,
    sought: web::Query<Sought>,
    app: web::Data<Gangway>,
) -> Result<HttpResponse, Failure> {
    let mut first = true;
    let items = all(app, sought.filter()?).map(move |act| {
        let item = serde_json::to_string(&TrailRow::from(act?));
        let item = item.map_err(|error| Failure::Internal(format!("JSON: {error}")))?;
        let comma = if std::mem::take(&mut first) { "" } else { ",\n" };
        Ok::<_, Failure>(Bytes::from(format!("{comma}{item}")))
    });
    let [begin, end] = [&b"{\"items\": [\n"[..], b"\n]}\n"]
        .map(|text| stream::once(async move { Ok(Bytes::from_static(text)) }));
    Ok(HttpResponse::Ok()
        .content_type("application/json")
        .insert_header((CONTENT_DISPOSITION, "attachment; filename=\"audit.json\""))
        .streaming(begin.chain(items).chain(end)))
}

fn line(seq: i64, act: &Act) -> String {
    let (subject, address, reference) =
        (act.subject.as_deref(), act.address.as_deref(), act.reference.as_deref());
    let mut line = seq.to_string();
    let moment = act.at.format(&Rfc3339).unwrap_or_default();
    for cell in [Some(&*moment), Some(&act.who), Some(&act.act), subject, address, reference] {
        let cell = cell.unwrap_or_default();
        let inert = made_inert(cell);
        // Writing to a String does not fail.
        let _ = write!(line, ",\"{inert}{}\"", cell.replace('"', "\"\""));
    }
    line + "\r\n"
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn no_cell_is_a_formula_or_leaves_its_place() {
        for begin in ["=", "+", "-", "@", "\t", "\r"] {
            let who = format!("{begin}HYPERLINK(\"x\")");
            let act = Act {
                at: datetime!(2026-11-23 12:00 UTC),
                who,
                act: "sign_in.refused".to_owned(),
                subject: None,
                address: None,
                reference: None,
            };
            let expected = format!(
                "7,\"2026-11-23T12:00:00Z\",\"'{begin}HYPERLINK(\"\"x\"\")\",\"sign_in.refused\",\"\",\"\",\"\"\r\n"
            );
            assert_eq!(line(7, &act), expected);
        }
    }
}
