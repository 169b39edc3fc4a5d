//! A Postgres of one's own, for what two processes or a crash do to it.

use secrecy::SecretString;
use sqlx::{Connection, Executor};

/// A fresh database; `None`, said aloud, where there is no Postgres.
#[expect(clippy::disallowed_methods, reason = "the suite is told by its environment where Postgres is")]
pub async fn database(test: &str) -> Option<SecretString> {
    let Ok(server) = std::env::var("TEST_POSTGRES_URL") else {
        eprintln!("SKIPPED on Postgres: TEST_POSTGRES_URL is not set");
        return None;
    };
    let name = format!("gangway_{test}_{}", std::process::id());
    let mut connection = sqlx::PgConnection::connect(&server).await.unwrap();
    for statement in [format!("DROP DATABASE IF EXISTS {name}"), format!("CREATE DATABASE {name}")] {
        connection.execute(sqlx::AssertSqlSafe(statement)).await.unwrap();
    }
    Some(format!("{}/{name}", server.rsplit_once('/').unwrap().0).into())
}
