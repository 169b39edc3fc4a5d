//! The timeline of an instance, looked at in parts; what a reference number and the beginning of an id find.

use std::collections::BTreeSet;

use time::Duration;

use super::*;
use crate::webhook::EndpointSecret;

on_every_database!(
    paging_a_timeline_shows_every_line_once_and_the_newest_first_though_all_have_one_time,
    lines_that_come_meanwhile_move_no_page,
    a_page_that_is_just_full_is_the_last,
    a_timeline_has_no_line_of_another_instance,
    a_reference_number_finds_its_lines_in_every_instance_the_newest_first,
    an_endpoint_that_gives_up_is_said_once_an_hour_and_only_where_it_did,
    the_beginning_of_an_id_finds_it_and_never_more_than_two,
    the_instance_of_an_invite_knows_it,
);

/// Puts a line on the timeline; all at noon.
async fn line(bench: &Bench, instance: &Instance, summary: &str, reference: Reference) {
    let now = bench.storage.instance(instance.id).await.unwrap().unwrap();
    let step = Step { summary: summary.into(), reference, ..bench.step("noted") };
    let written = bench.storage.transition(Transition { step, ..bench.transition(&now) }).await.unwrap();
    assert!(written);
}

/// One more connected instance, which may be there beside others.
async fn another(bench: &Bench, element_instance_id: i64) -> Instance {
    let (new, ticket) = bench.provisioning().await;
    let connection = Connection { element_instance_id, events_enabled: true, connected_at: NOON };
    let state = new.instance.state.clone().connect(connection).unwrap();
    let after = Instance { state, ..new.instance };
    assert!(bench.settle(ticket, &after, Token::Put(&"canary-token".into())).await);
    after
}

async fn with_lines(bench: &Bench, count: usize) -> Instance {
    let instance = bench.connected().await;
    for number in 0..count {
        line(bench, &instance, &format!("line {number}"), Reference::draw(bench.entropy())).await;
    }
    instance
}

/// Page by page; `between` happens before each next one.
async fn all_pages(bench: &Bench, instance: Uuid, limit: u16, between: impl AsyncFn()) -> Vec<Line> {
    let (mut all, mut before) = (Vec::new(), None);
    loop {
        let (lines, next) = bench.storage.timeline_page(instance, before, limit).await.unwrap();
        assert!(lines.len() <= usize::from(limit) && !lines.is_empty());
        all.extend(lines);
        match next {
            Some(next) => before = Some(next),
            None => return all,
        }
        between().await;
    }
}

fn noted(lines: &[Line]) -> Vec<&str> {
    lines.iter().filter(|line| line.step.kind == "noted").map(|line| line.step.summary.as_str()).collect()
}

fn counting_down(from: usize) -> Vec<String> {
    (0..from).rev().map(|number| format!("line {number}")).collect()
}

async fn paging_a_timeline_shows_every_line_once_and_the_newest_first_though_all_have_one_time(bench: Bench) {
    let instance = with_lines(&bench, 11).await;
    let whole = bench.storage.timeline(instance.id).await.unwrap();
    assert!(whole.iter().all(|step| step.at == NOON), "nothing but the order of writing tells them apart");
    for limit in [1, 2, 3, 5, 500] {
        let lines = all_pages(&bench, instance.id, limit, async || {}).await;
        assert_eq!(lines.len(), whole.len(), "by {limit}");
        assert_eq!(noted(&lines), counting_down(11));
        let places: BTreeSet<i64> = lines.iter().map(|line| line.seq).collect();
        assert_eq!(places.len(), lines.len(), "none is there twice");
        assert!(lines.iter().map(|line| line.seq).rev().eq(places), "and they are in order");
    }
}

async fn lines_that_come_meanwhile_move_no_page(bench: Bench) {
    let instance = with_lines(&bench, 7).await;
    let meanwhile = async || line(&bench, &instance, "late", Reference::draw(bench.entropy())).await;
    let lines = all_pages(&bench, instance.id, 2, meanwhile).await;
    assert_eq!(noted(&lines), counting_down(7), "each once, and none that came later");
}

