//! Why something did not work, while connecting and afterwards: a stable word, and what the operator should know.

use time::OffsetDateTime;

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
        "Cloud Elements or MailChimp refused the grant code. If this repeats, compare the redirect URI registered at MailChimp.";
    /// Our credentials or configuration were refused.
    SetupRefused = "setup_refused",
        "Cloud Elements refused Gangway itself. Check the two Cloud Elements secrets, the MailChimp client secret and ELEMENT_KEY.";
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
        "MailChimp no longer lets this instance in: the app was removed there, or the account is closed. The customer must approve again.";
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
