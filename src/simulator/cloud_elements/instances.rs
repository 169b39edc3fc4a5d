//! `/instances`: sections 4 and 5. Creating spends the code at the stand-in Mailchimp;
//! secrets are masked in answers; an empty list is a 404; a name is stripped of HTML.

use std::time::Duration;

use actix_web::{HttpResponse, web};
use serde_json::{Map, Value, json};
use time::format_description::well_known::Rfc3339;

use super::credentials::{Platform, error, provider_error};
use crate::simulator::world::{Instance, Simulation, World};

const MASK: &str = "********";
pub(super) const ELEMENT: &str = "mailchimpv3";

pub(super) async fn organization(_: Platform) -> HttpResponse {
    HttpResponse::Ok().json(json!({ "id": 12, "name": "Simulated organization" }))
}

pub(super) async fn create(
    _: Platform,
    body: web::Json<Value>,
    simulation: web::Data<Simulation>,
) -> HttpResponse {
    let element = body["element"]["key"].as_str().unwrap_or_default().to_owned();
    make(element, body.into_inner(), simulation).await
}

pub(super) async fn create_of_element(
    _: Platform,
    element: web::Path<String>,
    body: web::Json<Value>,
    simulation: web::Data<Simulation>,
) -> HttpResponse {
    make(element.into_inner(), body.into_inner(), simulation).await
}

async fn make(element: String, body: Value, simulation: web::Data<Simulation>) -> HttpResponse {
    let faults = simulation.faults();
    let code = body["providerData"]["code"].as_str().unwrap_or_default().to_owned();
    simulation.with(|world| {
        world.ledger.create_calls += 1;
        *world.ledger.codes.entry(code.clone()).or_default() += 1;
    });
    let made = if faults.think_ms > 0 {
        let (spent, working) = (code.clone(), simulation.clone());
        let work = tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(faults.think_ms)).await;
            exchange_and_store(&element, &body, &spent, &working).map_err(|_| ())
        });
        let made = work.await.unwrap_or(Err(()));
        made.map_err(|()| error(400, "Failed to exchange the code at the vendor"))
    } else {
        exchange_and_store(&element, &body, &code, &simulation)
    };
    if faults.slow_ms > 0 {
        tokio::time::sleep(Duration::from_millis(faults.slow_ms)).await;
    }
    match made {
        Err(refusal) => refusal,
        Ok(_) if faults.fail_after_create => error(500, "Internal error"),
        // Headers and then nothing: the connection ends before the answer does.
        Ok(_) if faults.lose_reply => {
            HttpResponse::Ok().content_type("application/json").streaming(futures_util::stream::once(async {
                Err::<web::Bytes, _>(std::io::Error::other("cut"))
            }))
        }
        Ok(instance) => {
            let mut answer = shown(&instance);
            answer["providerData"] = json!({ "code": code });
            HttpResponse::Ok().json(answer)
        }
    }
}

fn exchange_and_store(
    element: &str,
    body: &Value,
    code: &str,
    simulation: &Simulation,
) -> Result<Instance, HttpResponse> {
    if element != ELEMENT {
        return Err(error(404, &format!("No element found with key {element}")));
    }
    let configuration = body["configuration"].as_object().cloned().unwrap_or_default();
    let needed = ["oauth.api.key", "oauth.api.secret", "oauth.callback.url"];
    let missing: Vec<&str> = needed.into_iter().filter(|key| text(&configuration, key).is_empty()).collect();
    if !missing.is_empty() {
        return Err(error(400, &format!("Missing required configuration: {}", missing.join(", "))));
    }
    let (key, secret, callback) =
        (text(&configuration, needed[0]), text(&configuration, needed[1]), text(&configuration, needed[2]));
    let now = simulation.clock.now();
    simulation.with(|world| {
        let token = world.spend(code, (&key, &secret), &callback, now).map_err(|word| {
            provider_error(
                400,
                "Failed to exchange the code at the vendor",
                &format!("{{\"error\":\"{word}\"}}"),
            )
        })?;
        let name = without_html(body["name"].as_str().unwrap_or("instance"));
        let tags = tags(&body["tags"]).unwrap_or_else(|| vec![name.clone()]);
        let account = world.tokens.get(&token).copied().unwrap_or_default();
        let instance = Instance {
            id: world.next_id(),
            token: world.token(),
            name,
            tags,
            element: element.to_owned(),
            configuration,
            created: now,
            disabled: false,
            subscribed: true,
            mailchimp_token: token,
            account,
            code: code.to_owned(),
        };
        world.ledger.created += 1;
        world.instances.insert(instance.id, instance.clone());
        Ok(instance)
    })
}

