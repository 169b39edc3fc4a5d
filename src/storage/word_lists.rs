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

/// Of each part of words, told by its number: its words, so far as they have lists, and one more; beside each how many rows
/// the part has, so far as they are counted: more than `few` only where there are no lists.
pub(super) fn words_of<'a>(parts: impl Iterator<Item = &'a Part>, few: usize, most: usize) -> Asked {
    let mut asked = Asked { sql: String::new(), values: Vec::new() };
    let each = parts.enumerate().map(|(number, part)| {
        let [first, end] = part.bounds().map(|bound| asked.value(bound));
        format!(
            "SELECT CAST({number} AS BIGINT), word, rows FROM (WITH RECURSIVE beginning (word, number) AS (\
             SELECT min(word), 1 FROM instance_words WHERE word >= {first} AND word < {end} UNION ALL \
             SELECT (SELECT min(word) FROM instance_words WHERE word > beginning.word AND word < {end}), number + 1 \
             FROM beginning WHERE word IS NOT NULL AND number <= {MOST_LISTS}) \
             SELECT word, (SELECT count(*) FROM (\
             SELECT instance FROM instance_words WHERE word >= {first} AND word < {end} LIMIT \
             (SELECT CASE WHEN count(word) > {MOST_LISTS} THEN {} ELSE {} END FROM beginning)) AS few) AS rows \
             FROM beginning) AS part_{number}",
            most + 1,
            few + 1
        )
    });
    asked.sql = each.collect::<Vec<_>>().join(" UNION ALL ");
    asked
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

/// The rows of a part that are after a place, put in the order of the lists, each instance once.
pub(super) fn in_order(rows: &mut Asked, part: &Part, ranked: bool, after: Option<&InstancePlace>) {
    let id = rows.value(InstancePlace::id_before(after));
    let (keys, order) = if ranked {
        let rank = rows.value(after.map_or(ABOVE, InstancePlace::number));
        rows.and(&format!("(rank < {rank} OR (rank = {rank} AND id < {id}))"));
        ("rank, id", "rank DESC, id DESC")
    } else {
        rows.and(&format!("id < {id}"));
        ("id", "id DESC")
    };
    if let Part::Words(..) = part {
        rows.end(&format!("GROUP BY {keys}"));
    }
    rows.end(&format!("ORDER BY {order}"));
}
