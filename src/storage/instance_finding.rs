//! Instances as they are looked for. A question of which some part is rare is answered from the rows of that part,
//! exactly; any other by walking an index in the order asked for, so far as one page may. Nothing here counts or
//! sorts a whole table.

use time::OffsetDateTime;

use super::instance_order::{InstanceOrder, InstancePlace};
use super::instance_words as words;
use super::instances::{self, COLUMNS};
use super::statement::{Asked, Value};
use super::{Storage, StorageError};
use crate::clock::to_milliseconds;
use crate::elements::Instance;

/// More words of a text are not looked at.
const MOST_WORDS: usize = 12;
const BOUNDS: Bounds = Bounds { few: 500, looked_through: 5_000 };
/// What `Instance::quiet_since` says, at the time `$now`.
const SILENT: &str = "state = 'connected' AND notification_count >= 5 AND $now - last_event_at > 86400000 \
     AND $now - last_event_at > 10 * (last_event_at - first_event_at) / NULLIF(notification_count - 1, 0)";

/// How far one page may go.
#[derive(Clone, Copy)]
pub(super) struct Bounds {
    /// A part of a question that so many rows fit at most is rare.
    pub(super) few: usize,
    /// So many rows, more than a page has, are looked through where nothing is rare; then the page says so.
    pub(super) looked_through: usize,
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

    fn bounds(&self) -> Vec<Value> {
        let (first, end) = match self {
            Self::Everything => ("", "~"),
            Self::State(state) => (*state, *state),
            Self::Words(first, end) => (first.as_str(), end.as_str()),
        };
        vec![first.into(), end.into()]
    }

    /// Its rows, where they are few.
    fn rows(&self) -> Asked {
        let sql = format!("FROM instances WHERE id IN ({})", self.ids());
        Asked { sql, values: self.bounds() }
    }
}

/// What a question means, ready to be asked.
struct Test<'a> {
    question: &'a InstanceQuestion,
    /// Each begins a word; a whole tag is a word.
    words: Vec<Part>,
    bounds: Bounds,
}

impl<'a> Test<'a> {
    fn of(question: &'a InstanceQuestion, bounds: Bounds) -> Self {
        let whole = |tag: &str| {
            let word = words::tag_word(tag);
            Part::Words(word.clone(), format!("{word}\u{1}"))
        };
        let beginning = |word: String| Part::Words(word.clone(), format!("{word}\u{10ffff}"));
        let text = question.text.as_deref().map(words::words).into_iter().flatten().take(MOST_WORDS);
        let words = question.tag.as_deref().map(whole).into_iter().chain(text.map(beginning)).collect();
        Self { question, words, bounds }
    }

    /// A text without a letter or digit is in no instance, and only what is connected is silent.
    fn nothing(&self) -> bool {
        let InstanceQuestion { text, state, silent_at, .. } = self.question;
        let text = text.as_deref().unwrap_or_default();
        (!text.trim().is_empty() && words::words(text).next().is_none())
            || (silent_at.is_some() && state.is_some_and(|state| state != "connected"))
    }

    fn anything(&self) -> bool {
        self.only_state() && self.question.state.is_none()
    }

    fn only_state(&self) -> bool {
        let InstanceQuestion { events, silent_at, .. } = self.question;
        self.words.is_empty() && events.is_none() && silent_at.is_none()
    }

