//! Outcomes, written: a transition, its line on the timeline and the end of its open work, in one
//! transaction. What upstream said is kept in memory while the database says no.

use std::time::Duration;

use secrecy::SecretString;
use time::OffsetDateTime;

use super::Onboarding;
use crate::checkpoint::Point;
use crate::elements::{Instance, UnreadAnswer};
use crate::reference::Reference;
use crate::storage::{Change, StorageError, Token, Transition};

/// How often an outcome is tried to be written when the database says no, and the gap between.
const TRIES: u32 = 40;
const GAP: Duration = Duration::from_millis(500);

/// What came of something.
pub(super) struct Outcome {
    /// The state it came from.
    pub(super) from: &'static str,
    /// How the instance stands now.
    pub(super) after: Instance,
    /// What becomes of the token.
    pub(super) token: NewToken,
    /// An answer that could not be read.
    pub(super) unread: Option<UnreadAnswer>,
    /// What becomes of the open work.
    pub(super) work: Change,
    /// When it is looked after next.
    pub(super) next_check: Option<OffsetDateTime>,
    /// The kind of step, its sentence and its reference number.
    pub(super) step: (&'static str, String, Reference),
}

/// What becomes of an instance's token.
pub(super) enum NewToken {
    Keep,
    Put(SecretString),
    Destroy,
}

impl Outcome {
    /// From `from` to `after`, its open work done.
    pub(super) fn closing(
        from: &'static str,
        after: Instance,
        step: (&'static str, String, Reference),
    ) -> Self {
        let (token, unread, work) = (NewToken::Keep, None, Change::Close);
        Self { from, after, token, unread, work, next_check: None, step }
    }
}

impl Onboarding {
    /// Writes an outcome and tells who watches. Answers whether it stands. If the database never says yes,
    /// the work stays open and recovery looks it up.
    pub(super) async fn settle(&self, outcome: Outcome) -> bool {
        self.checkpoints.reached(Point::BeforeCommit).await;
        let Outcome { from, after, token, unread, work, next_check, step: (kind, summary, reference) } =
            outcome;
        let state = after.state.as_str();
        for _ in 0..TRIES {
            let token = match &token {
                NewToken::Keep => Token::Keep,
                NewToken::Put(token) => Token::Put(token),
                NewToken::Destroy => Token::Destroy,
            };
            let kept_answer = unread.as_ref().map(UnreadAnswer::expose);
            let step = self.step(kind, summary.clone(), reference);
            let transition = Transition { from, after: &after, token, kept_answer, work, next_check, step };
            match self.storage.transition(transition).await {
                Ok(written) => {
                    self.checkpoints.reached(Point::AfterCommit).await;
                    if written {
                        metrics::counter!("gangway_instances_total", "state" => state).increment(1);
                        tracing::info!(instance = %after.id, state, kind, "instance settled");
                    }
                    self.feed.nudge(after.id);
                    return written;
                }
                Err(StorageError::Closed) => break,
                Err(error) => {
                    tracing::error!(instance = %after.id, %error, "an outcome could not be written; trying again");
                    tokio::time::sleep(GAP).await;
                }
            }
        }
        tracing::error!(instance = %after.id, "an outcome was not written; recovery will look it up");
        false
    }
}
