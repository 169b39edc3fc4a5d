//! `/3.0/`: ping, account, audiences and their webhooks, with problem documents for errors. Section 2 of
//! the reference.

use actix_web::dev::Payload;
use actix_web::http::StatusCode;
use actix_web::http::header::{AUTHORIZATION, HeaderName};
use actix_web::{FromRequest, HttpRequest, HttpResponse, web};
use base64::Engine as _;
use serde::Deserialize;
use serde_json::{Value, json};

use super::webhooks::{NotSaved, save_webhook};
use crate::simulator::world::{List, Simulation, Webhook};

/// Simultaneous requests of one user (section 1.8).
const AT_ONCE: usize = 10;

/// A caller with a good token; holds one of its ten places.
pub(super) struct Caller {
    account: usize,
    simulation: web::Data<Simulation>,
}

impl Drop for Caller {
    fn drop(&mut self) {
        let account = self.account;
        self.simulation.with(|world| {
            if let Some(running) = world.running.get_mut(&account) {
                *running = running.saturating_sub(1);
            }
        });
    }
}

impl FromRequest for Caller {
    type Error = actix_web::Error;
    type Future = std::future::Ready<Result<Self, actix_web::Error>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        std::future::ready(
            admit(request)
                .map_err(|refusal| actix_web::error::InternalError::from_response("refused", refusal).into()),
        )
    }
}

fn admit(request: &HttpRequest) -> Result<Caller, HttpResponse> {
    let Some(simulation) = request.app_data::<web::Data<Simulation>>().cloned() else {
        return Err(problem(StatusCode::INTERNAL_SERVER_ERROR, "Internal", "no simulation"));
    };
    let faults = simulation.faults();
    if faults.api_429 {
        return Err(HttpResponse::TooManyRequests().finish());
    }
    if faults.api_403 {
        return Err(HttpResponse::Forbidden().finish());
    }
    if let Some(wanted) = request.headers().get(HeaderName::from_static("x-trigger-error")) {
        let title = wanted.to_str().unwrap_or("Unknown").to_owned();
        return Err(problem(StatusCode::BAD_REQUEST, &title, "Triggered by X-Trigger-Error."));
    }
    let missing =
        || problem(StatusCode::UNAUTHORIZED, "API Key Missing", "Your request did not include an API key.");
    let token = request.headers().get(AUTHORIZATION).and_then(|value| bearer_or_basic(value.to_str().ok()?));
    let token = token.ok_or_else(missing)?;
    let account = simulation.with(|world| {
        let account = world.tokens.get(&token).copied();
        let account = account.ok_or_else(|| {
            problem(
                StatusCode::UNAUTHORIZED,
                "API Key Invalid",
                "Your API key may be invalid, or you've attempted to access the wrong datacenter.",
            )
        })?;
        let running = world.running.entry(account).or_default();
        if *running >= AT_ONCE {
            return Err(problem(
                StatusCode::TOO_MANY_REQUESTS,
                "Too Many Requests",
                "You have exceeded the limit of 10 simultaneous connections.",
            ));
        }
        *running += 1;
        Ok(account)
    })?;
    Ok(Caller { account, simulation })
}

/// `Bearer TOKEN`, or Basic with the token as password.
fn bearer_or_basic(header: &str) -> Option<String> {
    if let Some(token) = header.strip_prefix("Bearer ") {
        return Some(token.to_owned());
    }
    let pair = base64::engine::general_purpose::STANDARD.decode(header.strip_prefix("Basic ")?).ok()?;
    Some(String::from_utf8(pair).ok()?.split_once(':')?.1.to_owned())
}

fn problem(status: StatusCode, title: &str, detail: &str) -> HttpResponse {
    problem_with(status, title, detail, json!(null))
}

fn problem_with(status: StatusCode, title: &str, detail: &str, errors: Value) -> HttpResponse {
    let instance = "00000000-0000-0000-0000-000000000000";
    let mut body = json!({
        "type": "https://mailchimp.com/developer/marketing/docs/errors/", "title": title,
        "status": status.as_u16(), "detail": detail, "instance": instance,
    });
    if !errors.is_null() {
        body["errors"] = errors;
    }
    HttpResponse::build(status)
        .insert_header(("X-Request-Id", instance))
        .content_type("application/problem+json; charset=utf-8")
        .body(body.to_string())
}

fn not_found() -> HttpResponse {
    problem(StatusCode::NOT_FOUND, "Resource Not Found", "The requested resource could not be found.")
}

impl Caller {
    /// Acts on one list of this account, or answers 404.
    fn on_list(&self, id: &str, act: impl FnOnce(&mut List) -> HttpResponse) -> HttpResponse {
        self.simulation.with(|world| {
            let lists = world.accounts.get_mut(self.account).map(|account| &mut account.lists);
            let list = lists.and_then(|lists| lists.iter_mut().find(|list| list.id == id));
            list.map_or_else(not_found, act)
        })
    }
}

pub(super) async fn ping(_: Caller) -> HttpResponse {
    HttpResponse::Ok().json(json!({ "health_status": "Everything's Chimpy!" }))
}

