//! The audiences that report their changes. Mailchimp tells of nothing before an audience has a webhook, and
//! making an instance makes none: here the customer's choice becomes webhooks, each once, however often it
//! is sent. Names of audiences are the customer's: they reach pages, never the log.

use futures_util::{StreamExt, TryStreamExt, stream};
use secrecy::SecretString;
use time::OffsetDateTime;
use tokio::time::Instant;

use super::Onboarding;
use crate::elements::{self, Audience, CallError, Instance, InstanceState};
use crate::reference::Reference;
use crate::storage::{AudienceWebhook, Looked, Origin, StorageError};

/// Mailchimp takes ten calls of one user at once, and others want some.
const CALLS_AT_ONCE: usize = 4;
/// The kind of the lines on the timeline.
const KIND: &str = "audience";

/// An audience of the account.
#[derive(Debug)]
pub struct Choice {
    /// Mailchimp's id.
    pub id: String,
    /// As the customer named it.
    pub name: String,
    /// Whether its changes reach this instance.
    pub reports: Reports,
}

/// Whether an audience reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reports {
    /// It has a webhook that reaches this instance.
    Yes,
    /// It has none.
    No,
    /// Somebody else, another tab for one, asked for one a moment ago.
    Asked,
    /// It was asked for, and clearly refused.
    Refused,
    /// There was no clear answer.
    Unknown,
}

/// Why there is nothing to choose from.
#[derive(Debug, thiserror::Error)]
pub enum NotListed {
    /// The instance does not work, as it stands.
    #[error("an instance that is {0} has no audiences to choose")]
    AsItStands(&'static str),
    /// The account's audiences cannot be read.
    #[error("upstream")]
    Upstream(CallError),
    /// The database says no.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// Whose audiences, until when it is waited for them, and for which request.
struct Account<'a> {
    instance: &'a Instance,
    element_instance_id: i64,
    token: SecretString,
    until: Instant,
    reference: Reference,
}

impl Onboarding {
    /// The audiences of the account, each with whether it reports; those that are `chosen` are made to.
    pub async fn audiences(
        &self,
        instance: &Instance,
        chosen: &[String],
        reference: Reference,
    ) -> Result<Vec<Choice>, NotListed> {
        let InstanceState::Connected(connection) = &instance.state else {
            return Err(NotListed::AsItStands(instance.state.as_str()));
        };
        let token = self.storage.instance_token(instance.id).await?;
        let account = Account {
            instance,
            element_instance_id: connection.element_instance_id,
            token: token.ok_or(NotListed::AsItStands("without a token"))?,
            until: Instant::now() + self.cloud_elements.patience(),
            reference,
        };
        let known = self.storage.audience_webhooks(instance.id).await?;
        let all = within(account.until, self.cloud_elements.audiences(&account.token)).await;
        let all = all.map_err(|error| {
            warn(instance, &error, "the audiences could not be read");
            NotListed::Upstream(error)
        })?;
        let choices = all.into_iter().map(|audience| {
            let known = known.iter().find(|known| known.audience == audience.id);
            let chosen = chosen.contains(&audience.id);
            self.choice(&account, audience, known, chosen)
        });
        Ok(stream::iter(choices).buffered(CALLS_AT_ONCE).try_collect().await?)
    }

    /// One audience: looked at, and made to report where it is chosen and does not yet.
    async fn choice(
        &self,
        account: &Account<'_>,
        audience: Audience,
        known: Option<&AudienceWebhook>,
        chosen: bool,
    ) -> Result<Choice, StorageError> {
        let looked_at = self.clock.now();
        let reports = match self.look(account, &audience.id).await {
            Err(error) => {
                warn(account.instance, &error, "the webhooks of an audience could not be read");
                Reports::Unknown
            }
            Ok(Some(found)) => {
                // What was asked for, and is there now, is what came of it.
                let ours = known.is_some_and(|known| {
                    let the_same = known.webhook.as_ref().is_none_or(|webhook| *webhook == found.id);
                    known.origin != Origin::Found && the_same
                });
                let origin = if ours { Origin::Made } else { Origin::Found };
                self.keep(account, &audience, (origin, Some(found.id))).await?
            }
            Ok(None) if chosen => self.make(account, &audience, looked_at).await?,
            Ok(None) => Reports::No,
        };
        Ok(Choice { id: audience.id, name: audience.name, reports })
    }

