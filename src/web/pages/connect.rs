//! `POST /connect`: starts a trip to Mailchimp. The state goes into this browser's cookie as a hash and to
//! Mailchimp as itself; nothing is written to disk.

use std::sync::atomic::Ordering;

use actix_web::{HttpResponse, web};
use url::Url;

use crate::config::{AuthorizeUrlFrom, ConnectAccess};
use crate::mailchimp::with_state;
use crate::oauth::{Purpose, State};
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
    if app.config.connecting.access == ConnectAccess::Invite {
        return Err(Failure::InvitedOnly);
    }
    start(&app, &session, Purpose::Connect).await
}

/// Starts a trip.
pub(super) async fn start(
    app: &Gangway,
    session: &BrowserSession,
    purpose: Purpose,
) -> Result<HttpResponse, Failure> {
    let state = State::draw(&*app.entropy);
    let authorize_url = authorize_url(app, &state).await?;
    session.set_pending(&*app.entropy, |pending| pending.begin(state.hash(), purpose, app.clock.now()))?;
    metrics::counter!("gangway_starts_total").increment(1);
    app.starts.fetch_add(1, Ordering::Relaxed);
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
