//! The files of `static/`, embedded, under names that change with their content, so that browsers may
//! keep them for ever. The host's colour stands at the end of the sheet: no page may style itself.

use actix_web::http::header::{self, HeaderValue};
use actix_web::web::Bytes;
use actix_web::{HttpResponse, web};
use sha2::{Digest, Sha256};

use super::Gangway;
use super::failure::Failure;
use crate::colour::{self, Colour};

const FOR_EVER: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");

/// One embedded file.
struct Asset {
    /// Its address.
    path: String,
    content_type: &'static str,
    bytes: Bytes,
}

/// The embedded files.
pub struct Assets {
    stylesheet: Asset,
    script: Asset,
    icon: Asset,
}

impl Assets {
    /// In the house's colours, or in the host's.
    pub fn new(accent: Option<Colour>) -> Self {
        let asset = |stem: &str, extension: &str, content_type, bytes: Bytes| {
            let hash: String =
                Sha256::digest(&bytes).iter().take(6).map(|byte| format!("{byte:02x}")).collect();
            Asset { path: format!("/assets/{stem}-{hash}.{extension}"), content_type, bytes }
        };
        let css = include_str!("../../static/gangway.css");
        let css = format!("{css}{}", accent.map(colour::stylesheet).unwrap_or_default());
        let js = Bytes::from_static(include_bytes!("../../static/gangway.js"));
        let svg = Bytes::from_static(include_bytes!("../../static/icon.svg"));
        Self {
            stylesheet: asset("gangway", "css", "text/css; charset=utf-8", css.into()),
            script: asset("gangway", "js", "text/javascript; charset=utf-8", js),
            icon: asset("icon", "svg", "image/svg+xml; charset=utf-8", svg),
        }
    }

    /// Address of the stylesheet.
    pub fn stylesheet(&self) -> &str {
        &self.stylesheet.path
    }

    /// Address of the script.
    pub fn script(&self) -> &str {
        &self.script.path
    }

    /// Address of the icon.
    pub fn icon(&self) -> &str {
        &self.icon.path
    }
}

/// `GET /assets/{name}`
pub async fn serve(
    request: actix_web::HttpRequest,
    app: web::Data<Gangway>,
) -> Result<HttpResponse, Failure> {
    let Assets { stylesheet, script, icon } = &app.assets;
    let found = [stylesheet, script, icon].into_iter().find(|asset| asset.path == request.path());
    let Asset { content_type, bytes, .. } = found.ok_or(Failure::NotFound)?;
    Ok(HttpResponse::Ok()
        .insert_header((header::CACHE_CONTROL, FOR_EVER))
        .content_type(*content_type)
        .body(bytes.clone()))
}
