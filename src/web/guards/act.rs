//! What a request does, in the words of the audit trail. They are made from the method and the route, so that no
//! handler can forget them: `POST /admin/instances/{id}/check` is `instance.check`, `POST /api/v1/endpoints` is
//! `endpoint.create`.

use actix_web::http::Method;
use actix_web::{FromRequest, HttpMessage, HttpRequest, dev::Payload};

use crate::reference::Reference;
use crate::storage::Act;
use crate::web::failure::Failure;
use crate::web::{Gangway, RouteName};

const LONGEST_SUBJECT: usize = 100;

/// Where a request comes from and what it does.
pub struct Place {
    is_act: bool,
    act: String,
    subject: Option<String>,
    reference: Option<String>,
    address: Option<String>,
}

impl Place {
    /// Of a request.
    pub fn of(request: &HttpRequest) -> Self {
        let route = request.app_data::<RouteName>().map_or("", |route| route.0);
        let app = request.app_data::<actix_web::web::Data<Gangway>>();
        let parameters = request.match_info();
        let subject = parameters.get("id").or_else(|| parameters.get("seq"));
        Self {
            is_act: !request.method().is_safe(),
            act: word(request.method(), route),
            subject: subject.map(|id| id.chars().take(LONGEST_SUBJECT).collect()),
            reference: request.extensions().get::<Reference>().map(ToString::to_string),
            address: app.and_then(|app| app.rate_limit.address(request)).map(|address| address.to_string()),
        }
    }

    /// Whether it changes anything.
    pub fn is_act(&self) -> bool {
        self.is_act
    }

    /// From where.
    pub fn address(&self) -> Option<String> {
        self.address.clone()
    }

    /// Writes down what the route does, and how it ended where that is known by now.
    pub async fn record(&self, app: &Gangway, who: String, ending: &str) -> Result<(), Failure> {
        self.note(app, who, format!("{}{ending}", self.act), self.subject.clone()).await
    }

    /// Writes down an act whose word or subject the route does not tell.
    pub async fn note(
        &self,
        app: &Gangway,
        who: String,
        act: String,
        subject: Option<String>,
    ) -> Result<(), Failure> {
        let (address, reference) = (self.address.clone(), self.reference.clone());
        let act = Act { at: app.clock.now(), who, act, subject, address, reference };
        Ok(app.storage.record(act).await?)
    }
}

impl FromRequest for Place {
    type Error = Failure;
    type Future = std::future::Ready<Result<Self, Failure>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        std::future::ready(Ok(Self::of(request)))
    }
}

/// The first place of the route names the subject, the last one what is done to it.
fn word(method: &Method, route: &str) -> String {
    let route = route.trim_start_matches("/admin/").trim_start_matches("/api/v1/");
    let mut places = route.split('/').filter(|place| !place.starts_with('{'));
    let subject = places.next().unwrap_or_default();
    let one = subject.strip_suffix("ies").map(|stem| format!("{stem}y"));
    let one =
        one.or_else(|| subject.strip_suffix('s').filter(|stem| !stem.ends_with('s')).map(str::to_owned));
    match (places.next_back(), method.as_str(), one) {
        (Some(done), _, one) => format!("{}.{done}", one.as_deref().unwrap_or(subject)),
        (None, "DELETE", Some(one)) => format!("{one}.delete"),
        (None, "PATCH", Some(one)) => format!("{one}.amend"),
        (None, _, Some(one)) => format!("{one}.create"),
        (None, _, None) => subject.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_the_trail_are_stable() {
        for (method, route, expected) in [
            (Method::POST, "/admin/instances/{id}/check", "instance.check"),
            (Method::POST, "/admin/endpoints", "endpoint.create"),
            (Method::POST, "/admin/endpoints/{id}/switch-on", "endpoint.switch-on"),
            (Method::DELETE, "/api/v1/endpoints/{id}", "endpoint.delete"),
            (Method::PATCH, "/api/v1/instances/{id}", "instance.amend"),
            (Method::POST, "/admin/bulk/pause", "bulk.pause"),
            (Method::POST, "/api/v1/deliveries/{id}/redeliver", "delivery.redeliver"),
            (Method::POST, "/admin/redeliveries", "redelivery.create"),
            (Method::POST, "/admin/reconcile", "reconcile"),
            (Method::POST, "/admin/password", "password"),
        ] {
            assert_eq!(word(&method, route), expected, "{route}");
        }
    }
}
