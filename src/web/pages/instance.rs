//! `GET /instances/{id}`: progress, then the result, then the first event. For the browser that made it,
//! and for the operator; to all others there is nothing here.

use actix_web::{HttpResponse, web};
use askama::Template;
use url::Url;
use uuid::Uuid;

use super::stopped::stopped;
use super::{Action, ProblemPage};
use crate::elements::{Connection, Instance, InstanceState, Problem, ProblemKind};
use crate::reference::Reference;
use crate::storage::{Origin, StorageError};
use crate::web::Gangway;
use crate::web::failure::Failure;
use crate::web::guards::{BrowserSession, SignedIn};
use crate::web::view::{Frame, Moment, Page};

/// Elapsed time is shown from here on: before, it would only worry.
const SHOW_ELAPSED_AFTER: time::Duration = time::Duration::seconds(5);

#[derive(Template)]
#[template(path = "finishing.html")]
struct FinishingPage {
    frame: Frame,
    /// Without one the page loads itself again.
    feed: Option<String>,
    looking: bool,
    elapsed: Option<String>,
    reference: String,
}

#[derive(Template)]
#[template(path = "connected.html")]
struct ConnectedPage {
    frame: Frame,
    feed: String,
    name: String,
    element: String,
    element_instance_id: String,
    connected_at: Moment,
    events_enabled: bool,
    first_event: Option<FirstEvent>,
    /// The names of the audiences that report.
    reporting: Vec<String>,
    webhook_url: String,
    manage: String,
    simulator_control: Option<String>,
    /// Where an invite said the customer goes afterwards, and its host.
    back: Option<(String, String)>,
    reference: String,
}

/// The proof that events flow: kind and time, nothing of anybody's.
struct FirstEvent {
    at: Moment,
    kind: String,
}

/// Its page.
pub(super) fn page_of(id: Uuid) -> String {
    format!("/instances/{id}")
}

/// The instance that `id` names, if this browser may see it.
pub(super) async fn visible(app: &Gangway, session: &BrowserSession, id: &str) -> Result<Instance, Failure> {
    let instance = app.instance(id).await?;
    if session.browser().as_ref() == Some(&instance.browser) || SignedIn::check(app, session).await?.is_some()
    {
        Ok(instance)
    } else {
        Err(Failure::NotFound)
    }
}

/// The same for changing it: by the browser that made it. An operator acts in the console.
pub(super) async fn changeable(
    app: &Gangway,
    session: &BrowserSession,
    id: &str,
) -> Result<Instance, Failure> {
    let id = id.parse::<Uuid>().map_err(|_| Failure::NotFound)?;
    let instance = app.storage.instance(id).await?.ok_or(Failure::NotFound)?;
    let own = session.browser().as_ref() == Some(&instance.browser);
    own.then_some(instance).ok_or(Failure::NotFound)
}

/// Shows it as it stands.
pub async fn instance(
    id: web::Path<String>,
    session: BrowserSession,
    app: web::Data<Gangway>,
) -> Result<HttpResponse, Failure> {
    let instance = visible(&app, &session, &id).await?;
    match &instance.state {
        InstanceState::Provisioning => finishing(&app, &instance, false).show(),
        InstanceState::Unknown(_) => finishing(&app, &instance, true).show(),
        InstanceState::Failed(problem) => failed(&app, &instance, problem).show(),
        InstanceState::Connected(connection) => connected(&app, &instance, connection).await?.show(),
        InstanceState::NeedsAttention(..) if instance.renewing => finishing(&app, &instance, false).show(),
        _ => stopped(&app, &instance).await?.show(),
    }
}

/// What a watcher has seen; the feed speaks up as soon as something else is true.
pub(super) fn seen(instance: &Instance) -> String {
    let first_event = if instance.first_event_at.is_some() { "-proven" } else { "" };
    let renewing = if instance.renewing { "-renewing" } else { "" };
    format!("{}{first_event}{renewing}", instance.state.as_str())
}

/// The feed of an instance, for a page that shows it as it stands now.
pub fn feed_url(instance: &Instance) -> String {
    format!("/instances/{}/feed?seen={}", instance.id, seen(instance))
}

