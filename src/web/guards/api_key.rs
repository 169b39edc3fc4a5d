//! Proof that a program has an API key that opens what is asked (RFC 6750). The key comes in the `Authorization`
//! header and nowhere else: no cookie is looked at, and nothing of a key is ever repeated.

use std::marker::PhantomData;
use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::http::header::AUTHORIZATION;
use actix_web::{FromRequest, HttpRequest, web};
use uuid::Uuid;

use super::act::Place;
use crate::api_key::ApiKeySecret;
use crate::storage::{ApiKeyRow, Scope, TokenHash};
use crate::web::Gangway;
use crate::web::failure::Failure;

/// What a route needs.
pub trait Needs: 'static {
    /// The scope that covers it.
    const SCOPE: Scope;
}

/// To look.
pub struct Read;
/// To change.
pub struct Write;

impl Needs for Read {
    const SCOPE: Scope = Scope::Read;
}

impl Needs for Write {
    const SCOPE: Scope = Scope::Write;
}

/// Why a request is not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyRefused {
    /// It carries no key.
    Missing,
    /// What it carries opens nothing: never made, revoked, or expired.
    Invalid,
    /// Its key is for looking alone.
    ReadOnly,
}

impl KeyRefused {
    /// The value of `WWW-Authenticate`.
    pub fn challenge(self) -> &'static str {
        match self {
            Self::Missing => "Bearer realm=\"gangway\"",
            Self::Invalid => "Bearer realm=\"gangway\", error=\"invalid_token\"",
            Self::ReadOnly => "Bearer realm=\"gangway\", error=\"insufficient_scope\", scope=\"write\"",
        }
    }
}

/// A key that opens what needs `N`.
pub struct ApiKey<N> {
    hash: TokenHash,
    name: String,
    needs: PhantomData<N>,
}

impl<N: Needs> ApiKey<N> {
    /// The id of the key that a request carries, if it opens what needs `N`. For whoever only has to know whose a
    /// request is: its act is recorded where the handler takes the proof.
    pub async fn id_in(request: &HttpRequest) -> Option<Uuid> {
        let app = request.app_data::<web::Data<Gangway>>().cloned()?;
        check::<N>(&app, &presented(request).ok()?).await.ok().map(|key| key.id)
    }

    /// Whether it still does; for answers that take their time.
    pub async fn still_opens(&self, app: &Gangway) -> Result<(), Failure> {
        check::<N>(app, &self.hash).await.map(drop)
    }

    /// What the operator calls it.
    pub fn name(&self) -> &str {
        &self.name
    }
}

async fn check<N: Needs>(app: &Gangway, hash: &TokenHash) -> Result<ApiKeyRow, Failure> {
    let key = app.storage.use_api_key(hash, app.clock.now()).await?;
    let key = key.ok_or(Failure::Key(KeyRefused::Invalid))?;
    if key.scope.covers(N::SCOPE) { Ok(key) } else { Err(Failure::Key(KeyRefused::ReadOnly)) }
}

/// The hash of the key in the header; two headers are none that can be believed.
fn presented(request: &HttpRequest) -> Result<TokenHash, KeyRefused> {
    let mut headers = request.headers().get_all(AUTHORIZATION);
    let header = headers.next().ok_or(KeyRefused::Missing)?;
    if headers.next().is_some() {
        return Err(KeyRefused::Invalid);
    }
    let (scheme, key) =
        header.to_str().ok().and_then(|text| text.split_once(' ')).ok_or(KeyRefused::Missing)?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(KeyRefused::Missing);
    }
    let key = ApiKeySecret::parse(key.trim()).ok_or(KeyRefused::Invalid)?;
    Ok(TokenHash::of(key.expose()))
}

impl<N: Needs> FromRequest for ApiKey<N> {
    type Error = Failure;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Failure>>>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let app = request.app_data::<web::Data<Gangway>>().cloned();
        let hash = presented(request);
        let place = Place::of(request);
        Box::pin(async move {
            let app = app.ok_or_else(Failure::misassembled)?;
            let hash = hash.map_err(Failure::Key)?;
            let key = check::<N>(&app, &hash).await?;
            if place.is_act() {
                place.record(&app, format!("api key {}", key.name), "").await?;
            }
            Ok(Self { hash, name: key.name, needs: PhantomData })
        })
    }
}
