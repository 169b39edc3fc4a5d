//! What every route of a kind has in common, written into the document once for all of them.

use utoipa::Modify;
use utoipa::openapi::path::{Operation, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{ContentBuilder, HeaderBuilder, OpenApi, Ref, RefOr, ResponseBuilder};

use super::idempotency;

/// `Idempotency-Key` on every POST, and what it may be answered.
pub(super) struct Once;

const REFUSALS: [(&str, &str); 5] = [
    ("400", "The `Idempotency-Key` cannot be used."),
    ("408", "The body did not arrive in time."),
    ("409", "A request with this `Idempotency-Key` is under way; `Retry-After` says when to come back."),
    ("413", "The body is larger than 64 KiB."),
    ("422", "This `Idempotency-Key` stands for another body."),
];

impl Modify for Once {
    fn modify(&self, document: &mut OpenApi) {
        for path in document.paths.paths.values_mut() {
            if let Some(operation) = &mut path.post {
                describe(operation);
            }
        }
    }
}

fn describe(operation: &mut Operation) {
    let text = ObjectBuilder::new().schema_type(Type::String).min_length(Some(1)).max_length(Some(255));
    let header = ParameterBuilder::new()
        .name(idempotency::NAME)
        .parameter_in(ParameterIn::Header)
        .description(Some(
            "1 to 255 visible characters of your choice. Asked again with the same one within 24 hours, what was done is \
             answered again, with `Idempotency-Replayed: true`, and not done again.",
        ))
        .schema(Some(text.pattern(Some("^[!-~]+$"))));
    operation.parameters.get_or_insert_default().push(RefOr::T(header.build()));
    let responses = &mut operation.responses.responses;
    for (status, words) in REFUSALS {
        let problem = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
        let response = ResponseBuilder::new().content("application/problem+json", problem).description(words);
        responses.entry(status.to_owned()).or_insert_with(|| RefOr::T(response.build()));
    }
    for (status, response) in responses.iter_mut() {
        if let (true, RefOr::T(response)) = (status.starts_with('2'), response) {
            let mut replayed = HeaderBuilder::new().build();
            replayed.description = Some("`true` where it was done before.".to_owned());
            response.headers.insert("Idempotency-Replayed".to_owned(), RefOr::T(replayed));
        }
    }
}
