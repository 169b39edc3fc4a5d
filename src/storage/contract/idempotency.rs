//! Asking again with the same `Idempotency-Key`: who acts, and what the others are told.

use time::Duration;

use super::*;

on_every_database!(
    of_a_crowd_one_acts,
    something_else_under_the_same_name_is_told,
    another_key_or_route_is_another_turn,
    a_turn_that_is_given_back_or_lost_is_free,
    an_answer_is_kept_for_a_day_and_sealed,
    who_took_too_long_keeps_nothing,
);

fn asking(bench: &Bench, name: &str, body: &str) -> OnceOnly {
    OnceOnly::new(uuid::Uuid::nil(), "POST /api/v1/endpoints", name, bench.id()).asking("", body.as_bytes())
}

async fn turn(bench: &Bench, once: &OnceOnly, after: Duration) -> Turn {
    bench.storage.take_turn(once, NOON + after).await.unwrap()
}

async fn of_a_crowd_one_acts(bench: Bench) {
    let crowd: Vec<_> = (0..100).map(|_| asking(&bench, "same", "{}")).collect();
    let turns = crowd.iter().map(|once| turn(&bench, once, Duration::ZERO));
    let turns = futures_util::future::join_all(turns).await;
    assert_eq!(turns.iter().filter(|turn| **turn == Turn::Ours).count(), 1);
    assert_eq!(turns.iter().filter(|turn| **turn == Turn::UnderWay).count(), 99);
}

async fn something_else_under_the_same_name_is_told(bench: Bench) {
    let first = asking(&bench, "same", "{}");
    assert_eq!(turn(&bench, &first, Duration::ZERO).await, Turn::Ours);
    let other = asking(&bench, "same", "[]");
    assert_eq!(turn(&bench, &other, Duration::ZERO).await, Turn::Reused);
    bench.storage.keep_answer(&first, b"done", NOON).await.unwrap();
    assert_eq!(turn(&bench, &other, Duration::ZERO).await, Turn::Reused);
}

async fn another_key_or_route_is_another_turn(bench: Bench) {
    let (nobody, route) = (uuid::Uuid::nil(), "POST /api/v1/endpoints");
    for (asks, to, name) in [
        (nobody, route, "same"),
        (bench.id(), route, "same"),
        (nobody, "POST /api/v1/other", "same"),
        (nobody, route, "Same"),
    ] {
        let once = OnceOnly::new(asks, to, name, bench.id()).asking("", b"{}");
        assert_eq!(turn(&bench, &once, Duration::ZERO).await, Turn::Ours, "{to} {name}");
    }
}

async fn a_turn_that_is_given_back_or_lost_is_free(bench: Bench) {
    let (first, second) = (asking(&bench, "same", "{}"), asking(&bench, "same", "[]"));
    assert_eq!(turn(&bench, &first, Duration::ZERO).await, Turn::Ours);
    bench.storage.give_back_turn(&second).await.unwrap();
    assert_eq!(turn(&bench, &second, Duration::ZERO).await, Turn::Reused, "it was not its own");
    bench.storage.give_back_turn(&first).await.unwrap();
    assert_eq!(turn(&bench, &second, Duration::ZERO).await, Turn::Ours);
    assert_eq!(turn(&bench, &first, Duration::seconds(179)).await, Turn::Reused);
    assert_eq!(turn(&bench, &first, Duration::minutes(3)).await, Turn::Ours, "the other one was lost");
}

async fn an_answer_is_kept_for_a_day_and_sealed(bench: Bench) {
    let (first, again) = (asking(&bench, "same", "{}"), asking(&bench, "same", "{}"));
    assert_eq!(turn(&bench, &first, Duration::ZERO).await, Turn::Ours);
    bench.storage.keep_answer(&first, b"whsec_canary", NOON).await.unwrap();
    bench.storage.give_back_turn(&first).await.unwrap();
    let done = Turn::Done(b"whsec_canary".to_vec());
    let day = Duration::hours(24);
    assert!(!bench.storage.prune_idempotent_requests(NOON + day - Duration::SECOND).await.unwrap());
    assert_eq!(turn(&bench, &again, day - Duration::SECOND).await, done);
    let kept: Vec<u8> = sqlx::query_scalar("SELECT answer FROM idempotent_requests")
        .fetch_one(&bench.raw().await)
        .await
        .unwrap();
    assert!(!kept.windows(6).any(|part| part == b"canary"));
    assert_eq!(turn(&bench, &again, day).await, Turn::Ours);
    bench.storage.prune_idempotent_requests(NOON + day + day).await.unwrap();
    let left: i64 = sqlx::query_scalar("SELECT count(*) FROM idempotent_requests")
        .fetch_one(&bench.raw().await)
        .await
        .unwrap();
    assert_eq!(left, 0);
}

async fn who_took_too_long_keeps_nothing(bench: Bench) {
    let (slow, next) = (asking(&bench, "same", "{}"), asking(&bench, "same", "{}"));
    assert_eq!(turn(&bench, &slow, Duration::ZERO).await, Turn::Ours);
    assert_eq!(turn(&bench, &next, Duration::minutes(3)).await, Turn::Ours);
    bench.storage.keep_answer(&slow, b"late", NOON + Duration::minutes(3)).await.unwrap();
    assert_eq!(turn(&bench, &slow, Duration::minutes(3)).await, Turn::UnderWay);
    bench.storage.keep_answer(&next, b"done", NOON + Duration::minutes(4)).await.unwrap();
    assert_eq!(turn(&bench, &slow, Duration::minutes(4)).await, Turn::Done(b"done".to_vec()));
}
