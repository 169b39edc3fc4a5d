//! Invites: a link for one named customer. What one may ask for, how long it is good, and how it stands. The rows are
//! `storage`'s, the pages `web`'s.

use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::config::ReturnUrls;
use crate::elements::{LONGEST_TAG, MOST_TAGS, UnfitTags, fit_tags};
use crate::entropy::{Entropy, fresh_token};

/// Without another wish a link is good for a week.
pub const USUAL_LIFETIME: Duration = Duration::from_hours(7 * 24);
const SHORTEST: Duration = Duration::from_hours(1);
const LONGEST: Duration = Duration::from_hours(30 * 24);
const LONGEST_CUSTOMER: usize = 120;
const MOST_USES: u32 = 10_000;

/// What stands in the link: 256 bits. Its hash is kept, and nothing else of it.
#[derive(Debug)]
pub struct InviteToken(SecretString);

impl InviteToken {
    /// A fresh one.
    pub fn draw(entropy: &dyn Entropy) -> Self {
        Self(fresh_token(entropy).into())
    }

    /// For the link.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

/// What is asked for, as it was typed.
#[derive(Debug, Clone, Default)]
pub struct Draft {
    /// For whom.
    pub customer: String,
    /// How long; `None` is a week.
    pub ttl: Option<Duration>,
    /// How many accounts may be connected with it; `None` is as many as come.
    pub uses: Option<u32>,
    /// For the instance.
    pub tags: Vec<String>,
    /// Where the customer goes afterwards.
    pub return_url: Option<String>,
}

/// What cannot be used, by the name of its field.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field} {why}")]
pub struct NotUsable {
    /// `customer`, `ttl`, `uses`, `tags` or `return_url`.
    pub field: &'static str,
    /// Why, for a sentence that begins with the field.
    pub why: String,
}

/// An invite that can be made.
#[derive(Debug, Clone)]
pub struct Checked {
    customer: String,
    ttl: Duration,
    uses: Option<u32>,
    tags: Vec<String>,
    return_url: Option<String>,
}

impl Checked {
    /// For whom.
    pub fn customer(&self) -> &str {
        &self.customer
    }

    /// As it is made at `now`.
    pub fn made(self, id: Uuid, now: OffsetDateTime) -> Invite {
        let Self { customer, ttl, uses, tags, return_url } = self;
        Invite {
            id,
            customer,
            tags,
            return_url,
            uses,
            used: 0,
            created_at: now,
            expires_at: now + ttl,
            opened_at: None,
            started_at: None,
            connected_at: None,
            revoked_at: None,
        }
    }
}

impl Draft {
    /// Looks at every field; return URLs must be among `allowed`.
    pub fn checked(self, allowed: &ReturnUrls) -> Result<Checked, NotUsable> {
        let no = |field, why: String| Err(NotUsable { field, why });
        let customer = self.customer.trim().to_owned();
        if customer.is_empty() || is_unfit(&customer, LONGEST_CUSTOMER) {
            return no("customer", format!("must have 1 to {LONGEST_CUSTOMER} characters on one line"));
        }
        let ttl = self.ttl.unwrap_or(USUAL_LIFETIME);
        if !(SHORTEST..=LONGEST).contains(&ttl) {
            return no("ttl", "must be from 1h to 30d".to_owned());
        }
        if self.uses.is_some_and(|uses| !(1..=MOST_USES).contains(&uses)) {
            return no("uses", format!("must be from 1 to {MOST_USES}, or left out"));
        }
        let tags = match fit_tags(&self.tags) {
            Ok(tags) => tags,
            Err(UnfitTags::TooMany) => return no("tags", format!("must be {MOST_TAGS} at most")),
            Err(UnfitTags::Text | UnfitTags::Reserved) => {
                let why = format!(
                    "must each have 1 to {LONGEST_TAG} characters, no comma, and not begin with gangway-"
                );
                return no("tags", why);
            }
        };
        let return_url = self.return_url.map(|url| url.trim().to_owned()).filter(|url| !url.is_empty());
        if return_url.as_deref().is_some_and(|url| !allowed.allow(url)) {
            return no("return_url", "must begin with one of the addresses in RETURN_URLS".to_owned());
        }
        Ok(Checked { customer, ttl, uses: self.uses, tags, return_url })
    }
}

fn is_unfit(text: &str, longest: usize) -> bool {
    text.chars().count() > longest || text.chars().any(char::is_control)
}

/// An invite, as it is told of: never its link.
#[derive(Debug, Clone)]
pub struct Invite {
    /// Ours.
    pub id: Uuid,
    /// For whom.
    pub customer: String,
    /// For the instance.
    pub tags: Vec<String>,
    /// Where the customer goes afterwards.
    pub return_url: Option<String>,
    /// How many accounts may be connected with it; `None` is as many as come.
    pub uses: Option<u32>,
    /// How many were.
    pub used: u32,
    /// When it was made.
    pub created_at: OffsetDateTime,
    /// When it ends.
    pub expires_at: OffsetDateTime,
    /// When somebody first opened it.
    pub opened_at: Option<OffsetDateTime>,
    /// When somebody first went to MailChimp with it.
    pub started_at: Option<OffsetDateTime>,
    /// When the first grant came back with it.
    pub connected_at: Option<OffsetDateTime>,
    /// When the operator took it back.
    pub revoked_at: Option<OffsetDateTime>,
}

/// How an invite stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InviteState {
    /// Nobody opened it yet.
    Created,
    /// Somebody looked at it.
    Opened,
    /// Somebody went to MailChimp with it.
    Started,
    /// An account was connected with it.
    Connected,
    /// It is too old.
    Expired,
    /// It was taken back.
    Revoked,
}

