//! Keys of programs: who has one, until when, and what is known of its use.

use time::Duration;

use super::*;

on_every_database!(
    a_key_opens_until_it_is_revoked_or_has_ended,
    a_name_is_one_keys_until_that_is_revoked,
    what_is_done_to_a_key_stands_in_the_audit_trail_or_is_not_done,
    being_used_is_written_at_most_once_a_minute,
    of_a_key_only_the_hash_is_kept,
);

fn act(act: &str) -> Act {
    let (who, act) = ("command line".to_owned(), act.to_owned());
    Act { at: NOON, who, act, subject: None, address: None, reference: None }
}

async fn made(bench: &Bench, name: &str, expires_at: Option<OffsetDateTime>) -> Option<ApiKeyRow> {
    let row = ApiKeyRow {
        id: bench.id(),
        name: name.into(),
        scope: Scope::Read,
        created_at: NOON,
        expires_at,
        revoked_at: None,
        last_used_at: None,
    };
    bench
        .storage
        .add_api_key(&row, TokenHash::of(&row.id.to_string()), act("api_key.create"))
        .await
        .unwrap()
        .then_some(row)
}

async fn used(bench: &Bench, key: &ApiKeyRow, now: OffsetDateTime) -> Option<ApiKeyRow> {
    bench.storage.use_api_key(&TokenHash::of(&key.id.to_string()), now).await.unwrap()
}

async fn a_key_opens_until_it_is_revoked_or_has_ended(bench: Bench) {
    let forever = made(&bench, "one", None).await.unwrap();
    let short = made(&bench, "two", Some(NOON + Duration::hours(1))).await.unwrap();
    assert_eq!(used(&bench, &forever, NOON).await.unwrap().scope, Scope::Read);
    assert!(used(&bench, &short, NOON + Duration::minutes(59)).await.is_some());
    assert!(used(&bench, &short, NOON + Duration::hours(1)).await.is_none());
    assert!(bench.storage.use_api_key(&TokenHash::of("another"), NOON).await.unwrap().is_none());
    assert!(bench.storage.revoke_api_key("one", act("api_key.revoke")).await.unwrap());
    assert!(used(&bench, &forever, NOON).await.is_none());
    assert!(
        !bench.storage.revoke_api_key("one", act("api_key.revoke")).await.unwrap(),
        "it is revoked already"
    );
    assert!(bench.storage.revoke_api_key(&short.id.to_string(), act("api_key.revoke")).await.unwrap());
    let states: Vec<_> = bench.storage.api_keys().await.unwrap().iter().map(|key| key.state(NOON)).collect();
    assert_eq!(states, ["revoked", "revoked"]);
}

async fn a_name_is_one_keys_until_that_is_revoked(bench: Bench) {
    assert!(made(&bench, "same", None).await.is_some());
    assert!(made(&bench, "same", None).await.is_none());
    assert!(bench.storage.revoke_api_key("same", act("api_key.revoke")).await.unwrap());
    assert!(made(&bench, "same", None).await.is_some());
    assert_eq!(bench.storage.api_keys().await.unwrap().len(), 2);
}

async fn what_is_done_to_a_key_stands_in_the_audit_trail_or_is_not_done(bench: Bench) {
    let trail = async || {
        let acts = bench.storage.acts(&ActFilter::default(), None, 9).await.unwrap();
        acts.into_iter().map(|(_, act)| act.act).collect::<Vec<_>>()
    };
    let key = made(&bench, "one", None).await.unwrap();
    assert!(made(&bench, "one", None).await.is_none());
    assert!(!bench.storage.revoke_api_key("two", act("api_key.revoke")).await.unwrap());
    assert_eq!(trail().await, ["api_key.create"], "what was refused is no act");
    // The trail cannot be written any more.
    sqlx::query("ALTER TABLE audit RENAME TO elsewhere").execute(&bench.raw().await).await.unwrap();
    assert!(bench.storage.revoke_api_key("one", act("api_key.revoke")).await.is_err());
    assert!(used(&bench, &key, NOON).await.is_some(), "it still opens");
}

async fn being_used_is_written_at_most_once_a_minute(bench: Bench) {
    let key = made(&bench, "one", None).await.unwrap();
    let last = async || bench.storage.api_keys().await.unwrap().remove(0).last_used_at;
    assert_eq!(last().await, None);
    for (seconds, noted) in [(0, 0), (1, 0), (59, 0), (60, 60), (119, 60), (200, 200)] {
        let now = NOON + Duration::seconds(seconds);
        let crowd = (0..5).map(|_| used(&bench, &key, now));
        assert!(futures_util::future::join_all(crowd).await.iter().all(Option::is_some));
        assert_eq!(last().await, Some(NOON + Duration::seconds(noted)), "after {seconds}");
    }
}

async fn of_a_key_only_the_hash_is_kept(bench: Bench) {
    let key = crate::api_key::ApiKeySecret::draw(bench.entropy());
    let row = ApiKeyRow { id: bench.id(), ..made(&bench, "one", None).await.unwrap() };
    let row = ApiKeyRow { name: "two".into(), ..row };
    assert!(
        bench.storage.add_api_key(&row, TokenHash::of(key.expose()), act("api_key.create")).await.unwrap()
    );
    assert!(bench.storage.use_api_key(&TokenHash::of(key.expose()), NOON).await.unwrap().is_some());
    let query = "SELECT key_hash FROM api_keys";
    let hashes: Vec<Vec<u8>> = sqlx::query_scalar(query).fetch_all(&bench.raw().await).await.unwrap();
    assert!(hashes.iter().all(|hash| hash.len() == 32));
}
