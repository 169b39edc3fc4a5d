//! What is asked of the list of instances, and what that means to the database: the marks and words that each instance
//! meant has, what its row must say, and the parts of the question that an index answers.

use time::OffsetDateTime;

use super::instance_marks as marks;
use super::instance_order::InstanceOrder;
use super::instance_words as words;
use super::statement::{Asked, Value};
use super::word_lists;
use crate::clock::to_milliseconds;

/// More words of a text are not looked at.
const MOST_WORDS: usize = 12;
/// Nothing is called silent before, in milliseconds.
const DAY: i64 = 86_400_000;
/// What `Instance::quiet_since` says of what is connected, at the time `$now`; the index of last events has all of it.
const SILENT: &str = "notification_count >= 5 AND $now - COALESCE(last_event_at, 0) > 86400000 \
     AND $now - COALESCE(last_event_at, 0) > 10 * (COALESCE(last_event_at, 0) - first_event_at) / NULLIF(notification_count - 1, 0)";

/// Which instances are meant; all that is given must hold.
#[derive(Debug, Clone, Default)]
pub struct InstanceQuestion {
    /// Each word of this begins a word of the name, the customer, a tag or an id, of that by four digits or more.
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

    pub(super) fn bounds(&self) -> [Value; 2] {
        match self {
            Self::Everything => ["".into(), "~".into()],
            Self::State(state) => [(*state).into(), (*state).into()],
            Self::Words(first, end) => [first.as_str().into(), end.as_str().into()],
            Self::Unheard(since) => [1.into(), (*since).into()],
        }
    }

    /// Its rows; those of several words may have an instance more than once.
    pub(super) fn rows(&self) -> Asked {
        let sql = match self {
            Self::Words(..) => self.ids().replacen("instance", "instance AS id, rank, marks", 1),
            _ => self.ids().replacen("id", "id, marks", 1),
        };
        Asked { sql, values: self.bounds().into() }
    }
}

/// What a question means, ready to be asked.
pub(super) struct Meaning<'a> {
    question: &'a InstanceQuestion,
    /// Those without marks first, because they decide the most.
    pub(super) words: Vec<Word>,
    marks: i64,
}

/// What begins a word of each instance meant; a whole tag is a word.
pub(super) struct Word {
    pub(super) part: Part,
    /// The words that begin so, where they are known and have lists.
    pub(super) listed: Option<Vec<String>>,
}

/// Rows to be looked through, with `id` and `marks`, and with `rank` where they may be of several states.
#[derive(Clone)]
pub(super) struct Rows {
    pub(super) asked: Asked,
    /// They all fit it.
    pub(super) known: Option<Part>,
}

impl Word {
    fn of(first: String, end: char) -> Self {
        let end = format!("{first}{end}");
        Self { part: Part::Words(first, end), listed: None }
    }

    /// Whether a mark is of it alone.
    fn is_told(&self) -> bool {
        matches!(&self.part, Part::Words(first, _) if first.starts_with('!'))
    }

    /// The condition for a row.
    fn test(&self, asked: &mut Asked) -> String {
        let [first, end] = self.part.bounds().map(|bound| asked.value(bound));
        let test = has_word(&format!("own.word >= {first} AND own.word < {end}"));
        if self.is_told() {
            return format!("(looked.marks >= 0 OR {test})");
        }
        let Some(words) = &self.listed else { return test };
        // The place in the list of each is known, and near to that of the row before.
        let rank = marks::rank_in("looked.marks");
        let places = words.iter().map(|word| {
            let word = asked.value(word.as_str());
            format!("OR {}", has_word(&format!("own.word = {word} AND own.rank = {rank}")))
        });
        let places = places.collect::<Vec<_>>().join(" ");
        format!("((looked.marks < 0 AND {test}) {places})")
    }
}

