//! Tokens: a refused one is renewed before anything else leaves, and an earlier one's responses say nothing.

use super::*;
use crate::amocrm::oauth::{Integration, Pair, Renewal, Saved, TokenStore};
use crate::gate::Reason;
use std::sync::Arc;
use tempfile::TempDir;

fn pair(name: &str) -> Pair {
    Pair {
        access_token: SecretString::from(format!("access-{name}")),
        refresh_token: SecretString::from(format!("refresh-{name}")),
        expires_at: START + 86_400,
        obtained_at: START,
    }
}

/// A world whose token is of a pair.
fn oauth() -> (TempDir, World) {
    let folder = tempfile::tempdir().unwrap();
    let store = TokenStore::new(folder.path().join("secrets/oauth.json"), folder.path().to_owned());
    store.hold().unwrap().unwrap().save(pair("1")).unwrap();
    let integration = Integration {
        client_id: "id".into(),
        client_secret: SecretString::from("secret"),
        redirect_uri: "https://i.example".into(),
        store,
    };
    let world = confirm(world_with(TokenSource::OAuth(Arc::new(integration)), &[]));
    (folder, world)
}

/// Two fetches leave, and the first is answered with 401. Returns the other.
fn refused(world: &mut World) -> (DueRow, Permit) {
    world.due(&[row(1), row(2), row(3)]);
    let (first, permit) = world.fetches();
    let second = world.fetches();
    world.fails(first, permit, failure(Kind::Unauthorized));
    second
}

#[test]
fn after_a_401_the_token_is_renewed_before_anything_else_leaves() {
    let (_folder, mut world) = oauth();
    let (second, permit) = refused(&mut world);
    assert!(world.worker.pause().is_none() && world.records().is_empty(), "the row stays as it was");
    let (request, renewal) = world.leaves();
    assert!(matches!(request, Request::Renew { .. }), "{request:?}");
    assert!(world.try_leaves().is_err(), "nothing leaves with a refused token");

    // The other one was sent with the old token.
    let old = world.worker.tokens.epoch();
    world
        .answer(renewal, Response::Renewed(Renewal::Renewed(Saved { pair: pair("2"), stamp: None })))
        .unwrap();
    assert_eq!(world.worker.tokens.epoch(), old + 1);
    let result = Err(FetchError { failure: failure(Kind::Unauthorized), other_account: None });
    let response = Response::Fetched { row: second, result };
    let completed = Completed { response, permit, sent: world.now, token_epoch: old };
    world.worker.handle_response(completed, world.now).unwrap();
    assert!(world.worker.pause().is_none(), "it says nothing of the new one");
    assert!(matches!(world.leaves().0, Request::Account), "the account is confirmed anew");
}

#[test]
fn a_revoked_access_pauses_everything_and_names_the_remedy() {
    let (_folder, mut world) = oauth();
    let _other = refused(&mut world);
    let (_, renewal) = world.leaves();
    world.answer(renewal, Response::Renewed(Renewal::Failed(failure(Kind::Unauthorized)))).unwrap();
    let (pause, detail) = world.worker.pause().expect("a pause");
    assert_eq!(pause.reason, Reason::Unauthorized);
    assert!(detail.contains("`talkmirror login`"), "{detail}");
    assert!(world.try_leaves().is_err());
}

#[test]
fn a_renewal_that_fails_in_passing_is_retried_while_the_token_still_works() {
    let (_folder, mut world) = oauth();
    // Its life is nearly over.
    world.pass(86_000.0);
    let (request, renewal) = world.leaves();
    assert!(matches!(request, Request::Renew { .. }), "{request:?}");
    world.answer(renewal, Response::Renewed(Renewal::Failed(failure(Kind::Transient)))).unwrap();
    world.due(&[row(1)]);
    assert_eq!(world.fetches().0.talk_id.get(), 1, "the token is not refused");
    let wait = world.try_leaves().map(drop).unwrap_err();
    world.pass(wait.max(60.0));
    assert!(matches!(world.leaves().0, Request::Renew { .. }));
}

#[test]
fn while_another_process_renews_the_token_it_is_asked_again_each_second_and_not_for_ever() {
    let (_folder, mut world) = oauth();
    let _other = refused(&mut world);
    let since = world.now.unix;
    while world.worker.pause().is_none() {
        let (request, renewal) = world.leaves();
        assert!(matches!(request, Request::Renew { .. }), "{request:?}");
        world.answer(renewal, Response::Renewed(Renewal::Busy)).unwrap();
        world.pass(1.0);
    }
    let lasted = world.now.unix - since;
    assert!((89.0..95.0).contains(&lasted), "it hangs, after {lasted} s");
}
