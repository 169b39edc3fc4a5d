//! One suite for every database: each behaviour is written once and runs on SQLite always, and on Postgres
//! where `TEST_POSTGRES_URL` names one.

mod api_keys;
mod audiences;
mod bulk;
mod copies;
mod deliveries;
mod finding;
mod idempotency;
mod invites;
mod keys;
mod looking;
mod missed;
mod onboarding;
mod open_acts;
mod open_work;
mod operators;
mod questions;
mod receiving;
mod sqlite;
mod timelines;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use secrecy::{ExposeSecret, SecretString};
use sqlx::{AnyPool, Connection as _, Executor};
use tempfile::TempDir;
use time::OffsetDateTime;
use time::macros::datetime;

use super::open::{POSTGRES, SQLITE};
use super::*;
use crate::elements::{BrowserHash, Connection, Instance, InstanceState, Notification, SignatureKey};
use crate::entropy::{Entropy, SeededEntropy, SystemEntropy, draw};
use crate::reference::Reference;
use crate::seal::SecretKey;

pub(super) const NOON: OffsetDateTime = datetime!(2026-11-23 12:00 UTC);

/// A fresh database with everything needed to fill it.
pub(super) struct Bench {
    pub(super) storage: Storage,
    pub(super) url: SecretString,
    pub(super) key: SecretKey,
    pub(super) folder: TempDir,
    entropy: Arc<SystemEntropy>,
}