impl<'a> Meaning<'a> {
    pub(super) fn of(question: &'a InstanceQuestion) -> Self {
        let InstanceQuestion { text, state, tag, events, silent_at, order: _ } = question;
        let text = text.as_deref().map(words::words).into_iter().flatten().take(MOST_WORDS);
        let text: Vec<String> = text.map(words::looked_for).collect();
        let tag = tag.as_deref().map(words::tag_word);
        let state = state.or(silent_at.map(|_| "connected"));
        let given = [state.map(marks::of_state), events.map(marks::of_events)];
        let of_words = text.iter().chain(&tag).map(|word| marks::of_word(word));
        let marks = given.into_iter().flatten().chain(of_words).fold(0, std::ops::BitOr::bitor);
        let (bare, marked): (Vec<_>, Vec<_>) = text.into_iter().partition(|word| marks::of_word(word) == 0);
        let whole = tag.map(|word| Word::of(word, '\u{1}'));
        let beginning = |word| Word::of(word, '\u{10ffff}');
        let events = events.map(|on| Word::of(words::events_word(on).to_owned(), '\u{1}'));
        let words = bare.into_iter().map(beginning).chain(whole).chain(marked.into_iter().map(beginning));
        let words = words.chain(events);
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
        self.words.is_empty() && self.question.silent_at.is_none()
    }

    /// The one they are all in.
    pub(super) fn state(&self) -> Option<&'static str> {
        self.question.state.or(self.question.silent_at.map(|_| "connected"))
    }

    pub(super) fn order(&self) -> InstanceOrder {
        self.question.order
    }

    /// Whether its order is that of the ranks of several states.
    pub(super) fn is_ranked(&self) -> bool {
        self.order() == InstanceOrder::Attention && self.state().is_none()
    }

    /// Where only what was not heard of for a day is meant.
    fn unheard(&self) -> Option<Part> {
        self.question.silent_at.map(|now| Part::Unheard(to_milliseconds(now) - DAY))
    }

    /// The rows of a part that has at most so many; of what was not heard of, those that are silent, in about the order of
    /// their ids.
    pub(super) fn rows_of(&self, part: &Part, most: usize) -> Rows {
        let mut asked = part.rows();
        if let Some(now) = self.question.silent_at.filter(|_| matches!(part, Part::Unheard(_))) {
            let now = asked.value(to_milliseconds(now));
            asked.and(&SILENT.replace("$now", &now));
            asked.end(&format!("ORDER BY COALESCE(last_event_at, 0) DESC LIMIT {most}"));
        }
        Rows { asked, known: Some(part.clone()) }
    }

    /// What else than words holds of all that are meant, and has an index, with how far it is worth counting: an index in
    /// order is not put in order.
    pub(super) fn other_parts(&self, few: usize, most: usize) -> impl Iterator<Item = (Part, usize)> {
        let state = self.question.state.map(|state| (Part::State(state), few));
        state.into_iter().chain(self.unheard().map(|unheard| (unheard, most)))
    }

    /// The word whose lists are walked, where there are any in the order asked for: a tag, or the longest, or that of events.
    pub(super) fn lists(&self) -> Option<(&Part, &[String])> {
        if !word_lists::are_in(self.order(), self.state()) {
            return None;
        }
        let listed = self.words.iter().filter_map(|word| Some((&word.part, word.listed.as_deref()?)));
        listed.max_by_key(|(part, _)| match part {
            Part::Words(first, _) if first.starts_with('#') => usize::MAX,
            Part::Words(first, _) if first.starts_with('!') => 0,
            Part::Words(first, _) => first.len(),
            _ => 0,
        })
    }

    /// The ids of those that are meant, in the order of the rows.
    pub(super) fn among(&self, rows: Rows) -> Asked {
        let Rows { mut asked, known } = rows;
        let marks = asked.value(self.marks);
        asked.sql = format!("SELECT id FROM ({}) AS looked WHERE (marks & {marks}) = {marks}", asked.sql);
        for word in self.words.iter().filter(|word| known.as_ref() != Some(&word.part)) {
            let test = word.test(&mut asked);
            asked.and(&test);
        }
        if let Some(state) = self.state() {
            let state = asked.value(state);
            asked.and(&format!("(marks >= 0 OR {})", own_row(&format!("own.state = {state}"))));
        }
        if let Some(now) = self.question.silent_at.filter(|_| known != self.unheard()) {
            let now = asked.value(to_milliseconds(now));
            asked.and(&own_row(&SILENT.replace("$now", &now)));
        }
        asked
    }
}

/// The condition for a row whose instance has such a word. Neither database makes a join of a count: the order of the
/// rows stays.
fn has_word(condition: &str) -> String {
    format!("(SELECT count(*) FROM instance_words AS own WHERE own.instance = looked.id AND {condition}) > 0")
}

/// The condition for a row whose instance fits one.
fn own_row(condition: &str) -> String {
    format!("(SELECT count(*) FROM instances AS own WHERE own.id = looked.id AND {condition}) > 0")
}
