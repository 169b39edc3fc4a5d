//! The timeline of an instance: one line for every step, with the reference number that finds it in the log.

use sqlx::Row;
use sqlx::any::AnyRow;
use time::OffsetDateTime;
use uuid::Uuid;

use super::statement::Statement;
use super::{Storage, StorageError, instances};
use crate::clock::to_milliseconds;
use crate::reference::Reference;

/// One line.
#[derive(Debug, Clone)]
pub struct Step {
    /// When.
    pub at: OffsetDateTime,
    /// What kind of step, as one word.
    pub kind: String,
    /// What happened, in a sentence for the operator.
    pub summary: String,
    /// Of the request that did it.
    pub reference: Reference,
}

/// A line in its place.
#[derive(Debug, Clone)]
pub struct Line {
    /// The order in which lines were written.
    pub seq: i64,
    /// Of this instance.
    pub instance: Uuid,
    /// What it says.
    pub step: Step,
}

/// A receipt has a few dozen lines at most.
const RECENT: u16 = 500;

const LINES: &str = "SELECT seq, instance, at, kind, summary, reference FROM timeline \
     WHERE instance = $1 AND seq < $2 ORDER BY seq DESC LIMIT $3";
const OF_REFERENCE: &str = "SELECT seq, instance, at, kind, summary, reference FROM timeline \
     WHERE reference = $1 ORDER BY seq DESC LIMIT $2";

impl Storage {
    /// The latest lines of one instance, oldest first.
    pub async fn timeline(&self, instance: Uuid) -> Result<Vec<Step>, StorageError> {
        let (lines, _) = self.timeline_page(instance, None, RECENT).await?;
        Ok(lines.into_iter().rev().map(|line| line.step).collect())
    }

    /// At most `limit` lines, the newest first, from before `before` on; and the cursor of the next ones.
    pub async fn timeline_page(
        &self,
        instance: Uuid,
        before: Option<i64>,
        limit: u16,
    ) -> Result<(Vec<Line>, Option<i64>), StorageError> {
        let query = sqlx::query(LINES).bind(instance.to_string()).bind(before.unwrap_or(i64::MAX));
        let rows = query.bind(i64::from(limit) + 1).fetch_all(&self.readers).await?;
        let more = rows.len() > usize::from(limit);
        let lines = rows.iter().take(usize::from(limit)).map(read).collect::<Result<Vec<_>, _>>()?;
        let next = lines.last().map(|line| line.seq).filter(|_| more);
        Ok((lines, next))
    }

    /// The newest lines, `limit` at most, that a reference number stands on.
    pub async fn lines_of_reference(
        &self,
        reference: Reference,
        limit: u16,
    ) -> Result<Vec<Line>, StorageError> {
        let query = sqlx::query(OF_REFERENCE).bind(reference.to_string()).bind(i64::from(limit));
        query.fetch_all(&self.readers).await?.iter().map(read).collect()
    }
}

fn read(row: &AnyRow) -> Result<Line, StorageError> {
    let step = Step {
        at: instances::moment(row, "at")?.unwrap_or(OffsetDateTime::UNIX_EPOCH),
        kind: row.try_get("kind")?,
        summary: row.try_get("summary")?,
        reference: instances::parsed(row, "reference")?,
    };
    Ok(Line { seq: row.try_get("seq")?, instance: instances::parsed(row, "instance")?, step })
}

/// That an endpoint gave up on a notification, on the timeline of the instance it came from: once an hour at the
/// most, the list of deliveries has the others.
pub(super) fn gave_up(delivery: i64, at: i64, why: &str) -> Statement {
    let summary = format!(
        "An endpoint gave up on a notification of this instance: delivery {delivery}, {why}. More of these within the hour stand in the list of deliveries alone."
    );
    Statement::new(
        "INSERT INTO timeline (instance, at, kind, summary, reference) \
         SELECT i.id, CAST($2 AS BIGINT), 'delivery_failed', CAST($3 AS TEXT), i.reference FROM deliveries AS d \
         JOIN notifications AS n ON n.seq = d.notification JOIN instances AS i ON i.id = n.instance \
         WHERE d.seq = $1 AND d.state = 'failed' AND NOT EXISTS (SELECT 1 FROM timeline AS t \
         WHERE t.instance = i.id AND t.kind = 'delivery_failed' AND t.at > $4)",
    )
    .bind(delivery)
    .bind(at)
    .bind(summary)
    .bind(at - HOUR)
}

const HOUR: i64 = 3_600_000;

pub(super) fn line(instance: Uuid, step: &Step) -> Statement {
    Statement::new(
        "INSERT INTO timeline (instance, at, kind, summary, reference) VALUES ($1, $2, $3, $4, $5)",
    )
    .bind(instance)
    .bind(to_milliseconds(step.at))
    .bind(step.kind.as_str())
    .bind(step.summary.as_str())
    .bind(step.reference.to_string())
}