fn finishing(app: &Gangway, instance: &Instance, looking: bool) -> FinishingPage {
    let elapsed = app.clock.now() - instance.created_at;
    let shown = elapsed >= SHOW_ELAPSED_AFTER && !instance.renewing;
    FinishingPage {
        frame: app.frame(),
        feed: Some(feed_url(instance)),
        looking,
        elapsed: shown.then(|| in_words(elapsed)),
        reference: instance.reference.to_string(),
    }
}

/// For a browser that may not watch the instance: the page loads itself again.
pub(super) fn finishing_elsewhere(
    app: &Gangway,
    instance: &Instance,
    reference: Reference,
) -> Result<HttpResponse, Failure> {
    let reference = reference.to_string();
    FinishingPage { feed: None, reference, ..finishing(app, instance, false) }.show()
}

fn in_words(elapsed: time::Duration) -> String {
    match elapsed.whole_seconds() {
        seconds if seconds < 120 => format!("{seconds} seconds"),
        seconds => format!("{} minutes", seconds / 60),
    }
}

async fn connected(
    app: &Gangway,
    instance: &Instance,
    connection: &Connection,
) -> Result<ConnectedPage, StorageError> {
    let first_event = match instance.first_event_at {
        None => None,
        Some(at) => {
            let kind = app.storage.first_event_kind(instance.id).await?;
            Some(FirstEvent { at: at.into(), kind: kind.unwrap_or_else(|| "UNKNOWN".to_owned()) })
        }
    };
    let chosen = app.storage.audience_webhooks(instance.id).await?;
    let reporting = chosen.into_iter().filter(|chosen| chosen.origin != Origin::Asked);
    let reporting = reporting.map(|chosen| chosen.name).collect();
    Ok(ConnectedPage {
        frame: app.frame(),
        feed: feed_url(instance),
        name: instance.name.clone(),
        element: instance.element.clone(),
        element_instance_id: connection.element_instance_id.to_string(),
        connected_at: connection.connected_at.into(),
        events_enabled: connection.events_enabled,
        first_event,
        reporting,
        webhook_url: app.cloud_elements.audience_webhook_url(&instance.element),
        manage: page_of(instance.id),
        simulator_control: app.config.demo.as_ref().map(|demo| demo.control_url.clone()),
        back: back(app, instance).await?,
        reference: instance.reference.to_string(),
    })
}

/// The setting may have changed since the invite was made.
async fn back(app: &Gangway, instance: &Instance) -> Result<Option<(String, String)>, StorageError> {
    let url = app.storage.return_url(instance.id).await?;
    let url = url.filter(|url| app.config.connecting.return_urls.allow(url));
    Ok(url.and_then(|url| Some((url.clone(), Url::parse(&url).ok()?.host_str()?.to_owned()))))
}

fn failed(app: &Gangway, instance: &Instance, problem: &Problem) -> ProblemPage {
    let (headline, sentences): (_, &[&str]) = match problem.kind {
        ProblemKind::GrantRefused => (
            "MailChimp did not accept the approval",
            &[
                "An approval is good for half a minute and for one use; this one came too late or twice.",
                "Nothing was connected. Please approve again.",
            ],
        ),
        ProblemKind::SetupRefused => (
            "We need to fix something on our side",
            &[
                "Our access was not accepted. This is our fault, not yours.",
                "Nothing was connected. Please tell us the reference below; you can approve again once it is fixed.",
            ],
        ),
        _ => (
            "MailChimp did not answer",
            &[
                "We looked for the connection and it was not made.",
                "Nothing was connected. Please approve again; it takes a few seconds.",
            ],
        ),
    };
    ProblemPage {
        frame: app.frame(),
        calm: false,
        headline,
        sentences: sentences.iter().map(|&sentence| sentence.to_owned()).collect(),
        action: Action::start_again(app),
        code: problem.kind.as_str(),
        support: app.support_for(instance.reference),
        reference: instance.reference.to_string(),
        at: instance.created_at.into(),
    }
}
