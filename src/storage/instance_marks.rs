//! What an instance can be told by at a glance: one number, a bit for its state, one for its events, and for each of its
//! words a few that other words share. It stands in every index that instances are listed by, so that a list walks past
//! what cannot be meant without looking at its row, a hundred times faster. A number that has all the marks of a question
//! may still be of another instance: rows and words decide.

use std::collections::BTreeSet;

use sha2::{Digest, Sha256};

use super::instance_order::rank;
use crate::elements::Instance;

/// After one for each state; then those of words. The sign is left out.
const OF_EVENTS: u8 = 8;
const FIRST_OF_WORDS: u8 = 10;
const OF_WORDS: u8 = 53;
/// So long beginnings of a word leave marks.
const BEGINNINGS: [usize; 2] = [2, 4];

/// All of an instance, which has these words.
pub(super) fn of(instance: &Instance, words: &BTreeSet<String>) -> i64 {
    let on = instance.state.connection().is_some_and(|connection| connection.events_enabled);
    let words = words.iter().map(|word| of_word(word)).fold(0, std::ops::BitOr::bitor);
    of_state(instance.state.as_str()) | of_events(on) | words
}

/// The one of a state.
pub(super) fn of_state(state: &str) -> i64 {
    1 << (rank(state) - 1)
}

/// The rank of the state that known marks tell, as an expression of their column.
pub(super) fn rank_in(column: &str) -> String {
    let ranks = (1..=OF_EVENTS).map(|rank| format!(" WHEN {} THEN {rank}", 1_i64 << (rank - 1)));
    format!("CASE {column} & {}{} END", (1_i64 << OF_EVENTS) - 1, ranks.collect::<String>())
}

/// The one of events that are on or off.
pub(super) fn of_events(on: bool) -> i64 {
    1 << (OF_EVENTS + u8::from(on))
}

/// Those of a word, which every word that begins with it has as well; a whole tag has one more. Ids leave none: each
/// instance has so many digits that nothing could be told by theirs. Events have marks of their own.
pub(super) fn of_word(word: &str) -> i64 {
    if word.starts_with(['!', '=']) {
        return 0;
    }
    let end = |letters: &usize| word.char_indices().nth(letters - 1).map(|(at, last)| at + last.len_utf8());
    let beginnings = BEGINNINGS.iter().filter_map(end).filter_map(|end| word.get(..end));
    beginnings.chain(word.starts_with('#').then_some(word)).map(bits).fold(0, std::ops::BitOr::bitor)
}

/// Two, or one where they fall together. An instance has about ten beginnings: with two marks each, fewer rows than with one
/// have all those of a word by chance. The same in every version of Gangway, because it is stored.
fn bits(text: &str) -> i64 {
    let [first, second, ..] = <[u8; 32]>::from(Sha256::digest(text));
    let [first, second] = [first, second].map(|byte| 1 << (FIRST_OF_WORDS + byte % OF_WORDS));
    first | second
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn whatever_begins_so_has_the_marks_of_its_beginning(word in "[^#!=]{0,12}", more in ".{0,12}") {
            let (asked, marks) = (of_word(&word), of_word(&format!("{word}{more}")));
            prop_assert_eq!(marks & asked, asked);
            prop_assert!(marks >> FIRST_OF_WORDS << FIRST_OF_WORDS == marks && marks >= 0);
        }
    }

    #[test]
    fn every_state_has_a_mark_of_its_own_and_so_have_events() {
        let states = ["needs_attention", "failed", "unknown", "provisioning", "connected", "paused"];
        let states = states.into_iter().chain(["disconnecting", "disconnected"]).map(of_state);
        let all = states.chain([true, false].map(of_events)).fold(0, std::ops::BitXor::bitxor);
        assert_eq!(all, (1 << FIRST_OF_WORDS) - 1);
    }

    #[test]
    fn the_marks_of_words_stay_what_is_stored() {
        let bits = |word: &str| (0..63).filter(|bit| of_word(word) >> bit & 1 == 1).collect::<Vec<_>>();
        assert_eq!(
            [bits("bakery"), bits("#vip"), bits("=cafe12"), bits("é")],
            [vec![17, 25, 44, 55], vec![26, 27, 36, 49], vec![], vec![]]
        );
    }
}
