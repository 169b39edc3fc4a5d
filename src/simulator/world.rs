//! What exists on the other side: apps, accounts, audiences, codes, tokens, instances. One lock, never
//! held across an await; what happened long ago is forgotten.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, RngExt};
use serde::Serialize;
use serde_json::{Map, Value};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::Faults;
use super::mailchimp::Form;
use crate::clock::SharedClock;

/// Lines kept of what was sent.
const LOG: usize = 500;
/// Mailchimp's codes live so long (reference/mailchimp.md section 1.2).
pub(super) const CODE_LIFETIME: time::Duration = time::Duration::seconds(30);

/// One running simulation.
pub(super) struct Simulation {
    pub(super) origin: String,
    pub(super) clock: SharedClock,
    pub(super) http: reqwest::Client,
    world: Mutex<World>,
}

/// An app registered at the stand-in Mailchimp.
#[derive(Debug, Clone, serde::Deserialize)]
pub struct RegisteredApp {
    /// Shown on the authorize page.
    pub name: String,
    /// `client_id`
    pub client_id: String,
    /// `client_secret`
    pub client_secret: String,
    /// Compared byte for byte.
    pub redirect_uris: Vec<String>,
}

#[derive(Default)]
pub(super) struct World {
    pub(super) apps: Vec<RegisteredApp>,
    pub(super) accounts: Vec<Account>,
    pub(super) codes: HashMap<String, Code>,
    /// Access token to account.
    pub(super) tokens: HashMap<String, usize>,
    pub(super) instances: BTreeMap<i64, Instance>,
    pub(super) faults: Faults,
    pub(super) log: VecDeque<Sent>,
    /// Notifications of deactivated subscriptions.
    pub(super) queue: Vec<Queued>,
    /// Held back by the fault `reorder`.
    pub(super) held: Option<Queued>,
    /// Held back by the fault `webhook_reorder`.
    pub(super) held_form: Option<Form>,
    pub(super) events: VecDeque<Value>,
    pub(super) ledger: Ledger,
    /// API calls under way, by account.
    pub(super) running: HashMap<usize, usize>,
    random: Option<StdRng>,
    last_id: i64,
}

/// A Mailchimp account with its audiences.
pub(super) struct Account {
    pub(super) id: usize,
    pub(super) name: &'static str,
    pub(super) email: &'static str,
    pub(super) lists: Vec<List>,
}

pub(super) struct List {
    pub(super) id: &'static str,
    pub(super) name: &'static str,
    pub(super) contacts: Vec<Contact>,
    pub(super) webhooks: Vec<Webhook>,
}

pub(super) struct Contact {
    pub(super) id: String,
    pub(super) email: String,
}

#[derive(Clone)]
pub(super) struct Webhook {
    pub(super) id: String,
    pub(super) url: String,
    pub(super) events: Value,
    pub(super) sources: Value,
    pub(super) signing_secret: String,
    pub(super) enabled: bool,
}

pub(super) struct Code {
    pub(super) client_id: String,
    pub(super) redirect_uri: String,
    pub(super) account: usize,
    pub(super) issued_at: OffsetDateTime,
    pub(super) spent: bool,
}

/// An element instance.
#[derive(Clone)]
pub(super) struct Instance {
    pub(super) id: i64,
    pub(super) token: String,
    pub(super) name: String,
    pub(super) tags: Vec<String>,
    pub(super) element: String,
    pub(super) configuration: Map<String, Value>,
    pub(super) created: OffsetDateTime,
    pub(super) disabled: bool,
    /// The subscription to its notifications; deactivated when all tries failed.
    pub(super) subscribed: bool,
    pub(super) mailchimp_token: String,
    pub(super) account: usize,
    pub(super) code: String,
}

/// One attempt to deliver something.
#[derive(Clone, Serialize)]
pub(super) struct Sent {
    pub(super) at: String,
    pub(super) what: String,
    pub(super) to: String,
    pub(super) outcome: String,
}

/// A notification on its way.
#[derive(Clone)]
pub(super) struct Queued {
    pub(super) instance: i64,
    pub(super) id: String,
    pub(super) body: String,
}

