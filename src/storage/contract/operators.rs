//! Sign-in links and sessions.

use time::Duration;

use super::*;

on_every_database!(
    a_sign_in_link_works_once_even_for_a_crowd,
    a_sign_in_link_ends_with_time_and_with_the_next_one,
    a_new_password_ends_what_the_old_one_opened,
    a_session_ends_when_idle_when_old_and_when_told,
);

const IDLE: Duration = Duration::hours(8);
const LONGEST: Duration = Duration::days(7);

async fn is_open(bench: &Bench, token: &str, now: OffsetDateTime) -> bool {
    bench.storage.session_is_open(&TokenHash::of(token), now, IDLE, LONGEST).await.unwrap()
}

async fn use_link(bench: &Bench, link: &str, session: &str, password: Option<&str>) -> bool {
    let operator = password.map(|hash| Operator { id: bench.id(), password_hash: hash.to_owned() });
    bench.storage.use_sign_in_link(TokenHash::of(link), operator, TokenHash::of(session), NOON).await.unwrap()
}

async fn make_link(bench: &Bench, link: &str) {
    bench.storage.make_sign_in_link(TokenHash::of(link), NOON + Duration::days(1)).await.unwrap();
}

async fn a_sign_in_link_works_once_even_for_a_crowd(bench: Bench) {
    make_link(&bench, "link").await;
    let sessions: Vec<String> = (0..50).map(|number| format!("session-{number}")).collect();
    let uses = sessions.iter().map(|session| use_link(&bench, "link", session, Some("hash")));
    let worked = futures_util::future::join_all(uses).await;
    assert_eq!(worked.iter().filter(|worked| **worked).count(), 1);
    assert_eq!(bench.count("SELECT count(*) FROM operator_sessions").await, 1);
    assert_eq!(bench.storage.operator().await.unwrap().unwrap().password_hash, "hash");
}

async fn a_sign_in_link_ends_with_time_and_with_the_next_one(bench: Bench) {
    make_link(&bench, "one").await;
    let works =
        async |link: &str, now| bench.storage.sign_in_link_works(&TokenHash::of(link), now).await.unwrap();
    assert!(works("one", NOON).await);
    assert!(!works("one", NOON + Duration::days(1)).await);
    make_link(&bench, "two").await;
    assert!(!works("one", NOON).await && works("two", NOON).await);
}

async fn a_new_password_ends_what_the_old_one_opened(bench: Bench) {
    bench.storage.open_session(TokenHash::of("old"), NOON).await.unwrap();
    make_link(&bench, "link").await;
    assert!(use_link(&bench, "link", "new", Some("hash")).await);
    assert!(!is_open(&bench, "old", NOON).await && is_open(&bench, "new", NOON).await);
}

async fn a_session_ends_when_idle_when_old_and_when_told(bench: Bench) {
    bench.storage.open_session(TokenHash::of("s"), NOON).await.unwrap();
    assert!(!is_open(&bench, "another", NOON).await);
    let mut now = NOON;
    while now + Duration::hours(7) < NOON + LONGEST {
        now += Duration::hours(7);
        assert!(is_open(&bench, "s", now).await, "used every seven hours");
    }
    assert!(!is_open(&bench, "s", NOON + LONGEST).await, "a week old");
    assert!(!is_open(&bench, "s", now + IDLE).await, "idle");
    bench.storage.end_session(TokenHash::of("s")).await.unwrap();
    assert!(!is_open(&bench, "s", now).await);
}
