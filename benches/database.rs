//! The database that measurements fill straight into its tables, because sending as much would take longer than what is
//! measured.

use std::collections::HashMap;

use gangway::app::{Surroundings, sealer};
use gangway::config::Config;
use gangway::storage::Storage;
use sqlx::SqlitePool;
use sqlx::sqlite::SqlitePoolOptions;

/// Made as the first start makes it, under the settings of the environment; `file` is the one they name. What is written
/// to it may be lost with the power.
pub async fn fresh(file: &str) -> (Config, SqlitePool) {
    let variables: HashMap<String, String> = std::env::vars().collect();
    let config = Config::from_variables(&variables).expect("settings");
    opened(&config).await.close().await;
    // One connection: a second might see what was before the first's changes.
    let pool = SqlitePoolOptions::new().max_connections(1);
    let pool = pool.connect(&format!("sqlite://{file}")).await.unwrap();
    sqlx::query("PRAGMA synchronous = OFF").execute(&pool).await.unwrap();
    (config, pool)
}

/// As a start opens it.
pub async fn opened(config: &Config) -> Storage {
    Storage::open(&config.database_url, sealer(config, &Surroundings::default())).await.unwrap()
}
