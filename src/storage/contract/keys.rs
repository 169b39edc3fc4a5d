//! Another SECRET_KEY.

use super::*;
use crate::storage::rekey::Renewal;
use crate::webhook::EndpointSecret;

on_every_database!(
    everything_is_sealed_anew_and_opens_with_the_new_key_alone,
    what_was_begun_is_gone_on_with,
    what_is_written_meanwhile_is_never_overwritten,
    a_value_that_no_key_opens_is_named_and_holds_nothing_up,
    nothing_is_sealed_under_a_key_that_no_gangway_has,
    a_key_that_something_still_needs_cannot_be_left_out,
);

struct Filled {
    ids: Vec<Uuid>,
    open: Vec<Ticket>,
    endpoint: Uuid,
}

/// One sealed value of every kind at least, and more than one transaction's worth of some.
async fn fill(bench: &Bench) -> Filled {
    let mut filled = Filled { ids: Vec::new(), open: Vec::new(), endpoint: bench.id() };
    bench.storage.serve_under_present_key().await.unwrap();
    bench.storage.try_out().await.unwrap();
    for _ in 0..300 {
        filled.open.push(bench.provisioning().await.1);
    }
    filled.ids.push(bench.connected().await.id);
    let (row, _) = bench.provisioning().await;
    let since = NOON;
    let problem =
        crate::elements::Problem { kind: crate::elements::ProblemKind::NoAnswer, detail: None, since };
    let after = Instance { state: InstanceState::Unknown(problem), ..row.instance };
    let kept = Transition { kept_answer: Some(b"half an answer"), ..bench.transition(&after) };
    assert!(bench.storage.transition(kept).await.unwrap());
    filled.ids.push(after.id);
    let endpoint = Endpoint {
        id: filled.endpoint,
        url: "https://example.com/".into(),
        wanted: Wanted::default(),
        state: EndpointState::On,
        failing_since: None,
        created_at: NOON,
    };
    bench.storage.add_endpoint(&endpoint, &EndpointSecret::draw(bench.entropy())).await.unwrap();
    let once = OnceOnly::new(bench.id(), "POST /api/v1/endpoints", "a name", bench.id());
    assert_eq!(bench.storage.take_turn(&once, NOON).await.unwrap(), Turn::Ours);
    bench.storage.keep_answer(&once, b"with a secret", NOON).await.unwrap();
    filled
}

/// Under a fresh key, with the one before still known, as a Gangway that serves.
async fn under_a_fresh_key(bench: Bench) -> (Bench, SecretKey, SecretKey) {
    let (old, new) = (bench.key.clone(), SecretKey::draw(bench.entropy()));
    let bench = bench.reopened(&new, Some(&old)).await.unwrap();
    (bench, old, new)
}

async fn everything_is_sealed_anew_and_opens_with_the_new_key_alone(bench: Bench) {
    let filled = fill(&bench).await;
    let (bench, _, new) = under_a_fresh_key(bench).await;
    bench.storage.serve_under_present_key().await.unwrap();
    let before = bench.storage.count_by_key(&mut |_| {}).await.unwrap();
    let mut told = Vec::new();
    let done = bench.storage.rekey(&mut |progress| told.push(progress)).await.unwrap();
    assert_eq!((done.renewed, done.need_previous, done.unopened.len()), (before.need_previous, 0, 0));
    for column in SealedColumn::ALL {
        let last = told.iter().rfind(|progress| progress.column == *column);
        let last = last.unwrap_or_else(|| panic!("{column:?} was not gone over"));
        assert!(last.seen == last.total && last.total > 0, "{last:?}");
    }
    assert_eq!(bench.storage.rekey(&mut |_| {}).await.unwrap().renewed, 0);
    let bench = bench.reopened(&new, None).await.unwrap();
    let [connected, unknown] = filled.ids[..] else { panic!() };
    let token = bench.storage.instance_token(connected).await.unwrap().unwrap();
    assert_eq!(token.expose_secret(), "canary-token");
    assert_eq!(bench.storage.kept_answer(unknown).await.unwrap().unwrap(), b"half an answer");
    for ticket in filled.open {
        assert!(bench.storage.grant_code(ticket).await.unwrap().is_some());
        assert!(bench.storage.instance_with_key(ticket.instance).await.unwrap().is_some());
    }
}

