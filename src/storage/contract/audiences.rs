//! Audiences that report changes.

use time::Duration;

use super::*;

on_every_database!(
    of_a_crowd_one_makes_the_webhook,
    a_webhook_made_since_the_look_is_not_made_again_and_one_that_vanished_is,
    an_instance_on_its_way_out_gets_no_webhook,
    what_was_made_stays_ours_and_goes_to_whoever_uses_it_too,
);

const LOOKED: Looked = Looked { at: NOON, lost_before: datetime!(2026-11-23 11:59 UTC) };

async fn claim(bench: &Bench, instance: Uuid, looked: Looked, now: OffsetDateTime) -> bool {
    bench.storage.claim_audience(instance, ("a1", "News"), looked, now).await.unwrap()
}

async fn keep(bench: &Bench, instance: Uuid, origin: Origin, at: OffsetDateTime) {
    let kept =
        AudienceWebhook { audience: "a1".into(), name: "News".into(), origin, webhook: Some("w1".into()) };
    let step = Step { at, ..bench.step("audience") };
    bench.storage.keep_audience(instance, &kept, step).await.unwrap();
}

async fn origin(bench: &Bench, instance: Uuid) -> Origin {
    bench.storage.audience_webhooks(instance).await.unwrap()[0].origin
}

async fn of_a_crowd_one_makes_the_webhook(bench: Bench) {
    let id = bench.connected().await.id;
    let claims = (0..50).map(|_| claim(&bench, id, LOOKED, NOON));
    let won = futures_util::future::join_all(claims).await;
    assert_eq!(won.iter().filter(|won| **won).count(), 1);
    bench.storage.release_audience(id, "a1").await.unwrap();
    assert!(claim(&bench, id, LOOKED, NOON).await, "nothing came of it: anybody may try again");
    let later = NOON + Duration::minutes(5);
    let lost = Looked { at: later, lost_before: later - Duration::minutes(1) };
    assert!(claim(&bench, id, lost, later).await, "whoever asked has died");
}

async fn a_webhook_made_since_the_look_is_not_made_again_and_one_that_vanished_is(bench: Bench) {
    let id = bench.connected().await.id;
    assert!(claim(&bench, id, LOOKED, NOON).await);
    keep(&bench, id, Origin::Made, NOON + Duration::SECOND).await;
    assert!(!claim(&bench, id, LOOKED, NOON + Duration::SECOND).await);
    let later = Looked { at: NOON + Duration::HOUR, ..LOOKED };
    assert!(claim(&bench, id, later, NOON + Duration::HOUR).await);
    assert_eq!(origin(&bench, id).await, Origin::Asked);
}

async fn an_instance_on_its_way_out_gets_no_webhook(bench: Bench) {
    let instance = bench.connected().await;
    let id = instance.id;
    let after = Instance { state: instance.state.clone().disconnect().unwrap(), ..instance };
    assert!(bench.storage.transition(bench.transition(&after)).await.unwrap());
    assert!(!claim(&bench, id, LOOKED, NOON).await);
}

async fn what_was_made_stays_ours_and_goes_to_whoever_uses_it_too(bench: Bench) {
    let (one, other) = (bench.connected().await.id, bench.connected().await.id);
    let lines = "SELECT count(*) FROM timeline WHERE kind = 'audience'";
    keep(&bench, one, Origin::Made, NOON).await;
    keep(&bench, one, Origin::Found, NOON).await;
    assert_eq!((origin(&bench, one).await, bench.count(lines).await), (Origin::Made, 1));
    assert!(!bench.storage.hand_over_audience(one, "a1", "w1").await.unwrap());
    keep(&bench, other, Origin::Found, NOON).await;
    assert!(!bench.storage.hand_over_audience(one, "a1", "w2").await.unwrap(), "another webhook");
    assert!(bench.storage.hand_over_audience(one, "a1", "w1").await.unwrap());
    assert_eq!(origin(&bench, other).await, Origin::Made);
    bench.storage.drop_audience(one, "a1", bench.step("audience")).await.unwrap();
    bench.storage.forget_audiences(other).await.unwrap();
    assert_eq!(bench.count("SELECT count(*) FROM audience_webhooks").await, 0);
}
