//! Instances: one row each, from the claimed grant to the end. A row becomes an [`Instance`] only if it
//! fits one of its states.

use secrecy::{ExposeSecret, SecretString};
use sqlx::Row;
use sqlx::any::AnyRow;
use time::OffsetDateTime;
use uuid::Uuid;

use super::endpoints::list;
use super::sealed::SealedColumn;
use super::statement::{Deciding, Statement};
use super::timeline::Step;
use super::{
    Lease, Storage, StorageError, Ticket, Work, authorization_requests, instance_words, invites, missed_work,
    open_work, timeline,
};
use crate::clock::{from_milliseconds, to_milliseconds};
use crate::elements::{BrowserHash, Connection, Instance, InstanceState, Problem, ProblemKind, SignatureKey};

pub(super) const COLUMNS: &str = "id, state, name, customer, tags, element, reference, browser, element_instance_id, events_enabled, \
     connected_at, problem_kind, problem_detail, problem_since, created_at, first_event_at, last_event_at, \
     notification_count, last_checked_at, audiences, version, \
     (SELECT count(*) FROM open_work WHERE open_work.instance = instances.id AND open_work.kind = 'reauthorize') AS renewing";

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

/// Some rows of a list, and where the next ones start.
#[derive(Debug)]
pub struct Page<T> {
    /// The rows.
    pub items: Vec<T>,
    /// The cursor of the next page, if there is one.
    pub next: Option<Uuid>,
}

pub(super) fn page_query(condition: &str) -> String {
    format!("SELECT {COLUMNS} FROM instances WHERE id < $1 {condition} ORDER BY id DESC LIMIT $2")
}

pub(super) fn by_element_instance() -> String {
    format!("SELECT {COLUMNS} FROM instances WHERE element_instance_id = $1 ORDER BY id DESC LIMIT 1")
}

impl Storage {
    /// One instance.
    pub async fn instance(&self, id: Uuid) -> Result<Option<Instance>, StorageError> {
        let row = sqlx::query(sqlx::AssertSqlSafe(format!("SELECT {COLUMNS} FROM instances WHERE id = $1")))
            .bind(id.to_string())
            .fetch_optional(&self.readers)
            .await?;
        row.as_ref().map(read).transpose()
    }

    /// The newest instances first, `limit` of them, from `after` on; of one state only if `state` is given.
    pub async fn instances(
        &self,
        state: Option<&str>,
        after: Option<Uuid>,
        limit: u16,
    ) -> Result<Page<Instance>, StorageError> {
        let after = after.unwrap_or(Uuid::max()).to_string();
        let limit = i64::from(limit);
        let query = |condition| sqlx::AssertSqlSafe(page_query(condition));
        let rows = match state {
            None => sqlx::query(query("")).bind(after).bind(limit + 1).fetch_all(&self.readers).await?,
            Some(state) => {
                let query = sqlx::query(query("AND state = $3")).bind(after).bind(limit + 1);
                query.bind(state.to_owned()).fetch_all(&self.readers).await?
            }
        };
        let mut items = rows.iter().map(read).collect::<Result<Vec<_>, _>>()?;
        let more = items.len() > usize::from(u16::try_from(limit).unwrap_or(u16::MAX));
        items.truncate(usize::try_from(limit).unwrap_or_default());
        let next = items.last().filter(|_| more).map(|last| last.id);
        Ok(Page { items, next })
    }

    /// The instance that Cloud Elements knows by this id.
    pub async fn instance_of_element_instance(&self, id: i64) -> Result<Option<Instance>, StorageError> {
        let query = sqlx::AssertSqlSafe(by_element_instance());
        let row = sqlx::query(query).bind(id).fetch_optional(&self.readers).await?;
        row.as_ref().map(read).transpose()
    }

