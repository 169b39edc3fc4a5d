//! The one writer. Writes that arrive while a commit waits for the disk gather and commit together; each
//! is answered after its own commit. A write that fails does not fail its neighbours: the group is rolled
//! back and each is run alone, which is why a write can be run again.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use sqlx::{AnyConnection, AnyPool, Connection};
use tokio::sync::{mpsc, oneshot};
use tokio_util::task::TaskTracker;

use super::StorageError;

/// So many writes commit together at most.
const LARGEST_GROUP: usize = 512;
/// So many wait at most; past that, senders wait in their own memory.
const QUEUE: usize = 4096;

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
    queue: mpsc::Sender<Box<dyn Job>>,
    task: TaskTracker,
    closing: tokio_util::sync::CancellationToken,
}

impl Writer {
    /// Starts the task. `pool` is its own; `begin` opens a writing transaction.
    pub(super) fn start(pool: AnyPool, begin: &'static str) -> Self {
        let (queue, mut waiting) = mpsc::channel::<Box<dyn Job>>(QUEUE);
        let closing = tokio_util::sync::CancellationToken::new();
        let closed = closing.clone();
        let task = TaskTracker::new();
        task.spawn(async move {
            let mut group = Vec::new();
            loop {
                tokio::select! {
                    biased;
                    count = waiting.recv_many(&mut group, LARGEST_GROUP) => if count == 0 { break },
                    () = closed.cancelled() => waiting.close(),
                }
                if !group.is_empty() {
                    commit(&pool, begin, std::mem::take(&mut group)).await;
                }
            }
            pool.close().await;
        });
        task.close();
        Self { queue, task, closing }
    }

    /// Does `write` and answers once it is on disk.
    pub(super) async fn write<W: Write>(&self, write: W) -> Result<W::Output, StorageError> {
        let (reply, answer) = oneshot::channel();
        let job = Box::new(Pending { write, output: None, reply });
        self.queue.send(job).await.map_err(|_| StorageError::Closed)?;
        answer.await.map_err(|_| StorageError::Closed)?
    }

    /// Takes no more writes, does those that wait, and ends.
    pub(super) async fn close(&self) {
        self.closing.cancel();
        self.task.wait().await;
    }
}

/// A write whose output's type has been forgotten.
trait Job: Send {
    fn run<'a>(&'a mut self, connection: &'a mut AnyConnection) -> BoxFuture<'a, sqlx::Result<()>>;
    fn answer(self: Box<Self>, outcome: Result<(), StorageError>);
}

struct Pending<W: Write> {
    write: W,
    output: Option<W::Output>,
    reply: oneshot::Sender<Result<W::Output, StorageError>>,
}

impl<W: Write> Job for Pending<W> {
    fn run<'a>(&'a mut self, connection: &'a mut AnyConnection) -> BoxFuture<'a, sqlx::Result<()>> {
        Box::pin(async move {
            self.output = Some(self.write.run(connection).await?);
            Ok(())
        })
    }

    fn answer(self: Box<Self>, outcome: Result<(), StorageError>) {
        let Self { output, reply, .. } = *self;
        // Whoever asked may have gone; the write stands all the same.
        let _ = reply.send(outcome.and_then(|()| output.ok_or(StorageError::Closed)));
    }
}

async fn commit(pool: &AnyPool, begin: &'static str, mut group: Vec<Box<dyn Job>>) {
    #[expect(clippy::cast_precision_loss, reason = "at most 512")]
    metrics::histogram!("gangway_writer_group_size").record(group.len() as f64);
    match transaction(pool, begin, &mut group).await {
        Err(error) if group.len() > 1 => {
            tracing::warn!(target: "gangway::storage", %error, writes = group.len(), "a group of writes is redone one by one");
            for mut job in group {
                let outcome = transaction(pool, begin, std::slice::from_mut(&mut job)).await;
                job.answer(outcome.map_err(StorageError::from));
            }
        }
        outcome => {
            let outcome = outcome.map_err(Arc::new);
            for job in group {
                job.answer(outcome.clone().map_err(StorageError::Database));
            }
        }
    }
}

async fn transaction(pool: &AnyPool, begin: &'static str, jobs: &mut [Box<dyn Job>]) -> sqlx::Result<()> {
    let mut connection = pool.acquire().await?;
    let mut transaction = connection.begin_with(begin).await?;
    for job in jobs {
        job.run(&mut transaction).await?;
    }
    transaction.commit().await
}
