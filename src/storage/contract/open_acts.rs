//! Acts that are noted before Cloud Elements is told.

use time::Duration;

use super::*;

on_every_database!(
    an_act_reads_back_as_it_was_noted_once_it_counts_as_cut_off,
    what_has_ended_is_not_done_again,
    a_later_one_of_its_kind_takes_its_place_and_outlives_its_end,
    a_cut_off_act_is_claimed_once_and_comes_again_when_nobody_ends_it,
);

fn open(bench: &Bench, instance: Uuid, wish: Wish) -> OpenAct {
    let reference = Reference::draw(bench.entropy());
    OpenAct { ticket: bench.id(), instance, wish, asked_by: None, reference, tries: 0 }
}

fn minutes(count: i64) -> OffsetDateTime {
    NOON + Duration::minutes(count)
}

async fn cut_off(bench: &Bench, now: OffsetDateTime) -> Vec<OpenAct> {
    bench.storage.cut_off_acts(now, 10).await.unwrap()
}

async fn an_act_reads_back_as_it_was_noted_once_it_counts_as_cut_off(bench: Bench) {
    let instance = bench.id();
    let acts = [
        OpenAct { asked_by: Some("the operator".into()), ..open(&bench, instance, Wish::Events(false)) },
        open(&bench, instance, Wish::Name("Ada's \"Bakery\"".into())),
        open(&bench, instance, Wish::Tags(vec!["eu".into(), "vip".into()])),
        open(&bench, bench.id(), Wish::Events(true)),
    ];
    for (second, act) in (0..).zip(&acts) {
        bench.storage.begin_act(act, NOON + Duration::seconds(second)).await.unwrap();
    }
    assert!(cut_off(&bench, minutes(4)).await.is_empty(), "they may be under way");
    assert_eq!(cut_off(&bench, minutes(6)).await, acts, "the oldest first");
}

async fn what_has_ended_is_not_done_again(bench: Bench) {
    let act = open(&bench, bench.id(), Wish::Events(true));
    bench.storage.begin_act(&act, NOON).await.unwrap();
    bench.storage.end_act(&act).await.unwrap();
    assert!(cut_off(&bench, minutes(60)).await.is_empty());
}

async fn a_later_one_of_its_kind_takes_its_place_and_outlives_its_end(bench: Bench) {
    let first = open(&bench, bench.id(), Wish::Events(false));
    let second = open(&bench, first.instance, Wish::Events(true));
    bench.storage.begin_act(&first, NOON).await.unwrap();
    bench.storage.begin_act(&second, NOON).await.unwrap();
    bench.storage.end_act(&first).await.unwrap();
    assert_eq!(cut_off(&bench, minutes(6)).await, [second]);
}

async fn a_cut_off_act_is_claimed_once_and_comes_again_when_nobody_ends_it(bench: Bench) {
    let act = open(&bench, bench.id(), Wish::Name("Ada".into()));
    bench.storage.begin_act(&act, NOON).await.unwrap();
    let beside = bench.beside().await;
    let (here, there) =
        futures_util::join!(bench.storage.cut_off_acts(minutes(6), 10), beside.cut_off_acts(minutes(6), 10));
    assert_eq!(here.unwrap().len() + there.unwrap().len(), 1, "one of two processes has it");
    assert!(cut_off(&bench, minutes(10)).await.is_empty());
    let again = cut_off(&bench, minutes(12)).await;
    assert_eq!(again, [OpenAct { tries: 1, ..act }]);
    beside.close().await;
}