    /// The webhook of an audience that reaches this instance.
    async fn look(
        &self,
        account: &Account<'_>,
        audience: &str,
    ) -> Result<Option<elements::AudienceWebhook>, CallError> {
        let all = self.cloud_elements.audience_webhooks(&account.token, audience);
        let all = within(account.until, all).await?;
        let (element, id) = (&account.instance.element, account.element_instance_id);
        Ok(all.into_iter().find(|webhook| self.cloud_elements.reaches(&webhook.url, element, id)))
    }

    /// The one call that makes a webhook. Mailchimp takes an address once for each audience, so a refusal
    /// may say that it is there already.
    async fn make(
        &self,
        account: &Account<'_>,
        audience: &Audience,
        looked_at: OffsetDateTime,
    ) -> Result<Reports, StorageError> {
        let id = account.instance.id;
        // By then the call of whoever asked before has ended, one way or the other.
        let looked = Looked { at: looked_at, lost_before: looked_at - 2 * self.cloud_elements.patience() };
        let name = (audience.id.as_str(), audience.name.as_str());
        if !self.storage.claim_audience(id, name, looked, self.clock.now()).await? {
            return Ok(Reports::Asked);
        }
        let element = &account.instance.element;
        let made = self.cloud_elements.create_audience_webhook(&account.token, &audience.id, element);
        let error = match within(account.until, made).await {
            Ok(webhook) => return self.made(account, audience, webhook).await,
            Err(error) => error,
        };
        warn(account.instance, &error, "an audience webhook was not made");
        let refused = error.nothing_happened();
        match self.look(account, &audience.id).await {
            Ok(Some(found)) => {
                let origin = if refused { Origin::Found } else { Origin::Made };
                self.keep(account, audience, (origin, Some(found.id))).await
            }
            _ if says_duplicate(&error) => self.keep(account, audience, (Origin::Found, None)).await,
            _ if refused => {
                count("refused");
                self.storage.release_audience(id, &audience.id).await?;
                Ok(Reports::Refused)
            }
            // It stays asked for: the next look tells, and so does the disconnect.
            _ => {
                count("unclear");
                Ok(Reports::Unknown)
            }
        }
    }

    /// Kept; and taken back where somebody disconnected meanwhile, who may not have seen it.
    async fn made(
        &self,
        account: &Account<'_>,
        audience: &Audience,
        webhook: Option<String>,
    ) -> Result<Reports, StorageError> {
        let id = account.instance.id;
        let reports = self.keep(account, audience, (Origin::Made, webhook.clone())).await?;
        let now = self.storage.instance(id).await?.map(|now| now.state);
        if let Some(InstanceState::Disconnecting(_) | InstanceState::Disconnected(_)) = now {
            let (audience, name) = (audience.id.clone(), audience.name.clone());
            let made = AudienceWebhook { audience, name, origin: Origin::Made, webhook };
            self.remove(account, made).await;
            return Ok(Reports::Unknown);
        }
        Ok(reports)
    }

    async fn keep(
        &self,
        account: &Account<'_>,
        audience: &Audience,
        (origin, webhook): (Origin, Option<String>),
    ) -> Result<Reports, StorageError> {
        let (id, list) = (account.instance.id, &audience.id);
        let (result, summary) = if origin == Origin::Made {
            (
                "made",
                format!("The webhook of audience {list} was made: its changes are reported from now on."),
            )
        } else {
            (
                "found",
                format!("Audience {list} reports its changes already; its webhook is not ours to remove."),
            )
        };
        let kept = AudienceWebhook { audience: list.clone(), name: audience.name.clone(), origin, webhook };
        let step = self.step(KIND, summary, account.reference);
        if self.storage.keep_audience(id, &kept, step).await? {
            count(result);
            self.feed.nudge(id);
        }
        Ok(Reports::Yes)
    }

