//! The app: puts the rooms together, binds, runs, and shuts down in order.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use actix_web::dev::Server;
use actix_web::middleware::from_fn;
use actix_web::{App as ActixApp, HttpServer, web};
use anyhow::Context;
use socket2::{Domain, Socket, Type};
use tokio_util::sync::CancellationToken;

use crate::checkpoint::{NoCheckpoints, SharedCheckpoints};
use crate::clock::{SharedClock, SystemClock};
use crate::config::{AuthorizeUrlFrom, Config};
use crate::doctor;
use crate::elements::CloudElements;
use crate::entropy::{SharedEntropy, SystemEntropy, fresh_id};
use crate::events::{self, Deliveries, Feed, Inbox, Missed, Refusals, Trial};
use crate::mailchimp::Mailchimp;
use crate::oauth::State;
use crate::onboarding::{Onboarding, Rooms};
use crate::seal::Sealer;
use crate::storage::Storage;
use crate::web::{Assets, Console, Fresh, Gangway, Metrics, RateLimit, SecurityHeaders, Waiting};

/// Onboardings under way may take so long to end; what is left is recovery's at the next start.
const GRACE: Duration = Duration::from_secs(10);
/// Requests under way may take so long to end.
const REQUEST_GRACE_SECONDS: u64 = 5;
/// Connections that may wait to be accepted.
const BACKLOG: i32 = 4096;
/// Live pages end in far less.
const LIVE_PAGES_END: Duration = Duration::from_millis(150);
const TIDY_EVERY: Duration = Duration::from_secs(60);

/// What is handed in, so that a test can hand in something else.
pub struct Surroundings {
    /// The time.
    pub clock: SharedClock,
    /// Randomness.
    pub entropy: SharedEntropy,
    /// Where tests stop the flow.
    pub checkpoints: SharedCheckpoints,
}

impl Default for Surroundings {
    fn default() -> Self {
        Self {
            clock: Arc::new(SystemClock),
            entropy: Arc::new(SystemEntropy::default()),
            checkpoints: Arc::new(NoCheckpoints),
        }
    }
}

/// A Gangway that is bound and can be run.
pub struct App {
    gangway: web::Data<Gangway>,
    server: Server,
    address: SocketAddr,
}

/// Binds `address` with room for a thousand customers who come back in the same moment: past a full
/// backlog a connection waits a whole second for its next try.
pub fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

impl App {
    /// Opens the database, binds `config.listen_addr` and gets ready to answer.
    pub async fn build(config: Config, surroundings: Surroundings) -> anyhow::Result<Self> {
        let listener = listen(config.listen_addr)
            .with_context(|| format!("cannot listen on {}; is LISTEN_ADDR taken?", config.listen_addr))?;
        Self::build_on(listener, config, surroundings).await
    }