async fn what_was_begun_is_gone_on_with(bench: Bench) {
    fill(&bench).await;
    let (bench, _, new) = under_a_fresh_key(bench).await;
    bench.storage.serve_under_present_key().await.unwrap();
    let all = bench.storage.count_by_key(&mut |_| {}).await.unwrap().need_previous;
    let ended = tokio_util::sync::CancellationToken::new();
    let mut end = |_| ended.cancel();
    tokio::select! {
        biased;
        () = ended.cancelled() => {}
        _ = bench.storage.rekey(&mut end) => panic!("it was to end after the first step"),
    }
    let left = bench.storage.count_by_key(&mut |_| {}).await.unwrap().need_previous;
    assert!(0 < left && left < all, "{left} of {all}");
    assert!(bench.storage.rekey(&mut |_| {}).await.unwrap().renewed <= left);
    assert!(bench.reopened(&new, None).await.is_ok());
}

async fn what_is_written_meanwhile_is_never_overwritten(bench: Bench) {
    let id = bench.connected().await.id;
    let query = sqlx::query_scalar("SELECT token FROM instances WHERE id = $1").bind(id.to_string());
    let sealed: Vec<u8> = query.fetch_one(&bench.storage.readers).await.unwrap();
    let after = bench.storage.instance(id).await.unwrap().unwrap();
    let put = Transition { token: Token::Put(&"a newer token".into()), ..bench.transition(&after) };
    assert!(bench.storage.transition(put).await.unwrap());
    let late = Renewal { row: id.to_string(), sealed, renewed: b"an older token".to_vec() };
    assert_eq!(bench.storage.replace(SealedColumn::Token, &[late]).await.unwrap(), 0);
    let token = bench.storage.instance_token(id).await.unwrap().unwrap();
    assert_eq!(token.expose_secret(), "a newer token");
}

async fn a_value_that_no_key_opens_is_named_and_holds_nothing_up(bench: Bench) {
    let filled = fill(&bench).await;
    let row = filled.open[0].instance.to_string();
    let spoil = sqlx::query("UPDATE instances SET signature_key = $2 WHERE id = $1");
    spoil.bind(&row).bind(b"nonsense".to_vec()).execute(&bench.storage.readers).await.unwrap();
    let (bench, _, new) = under_a_fresh_key(bench).await;
    bench.storage.serve_under_present_key().await.unwrap();
    let done = bench.storage.rekey(&mut |_| {}).await.unwrap();
    let unopened = Unopened { column: SealedColumn::SignatureKey, row: row.clone() };
    assert_eq!((done.need_previous, &done.unopened[..]), (0, &[unopened][..]));
    assert_eq!(done.unopened[0].to_string(), format!("instances.signature_key of row {row}"));
    assert!(bench.reopened(&new, None).await.is_ok());
}

async fn nothing_is_sealed_under_a_key_that_no_gangway_has(bench: Bench) {
    fill(&bench).await;
    let (bench, old, _) = under_a_fresh_key(bench).await;
    let refused = bench.storage.rekey(&mut |_| {}).await;
    assert!(matches!(refused, Err(RekeyError::NotInUse)), "{refused:?}");
    assert!(bench.reopened(&old, None).await.is_ok(), "the old key alone still opens it");
}

async fn a_key_that_something_still_needs_cannot_be_left_out(bench: Bench) {
    fill(&bench).await;
    let (bench, old, new) = under_a_fresh_key(bench).await;
    bench.storage.serve_under_present_key().await.unwrap();
    let (url, entropy) = (bench.url.clone(), bench.entropy.clone());
    bench.storage.close().await;
    let Bench { storage, folder: _folder, .. } = bench;
    drop(storage);
    for (key, previous) in [(&new, None), (&old, None), (&SecretKey::draw(&*entropy), Some(&old))] {
        let opened = Storage::open(&url, Sealer::new(key, previous, entropy.clone())).await;
        assert!(matches!(opened.err(), Some(OpenError::WrongKey)));
    }
    assert!(
        Storage::open(&url, Sealer::new(&old, Some(&new), entropy.clone())).await.is_ok(),
        "the way back"
    );
}
