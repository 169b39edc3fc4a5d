//! What is written of an instance, from the claimed grant to the end: its row is made, and then taken from state to
//! state, each step with its line on the timeline in one transaction.

use secrecy::{ExposeSecret, SecretString};
use time::OffsetDateTime;
use uuid::Uuid;

use super::endpoints::list;
use super::sealed::SealedColumn;
use super::statement::{Deciding, Statement};
use super::timeline::Step;
use super::{
    Lease, Storage, StorageError, Ticket, Work, authorization_requests, instance_marks, instance_words,
    invites, missed_work, open_work, timeline,
};
use crate::clock::to_milliseconds;
use crate::elements::{BrowserHash, Instance, InstanceState, Problem, SignatureKey};

/// What is needed to make the row of a claimed grant.
#[derive(Debug)]
pub struct NewInstanceRow {
    /// Provisioning, as it will be told to Cloud Elements.
    pub instance: Instance,
    /// For its event notifications.
    pub signature_key: SignatureKey,
    /// The invite it came of.
    pub invite: Option<Uuid>,
}

/// One step of an instance from state to state, as it is written down.
#[derive(Debug)]
pub struct Transition<'a> {
    /// How it stood when it was read: nothing is written where it has another version by now.
    pub before: &'a Instance,
    /// How it stands afterwards.
    pub after: &'a Instance,
    /// What becomes of its token.
    pub token: Token<'a>,
    /// An answer that could not be read, for recovery; gone with the next transition.
    pub kept_answer: Option<&'a [u8]>,
    /// Whose page it is from now on, where that changes.
    pub browser: Option<&'a BrowserHash>,
    /// What becomes of its open work.
    pub work: Change,
    /// When it is looked after next, if it is.
    pub next_check: Option<OffsetDateTime>,
    /// Lines on its timeline for the calls that led to it.
    pub calls: Vec<Step>,
    /// The line on its timeline.
    pub step: Step,
}

/// What becomes of the instance token.
#[derive(Debug, Clone, Copy)]
pub enum Token<'a> {
    /// Nothing.
    Keep,
    /// Sealed and kept.
    Put(&'a SecretString),
    /// Overwritten.
    Destroy,
}

/// What becomes of an open piece of work.
#[derive(Debug, Clone, Copy)]
pub enum Change {
    /// Nothing.
    Keep,
    /// It is settled.
    Close(Ticket),
    /// The end of the instance begins, in these hands.
    Disconnect(Ticket, Lease),
}

impl Change {
    fn statements(self, at: OffsetDateTime) -> Vec<Statement> {
        match self {
            Self::Keep => Vec::new(),
            Self::Close(ticket) => open_work::closing(ticket).into_iter().collect(),
            Self::Disconnect(ticket, lease) => vec![
                open_work::opening(ticket, Work::Disconnect, at, lease),
                authorization_requests::forgetting_idle_codes(ticket.instance),
            ],
        }
    }
}

