//! Thousands of onboardings in one process, on injected time, randomness and upstream, with faults and
//! crashes wherever a seed puts them. A crash is the end of the runtime: every task stops where it waits.
//! A failure prints its seed; `SIMULATION_SEED` runs that one alone, `SIMULATION_SEEDS` says how many.

use std::path::Path;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::{BoxFuture, pending, ready};
use gangway::app::{Surroundings, onboarding, sealer};
use gangway::checkpoint::{Checkpoints, Point};
use gangway::clock::ManualClock;
use gangway::config::Config;
use gangway::elements::BrowserHash;
use gangway::entropy::{SeededEntropy, SystemEntropy};
use gangway::oauth::{GrantCode, State};
use gangway::onboarding::{Grant, Onboarding};
use gangway::reference::Reference;
use gangway::seal::SecretKey;
use gangway::storage::{OpenError, Storage};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use time::macros::datetime;
use tokio::runtime::Runtime;

use crate::child::{Order, config};
use crate::upstream::Upstream;

/// Stops some of the flows for ever, at points that the seed chooses.
struct Sometimes(Mutex<StdRng>);

impl Checkpoints for Sometimes {
    fn reached(&self, _: Point) -> BoxFuture<'static, ()> {
        let stop = self.0.lock().unwrap().random_range(0..25) == 0;
        if stop { Box::pin(pending()) } else { Box::pin(ready(())) }
    }
}

/// One life of the process.
struct Life {
    runtime: Runtime,
    onboarding: Arc<Onboarding>,
    storage: Storage,
}

struct Trial {
    seed: u64,
    random: StdRng,
    clock: Arc<ManualClock>,
    config: Config,
    lives: u64,
}

impl Trial {
    fn new(seed: u64, folder: &Path, upstream: &Upstream) -> Self {
        let order = Order {
            port: 9,
            folder: folder.to_owned(),
            postgres: None,
            secret_key: SecretKey::draw(&SystemEntropy::default()).expose(),
            previous_key: None,
            simulator: upstream.origin.clone(),
            user_secret: "u".into(),
            organization_secret: "o".into(),
            stop_at: None,
        };
        let mut config = config(&order);
        config.cloud_elements.url = upstream.world(seed).parse().unwrap();
        config.recovery_window = Duration::from_secs(60);
        let clock = Arc::new(ManualClock::starting_at(datetime!(2026-11-24 12:00 UTC)));
        Self { seed, random: StdRng::seed_from_u64(seed), clock, config, lives: 0 }
    }

    /// Starts the process; `crashing` puts stops into the flow.
    fn live(&mut self, crashing: bool) -> Life {
        self.lives += 1;
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let seed = self.seed * 1000 + self.lives;
        let surroundings = Surroundings {
            clock: self.clock.clone(),
            entropy: Arc::new(SeededEntropy::new(seed)),
            checkpoints: if crashing {
                Arc::new(Sometimes(Mutex::new(StdRng::seed_from_u64(seed))))
            } else {
                Arc::new(gangway::checkpoint::NoCheckpoints)
            },
        };
        let (storage, onboarding) = runtime.block_on(async {
            let storage = loop {
                match Storage::open(&self.config.database_url, sealer(&self.config, &surroundings)).await {
                    Ok(storage) => break storage,
                    // The life before is still letting go of the file.
                    Err(OpenError::InUse(_)) => tokio::time::sleep(Duration::from_millis(1)).await,
                    Err(error) => panic!("{error}"),
                }
            };
            (storage.clone(), onboarding(&self.config, storage, surroundings).unwrap())
        });
        Life { runtime, onboarding, storage }
    }

    fn crash(life: Life, upstream: &Upstream) {
        let Life { runtime, onboarding, storage } = life;
        // Not in the background: a worker that is still at it might send a code after all.
        runtime.shutdown_timeout(Duration::from_secs(10));
        drop((onboarding, storage));
        upstream.deal_with_what_was_sent();
    }

