//! Open work, leases, and when instances are looked after.

use time::Duration;

use super::*;

on_every_database!(
    open_work_is_in_one_pair_of_hands_at_a_time,
    a_lease_that_ends_frees_the_work_and_a_renewed_one_does_not,
    a_code_is_sent_once_and_by_its_holder_alone,
    work_that_is_put_off_waits_and_counts_its_looks,
    what_is_settled_leaves_no_open_work,
    the_grant_code_reads_back_while_it_may_be_sent,
    a_renewal_takes_the_place_of_an_earlier_one_and_its_code_goes,
    what_is_not_connected_is_not_renewed,
    the_end_takes_the_place_of_whatever_is_open,
    an_open_row_that_cannot_be_read_holds_up_no_other,
    a_check_that_is_due_is_claimed_once,
    many_tries_to_take_up_the_same_rows_take_each_once,
    an_orphan_is_taken_in_once,
);

const LATER: OffsetDateTime = datetime!(2026-11-23 12:01 UTC);

/// In the hands of `holder` for an hour from `LATER` on.
fn long(holder: Uuid) -> Lease {
    Lease { holder, until: LATER + Duration::HOUR }
}

async fn open_work_is_in_one_pair_of_hands_at_a_time(bench: Bench) {
    let (_, ticket) = bench.provisioning().await;
    let (one, two) = (bench.id(), bench.id());
    assert!(bench.storage.take_up(lease(one), NOON, 10).await.unwrap().is_empty(), "its claimer has it");
    let taken = bench.storage.take_up(long(one), LATER, 10).await.unwrap();
    assert_eq!(taken.len(), 1);
    assert_eq!((taken[0].ticket, taken[0].work, taken[0].looks), (ticket, Work::Provision, 0));
    assert_eq!((taken[0].since, taken[0].sent_at, taken[0].first_look_at), (NOON, None, None));
    assert!(bench.storage.take_up(long(two), LATER, 10).await.unwrap().is_empty());
}

async fn a_lease_that_ends_frees_the_work_and_a_renewed_one_does_not(bench: Bench) {
    let (_, kept) = bench.provisioning().await;
    let (_, fallen) = bench.provisioning().await;
    let (one, two) = (bench.id(), bench.id());
    let lease = |holder, until| Lease { holder, until };
    let taken = bench.storage.take_up(lease(one, LATER + Duration::MINUTE), LATER, 10).await.unwrap();
    assert_eq!(taken.len(), 2);
    bench.storage.renew(lease(one, LATER + Duration::HOUR), vec![kept]).await.unwrap();
    let soon = LATER + Duration::minutes(2);
    let freed = bench.storage.take_up(lease(two, soon + Duration::MINUTE), soon, 10).await.unwrap();
    assert_eq!(
        freed.iter().map(|open| open.ticket).collect::<Vec<_>>(),
        [fallen],
        "only what is held is kept"
    );
    let late = LATER + Duration::hours(2);
    assert_eq!(bench.storage.take_up(lease(two, late + Duration::MINUTE), late, 10).await.unwrap().len(), 2);
}

async fn a_code_is_sent_once_and_by_its_holder_alone(bench: Bench) {
    let (_, ticket) = bench.provisioning().await;
    let (holder, other) = (long(bench.id()), long(bench.id()));
    bench.storage.take_up(holder, LATER, 10).await.unwrap();
    let earlier = Ticket { id: bench.id(), ..ticket };
    assert!(!bench.storage.mark_sent(ticket, other, LATER).await.unwrap());
    assert!(!bench.storage.mark_sent(earlier, holder, LATER).await.unwrap());
    assert!(bench.storage.mark_sent(ticket, holder, LATER).await.unwrap());
    assert!(!bench.storage.mark_sent(ticket, holder, LATER).await.unwrap(), "never twice");
}

async fn work_that_is_put_off_waits_and_counts_its_looks(bench: Bench) {
    let (_, ticket) = bench.provisioning().await;
    let holder = bench.id();
    bench.storage.take_up(long(holder), LATER, 10).await.unwrap();
    let due = LATER + Duration::seconds(5);
    bench.storage.put_off(ticket, bench.id(), due, Some(LATER)).await.unwrap();
    assert!(bench.storage.take_up(long(bench.id()), due, 10).await.unwrap().is_empty(), "not by another");
    bench.storage.put_off(ticket, holder, due, Some(LATER)).await.unwrap();
    assert!(bench.storage.take_up(long(holder), LATER, 10).await.unwrap().is_empty());
    let seen = async || {
        let again = bench.storage.take_up(long(holder), due, 10).await.unwrap();
        again.into_iter().map(|open| (open.looks, open.first_look_at)).collect::<Vec<_>>()
    };
    assert_eq!(seen().await, [(1, Some(LATER))]);
    bench.storage.put_off(ticket, holder, due, None).await.unwrap();
    assert_eq!(seen().await, [(1, Some(LATER))], "nothing was learnt");
    bench.storage.put_off(ticket, holder, due, Some(due)).await.unwrap();
    assert_eq!(seen().await, [(2, Some(LATER))]);
}

async fn what_is_settled_leaves_no_open_work(bench: Bench) {
    let (new, ticket) = bench.provisioning().await;
    let problem = crate::elements::Problem::new(crate::elements::ProblemKind::NotFound, NOON);
    let state = new.instance.state.clone().fail(problem).unwrap();
    assert!(bench.settle(ticket, &Instance { state, ..new.instance.clone() }, Token::Keep).await);
    assert_eq!(bench.count("SELECT count(*) FROM open_work").await, 0);
    let far = LATER + Duration::days(1);
    let lease = Lease { holder: bench.id(), until: far + Duration::MINUTE };
    assert!(bench.storage.take_up(lease, far, 10).await.unwrap().is_empty());
}