async fn a_page_that_is_just_full_is_the_last(bench: Bench) {
    let instance = with_lines(&bench, 4).await;
    let count = bench.storage.timeline(instance.id).await.unwrap().len();
    let full = u16::try_from(count).unwrap();
    let (lines, next) = bench.storage.timeline_page(instance.id, None, full).await.unwrap();
    assert_eq!((lines.len(), next), (count, None));
    let (lines, next) = bench.storage.timeline_page(instance.id, None, full - 1).await.unwrap();
    assert_eq!((lines.len(), next), (count - 1, lines.last().map(|line| line.seq)));
    let oldest = bench.storage.timeline_page(instance.id, next, full).await.unwrap();
    assert_eq!((oldest.0.len(), oldest.1), (1, None));
    let before_all = bench.storage.timeline_page(instance.id, Some(oldest.0[0].seq), full).await.unwrap();
    assert!(before_all.0.is_empty() && before_all.1.is_none());
    assert!(bench.storage.timeline_page(bench.id(), None, full).await.unwrap().0.is_empty(), "nobody's");
}

async fn a_timeline_has_no_line_of_another_instance(bench: Bench) {
    let (one, two) = (bench.connected().await, another(&bench, 8).await);
    for number in (0..6).rev() {
        let whose = if number % 2 == 0 { &one } else { &two };
        line(&bench, whose, &format!("line {number}"), Reference::draw(bench.entropy())).await;
    }
    let lines = all_pages(&bench, one.id, 2, async || {}).await;
    assert!(lines.iter().all(|line| line.instance == one.id));
    assert_eq!(noted(&lines), ["line 0", "line 2", "line 4"]);
}

async fn a_reference_number_finds_its_lines_in_every_instance_the_newest_first(bench: Bench) {
    let (one, two) = (bench.connected().await, another(&bench, 8).await);
    let [wanted, other] = [(); 2].map(|()| Reference::draw(bench.entropy()));
    for number in 0..6 {
        let (whose, reference) =
            (if number % 2 == 0 { &one } else { &two }, if number == 3 { other } else { wanted });
        line(&bench, whose, &format!("line {number}"), reference).await;
    }
    let found = bench.storage.lines_of_reference(wanted, 100).await.unwrap();
    assert_eq!(noted(&found), ["line 5", "line 4", "line 2", "line 1", "line 0"]);
    let whose: Vec<Uuid> = found.iter().map(|line| line.instance).collect();
    assert_eq!(whose, [two.id, one.id, one.id, two.id, one.id]);
    let newest = bench.storage.lines_of_reference(wanted, 2).await.unwrap();
    assert_eq!(noted(&newest), ["line 5", "line 4"]);
    let unknown = Reference::draw(bench.entropy());
    assert!(bench.storage.lines_of_reference(unknown, 100).await.unwrap().is_empty());
}

