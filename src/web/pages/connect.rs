//! `POST /connect`: starts a trip to Mailchimp. The state goes into this browser's cookie as a hash and to
//! Mailchimp as itself; nothing is written to disk.

use actix_web::{HttpResponse, web};
use url::Url;
use uuid::Uuid;

use crate::config::AuthorizeUrlFrom;
use crate::mailchimp::with_state;
use crate::oauth::State;
use crate::web::Gangway;
use crate::web::failure::Failure;
use crate::web::guards::{Admitted, BrowserSession};
use crate::web::view::see_other;

/// Starts one for a new instance.
pub async fn connect(
    _: Admitted,
    session: BrowserSession,
    app: web::Data<Gangway>,
) -> Result<HttpResponse, Failure> {
    start(&app, &session, None).await
}

/// Starts a trip, for a new instance or to renew one.
pub(super) async fn start(
    app: &Gangway,
    session: &BrowserSession,
    renews: Option<Uuid>,
) -> Result<HttpResponse, Failure> {
    let state = State::draw(&*app.entropy);
    let authorize_url = authorize_url(app, &state).await?;
    session.set_pending(&*app.entropy, |pending| pending.begin(state.hash(), renews, app.clock.now()))?;
    metrics::counter!("gangway_starts_total").increment(1);
    Ok(see_other(authorize_url.as_str()))
}

async fn authorize_url(app: &Gangway, state: &State) -> Result<Url, Failure> {
    match app.config.authorize_url_from {
        AuthorizeUrlFrom::Mailchimp => Ok(app.mailchimp.authorize_url(state)),
        AuthorizeUrlFrom::CloudElements => {
            let url = app.cloud_elements.authorize_url(state).await.map_err(Failure::AuthorizeUrl)?;
            Ok(with_state(url, state))
        }
    }
}
