//! A failure for a program: a problem document (RFC 9457) with a stable code and the reference.

use actix_web::ResponseError;
use serde::Serialize;
use utoipa::ToSchema;

use super::Failure;
use crate::reference::Reference;

/// What went wrong (RFC 9457).
#[derive(Serialize, ToSchema)]
pub struct Problem {
    /// `about:blank`: the code says more.
    #[serde(rename = "type")]
    kind: &'static str,
    /// In a few words.
    title: &'static str,
    /// The status of the answer.
    status: u16,
    /// Stable; for programs to decide by.
    #[schema(example = "unknown_parameter")]
    code: &'static str,
    /// Finds the line in Gangway's log.
    #[schema(value_type = String, example = "7KQM-2X9T")]
    reference: Reference,
    /// In a sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    /// The query parameter or header it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    parameter: Option<String>,
    /// The field of the body it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<String>,
}

/// Of what somebody sent no more is repeated.
const REPEATED: usize = 200;

impl Problem {
    /// The document of `failure`.
    pub(super) fn of(failure: &Failure, reference: Reference) -> Self {
        let words = failure.words();
        let short = |text: &str| text.chars().take(REPEATED).collect::<String>();
        let (detail, parameter, field) = match failure {
            Failure::UnknownParameter(name) => {
                let name = short(name);
                (Some(format!("There is no parameter `{name}` here.")), Some(name), None)
            }
            Failure::Parameter(name, why) => (Some(format!("{name} {why}.")), Some(name.clone()), None),
            Failure::Body(why) => (Some(short(why)), None, None),
            Failure::Field(name, why) => (Some(format!("{name}: {why}")), None, Some((*name).to_owned())),
            Failure::Upstream(said) | Failure::Unclear(said) => {
                (Some(format!("Cloud Elements: {said}")), None, None)
            }
            Failure::Conflict(state) => (Some(format!("The instance is {state}.")), None, None),
            Failure::Key(_)
            | Failure::KeyInUse
            | Failure::KeyReused
            | Failure::MediaType
            | Failure::NotRepeatable => {
                (words.sentences.first().map(|&sentence| sentence.to_owned()), None, None)
            }
            _ => (None, None, None),
        };
        Self {
            kind: "about:blank",
            title: words.headline,
            status: failure.status_code().as_u16(),
            code: words.code,
            reference,
            detail,
            parameter,
            field,
        }
    }
}
