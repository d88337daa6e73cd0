//! From offer to DELETE: who may publish, who may play, and what becomes of their places.

use super::{Desk, detail, location};
use crate::SignalingConfig;
use crate::policy::{NoPublisher, WhepConfig};
use oneport_engine::control::{DtlsRole, EndReason, Event, Refusal, Role, SessionId, Totals};
use oneport_rtp::payload::Codec;

const PUBLISH: &str = include_str!("../../../sdp/tests/corpus/chromium-publish.offer.sdp");
const PLAY: &str = include_str!("../../../sdp/tests/corpus/chromium-play.offer.sdp");
const FFMPEG: &str = include_str!("../../../sdp/tests/corpus/ffmpeg-publish.offer.sdp");

#[test]
fn a_publisher_and_its_viewer_get_sessions_of_one_stream() {
    let desk = Desk::new();
    let published = desk.offer("/whip/live/cam", PUBLISH);
    let played = desk.offer("/whep/cam", PLAY);
    for response in [&published, &played] {
        assert_eq!(response.status, 201);
        assert_eq!(response.header("Content-Type"), Some("application/sdp"));
        assert_eq!(response.header("Access-Control-Allow-Origin"), Some("*"));
        let id = location(response).strip_prefix("/session/").map(str::len);
        assert_eq!(id, Some(32), "128 bits in hexadecimal digits");
    }
    assert_ne!(location(&published), location(&played));
    let opened = desk.engine.opened.borrow();
    assert_eq!((opened[0].role, opened[1].role), (Role::Publish, Role::Play));
    assert_eq!(opened[0].stream, opened[1].stream);
}

#[test]
fn a_second_publisher_is_refused_until_the_first_has_gone() {
    let desk = Desk::new();
    let first = desk.offer("/whip/cam", PUBLISH);
    let second = desk.offer("/whip/live/cam", PUBLISH);
    assert_eq!(second.status, 409);
    assert!(detail(&second).starts_with("live/cam has a publisher already."));
    assert_eq!(desk.offer("/whip/other", PUBLISH).status, 201);
    assert_eq!(desk.ask("DELETE", &location(&first)).status, 200);
    assert_eq!(desk.offer("/whip/cam", PUBLISH).status, 201, "the place is free at once");
}

#[test]
fn a_viewer_without_publisher_is_told_when_to_come_again_where_that_is_the_policy() {
    let desk = Desk::with(SignalingConfig {
        whep: WhepConfig { no_publisher: NoPublisher::Reject, ..WhepConfig::default() },
        ..SignalingConfig::default()
    });
    let early = desk.offer("/whep/cam", PLAY);
    assert_eq!((early.status, early.header("Retry-After")), (409, Some("2")));
    assert!(desk.engine.opened.borrow().is_empty());
    assert!(desk.signaling.registry.borrow().is_empty(), "asking leaves nothing behind");
}

#[test]
fn a_viewer_stays_when_its_publisher_leaves_and_shares_the_stream_with_the_next() {
    let desk = Desk::new();
    desk.offer("/whip/cam", PUBLISH);
    let viewer = desk.offer("/whep/cam", PLAY);
    desk.end(1);
    assert_eq!(desk.ask("GET", &location(&viewer)).status, 204);
    assert_eq!(desk.offer("/whip/cam", PUBLISH).status, 201);
    let opened = desk.engine.opened.borrow();
    assert_eq!(opened[1].stream, opened[2].stream);
}

#[test]
fn delete_ends_a_session_once() {
    let desk = Desk::new();
    let url = location(&desk.offer("/whip/cam", PUBLISH));
    assert_eq!(desk.ask("GET", &url).status, 204);
    assert_eq!(desk.ask("DELETE", &url).status, 200);
    assert_eq!(*desk.engine.closed.borrow(), [(SessionId(1), EndReason::Deleted)]);
    for method in ["DELETE", "GET"] {
        assert_eq!(desk.ask(method, &url).status, 404);
    }
    desk.end(1);
    assert!(desk.signaling.registry.borrow().is_empty());
}

#[test]
fn a_client_that_says_goodbye_over_dtls_before_its_delete_is_answered_as_if_after() {
    let desk = Desk::new();
    let url = location(&desk.offer("/whip/cam", PUBLISH));
    let (session, reason) = (SessionId(1), EndReason::ClosedByPeer);
    desk.signaling.handle_event(Event::Ended { session, reason, totals: Totals::default() });
    assert_eq!(desk.ask("GET", &url).status, 404);
    assert_eq!(desk.ask("DELETE", &url).status, 200);
    assert_eq!(desk.ask("DELETE", &url).status, 404);
}

