//! A database with many events, ten in each notification, of ten instances, all of the last hours: for measuring
//! that a page of them takes as long as one of few. `event_lists DATABASE_FILE EVENTS`

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a measurement that cannot go on should say where"
)]

mod database;

use sqlx::SqlitePool;

/// Rows for one statement.
const PART: i64 = 10_000;

#[tokio::main]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let file = arguments.next().expect("DATABASE_FILE");
    let events: i64 = arguments.next().expect("EVENTS").parse().unwrap();
    let (_, pool) = database::fresh(&file).await;
    fill(&pool, events / 10).await;
}

/// Written straight into the tables: sending ten million takes longer than what is measured. Every hundredth
/// notification could not be decoded.
async fn fill(pool: &SqlitePool, notifications: i64) {
    const INSTANCES: &str = "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 9) \
         INSERT INTO instances (id, name, element, reference, browser, signature_key, created_at, state, \
         element_instance_id, events_enabled, connected_at, next_check_at) \
         SELECT printf('01a20a99-a8ce-7563-8000-%012d', i), 'MailChimp ' || i, 'mailchimpv3', '0000-0000', x'00', x'00', \
         1700000000000, 'connected', i, 1, 1700000000000, 4000000000000 FROM n";
    const NOTIFICATIONS: &str = "WITH RECURSIVE n(i) AS (SELECT $1 UNION ALL SELECT i + 1 FROM n WHERE i < $2) \
         INSERT INTO notifications (seq, fingerprint, instance, notification_id, received_at, headers, body, decoded) \
         SELECT i, unhex(printf('%032d', i)), printf('01a20a99-a8ce-7563-8000-%012d', i % 10), i, \
         (unixepoch() - 86400) * 1000 + i, '[]', CAST('{\"id\":' || i || '}' AS BLOB), i % 100 > 0 FROM n";
    const EVENTS: &str = "INSERT INTO events (notification, position, instance, type, object_type, object_id, occurred_at) \
         SELECT seq, position, instance, 'UPDATED', 'contacts', seq || '-' || position, received_at FROM notifications, \
         (SELECT column1 AS position FROM (VALUES (0), (1), (2), (3), (4), (5), (6), (7), (8), (9))) \
         WHERE seq BETWEEN $1 AND $2 AND decoded = 1";
    const UNDECODED: &str = "INSERT INTO undecoded (notification, instance) SELECT seq, instance FROM notifications \
         WHERE seq BETWEEN $1 AND $2 AND decoded = 0";
    sqlx::query(INSTANCES).execute(pool).await.unwrap();
    let mut last = 0;
    while last < notifications {
        let first = last + 1;
        last = (last + PART).min(notifications);
        let mut part = pool.begin().await.unwrap();
        for query in [NOTIFICATIONS, EVENTS, UNDECODED] {
            sqlx::query(query).bind(first).bind(last).execute(&mut *part).await.unwrap();
        }
        part.commit().await.unwrap();
    }
}