impl Storage {
    /// Writes a transition with its line on the timeline, if nobody else has written one since the row was
    /// read. Answers whether it was.
    pub async fn transition(&self, transition: Transition<'_>) -> Result<bool, StorageError> {
        let Transition { before, after, token, kept_answer, browser, work, next_check, calls, step } =
            transition;
        let id = after.id.to_string();
        let token = match token {
            Token::Keep => None,
            Token::Put(token) => {
                Some(self.sealer.seal(SealedColumn::Token.place(&id), token.expose_secret().as_bytes()))
            }
            // An empty value takes the place of a sealed one.
            Token::Destroy => Some(Vec::new()),
        };
        let kept_answer =
            kept_answer.map(|answer| self.sealer.seal(SealedColumn::KeptAnswer.place(&id), answer));
        let (upstream, problem) = (after.state.connection(), after.state.problem());
        let words = instance_words::of(after);
        let marks = instance_marks::of(after, &words);
        let first = Statement::new(
            "UPDATE instances SET version = version + 1, state = $3, token = COALESCE($4, token), \
             element_instance_id = $5, events_enabled = $6, connected_at = $7, problem_kind = $8, problem_detail = $9, \
             problem_since = $10, name = $11, kept_answer = $12, browser = COALESCE($13, browser), next_check_at = $14, tags = $15, \
             marks = $16 WHERE id = $1 AND version = $2",
        )
        .bind(after.id)
        .bind(before.version)
        .bind(after.state.as_str())
        .bind(token)
        .bind(upstream.map(|connection| connection.element_instance_id))
        .bind(upstream.map(|connection| i64::from(connection.events_enabled)))
        .bind(upstream.map(|connection| to_milliseconds(connection.connected_at)))
        .bind(problem.map(|problem| problem.kind.as_str().to_owned()))
        .bind(problem.and_then(|problem| problem.detail.clone()))
        .bind(problem.map(|problem| to_milliseconds(problem.since)))
        .bind(after.name.as_str())
        .bind(kept_answer)
        .bind(browser.map(|browser| browser.as_bytes().to_vec()))
        .bind(next_check.map(to_milliseconds))
        .bind(list(&after.tags))
        .bind(marks);
        let mut then: Vec<Statement> = calls.iter().map(|call| timeline::line(after.id, call)).collect();
        then.extend([timeline::line(after.id, &step), missed_work::following(after, step.at)]);
        then.extend(instance_words::following_change(before, after, &words, marks));
        if matches!(after.state, InstanceState::Failed(_)) {
            then.push(invites::giving_back(after.id));
        }
        then.extend(work.statements(step.at));
        let written = self.writer.write(Deciding { first, then }).await;
        self.recipients.forget(after.id);
        written
    }

    /// Makes a row, with work to do, for an instance that exists upstream and has none here. Answers whether
    /// there was none.
    pub async fn take_in(
        &self,
        row: &NewInstanceRow,
        problem: &Problem,
        (ticket, lease, step): (Ticket, Lease, Step),
    ) -> Result<bool, StorageError> {
        let id = row.instance.id;
        let key = self.sealed_signature_key(&id.to_string(), &row.signature_key);
        let orphan = Statement::new(
            "UPDATE instances SET state = 'unknown', problem_kind = $2, problem_since = $3 WHERE id = $1",
        )
        .bind(id)
        .bind(problem.kind.as_str())
        .bind(to_milliseconds(problem.since));
        // It exists upstream, so its call has certainly left.
        let sent = Statement::new("UPDATE open_work SET sent_at = since WHERE instance = $1").bind(id);
        let mut then = vec![
            orphan,
            open_work::opening(ticket, Work::Provision, step.at, lease),
            sent,
            timeline::line(id, &step),
        ];
        then.extend(instance_words::following(&Instance {
            state: InstanceState::Unknown(problem.clone()),
            ..row.instance.clone()
        }));
        self.writer.write(Deciding { first: making_if_absent(&row.instance, key), then }).await
    }

    pub(super) fn sealed_signature_key(&self, id: &str, key: &SignatureKey) -> Vec<u8> {
        self.sealer.seal(SealedColumn::SignatureKey.place(id), key.expose().as_bytes())
    }
}

pub(super) fn making(instance: &Instance, signature_key: Vec<u8>) -> Statement {
    inserting(
        "INSERT INTO instances (id, state, name, element, reference, browser, signature_key, created_at, customer, tags) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        instance,
        signature_key,
    )
}

fn making_if_absent(instance: &Instance, signature_key: Vec<u8>) -> Statement {
    inserting(
        "INSERT INTO instances (id, state, name, element, reference, browser, signature_key, created_at, customer, tags) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT (id) DO NOTHING",
        instance,
        signature_key,
    )
}

fn inserting(sql: &'static str, instance: &Instance, signature_key: Vec<u8>) -> Statement {
    Statement::new(sql)
        .bind(instance.id)
        .bind(instance.state.as_str())
        .bind(instance.name.as_str())
        .bind(instance.element.as_str())
        .bind(instance.reference.to_string())
        .bind(instance.browser.as_bytes().to_vec())
        .bind(signature_key)
        .bind(to_milliseconds(instance.created_at))
        .bind(instance.customer.clone())
        .bind(list(&instance.tags))
}
