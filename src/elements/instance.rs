//! One connected MailChimp account and the states it passes through (DESIGN section 4). A transition
//! consumes the old state; one that is not drawn there is an error, not a silent nothing.

use sha2::{Digest, Sha256};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::reference::Reference;

/// An instance as it stands.
#[derive(Debug, Clone)]
pub struct Instance {
    /// Gangway's own id, chosen before the instance exists.
    pub id: Uuid,
    /// As Cloud Elements has it.
    pub name: String,
    /// For whom it is, as the operator named the customer.
    pub customer: Option<String>,
    /// The tags it was given, besides those of every instance and our own.
    pub tags: Vec<String>,
    /// The element's key.
    pub element: String,
    /// Of the request that claimed the grant.
    pub reference: Reference,
    /// The browser that may see its page.
    pub browser: BrowserHash,
    /// When the grant was claimed.
    pub created_at: OffsetDateTime,
    /// When the first event notification was stored.
    pub first_event_at: Option<OffsetDateTime>,
    /// When the latest one was.
    pub last_event_at: Option<OffsetDateTime>,
    /// How many were.
    pub notification_count: i64,
    /// When it was last looked after.
    pub last_checked_at: Option<OffsetDateTime>,
    /// The ids of the account's audiences, once they were seen: they tell one account from another.
    pub audiences: Option<Vec<String>>,
    /// Whether a new approval of the customer's is being worked on.
    pub renewing: bool,
    /// Goes up with every transition, so that nobody writes over what was not read.
    pub version: i64,
    /// Where it stands.
    pub state: InstanceState,
}

impl Instance {
    /// Trouble since `since`, if audiences that were found are another account's. Mailchimp's audience ids are
    /// unique among all accounts: two lists without a common one are of two.
    pub fn another_account(&self, found: &[String], since: OffsetDateTime) -> Option<Problem> {
        let known = self.audiences.as_deref().unwrap_or_default();
        let told = !known.is_empty() && !found.is_empty();
        let another = told && !known.iter().any(|id| found.contains(id));
        let which = || format!("audiences {} before, {} now", known.join(", "), found.join(", "));
        another.then(|| Problem { kind: ProblemKind::OtherAccount, detail: Some(which()), since })
    }

    /// Whether they are surely the same account's.
    pub fn same_account(&self, found: &[String]) -> bool {
        self.audiences.iter().flatten().any(|id| found.contains(id))
    }

    /// How long nothing has come, if that is far longer than this instance's rhythm: ten times the mean gap
    /// between its notifications, and a day at the least. Fewer than five have no rhythm.
    pub fn quiet_since(&self, now: OffsetDateTime) -> Option<time::Duration> {
        let silence = self.silence_beyond(time::Duration::DAY, now)?;
        matches!(self.state, InstanceState::Connected(_)).then_some(silence)
    }

    /// When its silence becomes longer than usual, or became so: ten times the mean gap after the last
    /// notification, and `at_least` after it.
    pub fn silent_from(&self, at_least: time::Duration) -> Option<OffsetDateTime> {
        let (first, last) = (self.first_event_at?, self.last_event_at?);
        let gaps = i32::try_from(self.notification_count - 1).ok().filter(|gaps| *gaps >= 4)?;
        let usual: time::Duration = (last - first) / gaps;
        Some(last + (usual * 10_i32).max(at_least))
    }

    fn silence_beyond(&self, at_least: time::Duration, now: OffsetDateTime) -> Option<time::Duration> {
        let silent = self.silent_from(at_least).is_some_and(|from| now > from);
        self.last_event_at.filter(|_| silent).map(|last| now - last)
    }
}

/// SHA-256 of the random id in a browser's cookie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrowserHash(Vec<u8>);

impl BrowserHash {
    /// Of the id in the cookie.
    pub fn of(browser_id: &str) -> Self {
        Self(Sha256::digest(browser_id.as_bytes()).to_vec())
    }

    /// As it was stored.
    pub fn from_stored(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// For storing.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

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

/// Why something did not work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The kind, which decides what the customer reads.
    pub kind: ProblemKind,
    /// What upstream said, for the operator; scrubbed of secrets.
    pub detail: Option<String>,
    /// Since when.
    pub since: OffsetDateTime,
}

impl Problem {
    /// One without upstream's words.
    pub fn new(kind: ProblemKind, since: OffsetDateTime) -> Self {
        Self { kind, detail: None, since }
    }

