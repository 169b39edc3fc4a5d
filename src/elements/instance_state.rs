//! The states an instance passes through (DESIGN section 4). A transition consumes the old state; one that is not
//! drawn there is an error, not a silent nothing.

use time::OffsetDateTime;

use super::problem::{Problem, ProblemKind};

/// The states of DESIGN section 4.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InstanceState {
    /// The grant is claimed; the call to Cloud Elements is under way or about to be.
    Provisioning,
    /// The call left and no outcome came back. Resolved only by looking upstream.
    Unknown(Problem),
    /// There is no instance, for certain.
    Failed(Problem),
    /// Working.
    Connected(Connection),
    /// Events are switched off.
    Paused(Connection),
    /// Mailchimp or Cloud Elements no longer lets us in.
    NeedsAttention(Connection, Problem),
    /// Being taken down upstream.
    Disconnecting(Connection),
    /// Taken down.
    Disconnected(Connection),
}

/// What exists upstream. The token is not here: it stays sealed until a call needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connection {
    /// Cloud Elements' id of the instance.
    pub element_instance_id: i64,
    /// Whether Cloud Elements sends events.
    pub events_enabled: bool,
    /// When it was settled.
    pub connected_at: OffsetDateTime,
}

/// A transition that is not drawn in DESIGN section 4.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an instance cannot go from {from} to {to}")]
pub struct InvalidTransition {
    /// Where it stands.
    pub from: &'static str,
    /// Where it should have gone.
    pub to: &'static str,
}

impl InstanceState {
    /// The words there are, what needs the operator first.
    pub const WORDS: [&str; 8] = [
        "needs_attention",
        "failed",
        "unknown",
        "provisioning",
        "connected",
        "paused",
        "disconnecting",
        "disconnected",
    ];

