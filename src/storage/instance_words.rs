//! The words that instances are found by: lower-cased, of the name, the customer, the tags and the ids, each with the
//! place of its instance in the order of the console. They are written in the transaction that changes any of these.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use futures_util::future::try_join_all;
use sqlx::Row;
use sqlx::any::AnyRow;

use super::instance_marks;
use super::instance_order::rank;
use super::instances::{self, COLUMNS};
use super::rows::Insert;
use super::statement::{Deciding, Statement};
use super::{Storage, StorageError};
use crate::elements::Instance;

/// Of a word and of the name in the order of names so many letters count.
const LONGEST: usize = 64;
/// An instance has no more words than these.
const MOST: usize = 128;
/// A word of an id is found by so many of its digits: a beginning of fewer is in far too many ids to mean any.
const FEWEST_DIGITS: usize = 4;
/// So many rows from before are filled in at once.
const BATCH: i64 = 500;

pub(super) const NOT_FILLED_IN: &str = "SELECT id FROM instances WHERE marks = -1 ORDER BY id LIMIT $1";

/// What the words of a text are: its runs of letters and digits.
pub(super) fn words(text: &str) -> impl Iterator<Item = String> + '_ {
    let runs = text.split(|letter: char| !letter.is_alphanumeric()).filter(|run| !run.is_empty());
    runs.map(lowered)
}

/// How a word that is looked for is listed: like one of an id where it may begin one.
pub(super) fn looked_for(word: String) -> String {
    if is_of_digits(&word) { of_an_id(&word) } else { word }
}

fn of_an_id(word: &str) -> String {
    format!("={word}")
}

/// Hexadecimal, and enough of them.
fn is_of_digits(word: &str) -> bool {
    word.len() >= FEWEST_DIGITS && word.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// How the words of a text are listed: those that begin as an id could are found there as well.
fn listed(word: String) -> impl Iterator<Item = String> {
    let also = word.get(..FEWEST_DIGITS).filter(|start| is_of_digits(start)).map(|_| of_an_id(&word));
    also.into_iter().chain([word])
}

/// A whole tag, which no word of a text looks like.
pub(super) fn tag_word(tag: &str) -> String {
    format!("#{}", lowered(tag.trim()))
}

/// What every instance has one of, so that those whose events are on, or off, have a list.
pub(super) fn events_word(on: bool) -> &'static str {
    if on { "!on" } else { "!off" }
}

/// A name in its place among names.
pub(super) fn sort_name(name: &str) -> String {
    let lowered = lowered(name.trim());
    if lowered.is_empty() { " ".to_owned() } else { lowered }
}

fn lowered(text: &str) -> String {
    text.chars().filter(|letter| *letter != '\0').flat_map(char::to_lowercase).take(LONGEST).collect()
}

/// Every word of an instance.
pub(super) fn of(instance: &Instance) -> BTreeSet<String> {
    let upstream = instance.state.connection().map(|found| found.element_instance_id.to_string());
    let ids = [instance.id.to_string(), instance.reference.to_string(), upstream.unwrap_or_default()];
    let (of_digits, others): (Vec<_>, Vec<_>) =
        ids.iter().flat_map(|id| words(id)).partition(|word| is_of_digits(word));
    let texts = [instance.name.as_str()].into_iter().chain(instance.customer.as_deref());
    let texts = texts.chain(instance.tags.iter().map(String::as_str)).flat_map(words);
    let tags = instance.tags.iter().map(|tag| tag_word(tag));
    let own = tags.chain([events(instance).to_owned()]).chain(of_digits.iter().map(|word| of_an_id(word)));
    own.chain(others.into_iter().chain(texts).flat_map(listed)).take(MOST).collect()
}

fn events(instance: &Instance) -> &'static str {
    events_word(instance.state.connection().is_some_and(|connection| connection.events_enabled))
}

/// Writes the words of an instance as it is now, and what it is told by.
pub(super) fn following(instance: &Instance) -> Vec<Statement> {
    let words = of(instance);
    written(instance, &words, instance_marks::of(instance, &words))
}

