//! Which passwords are refused: short ones, and those that people who guess try first. Those are one or two common
//! words with something attached, however they are spelt, and what fingers find by themselves on a keyboard.

use std::collections::HashSet;
use std::sync::LazyLock;

const SHORTEST: usize = 12;
/// In bytes; more costs time and adds nothing. Nothing is cut off.
const LONGEST: usize = 1024;
/// Letters that must be left of a password once its common parts are taken out.
const OWN_LETTERS: usize = 4;
/// So many common words are guessed together; who strings more of them wrote a sentence.
const GUESSED_TOGETHER: usize = 2;
/// A shorter part that makes the whole password by being repeated is guessed.
const LONGEST_UNIT: usize = 7;

/// The words that common passwords are made of, longer ones first: the commonest of the list that Django checks
/// against (BSD licence), what is long in it, and our own.
static COMMON: LazyLock<Vec<&str>> = LazyLock::new(|| include_str!("common_passwords.txt").lines().collect());
/// What stands between the words and makes a password no better.
const GLUE: [&str; 12] = ["this", "that", "your", "the", "and", "for", "not", "abc", "is", "my", "me", "it"];
/// Where fingers go by themselves: along the rows of three keyboards, down the columns, and between two rows.
const WAYS: [&str; 16] = [
    "1234567890",
    "qwertyuiop",
    "asdfghjkl",
    "zxcvbnm",
    "qwertzuiopü",
    "yxcvbnm",
    "azertyuiop",
    "qsdfghjklm",
    "1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik9ol0p",
    "zaq1xsw2cde3vfr4bgt5nhy6mju7",
    "1q2w3e4r5t6y7u8i9o0p",
    "qawsedrftgyhujikolp",
    "azsxdcfvgbhnjmk",
    "1a2b3c4d5e6f7g8h9i",
    "!\"§$%&/()=?",
    "!@#$%^&*()_+",
];

/// Why the password is refused, if it is.
pub(super) fn weakness(password: &str, name: &str, host: &str) -> Option<&'static str> {
    if password.chars().count() < SHORTEST {
        return Some("Choose at least 12 characters.");
    }
    if password.len() > LONGEST {
        return Some("Choose at most 1024 bytes; that is some hundred words.");
    }
    let password = password.to_lowercase();
    let readings = readings(&password);
    let host = host.split('.').filter(|label| label.len() > 3 && label.contains(char::is_alphabetic));
    let own: Vec<String> = host.chain([name, "gangway"]).map(|word| squeezed(&word.to_lowercase())).collect();
    let mut own = own.iter().filter(|word| word.chars().count() > 2);
    if own.any(|word| readings.iter().any(|reading| reading.contains(word))) {
        return Some("Choose one without your name, without Gangway's, and without this site's.");
    }
    let guessed = runs(&password) || repeats(&password) || readings.iter().any(|reading| common(reading));
    guessed.then_some("This is one of those that are guessed first. Choose something only you would write.")
}

/// Without what stands between the words.
fn squeezed(text: &str) -> String {
    text.chars().filter(|letter| letter.is_alphanumeric()).collect()
}

/// As it is written, and as it is meant where figures and signs stand for letters: all of them, or but those between
/// the first letter and the last, where the others are attached.
fn readings(password: &str) -> [String; 5] {
    let attached = |letter: char| !letter.is_alphabetic() && letter != '$' && letter != '@';
    let core = password.trim_matches(attached);
    [squeezed(password), meant(core, 'i'), meant(core, 'l'), meant(password, 'i'), meant(password, 'l')]
}

/// With letters for the figures and signs that look like them; a 1 looks like two of them.
fn meant(text: &str, one: char) -> String {
    let letters = text.chars().map(|letter| match letter {
        '0' => 'o',
        '1' | '!' | '|' => one,
        '3' => 'e',
        '4' | '@' => 'a',
        '5' | '$' => 's',
        '7' | '+' => 't',
        '8' => 'b',
        '9' => 'g',
        other => other,
    });
    letters.filter(|letter| letter.is_alphanumeric()).collect()
}

/// One or two of the common words, and nearly nothing else.
fn common(reading: &str) -> bool {
    let (mut left, mut found) = (reading.to_owned(), 0);
    for word in COMMON.iter().filter(|word| reading.contains(**word)) {
        // A blank, so that what stood around a word makes no other.
        let without = left.replace(word, " ");
        found += usize::from(without != left);
        left = without;
    }
    let left = GLUE.iter().fold(left, |left, word| left.replace(word, " "));
    let own = left.chars().filter(|letter| letter.is_alphabetic()).count();
    (1..=GUESSED_TOGETHER).contains(&found) && own < OWN_LETTERS
}

