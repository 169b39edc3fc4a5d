//! The nudge: tells watchers that an instance changed. The table is the truth; a nudge only wakes them,
//! so one that is lost costs a moment, not an event.

use tokio::sync::broadcast;
use uuid::Uuid;

/// Nudges that may wait for a slow watcher before it is told that it missed some.
const BACKLOG: usize = 256;

/// Who changed. Cheap to clone.
#[derive(Clone)]
pub struct Feed(broadcast::Sender<Uuid>);

impl Default for Feed {
    fn default() -> Self {
        Self(broadcast::Sender::new(BACKLOG))
    }
}

impl Feed {
    /// Wakes whoever watches `instance`.
    pub fn nudge(&self, instance: Uuid) {
        // Nobody watching is the usual case.
        let _ = self.0.send(instance);
    }

    /// Watches from now on.
    pub fn watch(&self) -> Watcher {
        Watcher(self.0.subscribe())
    }
}

/// One watcher.
pub struct Watcher(broadcast::Receiver<Uuid>);

impl Watcher {
    /// Returns when `instance` may have changed; `None` when Gangway stops.
    pub async fn changed(&mut self, instance: Uuid) -> Option<()> {
        loop {
            match self.0.recv().await {
                Ok(changed) if changed == instance => return Some(()),
                Ok(_) => {}
                Err(broadcast::error::RecvError::Lagged(_)) => return Some(()),
                Err(broadcast::error::RecvError::Closed) => return None,
            }
        }
    }
    /// Returns when any instance may have changed; `None` when Gangway stops. One look at the table answers
    /// every nudge there has been.
    pub async fn any(&mut self) -> Option<()> {
        if let Err(broadcast::error::RecvError::Closed) = self.0.recv().await {
            return None;
        }
        self.0 = self.0.resubscribe();
        Some(())
    }
}
