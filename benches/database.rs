//! The database that measurements fill straight into its tables, because sending as much would take longer than what is
//! measured.

use std::collections::HashMap;

use gangway::app::{Surroundings, sealer};
use gangway::config::Config;
use gangway::storage::Storage;
use sqlx::SqlitePool;

/// Made as the first start makes it, under the settings of the environment; `file` is the one they name. What is written
/// to it may be lost with the power.
pub async fn fresh(file: &str) -> (Config, SqlitePool) {
    let variables: HashMap<String, String> = std::env::vars().collect();
    let config = Config::from_variables(&variables).expect("settings");
    let storage =
        Storage::open(&config.database_url, sealer(&config, &Surroundings::default())).await.unwrap();
    storage.close().await;
    let pool = SqlitePool::connect(&format!("sqlite://{file}")).await.unwrap();
    sqlx::query("PRAGMA synchronous = OFF").execute(&pool).await.unwrap();
    (config, pool)
}
