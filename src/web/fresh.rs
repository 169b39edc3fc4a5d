//! Pages of lists as they were a moment ago, so that many who look at the same one cost one look into the database
//! (decision 0016). A page is good until this process writes anything, and for a tenth of a second at the most: other
//! processes write, too. Who may see it is decided before, each time.

use std::time::{Duration, Instant};

use actix_web::web::Bytes;
use quick_cache::Weighter;
use quick_cache::sync::Cache;

use super::Gangway;
use super::failure::Failure;

/// Pages that are kept at once, about, and what they may take of the memory.
const PAGES: usize = 64;
const BYTES: u64 = 4 * 1024 * 1024;

/// Pages that were made a moment ago.
pub struct Fresh {
    pages: Cache<Key, Bytes, ByLength>,
    since: Instant,
    kept: Duration,
}

/// A page as it is asked for, and the moment: what is of another moment is never found again, and makes room.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Key {
    asked: String,
    commits: u64,
    moment: u128,
}

#[derive(Clone)]
struct ByLength;

impl Weighter<Key, Bytes> for ByLength {
    fn weight(&self, key: &Key, page: &Bytes) -> u64 {
        (key.asked.len() + page.len()) as u64
    }
}

impl Fresh {
    /// Keeps pages for `kept`; for no time, none.
    pub fn new(kept: Duration) -> Self {
        Self { pages: Cache::with_weighter(PAGES, BYTES, ByLength), since: Instant::now(), kept }
    }
}

impl Gangway {
    /// The page that `asked` names, as it was a moment ago or as `make` makes it now. Those who ask for the same one
    /// meanwhile wait for it.
    pub(super) async fn fresh(
        &self,
        asked: String,
        make: impl Future<Output = Result<Bytes, Failure>>,
    ) -> Result<Bytes, Failure> {
        let Fresh { pages, since, kept } = &self.lists;
        if kept.is_zero() {
            return make.await;
        }
        // Before the page is made: what is written meanwhile makes another one.
        let commits = self.storage.commits();
        let moment = since.elapsed().as_nanos() / kept.as_nanos();
        pages.get_or_insert_async(&Key { asked, commits, moment }, make).await
    }
}