/// A value of the configuration as text; the docs send booleans both ways.
pub(super) fn text(configuration: &Map<String, Value>, key: &str) -> String {
    match configuration.get(key) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Null) | None => String::new(),
        Some(other) => other.to_string(),
    }
}

fn tags(value: &Value) -> Option<Vec<String>> {
    let tags = value.as_array()?.iter();
    Some(tags.filter_map(|tag| tag.as_str().map(without_html)).collect())
}

fn without_html(text: &str) -> String {
    let mut kept = String::new();
    let mut depth = 0_u32;
    for letter in text.chars() {
        match letter {
            '<' => depth += 1,
            '>' if depth > 0 => depth -= 1,
            _ if depth == 0 => kept.push(letter),
            _ => {}
        }
    }
    kept
}

/// An instance as answers show it: secrets masked, values as text.
pub(super) fn shown(instance: &Instance) -> Value {
    let masked = |(key, _): (&String, &Value)| {
        let secret =
            matches!(key.as_str(), "oauth.api.key" | "oauth.api.secret" | "event.notification.signature.key");
        let value = if secret { MASK.to_owned() } else { text(&instance.configuration, key) };
        (key.clone(), Value::String(value))
    };
    json!({
        "id": instance.id, "name": instance.name, "token": instance.token, "tags": instance.tags,
        "createdDate": instance.created.format(&Rfc3339).unwrap_or_default(),
        "element": { "id": 527, "name": "MailChimp v3.0", "key": instance.element, "hub": "marketing",
            "authentication": { "type": "oauth2" } },
        "elementId": 527, "provisionInteractions": [], "valid": true, "disabled": instance.disabled,
        "configuration": instance.configuration.iter().map(masked).collect::<Map<_, _>>(),
        "eventsEnabled": text(&instance.configuration, "event.notification.enabled") == "true",
        "externalAuthentication": "none",
        "user": { "id": 300, "emailAddress": "ops@example.test", "firstName": "A", "lastName": "B" },
    })
}

fn on_instance(
    simulation: &Simulation,
    id: i64,
    act: impl FnOnce(&mut World) -> HttpResponse,
) -> HttpResponse {
    simulation.with(|world| {
        if world.instances.contains_key(&id) {
            act(world)
        } else {
            error(404, &format!("No instance found with id {id}"))
        }
    })
}

fn changed(simulation: &Simulation, id: i64, change: impl FnOnce(&mut Instance)) -> HttpResponse {
    on_instance(simulation, id, |world| match world.instances.get_mut(&id) {
        None => error(404, "No instance found"),
        Some(instance) => {
            change(instance);
            HttpResponse::Ok().json(shown(instance))
        }
    })
}

pub(super) async fn get(_: Platform, id: web::Path<i64>, simulation: web::Data<Simulation>) -> HttpResponse {
    changed(&simulation, *id, |_| {})
}

/// Re-authentication with a new code, or a change; the id stays.
pub(super) async fn put(
    platform: Platform,
    id: web::Path<i64>,
    body: web::Json<Value>,
    simulation: web::Data<Simulation>,
) -> HttpResponse {
    patch(platform, id, body, simulation).await
}