impl InviteState {
    /// Every state.
    pub const ALL: [Self; 6] =
        [Self::Created, Self::Opened, Self::Started, Self::Connected, Self::Expired, Self::Revoked];

    /// The word for it, everywhere.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Opened => "opened",
            Self::Started => "started",
            Self::Connected => "connected",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
        }
    }
}

impl Invite {
    /// How it stands at `now`. What was taken back or is used up stays so.
    pub fn state(&self, now: OffsetDateTime) -> InviteState {
        match () {
            () if self.revoked_at.is_some() => InviteState::Revoked,
            () if self.is_used_up() => InviteState::Connected,
            () if self.expires_at <= now => InviteState::Expired,
            () if self.connected_at.is_some() => InviteState::Connected,
            () if self.started_at.is_some() => InviteState::Started,
            () if self.opened_at.is_some() => InviteState::Opened,
            () => InviteState::Created,
        }
    }

    /// Every use it has was made.
    pub fn is_used_up(&self) -> bool {
        self.uses.is_some_and(|uses| self.used >= uses)
    }

    /// Whether somebody may start with it.
    pub fn is_open(&self, now: OffsetDateTime) -> bool {
        self.revoked_at.is_none() && !self.is_used_up() && self.expires_at > now
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    const NOON: OffsetDateTime = datetime!(2026-11-23 12:00 UTC);

    fn invite() -> Invite {
        Invite {
            id: Uuid::nil(),
            customer: "Ada".into(),
            tags: Vec::new(),
            return_url: None,
            uses: Some(1),
            used: 0,
            created_at: NOON,
            expires_at: NOON + time::Duration::days(7),
            opened_at: None,
            started_at: None,
            connected_at: None,
            revoked_at: None,
        }
    }

    #[test]
    fn how_an_invite_stands_follows_from_what_happened_to_it() {
        let at = Some(NOON);
        let late = NOON + time::Duration::days(8);
        let used = Invite { used: 1, connected_at: at, ..invite() };
        for (invite, now, state) in [
            (invite(), NOON, InviteState::Created),
            (Invite { opened_at: at, ..invite() }, NOON, InviteState::Opened),
            (Invite { opened_at: at, started_at: at, ..invite() }, NOON, InviteState::Started),
            (Invite { started_at: at, ..invite() }, late, InviteState::Expired),
            (used.clone(), late, InviteState::Connected),
            (Invite { uses: None, ..used.clone() }, NOON, InviteState::Connected),
            (Invite { uses: None, ..used.clone() }, late, InviteState::Expired),
            (Invite { revoked_at: at, ..used.clone() }, NOON, InviteState::Revoked),
        ] {
            assert_eq!(invite.state(now), state, "{invite:?}");
        }
        assert!(!used.is_open(NOON) && Invite { uses: Some(2), ..used }.is_open(NOON));
        assert!(!invite().is_open(late));
    }

    #[test]
    fn what_cannot_be_used_is_told_by_its_field() {
        let draft = Draft { customer: "Ada".into(), ..Draft::default() };
        assert_eq!(draft.clone().checked(&ReturnUrls::default()).unwrap().ttl, USUAL_LIFETIME);
        let many = |count: usize| (0..count).map(|number| number.to_string()).collect::<Vec<_>>();
        for (wrong, field) in [
            (Draft { customer: " ".into(), ..draft.clone() }, "customer"),
            (Draft { customer: "x".repeat(121), ..draft.clone() }, "customer"),
            (Draft { customer: "a\nb".into(), ..draft.clone() }, "customer"),
            (Draft { ttl: Some(Duration::from_secs(3599)), ..draft.clone() }, "ttl"),
            (Draft { ttl: Some(Duration::from_secs(31 * 86_400)), ..draft.clone() }, "ttl"),
            (Draft { uses: Some(0), ..draft.clone() }, "uses"),
            (Draft { tags: vec!["gangway-x".into()], ..draft.clone() }, "tags"),
            (Draft { tags: many(21), ..draft.clone() }, "tags"),
            (Draft { return_url: Some("https://evil.example".into()), ..draft.clone() }, "return_url"),
        ] {
            assert_eq!(wrong.clone().checked(&ReturnUrls::default()).unwrap_err().field, field, "{wrong:?}");
        }
    }
}
