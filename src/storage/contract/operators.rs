//! Sign-in links and sessions.

use time::Duration;

use super::*;

on_every_database!(
    a_sign_in_link_works_once_even_for_a_crowd,
    a_sign_in_link_ends_with_time_and_with_the_next_one,
    a_new_password_ends_what_the_old_one_opened,
    somebody_who_can_act_is_always_left,
    the_audit_trail_is_append_only,
    a_session_ends_when_idle_when_old_and_when_told,
);

fn opening(bench: &Bench, token: &str, operator: Option<uuid::Uuid>) -> Opening {
    Opening { token: TokenHash::of(token), id: bench.id(), operator, address: None, agent: None }
}

fn operator(bench: &Bench, name: &str, role: Role, hash: &str) -> Operator {
    let (name, password_hash) = (name.to_owned(), hash.to_owned());
    Operator { id: bench.id(), name, role, password_hash, created_at: NOON }
}

const IDLE: Duration = Duration::hours(8);
const LONGEST: Duration = Duration::days(7);

async fn is_open(bench: &Bench, token: &str, now: OffsetDateTime) -> bool {
    bench
        .storage
        .session(&TokenHash::of(token), now, SessionLimits { idle: IDLE, longest: LONGEST })
        .await
        .unwrap()
        .is_some()
}

async fn use_link(bench: &Bench, link: &str, session: &str, password: Option<&str>) -> bool {
    let chosen = password.map(|hash| operator(bench, FIRST_OPERATOR, Role::Operator, hash));
    bench
        .storage
        .use_sign_in_link(TokenHash::of(link), chosen, opening(bench, session, None), NOON)
        .await
        .unwrap()
}

async fn make_link(bench: &Bench, link: &str) {
    bench
        .storage
        .make_sign_in_link(TokenHash::of(link), LinkFor::First, NOON + Duration::days(1))
        .await
        .unwrap();
}

async fn a_sign_in_link_works_once_even_for_a_crowd(bench: Bench) {
    make_link(&bench, "link").await;
    let sessions: Vec<String> = (0..50).map(|number| format!("session-{number}")).collect();
    let uses = sessions.iter().map(|session| use_link(&bench, "link", session, Some("hash")));
    let worked = futures_util::future::join_all(uses).await;
    assert_eq!(worked.iter().filter(|worked| **worked).count(), 1);
    assert_eq!(bench.count("SELECT count(*) FROM operator_sessions").await, 1);
    assert_eq!(bench.storage.operator_named(FIRST_OPERATOR).await.unwrap().unwrap().password_hash, "hash");
}

async fn a_sign_in_link_ends_with_time_and_with_the_next_one(bench: Bench) {
    make_link(&bench, "one").await;
    let works = async |link: &str, now| {
        bench.storage.sign_in_link(&TokenHash::of(link), now).await.unwrap().is_some()
    };
    assert!(works("one", NOON).await);
    assert!(!works("one", NOON + Duration::days(1)).await);
    make_link(&bench, "two").await;
    assert!(!works("one", NOON).await && works("two", NOON).await);
}

async fn a_new_password_ends_what_the_old_one_opened(bench: Bench) {
    let one = operator(&bench, "erika", Role::Viewer, "old");
    assert!(bench.storage.add_operator(one.clone()).await.unwrap());
    assert!(!bench.storage.add_operator(operator(&bench, "erika", Role::Viewer, "")).await.unwrap());
    for token in ["old", "kept"] {
        bench.storage.open_session(opening(&bench, token, Some(one.id)), NOON).await.unwrap();
    }
    bench.storage.open_session(opening(&bench, "another's", None), NOON).await.unwrap();
    bench.storage.set_password(one.id, "new".to_owned(), TokenHash::of("kept")).await.unwrap();
    assert!(!is_open(&bench, "old", NOON).await && is_open(&bench, "kept", NOON).await);
    let link = LinkFor::Operator(one.id);
    bench.storage.make_sign_in_link(TokenHash::of("link"), link, NOON + Duration::days(1)).await.unwrap();
    let session = opening(&bench, "by link", Some(one.id));
    assert!(bench.storage.use_sign_in_link(TokenHash::of("link"), Some(one), session, NOON).await.unwrap());
    assert!(!is_open(&bench, "kept", NOON).await && is_open(&bench, "by link", NOON).await);
    assert!(is_open(&bench, "another's", NOON).await);
}

async fn somebody_who_can_act_is_always_left(bench: Bench) {
    let one = operator(&bench, "erika", Role::Operator, "hash");
    let pending = operator(&bench, "max", Role::Operator, "");
    for operator in [&one, &pending] {
        assert!(bench.storage.add_operator(operator.clone()).await.unwrap());
    }
    assert!(!bench.storage.remove_operator(one.id, false).await.unwrap());
    assert!(!bench.storage.set_role(one.id, Role::Viewer, false).await.unwrap());
    assert!(bench.storage.set_role(one.id, Role::Operator, false).await.unwrap());
    assert!(bench.storage.remove_operator(pending.id, false).await.unwrap());
    bench.storage.open_session(opening(&bench, "s", Some(one.id)), NOON).await.unwrap();
    assert!(bench.storage.remove_operator(one.id, true).await.unwrap());
    assert!(!is_open(&bench, "s", NOON).await);
}

async fn the_audit_trail_is_append_only(bench: Bench) {
    for who in ["erika", "max", "erika"] {
        let (who, act) = (who.to_owned(), "instance.check".to_owned());
        let act = Act { at: NOON, who, act, subject: None, address: None, reference: None };
        bench.storage.record(act).await.unwrap();
    }
    let filter = ActFilter { who: "erika".to_owned(), act: String::new() };
    let newest = bench.storage.acts(&filter, None, 1).await.unwrap();
    assert_eq!(bench.storage.acts(&filter, Some(newest[0].0), 9).await.unwrap().len(), 1);
    for change in ["UPDATE audit SET who = 'nobody'", "DELETE FROM audit"] {
        assert!(sqlx::query(change).execute(&bench.storage.readers).await.is_err(), "{change}");
    }
    assert_eq!(bench.storage.acts(&ActFilter::default(), None, 9).await.unwrap().len(), 3);
}

async fn a_session_ends_when_idle_when_old_and_when_told(bench: Bench) {
    bench.storage.open_session(opening(&bench, "s", None), NOON).await.unwrap();
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
