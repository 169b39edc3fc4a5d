//! Settings that are missing or wrong, each with how to put it right.

use std::fmt;

/// One setting that is missing or wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The variable.
    pub variable: &'static str,
    /// What is wrong with it. Never repeats a value.
    pub what: String,
    /// How to put it right.
    pub fix: &'static str,
}

/// Every setting that is missing or wrong.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub struct Problems(pub Vec<Problem>);

impl fmt::Display for Problems {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.0.len();
        writeln!(formatter, "{count} setting{} to put right:", if count == 1 { "" } else { "s" })?;
        for Problem { variable, what, fix } in &self.0 {
            writeln!(formatter, "  {variable} {what}\n      fix: {fix}")?;
        }
        write!(
            formatter,
            "Settings are read from the environment and from .env; .env.example lists them all."
        )
    }
}
