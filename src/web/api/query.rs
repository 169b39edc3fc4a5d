//! The query of a request, strictly: a name that is not known, or comes twice, is told by its name. Which names are
//! known is what the document says. A text that is empty counts as not there; a number must be one.

use std::time::Duration;

use actix_web::HttpRequest;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use utoipa::IntoParams;
use utoipa::openapi::path::ParameterIn;

use crate::web::failure::Failure;

/// The one parameter that is a number.
const LIMIT: &str = "limit";
const DEFAULT_LIMIT: usize = 50;
/// The longest list that is answered.
pub(super) const MOST: usize = 500;
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// Reads the query of `request`; every field of `T` is a text that may be missing.
pub(super) fn query<T: DeserializeOwned + IntoParams>(request: &HttpRequest) -> Result<T, Failure> {
    let known = T::into_params(|| Some(ParameterIn::Query));
    let mut given = Map::new();
    for (name, value) in form_urlencoded::parse(request.query_string().as_bytes()) {
        if !known.iter().any(|parameter| parameter.name == name) {
            return Err(Failure::UnknownParameter(name.into_owned()));
        }
        let value = (!value.is_empty() || name == LIMIT).then(|| value.into_owned());
        if given.insert(name.to_string(), Value::from(value)).is_some() {
            return Err(wrong(&name, "comes twice"));
        }
    }
    serde_json::from_value(given.into()).map_err(|error| Failure::Internal(format!("query: {error}")))
}

fn wrong(name: &str, why: &'static str) -> Failure {
    Failure::Parameter(name.to_owned(), why)
}

/// `?limit=`
pub(super) fn limit(text: Option<&str>) -> Result<usize, Failure> {
    let number = text.map_or(Ok(DEFAULT_LIMIT), str::parse).ok().filter(|limit| (1..=MOST).contains(limit));
    number.ok_or(wrong(LIMIT, "must be a number from 1 to 500"))
}

/// `?wait=`, in seconds or as a duration such as `30s`.
pub(super) fn wait(text: Option<&str>) -> Result<Duration, Failure> {
    let Some(text) = text else { return Ok(Duration::ZERO) };
    let seconds = text.parse().map(Duration::from_secs).ok();
    let wait = seconds.or_else(|| humantime::parse_duration(text).ok()).filter(|wait| *wait <= LONGEST_WAIT);
    wait.ok_or(wrong("wait", "must be a duration of at most 60s"))
}

/// A value that is read by its own type.
pub(super) fn read<T: std::str::FromStr>(
    name: &str,
    text: Option<&str>,
    why: &'static str,
) -> Result<Option<T>, Failure> {
    text.map(|text| text.parse().map_err(|_| wrong(name, why))).transpose()
}

/// A word out of several.
pub(super) fn word<T>(
    name: &str,
    text: Option<&str>,
    known: impl Fn(&str) -> Option<T>,
) -> Result<Option<T>, Failure> {
    text.map(|text| known(text).ok_or(wrong(name, "is none of the words there are"))).transpose()
}
