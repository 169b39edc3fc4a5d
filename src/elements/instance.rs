//! One connected MailChimp account.

use sha2::{Digest, Sha256};
use time::OffsetDateTime;
use uuid::Uuid;

use super::instance_state::InstanceState;
use super::problem::{Problem, ProblemKind};
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

#[cfg(test)]
mod tests {
    use super::*;

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
}
