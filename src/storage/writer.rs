//! The one writer. Writes that arrive while a commit waits for the disk gather and commit together; each
//! is answered after its own commit. A write that fails does not fail its neighbours: the group is rolled
//! back and each is run alone, which is why a write can be run again. After a sync that failed nothing is
//! acknowledged any more: what the disk has by then, nobody can tell.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use futures_util::future::BoxFuture;
use sqlx::{AnyConnection, AnyPool, Connection};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::StorageError;
use super::notifications::{self, StoreNotification, Stored};

/// So many writes commit together at most.
const LARGEST_GROUP: usize = 512;
/// So many wait at most; past that, senders wait in their own memory, or are told so.
const QUEUE: usize = 4096;

/// After so many writes the database takes over what the WAL has.
const CHECKPOINT_AFTER: usize = 1024;

/// How a writing transaction is opened.
#[derive(Clone, Copy)]
pub(super) struct Begin {
    /// The statement.
    sql: &'static str,
    /// So often it is tried, a millisecond apart, where SQLite's lock is another process's.
    tries: u32,
}

impl Begin {
    /// The database waits by itself.
    pub(super) fn once(sql: &'static str) -> Self {
        Self { sql, tries: 1 }
    }

    /// Beside the process that has the file, SQLite would look ever more rarely, and between two commits of a flood its
    /// lock is free for less than a millisecond.
    pub(super) fn on_sqlite(owner: bool) -> Self {
        if owner {
            return Self::once("BEGIN IMMEDIATE");
        }
        Self { sql: "PRAGMA busy_timeout = 0; BEGIN IMMEDIATE", tries: 30_000 }
    }
}

/// One piece of work that commits or leaves nothing.
pub(super) trait Write: Send + Sync + 'static {
    /// What it answers once it is on disk.
    type Output: Send + 'static;

    /// Does it, inside a transaction. May be called again after a roll-back.
    fn run(&self, connection: &mut AnyConnection) -> impl Future<Output = sqlx::Result<Self::Output>> + Send;
}

/// Sends writes to the one task that does them.
#[derive(Clone)]
pub(super) struct Writer {
    queue: mpsc::Sender<Job>,
    disk: Disk,
    task: TaskTracker,
    /// Told when a checkpoint is due.
    checkpoint: Arc<Notify>,
    closing: CancellationToken,
}

impl Writer {
    /// Starts the task. `pool` is its own; `begin` opens a writing transaction.
    pub(super) fn start(pool: AnyPool, begin: Begin) -> Self {
        let (queue, mut waiting) = mpsc::channel::<Job>(QUEUE);
        let closing = CancellationToken::new();
        let closed = closing.clone();
        let disk = Disk::default();
        let watched = disk.clone();
        let checkpoint = Arc::new(Notify::new());
        let due = checkpoint.clone();
        let task = TaskTracker::new();
        task.spawn(async move {
            let (mut group, mut written) = (Vec::new(), 0);
            loop {
                tokio::select! {
                    biased;
                    count = waiting.recv_many(&mut group, LARGEST_GROUP) => if count == 0 { break },
                    () = closed.cancelled() => waiting.close(),
                }
                if !group.is_empty() {
                    written += group.len();
                    commit(&pool, begin, &watched, std::mem::take(&mut group)).await;
                }
                if written >= CHECKPOINT_AFTER {
                    written = 0;
                    due.notify_one();
                }
            }
            closed.cancel();
            pool.close().await;
        });
        task.close();
        Self { queue, disk, task, checkpoint, closing }
    }

    /// Does `write` and answers once it is on disk.
    pub(super) async fn write<W: Write>(&self, write: W) -> Result<W::Output, StorageError> {
        let (reply, answer) = oneshot::channel();
        let job = Job::Other(Box::new(Pending { write, output: None, reply }));
        self.queue.send(job).await.map_err(|_| StorageError::Closed)?;
        answer.await.map_err(|_| StorageError::Closed)?
    }

    /// Stores a notification together with the others of its group. It can be sent again, so it is refused where
    /// more waits than may.
    pub(super) async fn store(&self, write: StoreNotification) -> Result<Stored, StorageError> {
        let (reply, answer) = oneshot::channel();
        let job = Job::Notification(Box::new(Pending { write, output: None, reply }));
        self.queue.try_send(job).map_err(|error| match error {
            TrySendError::Full(_) => StorageError::Busy,
            TrySendError::Closed(_) => StorageError::Closed,
        })?;
        answer.await.map_err(|_| StorageError::Closed)?
    }

    /// Says when a checkpoint is due.
    pub(super) fn checkpoints(&self) -> Checkpoints {
        Checkpoints { due: self.checkpoint.clone(), closing: self.closing.clone() }
    }

    /// Whether a sync has failed, so that nothing can be acknowledged.
    pub(super) fn has_failed(&self) -> bool {
        self.disk.has_failed()
    }

    /// How many groups of writes were brought to the disk, or tried.
    pub(super) fn commits(&self) -> u64 {
        self.disk.commits.load(Ordering::SeqCst)
    }

    /// Takes no more writes, does those that wait, and ends.
    pub(super) async fn close(&self) {
        self.closing.cancel();
        self.task.wait().await;
    }
}

/// When a checkpoint is due; does not keep the writer going.
pub(super) struct Checkpoints {
    due: Arc<Notify>,
    closing: CancellationToken,
}

impl Checkpoints {
    /// Waits until one is; answers whether the writer goes on.
    pub(super) async fn next(&self) -> bool {
        tokio::select! {
            () = self.due.notified() => true,
            () = self.closing.cancelled() => false,
        }
    }
}

