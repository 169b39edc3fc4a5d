//! Open work, leases, and when instances are looked after.

use time::Duration;

use super::*;

on_every_database!(
    open_work_is_in_one_pair_of_hands_at_a_time,
    a_lease_that_ends_frees_the_work_and_a_renewed_one_does_not,
    a_code_is_sent_once_and_by_its_holder_alone,
    work_that_is_put_off_waits_and_counts_its_looks,
    what_is_settled_leaves_no_open_work,
    the_grant_code_reads_back_while_the_outcome_is_open,
    a_check_that_is_due_is_claimed_once,
    many_tries_to_take_up_the_same_rows_take_each_once,
);

const LATER: OffsetDateTime = datetime!(2026-11-23 12:01 UTC);

async fn open_work_is_in_one_pair_of_hands_at_a_time(bench: Bench) {
    let id = bench.provisioning().await.instance.id;
    let (one, two) = (bench.id(), bench.id());
    assert!(bench.storage.take_up(lease(one), NOON, 10).await.unwrap().is_empty(), "its claimer has it");
    let until = LATER + Duration::seconds(30);
    let taken = bench.storage.take_up(Lease { holder: one, until }, LATER, 10).await.unwrap();
    assert_eq!(taken.len(), 1);
    assert_eq!((taken[0].instance.id, taken[0].work, taken[0].looks), (id, Work::Provision, 0));
    assert_eq!((taken[0].since, taken[0].sent_at), (NOON, None));
    assert!(bench.storage.take_up(Lease { holder: two, until }, LATER, 10).await.unwrap().is_empty());
}

async fn a_lease_that_ends_frees_the_work_and_a_renewed_one_does_not(bench: Bench) {
    bench.provisioning().await;
    let (one, two) = (bench.id(), bench.id());
    let lease = |holder, until| Lease { holder, until };
    assert_eq!(
        bench.storage.take_up(lease(one, LATER + Duration::MINUTE), LATER, 10).await.unwrap().len(),
        1
    );
    bench.storage.renew(lease(one, LATER + Duration::HOUR)).await.unwrap();
    let soon = LATER + Duration::minutes(2);
    assert!(bench.storage.take_up(lease(two, soon + Duration::MINUTE), soon, 10).await.unwrap().is_empty());
    let late = LATER + Duration::hours(2);
    assert_eq!(bench.storage.take_up(lease(two, late + Duration::MINUTE), late, 10).await.unwrap().len(), 1);
}

async fn a_code_is_sent_once_and_by_its_holder_alone(bench: Bench) {
    let id = bench.provisioning().await.instance.id;
    let (holder, other) = (bench.id(), bench.id());
    bench.storage.take_up(Lease { holder, until: LATER + Duration::MINUTE }, LATER, 10).await.unwrap();
    assert!(!bench.storage.mark_sent(id, other, LATER).await.unwrap());
    assert!(bench.storage.mark_sent(id, holder, LATER).await.unwrap());
    assert!(!bench.storage.mark_sent(id, holder, LATER).await.unwrap(), "never twice");
}

async fn work_that_is_put_off_waits_and_counts_its_looks(bench: Bench) {
    let id = bench.provisioning().await.instance.id;
    let lease = |holder| Lease { holder, until: LATER + Duration::HOUR };
    bench.storage.take_up(lease(bench.id()), LATER, 10).await.unwrap();
    bench.storage.put_off(id, LATER + Duration::seconds(5), true).await.unwrap();
    assert!(bench.storage.take_up(lease(bench.id()), LATER, 10).await.unwrap().is_empty());
    let due = LATER + Duration::seconds(5);
    let again = bench.storage.take_up(lease(bench.id()), due, 10).await.unwrap();
    assert_eq!(again.iter().map(|open| open.looks).collect::<Vec<_>>(), [1]);
    bench.storage.put_off(id, due, false).await.unwrap();
    let again = bench.storage.take_up(lease(bench.id()), due, 10).await.unwrap();
    assert_eq!(again.iter().map(|open| open.looks).collect::<Vec<_>>(), [1], "nothing was learnt");
}

async fn what_is_settled_leaves_no_open_work(bench: Bench) {
    let new = bench.provisioning().await;
    let problem = crate::elements::Problem::new(crate::elements::ProblemKind::NotFound, NOON);
    let state = new.instance.state.clone().fail(problem).unwrap();
    assert!(bench.settle("provisioning", &Instance { state, ..new.instance.clone() }, Token::Keep).await);
    assert_eq!(bench.count("SELECT count(*) FROM open_work").await, 0);
    let far = LATER + Duration::days(1);
    let lease = Lease { holder: bench.id(), until: far + Duration::MINUTE };
    assert!(bench.storage.take_up(lease, far, 10).await.unwrap().is_empty());
}

async fn the_grant_code_reads_back_while_the_outcome_is_open(bench: Bench) {
    let id = bench.provisioning().await.instance.id;
    let (code, claimed_at) = bench.storage.grant_code(id).await.unwrap().unwrap();
    assert_eq!((code.expose(), claimed_at), ("canary-code", NOON));
    assert!(bench.storage.grant_code(bench.id()).await.unwrap().is_none());
}

async fn a_check_that_is_due_is_claimed_once(bench: Bench) {
    let new = bench.provisioning().await;
    let connection =
        crate::elements::Connection { element_instance_id: 7, events_enabled: true, connected_at: NOON };
    let state = new.instance.state.clone().connect(connection).unwrap();
    assert!(bench.settle("provisioning", &Instance { state, ..new.instance.clone() }, Token::Keep).await);
    let tomorrow = NOON + Duration::days(1);
    assert_eq!(bench.storage.due_checks(LATER, tomorrow, 10).await.unwrap(), [new.instance.id]);
    assert!(bench.storage.due_checks(LATER, tomorrow, 10).await.unwrap().is_empty());
    let audiences = Some(vec!["a".to_owned()]);
    bench.storage.looked_after(new.instance.id, LATER, tomorrow, audiences.clone()).await.unwrap();
    bench.storage.looked_after(new.instance.id, LATER, tomorrow, None).await.unwrap();
    let read = bench.storage.instance_of_element_instance(7).await.unwrap().unwrap();
    assert_eq!(
        (read.last_checked_at, &read.audiences),
        (Some(LATER), &audiences),
        "kept where none were read"
    );
    bench.storage.forget_account(read.id).await.unwrap();
    assert_eq!(bench.storage.instance(read.id).await.unwrap().unwrap().audiences, None);
}

async fn many_tries_to_take_up_the_same_rows_take_each_once(bench: Bench) {
    for _ in 0..20 {
        bench.provisioning().await;
    }
    let tries = (0..50).map(|_| {
        let lease = Lease { holder: bench.id(), until: LATER + Duration::HOUR };
        bench.storage.take_up(lease, LATER, 3)
    });
    let taken = futures_util::future::join_all(tries).await;
    let mut ids: Vec<Uuid> =
        taken.into_iter().flat_map(|taken| taken.unwrap()).map(|open| open.instance.id).collect();
    assert_eq!(ids.len(), 20, "none twice");
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 20, "each once");
}