pub(super) async fn patch(
    _: Platform,
    id: web::Path<i64>,
    body: web::Json<Value>,
    simulation: web::Data<Simulation>,
) -> HttpResponse {
    if let Some(code) = body["providerData"]["code"].as_str() {
        let now = simulation.clock.now();
        let spent = on_instance(&simulation, *id, |world| {
            let Some(configuration) = world.instances.get(&id).map(|one| one.configuration.clone()) else {
                return error(404, "No instance found");
            };
            let client = (text(&configuration, "oauth.api.key"), text(&configuration, "oauth.api.secret"));
            let callback = text(&configuration, "oauth.callback.url");
            match world.spend(code, (&client.0, &client.1), &callback, now) {
                Err(word) => provider_error(400, "Failed to exchange the code at the vendor", word),
                Ok(token) => {
                    let account = world.tokens.get(&token).copied().unwrap_or_default();
                    if let Some(instance) = world.instances.get_mut(&id) {
                        (instance.mailchimp_token, instance.account) = (token, account);
                    }
                    HttpResponse::Ok().finish()
                }
            }
        });
        if !spent.status().is_success() {
            return spent;
        }
    }
    let faults = simulation.faults();
    if faults.change_status > 0 {
        return error(faults.change_status, "It cannot be changed now");
    }
    if faults.change_garbage {
        return HttpResponse::Ok().body("<h1>Welcome</h1>");
    }
    let answer = change(&simulation, *id, &body);
    tokio::time::sleep(Duration::from_millis(faults.change_slow_ms)).await;
    if faults.change_lost { error(500, "An unexpected error occurred") } else { answer }
}

fn change(simulation: &web::Data<Simulation>, id: i64, body: &Value) -> HttpResponse {
    changed(simulation, id, |instance| {
        if let Some(name) = body["name"].as_str() {
            instance.name = without_html(name);
        }
        if let Some(tags) = tags(&body["tags"]) {
            instance.tags = tags;
        }
        for (key, value) in body["configuration"].as_object().into_iter().flatten() {
            if value.as_str() != Some(MASK) {
                instance.configuration.insert(key.clone(), value.clone());
            }
        }
    })
}

pub(super) async fn delete(
    _: Platform,
    id: web::Path<i64>,
    simulation: web::Data<Simulation>,
) -> HttpResponse {
    on_instance(&simulation, *id, |world| {
        world.instances.remove(&id);
        HttpResponse::Ok().finish()
    })
}

pub(super) async fn enable(
    _: Platform,
    id: web::Path<i64>,
    simulation: web::Data<Simulation>,
) -> HttpResponse {
    changed(&simulation, *id, |instance| instance.disabled = false)
}

pub(super) async fn disable(
    _: Platform,
    id: web::Path<i64>,
    simulation: web::Data<Simulation>,
) -> HttpResponse {
    changed(&simulation, *id, |instance| instance.disabled = true)
}

pub(super) async fn configuration(
    _: Platform,
    id: web::Path<i64>,
    simulation: web::Data<Simulation>,
) -> HttpResponse {
    on_instance(&simulation, *id, |world| {
        let instance = world.instances.get(&id).map(shown).unwrap_or_default();
        let entries = instance["configuration"].as_object().cloned().unwrap_or_default();
        let entries = entries.iter().enumerate().map(|(entry, (key, value))| {
            json!({ "id": entry + 1, "key": key, "name": key, "propertyValue": value, "active": true })
        });
        HttpResponse::Ok().json(entries.collect::<Vec<_>>())
    })
}

pub(super) async fn configure(
    _: Platform,
    path: web::Path<(i64, usize)>,
    body: web::Json<Value>,
    simulation: web::Data<Simulation>,
) -> HttpResponse {
    let (id, entry) = path.into_inner();
    on_instance(&simulation, id, |world| {
        let Some(instance) = world.instances.get_mut(&id) else { return error(404, "No instance found") };
        let key = instance.configuration.keys().nth(entry.wrapping_sub(1)).cloned();
        let Some(key) = key else { return error(404, "No configuration found") };
        instance.configuration.insert(key.clone(), body["propertyValue"].clone());
        HttpResponse::Ok().json(json!({ "id": entry, "key": key, "propertyValue": body["propertyValue"] }))
    })
}
