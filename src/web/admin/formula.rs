//! Files that are opened in a spreadsheet: what it would take for a formula is made a text.

/// What goes before the text of a cell: an apostrophe, where it would run.
pub(super) fn made_inert(text: &str) -> &'static str {
    if text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']) { "'" } else { "" }
}
