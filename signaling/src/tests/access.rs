//! Tokens in every place and form in which clients and their enemies write them.

use super::*;
use crate::http::{Headers, Method};

const UNKNOWN: Result<Option<Caller>, Problem> = Err(Problem::Unauthorized { presented: true });
const MISSING: Result<Option<Caller>, Problem> = Err(Problem::Unauthorized { presented: false });

fn request(query: Option<&str>, fields: &[&str]) -> Request {
    let mut headers = Headers::default();
    fields.iter().for_each(|value| headers.push("Authorization", value.as_bytes()));
    let (method, path, query) = (Method::Post, "/whip/cam".to_owned(), query.map(str::to_owned));
    Request { method, path, query, headers, body: Vec::new(), keep_alive: true, peer: None }
}

fn access() -> Access {
    let tokens = |tokens: &[&str]| tokens.iter().map(|token| token.parse().unwrap()).collect();
    Access::new(AccessConfig { publish_tokens: tokens(&["pub-1", "a+b/c=="]), play_tokens: tokens(&["play-1"]) })
}

#[test]
fn a_role_without_tokens_is_open_to_whatever_is_presented() {
    let open = Access::new(AccessConfig::default());
    for fields in [&[][..], &["Bearer x"], &["Bearer x", "Bearer y"]] {
        assert_eq!(open.check(Role::Publish, &request(Some("token=z"), fields)), Ok(None));
    }
}

#[test]
fn a_token_is_taken_from_the_header_or_the_query() {
    let caller = Some(Caller::of("a+b/c=="));
    for field in ["Bearer a+b/c==", "bearer a+b/c==", "BEARER   a+b/c== "] {
        assert_eq!(access().check(Role::Publish, &request(None, &[field])), Ok(caller.clone()), "{field}");
    }
    for query in ["token=a+b/c==", "token=a%2Bb%2Fc%3D%3D", "x=1&token=a%2bb/c==&y"] {
        assert_eq!(access().check(Role::Publish, &request(Some(query), &[])), Ok(caller.clone()), "{query}");
    }
    let both = request(Some("token=wrong"), &["Bearer pub-1"]);
    assert_eq!(access().check(Role::Publish, &both), Ok(Some(Caller::of("pub-1"))));
    let other_scheme = request(Some("token=pub-1"), &["Basic dTpw"]);
    assert_eq!(access().check(Role::Publish, &other_scheme), Ok(Some(Caller::of("pub-1"))));
}

#[test]
fn what_is_no_token_of_ours_is_refused() {
    let long = format!("Bearer {}", "x".repeat(100_000));
    for field in ["Bearer", "Bearer ", "Bearer pub-", "Bearer pub-12", "Bearer PUB-1", "Bearer pub-1,pub-1", &long] {
        assert_eq!(access().check(Role::Publish, &request(None, &[field])), UNKNOWN, "{field}");
    }
    for query in ["token=", "token=pub-1%00", "token=%ff%fe", "token=pub-1&token=pub-1", "token=a%20b/c=="] {
        assert_eq!(access().check(Role::Publish, &request(Some(query), &[])), UNKNOWN, "{query}");
    }
    let two = request(None, &["Bearer pub-1", "Bearer play-1"]);
    assert_eq!(access().check(Role::Publish, &two), UNKNOWN);
    for (query, fields) in [(None, &[][..]), (Some("Token=pub-1"), &[]), (None, &["Basic pub-1"]), (None, &["pub-1"])] {
        assert_eq!(access().check(Role::Publish, &request(query, fields)), MISSING, "{query:?} {fields:?}");
    }
}

#[test]
fn a_token_of_the_other_role_is_forbidden_and_not_unknown() {
    let viewer = request(None, &["Bearer play-1"]);
    assert_eq!(access().check(Role::Publish, &viewer), Err(Problem::Forbidden));
    assert_eq!(access().check(Role::Play, &viewer), Ok(Some(Caller::of("play-1"))));
}

#[test]
fn a_session_wants_the_token_that_opened_it() {
    let opener = Caller::of("pub-1");
    let check = |fields: &[&str]| access().check_session(Role::Publish, Some(&opener), &request(None, fields));
    assert_eq!(check(&["Bearer pub-1"]), Ok(()));
    assert_eq!(check(&["Bearer a+b/c=="]), Err(Problem::Forbidden));
    assert_eq!(check(&[]), Err(Problem::Unauthorized { presented: false }));
    assert_eq!(check(&["Bearer x"]), Err(Problem::Unauthorized { presented: true }));
    let open = Access::new(AccessConfig::default());
    assert_eq!(open.check_session(Role::Publish, None, &request(None, &[])), Ok(()));
}

#[test]
fn tokens_are_never_shown() {
    let shown = format!("{:?} {:?} {}", access(), Caller::of("pub-1"), "pub-1".parse::<Token>().unwrap());
    assert!(!shown.contains("pub-1") && shown.contains("Token(..)"), "{shown}");
    for wrong in ["", "=", "my secret", "my=secret", "geheim\u{fc}", "secret\r\n", &"secret".repeat(100)] {
        assert!(!wrong.parse::<Token>().unwrap_err().contains("secret"), "{wrong}");
    }
}

#[test]
fn a_refusal_says_how_to_ask_as_rfc_6750_wants() {
    let challenge = |problem: Problem| {
        let response = problem.into_response();
        (response.status, response.header("WWW-Authenticate").map(str::to_owned))
    };
    let bare = "Bearer realm=\"oneport\"";
    assert_eq!(challenge(Problem::Unauthorized { presented: false }), (401, Some(bare.to_owned())));
    let invalid = format!("{bare}, error=\"invalid_token\"");
    assert_eq!(challenge(Problem::Unauthorized { presented: true }), (401, Some(invalid)));
    let insufficient = format!("{bare}, error=\"insufficient_scope\"");
    assert_eq!(challenge(Problem::Forbidden), (403, Some(insufficient)));
}
