//! Which passwords are refused: short ones, and those that people who guess try first. Long common passwords are
//! few words with digits behind them, so words are listed, and what is left without them is looked at.

const SHORTEST: usize = 12;
/// In bytes; more costs time and adds nothing. Nothing is cut off.
const LONGEST: usize = 1024;
/// Letters that must be left of a password once its common parts are taken out.
const OWN_LETTERS: usize = 4;

/// The parts that common passwords are made of; longer ones first.
const COMMON: &[&str] = &[
    "correcthorsebatterystaple",
    "correct horse battery staple",
    "qwertyuiopasdfghjkl",
    "1qaz2wsx3edc4rfv",
    "administrator",
    "abcdefghijkl",
    "thisismypassword",
    "mypassword",
    "qwertyuiop",
    "asdfghjkl",
    "zxcvbnm",
    "letmein",
    "changeme",
    "changeit",
    "iloveyou",
    "trustno",
    "password",
    "passwort",
    "passw0rd",
    "p@ssw0rd",
    "p@ssword",
    "pa55word",
    "passphrase",
    "mailchimp",
    "princess",
    "football",
    "baseball",
    "basketball",
    "superman",
    "batman",
    "starwars",
    "sunshine",
    "welcome",
    "dragon",
    "monkey",
    "shadow",
    "master",
    "michael",
    "jennifer",
    "jordan",
    "liverpool",
    "chelsea",
    "arsenal",
    "summer",
    "winter",
    "spring",
    "autumn",
    "january",
    "february",
    "november",
    "december",
    "october",
    "september",
    "secret",
    "default",
    "testtest",
    "testing",
    "company",
    "qwerty",
    "qwertz",
    "azerty",
    "asdfgh",
    "asdf",
    "1q2w3e4r5t6y",
    "1q2w3e4r",
    "q1w2e3r4",
    "qazwsxedc",
    "qazwsx",
    "1qaz2wsx",
    "zaq12wsx",
    "whatever",
    "computer",
    "internet",
    "login",
    "admin",
    "root",
    "user",
    "guest",
    "love",
    "pass",
    "test",
    "abc",
    "hello",
    "please",
    "god",
    "the",
    "and",
    "is",
    "my",
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
    let host = host.split('.').filter(|label| label.len() > 3 && label.contains(char::is_alphabetic));
    let own = host.chain([name, "gangway"]).map(str::to_lowercase);
    if own.filter(|word| word.chars().count() > 2).any(|word| password.contains(&word)) {
        return Some("Choose one without your name, without Gangway's, and without this site's.");
    }
    let guessed = runs(&password) || common(&password);
    guessed.then_some("This is one of those that are guessed first. Choose something only you would write.")
}

fn common(password: &str) -> bool {
    let left = COMMON.iter().fold(password.to_owned(), |left, word| left.replace(word, ""));
    left.chars().filter(|letter| letter.is_alphabetic()).count() < OWN_LETTERS && left.len() < password.len()
}

/// Nearly every character follows from the one before, or there are hardly any different ones.
fn runs(password: &str) -> bool {
    let letters: Vec<u32> = password.chars().map(u32::from).collect();
    let different: std::collections::HashSet<_> = letters.iter().collect();
    let steps = letters.windows(2).filter(|pair| matches!(pair, [a, b] if a.abs_diff(*b) <= 1)).count();
    let digits = password.chars().all(|letter| letter.is_ascii_digit()) && letters.len() < 16;
    different.len() < 5 || steps * 4 >= letters.len() * 3 || digits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_guessed_first_is_refused() {
        for weak in [
            "short",
            "aaaaaaaaaaaaaaaa",
            "abababababab",
            "abcdefghijklmnop",
            "123456789012",
            "password1234",
            "Password123!",
            "PasswordPassword",
            "qwertyuiop123",
            "1q2w3e4r5t6y",
            "letmeinletmein",
            "iloveyou2026!",
            "correcthorsebatterystaple",
            "administrator1",
            "gangway is great",
            "erika likes cake",
            "example rules ok",
            "Summer2026!!!",
            "\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}",
        ] {
            assert!(weakness(weak, "erika", "connect.example.com").is_some(), "{weak}");
        }
        assert!(weakness(&"long enough ".repeat(86), "erika", "x").is_some(), "nothing is cut off");
    }

    #[test]
    fn what_is_ones_own_is_taken() {
        for good in ["a long enough password", "vr8-Kd!0qzLm", "grüne wolken ziehen", "another long password"]
        {
            assert_eq!(weakness(good, "operator", "127.0.0.1"), None, "{good}");
        }
    }
}
