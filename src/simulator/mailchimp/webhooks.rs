//! Audience webhooks: validated with a GET, delivered as signed forms, tried again, switched off by a 410.
//! Section 3 of the reference. A minute between tries there is a second here.

use std::net::IpAddr;
use std::time::Duration;

use actix_web::web;
use hmac::{Hmac, KeyInit, Mac};
use reqwest::header::{CONTENT_TYPE, USER_AGENT};
use serde_json::{Value, json};
use sha2::Sha256;
use time::macros::format_description;
use url::{Host, Url};

use crate::simulator::world::{List, Simulation, Webhook};

/// Gaps between tries, in seconds; Mailchimp's add up to 75 minutes.
const GAPS: [u64; 5] = [1, 5, 15, 25, 29];

/// What happened to a contact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::simulator) enum Change {
    Added,
    Changed,
    /// Another address: tells of both `upemail` and `profile`, in either order.
    Moved,
    Removed,
}

impl Change {
    fn event(self) -> &'static str {
        match self {
            Self::Added => "subscribe",
            Self::Changed => "profile",
            Self::Moved => "upemail",
            Self::Removed => "unsubscribe",
        }
    }
}

/// Whom an announcement is about.
#[derive(Debug, Clone, Copy)]
pub(in crate::simulator) struct About<'a> {
    pub(in crate::simulator) id: &'a str,
    pub(in crate::simulator) email: &'a str,
    /// The address before a move.
    pub(in crate::simulator) old_email: &'a str,
}

/// A delivery on its way.
#[derive(Clone)]
pub(in crate::simulator) struct Form {
    list: String,
    webhook: Webhook,
    body: String,
}

/// Why a webhook was not saved.
pub(in crate::simulator) enum NotSaved {
    NoSuchList,
    Duplicate,
    Unverified(String),
}

/// Saves a webhook on a list, if its address answers a GET and is not taken; the query does not count.
pub(in crate::simulator) async fn save_webhook(
    simulation: &Simulation,
    list: &str,
    url: &str,
    (events, sources): (Value, Value),
) -> Result<Webhook, NotSaved> {
    let is_free = |list: &List| {
        let bare = |url: &str| url.split('?').next().unwrap_or_default().to_owned();
        let taken = list.webhooks.iter().any(|known| bare(&known.url) == bare(url));
        if taken { Err(NotSaved::Duplicate) } else { Ok(()) }
    };
    simulation.with(|world| is_free(world.list(list).ok_or(NotSaved::NoSuchList)?))?;
    if !is_loopback(url) {
        return Err(NotSaved::Unverified("the simulation calls loopback addresses only".to_owned()));
    }
    let check = simulation.http.get(url).header(USER_AGENT, "MailChimp.com WebHook Validator").send().await;
    match check {
        Ok(answer) if answer.status().is_success() => {}
        Ok(answer) => return Err(NotSaved::Unverified(format!("it answered {}", answer.status().as_u16()))),
        Err(error) => return Err(NotSaved::Unverified(error.without_url().to_string())),
    }
    simulation.with(|world| {
        let (id, signing_secret) = (world.hex(10), world.hex(40));
        let list = world.list(list).ok_or(NotSaved::NoSuchList)?;
        // Somebody may have been quicker while the address was asked.
        is_free(list)?;
        let webhook = Webhook { id, url: url.to_owned(), events, sources, signing_secret, enabled: true };
        list.webhooks.push(webhook.clone());
        Ok(webhook)
    })
}

/// Whether `url` stays on this machine.
pub(in crate::simulator) fn is_loopback(url: &str) -> bool {
    Url::parse(url).is_ok_and(|url| match url.host() {
        Some(Host::Ipv4(address)) => IpAddr::from(address).is_loopback(),
        Some(Host::Ipv6(address)) => IpAddr::from(address).is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    })
}

/// Tells every webhook of the list.
pub(in crate::simulator) fn announce(
    simulation: &web::Data<Simulation>,
    list: &str,
    about: About<'_>,
    change: Change,
) {
    let faults = simulation.faults();
    let event = if faults.unknown_type { "telepathy" } else { change.event() };
    let body = form(simulation, event, if faults.wrong_list { "0000000000" } else { list }, about);
    let webhooks =
        simulation.with(|world| world.list(list).map(|list| list.webhooks.clone()).unwrap_or_default());
    for webhook in webhooks {
        let wanted = |flags: &Value, name: &str| flags.get(name).and_then(Value::as_bool).unwrap_or(true);
        if webhook.enabled && wanted(&webhook.events, change.event()) && wanted(&webhook.sources, "admin") {
            send(simulation, Form { list: list.to_owned(), webhook, body: body.clone() });
        }
    }
}

