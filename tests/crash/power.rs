//! The power cut. `kill -9` leaves what the system has taken over and not yet written; a power cut does not.
//! Here the disk is a model (`image.rs`) and a cut comes at any moment of a flood: whatever the disk makes of
//! what was not synced, Gangway opens, and what was acknowledged is there, once.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use gangway::app::{Surroundings, sealer};
use gangway::storage::Storage;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use reqwest::StatusCode;
use tempfile::TempDir;

use crate::app::plain;
use crate::child::{Order, Running, config};
use crate::flood::number;
use crate::image::{Journal, Unsynced, library};
use crate::kill::Stage;
use crate::sender::{Sender, missing};

/// So many are acknowledged before the power goes: enough for the WAL to be copied and begun again.
const ACKNOWLEDGED: usize = 1500;

/// A Gangway that is recorded.
struct Recorder {
    stage: Stage,
    library: PathBuf,
    journal: PathBuf,
    /// While it exists no sync begins.
    hold: PathBuf,
    _folder: TempDir,
}

impl Recorder {
    async fn set() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let library = library(folder.path())?;
        let mut stage = Stage::set().await;
        // As the process sees its files: without symbolic links.
        stage.order.folder = stage.order.folder.parent().unwrap().canonicalize().unwrap().join("data");
        let [journal, hold] = ["journal", "hold"].map(|name| folder.path().join(name));
        Some(Self { stage, library, journal, hold, _folder: folder })
    }

    /// Starts it; syncs of files whose names end in `forgets` succeed and do nothing.
    fn start(&self, forgets: &str) -> Running {
        let environment = [
            ("LD_PRELOAD", self.library.as_path()),
            ("POWER_FOLDER", &self.stage.order.folder),
            ("POWER_JOURNAL", &self.journal),
            ("POWER_HOLDS", &self.hold),
            ("POWER_FORGETS", Path::new(forgets)),
        ];
        Running::start_with(&self.stage.order, &environment)
    }

    async fn sender(&self) -> Arc<Sender> {
        Arc::new(Sender::connect(&self.stage).await.watching(&self.journal))
    }

    /// A flood, and in the middle of it the end.
    async fn flooded(&self, forgets: &str, seed: u64) -> (Arc<Sender>, Journal) {
        let child = self.start(forgets);
        let sender = self.sender().await;
        let flood = sender.flood(seed);
        sender.until_acknowledged(ACKNOWLEDGED).await;
        child.kill();
        flood.end().await;
        let journal = Journal::read(&self.journal);
        assert!(journal.writes_to("gangway.db") > 100, "the WAL was copied at least once");
        (sender, journal)
    }

    /// Sends one more, and ends the process when all of it is written and nothing synced; answers its id. Nothing
    /// else is under way, so the files must be what the journal tells.
    async fn killed_in_its_sync(&self, child: Running, sender: &Arc<Sender>) -> String {
        std::fs::write(&self.hold, "").unwrap();
        let (id, sending) = (sender.fresh(100), sender.clone());
        let one = id.clone();
        let unanswered = tokio::spawn(async move { sending.deliver(&plain(), &one).await.is_err() });
        while !self.hold.with_extension("held").exists() {
            assert!(!unanswered.is_finished(), "nothing waited for the disk");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        child.kill();
        assert!(unanswered.await.unwrap(), "it was not acknowledged");
        std::fs::remove_file(&self.hold).unwrap();
        let journal = Journal::read(&self.journal);
        let image = journal.image(journal.len(), &mut Unsynced::Kept);
        for file in ["gangway.db", "gangway.db-wal", "gangway.db.lock"] {
            let [told, is] = [image.path(), &self.stage.order.folder].map(|folder| folder.join(file));
            let same = std::fs::read(told).unwrap() == std::fs::read(is).unwrap();
            assert!(same, "something was done to {file} that is not in the journal");
        }
        id
    }

    /// Opens an image as Gangway does; answers what is missing there, or why it is unusable.
    async fn examine(&self, image: &Path, expected: &HashSet<String>) -> Result<Vec<String>, String> {
        let config = config(&Order { folder: image.to_owned(), ..self.stage.order.clone() });
        let sealer = sealer(&config, &Surroundings::default());
        let storage =
            Storage::open(&config.database_url, sealer).await.map_err(|error| format!("{error:?}"))?;
        storage.close().await;
        missing(image, expected).await
    }
}

