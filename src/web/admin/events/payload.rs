//! How a payload is shown: as text, whatever it is. Bytes that are no text are shown as numbers, and what is
//! long is cut; the whole is there to be downloaded.

use std::fmt::Write as _;

use serde::de::IgnoredAny;

/// Bytes that are shown as numbers.
const SHOWN_BYTES: usize = 4096;
/// Deeper than this nothing is moved further to the right, so that a page stays as long as its payload.
const DEEPEST: usize = 16;

/// A payload for a page.
pub(super) struct Shown {
    /// As it came, or as numbers.
    pub(super) raw: String,
    /// JSON with a line for each value.
    pub(super) pretty: Option<String>,
    /// Whether it is text.
    pub(super) is_text: bool,
    /// How many bytes of it are shown.
    pub(super) bytes: usize,
}

/// Shows `head`, the beginning of a payload that has `whole` bytes.
pub(super) fn shown(head: &[u8], whole: usize) -> Shown {
    let Some(text) = as_text(head, whole) else {
        let part = head.get(..SHOWN_BYTES).unwrap_or(head);
        return Shown { raw: as_numbers(part), pretty: None, is_text: false, bytes: part.len() };
    };
    let complete = text.len() == whole;
    let json = complete && serde_json::from_str::<IgnoredAny>(text).is_ok();
    // HTML has no place for a NUL.
    let raw = text.replace('\0', "\u{2400}");
    Shown { raw, pretty: json.then(|| pretty(text)), is_text: true, bytes: text.len() }
}

/// The head as text; its cut may go through a character.
fn as_text(head: &[u8], whole: usize) -> Option<&str> {
    match std::str::from_utf8(head) {
        Ok(text) => Some(text),
        Err(error) if error.error_len().is_none() && head.len() < whole => {
            std::str::from_utf8(head.get(..error.valid_up_to())?).ok()
        }
        Err(_) => None,
    }
}

/// Place, sixteen bytes, and the letters among them.
fn as_numbers(bytes: &[u8]) -> String {
    let mut lines = String::new();
    for (number, line) in bytes.chunks(16).enumerate() {
        let hex: String = line.iter().map(|byte| format!("{byte:02x} ")).collect();
        let letter = |byte: &u8| if byte.is_ascii_graphic() { char::from(*byte) } else { '.' };
        let letters: String = line.iter().map(letter).collect();
        // Writing into a String does not fail.
        let _ = writeln!(lines, "{:06x}  {hex:<48} {letters}", number * 16);
    }
    lines
}

/// JSON with a line for each value, every value letter by letter as it came: a reader that makes numbers of
/// digits would change them.
fn pretty(json: &str) -> String {
    let mut out = String::with_capacity(json.len() * 2);
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    let mut letters = json.chars().filter(|letter| *letter != '\0').peekable();
    while let Some(letter) = letters.next() {
        if in_string {
            out.push(letter);
            in_string = escaped || letter != '"';
            escaped = !escaped && letter == '\\';
            continue;
        }
        match letter {
            ' ' | '\t' | '\r' | '\n' => {}
            '{' | '[' => {
                out.push(letter);
                while letters.next_if(char::is_ascii_whitespace).is_some() {}
                if let Some(end) = letters.next_if(|next| matches!(next, '}' | ']')) {
                    out.push(end);
                } else {
                    depth += 1;
                    line(&mut out, depth);
                }
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                line(&mut out, depth);
                out.push(letter);
            }
            ',' => {
                out.push(letter);
                line(&mut out, depth);
            }
            ':' => out.push_str(": "),
            _ => {
                in_string = letter == '"';
                out.push(letter);
            }
        }
    }
    out
}

fn line(out: &mut String, depth: usize) {
    out.push('\n');
    out.extend(std::iter::repeat_n("  ", depth.min(DEEPEST)));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn json_gets_lines_and_keeps_every_digit_and_escape() {
        let json = r#"{"a":[1.50,{"b":"x\"},[\\"}],"c":{ },"big":12345678901234567890}"#;
        let expected = "{\n  \"a\": [\n    1.50,\n    {\n      \"b\": \"x\\\"},[\\\\\"\n    }\n  ],\n  \"c\": {},\n  \"big\": 12345678901234567890\n}";
        assert_eq!(shown(json.as_bytes(), json.len()).pretty.as_deref(), Some(expected));
    }

    #[test]
    fn a_cut_through_a_character_is_text_and_other_bytes_are_numbers() {
        let text = "é".repeat(10);
        let cut = shown(&text.as_bytes()[..5], text.len());
        assert_eq!((cut.raw.as_str(), cut.is_text, cut.bytes), ("éé", true, 4));
        assert!(!shown(&text.as_bytes()[..5], 5).is_text, "the whole ends within a character");
        let numbers = shown(b"\xff<script>\0", 10);
        assert!(numbers.raw.starts_with("000000  ff 3c 73") && numbers.raw.contains(".<script>."));
        assert_eq!(shown(b"a\0b", 3).raw, "a\u{2400}b");
    }

    #[test]
    fn depth_does_not_make_a_page_long() {
        let deep = "[".repeat(20_000) + "1" + &"]".repeat(20_000);
        assert!(shown(deep.as_bytes(), deep.len()).pretty.is_none_or(|pretty| pretty.len() < 2_000_000));
        assert!(pretty(&deep).len() < 2_000_000);
    }

    proptest! {
        #[test]
        fn whatever_the_bytes_they_are_shown(bytes: Vec<u8>, json in "[\\[\\]{}\",:0-9a\\\\ ]{0,60}") {
            shown(&bytes, bytes.len());
            let kept = |text: &str| text.split_whitespace().collect::<String>();
            prop_assert_eq!(kept(&pretty(&json)), kept(&json));
        }
    }
}
