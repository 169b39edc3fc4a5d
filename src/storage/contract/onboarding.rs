//! Claims, transitions, secrets, lists.

use secrecy::ExposeSecret;

use super::*;
use crate::elements::{Connection, Problem, ProblemKind};
use crate::oauth::ErrorCode;

on_every_database!(
    a_state_is_claimed_once_and_the_others_lead_to_the_winner,
    a_denial_claims_the_state_too,
    a_transition_replaces_only_what_was_read,
    a_connected_instance_reads_back_and_its_token_is_sealed,
    the_grant_code_is_sealed_and_goes_before_it_is_sent,
    a_row_that_fits_no_state_is_a_named_error,
    a_sealed_key_opens_in_its_own_row_alone,
    a_failing_write_does_not_fail_its_neighbours,
    pages_hold_every_instance_once_and_in_order,
    the_token_is_gone_once_it_is_destroyed,
    an_answer_that_could_not_be_read_is_sealed_until_the_outcome,
    the_wrong_key_does_not_open_and_the_previous_one_does,
);

fn connection() -> Connection {
    Connection { element_instance_id: 700_123, events_enabled: true, connected_at: NOON }
}

async fn connect(bench: &Bench, (new, ticket): &(NewInstanceRow, Ticket)) -> bool {
    let state = InstanceState::Provisioning.connect(connection()).unwrap();
    let after = Instance { state, ..new.instance.clone() };
    let token = SecretString::from("canary-token");
    bench.settle(*ticket, &after, Token::Put(&token)).await
}

async fn a_state_is_claimed_once_and_the_others_lead_to_the_winner(bench: Bench) {
    let state = bench.state();
    let tries = (0..100).map(|_| async {
        let new = bench.new_row();
        let request = bench.request(Trip::Granted(new.instance.id));
        let code = GrantCode::new("c");
        let step = (bench.step("granted"), lease(bench.id()));
        let claim = bench.storage.claim_grant(state, &request, &code, &new, step).await;
        (new.instance.id, claim.unwrap())
    });
    let claims = futures_util::future::join_all(tries).await;
    let won: Vec<Uuid> =
        claims.iter().filter(|(_, claim)| matches!(claim, Claim::Won)).map(|(id, _)| *id).collect();
    assert_eq!(won.len(), 1);
    for (_, claim) in &claims {
        if let Claim::Lost(earlier) = claim {
            assert_eq!(earlier.trip, Trip::Granted(won[0]));
        }
    }
    assert_eq!(bench.count("SELECT count(*) FROM instances").await, 1);
    assert_eq!(bench.count("SELECT count(*) FROM timeline").await, 1);
}

async fn a_denial_claims_the_state_too(bench: Bench) {
    let state = bench.state();
    let denied = bench.request(Trip::Denied(ErrorCode::AccessDenied));
    assert!(matches!(bench.storage.claim_denial(state, &denied).await.unwrap(), Claim::Won));
    let new = bench.new_row();
    let granted = bench.request(Trip::Granted(new.instance.id));
    let step = (bench.step("granted"), lease(bench.id()));
    let claim = bench.storage.claim_grant(state, &granted, &GrantCode::new("c"), &new, step).await;
    assert!(matches!(claim.unwrap(), Claim::Lost(earlier) if earlier.id == denied.id));
    assert_eq!(bench.count("SELECT count(*) FROM instances").await, 0);
    let read = bench.storage.claimed_request_by_id(denied.id).await.unwrap().unwrap();
    assert_eq!((read.trip, read.reference), (denied.trip, denied.reference));
}

async fn a_transition_replaces_only_what_was_read(bench: Bench) {
    let made = bench.provisioning().await;
    let (new, ticket) = &made;
    assert!(connect(&bench, &made).await);
    let failed = InstanceState::Failed(Problem::new(ProblemKind::NotFound, NOON));
    let after = Instance { state: failed, ..new.instance.clone() };
    assert!(!bench.settle(*ticket, &after, Token::Keep).await);
    let now = bench.storage.instance(new.instance.id).await.unwrap().unwrap();
    assert_eq!((&now.state, now.version), (&InstanceState::Connected(connection()), 1));
    let steps = bench.storage.timeline(new.instance.id).await.unwrap();
    assert_eq!(steps.len(), 2, "no line for what did not happen");
    assert!(bench.settle(*ticket, &Instance { name: "another".into(), ..now }, Token::Keep).await);
}

