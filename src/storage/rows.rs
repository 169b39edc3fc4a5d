//! Many rows with few statements. What a statement costs is the way to the database and back, not the row.

/// So many rows go with one statement. A few fixed sizes, so that there are few texts to prepare.
const CHUNKS: [usize; 4] = [64, 16, 4, 1];

/// An insert of any number of rows.
pub(super) struct Insert {
    texts: [String; CHUNKS.len()],
}

impl Insert {
    /// `head` ends in `VALUES`; `tail` is what follows the rows.
    pub(super) fn new(head: &str, columns: usize, tail: &str) -> Self {
        Self { texts: CHUNKS.map(|rows| format!("{head} {} {tail}", placeholders(rows, columns))) }
    }

    /// Each statement to run, with the rows whose values it takes one after the other.
    pub(super) fn statements<'r, T>(
        &'static self,
        mut rows: &'r [T],
    ) -> impl Iterator<Item = (&'static str, &'r [T])> {
        std::iter::from_fn(move || {
            let (size, text) = CHUNKS.iter().zip(&self.texts).find(|(size, _)| **size <= rows.len())?;
            let (taken, left) = rows.split_at_checked(*size)?;
            rows = left;
            Some((text.as_str(), taken))
        })
    }
}

/// `($1, $2), ($3, $4)`
fn placeholders(rows: usize, columns: usize) -> String {
    let row = |row: usize| {
        let columns: Vec<String> =
            (1..=columns).map(|column| format!("${}", row * columns + column)).collect();
        format!("({})", columns.join(", "))
    };
    (0..rows).map(row).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use super::*;

    #[test]
    fn every_row_goes_with_exactly_one_statement_and_each_value_has_its_place() {
        static INSERT: LazyLock<Insert> =
            LazyLock::new(|| Insert::new("INSERT INTO t VALUES", 2, "RETURNING a"));
        for count in 0..200 {
            let rows: Vec<usize> = (0..count).collect();
            let taken: Vec<usize> = INSERT.statements(&rows).flat_map(|(_, rows)| rows.to_vec()).collect();
            assert_eq!(taken, rows);
            for (text, rows) in INSERT.statements(&rows) {
                assert!(text.contains(&format!("${})", rows.len() * 2)));
                assert!(!text.contains(&format!("${}", rows.len() * 2 + 1)));
            }
        }
        assert_eq!(INSERT.texts[3], "INSERT INTO t VALUES ($1, $2) RETURNING a");
        assert!(INSERT.texts[2].contains("VALUES ($1, $2), ($3, $4), ($5, $6), ($7, $8) RETURNING"));
    }
}