    /// The same on a listener that is bound already.
    pub async fn build_on(
        listener: TcpListener,
        config: Config,
        surroundings: Surroundings,
    ) -> anyhow::Result<Self> {
        let address = listener.local_addr()?;
        let gangway = web::Data::new(assemble(config, surroundings).await?);
        let server = serve(listener, gangway.clone())?;
        Ok(Self { gangway, server, address })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The one-time sign-in link, if nobody can sign in yet.
    pub async fn first_sign_in_link(&self) -> anyhow::Result<Option<String>> {
        Ok(self.gangway.operators().first_sign_in_link().await?)
    }

    /// What `gangway doctor` examines, while this runs.
    pub fn chain(&self) -> anyhow::Result<doctor::Chain> {
        self.gangway.chain()
    }

    /// Runs until `shutdown` is cancelled, then ends live pages, requests, onboardings with deliveries, and the
    /// database, in this order.
    pub async fn run(self, shutdown: CancellationToken) -> io::Result<()> {
        self.gangway.storage.serve_under_present_key().await.map_err(io::Error::other)?;
        self.gangway.onboarding.start_background();
        self.gangway.deliveries.start_background();
        self.gangway.missed.start_background();
        self.answer(shutdown).await
    }

    /// The same, and takes nothing up by itself: for being looked at.
    pub async fn answer(self, shutdown: CancellationToken) -> io::Result<()> {
        let Self { gangway, server, .. } = self;
        let tidying = tokio::spawn(tidy(gangway.clone()));
        let handle = server.handle();
        let closing = gangway.closing.clone();
        let stopper = tokio::spawn(async move {
            shutdown.cancelled().await;
            tracing::info!("stopping");
            closing.cancel();
            // The workers look once a second whether their connections have ended; live pages need a moment.
            tokio::time::sleep(LIVE_PAGES_END).await;
            handle.stop(true).await;
        });
        let ended = server.await;
        stopper.abort();
        tidying.abort();
        write_starts(&gangway).await;
        tokio::join!(gangway.onboarding.stop(GRACE), gangway.deliveries.stop(), gangway.missed.stop());
        gangway.storage.close().await;
        tracing::info!("stopped");
        ended
    }
}

/// The seals of the settings.
pub fn sealer(config: &Config, surroundings: &Surroundings) -> Sealer {
    let previous = config.secret_key_previous.as_ref();
    Sealer::new(&config.secret_key, previous, surroundings.entropy.clone())
}

/// What `gangway doctor` examines beside a process that serves.
pub fn chain_beside(
    config: Config,
    storage: Storage,
    surroundings: &Surroundings,
) -> anyhow::Result<doctor::Chain> {
    Ok(doctor::Chain {
        cloud_elements: Arc::new(cloud_elements(&config)?),
        mailchimp: Mailchimp::new(&config.mailchimp, &config.public_url)?,
        clock: surroundings.clock.clone(),
        state: State::draw(&*surroundings.entropy),
        process: None,
        least_free: doctor::LEAST_FREE,
        slow_write: doctor::SLOW_WRITE,
        storage,
        config,
    })
}

/// The onboarding over a database that is open, for commands.
pub fn onboarding(
    config: &Config,
    storage: Storage,
    surroundings: Surroundings,
) -> anyhow::Result<Arc<Onboarding>> {
    let Surroundings { clock, entropy, checkpoints } = surroundings;
    let cloud_elements = Arc::new(cloud_elements(config)?);
    let feed = Feed::default();
    Ok(Onboarding::new(config, Rooms { storage, cloud_elements, feed, clock, entropy, checkpoints }))
}

fn cloud_elements(config: &Config) -> anyhow::Result<CloudElements> {
    let redirect_uri = config.public_url.redirect_uri();
    CloudElements::new(&config.cloud_elements, &config.mailchimp, redirect_uri)
        .context("the HTTP client cannot be built")
}

/// Where the start's form may lead. Cloud Elements names an address of its own choice, https or on this machine.
fn leads_to(config: &Config, mailchimp: &Mailchimp) -> String {
    match (config.authorize_url_from, config.cloud_elements.url.scheme()) {
        (AuthorizeUrlFrom::Mailchimp, _) => mailchimp.origin(),
        (AuthorizeUrlFrom::CloudElements, "https") => "https:".to_owned(),
        (AuthorizeUrlFrom::CloudElements, _) => "https: http://127.0.0.1:* http://localhost:*".to_owned(),
    }
}

async fn assemble(config: Config, surroundings: Surroundings) -> anyhow::Result<Gangway> {
    let sealer = sealer(&config, &surroundings);
    let Surroundings { clock, entropy, checkpoints } = surroundings;
    let storage = Storage::open(&config.database_url, sealer).await?;
    let metrics = Metrics::default();
    let cloud_elements = Arc::new(cloud_elements(&config)?);
    let mailchimp = Mailchimp::new(&config.mailchimp, &config.public_url)?;
    let feed = Feed::default();
    let rooms = Rooms {
        storage: storage.clone(),
        cloud_elements: cloud_elements.clone(),
        feed: feed.clone(),
        clock: clock.clone(),
        entropy: entropy.clone(),
        checkpoints: checkpoints.clone(),
    };
    let key = &config.secret_key;
    let trial = Trial { id: doctor::instance_id(key), key: doctor::signature_key(key) };
    let deliveries = Deliveries::new(&config, storage.clone(), clock.clone(), entropy.clone());
    let times = (clock.clone(), entropy.clone());
    let missed = Missed::new(&config, storage.clone(), cloud_elements.clone(), feed.clone(), times);
    let tags = &config.cloud_elements.instance_tags;
    Ok(Gangway {
        deliveries,
        missed,
        onboarding: Onboarding::new(&config, rooms),
        inbox: Inbox::new(storage.clone(), feed.clone(), clock.clone(), trial, tags),
        refusals: Refusals::new(clock.now()),
        process: fresh_id(&*clock, &*entropy),
        feed,
        waiting: Waiting::default(),
        headers: SecurityHeaders::new(&leads_to(&config, &mailchimp), config.public_url.is_https()),
        mailchimp,
        cloud_elements,
        lists: Fresh::new(config.limits.lists_kept),
        console: Console::new(config.admin_password_hash.clone()),
        rate_limit: RateLimit::new(config.rate_limit_per_minute, config.trusted_proxies.clone()),
        assets: Assets::new(config.face.accent),
        metrics,
        starts: AtomicI64::new(0),
        clock,
        entropy,
        checkpoints,
        closing: CancellationToken::new(),
        storage,
        config,
    })
}

/// Every middleware, outermost last: the edge sees what the others refuse.
fn serve(listener: TcpListener, gangway: web::Data<Gangway>) -> io::Result<Server> {
    let head_deadline = gangway.config.limits.head_deadline;
    let server = HttpServer::new(move || {
        ActixApp::new()
            .app_data(gangway.clone())
            .app_data(web::FormConfig::default().limit(8 * 1024))
            .configure(crate::web::routes)
            .wrap(from_fn(crate::web::idempotency))
            .wrap(crate::web::session_middleware(&gangway.config))
            .wrap(from_fn(crate::web::same_origin))
            .wrap(from_fn(crate::web::edge))
    });
    let server = server
        .client_request_timeout(head_deadline)
        .shutdown_timeout(REQUEST_GRACE_SECONDS)
        .disable_signals()
        .listen(listener)?;
    Ok(server.run())
}

/// What cannot be written is counted on.
async fn write_starts(gangway: &Gangway) {
    let starts = gangway.starts.swap(0, Ordering::Relaxed);
    if starts > 0
        && let Err(error) = gangway.storage.add_starts(starts, gangway.clock.now()).await
    {
        gangway.starts.fetch_add(starts, Ordering::Relaxed);
        tracing::warn!(%error, "how many trips were started is not written down yet");
    }
}

async fn tidy(gangway: web::Data<Gangway>) {
    loop {
        let kept = gangway.config.retention;
        if let Err(error) = events::prune(&gangway.storage, &gangway.clock, kept).await {
            tracing::error!(%error, "what is old could not be removed; it is tried again");
        }
        tokio::time::sleep(TIDY_EVERY).await;
        write_starts(&gangway).await;
        gangway.rate_limit.forget_idle();
        gangway.metrics.tidy();
        if let Err(error) = gangway.storage.forget_old_event_counts(gangway.clock.now()).await {
            tracing::warn!(%error, "old counts of events are still there");
        }
    }
}