async fn a_connected_instance_reads_back_and_its_token_is_sealed(bench: Bench) {
    let made = bench.provisioning().await;
    let (new, _) = &made;
    assert!(bench.storage.instance_token(new.instance.id).await.unwrap().is_none());
    connect(&bench, &made).await;
    let token = bench.storage.instance_token(new.instance.id).await.unwrap().unwrap();
    assert_eq!(token.expose_secret(), "canary-token");
    let sealed: Vec<u8> =
        sqlx::query_scalar("SELECT token FROM instances").fetch_one(&bench.raw().await).await.unwrap();
    assert!(!String::from_utf8_lossy(&sealed).contains("canary"));
    let (read, key) = bench.storage.instance_with_key(new.instance.id).await.unwrap().unwrap();
    assert_eq!((&read.name, key.expose()), (&new.instance.name, new.signature_key.expose()));
    assert_eq!((read.customer, read.tags), (new.instance.customer.clone(), new.instance.tags.clone()));
}

async fn the_grant_code_is_sealed_and_goes_before_it_is_sent(bench: Bench) {
    let (_, ticket) = bench.provisioning().await;
    let read = "SELECT code FROM authorization_requests";
    let sealed: Option<Vec<u8>> = sqlx::query_scalar(read).fetch_one(&bench.raw().await).await.unwrap();
    assert!(!String::from_utf8_lossy(&sealed.unwrap()).contains("canary"));
    let later = NOON + time::Duration::MINUTE;
    let lease = Lease { holder: bench.id(), until: later + time::Duration::MINUTE };
    bench.storage.take_up(lease, later, 1).await.unwrap();
    assert!(bench.storage.mark_sent(ticket, lease, later).await.unwrap());
    let gone: Option<Vec<u8>> = sqlx::query_scalar(read).fetch_one(&bench.raw().await).await.unwrap();
    assert_eq!(gone, None);
}

async fn a_row_that_fits_no_state_is_a_named_error(bench: Bench) {
    let (new, _) = bench.provisioning().await;
    for sabotage in [
        "UPDATE instances SET state = 'connected'",
        "UPDATE instances SET state = 'sleeping'",
        "UPDATE instances SET state = 'provisioning', problem_kind = 'not_found_upstream'",
        "UPDATE instances SET state = 'failed', problem_kind = 'nonsense'",
        "UPDATE instances SET problem_kind = NULL, element_instance_id = 7",
    ] {
        sqlx::query(sabotage).execute(&bench.raw().await).await.unwrap();
        let read = bench.storage.instance(new.instance.id).await;
        assert!(matches!(read, Err(StorageError::Inconsistent(_))), "{sabotage}: {read:?}");
    }
}

async fn a_sealed_key_opens_in_its_own_row_alone(bench: Bench) {
    let ((one, _), (two, _)) = (bench.provisioning().await, bench.provisioning().await);
    let copy = "UPDATE instances SET signature_key = (SELECT signature_key FROM instances WHERE id = $1) WHERE id = $2";
    let ids = (one.instance.id.to_string(), two.instance.id.to_string());
    sqlx::query(copy).bind(ids.0).bind(ids.1).execute(&bench.raw().await).await.unwrap();
    assert!(bench.storage.instance_with_key(one.instance.id).await.is_ok());
    let moved = bench.storage.instance_with_key(two.instance.id).await;
    assert!(matches!(moved, Err(StorageError::DoesNotOpen(_))));
}