async fn the_grant_code_reads_back_while_it_may_be_sent(bench: Bench) {
    let (_, ticket) = bench.provisioning().await;
    let (code, claimed_at) = bench.storage.grant_code(ticket).await.unwrap().unwrap();
    assert_eq!((code.expose(), claimed_at), ("canary-code", NOON));
    let another = Ticket { id: bench.id(), ..ticket };
    assert!(bench.storage.grant_code(another).await.unwrap().is_none());
}

/// Claims a grant that renews `instance`.
async fn renewal(bench: &Bench, instance: Uuid, holder: Uuid) -> Ticket {
    let request = bench.request(Trip::Granted(instance));
    let ticket = Ticket { instance, id: request.id };
    let open = (ticket, bench.step("granted"), long(holder));
    let claim = bench.storage.claim_renewal(bench.state(), &request, &GrantCode::new("c"), open).await;
    assert!(matches!(claim, Ok(Claim::Won)), "{claim:?}");
    ticket
}

async fn a_renewal_takes_the_place_of_an_earlier_one_and_its_code_goes(bench: Bench) {
    let id = bench.connected().await.id;
    let holder = bench.id();
    let first = renewal(&bench, id, holder).await;
    assert!(bench.storage.instance(id).await.unwrap().unwrap().renewing);
    assert!(bench.storage.mark_sent(first, long(holder), LATER).await.unwrap());
    let second = renewal(&bench, id, holder).await;
    let third = renewal(&bench, id, holder).await;
    assert!(bench.storage.grant_code(second).await.unwrap().is_none());
    assert!(!bench.storage.mark_sent(second, long(holder), LATER).await.unwrap());
    bench.storage.drop_work(first).await.unwrap();
    assert!(
        bench.storage.mark_sent(third, long(holder), LATER).await.unwrap(),
        "the first closes not the third"
    );
    bench.storage.drop_work(third).await.unwrap();
    assert!(!bench.storage.instance(id).await.unwrap().unwrap().renewing);
}

async fn what_is_not_connected_is_not_renewed(bench: Bench) {
    let (new, ticket) = bench.provisioning().await;
    let holder = bench.id();
    let renewing = renewal(&bench, new.instance.id, holder).await;
    assert!(bench.storage.grant_code(renewing).await.unwrap().is_none(), "nothing is kept of it");
    assert!(!bench.storage.mark_sent(renewing, long(holder), LATER).await.unwrap());
    assert!(bench.storage.grant_code(ticket).await.unwrap().is_some(), "and what was open stays");
}

async fn the_end_takes_the_place_of_whatever_is_open(bench: Bench) {
    let read = bench.connected().await;
    let holder = bench.id();
    let renewing = renewal(&bench, read.id, holder).await;
    let ticket = Ticket { instance: read.id, id: bench.id() };
    let going = Instance { state: read.state.clone().disconnect().unwrap(), ..read.clone() };
    let transition =
        Transition { work: Change::Disconnect(ticket, long(holder)), ..bench.transition(&going) };
    assert!(bench.storage.transition(transition).await.unwrap());
    assert!(bench.storage.grant_code(renewing).await.unwrap().is_none());
    let far = LATER + Duration::days(1);
    let lease = Lease { holder, until: far + Duration::MINUTE };
    let open = bench.storage.take_up(lease, far, 10).await.unwrap();
    assert_eq!(
        open.iter().map(|open| (open.ticket, open.work)).collect::<Vec<_>>(),
        [(ticket, Work::Disconnect)]
    );
    renewal(&bench, read.id, holder).await;
    assert_eq!(bench.count("SELECT count(*) FROM open_work WHERE kind = 'disconnect'").await, 1);
}

async fn an_open_row_that_cannot_be_read_holds_up_no_other(bench: Bench) {
    let (bad, _) = bench.provisioning().await;
    let (_, good) = bench.provisioning().await;
    sqlx::query("UPDATE instances SET state = 'sleeping' WHERE id = $1")
        .bind(bad.instance.id.to_string())
        .execute(&bench.raw().await)
        .await
        .unwrap();
    let open = bench.storage.take_up(long(bench.id()), LATER, 10).await.unwrap();
    assert_eq!(open.iter().map(|open| open.ticket).collect::<Vec<_>>(), [good]);
}

async fn an_orphan_is_taken_in_once(bench: Bench) {
    let problem = crate::elements::Problem::new(crate::elements::ProblemKind::Orphaned, NOON);
    let row = bench.new_row();
    for expected in [true, false] {
        let ticket = Ticket { instance: row.instance.id, id: bench.id() };
        let open = (ticket, lease(bench.id()), bench.step("unknown"));
        assert_eq!(bench.storage.take_in(&row, &problem, open).await.unwrap(), expected);
    }
    let read = bench.storage.instance(row.instance.id).await.unwrap().unwrap();
    assert_eq!(read.state, InstanceState::Unknown(problem));
    let open = bench.storage.take_up(long(bench.id()), LATER, 10).await.unwrap();
    assert!(open[0].sent_at.is_some(), "there is no code to send");
}

async fn a_check_that_is_due_is_claimed_once(bench: Bench) {
    let id = bench.connected().await.id;
    let tomorrow = NOON + Duration::days(1);
    assert_eq!(bench.storage.due_checks(LATER, tomorrow, 10).await.unwrap(), [id]);
    assert!(bench.storage.due_checks(LATER, tomorrow, 10).await.unwrap().is_empty());
    let audiences = Some(vec!["a".to_owned()]);
    bench.storage.looked_after(id, LATER, tomorrow, audiences.clone()).await.unwrap();
    bench.storage.looked_after(id, LATER, tomorrow, None).await.unwrap();
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