/// Every third cut comes at the end, the others at any moment; `POWER_CUTS` says how many.
fn cuts(journal: &Journal, random: &mut StdRng) -> Vec<u64> {
    let end = journal.len();
    let cut = |nth: u64| if nth.is_multiple_of(3) { end } else { random.random_range(0..=end) };
    (0..number("POWER_CUTS", 12)).map(cut).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn c07_whenever_the_power_goes_what_was_acknowledged_is_stored_once() {
    let Some(recorder) = Recorder::set().await else { return };
    let seed = number("CRASH_SEED", 20_261_125);
    let (sender, journal) = recorder.flooded("", seed).await;
    let mut random = StdRng::seed_from_u64(seed);
    let (cuts, mut survived) = (cuts(&journal, &mut random), 0);
    for cut in &cuts {
        let expected = sender.acknowledged_within(*cut);
        let image = journal.image(*cut, &mut Unsynced::Chance(&mut random));
        let missing = recorder.examine(image.path(), &expected).await;
        assert_eq!(missing, Ok(Vec::new()), "CRASH_SEED={seed}, cut at {cut} of {}", journal.len());
        survived += expected.len();
    }
    println!("{} cuts of {} bytes: {survived} acknowledged and there", cuts.len(), journal.len());
    assert!(survived >= ACKNOWLEDGED, "there was something to lose");
}

/// As if a commit did not wait for the disk, which is what `synchronous = NORMAL` does.
#[tokio::test(flavor = "multi_thread")]
async fn c07_the_model_notices_a_commit_that_is_not_synced() {
    let Some(recorder) = Recorder::set().await else { return };
    let seed = number("CRASH_SEED", 20_261_125);
    let (sender, journal) = recorder.flooded("-wal", seed).await;
    let mut random = StdRng::seed_from_u64(seed);
    let (cuts, mut lost, mut unusable) = (cuts(&journal, &mut random), 0, 0);
    for cut in &cuts {
        let image = journal.image(*cut, &mut Unsynced::Chance(&mut random));
        match recorder.examine(image.path(), &sender.acknowledged_within(*cut)).await {
            Ok(missing) => lost += missing.len(),
            Err(_) => unusable += 1,
        }
    }
    println!(
        "{} cuts without syncs of the WAL: {lost} acknowledged and lost, {unusable} unusable",
        cuts.len()
    );
    assert!(lost > 0, "an acknowledged notification is lost");
}

/// A process that is killed in its commit leaves a notification that the next one finds stored and that a power
/// cut takes away. When it comes again there is nothing to store, and still something to sync.
#[tokio::test(flavor = "multi_thread")]
async fn c07_what_a_killed_process_had_not_synced_is_synced_before_it_is_acknowledged() {
    let Some(recorder) = Recorder::set().await else { return };
    let child = recorder.start("");
    let sender = recorder.sender().await;
    assert_eq!(sender.send(100).await, StatusCode::OK);
    let again = recorder.killed_in_its_sync(child, &sender).await;
    let missing_after = async |unsynced: &mut Unsynced<'_>| {
        let journal = Journal::read(&recorder.journal);
        let image = journal.image(journal.len(), unsynced);
        recorder.examine(image.path(), &[again.clone()].into()).await.unwrap()
    };
    assert!(missing_after(&mut Unsynced::Kept).await.is_empty(), "the next process finds it");
    assert!(!missing_after(&mut Unsynced::Lost).await.is_empty(), "a power cut takes it away");
    let child = recorder.start("");
    assert_eq!(sender.deliver(&plain(), &again).await.unwrap(), StatusCode::OK);
    child.kill();
    assert!(missing_after(&mut Unsynced::Lost).await.is_empty(), "acknowledged, it stays");
}
