//! What is asked of the list of instances, and what that means to the database: the marks and words that each instance
//! meant has, what its row must say, and the parts of the question that an index answers.

use time::OffsetDateTime;

use super::instance_marks as marks;
use super::instance_order::InstanceOrder;
use super::instance_words as words;
use super::statement::{Asked, Value};
use crate::clock::to_milliseconds;

/// More words of a text are not looked at.
const MOST_WORDS: usize = 12;
/// Nothing is called silent before, in milliseconds.
const DAY: i64 = 86_400_000;
/// What `Instance::quiet_since` says, at the time `$now`.
const SILENT: &str = "state = 'connected' AND notification_count >= 5 AND $now - last_event_at > 86400000 \
     AND $now - last_event_at > 10 * (last_event_at - first_event_at) / NULLIF(notification_count - 1, 0)";

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

/// A part of a question that an index answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Part {
    Everything,
    State(&'static str),
    /// Words from the first on, and before the second.
    Words(String, String),
    /// Heard of, but not since.
    Unheard(i64),
}

impl Part {
    /// Of the instances that fit it.
    pub(super) fn ids(&self) -> &'static str {
        match self {
            Self::Everything => "SELECT id FROM instances WHERE id >= $1 AND id < $2",
            Self::State(_) => "SELECT id FROM instances WHERE state >= $1 AND state <= $2",
            Self::Words(..) => "SELECT instance FROM instance_words WHERE word >= $1 AND word < $2",
            Self::Unheard(_) => {
                "SELECT id FROM instances WHERE COALESCE(last_event_at, 0) >= $1 AND COALESCE(last_event_at, 0) < $2"
            }
        }
    }

    pub(super) fn bounds(&self) -> Vec<Value> {
        let (first, end) = match self {
            Self::Everything => ("", "~"),
            Self::State(state) => (*state, *state),
            Self::Words(first, end) => (first.as_str(), end.as_str()),
            Self::Unheard(since) => return vec![1.into(), (*since).into()],
        };
        vec![first.into(), end.into()]
    }

    /// Its rows, where they are few.
    pub(super) fn rows(&self) -> Asked {
        let sql = match self {
            Self::Words(..) => format!("SELECT id, marks FROM instances WHERE id IN ({})", self.ids()),
            _ => self.ids().replacen("id", "id, marks", 1),
        };
        Asked { sql, values: self.bounds() }
    }
}

/// What a question means, ready to be asked.
pub(super) struct Meaning<'a> {
    question: &'a InstanceQuestion,
    /// Each begins a word; a whole tag is a word. Those without marks first, because they decide the most.
    words: Vec<Part>,
    marks: i64,
}

impl<'a> Meaning<'a> {
    pub(super) fn of(question: &'a InstanceQuestion) -> Self {
        let InstanceQuestion { text, state, tag, events, silent_at, order: _ } = question;
        let text = text.as_deref().map(words::words).into_iter().flatten().take(MOST_WORDS);
        let text: Vec<String> = text.collect();
        let tag = tag.as_deref().map(words::tag_word);
        let state = state.or(silent_at.map(|_| "connected"));
        let given = [state.map(marks::of_state), events.map(marks::of_events)];
        let of_words = text.iter().chain(&tag).map(|word| marks::of_word(word));
        let marks = given.into_iter().flatten().chain(of_words).fold(0, std::ops::BitOr::bitor);
        let (bare, marked): (Vec<String>, Vec<String>) =
            text.into_iter().partition(|word| marks::of_word(word) == 0);
        let whole = tag.map(|word| Part::Words(word.clone(), format!("{word}\u{1}")));
        let beginning = |word: String| Part::Words(word.clone(), format!("{word}\u{10ffff}"));
        let words = bare.into_iter().map(beginning).chain(whole).chain(marked.into_iter().map(beginning));
        Self { question, words: words.collect(), marks }
    }

    /// A text without a letter or digit is in no instance, and only what is connected is silent.
    pub(super) fn nothing(&self) -> bool {
        let InstanceQuestion { text, state, silent_at, .. } = self.question;
        let text = text.as_deref().unwrap_or_default();
        (!text.trim().is_empty() && words::words(text).next().is_none())
            || (silent_at.is_some() && state.is_some_and(|state| state != "connected"))
    }

    pub(super) fn anything(&self) -> bool {
        self.only_state() && self.question.state.is_none()
    }

    pub(super) fn only_state(&self) -> bool {
        let InstanceQuestion { events, silent_at, .. } = self.question;
        self.words.is_empty() && events.is_none() && silent_at.is_none()
    }

    /// The one they are all in.
    pub(super) fn state(&self) -> Option<&'static str> {
        self.question.state.or(self.question.silent_at.map(|_| "connected"))
    }

    pub(super) fn order(&self) -> InstanceOrder {
        self.question.order
    }

    /// Where only what was not heard of for a day is meant.
    pub(super) fn unheard(&self) -> Option<Part> {
        self.question.silent_at.map(|now| Part::Unheard(to_milliseconds(now) - DAY))
    }

    /// Each of them holds of all that are meant.
    pub(super) fn parts(&self) -> Vec<Part> {
        let state = self.question.state.map(Part::State);
        let parts: Vec<Part> = self.words.iter().cloned().chain(state).chain(self.unheard()).collect();
        if parts.is_empty() { vec![Part::Everything] } else { parts }
    }

    /// The ids of those that are meant among rows with `id` and `marks`, in their order. The rows are known to fit a part.
    pub(super) fn among(&self, rows: Asked, known: Option<&Part>) -> Asked {
        let mut asked = rows;
        let marks = asked.value(self.marks);
        asked.sql = format!("SELECT id FROM ({}) AS looked WHERE (marks & {marks}) = {marks}", asked.sql);
        for word in self.words.iter().filter(|word| known != Some(word)) {
            let bounds: Vec<String> = word.bounds().into_iter().map(|bound| asked.value(bound)).collect();
            // Neither database makes a join of a count: the order of the rows stays.
            asked.and(&format!(
                "(SELECT count(*) FROM instance_words WHERE instance = looked.id AND word >= {} AND word < {}) > 0",
                bounds.first().map_or("", String::as_str),
                bounds.last().map_or("", String::as_str),
            ));
        }
        if let Some(row) = self.row(&mut asked) {
            asked.and(&format!(
                "(SELECT count(*) FROM instances AS own WHERE own.id = looked.id AND {row}) > 0"
            ));
        }
        asked
    }

    /// What their rows say.
    fn row(&self, asked: &mut Asked) -> Option<String> {
        let InstanceQuestion { state, events, silent_at, .. } = self.question;
        let state = state.map(|state| format!("state = {}", asked.value(state)));
        let events =
            events.map(|on| format!("COALESCE(events_enabled, 0) {} 0", if on { "<>" } else { "=" }));
        let silent = silent_at.map(|now| SILENT.replace("$now", &asked.value(to_milliseconds(now))));
        let all: Vec<String> = [state, events, silent].into_iter().flatten().collect();
        (!all.is_empty()).then(|| all.join(" AND "))
    }
}