impl Bench {
    pub(super) async fn sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", folder.path().join("data/gangway.db").display());
        Self::open(url, folder).await
    }

    /// `None`, said aloud, where there is no Postgres.
    #[expect(clippy::disallowed_methods, reason = "the suite is told by its environment where Postgres is")]
    pub(super) async fn postgres() -> Option<Self> {
        static NAMES: AtomicU32 = AtomicU32::new(0);
        let Ok(server) = std::env::var("TEST_POSTGRES_URL") else {
            eprintln!("SKIPPED on Postgres: TEST_POSTGRES_URL is not set");
            return None;
        };
        sqlx::any::install_default_drivers();
        let name = format!("gangway_{}_{}", std::process::id(), NAMES.fetch_add(1, Ordering::Relaxed));
        let mut connection = sqlx::AnyConnection::connect(&server).await.unwrap();
        for statement in [format!("DROP DATABASE IF EXISTS {name}"), format!("CREATE DATABASE {name}")] {
            connection.execute(sqlx::AssertSqlSafe(statement)).await.unwrap();
        }
        let url = format!("{}/{name}", server.rsplit_once('/').unwrap().0);
        Some(Self::open(url, tempfile::tempdir().unwrap()).await)
    }

    async fn open(url: String, folder: TempDir) -> Self {
        let entropy = Arc::new(SystemEntropy::default());
        let (url, key) = (SecretString::from(url), SecretKey::draw(&*entropy));
        let storage = Storage::open(&url, Sealer::new(&key, None, entropy.clone())).await.unwrap();
        Self { storage, url, key, folder, entropy }
    }

    /// Closes the database and opens it again under `key`.
    pub(super) async fn reopened(
        self,
        key: &SecretKey,
        previous: Option<&SecretKey>,
    ) -> Result<Self, OpenError> {
        self.storage.close().await;
        let Self { storage, url, key: old, folder, entropy } = self;
        drop(storage);
        let storage = Storage::open(&url, Sealer::new(key, previous, entropy.clone())).await?;
        Ok(Self { storage, url, key: old, folder, entropy })
    }

    /// The same database as another process has it.
    pub(super) async fn beside(&self) -> Storage {
        let sealer = Sealer::new(&self.key, None, self.entropy.clone());
        Storage::open_beside(&self.url, sealer).await.unwrap()
    }

    /// A connection of somebody else, for looking behind the curtain.
    pub(super) async fn raw(&self) -> AnyPool {
        sqlx::any::AnyPoolOptions::new().max_connections(1).connect(self.url.expose_secret()).await.unwrap()
    }

    pub(super) fn entropy(&self) -> &dyn Entropy {
        &*self.entropy
    }

    pub(super) fn id(&self) -> Uuid {
        let clock = crate::clock::ManualClock::starting_at(NOON);
        crate::entropy::fresh_id(&clock, self.entropy())
    }

    pub(super) fn step(&self, kind: &str) -> Step {
        let reference = Reference::draw(self.entropy());
        Step { at: NOON, kind: kind.into(), summary: "because".into(), reference }
    }

    /// A row that is about to be made.
    pub(super) fn new_row(&self) -> NewInstanceRow {
        let instance = Instance {
            id: self.id(),
            name: "MailChimp".into(),
            customer: Some("Ada's shop".into()),
            tags: vec!["vip".into()],
            element: "mailchimpv3".into(),
            reference: Reference::draw(self.entropy()),
            browser: BrowserHash::of("browser"),
            created_at: NOON,
            first_event_at: None,
            last_event_at: None,
            notification_count: 0,
            last_checked_at: None,
            audiences: None,
            renewing: false,
            version: 0,
            state: InstanceState::Provisioning,
        };
        NewInstanceRow { invite: None, instance, signature_key: SignatureKey::draw(self.entropy()) }
    }

    /// A claimed request for `trip`.
    pub(super) fn request(&self, trip: Trip) -> ClaimedRequest {
        let reference = Reference::draw(self.entropy());
        ClaimedRequest {
            id: self.id(),
            browser: BrowserHash::of("browser"),
            trip,
            reference,
            claimed_at: NOON,
            started_at: None,
        }
    }

    pub(super) fn state(&self) -> StateHash {
        let seed = u64::from_le_bytes(draw(self.entropy()));
        State::draw(&SeededEntropy::new(seed)).hash()
    }

    /// Writes how `after` stands now, with the work of `ticket` done.
    pub(super) async fn settle(&self, ticket: Ticket, after: &Instance, token: Token<'_>) -> bool {
        let transition = Transition { token, work: Change::Close(ticket), ..self.transition(after) };
        self.storage.transition(transition).await.unwrap()
    }

    /// A transition to `after` that changes nothing else, and nothing that it is found by.
    pub(super) fn transition<'a>(&self, after: &'a Instance) -> Transition<'a> {
        Transition {
            before: after,
            after,
            token: Token::Keep,
            kept_answer: None,
            browser: None,
            work: Change::Keep,
            next_check: Some(NOON),
            calls: Vec::new(),
            step: self.step(after.state.as_str()),
        }
    }

    /// A provisioning instance on disk, with the ticket of its work.
    pub(super) async fn provisioning(&self) -> (NewInstanceRow, Ticket) {
        let new = self.new_row();
        let request = self.request(Trip::Granted(new.instance.id));
        let code = GrantCode::new("canary-code");
        let step = (self.step("granted"), lease(self.id()));
        let claim = self.storage.claim_grant(self.state(), &request, &code, &new, step).await;
        assert!(matches!(claim, Ok(Claim::Won)), "{claim:?}");
        let ticket = Ticket { instance: new.instance.id, id: request.id };
        (new, ticket)
    }

    /// A connected one, as it reads back.
    pub(super) async fn connected(&self) -> Instance {
        let (new, ticket) = self.provisioning().await;
        let connection = Connection { element_instance_id: 7, events_enabled: true, connected_at: NOON };
        let state = new.instance.state.clone().connect(connection).unwrap();
        let after = Instance { state, ..new.instance };
        assert!(self.settle(ticket, &after, Token::Put(&"canary-token".into())).await);
        self.storage.instance(after.id).await.unwrap().unwrap()
    }

    pub(super) async fn count(&self, query: &'static str) -> i64 {
        sqlx::query_scalar(query).fetch_one(&self.raw().await).await.unwrap()
    }
}

/// A notification with this body, as it arrives at noon.
pub(super) fn arriving(instance: Uuid, body: Vec<u8>) -> NewNotification {
    NewNotification {
        instance,
        tags: Arc::default(),
        decoded: Notification::decode(&body).ok(),
        headers: "[]".into(),
        body,
        received_at: NOON,
        first: None,
    }
}

/// In the hands of `holder` until half a minute past noon.
pub(super) fn lease(holder: Uuid) -> Lease {
    Lease { holder, until: NOON + time::Duration::seconds(30) }
}

pub(super) use crate::oauth::{GrantCode, State, StateHash};
pub(super) use uuid::Uuid;

/// Each behaviour, on each database.
macro_rules! on_every_database {
    ($($behaviour:ident),* $(,)?) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $behaviour() {
                super::$behaviour(crate::storage::contract::Bench::sqlite().await).await;
            })*
        }
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $behaviour() {
                if let Some(bench) = crate::storage::contract::Bench::postgres().await {
                    super::$behaviour(bench).await;
                }
            })*
        }
    };
}
pub(super) use on_every_database;
