//! Invites: a use is made by a claim and by nothing else, and never more often than was said.

use super::*;
use crate::config::ReturnUrls;
use crate::invite::{Draft, Invite};

on_every_database!(
    an_invite_reads_back_as_it_was_made_and_its_token_is_not_kept,
    looking_and_starting_are_noted_once_and_use_nothing,
    a_single_use_is_made_once_by_claims_at_once,
    one_that_was_taken_back_claims_nothing,
);

async fn made(bench: &Bench, uses: Option<u32>) -> Invite {
    let tags = vec!["bakery".to_owned()];
    let draft = Draft { customer: "Ada".into(), uses, tags, ..Draft::default() };
    let invite = draft.checked(&ReturnUrls::default()).unwrap().made(bench.id(), NOON);
    bench.storage.add_invite(&invite, TokenHash::of(&invite.id.to_string())).await.unwrap();
    invite
}

async fn an_invite_reads_back_as_it_was_made_and_its_token_is_not_kept(bench: Bench) {
    let invite = made(&bench, Some(3)).await;
    let read = bench.storage.invite_of_token(&TokenHash::of(&invite.id.to_string())).await.unwrap().unwrap();
    assert_eq!(format!("{read:?}"), format!("{invite:?}"));
    assert!(bench.storage.invite_of_token(&TokenHash::of("another")).await.unwrap().is_none());
    let kept: Vec<u8> =
        sqlx::query_scalar("SELECT token_hash FROM invites").fetch_one(&bench.raw().await).await.unwrap();
    assert_eq!(kept.len(), 32);
}

async fn looking_and_starting_are_noted_once_and_use_nothing(bench: Bench) {
    let invite = made(&bench, Some(1)).await;
    for (minute, mark) in [(1, InviteMark::Opened), (2, InviteMark::Opened), (3, InviteMark::Started)] {
        let at = NOON + time::Duration::minutes(minute);
        bench.storage.mark_invite(invite.id, mark, at).await.unwrap();
    }
    let read = bench.storage.invite(invite.id).await.unwrap().unwrap();
    let minute = |minute| Some(NOON + time::Duration::minutes(minute));
    assert_eq!((read.opened_at, read.started_at, read.used), (minute(1), minute(3), 0));
}

async fn claim(bench: &Bench, invite: &Invite) -> Claim {
    let new = NewInstanceRow { invite: Some(invite.id), ..bench.new_row() };
    let request = ClaimedRequest {
        id: bench.id(),
        browser: new.instance.browser.clone(),
        trip: Trip::Granted(new.instance.id),
        reference: new.instance.reference,
        claimed_at: NOON,
        started_at: None,
    };
    let lease = Lease { holder: bench.id(), until: NOON };
    let step = (bench.step("granted"), lease);
    let code = crate::oauth::GrantCode::new("c");
    bench.storage.claim_grant(bench.state(), &request, &code, &new, step).await.unwrap()
}

async fn a_single_use_is_made_once_by_claims_at_once(bench: Bench) {
    let invite = made(&bench, Some(1)).await;
    let claims = futures_util::future::join_all((0..8).map(|_| claim(&bench, &invite))).await;
    let won = claims.iter().filter(|claim| matches!(claim, Claim::Won)).count();
    let closed = claims.iter().filter(|claim| matches!(claim, Claim::InviteClosed)).count();
    assert_eq!((won, closed), (1, 7));
    assert_eq!(bench.count("SELECT count(*) FROM instances").await, 1);
    assert_eq!(
        bench.count("SELECT count(*) FROM authorization_requests").await,
        1,
        "the others are not spent"
    );
    let read = bench.storage.invite(invite.id).await.unwrap().unwrap();
    assert!(read.is_used_up() && read.connected_at.is_some());
    let [(instance, _)] = bench.storage.instances_of_invite(invite.id).await.unwrap().try_into().unwrap();
    let browser = bench.storage.instance(instance).await.unwrap().unwrap().browser;
    assert_eq!(bench.storage.instance_of_invite_in(invite.id, &browser).await.unwrap(), Some(instance));
    let many = made(&bench, None).await;
    for _ in 0..3 {
        assert!(matches!(claim(&bench, &many).await, Claim::Won));
    }
}

async fn one_that_was_taken_back_claims_nothing(bench: Bench) {
    let invite = made(&bench, None).await;
    assert!(bench.storage.revoke_invite(invite.id, NOON).await.unwrap());
    assert!(!bench.storage.revoke_invite(invite.id, NOON).await.unwrap(), "once");
    assert!(matches!(claim(&bench, &invite).await, Claim::InviteClosed));
    assert_eq!(bench.count("SELECT count(*) FROM instances").await, 0);
}
