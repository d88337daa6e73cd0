//! Tokens, limits, proxies, redirects and ICE servers where requests meet them.

use super::{Desk, detail, location};
use crate::SignalingConfig;
use crate::access::AccessConfig;
use crate::ice_servers::IceServersConfig;
use crate::limits::{LimitsConfig, Rate};
use crate::policy::{Takeover, WhipConfig};
use crate::proxy::TrustedProxies;
use crate::redirect::Redirects;
use crate::stream_rules::StreamRules;
use oneport_engine::control::{Event, SessionId};
use oneport_rtp::payload::{Codec, MediaKind};

const PUBLISH: &str = include_str!("../../../sdp/tests/corpus/chromium-publish.offer.sdp");
const PLAY: &str = include_str!("../../../sdp/tests/corpus/chromium-play.offer.sdp");
const SDP: (&str, &str) = ("Content-Type", "application/sdp");
const FRAGMENT: (&str, &str) = ("Content-Type", "application/trickle-ice-sdpfrag");

fn with_tokens() -> SignalingConfig {
    let token = |text: &str| text.parse().unwrap();
    let access = AccessConfig { publish_tokens: vec![token("p1"), token("p2")], play_tokens: vec![token("v")] };
    SignalingConfig { access, whip: WhipConfig { takeover: Takeover::Replace }, ..SignalingConfig::default() }
}

fn bearer(token: &'static str) -> (&'static str, &'static str) {
    let value = match token {
        "p1" => "Bearer p1",
        "p2" => "bearer p2",
        "v" => "Bearer v",
        _ => "Bearer wrong",
    };
    ("Authorization", value)
}

#[test]
fn endpoints_want_the_token_of_their_role() {
    let desk = Desk::with(with_tokens());
    let post =
        |path: &str, fields: &[(&str, &str)], body: &str| desk.send("POST", path, &[&[SDP], fields].concat(), body);
    let without = post("/whip/cam", &[], PUBLISH);
    assert_eq!((without.status, without.header("WWW-Authenticate")), (401, Some("Bearer realm=\"oneport\"")));
    assert_eq!(post("/whip/cam", &[bearer("wrong")], PUBLISH).status, 401);
    assert_eq!(post("/whip/cam", &[bearer("v")], PUBLISH).status, 403);
    assert_eq!(post("/whep/cam", &[bearer("p1")], PLAY).status, 403);
    assert_eq!(post("/whep/cam", &[], "").status, 401, "a counter-offer is a session, too");
    assert!(desk.engine.opened.borrow().is_empty());
    assert_eq!(post("/whip/cam", &[bearer("p1")], PUBLISH).status, 201);
    assert_eq!(post("/whep/cam?token=v", &[], PLAY).status, 201);
    assert_eq!(desk.ask("OPTIONS", "/whip/cam").status, 200, "never asked for a token (RFC 9725 §4.2)");
}

#[test]
fn a_session_is_changed_with_the_token_that_opened_it() {
    let desk = Desk::with(with_tokens());
    let by_header = desk.send("POST", "/whip/cam", &[SDP, bearer("p1")], PUBLISH);
    let by_query = desk.send("POST", "/whep/cam?token=v", &[SDP], PLAY);
    let (header_url, query_url) = (location(&by_header), location(&by_query));
    let fragment = "a=ice-ufrag:abcd\r\na=ice-pwd:0123456789012345678901\r\n";
    let patch = |url: &str, fields: &[(&str, &str)]| {
        let fields = [&[FRAGMENT, ("If-Match", "*")], fields].concat();
        desk.send("PATCH", url, &fields, fragment).status
    };
    assert_eq!(patch(&header_url, &[]), 401);
    assert_eq!(patch(&header_url, &[bearer("p2")]), 403);
    assert_eq!(patch(&header_url, &[bearer("p1")]), 200);
    assert_eq!(patch(&query_url, &[]), 200, "its URL has no token and is secret by itself");
    assert_eq!(patch(&query_url, &[bearer("p1")]), 403);
    assert_eq!(desk.send("POST", &format!("{header_url}/layer"), &[], "{}").status, 401);
    assert_eq!(desk.ask("DELETE", &header_url).status, 401);
    assert!(desk.engine.closed.borrow().is_empty());
    assert_eq!(desk.send("DELETE", &header_url, &[bearer("p1")], "").status, 200);
    assert_eq!(desk.ask("DELETE", &query_url).status, 200);
}

#[test]
fn a_publisher_makes_room_only_for_its_own_token() {
    let desk = Desk::with(with_tokens());
    let publish = |token| desk.send("POST", "/whip/cam", &[SDP, bearer(token)], PUBLISH).status;
    assert_eq!((publish("p1"), publish("p2"), publish("p1")), (201, 409, 201));
}

#[test]
fn an_address_that_asks_too_often_is_refused_alone() {
    let per_address = Rate { per_second: 1, burst: 2 };
    let limits = LimitsConfig { per_address, ..LimitsConfig::default() };
    let mut desk = Desk::with(SignalingConfig { limits, ..SignalingConfig::default() });
    assert_eq!(desk.offer("/whep/cam", PLAY).status, 201);
    assert_eq!(desk.ask("DELETE", "/session/x").status, 404);
    let refused = desk.offer("/whep/cam", PLAY);
    assert_eq!((refused.status, refused.header("Retry-After")), (429, Some("1")));
    assert_eq!(refused.header("Access-Control-Allow-Origin"), Some("*"), "a page can read why");
    assert_eq!(desk.ask("OPTIONS", "/whep/cam").status, 200);
    assert_eq!(desk.ask("GET", "/healthz").status, 200);
    desk.peer = "198.51.100.8".parse().unwrap();
    assert_eq!(desk.offer("/whep/cam", PLAY).status, 201);
}

