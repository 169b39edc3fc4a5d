//! What can be made to go wrong. All off at the start; each stays on until it is switched off.

use serde::{Deserialize, Serialize};

/// The switches.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "each is one switch of the control page")]
pub struct Faults {
    /// Mailchimp: approving denies all the same.
    pub deny: bool,
    /// Cloud Elements: `POST /instances` takes so many milliseconds longer, after acting.
    pub slow_ms: u64,
    /// Cloud Elements: `POST /instances` takes so many milliseconds before it acts, and acts whether or not
    /// the caller is still there.
    pub think_ms: u64,
    /// Cloud Elements: makes the instance and answers 500.
    pub fail_after_create: bool,
    /// Cloud Elements: makes the instance and cuts the connection.
    pub lose_reply: bool,
    /// Cloud Elements: is not there at all; every call gets a gateway's 502 page.
    pub gateway_down: bool,
    /// Cloud Elements: sends every notification twice.
    pub duplicate: bool,
    /// Cloud Elements: holds every second notification back behind the next.
    pub reorder: bool,
    /// Cloud Elements: signs with another key.
    pub bad_signature: bool,
    /// Mailchimp: the token endpoint answers a CDN's 502 page.
    pub token_html_502: bool,
    /// Mailchimp: the token endpoint takes so many milliseconds longer.
    pub token_slow_ms: u64,
    /// Mailchimp: metadata without `login`, `role` and names.
    pub minimal_metadata: bool,
    /// Mailchimp: `user_id` and `login_id` as text.
    pub ids_as_text: bool,
    /// Mailchimp: a bad token at metadata is a 401, not a 200 with an error.
    pub strict_metadata: bool,
    /// Mailchimp: every API call is a 429 without a body.
    pub api_429: bool,
    /// Mailchimp: every API call is a 403 without a body.
    pub api_403: bool,
    /// Mailchimp: every webhook delivery twice.
    pub webhook_duplicate: bool,
    /// Mailchimp: every second webhook delivery is held back behind the next.
    pub webhook_reorder: bool,
    /// Mailchimp: webhook deliveries without signature, as old webhooks have it.
    pub unsigned_webhooks: bool,
    /// Mailchimp: webhook signatures ten minutes old.
    pub stale_webhooks: bool,
    /// Mailchimp: webhook deliveries that name another list.
    pub wrong_list: bool,
    /// Mailchimp: webhook deliveries of a type nobody knows.
    pub unknown_type: bool,
    /// Mailchimp: makes no webhook by itself when a contact is added; only what was made reports.
    pub no_own_webhook: bool,
    /// Mailchimp: whoever approved may only look; webhooks are neither made nor removed.
    pub viewer: bool,
    /// Mailchimp: the account has no audience.
    pub no_audiences: bool,
    /// Mailchimp: names of audiences with markup in them.
    pub hostile_names: bool,
    /// Cloud Elements: the webhooks of an audience are a 500.
    pub webhooks_down: bool,
    /// Cloud Elements: tries notifications again after milliseconds instead of seconds.
    pub hasty: bool,
    /// Cloud Elements: what should be queued is lost; only the list of events has it.
    pub lose_queued: bool,
    /// Cloud Elements: asking for what is queued takes so many milliseconds longer.
    pub queue_slow_ms: u64,
    /// Cloud Elements: and is answered with this status; 0: as it should be.
    pub queue_status: u16,
    /// Cloud Elements: or with a page that is no answer.
    pub queue_garbage: bool,
    /// Cloud Elements: sending what is queued again is answered with this status; 0: as it should be.
    pub redeliver_status: u16,
    /// Cloud Elements: or is told yes, and nothing is sent.
    pub redeliver_deaf: bool,
    /// Cloud Elements: the list of an instance's events is answered with this status; 0: as it should be.
    pub events_status: u16,
    /// Cloud Elements: each of its pages takes so many milliseconds longer.
    pub events_slow_ms: u64,
    /// Cloud Elements: it holds the events of every instance.
    pub events_mixed: bool,
    /// Cloud Elements: its pages are small, whatever was asked for.
    pub small_pages: bool,
    /// Cloud Elements: every call about audiences takes so many milliseconds longer, before it acts.
    pub hub_slow_ms: u64,
    /// Cloud Elements: changing an instance is answered with this status, and nothing is done; 0: as it should be.
    pub change_status: u16,
    /// Cloud Elements: changes an instance and answers 500.
    pub change_lost: bool,
    /// Cloud Elements: says yes to a change with a page that is no answer, and does nothing.
    pub change_garbage: bool,
    /// Cloud Elements: changing an instance takes so many milliseconds longer, after acting.
    pub change_slow_ms: u64,
}
