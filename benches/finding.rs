//! A database with many instances, each with the words it is found by: for measuring that a page of them takes as
//! long as one of few. `finding DATABASE_FILE INSTANCES` prints the address of a page in the middle, and an id.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a measurement that cannot go on should say where"
)]

mod database;

use hmac::Mac as _;
use sqlx::SqlitePool;

#[tokio::main]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let file = arguments.next().expect("DATABASE_FILE");
    let instances: i64 = arguments.next().expect("INSTANCES").parse().unwrap();
    let (config, pool) = database::fresh(&file).await;
    sqlx::query("PRAGMA cache_size = -262144").execute(&pool).await.unwrap();
    fill(&pool, instances).await;
    sqlx::query(NO_WORDS).execute(&pool).await.unwrap();
    let start = database::opened(&config).await;
    let left = "SELECT count(*) FROM instances WHERE marks < 0";
    while sqlx::query_scalar::<_, i64>(left).fetch_one(&pool).await.unwrap() > 0 {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    start.close().await;
    sqlx::query("DROP TRIGGER no_words").execute(&pool).await.unwrap();
    fill_words(&pool).await;
    let middle = "SELECT id FROM instances WHERE state = 'connected' ORDER BY id DESC LIMIT 1 OFFSET $1";
    let id: String = sqlx::query_scalar(middle).bind(instances / 2).fetch_one(&pool).await.unwrap();
    pool.close().await;
    // As `web/finding.rs` writes it, for a question without anything in it.
    let place = format!("{id}.4.");
    let mac = config.secret_key.mac("gangway instance cursor v1").chain_update(format!("{place} "));
    let signed: String =
        mac.finalize().into_bytes().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    println!("/admin/instances?after={signed}.{place} {id}");
}

/// Written straight into the tables: connecting a million takes longer than what is measured. Of a hundred, one needs
/// attention, one failed, three are paused, two disconnected; the others are connected, most of them with events. The
/// tags `trial`, `gold` and `pilot` are on a fifth, a fiftieth and twenty thousandth of them; of five hundred one has
/// long been silent.
async fn fill(pool: &SqlitePool, instances: i64) {
    const INSTANCES: &str = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $1), \
         now(t) AS (SELECT unixepoch() * 1000), \
         made(i, h, at, now) AS (SELECT i, (i * 2654435761) % 4294967296, t - 3456000000 + i * 2000, t FROM n, now), \
         named(i, h, at, now, name, customer, tags, state) AS (SELECT i, h, at, now, \
         'MailChimp ' || json_extract('[\"Bakery\",\"Brewery\",\"Bookshop\",\"Florist\",\"Garage\",\"Hotel\",\"Theatre\",\"Winery\"]', printf('$[%d]', h % 8)) || ' ' || i, \
         json_extract('[\"Adler\",\"Baker\",\"Castro\",\"Dubois\",\"Eriksen\",\"Fischer\",\"Garcia\",\"Hansen\",\"Ivanova\",\"Jansen\"]', printf('$[%d]', h / 8 % 10)) || ' & Sons ' || i, \
         CASE WHEN i % 20000 = 11 THEN '[\"pilot\"]' WHEN i % 50 = 12 THEN '[\"gold\"]' WHEN i % 5 = 3 THEN '[\"trial\"]' ELSE '[]' END, \
         CASE WHEN i % 100 = 0 THEN 'needs_attention' WHEN i % 100 = 1 THEN 'failed' WHEN i % 100 BETWEEN 2 AND 4 THEN 'paused' \
         WHEN i % 100 BETWEEN 5 AND 6 THEN 'disconnected' ELSE 'connected' END FROM made) \
         INSERT INTO instances (id, name, customer, tags, element, reference, browser, signature_key, created_at, state, \
         element_instance_id, events_enabled, connected_at, problem_kind, problem_since, first_event_at, last_event_at, \
         notification_count, last_checked_at, next_check_at, sort_name) \
         SELECT printf('%08x-%04x-7%03x-8%03x-%012x', at >> 16, at & 65535, h % 4096, h / 4096 % 4096, h * 65521 + i), \
         name, customer, tags, 'mailchimpv3', printf('%04X-%04X', h % 65536, h / 65536), x'00', x'00', at, state, \
         CASE WHEN state <> 'failed' THEN 7000000 + i END, \
         CASE WHEN state <> 'failed' THEN state IN ('connected', 'needs_attention') AND i % 200 <> 50 END, \
         CASE WHEN state <> 'failed' THEN at + 2000 END, \
         CASE state WHEN 'needs_attention' THEN 'access_revoked' WHEN 'failed' THEN 'grant_refused' END, \
         CASE WHEN state IN ('needs_attention', 'failed') THEN at END, \
         CASE WHEN state = 'connected' AND i % 10 <> 9 THEN at + 60000 END, \
         CASE WHEN state <> 'connected' OR i % 10 = 9 THEN NULL WHEN i % 500 = 51 THEN at + 90000000 ELSE now - h % 3600000 END, \
         CASE WHEN state = 'connected' AND i % 10 <> 9 THEN 1000 ELSE 0 END, now, 4000000000000 + i, lower(name) FROM named";
    const LOOKS: &str = "INSERT INTO missed_events (instance, next_look_at) SELECT id, 4000000000000 FROM instances \
         WHERE state IN ('connected', 'needs_attention')";
    for query in [sqlx::query(INSTANCES).bind(instances), sqlx::query(LOOKS)] {
        query.execute(pool).await.unwrap();
    }
}