async fn a_failing_write_does_not_fail_its_neighbours(bench: Bench) {
    let (taken, _) = bench.provisioning().await;
    let writes = (0..50).map(|number| {
        // Every tenth takes an id that exists: the insert fails, whatever else is in its group.
        let mut new = bench.new_row();
        if number % 10 == 0 {
            new.instance.id = taken.instance.id;
        }
        let bench = &bench;
        async move {
            let request = bench.request(Trip::Granted(new.instance.id));
            let code = GrantCode::new("c");
            let step = (bench.step("granted"), lease(bench.id()));
            bench.storage.claim_grant(bench.state(), &request, &code, &new, step).await.is_ok()
        }
    });
    let outcomes = futures_util::future::join_all(writes).await;
    assert_eq!(outcomes.iter().filter(|ok| **ok).count(), 45);
    assert_eq!(bench.count("SELECT count(*) FROM instances").await, 46);
    assert_eq!(
        bench.count("SELECT count(*) FROM authorization_requests").await,
        46,
        "no half of a failed one"
    );
}

async fn pages_hold_every_instance_once_and_in_order(bench: Bench) {
    let mut all = Vec::new();
    let mut connected = Vec::new();
    for number in 0..23 {
        let made = bench.provisioning().await;
        let id = made.0.instance.id;
        if number % 3 == 0 {
            connect(&bench, &made).await;
            connected.push(id);
        }
        all.push(id);
    }
    for (state, mut expected) in [(None, all), (Some("connected"), connected)] {
        expected.sort_by(|one, two| two.cmp(one));
        for limit in [1, 2, 7, 22, 23, 24, 500] {
            let (mut found, mut after) = (Vec::new(), None);
            loop {
                let page = bench.storage.instances(state, after, limit).await.unwrap();
                assert!(page.items.len() <= usize::from(limit));
                found.extend(page.items.iter().map(|instance| instance.id));
                after = page.next;
                if after.is_none() {
                    break;
                }
            }
            assert_eq!(found, expected, "{state:?} by {limit}");
        }
    }
}

async fn the_wrong_key_does_not_open_and_the_previous_one_does(bench: Bench) {
    let id = bench.connected().await.id;
    let (old, fresh) = (bench.key.clone(), SecretKey::draw(bench.entropy()));
    let bench = bench.reopened(&fresh, Some(&old)).await.expect("the previous key still opens");
    assert!(bench.storage.instance_token(id).await.unwrap().is_some());
    let wrong = bench.reopened(&fresh, None).await;
    assert!(matches!(wrong.err(), Some(OpenError::WrongKey)));
}

async fn the_token_is_gone_once_it_is_destroyed(bench: Bench) {
    let read = bench.connected().await;
    let ticket = Ticket { instance: read.id, id: bench.id() };
    let state = read.state.clone().disconnect().unwrap();
    let going = Instance { state: state.clone(), ..read.clone() };
    assert!(bench.settle(ticket, &going, Token::Keep).await);
    assert!(bench.storage.instance_token(read.id).await.unwrap().is_some());
    let version = read.version + 1;
    let gone = Instance { state: state.disconnected().unwrap(), version, ..read };
    assert!(bench.settle(ticket, &gone, Token::Destroy).await);
    assert!(bench.storage.instance_token(gone.id).await.unwrap().is_none());
    assert_eq!(bench.count("SELECT coalesce(max(length(token)), 0) FROM instances").await, 0);
}

async fn an_answer_that_could_not_be_read_is_sealed_until_the_outcome(bench: Bench) {
    let (new, ticket) = bench.provisioning().await;
    let state = InstanceState::Provisioning.lose(Problem::new(ProblemKind::UnreadableAnswer, NOON)).unwrap();
    let after = Instance { state, ..new.instance.clone() };
    let transition = Transition { kept_answer: Some(b"canary answer"), ..bench.transition(&after) };
    assert!(bench.storage.transition(transition).await.unwrap());
    assert_eq!(bench.storage.kept_answer(after.id).await.unwrap().unwrap(), b"canary answer");
    let sealed: Vec<u8> =
        sqlx::query_scalar("SELECT kept_answer FROM instances").fetch_one(&bench.raw().await).await.unwrap();
    assert!(!String::from_utf8_lossy(&sealed).contains("canary"));
    let failed = after.state.clone().fail(Problem::new(ProblemKind::NotFound, NOON)).unwrap();
    let failed = Instance { state: failed, version: 1, ..after.clone() };
    assert!(bench.settle(ticket, &failed, Token::Keep).await);
    assert_eq!(bench.storage.kept_answer(after.id).await.unwrap(), None);
}