    /// Two instances at most whose id begins with `text`: hexadecimal digits and dashes.
    pub async fn instances_beginning(&self, text: &str) -> Result<Vec<Uuid>, StorageError> {
        let query = sqlx::query("SELECT id FROM instances WHERE id LIKE $1 LIMIT 2").bind(format!("{text}%"));
        query.fetch_all(&self.readers).await?.iter().map(|row| parsed(row, "id")).collect()
    }

    /// An instance with the key its notifications are signed with.
    pub async fn instance_with_key(
        &self,
        id: Uuid,
    ) -> Result<Option<(Instance, SignatureKey)>, StorageError> {
        let query = format!("SELECT {COLUMNS}, signature_key FROM instances WHERE id = $1");
        let id = id.to_string();
        let row =
            sqlx::query(sqlx::AssertSqlSafe(query)).bind(id.as_str()).fetch_optional(&self.readers).await?;
        let Some(row) = row else { return Ok(None) };
        let sealed: Vec<u8> = row.try_get("signature_key")?;
        let key = self.sealer.open(SealedColumn::SignatureKey.place(&id), &sealed)?;
        let key = String::from_utf8(key).ok().and_then(SignatureKey::from_stored);
        let key =
            key.ok_or_else(|| StorageError::Inconsistent(format!("instance {id} has no signature key")))?;
        Ok(Some((read(&row)?, key)))
    }

    /// The instance token, if there is one.
    pub async fn instance_token(&self, id: Uuid) -> Result<Option<SecretString>, StorageError> {
        let id = id.to_string();
        let sealed: Option<Option<Vec<u8>>> = sqlx::query_scalar("SELECT token FROM instances WHERE id = $1")
            .bind(id.as_str())
            .fetch_optional(&self.readers)
            .await?;
        let Some(sealed) = sealed.flatten().filter(|sealed| !sealed.is_empty()) else { return Ok(None) };
        let token = self.sealer.open(SealedColumn::Token.place(&id), &sealed)?;
        let token = String::from_utf8(token)
            .map_err(|_| StorageError::Inconsistent(format!("the token of instance {id} is no text")))?;
        Ok(Some(token.into()))
    }