/// While a start fills in marks, it lists words of events alone, which come in order: the others, at random, would take
/// an hour.
const NO_WORDS: &str = "CREATE TRIGGER no_words BEFORE INSERT ON instance_words WHEN NEW.word NOT LIKE '!%' \
     BEGIN SELECT RAISE(IGNORE); END";

/// Once a start has filled in the marks: they stand beside each word.
async fn fill_words(pool: &SqlitePool) {
    // In the order of the table.
    const WORDS: &str = "INSERT INTO instance_words (word, rank, instance, marks) \
         SELECT word, CASE state WHEN 'needs_attention' THEN 8 WHEN 'failed' THEN 7 WHEN 'connected' THEN 4 WHEN 'paused' THEN 3 ELSE 1 END AS rank, \
         instance, marks FROM (SELECT '=' || substr(id, 1, 8) AS word, id AS instance FROM instances UNION SELECT '=' || substr(id, 10, 4), id FROM instances \
         UNION SELECT '=' || substr(id, 15, 4), id FROM instances UNION SELECT '=' || substr(id, 20, 4), id FROM instances \
         UNION SELECT '=' || substr(id, 25), id FROM instances \
         UNION SELECT '=' || lower(substr(reference, 1, 4)), id FROM instances UNION SELECT '=' || lower(substr(reference, 6)), id FROM instances \
         UNION SELECT '=' || element_instance_id, id FROM instances WHERE element_instance_id IS NOT NULL \
         UNION SELECT 'mailchimp', id FROM instances UNION SELECT 'sons', id FROM instances \
         UNION SELECT substr(sort_name, 11, instr(substr(sort_name, 11), ' ') - 1), id FROM instances \
         UNION SELECT substr(sort_name, 11 + instr(substr(sort_name, 11), ' ')), id FROM instances \
         UNION SELECT '=' || substr(sort_name, 11 + instr(substr(sort_name, 11), ' ')), id FROM instances \
         UNION SELECT lower(substr(customer, 1, instr(customer, ' ') - 1)), id FROM instances \
         UNION SELECT json_extract(tags, '$[0]'), id FROM instances WHERE tags <> '[]' \
         UNION SELECT '#' || json_extract(tags, '$[0]'), id FROM instances WHERE tags <> '[]') \
         JOIN instances ON id = instance WHERE word NOT LIKE '=%' OR length(word) > 4 ORDER BY word, rank, instance";
    const INDEX: &str = "CREATE INDEX instance_words_by_instance ON instance_words (instance, word)";
    sqlx::query("DROP INDEX instance_words_by_instance").execute(pool).await.unwrap();
    for query in [WORDS, INDEX] {
        sqlx::query(query).execute(pool).await.unwrap();
    }
}
