//! Every column whose values are sealed. A [`Place`] of the database is made here and nowhere else (a test keeps
//! it so), so that a column that is sealed is also re-sealed under another key and tried in every copy.

use crate::seal::Place;

/// How a column's values are found and replaced.
pub(super) struct Texts {
    pub(super) table: &'static str,
    pub(super) column: &'static str,
    /// Its values, in words.
    pub(super) what: &'static str,
    pub(super) count: &'static str,
    /// Row and value after `$1` in the order of rows, `$2` of them.
    pub(super) page: &'static str,
    /// Puts `$3` in the place of `$2` in row `$1`, and touches nothing where that has changed.
    pub(super) replace: &'static str,
}

macro_rules! sealed_columns {
    ($($name:ident, $what:literal: $table:literal $column:literal by $row:literal where $only:literal;)*) => {
        /// A column, or a part of one, whose values are sealed.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum SealedColumn {
            $(#[doc = $what] $name,)*
        }

        impl SealedColumn {
            /// All of them; the check of the key comes last, because it says that the others are done.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            pub(super) fn texts(self) -> &'static Texts {
                match self {
                    $(Self::$name => &Texts {
                        table: $table,
                        column: $column,
                        what: $what,
                        count: concat!("SELECT count(*) FROM ", $table, " WHERE length(", $column, ") > 0 AND ", $only),
                        page: concat!(
                            "SELECT ", $row, ", ", $column, " FROM ", $table, " WHERE ", $row, " > $1 AND length(", $column,
                            ") > 0 AND ", $only, " ORDER BY ", $row, " LIMIT $2"
                        ),
                        replace: concat!(
                            "UPDATE ", $table, " SET ", $column, " = $3 WHERE ", $row, " = $1 AND ", $column, " = $2"
                        ),
                    },)*
                }
            }
        }
    };
}

sealed_columns! {
    SignatureKey, "signature keys": "instances" "signature_key" by "id" where "1 = 1";
    Token, "instance tokens": "instances" "token" by "id" where "1 = 1";
    KeptAnswer, "kept answers": "instances" "kept_answer" by "id" where "1 = 1";
    GrantCode, "grant codes": "authorization_requests" "code" by "id" where "1 = 1";
    EndpointSecret, "endpoint secrets": "endpoints" "secret" by "id" where "1 = 1";
    IdempotentAnswer, "kept answers of the API": "idempotent_requests" "answer" by "id" where "1 = 1";
    Setting, "settings": "settings" "value" by "name" where "name IN ('key_in_use', 'tried_out')";
    KeyCheck, "key check": "settings" "value" by "name" where "name = 'key_check'";
}

impl SealedColumn {
    /// Where the value of one row belongs.
    pub(super) fn place(self, row: &str) -> Place<'_> {
        let Texts { table, column, .. } = self.texts();
        Place { table, column, row }
    }

    /// Its values, in words.
    pub fn what(self) -> &'static str {
        self.texts().what
    }
}

/// A value that neither key opens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unopened {
    /// Of which column.
    pub column: SealedColumn,
    /// The row's key.
    pub row: String,
}

impl std::fmt::Display for Unopened {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Texts { table, column, .. } = self.column.texts();
        write!(formatter, "{table}.{column} of row {}", self.row)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// The migrations say of a column that it is sealed.
    fn sealed_by_the_migrations() -> BTreeSet<(String, String)> {
        let mut found = BTreeSet::new();
        for migration in super::super::open::SQLITE.iter() {
            let mut table = String::new();
            for line in migration.sql.as_str().lines() {
                let words: Vec<&str> = line.split_whitespace().collect();
                let column = match words.as_slice() {
                    ["CREATE", "TABLE", name, ..] => {
                        (*name).clone_into(&mut table);
                        continue;
                    }
                    ["ALTER", "TABLE", name, "ADD", "COLUMN", column, ..] => {
                        (*name).clone_into(&mut table);
                        *column
                    }
                    [column, ..] => *column,
                    [] => continue,
                };
                if line.split_once("-- sealed").is_some() {
                    found.insert((table.clone(), column.to_owned()));
                }
            }
        }
        found
    }

    #[test]
    fn every_column_that_the_migrations_call_sealed_is_known_here_and_no_other() {
        let known = SealedColumn::ALL.iter().map(|column| column.texts());
        let known = known.map(|texts| (texts.table.to_owned(), texts.column.to_owned())).collect();
        assert_eq!(sealed_by_the_migrations(), known);
    }

    #[test]
    fn the_check_of_the_key_comes_last() {
        assert_eq!(SealedColumn::ALL.last(), Some(&SealedColumn::KeyCheck));
    }
}
