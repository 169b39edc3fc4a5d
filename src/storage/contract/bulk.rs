//! One act on many instances: counted, walked once from the newest on, claimed before each step.

use time::Duration;

use super::*;
use crate::storage::{
    Bulk, BulkAct, BulkStep, Counted, InstanceQuestion, NewBulk, RunState, TROUBLES, Trouble,
};

on_every_database!(
    those_that_suit_are_counted_and_walked_once_whatever_becomes_of_them_meanwhile,
    a_step_is_taken_by_one_and_by_another_when_its_claim_has_ended,
    what_is_stopped_goes_no_further_and_its_last_step_still_counts,
    troubles_are_kept_with_the_names_of_their_instances_up_to_a_bound,
);

fn exactly(number: usize) -> Counted {
    Counted { number, exact: true }
}

async fn begin(bench: &Bench, act: BulkAct, question: InstanceQuestion) -> Uuid {
    let (id, reference) = (bench.id(), Reference::draw(bench.entropy()));
    let bulk = NewBulk { id, act, question, asked_by: "the operator".to_owned(), reference };
    bench.storage.begin_bulk(&bulk, NOON).await.unwrap();
    id
}

/// Claims the only one that is due.
async fn claim(bench: &Bench, now: OffsetDateTime) -> Bulk {
    let mut due = bench.storage.claim_bulks(now, now + Duration::MINUTE).await.unwrap();
    assert_eq!(due.len(), 1);
    due.remove(0)
}

async fn pause(bench: &Bench, id: Uuid) {
    let before = bench.storage.instance(id).await.unwrap().unwrap();
    let after = Instance { state: before.state.clone().pause().unwrap(), ..before };
    assert!(bench.storage.transition(bench.transition(&after)).await.unwrap());
}

async fn those_that_suit_are_counted_and_walked_once_whatever_becomes_of_them_meanwhile(bench: Bench) {
    let mut connected = Vec::new();
    for _ in 0..7 {
        connected.push(bench.connected().await.id);
        bench.provisioning().await;
    }
    connected.sort_unstable_by(|one, other| other.cmp(one));
    let all = InstanceQuestion::default();
    for (act, count) in [(BulkAct::Check, 7), (BulkAct::Pause, 7), (BulkAct::Resume, 0)] {
        assert_eq!(bench.storage.count_bulk(act, &all).await.unwrap(), exactly(count), "{act:?}");
    }
    let none = InstanceQuestion { state: Some("paused"), ..all.clone() };
    assert_eq!(bench.storage.count_bulk(BulkAct::Pause, &none).await.unwrap(), exactly(0));
    let id = begin(&bench, BulkAct::Pause, all).await;
    let (mut walked, mut now) = (Vec::new(), NOON);
    while bench.storage.bulk(id).await.unwrap().unwrap().state == RunState::Running {
        let bulk = claim(&bench, now).await;
        let (ids, next) = bench.storage.next_of_bulk(&bulk, 2, now).await.unwrap();
        for id in &ids {
            pause(&bench, *id).await;
        }
        let step = BulkStep { done: ids.len(), troubles: Vec::new(), next };
        walked.extend(ids);
        now += Duration::SECOND;
        bench.storage.bulk_stepped(&bulk, step, now).await.unwrap();
    }
    assert_eq!(walked, connected);
    let done = bench.storage.bulk(id).await.unwrap().unwrap();
    assert_eq!((done.done, done.total, done.troubled), (7, exactly(7), 0));
    assert!(bench.storage.claim_bulks(now + Duration::DAY, now).await.unwrap().is_empty());
    assert_eq!(bench.storage.bulks(9).await.unwrap().len(), 1);
}

async fn a_step_is_taken_by_one_and_by_another_when_its_claim_has_ended(bench: Bench) {
    bench.connected().await;
    let id = begin(&bench, BulkAct::Check, InstanceQuestion::default()).await;
    let beside = bench.beside().await;
    let until = NOON + Duration::MINUTE;
    let (here, there) = tokio::join!(bench.storage.claim_bulks(NOON, until), beside.claim_bulks(NOON, until));
    let late: Vec<Bulk> = [here.unwrap(), there.unwrap()].concat();
    assert_eq!(late.len(), 1);
    let taken_over = claim(&bench, until).await;
    let step = |done| BulkStep { done, ..BulkStep::default() };
    bench.storage.bulk_stepped(&late[0], step(1), until).await.unwrap();
    assert_eq!(bench.storage.bulk(id).await.unwrap().unwrap().done, 0, "its claim has ended");
    bench.storage.bulk_stepped(&taken_over, step(1), until).await.unwrap();
    let done = bench.storage.bulk(id).await.unwrap().unwrap();
    assert_eq!((done.done, done.state), (1, RunState::Done));
    beside.close().await;
}

async fn what_is_stopped_goes_no_further_and_its_last_step_still_counts(bench: Bench) {
    let newest = bench.connected().await;
    let id = begin(&bench, BulkAct::Check, InstanceQuestion::default()).await;
    let bulk = claim(&bench, NOON).await;
    assert!(bench.storage.stop_bulk(id).await.unwrap());
    assert!(!bench.storage.stop_bulk(id).await.unwrap());
    let (ids, _) = bench.storage.next_of_bulk(&bulk, 1, NOON).await.unwrap();
    assert_eq!(ids, [newest.id]);
    let step = BulkStep { done: 1, ..BulkStep::default() };
    bench.storage.bulk_stepped(&bulk, step, NOON).await.unwrap();
    let stopped = bench.storage.bulk(id).await.unwrap().unwrap();
    assert_eq!((stopped.state, stopped.done), (RunState::Stopped, 1));
    assert!(bench.storage.claim_bulks(NOON + Duration::DAY, NOON).await.unwrap().is_empty());
}

async fn troubles_are_kept_with_the_names_of_their_instances_up_to_a_bound(bench: Bench) {
    let instance = bench.connected().await;
    let id = begin(&bench, BulkAct::Check, InstanceQuestion::default()).await;
    let bulk = claim(&bench, NOON).await;
    let mut troubles = vec![Trouble { instance: instance.id, why: "it is gone".to_owned() }];
    let most = usize::try_from(TROUBLES).unwrap();
    troubles.extend((0..most + 9).map(|_| Trouble { instance: bench.id(), why: "also".to_owned() }));
    let count = i64::try_from(troubles.len()).unwrap();
    let step = BulkStep { done: troubles.len(), troubles, next: None };
    bench.storage.bulk_stepped(&bulk, step, NOON).await.unwrap();
    let kept = bench.storage.bulk_troubles(id).await.unwrap();
    assert_eq!(kept.len(), most);
    let (trouble, name) = kept.iter().find(|(trouble, _)| trouble.instance == instance.id).unwrap();
    assert_eq!((trouble.why.as_str(), name), ("it is gone", &instance.name));
    assert_eq!(bench.storage.bulk(id).await.unwrap().unwrap().troubled, count);
}
