//! `GET /api/v1/instances`: the instances that are looked for, the newest first.

use actix_web::http::header::ContentType;
use actix_web::web::Bytes;
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Deserialize;
use time::OffsetDateTime;
use utoipa::IntoParams;

use super::openapi::{Refused, WrongQuery};
use super::query::{self, query};
use crate::elements::InstanceState;
use crate::representation::{Instance, List};
use crate::storage::{InstanceOrder, InstanceQuestion};
use crate::web::Gangway;
use crate::web::failure::Failure;
use crate::web::finding::{LONGEST, read_cursor, write_cursor};
use crate::web::guards::{ApiKey, Read};

/// Which instances.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Question {
    /// In this state: `provisioning`, `unknown`, `failed`, `connected`, `paused`, `needs_attention`, `disconnecting`
    /// or `disconnected`.
    state: Option<String>,
    /// Each word of this begins a word of the name, the customer, a tag or an id (of that four digits or more); whatever its
    /// case.
    #[param(max_length = 200)]
    q: Option<String>,
    /// With this tag, whatever its case.
    #[param(max_length = 200)]
    tag: Option<String>,
    /// Whether Cloud Elements sends its events: `on` or `off`.
    events: Option<String>,
    /// `yes`: silent for longer than usual.
    silent: Option<String>,
    /// At most so many.
    #[param(value_type = Option<u16>, minimum = 1, maximum = 500, default = 50)]
    limit: Option<String>,
    /// `next` of the part before, with the same question.
    cursor: Option<String>,
}

impl Question {
    fn read(&self, now: OffsetDateTime) -> Result<InstanceQuestion, Failure> {
        let known = |word: &str| InstanceState::WORDS.into_iter().find(|known| *known == word);
        for (name, text) in [("q", &self.q), ("tag", &self.tag)] {
            if text.as_ref().is_some_and(|text| text.chars().count() > LONGEST) {
                return Err(Failure::Parameter(name.to_owned(), "must have 200 letters at most"));
            }
        }
        Ok(InstanceQuestion {
            text: self.q.clone(),
            state: query::word("state", self.state.as_deref(), known)?,
            tag: self.tag.clone(),
            events: query::word("events", self.events.as_deref(), |word| match word {
                "on" => Some(true),
                "off" => Some(false),
                _ => None,
            })?,
            silent_at: query::word("silent", self.silent.as_deref(), |word| (word == "yes").then_some(now))?,
            order: InstanceOrder::Newest,
        })
    }

    /// Without limit and cursor, always in the same order.
    fn written(&self) -> String {
        let mut written = form_urlencoded::Serializer::new("api".to_owned());
        for (name, value) in [
            ("state", &self.state),
            ("q", &self.q),
            ("tag", &self.tag),
            ("events", &self.events),
            ("silent", &self.silent),
        ] {
            if let Some(value) = value {
                written.append_pair(name, value);
            }
        }
        written.finish()
    }
}

/// Instances, the newest first. A part may be empty and have a `next`: so many were looked through that the question
/// does not mean.
#[utoipa::path(
    get, path = "/api/v1/instances", tag = "instances", security(("key" = [])),
    params(Question),
    responses((status = 200, description = "Instances", body = List<Instance>), WrongQuery, Refused)
)]
pub async fn list(
    _: ApiKey<Read>,
    request: HttpRequest,
    app: web::Data<Gangway>,
) -> Result<HttpResponse, Failure> {
    let question: Question = query(&request)?;
    let (meant, written, key) = (question.read(app.clock.now())?, question.written(), &app.config.secret_key);
    let limit = query::limit(question.limit.as_deref())?;
    let cursor = |text: &str| {
        let wrong = Failure::Parameter("cursor".to_owned(), "is no cursor of this list");
        read_cursor(key, &written, text).ok_or(wrong)
    };
    let after = question.cursor.as_deref().map(cursor).transpose()?;
    let part = app.fresh(format!("api {}", request.query_string()), async {
        let found = app.storage.find_instances(&meant, after.as_ref(), limit).await?;
        let part = List {
            items: found.items.iter().map(Instance::from).collect(),
            next: found.next.map(|place| write_cursor(key, &written, &place)),
        };
        let part = serde_json::to_vec(&part);
        part.map(Bytes::from).map_err(|error| Failure::Internal(format!("JSON: {error}")))
    });
    Ok(HttpResponse::Ok().content_type(ContentType::json()).body(part.await?))
}