    /// The word for it, everywhere.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Provisioning => "provisioning",
            Self::Unknown(_) => "unknown",
            Self::Failed(_) => "failed",
            Self::Connected(_) => "connected",
            Self::Paused(_) => "paused",
            Self::NeedsAttention(..) => "needs_attention",
            Self::Disconnecting(_) => "disconnecting",
            Self::Disconnected(_) => "disconnected",
        }
    }

    /// What exists upstream, where something does.
    pub fn connection(&self) -> Option<&Connection> {
        match self {
            Self::Provisioning | Self::Unknown(_) | Self::Failed(_) => None,
            Self::Connected(connection)
            | Self::Paused(connection)
            | Self::NeedsAttention(connection, _)
            | Self::Disconnecting(connection)
            | Self::Disconnected(connection) => Some(connection),
        }
    }

    /// What exists upstream and is in use: neither on its way out nor gone.
    pub fn in_use(&self) -> Option<&Connection> {
        match self {
            Self::Connected(connection) | Self::Paused(connection) | Self::NeedsAttention(connection, _) => {
                Some(connection)
            }
            _ => None,
        }
    }

    /// What is wrong, where something is.
    pub fn problem(&self) -> Option<&Problem> {
        match self {
            Self::Unknown(problem) | Self::Failed(problem) | Self::NeedsAttention(_, problem) => {
                Some(problem)
            }
            _ => None,
        }
    }

    /// Cloud Elements answered with an instance, or it was found.
    pub fn connect(self, connection: Connection) -> Result<Self, InvalidTransition> {
        self.settle(Self::Connected(connection))
    }

    /// There is no instance, for certain.
    pub fn fail(self, problem: Problem) -> Result<Self, InvalidTransition> {
        self.settle(Self::Failed(problem))
    }

    /// The call left and no outcome came back.
    pub fn lose(self, problem: Problem) -> Result<Self, InvalidTransition> {
        match self {
            Self::Provisioning => Ok(Self::Unknown(problem)),
            other => Err(other.cannot_become("unknown")),
        }
    }

    /// It does not work any more. One that needs attention already keeps its place and since when, unless
    /// the reason is another one now. The question whose account it is stays until it is answered.
    pub fn trouble(self, problem: Problem) -> Result<Self, InvalidTransition> {
        match self {
            Self::NeedsAttention(connection, known)
                if known.kind == problem.kind || known.kind == ProblemKind::OtherAccount =>
            {
                Ok(Self::NeedsAttention(connection, known))
            }
            Self::Connected(connection) | Self::NeedsAttention(connection, _) => {
                Ok(Self::NeedsAttention(connection, problem))
            }
            other => Err(other.cannot_become("needs_attention")),
        }
    }

    /// It works again, as `connection` has it. One that was paused meanwhile stays so.
    pub fn mend(self, connection: Connection) -> Result<Self, InvalidTransition> {
        match self {
            Self::Connected(_) | Self::NeedsAttention(..) => Ok(Self::Connected(connection)),
            Self::Paused(_) => Ok(Self::Paused(connection)),
            other => Err(other.cannot_become("connected")),
        }
    }

    /// Its events are off.
    pub fn pause(self) -> Result<Self, InvalidTransition> {
        match self {
            Self::Connected(connection) | Self::Paused(connection) => {
                Ok(Self::Paused(Connection { events_enabled: false, ..connection }))
            }
            other => Err(other.cannot_become("paused")),
        }
    }

    /// Its events are on again.
    pub fn resume(self) -> Result<Self, InvalidTransition> {
        match self {
            Self::Connected(connection) | Self::Paused(connection) => {
                Ok(Self::Connected(Connection { events_enabled: true, ..connection }))
            }
            other => Err(other.cannot_become("connected")),
        }
    }

    /// Somebody asked for its end.
    pub fn disconnect(self) -> Result<Self, InvalidTransition> {
        match self {
            Self::Connected(connection) | Self::Paused(connection) | Self::NeedsAttention(connection, _) => {
                Ok(Self::Disconnecting(connection))
            }
            other => Err(other.cannot_become("disconnecting")),
        }
    }

    /// It is gone upstream, read back to be sure.
    pub fn disconnected(self) -> Result<Self, InvalidTransition> {
        match self {
            Self::Disconnecting(connection) => {
                Ok(Self::Disconnected(Connection { events_enabled: false, ..connection }))
            }
            other => Err(other.cannot_become("disconnected")),
        }
    }

    fn settle(self, outcome: Self) -> Result<Self, InvalidTransition> {
        match self {
            Self::Provisioning | Self::Unknown(_) => Ok(outcome),
            other => Err(other.cannot_become(outcome.as_str())),
        }
    }

    fn cannot_become(&self, to: &'static str) -> InvalidTransition {
        InvalidTransition { from: self.as_str(), to }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connection() -> Connection {
        Connection { element_instance_id: 1, events_enabled: true, connected_at: OffsetDateTime::UNIX_EPOCH }
    }

    fn problem(kind: ProblemKind) -> Problem {
        Problem::new(kind, OffsetDateTime::UNIX_EPOCH)
    }

    #[test]
    fn an_outcome_is_final() {
        let connected = InstanceState::Provisioning.connect(connection()).unwrap();
        assert!(connected.clone().fail(problem(ProblemKind::NotFound)).is_err());
        assert!(connected.lose(problem(ProblemKind::NoAnswer)).is_err());
        let unknown = InstanceState::Provisioning.lose(problem(ProblemKind::NoAnswer)).unwrap();
        assert!(unknown.clone().lose(problem(ProblemKind::NoAnswer)).is_err());
        assert!(unknown.clone().connect(connection()).is_ok());
        assert!(unknown.fail(problem(ProblemKind::NotFound)).is_ok());
    }

    #[test]
    fn trouble_of_one_kind_keeps_since_when() {
        let later = OffsetDateTime::UNIX_EPOCH + time::Duration::HOUR;
        let first = InstanceState::Connected(connection()).trouble(problem(ProblemKind::AccessRevoked));
        let again = first.unwrap().trouble(Problem::new(ProblemKind::AccessRevoked, later)).unwrap();
        assert_eq!(again.problem().unwrap().since, OffsetDateTime::UNIX_EPOCH);
        let other = again.trouble(Problem::new(ProblemKind::GoneUpstream, later)).unwrap();
        assert_eq!(other.problem().unwrap().since, later);
    }

    #[test]
    fn no_other_trouble_takes_the_place_of_the_question_whose_account_it_is() {
        let asked =
            InstanceState::Connected(connection()).trouble(problem(ProblemKind::OtherAccount)).unwrap();
        let still = asked.trouble(problem(ProblemKind::NotValid)).unwrap();
        assert_eq!(still.problem().unwrap().kind, ProblemKind::OtherAccount);
        assert!(still.mend(connection()).is_ok());
    }

    #[test]
    fn what_is_paused_stays_so_until_it_is_resumed() {
        let paused = InstanceState::Connected(connection()).pause().unwrap();
        assert!(!paused.connection().unwrap().events_enabled);
        assert_eq!(paused.clone().pause().unwrap(), paused, "twice is once");
        assert_eq!(paused.clone().mend(paused.connection().unwrap().clone()).unwrap(), paused);
        assert!(paused.clone().trouble(problem(ProblemKind::AccessRevoked)).is_err());
        assert!(matches!(paused.resume().unwrap(), InstanceState::Connected(known) if known.events_enabled));
        for other in [
            InstanceState::Provisioning,
            InstanceState::NeedsAttention(connection(), problem(ProblemKind::NotValid)),
            InstanceState::Disconnecting(connection()),
            InstanceState::Disconnected(connection()),
        ] {
            assert!(other.clone().pause().is_err() && other.resume().is_err());
        }
    }

    #[test]
    fn what_is_disconnected_stays_so() {
        let going = InstanceState::Connected(connection()).disconnect().unwrap();
        assert!(going.clone().mend(connection()).is_err());
        assert!(going.clone().trouble(problem(ProblemKind::AccessRevoked)).is_err());
        let gone = going.disconnected().unwrap();
        assert!(!gone.connection().unwrap().events_enabled);
        assert!(gone.clone().disconnect().is_err());
        assert!(gone.connect(connection()).is_err());
    }
}
