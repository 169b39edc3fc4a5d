//! Whether Cloud Elements answers: so that the landing page can say so before somebody approves in vain,
//! and recovery does not fall upon it when it comes back. Nobody is turned away by it.

use std::sync::atomic::{AtomicU32, Ordering};

use super::CallError;

/// After so many calls in a row without a sensible answer it counts as down.
const DOWN_AFTER: u32 = 5;

/// Counts calls without an answer.
#[derive(Debug, Default)]
pub(super) struct Reach {
    unanswered: AtomicU32,
}

impl Reach {
    pub(super) fn is_down(&self) -> bool {
        self.unanswered.load(Ordering::Relaxed) >= DOWN_AFTER
    }

    /// Notes how a call ended. A refusal is an answer.
    pub(super) fn note<T>(&self, outcome: &Result<T, CallError>) {
        if let Err(CallError::NotSent(_) | CallError::Unclear { .. }) = outcome {
            let before = self.unanswered.fetch_add(1, Ordering::Relaxed);
            if before + 1 == DOWN_AFTER {
                tracing::error!("Cloud Elements does not answer; the landing page says so until it does");
            }
        } else if self.unanswered.swap(0, Ordering::Relaxed) >= DOWN_AFTER {
            tracing::info!("Cloud Elements answers again");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_calls_without_an_answer_are_down_and_one_answer_is_not() {
        let reach = Reach::default();
        let unanswered = || Err::<(), _>(CallError::NotSent("no route".into()));
        for _ in 0..4 {
            reach.note(&unanswered());
            assert!(!reach.is_down());
        }
        reach.note(&unanswered());
        assert!(reach.is_down());
        reach.note(&Ok(()));
        assert!(!reach.is_down());
    }
}