/// Sends it on its way, with the faults of deliveries.
fn send(simulation: &web::Data<Simulation>, form: Form) {
    let faults = simulation.faults();
    let mut batch = vec![form];
    if faults.webhook_reorder {
        simulation.with(|world| match world.held_form.take() {
            Some(held) => batch.push(held),
            None => world.held_form = batch.pop(),
        });
    }
    let simulation = simulation.clone();
    // One after the other, so that reordering is an order and not a race.
    tokio::spawn(async move {
        for form in batch {
            if faults.webhook_duplicate {
                deliver(simulation.clone(), form.clone()).await;
            }
            deliver(simulation.clone(), form).await;
        }
    });
}

/// Lets go of what the fault held back.
pub(in crate::simulator) fn release(simulation: &web::Data<Simulation>) {
    if let Some(form) = simulation.with(|world| world.held_form.take()) {
        tokio::spawn(deliver(simulation.clone(), form));
    }
}

fn form(
    simulation: &Simulation,
    event: &str,
    list: &str,
    About { id, email, old_email }: About<'_>,
) -> String {
    let fired_at = format_description!("[year]-[month]-[day] [hour]:[minute]:[second]");
    let fired_at = simulation.clock.now().format(fired_at).unwrap_or_default();
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.append_pair("type", event).append_pair("fired_at", &fired_at);
    if event == "unsubscribe" {
        form.append_pair("data[action]", "unsub").append_pair("data[reason]", "manual");
    }
    if event == "upemail" {
        let pairs = [
            ("data[list_id]", list),
            ("data[new_id]", id),
            ("data[new_email]", email),
            ("data[old_email]", old_email),
        ];
        return form.extend_pairs(pairs).finish();
    }
    let fields = [
        ("data[id]", id),
        ("data[list_id]", list),
        ("data[email]", email),
        ("data[email_type]", "html"),
        ("data[ip_opt]", "203.0.113.9"),
        ("data[web_id]", "481516"),
        ("data[merges][EMAIL]", email),
        ("data[merges][FNAME]", "Ines"),
        ("data[merges][LNAME]", "Okoro"),
    ];
    form.extend_pairs(fields).finish()
}

/// `X-Mailchimp-Signature`: `t=<seconds>,v1=<hex HMAC-SHA256 over t, a dot and the body>`.
fn signature(secret: &str, at: i64, body: &str) -> String {
    let digest = Hmac::<Sha256>::new_from_slice(secret.as_bytes())
        .map(|mac| mac.chain_update(format!("{at}.{body}")).finalize().into_bytes().to_vec())
        .unwrap_or_default();
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("t={at},v1={hex}")
}

async fn deliver(simulation: web::Data<Simulation>, Form { list, webhook, body }: Form) {
    for gap in GAPS {
        let faults = simulation.faults();
        let age = if faults.stale_webhooks { 600 } else { 0 };
        let at = simulation.clock.now().unix_timestamp() - age;
        let mut request = simulation
            .http
            .post(&webhook.url)
            .header(USER_AGENT, "MailChimp.com")
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(body.clone());
        if !faults.unsigned_webhooks {
            request = request.header("X-Mailchimp-Signature", signature(&webhook.signing_secret, at, &body));
        }
        let answer = request.send().await.map(|answer| answer.status().as_u16());
        let outcome = answer.as_ref().map_or_else(|_| "no answer".to_owned(), ToString::to_string);
        simulation.record("audience webhook", &webhook.url, outcome);
        match answer {
            Ok(200..=299) => return,
            Ok(410) => {
                simulation.with(|world| {
                    let known = world.list(&list).into_iter().flat_map(|list| &mut list.webhooks);
                    known.filter(|known| known.id == webhook.id).for_each(|known| known.enabled = false);
                });
                return;
            }
            _ => tokio::time::sleep(Duration::from_secs(gap)).await,
        }
    }
}

/// The flags of a webhook that hears everything from people, and nothing from the API: writing back must
/// not echo (reference section 4.18).
pub(in crate::simulator) fn people_only() -> (Value, Value) {
    let events = json!({ "subscribe": true, "unsubscribe": true, "profile": true, "cleaned": true, "upemail": true, "campaign": true });
    (events, json!({ "user": true, "admin": true, "api": false }))
}
