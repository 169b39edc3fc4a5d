//! The instances that are looked for as a file: CSV (RFC 4180) or JSON, written while it is sent, a few hundred rows
//! at a time, so that its length is no matter.

use std::fmt::Write;

use actix_web::HttpResponse;
use actix_web::http::header::{ContentDisposition, DispositionParam, DispositionType};
use actix_web::web::{self, Bytes};
use futures_util::stream;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::formula::made_inert;
use crate::elements::{Instance, Problem};
use crate::representation;
use crate::storage::{InstancePlace, InstanceQuestion};
use crate::web::Gangway;
use crate::web::failure::Failure;
use crate::web::finding::InstanceQuery;
use crate::web::guards::SignedIn;

/// So many are read at once.
const ROWS: usize = 500;
const HEADS: &str = "id,state,name,customer,tags,element_instance_id,events_enabled,created_at,connected_at,first_event_at,last_event_at,last_checked_at,problem\r\n";

#[derive(Clone, Copy, PartialEq, Eq)]
enum Format {
    Csv,
    Json,
}

/// What is still to be written.
struct Export {
    app: web::Data<Gangway>,
    question: InstanceQuestion,
    format: Format,
    begun: bool,
    after: Option<InstancePlace>,
    ended: bool,
    some: bool,
}

/// `GET /admin/instances.csv`
pub async fn csv(
    _: SignedIn,
    query: web::Query<InstanceQuery>,
    app: web::Data<Gangway>,
) -> Result<HttpResponse, Failure> {
    export(&query, app, Format::Csv)
}

/// `GET /admin/instances.json`
pub async fn json(
    _: SignedIn,
    query: web::Query<InstanceQuery>,
    app: web::Data<Gangway>,
) -> Result<HttpResponse, Failure> {
    export(&query, app, Format::Json)
}

fn export(query: &InstanceQuery, app: web::Data<Gangway>, format: Format) -> Result<HttpResponse, Failure> {
    let question = query.question(app.clock.now())?;
    let after = query.start(&app.config.secret_key)?;
    let (kind, name) = match format {
        Format::Csv => ("text/csv; charset=utf-8", "instances.csv"),
        Format::Json => ("application/json", "instances.json"),
    };
    let file = ContentDisposition {
        disposition: DispositionType::Attachment,
        parameters: vec![DispositionParam::Filename(name.to_owned())],
    };
    let export = Export { app, question, format, begun: false, after, ended: false, some: false };
    let parts = stream::try_unfold(export, Export::next);
    Ok(HttpResponse::Ok().content_type(kind).insert_header(file).streaming(Box::pin(parts)))
}

impl Export {
    /// The next part. What fails in the middle breaks the transfer off, so that no part is taken for the whole.
    async fn next(mut self) -> Result<Option<(Bytes, Self)>, Failure> {
        if self.ended {
            return Ok(None);
        }
        let found = self.app.storage.find_instances(&self.question, self.after.as_ref(), ROWS).await?;
        let mut part = String::new();
        if !self.begun {
            part.push_str(if self.format == Format::Csv { HEADS } else { "[" });
            self.begun = true;
        }
        for instance in &found.items {
            match self.format {
                Format::Csv => part.push_str(&line(instance)),
                Format::Json => {
                    part.push_str(if self.some { ",\n" } else { "\n" });
                    let written = serde_json::to_string(&representation::Instance::from(instance));
                    part.push_str(&written.unwrap_or_default());
                }
            }
            self.some = true;
        }
        self.after = found.next;
        self.ended = self.after.is_none();
        if self.ended && self.format == Format::Json {
            part.push_str("\n]\n");
        }
        Ok(Some((Bytes::from(part), self)))
    }
}

fn line(instance: &Instance) -> String {
    let upstream = instance.state.connection();
    let at = |at: Option<OffsetDateTime>| at.and_then(|at| at.format(&Rfc3339).ok()).unwrap_or_default();
    let on = upstream.is_some_and(|found| found.events_enabled);
    let cells = [
        instance.id.to_string(),
        instance.state.as_str().to_owned(),
        instance.name.clone(),
        instance.customer.clone().unwrap_or_default(),
        instance.tags.join(", "),
        upstream.map(|found| found.element_instance_id.to_string()).unwrap_or_default(),
        on.to_string(),
        at(Some(instance.created_at)),
        at(upstream.map(|found| found.connected_at)),
        at(instance.first_event_at),
        at(instance.last_event_at),
        at(instance.last_checked_at),
        instance.state.problem().map(Problem::for_operator).unwrap_or_default(),
    ];
    format!("{}\r\n", cells.map(|text| cell(&text)).join(","))
}

/// One cell. What a spreadsheet would take for a formula is made a text by an apostrophe.
fn cell(text: &str) -> String {
    let inert = made_inert(text);
    let mut cell = String::new();
    if text.contains(['"', ',', '\r', '\n']) || text != text.trim() {
        let _ = write!(cell, "\"{inert}{}\"", text.replace('"', "\"\""));
    } else {
        let _ = write!(cell, "{inert}{text}");
    }
    cell
}

#[cfg(test)]
mod tests {
    use super::cell;

    #[test]
    fn a_cell_is_read_as_the_text_it_was_and_runs_nothing() {
        for (text, written) in [
            ("Ada's shop", "Ada's shop"),
            ("", ""),
            ("=1+1", "'=1+1"),
            ("+49", "'+49"),
            ("-2", "'-2"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("\t=1", "\"'\t=1\""),
            ("\r=1", "\"'\r=1\""),
            ("=HYPERLINK(\"x\",1)", "\"'=HYPERLINK(\"\"x\"\",1)\""),
            ("a \"b\"", "\"a \"\"b\"\"\""),
            ("one, two", "\"one, two\""),
            ("two\r\nlines", "\"two\r\nlines\""),
        ] {
            assert_eq!(cell(text), written, "{text:?}");
        }
    }
}