/// Nearly every character follows from the one before, there are hardly any different ones, or it is a number.
fn runs(password: &str) -> bool {
    let letters: Vec<char> = password.chars().collect();
    let different: HashSet<_> = letters.iter().collect();
    let follows = |pair: &&[char]| match pair {
        [a, b] => u32::from(*a).abs_diff(u32::from(*b)) <= 1 || beside(*a, *b),
        _ => false,
    };
    let steps = letters.windows(2).filter(follows).count();
    let number = letters.iter().all(char::is_ascii_digit) && letters.len() < 16;
    different.len() < 5 || steps * 4 >= letters.len() * 3 || number
}

/// Whether one key is the next one on some way, there or back.
fn beside(a: char, b: char) -> bool {
    let pairs = |way: &str| way.chars().zip(way.chars().skip(1)).any(|pair| pair == (a, b) || pair == (b, a));
    WAYS.iter().any(|way| pairs(way))
}

/// A short part, again and again.
fn repeats(password: &str) -> bool {
    let letters: Vec<char> = password.chars().collect();
    let made_of = |unit: usize| letters.iter().zip(letters.iter().skip(unit)).all(|(a, b)| a == b);
    (1..=LONGEST_UNIT).any(made_of)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(password: &str) -> bool {
        weakness(password, "erika", "connect.example.com").is_some()
    }

    fn all_are_refused(passwords: &[&str]) {
        for password in passwords {
            assert!(refused(password), "{password}");
        }
    }

    #[test]
    fn a_short_one_is_refused_and_nothing_is_cut_off_a_long_one() {
        all_are_refused(&["short", "ééééééééééé", &"long enough ".repeat(86)]);
    }

    #[test]
    fn one_key_or_a_few_keys_again_and_again_are_refused() {
        all_are_refused(&["aaaaaaaaaaaa", "abababababab", "ééééééééééééé", "xk4qxk4qxk4q", "x7Kq2!px7Kq2!p"]);
    }

    #[test]
    fn sequences_and_ways_over_the_keyboard_are_refused() {
        all_are_refused(&[
            "abcdefghijklmnop",
            "123456789012",
            "012345678901",
            "qwertyuiop123",
            "poiuytrewq321",
            "asdfghjklasdf",
            "QWERTZUIOPÜ1",
            "azertyuiopqs",
            "1q2w3e4r5t6y",
            "1qaz2wsx3edc",
            "zaq1xsw2cde3",
            "!@#$%^&*()_+",
            "1a2b3c4d5e6f",
        ]);
    }

    #[test]
    fn the_commonest_are_refused_with_anything_attached_and_however_they_are_spelt() {
        all_are_refused(&[
            "password1234",
            "Password123!",
            "PasswordPassword",
            "P@ssw0rd12345",
            "pa55word2026!",
            "2026-p4$$w0rd",
            "pass-word-1234",
            "mypassword_is_password",
            "letmeinletmein",
            "iloveyou2026!",
            "Adm1n1strator!",
            "administrator1",
            "MailChimp2026!",
            "m4ilch1mp-2026",
            "correct horse battery staple",
            "correcthorsebatterystaple",
            "Summer2026!!!",
            "dragonmonkey12",
            "liverpool19921992",
            "kartoffelpuffer",
        ]);
    }

    #[test]
    fn ones_own_name_gangways_and_the_sites_are_refused_however_they_are_spelt() {
        for named in [
            "gangway is great",
            "g4ngw4y rules ok",
            "erika likes cake",
            "3rik4 likes cake",
            "example rules ok",
        ] {
            let why = weakness(named, "erika", "connect.example.com").unwrap_or_default();
            assert!(why.starts_with("Choose one without your name"), "{named}: {why}");
        }
    }

    #[test]
    fn what_is_ones_own_is_taken() {
        for good in [
            "a long enough password",
            "vr8-Kd!0qzLm",
            "grüne wolken ziehen",
            "another long password",
            "seven grey elephants",
            "eight green crocodiles",
            "summer rain on the tin roof",
            "tofu-Ladder-19-kelp",
            "8f2c1a9e4b7d",
        ] {
            assert_eq!(weakness(good, "operator", "127.0.0.1"), None, "{good}");
        }
    }

    #[test]
    fn the_list_is_in_the_order_in_which_it_is_taken_out() {
        assert!(COMMON.is_sorted_by_key(|word| std::cmp::Reverse(word.len())));
        assert!(COMMON.iter().all(|word| *word == squeezed(&word.to_lowercase()) && word.len() > 3));
    }
}
