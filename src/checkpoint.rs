//! Named points of the flow. Nothing happens there, unless a test has put something there: it stops the
//! process, or the task, at exactly that point and looks at what a restart makes of it.

use std::sync::Arc;

use futures_util::future::{BoxFuture, ready};

/// Where the flow of a grant has got to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Point {
    /// The callback is good; nothing is written yet.
    BeforeIntent,
    /// Request, instance and open work are on disk.
    AfterIntent,
    /// That the call leaves is on disk; it has not left.
    BeforeCall,
    /// Cloud Elements answered; nothing is written yet.
    AfterReply,
    /// The outcome is about to be written.
    BeforeCommit,
    /// The outcome is on disk.
    AfterCommit,
    /// The browser is about to be answered.
    BeforeRedirect,
}

impl Point {
    /// Every point, in order.
    pub const ALL: [Self; 7] = [
        Self::BeforeIntent,
        Self::AfterIntent,
        Self::BeforeCall,
        Self::AfterReply,
        Self::BeforeCommit,
        Self::AfterCommit,
        Self::BeforeRedirect,
    ];
}

/// What happens at a point.
pub trait Checkpoints: Send + Sync + 'static {
    /// Returns when the flow may go on; maybe never.
    fn reached(&self, point: Point) -> BoxFuture<'static, ()>;
}

/// Shared by the rooms of one process.
pub type SharedCheckpoints = Arc<dyn Checkpoints>;

/// Nothing, ever.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoCheckpoints;

impl Checkpoints for NoCheckpoints {
    fn reached(&self, _: Point) -> BoxFuture<'static, ()> {
        Box::pin(ready(()))
    }
}