#[test]
fn half_open_sessions_count_until_they_are_connected_or_gone() {
    let limits = LimitsConfig { half_open_per_address: 2, ..LimitsConfig::default() };
    let desk = Desk::with(SignalingConfig { limits, ..SignalingConfig::default() });
    let play = || desk.offer("/whep/cam", PLAY);
    assert_eq!((play().status, desk.send("POST", "/whep/cam", &[], "").status), (201, 406));
    assert_eq!(play().status, 429);
    assert_eq!(desk.offer("/whep/cam", "v=0").status, 400, "a refusal counts for nothing");
    let profile = "SRTP_AEAD_AES_128_GCM";
    desk.signaling.handle_event(Event::Connected { session: SessionId(1), profile });
    let third = play();
    assert_eq!((third.status, play().status), (201, 429));
    assert_eq!(desk.ask("DELETE", &location(&third)).status, 200);
    assert_eq!(play().status, 201);
    desk.end(2);
    assert_eq!((play().status, play().status), (201, 429));
}

#[test]
fn a_trusted_proxy_tells_the_client_and_nobody_else_does() {
    let per_address = Rate { per_second: 1, burst: 1 };
    let config = |proxies: &[&str]| SignalingConfig {
        limits: LimitsConfig { per_address, ..LimitsConfig::default() },
        trusted_proxies: TrustedProxies(proxies.iter().map(|proxy| proxy.parse().unwrap()).collect()),
        ..SignalingConfig::default()
    };
    let ask = |desk: &Desk, client: &str| {
        let fields = [SDP, ("X-Forwarded-For", client)];
        desk.send("POST", "/whep/cam", &fields, PLAY).status
    };
    let behind = Desk::with(config(&["198.51.100.0/24"]));
    assert_eq!(
        [ask(&behind, "203.0.113.1"), ask(&behind, "203.0.113.2"), ask(&behind, "203.0.113.1")],
        [201, 201, 429]
    );
    let alone = Desk::with(config(&[]));
    assert_eq!([ask(&alone, "203.0.113.1"), ask(&alone, "203.0.113.2")], [201, 429]);
}

#[test]
fn streams_of_other_nodes_are_sent_there() {
    let redirects = Redirects(vec!["play live/far* https://node2.example".parse().unwrap()]);
    let desk = Desk::with(SignalingConfig { redirects, ..SignalingConfig::default() });
    let moved = desk.offer("/whep/far1?a=b", PLAY);
    assert_eq!((moved.status, moved.header("Location")), (307, Some("https://node2.example/whep/far1?a=b")));
    assert_eq!(moved.header("Access-Control-Allow-Origin"), Some("*"));
    assert_eq!(desk.offer("/whep/near", PLAY).status, 201);
    assert_eq!(desk.offer("/whip/far1", PUBLISH).status, 201);
}

#[test]
fn sessions_are_told_the_ice_servers_and_preflights_are_not() {
    let servers = vec!["stun:stun.example".parse().unwrap(), "turn:turn.example?transport=udp".parse().unwrap()];
    let turn_secret = "s3cret".parse().unwrap();
    let ice_servers = IceServersConfig { servers, turn_secret, ..IceServersConfig::default() };
    let desk = Desk::with(SignalingConfig { ice_servers, ..SignalingConfig::default() });
    let links = |response: &crate::http::Response| {
        let links = response.headers.iter().filter(|(name, _)| *name == "Link").map(|(_, value)| value.to_string());
        links.filter(|link| link.contains("rel=\"ice-server\"")).collect::<Vec<_>>()
    };
    for opened in [desk.offer("/whip/cam", PUBLISH), desk.send("POST", "/whep/cam", &[], "")] {
        let links = links(&opened);
        assert_eq!(links[0], "<stun:stun.example>; rel=\"ice-server\"");
        assert!(links[1].contains(":live_cam\"; credential="), "{links:?}");
        assert!(!links[1].contains("s3cret"));
    }
    assert!(links(&desk.ask("OPTIONS", "/whip/cam")).is_empty());
}

#[test]
fn a_request_and_a_rule_choose_among_the_codecs() {
    let stream_rules = StreamRules(vec!["live/cam vp8,vp9,opus".parse().unwrap()]);
    let desk = Desk::with(SignalingConfig { stream_rules, ..SignalingConfig::default() });
    let agreed = |path: &str| {
        assert_eq!(desk.offer(path, PUBLISH).status, 201, "{path}");
        let opened = desk.engine.opened.borrow();
        let tracks = &opened.last().unwrap().tracks;
        tracks.iter().flat_map(|track| track.formats.iter().map(|format| format.format.codec)).collect::<Vec<_>>()
    };
    let first_video = |codecs: Vec<Codec>| codecs.into_iter().find(|codec| codec.kind() == MediaKind::Video).unwrap();
    assert_eq!(first_video(agreed("/whip/cam")), Codec::Vp8);
    assert_eq!(first_video(agreed("/whip/other?video=AV1,vp8")), Codec::Av1);
    let refused = desk.offer("/whep/cam?video=h264", PLAY);
    assert_eq!(refused.status, 400);
    assert!(detail(&refused).contains("?video="), "{}", detail(&refused));
}

#[test]
fn publishers_are_told_the_bit_rates() {
    let video_bitrate = crate::policy::Bitrates { max_kbps: Some(2500), ..Default::default() };
    let desk = Desk::with(SignalingConfig { video_bitrate, ..SignalingConfig::default() });
    let answer = String::from_utf8(desk.offer("/whip/cam", PUBLISH).body.to_vec()).unwrap();
    assert!(answer.contains("b=AS:2500\r\n") && answer.contains("x-google-max-bitrate=2500"), "{answer}");
}
