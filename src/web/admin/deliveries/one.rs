//! `/admin/deliveries/{seq}`: one delivery with every attempt, and asked for again. What an endpoint answered is
//! somebody else's text: shown, never rendered.

use actix_web::{HttpResponse, web};
use askama::Template;

use super::{DELIVERIES, DeliveryRow, delivery_page};
use crate::storage::{Attempt, Delivery};
use crate::web::Gangway;
use crate::web::failure::Failure;
use crate::web::guards::SignedIn;
use crate::web::view::{Frame, Moment, Page, see_other};
use crate::webhook::message_id;

#[derive(Template)]
#[template(path = "admin/delivery.html")]
struct DeliveryPage {
    frame: Frame,
    here: &'static str,
    row: DeliveryRow,
    message_id: String,
    instance_link: String,
    repeatable: bool,
    pending: bool,
    attempts: Vec<AttemptView>,
}

struct AttemptView {
    at: Moment,
    /// What came of it, such as `Answered 503`.
    outcome: String,
    good: bool,
    milliseconds: u128,
    answer: String,
}

async fn found(app: &Gangway, seq: &str) -> Result<Delivery, Failure> {
    let seq = seq.parse::<i64>().map_err(|_| Failure::NotFound)?;
    app.storage.delivery(seq).await?.ok_or(Failure::NotFound)
}

/// `GET /admin/deliveries/{seq}`
pub async fn delivery(
    by: SignedIn,
    seq: web::Path<String>,
    app: web::Data<Gangway>,
) -> Result<HttpResponse, Failure> {
    let one = found(&app, &seq).await?;
    let attempts = app.storage.attempts(one.seq).await?;
    DeliveryPage {
        frame: app.frame_for(by.session()),
        here: DELIVERIES,
        message_id: message_id(&one.fingerprint),
        instance_link: format!("/admin/instances/{}", one.instance),
        repeatable: one.repeatable,
        pending: one.next_attempt_at.is_some(),
        attempts: attempts.into_iter().map(AttemptView::from).collect(),
        row: one.into(),
    }
    .show()
}

/// `POST /admin/deliveries/{seq}/redeliver`
pub async fn redeliver(
    _: SignedIn,
    seq: web::Path<String>,
    app: web::Data<Gangway>,
) -> Result<HttpResponse, Failure> {
    let one = found(&app, &seq).await?;
    if !app.deliveries.redeliver(one.seq).await? {
        return Err(Failure::NotRepeatable);
    }
    Ok(see_other(&delivery_page(one.seq)))
}

impl From<Attempt> for AttemptView {
    fn from(attempt: Attempt) -> Self {
        let outcome = match (attempt.status, attempt.error) {
            (Some(status), _) => format!("Answered {status}"),
            (None, Some(error)) => format!("No answer: {error}"),
            (None, None) => "No answer".to_owned(),
        };
        Self {
            at: attempt.at.into(),
            outcome,
            good: attempt.status.is_some_and(|status| (200..300).contains(&status)),
            milliseconds: attempt.took.as_millis(),
            answer: String::from_utf8_lossy(&attempt.answer).into_owned(),
        }
    }
}