    /// What the operator reads: what it means, and what upstream said.
    pub fn for_operator(&self) -> String {
        match self.detail.as_deref() {
            Some(detail) => format!("{} It said: {detail}", self.kind.for_operator()),
            None => self.kind.for_operator().to_owned(),
        }
    }
}

macro_rules! problem_kinds {
    ($($(#[$doc:meta])* $variant:ident = $word:literal, $operator:literal;)*) => {
        /// The kinds of trouble, while connecting and afterwards.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum ProblemKind { $($(#[$doc])* $variant,)* }

        impl ProblemKind {
            /// Every kind.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The stable code: on pages, in logs, metrics and the database.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }

            /// What the operator should know.
            pub fn for_operator(self) -> &'static str {
                match self { $(Self::$variant => $operator,)* }
            }
        }
    };
}

problem_kinds! {
    /// Cloud Elements could not be reached; nothing was sent.
    Unreachable = "upstream_unreachable",
        "Cloud Elements could not be reached, so nothing was sent. Check CLOUD_ELEMENTS_URL and the network.";
    /// The code was refused: spent, too old, or not for this redirect URI.
    GrantRefused = "grant_refused",
        "Cloud Elements or Mailchimp refused the grant code. If this repeats, compare the redirect URI registered at Mailchimp.";
    /// Our credentials or configuration were refused.
    SetupRefused = "setup_refused",
        "Cloud Elements refused Gangway itself. Check the two Cloud Elements secrets, the Mailchimp client secret and ELEMENT_KEY.";
    /// Cloud Elements asked for less.
    TooMuch = "upstream_limit",
        "Cloud Elements refused for size or rate.";
    /// The call left and no answer came.
    NoAnswer = "no_answer",
        "The call left and no answer came back, so the instance may exist. It is looked up by its tag, never created again.";
    /// Cloud Elements failed while it worked.
    UpstreamFailed = "upstream_failed",
        "Cloud Elements failed while it worked on the call, so the instance may exist. It is looked up by its tag, never created again.";
    /// The answer made no sense.
    UnreadableAnswer = "unreadable_answer",
        "The answer could not be read, so the instance may exist. It is looked up by its tag, never created again.";
    /// Gangway stopped before an outcome was on disk.
    Interrupted = "interrupted",
        "Gangway stopped while the call was under way, so the instance may exist. It is looked up by its tag, never created again.";
    /// Gangway stopped before the call left, for longer than a grant code lives.
    NotSent = "not_sent",
        "Gangway stopped before the call left, and the grant code ended meanwhile. Nothing was sent; the customer can approve again.";
    /// Exists upstream, and the database knows nothing of it.
    Orphaned = "orphaned",
        "An instance with our tag and our address exists at Cloud Elements and had no row here: a database that was put back, most likely. It is adopted.";
    /// Looked for and not there.
    NotFound = "not_found_upstream",
        "No instance with this tag exists at Cloud Elements. The customer can approve again.";
    /// Mailchimp refuses the access.
    AccessRevoked = "access_revoked",
        "Mailchimp no longer lets this instance in: the app was removed there, or the account is closed. The customer must approve again.";
    /// Cloud Elements has no such instance any more.
    GoneUpstream = "gone_upstream",
        "Cloud Elements has no instance with this id any more; somebody deleted it there. Disconnect it here and let the customer connect anew.";
    /// Cloud Elements has it switched off.
    DisabledUpstream = "disabled_upstream",
        "The instance is disabled at Cloud Elements. Enable it there, or let the customer approve again.";
    /// Cloud Elements says it is not valid.
    NotValid = "not_valid",
        "Cloud Elements says that the instance's authentication is not valid. The customer must approve again.";
    /// Another MailChimp account was approved than the one before.
    OtherAccount = "other_account",
        "Another MailChimp account was approved than the one connected before. The customer is asked which one is meant.";
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
    fn an_account_is_another_one_only_if_no_audience_is_the_same() {
        let of = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect::<Vec<_>>();
        let with = |ids: &[&str]| Instance {
            id: Uuid::nil(),
            name: String::new(),
            customer: None,
            tags: Vec::new(),
            element: String::new(),
            reference: "0000-0000".parse().unwrap(),
            browser: BrowserHash::of("browser"),
            created_at: OffsetDateTime::UNIX_EPOCH,
            first_event_at: None,
            last_event_at: None,
            notification_count: 0,
            last_checked_at: None,
            audiences: Some(of(ids)),
            renewing: false,
            version: 0,
            state: InstanceState::Provisioning,
        };
        let another = |known: &[&str], found: &[&str]| {
            with(known).another_account(&of(found), OffsetDateTime::UNIX_EPOCH)
        };
        assert_eq!(
            another(&["a", "b"], &["c"]).and_then(|problem| problem.detail).as_deref(),
            Some("audiences a, b before, c now")
        );
        for (known, found, same) in
            [(&["a", "b"][..], &["b", "c"][..], true), (&[], &["c"], false), (&["a"], &[], false)]
        {
            assert_eq!(another(known, found), None);
            assert_eq!(with(known).same_account(&of(found)), same);
        }
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
