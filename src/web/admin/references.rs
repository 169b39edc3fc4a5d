//! A reference number, as a customer reads it out, leads to the line of the timeline it stands on.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use askama::Template;
use serde::Deserialize;

use super::instance::LINES;
use crate::reference::Reference;
use crate::storage::Line;
use crate::web::Gangway;
use crate::web::failure::Failure;
use crate::web::guards::SignedIn;
use crate::web::view::{Frame, Moment, Page, see_other};

const HERE: &str = "references";
/// One act may be about many instances; more are not listed.
const MOST: u16 = 100;

#[derive(Template)]
#[template(path = "admin/references.html")]
struct ReferencesPage {
    frame: Frame,
    here: &'static str,
    asked: String,
    error: Option<&'static str>,
    lines: Vec<Found>,
}

struct Found {
    at: Moment,
    name: String,
    summary: String,
    link: String,
}

/// `?reference=`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    #[serde(default)]
    reference: String,
}

/// `GET /admin/references`
pub async fn references(
    by: SignedIn,
    asked: web::Query<Asked>,
    app: web::Data<Gangway>,
) -> Result<HttpResponse, Failure> {
    if asked.reference.trim().is_empty() {
        return page(&app, &by, String::new(), None, Vec::new()).show();
    }
    match read(&asked.reference) {
        Some(reference) => Ok(see_other(&format!("/admin/references/{reference}"))),
        None => no_reference(&app, &by, &asked.reference),
    }
}

/// `GET /admin/references/{reference}`
pub async fn reference(
    by: SignedIn,
    asked: web::Path<String>,
    app: web::Data<Gangway>,
) -> Result<HttpResponse, Failure> {
    let Some(reference) = read(&asked) else { return no_reference(&app, &by, &asked) };
    let lines = app.storage.lines_of_reference(reference, MOST).await?;
    let Some(first) = lines.first() else {
        let nothing = "It stands on no timeline. The log has every request, this one too.";
        let page = page(&app, &by, reference.to_string(), Some(nothing), Vec::new());
        return page.show_with(&mut HttpResponse::build(StatusCode::NOT_FOUND));
    };
    if lines.iter().all(|line| line.instance == first.instance) {
        return Ok(see_other(&place_of(&app, first).await?));
    }
    let mut found = Vec::with_capacity(lines.len());
    for line in lines {
        let name = app.storage.instance(line.instance).await?.map(|instance| instance.name);
        found.push(Found {
            at: line.step.at.into(),
            name: name.unwrap_or_else(|| line.instance.to_string()),
            link: format!("/admin/references/{reference}/{}", line.seq),
            summary: line.step.summary,
        });
    }
    page(&app, &by, reference.to_string(), None, found).show()
}

/// `GET /admin/references/{reference}/{line}`: one of several.
pub async fn reference_line(
    _: SignedIn,
    path: web::Path<(String, String)>,
    app: web::Data<Gangway>,
) -> Result<HttpResponse, Failure> {
    let (asked, seq) = path.into_inner();
    let seq: i64 = seq.parse().map_err(|_| Failure::NotFound)?;
    let reference = read(&asked).ok_or(Failure::NotFound)?;
    let lines = app.storage.lines_of_reference(reference, MOST).await?;
    let line = lines.iter().find(|line| line.seq == seq).ok_or(Failure::NotFound)?;
    Ok(see_other(&place_of(&app, line).await?))
}

/// The newest part of its timeline, where it stands there, or the part that begins with it.
async fn place_of(app: &Gangway, line: &Line) -> Result<String, Failure> {
    let Line { seq, instance, .. } = line;
    let (newest, _) = app.storage.timeline_page(*instance, None, LINES).await?;
    let part = if newest.iter().any(|known| known.seq == *seq) {
        String::new()
    } else {
        format!("?before={}", seq + 1)
    };
    Ok(format!("/admin/instances/{instance}{part}#line-{seq}"))
}

fn no_reference(app: &Gangway, by: &SignedIn, asked: &str) -> Result<HttpResponse, Failure> {
    let why = "That is no reference number: it has eight letters and digits, and no I, L, O or U.";
    let asked = asked.chars().take(40).collect();
    page(app, by, asked, Some(why), Vec::new())
        .show_with(&mut HttpResponse::build(StatusCode::UNPROCESSABLE_ENTITY))
}

/// As it is read out: O is a zero, I and L are a one, as Crockford has it.
fn read(asked: &str) -> Option<Reference> {
    let heard = asked.chars().filter(|letter| !letter.is_whitespace()).map(|letter| match letter {
        'o' | 'O' => '0',
        'i' | 'I' | 'l' | 'L' => '1',
        '–' | '—' | '‑' => '-',
        other => other,
    });
    heard.collect::<String>().parse().ok()
}

fn page(
    app: &Gangway,
    by: &SignedIn,
    asked: String,
    error: Option<&'static str>,
    lines: Vec<Found>,
) -> ReferencesPage {
    ReferencesPage { frame: app.frame_for(by.session()), here: HERE, asked, error, lines }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_is_understood_as_it_is_read_out() {
        for heard in ["7kqm2x9t", " 7KQM – 2X9T ", "7kqm 2x9t"] {
            assert_eq!(read(heard).unwrap().to_string(), "7KQM-2X9T");
        }
        assert_eq!(read("oil1-0000").unwrap().to_string(), "0111-0000");
        for wrong in ["", "7KQM-2X9", "7KQM-2X9U", "<script>"] {
            assert!(read(wrong).is_none());
        }
    }
}
