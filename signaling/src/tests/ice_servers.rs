//! URIs, links and credentials of ICE servers.

use super::*;

fn config(servers: &[&str], username: &str, credential: &str, secret: &str) -> IceServersConfig {
    IceServersConfig {
        servers: servers.iter().map(|server| server.parse().unwrap()).collect(),
        turn_username: username.parse().unwrap(),
        turn_credential: credential.parse().unwrap(),
        turn_secret: secret.parse().unwrap(),
        ..IceServersConfig::default()
    }
}

#[test]
fn uris_are_those_of_rfc_7064_and_7065() {
    for good in [
        "stun:stun.example.com",
        "stun:stun.example.com:3478",
        "stuns:192.0.2.1:5349",
        "turn:[2001:db8::1]:3478?transport=udp",
        "turns:turn.example.com?transport=tcp",
        "turn:turn_1.example",
    ] {
        assert_eq!(good.parse::<IceServer>().map(|server| server.to_string()), Ok(good.to_owned()));
    }
    for wrong in [
        "",
        "stun.example.com",
        "http://a",
        "stun:",
        "stun:a?transport=udp",
        "turn:a?transport=sctp",
        "turn:a?",
        "stun://a",
        "stun:a:",
        "stun:a:0",
        "stun:a:65536",
        "stun:a/b",
        "turn:user@a",
        "stun:a b",
        "stun:a>; rel=\"x",
        "stun:[::1",
        "stun:[example]",
        "stun:::1",
        "STUN:a",
        "stun:a\r\nb",
    ] {
        assert!(wrong.parse::<IceServer>().is_err(), "{wrong}");
    }
}

#[test]
fn fixed_credentials_are_quoted_and_only_for_turn() {
    let servers = ["stun:stun.example.com:3478", "turn:turn.example.com:3478?transport=udp"];
    let config = config(&servers, "us\"er", "pa\\ss", "");
    assert_eq!(config.fault(), None);
    assert_eq!(
        config.links(UNIX_EPOCH, "x"),
        [
            "<stun:stun.example.com:3478>; rel=\"ice-server\"",
            "<turn:turn.example.com:3478?transport=udp>; rel=\"ice-server\"; username=\"us\\\"er\"; \
             credential=\"pa\\\\ss\"; credential-type=\"password\"",
        ]
    );
}

#[test]
fn time_limited_credentials_are_what_coturn_computes() {
    let config = config(&["turn:t"], "", "", "north");
    let now = UNIX_EPOCH + Duration::from_secs(1_600_000_000);
    // echo -n 1600086400:cam-1 | openssl dgst -sha1 -hmac north -binary | base64
    assert_eq!(
        config.links(now, "cam-1"),
        ["<turn:t>; rel=\"ice-server\"; username=\"1600086400:cam-1\"; credential=\"jPUlo1HFnw3scs2eQ/KKvg49mPM=\"; \
          credential-type=\"password\""]
    );
    let hostile = config.links(now, &format!("a\"; x:\r\n{}", "ü".repeat(1000)));
    assert!(hostile[0].contains("username=\"1600086400:a___x___") && hostile[0].len() < 250, "{hostile:?}");
}

#[test]
fn credentials_that_do_not_fit_together_are_faults_of_a_key() {
    let key = |config: IceServersConfig| config.fault().map(|(key, _)| key);
    assert_eq!(key(config(&[], "", "", "")), None);
    assert_eq!(key(config(&["stun:s"], "", "", "")), None);
    assert_eq!(key(config(&["turn:t"], "", "", "s")), None);
    assert_eq!(key(config(&["turn:t"], "", "", "")), Some("servers"));
    assert_eq!(key(config(&["turn:t"], "u", "", "")), Some("turn_username"));
    assert_eq!(key(config(&["turn:t"], "", "p", "")), Some("turn_credential"));
    assert_eq!(key(config(&["turn:t"], "u", "p", "s")), Some("turn_username"));
    assert_eq!(key(config(&["turn:t"], "", "p", "s")), Some("turn_credential"));
}

#[test]
fn secrets_are_never_shown() {
    let shown = format!("{:?}", config(&["turn:t"], "user1", "pass1", "north"));
    assert!(["user1", "pass1", "north"].iter().all(|secret| !shown.contains(secret)), "{shown}");
}