/// What the disk has been given, and whether it has ever failed to sync.
#[derive(Clone, Default)]
struct Disk {
    failed: Arc<AtomicBool>,
    commits: Arc<AtomicU64>,
}

impl Disk {
    fn has_failed(&self) -> bool {
        self.failed.load(Ordering::SeqCst)
    }

    /// Looks whether `error` is a failed sync: SQLite's `SQLITE_IOERR_FSYNC` and its kin. Postgres stops by
    /// itself.
    fn notice(&self, error: &sqlx::Error) {
        const FAILED_SYNCS: [&str; 2] = ["1034", "1290"];
        let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
        if code.is_some_and(|code| FAILED_SYNCS.contains(&&*code))
            && !self.failed.swap(true, Ordering::SeqCst)
        {
            tracing::error!(target: "gangway::storage", "the disk failed to sync: nothing is acknowledged any more. Check the disk, then restart Gangway");
        }
    }
}

/// What waits for its turn.
enum Job {
    /// Stored with one statement for many.
    Notification(Box<Pending<StoreNotification, Stored>>),
    /// Done by itself.
    Other(Box<dyn Run>),
}

struct Pending<W, O> {
    write: W,
    output: Option<O>,
    reply: oneshot::Sender<Result<O, StorageError>>,
}

impl<W, O> Pending<W, O> {
    fn answer(self, outcome: Result<(), StorageError>) {
        let Self { output, reply, .. } = self;
        // Whoever asked may have gone; the write stands all the same.
        let _ = reply.send(outcome.and_then(|()| output.ok_or(StorageError::Closed)));
    }
}

impl Job {
    fn answer(self, outcome: Result<(), StorageError>) {
        match self {
            Self::Notification(pending) => pending.answer(outcome),
            Self::Other(pending) => pending.answer(outcome),
        }
    }
}

/// A write whose output's type has been forgotten.
trait Run: Send {
    fn run<'a>(&'a mut self, connection: &'a mut AnyConnection) -> BoxFuture<'a, sqlx::Result<()>>;
    fn answer(self: Box<Self>, outcome: Result<(), StorageError>);
}

impl<W: Write> Run for Pending<W, W::Output> {
    fn run<'a>(&'a mut self, connection: &'a mut AnyConnection) -> BoxFuture<'a, sqlx::Result<()>> {
        Box::pin(async move {
            self.output = Some(self.write.run(connection).await?);
            Ok(())
        })
    }

    fn answer(self: Box<Self>, outcome: Result<(), StorageError>) {
        Pending::answer(*self, outcome);
    }
}

async fn commit(pool: &AnyPool, begin: Begin, disk: &Disk, mut group: Vec<Job>) {
    #[expect(clippy::cast_precision_loss, reason = "at most 512")]
    metrics::histogram!("gangway_writer_group_size").record(group.len() as f64);
    let outcome = attempt(pool, begin, disk, &mut group).await;
    if outcome.is_err() && group.len() > 1 && !disk.has_failed() {
        tracing::warn!(target: "gangway::storage", writes = group.len(), "a group of writes is redone one by one");
        for mut job in group {
            let outcome = attempt(pool, begin, disk, std::slice::from_mut(&mut job)).await;
            job.answer(outcome);
        }
        return;
    }
    for job in group {
        job.answer(outcome.clone());
    }
}

async fn attempt(pool: &AnyPool, begin: Begin, disk: &Disk, jobs: &mut [Job]) -> Result<(), StorageError> {
    if disk.has_failed() {
        return Err(StorageError::DiskFailed);
    }
    let outcome = transaction(pool, begin, jobs).await;
    // After it is on disk, and before anybody is told.
    disk.commits.fetch_add(1, Ordering::SeqCst);
    outcome.inspect_err(|error| disk.notice(error)).map_err(StorageError::from)
}

async fn transaction(pool: &AnyPool, begin: Begin, jobs: &mut [Job]) -> sqlx::Result<()> {
    let mut connection = pool.acquire().await?;
    let outcome = in_transaction(&mut connection, begin, jobs).await;
    if outcome.is_err() {
        // SQLite rolls some failures back by itself, a full disk for one, and the client does not notice: the
        // connection would refuse every further transaction.
        let _ = connection.close().await;
    }
    outcome
}

/// `SQLITE_BUSY`
fn is_locked(error: &sqlx::Error) -> bool {
    error.as_database_error().and_then(sqlx::error::DatabaseError::code).is_some_and(|code| code == "5")
}

async fn in_transaction(connection: &mut AnyConnection, begin: Begin, jobs: &mut [Job]) -> sqlx::Result<()> {
    let mut tries = 1;
    let mut transaction = loop {
        match connection.begin_with(begin.sql).await {
            Err(error) if tries < begin.tries && is_locked(&error) => tries += 1,
            outcome => break outcome?,
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    };
    let mut notifications = Vec::new();
    for job in jobs {
        match job {
            Job::Notification(pending) => notifications.push(pending),
            Job::Other(pending) => pending.run(&mut transaction).await?,
        }
    }
    if !notifications.is_empty() {
        let all: Vec<&StoreNotification> = notifications.iter().map(|pending| &pending.write).collect();
        let stored = notifications::store(&mut transaction, &all).await?;
        for (pending, stored) in notifications.into_iter().zip(stored) {
            pending.output = Some(stored);
        }
    }
    transaction.commit().await
}
