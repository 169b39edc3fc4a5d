//! Statements as values: what most writes are. One alone, or several of which the first decides.

use sqlx::any::{AnyArguments, AnyRow};
use sqlx::query::Query;
use sqlx::{AnyConnection, AnyPool};

use super::writer::Write;

/// One statement with its values.
pub(super) struct Statement {
    sql: &'static str,
    values: Vec<Value>,
}

/// A question that is put together, with its values.
#[derive(Clone)]
pub(super) struct Asked {
    pub(super) sql: String,
    pub(super) values: Vec<Value>,
}

/// A value of one of the three types of column there are.
#[derive(Clone)]
pub(super) enum Value {
    Integer(Option<i64>),
    Text(Option<String>),
    Bytes(Option<Vec<u8>>),
}

impl Statement {
    /// Without values yet; placeholders are `$1`, `$2`, ….
    pub(super) fn new(sql: &'static str) -> Self {
        Self { sql, values: Vec::new() }
    }

    /// The next value.
    pub(super) fn bind(mut self, value: impl Into<Value>) -> Self {
        self.values.push(value.into());
        self
    }

    pub(super) async fn execute(&self, connection: &mut AnyConnection) -> sqlx::Result<u64> {
        let bound = self.values.iter().fold(sqlx::query(self.sql), Value::bound);
        Ok(bound.execute(connection).await?.rows_affected())
    }
}

impl Asked {
    /// The placeholder of the next value.
    pub(super) fn value(&mut self, value: impl Into<Value>) -> String {
        self.values.push(value.into());
        format!("${}", self.values.len())
    }

    /// One condition more.
    pub(super) fn and(&mut self, condition: &str) {
        self.end(&format!("AND {condition}"));
    }

    /// What comes after.
    pub(super) fn end(&mut self, clause: &str) {
        self.sql.push(' ');
        self.sql.push_str(clause);
    }

    pub(super) async fn rows(self, readers: &AnyPool) -> sqlx::Result<Vec<AnyRow>> {
        let query = sqlx::query(sqlx::AssertSqlSafe(self.sql));
        self.values.iter().fold(query, Value::bound).fetch_all(readers).await
    }
}

impl Value {
    fn bound<'q>(
        query: Query<'q, sqlx::Any, AnyArguments>,
        value: &'q Self,
    ) -> Query<'q, sqlx::Any, AnyArguments> {
        match value {
            Self::Integer(value) => query.bind(*value),
            Self::Text(value) => query.bind(value.as_deref()),
            Self::Bytes(value) => query.bind(value.as_deref()),
        }
    }
}

macro_rules! into_value {
    ($($from:ty, $value:ident => $made:expr;)*) => {$(
        impl From<$from> for Value {
            fn from($value: $from) -> Self { $made }
        }
    )*};
}

into_value! {
    i64, value => Self::Integer(Some(value));
    Option<i64>, value => Self::Integer(value);
    bool, value => Self::Integer(Some(value.into()));
    &str, value => Self::Text(Some(value.to_owned()));
    String, value => Self::Text(Some(value));
    Option<String>, value => Self::Text(value);
    uuid::Uuid, value => Self::Text(Some(value.to_string()));
    Vec<u8>, value => Self::Bytes(Some(value));
    Option<Vec<u8>>, value => Self::Bytes(value);
}

/// Answers how many rows it touched.
impl Write for Statement {
    type Output = u64;

    async fn run(&self, connection: &mut AnyConnection) -> sqlx::Result<u64> {
        self.execute(connection).await
    }
}

/// All of one transaction.
impl Write for Vec<Statement> {
    type Output = ();

    async fn run(&self, connection: &mut AnyConnection) -> sqlx::Result<()> {
        for statement in self {
            statement.execute(connection).await?;
        }
        Ok(())
    }
}

/// Several statements of one transaction. The first decides: where it touches no row, the others are left
/// out. Answers whether they were run.
pub(super) struct Deciding {
    pub(super) first: Statement,
    pub(super) then: Vec<Statement>,
}

impl Write for Deciding {
    type Output = bool;

    async fn run(&self, connection: &mut AnyConnection) -> sqlx::Result<bool> {
        if self.first.execute(connection).await? == 0 {
            return Ok(false);
        }
        self.then.run(connection).await?;
        Ok(true)
    }
}
