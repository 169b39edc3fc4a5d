//! Claimed authorization requests. One statement decides that a state is used once, for ever: an insert
//! keyed by its hash that does nothing when the hash is there.

use sqlx::Row;
use sqlx::any::AnyRow;
use time::OffsetDateTime;
use uuid::Uuid;

use super::sealed::SealedColumn;
use super::statement::{Deciding, Statement};
use super::timeline::Step;
use super::{
    Lease, NewInstanceRow, Storage, StorageError, Ticket, Work, instance_words, instances, invites,
    open_work, timeline, transitions,
};
use crate::clock::to_milliseconds;
use crate::elements::BrowserHash;
use crate::oauth::{ErrorCode, GrantCode, StateHash};
use crate::reference::Reference;

/// A trip to Mailchimp that came back, as it is kept.
#[derive(Debug, Clone)]
pub struct ClaimedRequest {
    /// For the address of its page.
    pub id: Uuid,
    /// The browser that started it.
    pub browser: BrowserHash,
    /// How it came back.
    pub trip: Trip,
    /// Of the request that claimed it.
    pub reference: Reference,
    /// When.
    pub claimed_at: OffsetDateTime,
    /// When its browser left for the provider, where that is known.
    pub started_at: Option<OffsetDateTime>,
}

/// How a trip came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trip {
    /// With a grant, which became this instance.
    Granted(Uuid),
    /// With an error.
    Denied(ErrorCode),
}

/// What became of an attempt to claim.
#[derive(Debug)]
pub enum Claim {
    /// This attempt has it, and it is on disk.
    Won,
    /// An earlier one had it.
    Lost(ClaimedRequest),
    /// Nobody had it, and nobody has: its invite was revoked or used up.
    InviteClosed,
}

impl Storage {
    /// Claims the state with a grant: request, instance and first step, in one transaction.
    #[expect(clippy::too_many_arguments, reason = "one transaction of four rows")]
    pub async fn claim_grant(
        &self,
        state: StateHash,
        request: &ClaimedRequest,
        code: &GrantCode,
        new: &NewInstanceRow,
        (step, lease): (Step, Lease),
    ) -> Result<Claim, StorageError> {
        let id = request.id.to_string();
        let code = self.sealer.seal(SealedColumn::GrantCode.place(&id), code.expose().as_bytes());
        let signature_key = self.sealed_signature_key(&new.instance.id.to_string(), &new.signature_key);
        let ticket = Ticket { instance: new.instance.id, id: request.id };
        let mut then = vec![
            transitions::making(&new.instance, signature_key),
            open_work::opening(ticket, Work::Provision, request.claimed_at, lease),
            timeline::line(ticket.instance, &step),
        ];
        then.extend(instance_words::following(&new.instance));
        let Some(invite) = new.invite else {
            return self
                .claim(state, Deciding { first: claiming(CLAIM, (state, request), Some(code)), then })
                .await;
        };
        then.extend(invites::using(invite, ticket.instance, request.claimed_at));
        let first = claiming(CLAIM_INVITED, (state, request), Some(code)).bind(invite);
        if self.writer.write(Deciding { first, then }).await? {
            return Ok(Claim::Won);
        }
        Ok(self.claimed_request(state).await?.map_or(Claim::InviteClosed, Claim::Lost))
    }

    /// Claims the state with a grant that renews an instance's access: request, open work and step, in one
    /// transaction. Where there is nothing to renew any more, no work is opened and the code is not kept.
    pub async fn claim_renewal(
        &self,
        state: StateHash,
        request: &ClaimedRequest,
        code: &GrantCode,
        (ticket, step, lease): (Ticket, Step, Lease),
    ) -> Result<Claim, StorageError> {
        let id = request.id.to_string();
        let code = self.sealer.seal(SealedColumn::GrantCode.place(&id), code.expose().as_bytes());
        let lock = Statement::new("UPDATE instances SET version = version WHERE id = $1");
        let then = vec![
            // Postgres holds the row from here on, so that it cannot be disconnected in between.
            lock.bind(ticket.instance),
            open_work::opening(ticket, Work::Reauthorize, request.claimed_at, lease),
            forgetting_idle_codes(ticket.instance),
            timeline::line(ticket.instance, &step),
        ];
        self.claim(state, Deciding { first: claiming(CLAIM, (state, request), Some(code)), then }).await
    }

    /// The grant code of a piece of work that was not sent yet, with when it was claimed.
    pub async fn grant_code(
        &self,
        ticket: Ticket,
    ) -> Result<Option<(GrantCode, OffsetDateTime)>, StorageError> {
        let query = "SELECT code, claimed_at FROM authorization_requests WHERE id = $1 AND code IS NOT NULL";
        let id = ticket.id.to_string();
        let row = sqlx::query(query).bind(id.as_str()).fetch_optional(&self.readers).await?;
        let Some(row) = row else { return Ok(None) };
        let code =
            self.sealer.open(SealedColumn::GrantCode.place(&id), &row.try_get::<Vec<u8>, _>("code")?)?;
        let claimed_at = instances::moment(&row, "claimed_at")?.unwrap_or(OffsetDateTime::UNIX_EPOCH);
        let code = String::from_utf8(code)
            .map_err(|_| StorageError::Inconsistent("a grant code is no text".into()))?;
        Ok(Some((GrantCode::new(code), claimed_at)))
    }