/// What tests count.
#[derive(Default, Clone, Serialize)]
pub(super) struct Ledger {
    /// `POST /instances` that arrived.
    pub(super) create_calls: u64,
    /// Of those, by code.
    pub(super) codes: HashMap<String, u64>,
    /// Instances made.
    pub(super) created: u64,
    /// Notification attempts.
    pub(super) notifications: u64,
    /// Calls for what is queued.
    pub(super) redeliveries: u64,
}

impl Simulation {
    pub(super) fn new(origin: String, clock: SharedClock) -> Result<Self, reqwest::Error> {
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .timeout(Duration::from_secs(10))
            .build()?;
        Ok(Self { origin, clock, http, world: Mutex::new(World::populated()) })
    }

    /// Looks at or changes the world.
    pub(super) fn with<T>(&self, act: impl FnOnce(&mut World) -> T) -> T {
        act(&mut self.world.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn faults(&self) -> Faults {
        self.with(|world| world.faults.clone())
    }

    pub(super) fn record(&self, what: impl Into<String>, to: &str, outcome: impl Into<String>) {
        let at = self.clock.now().format(&Rfc3339).unwrap_or_default();
        let sent = Sent { at, what: what.into(), to: to.to_owned(), outcome: outcome.into() };
        self.with(|world| {
            world.log.truncate(LOG - 1);
            world.log.push_front(sent);
        });
    }
}

impl World {
    fn populated() -> Self {
        let list = |id, name| List { id, name, contacts: Vec::new(), webhooks: Vec::new() };
        let accounts = vec![
            Account {
                id: 0,
                name: "Harbour Books",
                email: "ada@harbour-books.example",
                lists: vec![list("b7e51c90aa", "Newsletter"), list("c19d20f4e2", "Events")],
            },
            Account {
                id: 1,
                name: "Quay Coffee",
                email: "ines@quay-coffee.example",
                lists: vec![list("9ad41f77b0", "Regulars")],
            },
        ];
        Self { accounts, random: Some(rand::make_rng()), last_id: 700_122, ..Self::default() }
    }

    pub(super) fn register(&mut self, app: RegisteredApp) {
        self.apps.retain(|known| known.client_id != app.client_id);
        self.apps.push(app);
    }

    pub(super) fn app(&self, client_id: &str) -> Option<&RegisteredApp> {
        self.apps.iter().find(|app| app.client_id == client_id)
    }

    pub(super) fn list(&mut self, id: &str) -> Option<&mut List> {
        self.accounts.iter_mut().flat_map(|account| &mut account.lists).find(|list| list.id == id)
    }

    /// So many random hex digits.
    pub(super) fn hex(&mut self, digits: usize) -> String {
        let random = self.random.get_or_insert_with(rand::make_rng);
        (0..digits).map(|_| char::from_digit(random.random_range(0..16), 16).unwrap_or('0')).collect()
    }

    /// An instance token: standard base64 of 32 bytes.
    pub(super) fn token(&mut self) -> String {
        use base64::Engine as _;
        let mut bytes = [0; 32];
        self.random.get_or_insert_with(rand::make_rng).fill_bytes(&mut bytes);
        base64::engine::general_purpose::STANDARD.encode(bytes)
    }

    pub(super) fn next_id(&mut self) -> i64 {
        self.last_id += 1;
        self.last_id
    }

    /// Spends a code as Mailchimp's token endpoint does; answers the access token, or the `error` word.
    pub(super) fn spend(
        &mut self,
        code: &str,
        (client_id, client_secret): (&str, &str),
        redirect_uri: &str,
        now: OffsetDateTime,
    ) -> Result<String, &'static str> {
        if self.app(client_id).is_none_or(|app| app.client_secret != client_secret) {
            return Err("invalid_client");
        }
        self.codes.retain(|_, code| now - code.issued_at < CODE_LIFETIME * 4);
        let known = self.codes.get_mut(code).ok_or("invalid_grant")?;
        let good = !known.spent
            && known.client_id == client_id
            && known.redirect_uri == redirect_uri
            && now - known.issued_at < CODE_LIFETIME;
        known.spent = true;
        let account = known.account;
        if !good {
            return Err("invalid_grant");
        }
        let token = self.hex(32);
        self.tokens.insert(token.clone(), account);
        Ok(token)
    }
}