    /// The one they are all in.
    fn state(&self) -> Option<&'static str> {
        self.question.state.or(self.question.silent_at.map(|_| "connected"))
    }

    fn parts(&self) -> Vec<Part> {
        let state = self.question.state.map(Part::State);
        let parts: Vec<Part> = self.words.iter().cloned().chain(state).collect();
        if parts.is_empty() { vec![Part::Everything] } else { parts }
    }

    /// `what` of those among `rows` that are meant; of more rows than may be looked through, the first ones.
    fn among(&self, rows: Asked, what: &str) -> Asked {
        let mut asked = rows;
        let most = self.bounds.looked_through;
        asked.sql =
            format!("SELECT {what} FROM (SELECT * {} LIMIT {most}) AS instances WHERE 1 = 1", asked.sql);
        let InstanceQuestion { state, events, silent_at, .. } = self.question;
        if let Some(state) = state {
            let state = asked.value(*state);
            asked.and(&format!("state = {state}"));
        }
        if let Some(on) = events {
            asked.and(&format!("COALESCE(events_enabled, 0) {} 0", if *on { "<>" } else { "=" }));
        }
        if let Some(now) = silent_at {
            let now = asked.value(to_milliseconds(*now));
            asked.and(&SILENT.replace("$now", &now));
        }
        for word in &self.words {
            let bounds: Vec<String> = word.bounds().into_iter().map(|bound| asked.value(bound)).collect();
            // Neither database makes a join of a count: the order of the rows stays.
            asked.and(&format!(
                "(SELECT count(*) FROM instance_words WHERE instance = instances.id AND word >= {} AND word < {}) > 0",
                bounds.first().map_or("", String::as_str),
                bounds.last().map_or("", String::as_str),
            ));
        }
        asked
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
        self.find_instances_within(question, after, limit, BOUNDS).await
    }

    pub(super) async fn find_instances_within(
        &self,
        question: &InstanceQuestion,
        after: Option<&InstancePlace>,
        limit: usize,
        bounds: Bounds,
    ) -> Result<Found, StorageError> {
        let test = Test::of(question, bounds);
        let none = Found { items: Vec::new(), next: None, total: Total::Exactly(0), stopped_after: None };
        if test.nothing() {
            return Ok(none);
        }
        if test.anything() {
            let total = self.counted(&Part::Everything, bounds.few).await?;
            return self.walk(&test, after, limit, Found { total, ..none }).await;
        }
        let mut rare: Option<(usize, Part)> = None;
        for part in test.parts() {
            let bound = rare.as_ref().map_or(bounds.few, |(count, _)| *count);
            if let Total::Exactly(count) = self.counted(&part, bounds.few).await?
                && count <= bound
            {
                rare = Some((count, part));
            }
        }
        if let Some((_, part)) = rare {
            return self.pick(&test, &part, after, limit).await;
        }
        let total = if test.only_state() { Total::MoreThan(bounds.few) } else { Total::Unknown };
        self.walk(&test, after, limit, Found { total, ..none }).await
    }

    async fn counted(&self, part: &Part, few: usize) -> Result<Total, StorageError> {
        let sql = format!("SELECT count(*) FROM ({} LIMIT {}) AS few", part.ids(), few + 1);
        let count = self.number(Asked { sql, values: part.bounds() }).await?;
        Ok(if count > few { Total::MoreThan(few) } else { Total::Exactly(count) })
    }

    async fn number(&self, asked: Asked) -> Result<usize, StorageError> {
        let row = asked.rows(&self.readers).await?.pop();
        let count: i64 = row.map_or(Ok(0), |row| sqlx::Row::try_get(&row, 0))?;
        Ok(usize::try_from(count).unwrap_or_default())
    }

    async fn instances_of(&self, asked: Asked) -> Result<Vec<Instance>, StorageError> {
        asked.rows(&self.readers).await?.iter().map(instances::read).collect()
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
        let total = Total::Exactly(self.number(test.among(part.rows(), "count(*)")).await?);
        let mut asked = test.among(part.rows(), COLUMNS);
        if let Some(after) = after {
            let is_after = order.is_after(after, &mut asked);
            asked.and(&is_after);
        }
        asked.end(&format!("{} LIMIT {}", order.in_order(), limit + 1));
        let mut found =
            Found { items: self.instances_of(asked).await?, next: None, total, stopped_after: None };
        found.cut(order, limit);
        Ok(found)
    }

    /// Along an index.
    async fn walk(
        &self,
        test: &Test<'_>,
        after: Option<&InstancePlace>,
        limit: usize,
        mut found: Found,
    ) -> Result<Found, StorageError> {
        let order = test.question.order;
        for stretch in order.stretches(test.state(), after) {
            let mut asked = test.among(stretch.clone(), COLUMNS);
            asked.end(&format!("LIMIT {}", limit + 1 - found.items.len()));
            found.items.extend(self.instances_of(asked).await?);
            if found.cut(order, limit) {
                return Ok(found);
            }
            if !test.anything()
                && let Some(last) = self.nth(test.bounds.looked_through, stretch).await?
            {
                found.next = Some(order.place(&last));
                found.stopped_after = Some(test.bounds.looked_through);
                return Ok(found);
            }
        }
        Ok(found)
    }

    /// Where looking through a stretch stopped, if it has so many.
    async fn nth(&self, number: usize, stretch: Asked) -> Result<Option<Instance>, StorageError> {
        let sql = format!("SELECT {COLUMNS} {} LIMIT 1 OFFSET {}", stretch.sql, number - 1);
        Ok(self.instances_of(Asked { sql, ..stretch }).await?.pop())
    }
}

impl Found {
    /// Leaves `limit`, and answers whether there are more.
    fn cut(&mut self, order: InstanceOrder, limit: usize) -> bool {
        let more = self.items.len() > limit;
        self.items.truncate(limit);
        self.next = self.items.last().filter(|_| more).map(|last| order.place(last));
        more
    }
}