    /// Claims the state with a denial.
    pub async fn claim_denial(
        &self,
        state: StateHash,
        request: &ClaimedRequest,
    ) -> Result<Claim, StorageError> {
        let first = claiming(CLAIM, (state, request), None);
        self.claim(state, Deciding { first, then: Vec::new() }).await
    }

    async fn claim(&self, state: StateHash, claim: Deciding) -> Result<Claim, StorageError> {
        if self.writer.write(claim).await? {
            return Ok(Claim::Won);
        }
        let earlier = self.claimed_request(state).await?;
        let gone = || StorageError::Inconsistent("a claimed state is gone".into());
        earlier.map(Claim::Lost).ok_or_else(gone)
    }

    /// The request that this state was claimed for, if it was.
    pub async fn claimed_request(&self, state: StateHash) -> Result<Option<ClaimedRequest>, StorageError> {
        let query = "SELECT id, browser, instance, error, reference, claimed_at, started_at FROM authorization_requests WHERE state_hash = $1";
        let row = sqlx::query(query).bind(state.as_bytes().to_vec()).fetch_optional(&self.readers).await?;
        row.as_ref().map(read).transpose()
    }

    /// A claimed request by its id.
    pub async fn claimed_request_by_id(&self, id: Uuid) -> Result<Option<ClaimedRequest>, StorageError> {
        let query = "SELECT id, browser, instance, error, reference, claimed_at, started_at FROM authorization_requests WHERE id = $1";
        let row = sqlx::query(query).bind(id.to_string()).fetch_optional(&self.readers).await?;
        row.as_ref().map(read).transpose()
    }
}

fn read(row: &AnyRow) -> Result<ClaimedRequest, StorageError> {
    let instance: Option<String> = row.try_get("instance")?;
    let error: Option<String> = row.try_get("error")?;
    let trip = match (instance, error) {
        (Some(id), None) => id.parse().ok().map(Trip::Granted),
        (None, Some(error)) => ErrorCode::from_stored(&error).map(Trip::Denied),
        _ => None,
    };
    let misfit =
        || StorageError::Inconsistent("an authorization request is neither granted nor denied".into());
    Ok(ClaimedRequest {
        id: instances::parsed(row, "id")?,
        browser: BrowserHash::from_stored(row.try_get("browser")?),
        trip: trip.ok_or_else(misfit)?,
        reference: instances::parsed(row, "reference")?,
        claimed_at: instances::moment(row, "claimed_at")?.unwrap_or(OffsetDateTime::UNIX_EPOCH),
        started_at: instances::moment(row, "started_at")?,
    })
}

/// The code of one request goes.
pub(super) fn forgetting_code(ticket: Ticket) -> Statement {
    Statement::new("UPDATE authorization_requests SET code = NULL WHERE id = $1 AND code IS NOT NULL")
        .bind(ticket.id)
}

/// The codes of an instance that no open work is about go.
pub(super) fn forgetting_idle_codes(instance: Uuid) -> Statement {
    Statement::new(
        "UPDATE authorization_requests SET code = NULL WHERE instance = $1 AND code IS NOT NULL \
         AND id NOT IN (SELECT ticket FROM open_work WHERE instance = $1)",
    )
    .bind(instance)
}

const CLAIM: &str = "INSERT INTO authorization_requests (state_hash, id, browser, instance, code, error, reference, \
     claimed_at, started_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (state_hash) DO NOTHING";
/// Whoever started in time may finish, so that its end does not matter here.
const CLAIM_INVITED: &str = "INSERT INTO authorization_requests (state_hash, id, browser, instance, code, error, \
     reference, claimed_at, started_at) SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9 WHERE EXISTS (SELECT 1 FROM invites WHERE id = $10 \
     AND revoked_at IS NULL AND (uses IS NULL OR used < uses)) ON CONFLICT (state_hash) DO NOTHING";

fn claiming(
    sql: &'static str,
    (state, request): (StateHash, &ClaimedRequest),
    code: Option<Vec<u8>>,
) -> Statement {
    let (instance, error) = match &request.trip {
        Trip::Granted(instance) => (Some(instance.to_string()), None),
        Trip::Denied(error) => (None, Some(error.as_str().to_owned())),
    };
    Statement::new(sql)
        .bind(state.as_bytes().to_vec())
        .bind(request.id)
        .bind(request.browser.as_bytes().to_vec())
        .bind(instance)
        .bind(code)
        .bind(error)
        .bind(request.reference.to_string())
        .bind(to_milliseconds(request.claimed_at))
        .bind(request.started_at.map(to_milliseconds))
}