    /// One customer comes back, now and then in two tabs at once.
    fn come_back(&mut self, life: &Life, number: u64) {
        let state = State::draw(&SeededEntropy::new(self.seed * 1000 + number)).hash();
        let twice = self.random.random_range(0..5) == 0;
        for _ in 0..=u32::from(twice) {
            let grant = Grant {
                invite: None,
                started_at: time::OffsetDateTime::UNIX_EPOCH,
                state,
                code: GrantCode::new(format!("code-{}-{number}", self.seed)),
                browser: BrowserHash::of("browser"),
                reference: Reference::draw(&SeededEntropy::new(number)),
            };
            let onboarding = life.onboarding.clone();
            life.runtime.spawn(async move { onboarding.accept(grant, Duration::ZERO).await.map(drop) });
        }
    }

    fn run(&mut self, upstream: &Upstream) -> (usize, usize) {
        let mut life = self.live(true);
        for number in 0..8 {
            self.come_back(&life, number);
            std::thread::sleep(Duration::from_micros(self.random.random_range(0..6000)));
            self.clock.advance(time::Duration::seconds(self.random.random_range(0..20)));
            if self.random.random_range(0..3) == 0 {
                let onboarding = life.onboarding.clone();
                life.runtime.spawn(async move { onboarding.recover().await });
            }
            if self.random.random_range(0..4) == 0 {
                Self::crash(life, upstream);
                life = self.live(true);
            }
        }
        Self::crash(life, upstream);
        // From here on nothing goes wrong any more: everything must come to an end.
        upstream.with(self.seed, |world| world.faulty = false);
        let life = self.live(false);
        let outcome = self.settle(&life, upstream);
        Self::crash(life, upstream);
        outcome
    }

    fn settle(&self, life: &Life, upstream: &Upstream) -> (usize, usize) {
        let rows = life.runtime.block_on(async {
            for _ in 0..40 {
                life.onboarding.recover().await.unwrap();
                self.clock.advance(time::Duration::seconds(10));
            }
            life.storage.instances(None, None, 500).await.unwrap().items
        });
        let (mut ours, mut failed) = (Vec::new(), Vec::new());
        for row in &rows {
            match row.state.as_str() {
                "connected" => ours.push((
                    row.state.connection().unwrap().element_instance_id,
                    format!("gangway-{}", row.id),
                )),
                "failed" => failed.push((row.id, row.state.problem().map(|problem| problem.kind))),
                other => panic!("seed {}: an instance is {other} in the end", self.seed),
            }
        }
        ours.sort();
        upstream.with(self.seed, |world| {
            let tag = |one: &serde_json::Value| one["tags"][0].as_str().unwrap().to_owned();
            let theirs: Vec<_> = world.instances.iter().map(|(id, one)| (*id, tag(one))).collect();
            assert_eq!(ours, theirs, "seed {}: connected here, existing there; failed {failed:?}", self.seed);
            for (code, spent) in &world.codes {
                assert_eq!(*spent, 1, "seed {}: {code} was spent once", self.seed);
            }
        });
        (rows.len(), ours.len())
    }
}

fn one(seed: u64, upstream: &Upstream) -> (usize, usize) {
    let memory = Path::new("/dev/shm");
    let builder = tempfile::Builder::new();
    let folder = if memory.is_dir() { builder.tempdir_in(memory) } else { builder.tempdir() };
    let folder = folder.unwrap();
    let trial = || Trial::new(seed, folder.path(), upstream).run(upstream);
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(trial));
    outcome.unwrap_or_else(|_| panic!("seed {seed} failed: SIMULATION_SEED={seed} runs it alone"))
}

#[test]
fn whatever_a_seed_does_every_onboarding_ends_in_a_true_state() {
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seeds = match number("SIMULATION_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("SIMULATION_SEEDS").unwrap_or(1000),
    };
    let server = Runtime::new().unwrap();
    let (next, all, good) = (AtomicU64::new(seeds.start), AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, std::num::NonZero::get) {
            scope.spawn(|| {
                let upstream = server.block_on(Upstream::start());
                loop {
                    let seed = next.fetch_add(1, Ordering::SeqCst);
                    if seed >= seeds.end {
                        break;
                    }
                    let (onboardings, connected) = one(seed, &upstream);
                    all.fetch_add(onboardings, Ordering::SeqCst);
                    good.fetch_add(connected, Ordering::SeqCst);
                }
            });
        }
    });
    let (onboardings, connected) = (all.into_inner(), good.into_inner());
    println!("{} seeds, {onboardings} onboardings, {connected} connected", seeds.end - seeds.start);
    assert!(connected > 0 && connected < onboardings, "some of each");
}
