//! The audiences that report changes for an instance. That a webhook is about to be made is on disk before
//! it is, so that two clicks make one and a crash forgets none. Names go with their rows.

use sqlx::Row;
use time::OffsetDateTime;
use uuid::Uuid;

use super::statement::{Deciding, Statement};
use super::{Step, Storage, StorageError, timeline};
use crate::clock::to_milliseconds;

/// Where the webhook of an audience comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// Gangway asked for it, and does not know yet what came of it.
    Asked,
    /// Gangway made it, and removes it in the end.
    Made,
    /// It was there; somebody else's.
    Found,
}

impl Origin {
    fn as_str(self) -> &'static str {
        match self {
            Self::Asked => "asked",
            Self::Made => "made",
            Self::Found => "found",
        }
    }

    fn parse(word: &str) -> Option<Self> {
        [Self::Asked, Self::Made, Self::Found].into_iter().find(|origin| origin.as_str() == word)
    }
}

/// An audience that was chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AudienceWebhook {
    /// Mailchimp's id of the audience.
    pub audience: String,
    /// As the customer named it.
    pub name: String,
    /// Whose webhook it is.
    pub origin: Origin,
    /// Mailchimp's id of the webhook, once it is known.
    pub webhook: Option<String>,
}

/// When an audience was looked at, and since when a question without an answer counts as lost.
#[derive(Debug, Clone, Copy)]
pub struct Looked {
    /// When the look began that found no webhook.
    pub at: OffsetDateTime,
    /// What was asked before has certainly ended.
    pub lost_before: OffsetDateTime,
}

impl Storage {
    /// What was chosen for an instance, in the order of the names.
    pub async fn audience_webhooks(&self, instance: Uuid) -> Result<Vec<AudienceWebhook>, StorageError> {
        let query = "SELECT audience, name, origin, webhook FROM audience_webhooks WHERE instance = $1 ORDER BY name, audience";
        let rows = sqlx::query(query).bind(instance.to_string()).fetch_all(&self.readers).await?;
        rows.iter()
            .map(|row| {
                let word: String = row.try_get("origin")?;
                let origin = Origin::parse(&word);
                let inconsistent = || StorageError::Inconsistent(format!("no such origin: {word:?}"));
                Ok(AudienceWebhook {
                    audience: row.try_get("audience")?,
                    name: row.try_get("name")?,
                    origin: origin.ok_or_else(inconsistent)?,
                    webhook: row.try_get("webhook")?,
                })
            })
            .collect()
    }

    /// Claims the making of a webhook, for one caller among many. Not where it is being made, nor where one
    /// was made since the look that found none, nor for an instance on its way out.
    pub async fn claim_audience(
        &self,
        instance: Uuid,
        (audience, name): (&str, &str),
        looked: Looked,
        now: OffsetDateTime,
    ) -> Result<bool, StorageError> {
        let claim = Statement::new(
            "INSERT INTO audience_webhooks (instance, audience, name, origin, touched_at) SELECT id, $2, $3, 'asked', $4 FROM instances \
             WHERE id = $1 AND state = 'connected' ON CONFLICT (instance, audience) DO UPDATE SET origin = 'asked', webhook = NULL, name = excluded.name, \
             touched_at = excluded.touched_at WHERE audience_webhooks.touched_at < \
             CASE audience_webhooks.origin WHEN 'asked' THEN $5 ELSE $6 END",
        );
        let claim = claim
            .bind(instance)
            .bind(audience)
            .bind(name)
            .bind(to_milliseconds(now))
            .bind(to_milliseconds(looked.lost_before))
            .bind(to_milliseconds(looked.at));
        Ok(self.writer.write(claim).await? > 0)
    }

    /// Writes how an audience stands now, with a line on the timeline where that is news; answers whether it
    /// was. What Gangway made stays its own, however often it is found.
    pub async fn keep_audience(
        &self,
        instance: Uuid,
        kept: &AudienceWebhook,
        step: Step,
    ) -> Result<bool, StorageError> {
        let first = Statement::new(
            "INSERT INTO audience_webhooks (instance, audience, name, origin, webhook, touched_at) \
             VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (instance, audience) DO UPDATE SET name = excluded.name, \
             origin = excluded.origin, webhook = excluded.webhook, touched_at = excluded.touched_at \
             WHERE audience_webhooks.origin = 'asked' OR COALESCE(audience_webhooks.webhook, '') <> COALESCE(excluded.webhook, '')",
        )
        .bind(instance)
        .bind(kept.audience.as_str())
        .bind(kept.name.as_str())
        .bind(kept.origin.as_str())
        .bind(kept.webhook.clone())
        .bind(to_milliseconds(step.at));
        let then = vec![timeline::line(instance, &step)];
        self.writer.write(Deciding { first, then }).await
    }

    /// Gives back a claim of which nothing came.
    pub async fn release_audience(&self, instance: Uuid, audience: &str) -> Result<(), StorageError> {
        let release = Statement::new(
            "DELETE FROM audience_webhooks WHERE instance = $1 AND audience = $2 AND origin = 'asked'",
        );
        self.writer.write(release.bind(instance).bind(audience)).await.map(drop)
    }

    /// Whether another instance that lives uses this very webhook; then it is that one's to remove.
    pub async fn hand_over_audience(
        &self,
        instance: Uuid,
        audience: &str,
        webhook: &str,
    ) -> Result<bool, StorageError> {
        let hand_over = Statement::new(
            "UPDATE audience_webhooks SET origin = 'made' WHERE audience = $2 AND webhook = $3 AND instance <> $1 \
             AND instance IN (SELECT id FROM instances WHERE state IN ('connected', 'paused', 'needs_attention'))",
        );
        Ok(self.writer.write(hand_over.bind(instance).bind(audience).bind(webhook)).await? > 0)
    }

    /// Forgets an audience whose webhook is gone, with a line on the timeline.
    pub async fn drop_audience(
        &self,
        instance: Uuid,
        audience: &str,
        step: Step,
    ) -> Result<(), StorageError> {
        let first = Statement::new("DELETE FROM audience_webhooks WHERE instance = $1 AND audience = $2");
        let then = vec![timeline::line(instance, &step)];
        let drop_it = Deciding { first: first.bind(instance).bind(audience), then };
        self.writer.write(drop_it).await.map(drop)
    }

    /// Forgets every audience of an instance.
    pub async fn forget_audiences(&self, instance: Uuid) -> Result<(), StorageError> {
        let forget = Statement::new("DELETE FROM audience_webhooks WHERE instance = $1").bind(instance);
        self.writer.write(forget).await.map(drop)
    }
}
