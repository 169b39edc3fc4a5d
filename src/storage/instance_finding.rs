//! Instances as they are looked for. A question of which some part is rare is answered from the rows of that part,
//! exactly; any other by walking the index of the order asked for, so far as one page may. Nothing here counts or
//! sorts a whole table.

use std::fmt;
use std::str::FromStr;

use sqlx::any::AnyRow;
use time::OffsetDateTime;
use uuid::Uuid;

use super::instance_words as words;
use super::instances::{self, COLUMNS};
use super::{Storage, StorageError};
use crate::clock::to_milliseconds;
use crate::elements::Instance;

/// A part of a question that so many rows fit at most is rare.
pub(super) const FEW: usize = 500;
/// So many rows are looked through for one page where nothing is rare; then it says so.
const LOOKED_THROUGH: usize = 5_000;
const BATCH: usize = 500;
/// More words of a text are not looked at.
const MOST_WORDS: usize = 12;

/// The order of a list; the id decides between equals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum InstanceOrder {
    /// What needs the operator first, then the newest.
    #[default]
    Attention,
    /// The newest first.
    Newest,
    /// By name, whatever its case.
    Name,
    /// The latest event first.
    LastEvent,
}

/// Which instances are meant; all that is given must hold.
#[derive(Debug, Clone, Default)]
pub struct InstanceQuestion {
    /// Each word of this begins a word of the name, the customer, a tag or an id.
    pub text: Option<String>,
    /// In this state.
    pub state: Option<&'static str>,
    /// With this tag, whatever its case.
    pub tag: Option<String>,
    /// Whether Cloud Elements sends its events.
    pub events: Option<bool>,
    /// Silent far longer than usual, at that time.
    pub silent_at: Option<OffsetDateTime>,
    /// In this order.
    pub order: InstanceOrder,
}

/// The place of an instance in an order.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct InstancePlace {
    number: i64,
    text: String,
    id: Uuid,
}

/// A text that is no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a place in a list of instances")]
pub struct NoPlace;

/// How many there are in all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Total {
    /// So many.
    Exactly(usize),
    /// Nobody counted on.
    MoreThan(usize),
    /// Nobody counted.
    Unknown,
}

/// Some instances, and where the next ones start.
#[derive(Debug)]
pub struct Found {
    /// In the order asked for.
    pub items: Vec<Instance>,
    /// The next page starts after it, if there may be one.
    pub next: Option<InstancePlace>,
    /// How many the question means.
    pub total: Total,
    /// So many were looked through, and there are more: the bound of one page was reached.
    pub stopped_after: Option<usize>,
}

impl InstanceOrder {
    /// As an expression of columns, the one its index has.
    fn key(self) -> &'static str {
        match self {
            Self::Attention => {
                "CASE state WHEN 'needs_attention' THEN 8 WHEN 'failed' THEN 7 WHEN 'unknown' THEN 6 WHEN 'provisioning' THEN 5 WHEN 'connected' THEN 4 WHEN 'paused' THEN 3 WHEN 'disconnecting' THEN 2 ELSE 1 END"
            }
            Self::Newest => "0",
            Self::Name => "sort_name",
            Self::LastEvent => "COALESCE(last_event_at, 0)",
        }
    }

    fn upwards(self) -> bool {
        self == Self::Name
    }

    fn place(self, instance: &Instance) -> InstancePlace {
        let number = match self {
            Self::Attention => rank(instance.state.as_str()),
            Self::LastEvent => instance.last_event_at.map_or(0, to_milliseconds),
            Self::Newest | Self::Name => 0,
        };
        let text = if self == Self::Name { words::sort_name(&instance.name) } else { String::new() };
        InstancePlace { number, text, id: instance.id }
    }

    fn is_after(self, place: &InstancePlace, other: &InstancePlace) -> bool {
        if self.upwards() { place > other } else { place < other }
    }

    /// Before every instance there is.
    fn start(self) -> InstancePlace {
        match self {
            Self::Name | Self::Newest => InstancePlace { number: 0, text: String::new(), id: Uuid::max() },
            Self::Attention | Self::LastEvent => {
                InstancePlace { number: i64::MAX, text: String::new(), id: Uuid::nil() }
            }
        }
    }

    /// Those with the key `$1` after the id `$2`, `$3` at most.
    pub(super) fn equals(self) -> String {
        let (key, after, way) = (self.key(), self.sign(), self.way());
        format!(
            "SELECT {COLUMNS} FROM instances WHERE {key} = $1 AND id {after} $2 ORDER BY id {way} LIMIT $3"
        )
    }

    /// Those after the key `$1`, `$2` at most.
    pub(super) fn beyond(self) -> String {
        let (key, after, way) = (self.key(), self.sign(), self.way());
        format!(
            "SELECT {COLUMNS} FROM instances WHERE {key} {after} $1 ORDER BY {key} {way}, id {way} LIMIT $2"
        )
    }

    fn sign(self) -> &'static str {
        if self.upwards() { ">" } else { "<" }
    }

    fn way(self) -> &'static str {
        if self.upwards() { "ASC" } else { "DESC" }
    }
}