#[test]
fn why_a_session_or_an_offer_failed_can_be_asked_for() {
    let desk = Desk::new();
    let url = location(&desk.offer("/whip/cam", PUBLISH));
    let why = |path: &str| -> serde_json::Value {
        let response = desk.ask("GET", path);
        assert_eq!((response.status, response.header("Content-Type")), (200, Some("application/json")));
        serde_json::from_slice(&response.body).unwrap()
    };
    assert_eq!(why(&format!("{url}/why"))["state"], "waiting");
    desk.end(1);
    assert_eq!(why(&format!("{url}/why"))["verdict"]["code"], "consent-lost");
    let refused = desk.offer("/whip/cam", &PUBLISH.replace("a=sendonly", "a=recvonly"));
    assert_eq!(refused.status, 422);
    let problem: serde_json::Value = serde_json::from_slice(&refused.body).unwrap();
    let account = why(problem["instance"].as_str().unwrap());
    assert_eq!(account["state"], "refused");
    assert_eq!(account["verdict"]["text"], problem["detail"]);
}

#[test]
fn a_session_that_ended_by_itself_has_no_url() {
    let desk = Desk::new();
    let url = location(&desk.offer("/whip/cam", PUBLISH));
    desk.end(1);
    assert_eq!(desk.ask("DELETE", &url).status, 404);
    assert!(desk.engine.closed.borrow().is_empty());
    let url = location(&desk.offer("/whip/cam", PUBLISH));
    desk.engine.refusal.set(Some(Refusal::UnknownSession));
    assert_eq!(desk.ask("DELETE", &url).status, 404, "the event is on its way");
}

#[test]
fn refusals_of_the_engine_become_statuses_and_leave_nothing_behind() {
    for (refusal, status, retry_after) in [
        (Refusal::TooManySessions, 503, Some("5")),
        (Refusal::Stopping, 503, Some("5")),
        (Refusal::AlreadyPublished, 409, Some("2")),
    ] {
        let desk = Desk::new();
        desk.engine.refusal.set(Some(refusal));
        let response = desk.offer("/whip/cam", PUBLISH);
        assert_eq!((response.status, response.header("Retry-After")), (status, retry_after), "{refusal:?}");
        assert!(desk.signaling.registry.borrow().is_empty());
    }
    let desk = Desk::new();
    desk.engine.is_confused.set(true);
    assert_eq!(desk.offer("/whip/cam", PUBLISH).status, 500);
    assert!(desk.signaling.registry.borrow().is_empty());
}

#[test]
fn candidates_depend_on_where_the_request_comes_from() {
    let mut desk = Desk::new();
    let far = String::from_utf8(desk.offer("/whip/far", PUBLISH).body.into_owned()).unwrap();
    assert!(far.contains(" 192.168.1.2 8000 typ host") && far.contains(" 2001:db8::2 8000 typ host"), "{far}");
    assert!(!far.contains(" 127.0.0.1 8000 ") && !far.contains(" fe80::1 "));
    desk.peer = "::1".parse().unwrap();
    let near = String::from_utf8(desk.offer("/whip/near", PUBLISH).body.into_owned()).unwrap();
    assert!(near.contains(" 127.0.0.1 8000 typ host") && near.contains(" ::1 8000 typ host"));
    let public_addresses = vec!["203.0.113.9".parse().unwrap()];
    let desk = Desk::with(SignalingConfig { public_addresses, ..SignalingConfig::default() });
    let public = String::from_utf8(desk.offer("/whip/cam", PUBLISH).body.into_owned()).unwrap();
    assert!(public.contains(" 203.0.113.9 8000 typ host") && !public.contains(" 192.168.1.2 8000 "));
}

#[test]
fn what_is_agreed_reaches_the_engine() {
    let desk = Desk::new();
    desk.offer("/whip/cam", FFMPEG);
    desk.offer("/whep/cam", PLAY);
    let opened = desk.engine.opened.borrow();
    let (publisher, viewer) = (&opened[0], &opened[1]);
    assert_eq!(publisher.dtls_role, DtlsRole::Client, "FFmpeg offers setup:passive");
    assert_eq!(viewer.dtls_role, DtlsRole::Server);
    assert_eq!(publisher.fingerprints[0].bytes.len(), 32);
    let codecs: Vec<Codec> = publisher.tracks.iter().map(|track| track.formats[0].format.codec).collect();
    assert_eq!(codecs, [Codec::Opus, Codec::H264]);
    assert_eq!(publisher.tracks[1].ssrcs[0].0, 3_743_474_734);
    for track in &viewer.tracks {
        assert_eq!(track.ssrcs.len(), 1);
        assert!(track.cname.len() >= 16 && track.cname == viewer.tracks[0].cname);
    }
    assert_ne!(viewer.tracks[0].ssrcs, viewer.tracks[1].ssrcs);
}
