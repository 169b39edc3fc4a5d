//! What commands print: tables for people, documents for programs. A reader that has gone ends the printing, and is no
//! error; nothing that others wrote can move a terminal's cursor.

use std::io::{self, Write as _};

use serde::Serialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Prints `text` as it is; answers whether somebody still reads.
pub(super) fn print(text: &str) -> io::Result<bool> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(error),
    }
}

/// One document.
pub(super) fn print_json(document: &impl Serialize) -> anyhow::Result<()> {
    print(&format!("{}\n", serde_json::to_string_pretty(document)?))?;
    Ok(())
}

/// Columns as wide as what stands in them; the last one is not padded.
pub(super) fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
        cells.chain(head.get(column).map(|title| title.chars().count())).max().unwrap_or_default()
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let head: Vec<String> = head.iter().map(|title| (*title).to_owned()).collect();
    std::iter::once(&head)
        .chain(rows)
        .map(|row| {
            let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
            let line = cells.collect::<Vec<_>>().join("  ");
            format!("{}\n", line.trim_end())
        })
        .collect()
}

/// On one line, without control characters.
pub(super) fn plain(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { '\u{fffd}' } else { letter }).collect()
}

/// To the second, so that a table stays narrow.
pub(super) fn seconds(at: Option<OffsetDateTime>) -> String {
    let written = at.and_then(|at| at.replace_nanosecond(0).ok()?.format(&Rfc3339).ok());
    written.unwrap_or_else(|| "never".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_as_wide_as_what_stands_in_it_and_holds_no_control_characters() {
        let row = |one: &str, two: &str| vec![plain(one), plain(two)];
        let text = table(&["A", "NAME"], &[row("long one", "x"), row("é", "a\u{1b}[2Jb\nc")]);
        assert_eq!(text, "A         NAME\nlong one  x\né         a\u{fffd}[2Jb\u{fffd}c\n");
    }
}