fn rank(state: &str) -> i64 {
    match state {
        "needs_attention" => 8,
        "failed" => 7,
        "unknown" => 6,
        "provisioning" => 5,
        "connected" => 4,
        "paused" => 3,
        "disconnecting" => 2,
        _ => 1,
    }
}

impl InstancePlace {
    /// After the instance with this id, where the newest come first.
    pub fn after_id(id: Uuid) -> Self {
        Self { number: 0, text: String::new(), id }
    }

    /// Of the instance it names.
    pub fn id(&self) -> Uuid {
        self.id
    }
}

/// `ID.NUMBER.TEXT`
impl fmt::Display for InstancePlace {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}.{}.{}", self.id, self.number, self.text)
    }
}

impl FromStr for InstancePlace {
    type Err = NoPlace;

    fn from_str(text: &str) -> Result<Self, NoPlace> {
        let mut parts = text.splitn(3, '.');
        let mut part = || parts.next().ok_or(NoPlace);
        let id = part()?.parse().map_err(|_| NoPlace)?;
        let number = part()?.parse().map_err(|_| NoPlace)?;
        Ok(Self { number, text: part()?.to_owned(), id })
    }
}

/// A part of a question that an index answers.
#[derive(Debug, Clone)]
enum Part {
    Everything,
    State(&'static str),
    /// Words from the first on, and before the second.
    Words(String, String),
}

impl Part {
    fn ids(&self) -> &'static str {
        match self {
            Self::Everything => "SELECT id FROM instances WHERE id >= $1 AND id < $2",
            Self::State(_) => "SELECT id FROM instances WHERE state >= $1 AND state <= $2",
            Self::Words(..) => "SELECT instance FROM instance_words WHERE word >= $1 AND word < $2",
        }
    }

    fn bounds(&self) -> (&str, &str) {
        match self {
            Self::Everything => ("", "~"),
            Self::State(state) => (state, state),
            Self::Words(first, end) => (first, end),
        }
    }
}

/// What a question means, ready to be held against rows.
struct Test<'a> {
    question: &'a InstanceQuestion,
    words: Vec<String>,
    tag: Option<String>,
}

impl<'a> Test<'a> {
    fn of(question: &'a InstanceQuestion) -> Self {
        let words = question.text.as_deref().map(words::words).into_iter().flatten().take(MOST_WORDS);
        Self { question, words: words.collect(), tag: question.tag.as_deref().map(words::tag_word) }
    }

    /// A text without a letter or digit is in no instance.
    fn nothing(&self) -> bool {
        self.words.is_empty() && self.question.text.as_deref().is_some_and(|text| !text.trim().is_empty())
    }

    fn anything(&self) -> bool {
        self.words.is_empty() && self.only_state() && self.question.state.is_none()
    }

    fn only_state(&self) -> bool {
        let InstanceQuestion { events, silent_at, .. } = self.question;
        self.words.is_empty() && self.tag.is_none() && events.is_none() && silent_at.is_none()
    }

    fn parts(&self) -> Vec<Part> {
        let word = |word: &String| Part::Words(word.clone(), format!("{word}\u{10ffff}"));
        let tag = |tag: &String| Part::Words(tag.clone(), format!("{tag}\u{1}"));
        let state = self.question.state.map(Part::State);
        self.tag.iter().map(tag).chain(self.words.iter().map(word)).chain(state).collect()
    }

    fn holds(&self, instance: &Instance) -> bool {
        let InstanceQuestion { state, events, silent_at, .. } = self.question;
        let on = || instance.state.connection().is_some_and(|found| found.events_enabled);
        state.is_none_or(|state| instance.state.as_str() == state)
            && events.is_none_or(|events| on() == events)
            && silent_at.is_none_or(|now| instance.quiet_since(now).is_some())
            && self.holds_words(instance)
    }

    fn holds_words(&self, instance: &Instance) -> bool {
        if self.words.is_empty() && self.tag.is_none() {
            return true;
        }
        let own = words::of(instance);
        self.tag.as_ref().is_none_or(|tag| own.contains(tag))
            && self.words.iter().all(|word| own.iter().any(|own| own.starts_with(word)))
    }
}

impl Storage {
    /// The instances that `question` means, in its order, at most `limit` of them, from `after` on.
    pub async fn find_instances(
        &self,
        question: &InstanceQuestion,
        after: Option<&InstancePlace>,
        limit: usize,
    ) -> Result<Found, StorageError> {
        let test = Test::of(question);
        if test.nothing() {
            return Ok(Found {
                items: Vec::new(),
                next: None,
                total: Total::Exactly(0),
                stopped_after: None,
            });
        }
        if test.anything() {
            let total = self.counted(&Part::Everything).await?;
            return self.walk(&test, after, limit, total).await;
        }
        let mut parts = test.parts();
        if parts.is_empty() {
            parts.push(Part::Everything);
        }
        let mut rare: Option<(usize, Part)> = None;
        for part in parts {
            let bound = rare.as_ref().map_or(FEW, |(count, _)| *count);
            if let Total::Exactly(count) = self.counted(&part).await?
                && count <= bound
            {
                rare = Some((count, part));
            }
        }
        if let Some((_, part)) = rare {
            return self.pick(&test, &part, after, limit).await;
        }
        let total = if test.only_state() { Total::MoreThan(FEW) } else { Total::Unknown };
        self.walk(&test, after, limit, total).await
    }