    /// Removes the webhooks that Gangway made, as far as upstream lets it. Answers the names of the audiences
    /// where one may be left, for the receipt.
    pub(super) async fn remove_audience_webhooks(&self, instance: &Instance) -> Vec<String> {
        let known = self.storage.audience_webhooks(instance.id).await.unwrap_or_else(|error| {
            tracing::error!(instance = %instance.id, %error, "which webhooks to remove could not be read");
            Vec::new()
        });
        let ours: Vec<_> = known.into_iter().filter(|known| known.origin != Origin::Found).collect();
        let token = self.storage.instance_token(instance.id).await.ok().flatten();
        let (Some(token), Some(connection), false) = (token, instance.state.connection(), ours.is_empty())
        else {
            return ours.into_iter().map(|left| left.name).collect();
        };
        let account = Account {
            instance,
            element_instance_id: connection.element_instance_id,
            token,
            until: Instant::now() + self.cloud_elements.patience(),
            reference: instance.reference,
        };
        let removals = ours.into_iter().map(|known| self.remove(&account, known));
        stream::iter(removals).buffered(CALLS_AT_ONCE).filter_map(async |left| left).collect().await
    }

    /// Answers the name where it is left.
    async fn remove(&self, account: &Account<'_>, known: AudienceWebhook) -> Option<String> {
        let (instance, audience) = (account.instance, known.audience.as_str());
        let what = match self.removed(account, &known).await {
            Ok(what) => what,
            Err(error) => {
                warn(instance, &error, "an audience webhook was not removed");
                count("not_removed");
                return Some(known.name);
            }
        };
        count("removed");
        let step = self.step(
            "disconnecting",
            format!("The webhook of audience {audience} {what}."),
            account.reference,
        );
        if let Err(error) = self.storage.drop_audience(instance.id, audience, step).await {
            tracing::error!(instance = %instance.id, %error, "that a webhook was removed could not be written");
        }
        None
    }

    /// In words, what became of it.
    async fn removed(
        &self,
        account: &Account<'_>,
        known: &AudienceWebhook,
    ) -> Result<&'static str, CallError> {
        let audience = &known.audience;
        let webhook = match &known.webhook {
            Some(webhook) => webhook.clone(),
            None => match self.look(account, audience).await? {
                Some(found) => found.id,
                None => return Ok("was never made"),
            },
        };
        let shared = self.storage.hand_over_audience(account.instance.id, audience, &webhook).await;
        if shared.map_err(|_| CallError::unclear("whether it is shared cannot be read"))? {
            return Ok("was left: another connection of the same account uses it");
        }
        let removal = self.cloud_elements.delete_audience_webhook(&account.token, audience, &webhook);
        Ok(if within(account.until, removal).await? { "was removed" } else { "was gone already" })
    }
}

/// Nobody waits longer than `until`; what was sent by then may have been done.
async fn within<T>(until: Instant, call: impl Future<Output = Result<T, CallError>>) -> Result<T, CallError> {
    let in_time = tokio::time::timeout_at(until, call).await;
    in_time.unwrap_or_else(|_| Err(CallError::unclear("the deadline passed")))
}

/// Mailchimp's words for an address that an audience has already (its reference, section 2.1).
fn says_duplicate(error: &CallError) -> bool {
    let CallError::Refused(refusal) = error else { return false };
    let words = format!("{} {}", refusal.message, refusal.provider_message.as_deref().unwrap_or_default());
    words.to_lowercase().contains("multiple webhooks for one url")
}

/// The status alone: upstream's words may repeat what the customer named.
fn warn(instance: &Instance, error: &CallError, what: &'static str) {
    tracing::warn!(instance = %instance.id, status = error.status(), what, "audiences");
}

fn count(result: &'static str) {
    metrics::counter!("gangway_audience_webhooks_total", "result" => result).increment(1);
}