/// A notification for one endpoint; answers its delivery.
async fn delivery(bench: &Bench, endpoint: Uuid, instance: Uuid, id: &str) -> i64 {
    let body = format!(r#"{{"id":"{id}","message":{{"events":[{{"eventType":"CREATED"}}]}}}}"#).into_bytes();
    assert_eq!(bench.storage.store_notification(arriving(instance, body)).await.unwrap(), Arrival::Stored);
    *bench.storage.due_deliveries(endpoint, NOON, 100).await.unwrap().last().unwrap()
}

async fn an_endpoint_that_gives_up_is_said_once_an_hour_and_only_where_it_did(bench: Bench) {
    let (one, two) = (bench.connected().await, another(&bench, 8).await);
    let endpoint = Endpoint {
        id: bench.id(),
        url: "https://receiver.example/".into(),
        wanted: Wanted::default(),
        state: EndpointState::On,
        failing_since: None,
        created_at: NOON,
    };
    bench.storage.add_endpoint(&endpoint, &EndpointSecret::draw(bench.entropy())).await.unwrap();
    let minutes = |minutes| NOON + Duration::minutes(minutes);
    for (number, instance, after, status, verdict) in [
        (1, one.id, 0, Some(500), Verdict::Again(minutes(1))),
        (2, one.id, 0, Some(503), Verdict::Failed),
        (3, one.id, 59, None, Verdict::Failed),
        (4, two.id, 59, None, Verdict::Failed),
        (5, one.id, 60, None, Verdict::Failed),
        (6, two.id, 61, Some(200), Verdict::Delivered),
    ] {
        let delivery = delivery(&bench, endpoint.id, instance, &number.to_string()).await;
        let took = std::time::Duration::from_millis(7);
        let attempt = Attempt { at: minutes(after), status, took, error: None, answer: Vec::new() };
        bench.storage.attempted(endpoint.id, delivery, attempt, verdict).await.unwrap();
    }
    let said = async |instance: &Instance| {
        let lines = bench.storage.timeline(instance.id).await.unwrap();
        let gave_up = lines.into_iter().filter(|step| step.kind == "delivery_failed");
        gave_up.map(|step| (step.at, step.reference, step.summary)).collect::<Vec<_>>()
    };
    let lines = said(&one).await;
    assert_eq!(lines.iter().map(|line| line.0).collect::<Vec<_>>(), [minutes(0), minutes(60)]);
    assert!(lines[0].2.contains("answered 503") && lines[1].2.contains("no answer"), "{lines:?}");
    assert!(lines.iter().all(|line| line.1 == one.reference), "under the number of the instance");
    assert_eq!(said(&two).await.len(), 1, "another instance's line silences nobody");
}

async fn the_beginning_of_an_id_finds_it_and_never_more_than_two(bench: Bench) {
    let mut ids = vec![bench.connected().await.id];
    for number in 8..11 {
        ids.push(another(&bench, number).await.id);
    }
    for id in &ids {
        let whole = id.to_string();
        assert_eq!(bench.storage.instances_beginning(&whole).await.unwrap(), [*id]);
        let end = whole.len() - 1;
        assert!(bench.storage.instances_beginning(&whole[..end]).await.unwrap().contains(id));
    }
    // All were made in one millisecond, so they begin alike.
    let alike = &ids[0].to_string()[..13];
    let found = bench.storage.instances_beginning(alike).await.unwrap();
    assert_eq!(found.len(), 2, "enough to know that it is not the only one");
    assert!(found[0] != found[1] && found.iter().all(|id| ids.contains(id)));
    for nothing in ["ffffffff", &ids[0].to_string()[1..]] {
        assert!(bench.storage.instances_beginning(nothing).await.unwrap().is_empty(), "{nothing}");
    }
}

async fn the_instance_of_an_invite_knows_it(bench: Bench) {
    let draft = crate::invite::Draft { customer: "Ada".into(), ..crate::invite::Draft::default() };
    let invite = draft.checked(&crate::config::ReturnUrls::default()).unwrap().made(bench.id(), NOON);
    bench.storage.add_invite(&invite, TokenHash::of("token")).await.unwrap();
    let new = NewInstanceRow { invite: Some(invite.id), ..bench.new_row() };
    let request = bench.request(Trip::Granted(new.instance.id));
    let step = (bench.step("granted"), lease(bench.id()));
    let code = GrantCode::new("c");
    let claim = bench.storage.claim_grant(bench.state(), &request, &code, &new, step).await.unwrap();
    assert!(matches!(claim, Claim::Won));
    let found = bench.storage.invite_of_instance(new.instance.id).await.unwrap();
    assert_eq!(found, Some((invite.id, "Ada".to_owned())));
    let without = bench.connected().await;
    assert_eq!(bench.storage.invite_of_instance(without.id).await.unwrap(), None);
}
