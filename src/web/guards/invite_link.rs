//! Proof that the operator made this link: its token's hash is in the table. How the invite stands is for the page to
//! say.

use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest, web};

use crate::invite::Invite;
use crate::storage::TokenHash;
use crate::web::Gangway;
use crate::web::failure::Failure;

/// A link that the operator made.
pub struct InviteLink {
    /// What it stands for.
    pub invite: Invite,
    /// As it stands in the address.
    pub token: String,
}

impl FromRequest for InviteLink {
    type Error = Failure;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Failure>>>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let app = request.app_data::<web::Data<Gangway>>().cloned();
        let token = request.match_info().get("token").unwrap_or_default().to_owned();
        Box::pin(async move {
            let app = app.ok_or_else(Failure::misassembled)?;
            let invite =
                app.storage.invite_of_token(&TokenHash::of(&token)).await?.ok_or(Failure::NotFound)?;
            Ok(Self { invite, token })
        })
    }
}