fn written(instance: &Instance, words: &BTreeSet<String>, marks: i64) -> Vec<Statement> {
    let told_by = Statement::new("UPDATE instances SET sort_name = $2, marks = $3 WHERE id = $1");
    let told_by = told_by.bind(instance.id).bind(sort_name(&instance.name)).bind(marks);
    let gone = Statement::new("DELETE FROM instance_words WHERE instance = $1").bind(instance.id);
    let words: Vec<&String> = words.iter().collect();
    [told_by, gone].into_iter().chain(listing(&words, instance, marks)).collect()
}

/// The same for a transition, which writes the marks of the row itself: they are given, and the words they are of. `before`
/// is the row as it is, because the transition is not written otherwise.
pub(super) fn following_change(
    before: &Instance,
    after: &Instance,
    words: &BTreeSet<String>,
    marks: i64,
) -> Vec<Statement> {
    if sort_name(&before.name) != sort_name(&after.name) || of(before) != *words {
        return written(after, words, marks);
    }
    let same = before.state.as_str() == after.state.as_str() && instance_marks::of(before, words) == marks;
    if same { Vec::new() } else { vec![moved(after, marks)] }
}

/// Its words, each with its place.
fn listing<'a>(
    words: &'a [&String],
    instance: &'a Instance,
    marks: i64,
) -> impl Iterator<Item = Statement> + 'a {
    static LISTED: LazyLock<Insert> = LazyLock::new(|| {
        Insert::new("INSERT INTO instance_words (word, rank, instance, marks) VALUES", 4, "")
    });
    let rank = rank(instance.state.as_str());
    let listed = move |listed: Statement, word: &&String| {
        listed.bind(word.as_str()).bind(rank).bind(instance.id).bind(marks)
    };
    LISTED.statements(words).map(move |(sql, words)| words.iter().fold(Statement::new(sql), listed))
}

/// Its words stay, and list it elsewhere.
fn moved(instance: &Instance, marks: i64) -> Statement {
    let moved = Statement::new("UPDATE instance_words SET rank = $2, marks = $3 WHERE instance = $1");
    moved.bind(instance.id).bind(rank(instance.state.as_str())).bind(marks)
}

/// For a row from before its words or marks were what they are now. Whoever has written them meanwhile knows better.
fn filling_in(row: &AnyRow) -> sqlx::Result<Deciding> {
    const MARKS: &str = "UPDATE instances SET marks = 0 WHERE id = $1 AND marks = -1";
    let id: String = row.try_get("id")?;
    let then = match instances::read(row) {
        Ok(instance) => following(&instance),
        // It is shown nowhere, and must not be met for ever.
        Err(error) => {
            tracing::warn!(target: "gangway::storage", %error, "an instance has no words");
            Vec::new()
        }
    };
    Ok(Deciding { first: Statement::new(MARKS).bind(id), then })
}

impl Storage {
    /// Writes the words and the marks of the instances from before there were any, in the background: a restart goes on
    /// where it was.
    pub(super) async fn fill_in_words(&self) -> Result<(), StorageError> {
        if self.fill_in_some_words().await? {
            let storage = self.clone();
            tokio::spawn(async move {
                loop {
                    match storage.fill_in_some_words().await {
                        Ok(true) => {}
                        Ok(false) | Err(StorageError::Closed) => break,
                        Err(error) => {
                            tracing::warn!(target: "gangway::storage", %error, "words of instances are filled in at the next start");
                            break;
                        }
                    }
                }
            });
        }
        Ok(())
    }

    /// Answers whether there may be more.
    async fn fill_in_some_words(&self) -> Result<bool, StorageError> {
        let query = sqlx::AssertSqlSafe(format!(
            "SELECT {COLUMNS} FROM instances WHERE id IN ({NOT_FILLED_IN}) ORDER BY id"
        ));
        let rows = sqlx::query(query).bind(BATCH).fetch_all(&self.readers).await?;
        let writes = rows.iter().map(filling_in).collect::<sqlx::Result<Vec<_>>>()?;
        try_join_all(writes.into_iter().map(|write| self.writer.write(write))).await?;
        Ok(i64::try_from(rows.len()).unwrap_or(BATCH) == BATCH)
    }
}
