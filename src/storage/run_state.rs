//! How something long stands that the operator asked for: it goes on a step at a time, and can be stopped.

/// How it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunState {
    /// It goes on.
    Running,
    /// The operator stopped it.
    Stopped,
    /// It has got to its end.
    Done,
}

impl RunState {
    /// The word in the database and on pages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Stopped => "stopped",
            Self::Done => "done",
        }
    }

    pub(super) fn parse(word: &str) -> Option<Self> {
        [Self::Running, Self::Stopped, Self::Done].into_iter().find(|known| known.as_str() == word)
    }
}