pub(super) async fn root(caller: Caller) -> HttpResponse {
    let account = caller.account;
    caller.simulation.with(|world| match world.accounts.get(account) {
        None => not_found(),
        Some(account) => HttpResponse::Ok().json(json!({
            "account_id": format!("{:032x}", account.id + 1), "login_id": (234_200 + account.id).to_string(),
            "account_name": account.name, "email": account.email, "role": "owner",
            "total_subscribers": account.lists.iter().map(|list| list.contacts.len()).sum::<usize>(),
        })),
    })
}

/// `?count=&offset=`
#[derive(Deserialize)]
pub(super) struct Paging {
    count: Option<usize>,
    offset: Option<usize>,
}

pub(super) async fn lists(caller: Caller, paging: web::Query<Paging>) -> HttpResponse {
    let account = caller.account;
    caller.simulation.with(|world| {
        let lists = world.accounts.get(account).map(|account| account.lists.as_slice()).unwrap_or_default();
        let page: Vec<Value> = lists
            .iter()
            .skip(paging.offset.unwrap_or(0))
            .take(paging.count.unwrap_or(10).min(1000))
            .map(as_json)
            .collect();
        HttpResponse::Ok().json(json!({ "lists": page, "total_items": lists.len() }))
    })
}

/// A list as the API shows it.
pub(in crate::simulator) fn as_json(list: &List) -> Value {
    json!({ "id": list.id, "web_id": 1, "name": list.name, "stats": { "member_count": list.contacts.len() } })
}

pub(super) async fn list(caller: Caller, id: web::Path<String>) -> HttpResponse {
    caller.on_list(&id, |list| HttpResponse::Ok().json(as_json(list)))
}

fn webhook_json(list: &str, webhook: &Webhook) -> Value {
    json!({ "id": webhook.id, "url": webhook.url, "events": webhook.events, "sources": webhook.sources,
        "list_id": list, "signing_enabled": true })
}

pub(super) async fn webhooks(caller: Caller, id: web::Path<String>) -> HttpResponse {
    caller.on_list(&id, |list| {
        let all: Vec<Value> = list.webhooks.iter().map(|webhook| webhook_json(list.id, webhook)).collect();
        HttpResponse::Ok()
            .json(json!({ "webhooks": all, "list_id": list.id, "total_items": list.webhooks.len() }))
    })
}

pub(super) async fn webhook(caller: Caller, path: web::Path<(String, String)>) -> HttpResponse {
    let (list, id) = path.into_inner();
    caller.on_list(&list, |list| {
        let found = list.webhooks.iter().find(|webhook| webhook.id == id);
        found.map_or_else(not_found, |webhook| HttpResponse::Ok().json(webhook_json(list.id, webhook)))
    })
}

/// What a webhook is made or changed with.
#[derive(Deserialize)]
pub(super) struct WebhookRequest {
    url: Option<String>,
    events: Option<Value>,
    sources: Option<Value>,
}

/// Checks the address with a GET first; shows the signing secret this once.
pub(super) async fn create_webhook(
    caller: Caller,
    list: web::Path<String>,
    body: web::Json<WebhookRequest>,
) -> HttpResponse {
    let WebhookRequest { url, events, sources } = body.into_inner();
    let Some(url) = url else { return invalid("This value should not be blank.") };
    let flags = (events.unwrap_or_else(|| json!({})), sources.unwrap_or_else(|| json!({})));
    match save_webhook(&caller.simulation, &list, &url, flags).await {
        Ok(webhook) => {
            let mut answer = webhook_json(&list, &webhook);
            answer["signing_secret"] = json!(webhook.signing_secret);
            HttpResponse::Ok().json(answer)
        }
        Err(NotSaved::NoSuchList) => not_found(),
        Err(NotSaved::Duplicate) => invalid("Sorry, you can't set up multiple WebHooks for one URL"),
        Err(NotSaved::Unverified(saw)) => invalid(&format!("We couldn't verify the WebHook URL: {saw}")),
    }
}

fn invalid(message: &str) -> HttpResponse {
    let errors = json!([{ "field": "url", "message": message }]);
    problem_with(
        StatusCode::BAD_REQUEST,
        "Invalid Resource",
        "The resource submitted could not be validated.",
        errors,
    )
}

pub(super) async fn change_webhook(
    caller: Caller,
    path: web::Path<(String, String)>,
    body: web::Json<WebhookRequest>,
) -> HttpResponse {
    let (list, id) = path.into_inner();
    let change = body.into_inner();
    caller.on_list(&list, |list| {
        let list_id = list.id;
        let Some(webhook) = list.webhooks.iter_mut().find(|webhook| webhook.id == id) else {
            return not_found();
        };
        webhook.events = change.events.unwrap_or_else(|| webhook.events.clone());
        webhook.sources = change.sources.unwrap_or_else(|| webhook.sources.clone());
        HttpResponse::Ok().json(webhook_json(list_id, webhook))
    })
}

pub(super) async fn delete_webhook(caller: Caller, path: web::Path<(String, String)>) -> HttpResponse {
    let (list, id) = path.into_inner();
    caller.on_list(&list, |list| {
        let before = list.webhooks.len();
        list.webhooks.retain(|webhook| webhook.id != id);
        if list.webhooks.len() == before { not_found() } else { HttpResponse::NoContent().finish() }
    })
}
