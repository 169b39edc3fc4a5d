//! `GET /api/v1`: the document of the API as a page for people, made from the same types. Needs no key, and no script.

use std::fmt::Write as _;

use actix_web::{HttpResponse, web};
use askama::Template;
use serde_json::{Map, Value};

use super::{idempotency, openapi};
use crate::web::Gangway;
use crate::web::failure::Failure;
use crate::web::view::{Frame, Page};

#[derive(Template)]
#[template(path = "api.html")]
struct ApiPage {
    frame: Frame,
    routes: Vec<RouteView>,
    shapes: Vec<Shape>,
    /// What every route that needs a key may answer; said once.
    common: Vec<Answer>,
    /// The header that every POST may carry; said once.
    once: Option<Field>,
}

/// Status, what it means, and the name of what is answered.
type Answer = (String, String, Option<String>);

/// One method of one path.
struct RouteView {
    id: String,
    method: String,
    path: String,
    what: String,
    parameters: Vec<Field>,
    /// The name of what is sent.
    body: Option<String>,
    needs_key: bool,
    answers: Vec<Answer>,
    example: String,
}

/// An object that is sent or answered.
struct Shape {
    name: String,
    what: String,
    fields: Vec<Field>,
}

struct Field {
    name: String,
    kind: String,
    what: String,
}

/// Shows it.
pub async fn readable(app: web::Data<Gangway>) -> Result<HttpResponse, Failure> {
    let document = serde_json::from_str(openapi::written()).unwrap_or_default();
    let origin = app.config.public_url.origin();
    let mut routes = routes(&document, &origin);
    let common = common(&mut routes);
    let once = routes.iter_mut().filter_map(RouteView::without_the_header_of_every_post).last();
    ApiPage { frame: app.frame(), routes, shapes: shapes(&document), common, once }.show()
}

fn object<'a>(value: &'a Value, name: &str) -> impl Iterator<Item = (&'a String, &'a Value)> {
    value.get(name).and_then(Value::as_object).into_iter().flat_map(Map::iter)
}

fn text(value: &Value, name: &str) -> String {
    value.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn routes(document: &Value, origin: &str) -> Vec<RouteView> {
    let of_path = |(path, methods): (&String, &Value)| {
        let methods = methods.as_object().cloned().unwrap_or_default();
        let path = path.clone();
        methods.into_iter().map(move |(method, route)| (path.clone(), method, route)).collect::<Vec<_>>()
    };
    let all = object(document, "paths").flat_map(of_path);
    all.map(|(path, method, route)| RouteView::of(&path, &method, &route, origin)).collect()
}

/// Takes out of each route what all that need a key may answer.
fn common(routes: &mut [RouteView]) -> Vec<Answer> {
    let with_key = || routes.iter().filter(|route| route.needs_key);
    let mut common = with_key().next().map(|route| route.answers.clone()).unwrap_or_default();
    common.retain(|answer| with_key().all(|route| route.answers.contains(answer)));
    for route in routes.iter_mut().filter(|route| route.needs_key) {
        route.answers.retain(|answer| !common.contains(answer));
    }
    common
}

impl RouteView {
    fn without_the_header_of_every_post(&mut self) -> Option<Field> {
        let place = self.parameters.iter().position(|field| field.name == idempotency::NAME)?;
        Some(self.parameters.remove(place))
    }

    fn of(path: &str, method: &str, route: &Value, origin: &str) -> Self {
        let parameters = route.get("parameters").and_then(Value::as_array).into_iter().flatten();
        let field = |one: &Value| Field {
            name: text(one, "name"),
            kind: format!("{}, {}", text(one, "in"), kind(one.get("schema").unwrap_or(&Value::Null))),
            what: text(one, "description"),
        };
        let answer = |(status, one): (&String, &Value)| {
            (status.clone(), text(one, "description"), sent(one).map(|schema| kind(&schema)))
        };
        let method = method.to_uppercase();
        let what = [text(route, "summary"), text(route, "description")].join(" ").trim().to_owned();
        let body = route.get("requestBody").and_then(sent).map(|schema| kind(&schema));
        Self {
            id: format!("{}{}", method.to_lowercase(), path.replace(['/', '{', '}', '.'], "-")),
            example: example(&method, &format!("{origin}{path}"), body.is_some()),
            parameters: parameters.map(field).collect(),
            answers: object(route, "responses").map(answer).collect(),
            needs_key: route.pointer("/security/0/key").is_some(),
            path: path.to_owned(),
            method,
            what,
            body,
        }
    }
}

fn example(method: &str, url: &str, with_body: bool) -> String {
    let mut example = "curl -H \"Authorization: Bearer $KEY\"".to_owned();
    if with_body {
        // A program's own values.
        let _ = write!(example, " --json @body.json");
    } else if method != "GET" {
        let _ = write!(example, " -X {method}");
    }
    let _ = write!(example, " \"{}\"", url.replace('{', "$").replace('}', ""));
    example
}

/// The schema of the first kind of content.
fn sent(holder: &Value) -> Option<Value> {
    object(holder, "content").next().and_then(|(_, content)| content.get("schema")).cloned()
}

/// A schema in a word or two.
fn kind(schema: &Value) -> String {
    if let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
        return reference.rsplit('/').next().unwrap_or_default().to_owned();
    }
    let several = ["oneOf", "anyOf", "allOf"].iter().find_map(|name| schema.get(*name)?.as_array());
    if let Some(several) = several {
        let kinds: Vec<_> = several.iter().map(kind).filter(|kind| !kind.is_empty()).collect();
        return kinds.join(" or ");
    }
    let words = match schema.get("type") {
        Some(Value::String(word)) => vec![word.clone()],
        Some(Value::Array(words)) => words.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        _ => Vec::new(),
    };
    let words = words.join(" or ");
    match (schema.get("items"), schema.get("format").and_then(Value::as_str)) {
        (Some(items), _) => format!("{words} of {}", kind(items)),
        (None, Some(format)) => format!("{words} ({format})"),
        (None, None) => words,
    }
}

fn shapes(document: &Value) -> Vec<Shape> {
    let components = document.get("components").unwrap_or(&Value::Null);
    let shape = |(name, schema): (&String, &Value)| Shape {
        name: name.clone(),
        what: text(schema, "description"),
        fields: fields(schema),
    };
    object(components, "schemas").map(shape).filter(|shape| !shape.fields.is_empty()).collect()
}

/// Of an object, or of what it is put together from.
fn fields(schema: &Value) -> Vec<Field> {
    let parts = schema.get("allOf").and_then(Value::as_array).into_iter().flatten();
    let mut all: Vec<Field> = parts.flat_map(fields).collect();
    if let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
        let name = reference.rsplit('/').next().unwrap_or_default();
        all.push(Field {
            name: "…".to_owned(),
            kind: name.to_owned(),
            what: "All of its fields.".to_owned(),
        });
    }
    all.extend(object(schema, "properties").map(|(name, one)| Field {
        name: name.clone(),
        kind: kind(one),
        what: text(one, "description"),
    }));
    all
}
