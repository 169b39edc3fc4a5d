//! `/_sim/`: where a person, or a test, works the simulation: contacts, faults, what was sent. Forms answer
//! with a redirect back to the page; JSON answers JSON.

use actix_web::http::header::{CONTENT_SECURITY_POLICY, LOCATION};
use actix_web::web::{self, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;
use serde::Deserialize;
use serde_json::json;

use super::cloud_elements::redeliver_all;
use super::faults::Faults;
use super::mailchimp::{About, Change, announce, people_only, release, save_webhook};
use super::world::{Contact, RegisteredApp, Sent, Simulation};

pub(super) fn routes(services: &mut ServiceConfig) {
    services
        .route("/", web::get().to(|| async { back() }))
        .route("/_sim/", web::get().to(show))
        .route("/_sim/style.css", web::get().to(stylesheet))
        .route("/_sim/apps", web::post().to(register))
        .route("/_sim/contacts", web::post().to(add_contact))
        .route("/_sim/unsubscribe-all", web::post().to(unsubscribe_all))
        .route("/_sim/contacts/{email}/change", web::post().to(change_contact))
        .route("/_sim/contacts/{email}/remove", web::post().to(remove_contact))
        .route("/_sim/revoke", web::post().to(revoke))
        .route("/_sim/redeliver", web::post().to(redeliver))
        .route("/_sim/give-up", web::post().to(give_up))
        .route("/_sim/faults", web::get().to(faults))
        .route("/_sim/faults", web::post().to(set_faults))
        .route("/_sim/ledger", web::get().to(ledger));
}

/// A page of the simulator. `form-action` stays open: consent leads to whatever app asked.
pub(super) fn html(page: &impl Template) -> HttpResponse {
    match page.render() {
        Ok(body) => HttpResponse::Ok()
            .insert_header((
                CONTENT_SECURITY_POLICY,
                "default-src 'none'; style-src 'self'; base-uri 'none'; frame-ancestors 'none'",
            ))
            .content_type("text/html; charset=utf-8")
            .body(body),
        Err(error) => HttpResponse::InternalServerError().body(error.to_string()),
    }
}

fn back() -> HttpResponse {
    HttpResponse::SeeOther().insert_header((LOCATION, "/_sim/")).finish()
}

/// Programs send JSON and get JSON; people send forms and get the page.
fn answer(request: &HttpRequest, body: serde_json::Value) -> HttpResponse {
    let json = request
        .headers()
        .get("content-type")
        .is_some_and(|kind| kind.as_bytes().starts_with(b"application/json"));
    if json { HttpResponse::Ok().json(body) } else { back() }
}

#[derive(Template)]
#[template(path = "simulator/control.html")]
struct ControlPage {
    lists: Vec<ListView>,
    instances: Vec<InstanceView>,
    faults: Vec<(&'static str, &'static str, bool)>,
    slow_ms: u64,
    log: Vec<Sent>,
    queued: usize,
}

struct ListView {
    id: &'static str,
    name: String,
    webhooks: Vec<String>,
    contacts: Vec<String>,
}

struct InstanceView {
    id: i64,
    name: String,
    events: &'static str,
}

/// Name and words of every switch that is on or off.
const SWITCHES: &[(&str, &str)] = &[
    ("deny", "Deny at MailChimp, even on Allow"),
    ("fail_after_create", "Cloud Elements: make the instance, then answer 500"),
    ("lose_reply", "Cloud Elements: make the instance, lose the reply"),
    ("gateway_down", "Cloud Elements: 502 from the gateway"),
    ("duplicate", "Notifications: each twice"),
    ("reorder", "Notifications: swap every two"),
    ("bad_signature", "Notifications: wrong signature"),
    ("hasty", "Notifications: tried again within milliseconds, then given up"),
    ("lose_queued", "Notifications: given up for good, not queued"),
    ("redeliver_deaf", "Notifications: asking for what is queued is told yes, and does nothing"),
    ("events_mixed", "Events read back: with those of other instances"),
    ("webhook_duplicate", "Audience webhooks: each twice"),
    ("webhook_reorder", "Audience webhooks: swap every two"),
    ("unknown_type", "Audience webhooks: a type nobody knows"),
    ("wrong_list", "Audience webhooks: another list"),
    ("no_own_webhook", "Audience webhooks: none by itself when a contact is added"),
    ("viewer", "Audiences: whoever approved may only look"),
    ("webhooks_down", "Audiences: their webhooks cannot be read"),
    ("no_audiences", "Audiences: there is none"),
    ("hostile_names", "Audiences: names with markup in them"),
];

async fn show(simulation: web::Data<Simulation>) -> HttpResponse {
    let faults = simulation.faults();
    let on = serde_json::to_value(&faults).unwrap_or_default();
    let page = simulation.with(|world| ControlPage {
        lists: world
            .accounts
            .iter()
            .flat_map(|account| account.lists.iter().map(move |list| (account.name, list)))
            .map(|(account, list)| ListView {
                id: list.id,
                name: format!("{account}: {}", list.name),
                webhooks: list.webhooks.iter().map(|webhook| webhook.url.clone()).collect(),
                contacts: list.contacts.iter().map(|contact| contact.email.clone()).collect(),
            })
            .collect(),
        instances: world
            .instances
            .values()
            .rev()
            .take(50)
            .map(|one| InstanceView {
                id: one.id,
                name: one.name.clone(),
                events: if one.subscribed { "delivered" } else { "queued" },
            })
            .collect(),
        faults: SWITCHES
            .iter()
            .map(|&(name, words)| (name, words, on[name].as_bool() == Some(true)))
            .collect(),
        slow_ms: faults.slow_ms,
        log: world.log.iter().take(30).cloned().collect(),
        queued: world.queue.len(),
    });
    html(&page)
}

async fn stylesheet() -> HttpResponse {
    HttpResponse::Ok()
        .content_type("text/css; charset=utf-8")
        .body(include_str!("../../static/simulator.css"))
}

async fn register(app: web::Json<RegisteredApp>, simulation: web::Data<Simulation>) -> HttpResponse {
    simulation.with(|world| world.register(app.into_inner()));
    HttpResponse::Ok().json(json!({}))
}

/// A contact to add; without a list, it goes to the first audience of the latest instance's account.
#[derive(Deserialize)]
struct NewContact {
    email: String,
    list_id: Option<String>,
}

async fn add_contact(
    request: HttpRequest,
    body: web::Either<web::Json<NewContact>, web::Form<NewContact>>,
    simulation: web::Data<Simulation>,
) -> HttpResponse {
    let NewContact { email, list_id } = body.into_inner();
    let list = list_id.filter(|id| !id.is_empty()).or_else(|| default_list(&simulation));
    let Some(list) = list else { return HttpResponse::NotFound().finish() };
    // An audience sends nothing before it has a webhook; here it makes its own, as a person would by hand,
    // unless it has one or is told to wait for it (docs/decisions/0008).
    let ingest = format!("{}/elements/api-v2/events/mailchimpv3", simulation.origin);
    let waits = simulation.faults().no_own_webhook;
    if !waits && save_webhook(&simulation, &list, &ingest, people_only()).await.is_ok() {
        simulation.record("audience webhook made", &ingest, "saved");
    }
    let id = simulation.with(|world| {
        let id = world.hex(10);
        let contact = Contact { id: id.clone(), email: email.clone() };
        world.list(&list).map(|list| list.contacts.push(contact)).map(|()| id)
    });
    let Some(id) = id else { return HttpResponse::NotFound().finish() };
    announce(&simulation, &list, About { id: &id, email: &email, old_email: "" }, Change::Added);
    answer(&request, json!({ "id": id, "list_id": list }))
}

fn default_list(simulation: &Simulation) -> Option<String> {
    simulation.with(|world| {
        let account = world.instances.values().next_back().map_or(0, |instance| instance.account);
        world.accounts.get(account)?.lists.first().map(|list| list.id.to_owned())
    })
}

/// A changed contact; with another address it has moved.
#[derive(Deserialize, Default)]
struct ContactChange {
    #[serde(default)]
    new_email: String,
}

async fn change_contact(
    request: HttpRequest,
    email: web::Path<String>,
    body: web::Bytes,
    simulation: web::Data<Simulation>,
) -> HttpResponse {
    let ContactChange { new_email } = serde_json::from_slice(&body).unwrap_or_default();
    let found = simulation.with(|world| {
        let mut lists = world.accounts.iter_mut().flat_map(|account| &mut account.lists);
        lists.find_map(|list| {
            let contact = list.contacts.iter_mut().find(|contact| contact.email == *email)?;
            if !new_email.is_empty() {
                contact.email.clone_from(&new_email);
            }
            Some((list.id, contact.id.clone()))
        })
    });
    let Some((list, id)) = found else { return HttpResponse::NotFound().finish() };
    let now = if new_email.is_empty() { &*email } else { &new_email };
    let about = About { id: &id, email: now, old_email: &email };
    if !new_email.is_empty() {
        announce(&simulation, list, about, Change::Moved);
    }
    announce(&simulation, list, about, Change::Changed);
    answer(&request, json!({}))
}

/// Every contact of every audience unsubscribes: one POST for each.
async fn unsubscribe_all(request: HttpRequest, simulation: web::Data<Simulation>) -> HttpResponse {
    let gone: Vec<(&str, Contact)> = simulation.with(|world| {
        let lists = world.accounts.iter_mut().flat_map(|account| &mut account.lists);
        lists.flat_map(|list| list.contacts.drain(..).map(|contact| (list.id, contact))).collect()
    });
    for (list, contact) in &gone {
        let about = About { id: &contact.id, email: &contact.email, old_email: "" };
        announce(&simulation, list, about, Change::Removed);
    }
    answer(&request, json!({ "unsubscribed": gone.len() }))
}

async fn remove_contact(
    request: HttpRequest,
    email: web::Path<String>,
    simulation: web::Data<Simulation>,
) -> HttpResponse {
    let found = simulation.with(|world| {
        let mut lists = world.accounts.iter_mut().flat_map(|account| &mut account.lists);
        lists.find_map(|list| {
            let place = list.contacts.iter().position(|contact| contact.email == *email)?;
            Some((list.id, list.contacts.remove(place).id))
        })
    });
    let Some((list, id)) = found else { return HttpResponse::NotFound().finish() };
    announce(&simulation, list, About { id: &id, email: &email, old_email: "" }, Change::Removed);
    answer(&request, json!({}))
}

/// The person removes the app inside Mailchimp: every token dies; audience webhooks keep firing.
async fn revoke(request: HttpRequest, simulation: web::Data<Simulation>) -> HttpResponse {
    simulation.with(|world| world.tokens.clear());
    answer(&request, json!({}))
}

async fn redeliver(request: HttpRequest, simulation: web::Data<Simulation>) -> HttpResponse {
    redeliver_all(&simulation);
    answer(&request, json!({}))
}

async fn faults(simulation: web::Data<Simulation>) -> HttpResponse {
    HttpResponse::Ok().json(simulation.faults())
}

/// JSON replaces every switch; a form names those that are on.
async fn set_faults(
    request: HttpRequest,
    body: web::Bytes,
    simulation: web::Data<Simulation>,
) -> HttpResponse {
    let form = || {
        let pairs = form_urlencoded::parse(&body).map(|(name, value)| {
            let number = || json!(value.parse::<u64>().unwrap_or(0));
            let value =
                if name.ends_with("_ms") || name.ends_with("_status") { number() } else { json!(true) };
            (name.into_owned(), value)
        });
        serde_json::from_value::<Faults>(pairs.collect())
    };
    let Ok(faults) = serde_json::from_slice::<Faults>(&body).or_else(|_| form()) else {
        return HttpResponse::BadRequest().json(json!({ "message": "no such fault" }));
    };
    // What a fault held back goes out when it is switched off.
    let held = simulation.with(|world| {
        world.faults = faults;
        world.held.take()
    });
    release(&simulation);
    if let Some(held) = held {
        simulation.with(|world| world.queue.push(held));
        redeliver_all(&simulation);
    }
    answer(&request, json!({}))
}

/// As after the last failed try: every subscription is deactivated, and what follows is queued.
async fn give_up(request: HttpRequest, simulation: web::Data<Simulation>) -> HttpResponse {
    simulation.with(|world| world.instances.values_mut().for_each(|instance| instance.subscribed = false));
    answer(&request, json!({}))
}

async fn ledger(simulation: web::Data<Simulation>) -> HttpResponse {
    simulation.with(|world| {
        let alive: Vec<_> = world
            .instances
            .values()
            .map(|one| json!({ "id": one.id, "name": one.name, "tags": one.tags, "code": one.code, "configuration": one.configuration }))
            .collect();
        let lists = world.accounts.iter().flat_map(|account| &account.lists);
        let webhooks: Vec<_> = lists
            .flat_map(|list| list.webhooks.iter().map(|one| json!({ "list": list.id, "url": one.url, "sources": one.sources })))
            .collect();
        HttpResponse::Ok().json(json!({ "ledger": world.ledger, "instances": alive, "log": world.log, "queued": world.queue.len(), "webhooks": webhooks }))
    })
}