    /// The answer that could not be read, while the outcome is open.
    pub async fn kept_answer(&self, id: Uuid) -> Result<Option<Vec<u8>>, StorageError> {
        let id = id.to_string();
        let sealed: Option<Option<Vec<u8>>> =
            sqlx::query_scalar("SELECT kept_answer FROM instances WHERE id = $1")
                .bind(id.as_str())
                .fetch_optional(&self.readers)
                .await?;
        let Some(sealed) = sealed.flatten() else { return Ok(None) };
        Ok(Some(self.sealer.open(SealedColumn::KeptAnswer.place(&id), &sealed)?))
    }

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
        let first = Statement::new(
            "UPDATE instances SET version = version + 1, state = $3, token = COALESCE($4, token), \
             element_instance_id = $5, events_enabled = $6, connected_at = $7, problem_kind = $8, problem_detail = $9, \
             problem_since = $10, name = $11, kept_answer = $12, browser = COALESCE($13, browser), next_check_at = $14, tags = $15 \
             WHERE id = $1 AND version = $2",
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
        .bind(list(&after.tags));
        let mut then: Vec<Statement> = calls.iter().map(|call| timeline::line(after.id, call)).collect();
        then.extend([timeline::line(after.id, &step), missed_work::following(after, step.at)]);
        then.extend(instance_words::following_change(before, after));
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
        then.extend(instance_words::following(&row.instance));
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

pub(super) fn parsed<T: std::str::FromStr>(row: &AnyRow, column: &str) -> Result<T, StorageError> {
    let text: String = row.try_get(column)?;
    text.parse().map_err(|_| StorageError::Inconsistent(format!("{column} is {text:?}")))
}

pub(super) fn moment(row: &AnyRow, column: &str) -> Result<Option<OffsetDateTime>, StorageError> {
    Ok(row.try_get::<Option<i64>, _>(column)?.map(from_milliseconds))
}

pub(super) fn read(row: &AnyRow) -> Result<Instance, StorageError> {
    let id: Uuid = parsed(row, "id")?;
    let missing = |column: &str| StorageError::Inconsistent(format!("instance {id} has no {column}"));
    Ok(Instance {
        id,
        name: row.try_get("name")?,
        customer: row.try_get("customer")?,
        tags: serde_json::from_str(&row.try_get::<String, _>("tags")?)
            .map_err(|_| StorageError::Inconsistent(format!("the tags of instance {id} are no list")))?,
        element: row.try_get("element")?,
        reference: parsed(row, "reference")?,
        browser: BrowserHash::from_stored(row.try_get("browser")?),
        created_at: moment(row, "created_at")?.ok_or_else(|| missing("created_at"))?,
        first_event_at: moment(row, "first_event_at")?,
        last_event_at: moment(row, "last_event_at")?,
        notification_count: row.try_get("notification_count")?,
        last_checked_at: moment(row, "last_checked_at")?,
        audiences: read_audiences(row)?,
        renewing: row.try_get::<i64, _>("renewing")? > 0,
        version: row.try_get("version")?,
        state: read_state(row).map_err(|error| match error {
            StorageError::Inconsistent(what) => StorageError::Inconsistent(format!("instance {id}: {what}")),
            other => other,
        })?,
    })
}

/// A combination of columns that no state has is an error, not a guess.
fn read_state(row: &AnyRow) -> Result<InstanceState, StorageError> {
    let word: String = row.try_get("state")?;
    let misfit = || StorageError::Inconsistent(format!("its columns do not fit the state {word:?}"));
    let problem = read_problem(row)?;
    let connection = match (
        row.try_get::<Option<i64>, _>("element_instance_id")?,
        row.try_get::<Option<i64>, _>("events_enabled")?,
        moment(row, "connected_at")?,
    ) {
        (Some(element_instance_id), Some(events), Some(connected_at)) => {
            Some(Connection { element_instance_id, events_enabled: events != 0, connected_at })
        }
        (None, None, None) => None,
        _ => return Err(misfit()),
    };
    Ok(match (word.as_str(), connection, problem) {
        ("provisioning", None, None) => InstanceState::Provisioning,
        ("unknown", None, Some(problem)) => InstanceState::Unknown(problem),
        ("failed", None, Some(problem)) => InstanceState::Failed(problem),
        ("connected", Some(connection), None) => InstanceState::Connected(connection),
        ("paused", Some(connection), None) => InstanceState::Paused(connection),
        ("needs_attention", Some(connection), Some(problem)) => {
            InstanceState::NeedsAttention(connection, problem)
        }
        ("disconnecting", Some(connection), None) => InstanceState::Disconnecting(connection),
        ("disconnected", Some(connection), None) => InstanceState::Disconnected(connection),
        _ => return Err(misfit()),
    })
}

fn read_problem(row: &AnyRow) -> Result<Option<Problem>, StorageError> {
    let Some(word) = row.try_get::<Option<String>, _>("problem_kind")? else { return Ok(None) };
    let kind = ProblemKind::ALL.iter().find(|kind| kind.as_str() == word);
    let kind = *kind.ok_or_else(|| StorageError::Inconsistent(format!("no such problem: {word:?}")))?;
    let since = moment(row, "problem_since")?.unwrap_or(OffsetDateTime::UNIX_EPOCH);
    Ok(Some(Problem { kind, detail: row.try_get("problem_detail")?, since }))
}

fn read_audiences(row: &AnyRow) -> Result<Option<Vec<String>>, StorageError> {
    let Some(text) = row.try_get::<Option<String>, _>("audiences")? else { return Ok(None) };
    let audiences = serde_json::from_str(&text);
    audiences.map(Some).map_err(|_| StorageError::Inconsistent("audiences are no list".to_owned()))
}
