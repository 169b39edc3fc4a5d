//! The lists of words: each lists the instances that have it, what needs somebody first and then the newest, with their
//! marks. So a list that a word is asked for in that order is walked from its first instance on, however few they are among
//! all. A beginning of many words has no list.

use super::instance_order::{InstanceOrder, InstancePlace, rank};
use super::instance_question::Part;
use super::statement::Asked;

/// So many lists are walked as one.
pub(super) const MOST_LISTS: usize = 8;
const ROW: &str = "SELECT instance AS id, rank, marks FROM instance_words";
/// The highest there is, and one.
const ABOVE: i64 = 9;

/// How many rows a part of words has, so far as they are counted, and beside it each of its words, so far as they have
/// lists: a row each.
pub(super) fn words_of(part: &Part, few: usize) -> Asked {
    let sql = format!(
        "WITH RECURSIVE beginning (word, number) AS (\
         SELECT min(word), 1 FROM instance_words WHERE word >= $1 AND word < $2 UNION ALL \
         SELECT (SELECT min(word) FROM instance_words WHERE word > beginning.word AND word < $2), number + 1 \
         FROM beginning WHERE word IS NOT NULL AND number <= {MOST_LISTS}) \
         SELECT word, (SELECT count(*) FROM ({} LIMIT {}) AS few) AS rows FROM beginning",
        part.ids(),
        few + 1
    );
    Asked { sql, values: part.bounds().into() }
}

/// Whether lists of words are in this order, where one state is meant or all are.
pub(super) fn are_in(order: InstanceOrder, state: Option<&str>) -> bool {
    order == InstanceOrder::Attention || (order == InstanceOrder::Newest && state.is_some())
}

/// Each stretch of the lists of some words that is still to be walked.
pub(super) fn stretches(words: &[String], state: Option<&str>, after: Option<&InstancePlace>) -> Vec<Asked> {
    if let Some(state) = state {
        return vec![of_rank(words, rank(state), after)];
    }
    let equal = after.map(|after| of_rank(words, after.number(), Some(after)));
    equal.into_iter().chain([below(words, after.map_or(ABOVE, InstancePlace::number))]).collect()
}

fn of_rank(words: &[String], rank: i64, after: Option<&InstancePlace>) -> Asked {
    let mut asked = Asked { sql: String::new(), values: Vec::new() };
    let rank = asked.value(rank);
    let id = asked.value(InstancePlace::id_before(after));
    listed(asked, words, &format!("rank = {rank} AND instance < {id}"))
}

fn below(words: &[String], rank: i64) -> Asked {
    let mut asked = Asked { sql: String::new(), values: Vec::new() };
    let rank = asked.value(rank);
    listed(asked, words, &format!("rank < {rank}"))
}

fn listed(mut asked: Asked, words: &[String], condition: &str) -> Asked {
    let lists =
        words.iter().map(|word| format!("{ROW} WHERE word = {} AND {condition}", asked.value(word.as_str())));
    // Both databases merge what is in order.
    asked.sql = lists.collect::<Vec<_>>().join(" UNION ");
    asked.end("ORDER BY rank DESC, id DESC");
    asked
}

/// Rows that are not in order, put in that of the lists: those after a place.
pub(super) fn in_order(rows: &mut Asked, ranked: bool, after: Option<&InstancePlace>) {
    let id = rows.value(InstancePlace::id_before(after));
    if ranked {
        let rank = rows.value(after.map_or(ABOVE, InstancePlace::number));
        rows.and(&format!("(rank < {rank} OR (rank = {rank} AND id < {id})) ORDER BY rank DESC, id DESC"));
    } else {
        rows.and(&format!("id < {id} ORDER BY id DESC"));
    }
}