    async fn counted(&self, part: &Part) -> Result<Total, StorageError> {
        let query = format!("SELECT count(*) FROM ({} LIMIT $3) AS few", part.ids());
        let (first, end) = part.bounds();
        let query = sqlx::query_scalar(sqlx::AssertSqlSafe(query)).bind(first.to_owned());
        let query = query.bind(end.to_owned()).bind(i64::try_from(FEW + 1).unwrap_or(i64::MAX));
        let count: i64 = query.fetch_one(&self.readers).await?;
        let count = usize::try_from(count).unwrap_or_default();
        Ok(if count > FEW { Total::MoreThan(FEW) } else { Total::Exactly(count) })
    }

    /// Out of the rows of a rare part.
    async fn pick(
        &self,
        test: &Test<'_>,
        part: &Part,
        after: Option<&InstancePlace>,
        limit: usize,
    ) -> Result<Found, StorageError> {
        let order = test.question.order;
        let query = format!("SELECT {COLUMNS} FROM instances WHERE id IN ({})", part.ids());
        let (first, end) = part.bounds();
        let query = sqlx::query(sqlx::AssertSqlSafe(query)).bind(first.to_owned()).bind(end.to_owned());
        let mut placed = Vec::new();
        for row in query.fetch_all(&self.readers).await? {
            let instance = instances::read(&row)?;
            if test.holds(&instance) {
                placed.push((order.place(&instance), instance));
            }
        }
        placed.sort_by(|(one, _), (other, _)| if order.upwards() { one.cmp(other) } else { other.cmp(one) });
        let total = Total::Exactly(placed.len());
        let mut rest = placed
            .into_iter()
            .filter(|(place, _)| after.is_none_or(|after| order.is_after(place, after)))
            .peekable();
        let (mut items, mut last) = (Vec::new(), None);
        while items.len() < limit
            && let Some((place, instance)) = rest.next()
        {
            items.push(instance);
            last = Some(place);
        }
        let next = last.filter(|_| rest.peek().is_some());
        Ok(Found { items, next, total, stopped_after: None })
    }

    /// Along the index of the order.
    async fn walk(
        &self,
        test: &Test<'_>,
        after: Option<&InstancePlace>,
        limit: usize,
        total: Total,
    ) -> Result<Found, StorageError> {
        let order = test.question.order;
        let mut place = after.cloned().unwrap_or_else(|| order.start());
        let mut found = Found { items: Vec::new(), next: None, total, stopped_after: None };
        let batch = if test.anything() { limit + 1 } else { BATCH.max(limit + 1) };
        let mut looked_through = 0;
        loop {
            let rows = self.beyond_place(order, &place, batch).await?;
            let last = rows.len() < batch;
            looked_through += rows.len();
            for row in rows {
                let instance = instances::read(&row)?;
                let here = order.place(&instance);
                if test.holds(&instance) {
                    if found.items.len() == limit {
                        found.next = Some(place);
                        return Ok(found);
                    }
                    found.items.push(instance);
                }
                place = here;
            }
            if last {
                return Ok(found);
            }
            if looked_through >= LOOKED_THROUGH {
                found.next = Some(place);
                found.stopped_after = Some(looked_through);
                return Ok(found);
            }
        }
    }

    async fn beyond_place(
        &self,
        order: InstanceOrder,
        place: &InstancePlace,
        limit: usize,
    ) -> Result<Vec<AnyRow>, StorageError> {
        let most = |taken| i64::try_from(limit - taken).unwrap_or(i64::MAX);
        if order == InstanceOrder::Newest {
            let query = sqlx::query(sqlx::AssertSqlSafe(instances::page_query("")));
            return Ok(query.bind(place.id.to_string()).bind(most(0)).fetch_all(&self.readers).await?);
        }
        let keyed = |sql| {
            let query = sqlx::query(sqlx::AssertSqlSafe(sql));
            if order == InstanceOrder::Name {
                query.bind(place.text.clone())
            } else {
                query.bind(place.number)
            }
        };
        let equals = keyed(order.equals()).bind(place.id.to_string()).bind(most(0));
        let mut rows = equals.fetch_all(&self.readers).await?;
        if rows.len() < limit {
            let beyond = keyed(order.beyond()).bind(most(rows.len()));
            rows.extend(beyond.fetch_all(&self.readers).await?);
        }
        Ok(rows)
    }
}
