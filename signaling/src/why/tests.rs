//! A verdict for every way in which a session fares, and the bounds.

use super::*;
use crate::name::StreamName;
use oneport_engine::control::{CheckRefusal, EndReason, Role, Step, Totals};
use oneport_rtp::ids::{PayloadType, Ssrc};
use oneport_rtp::payload::MediaKind;
use serde_json::Value;
use std::net::SocketAddr;

const SESSION: SessionId = SessionId(1);

fn start() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000)
}

fn id(number: u128) -> PublicId {
    PublicId::from_bytes(number.to_be_bytes())
}

fn client() -> SocketAddr {
    "198.51.100.9:50000".parse().unwrap()
}

fn opening(role: Role) -> Opening {
    Opening {
        role,
        stream: StreamName::new("live", "cam").unwrap(),
        peer: Some("198.51.100.9:40000".parse().unwrap()),
        user_agent: Some("OBS/31".to_owned()),
        client_ufrag: "abcd".to_owned(),
        offered_codecs: vec!["H264".to_owned(), "opus".to_owned()],
        offered_candidates: vec!["host udp 10.0.0.7:5000".to_owned()],
        agreed_codecs: vec!["H264".to_owned(), "opus".to_owned()],
        announced: vec!["203.0.113.7:8000".parse().unwrap()],
        tracks: vec![MediaKind::Video, MediaKind::Audio],
    }
}

/// A session and its story so far, a second between any two events.
struct Story {
    traces: Traces,
    now: SystemTime,
}

impl Story {
    fn new(role: Role) -> Story {
        Story::of(opening(role))
    }

    fn of(opening: Opening) -> Story {
        let mut traces = Traces::default();
        traces.begin(start(), SESSION, id(1), opening);
        Story { traces, now: start() }
    }

    fn event(mut self, event: Event) -> Story {
        self.now += Duration::from_secs(1);
        self.traces.handle_event(self.now, &event);
        self
    }

    fn step(self, step: Step) -> Story {
        self.event(Event::Trace { session: SESSION, step })
    }

    fn check(self, refused: Option<CheckRefusal>) -> Story {
        self.step(Step::Check { remote: client(), refused })
    }

    fn nominated(self) -> Story {
        self.check(None).event(Event::Nominated { session: SESSION, shard: 0, remote: client() })
    }

    fn connected(self) -> Story {
        let connected = Event::Connected { session: SESSION, profile: "SRTP_AEAD_AES_128_GCM" };
        self.nominated().step(Step::DtlsStarted).event(connected)
    }

    fn packet(self, track: usize) -> Story {
        self.step(Step::FirstPacket { track, ssrc: Ssrc(7), payload_type: PayloadType(96) })
    }

    fn flows(self, flows: bool) -> Story {
        self.event(Event::Flow { session: SESSION, flows })
    }

    fn ended(self, reason: EndReason) -> Story {
        self.event(Event::Ended { session: SESSION, reason, totals: Totals::default() })
    }

    fn later(mut self, seconds: u64) -> Story {
        self.now += Duration::from_secs(seconds);
        self
    }

    fn account(&self) -> Value {
        serde_json::to_value(self.traces.account(self.now, &id(1)).expect("an account")).expect("JSON")
    }

    #[track_caller]
    fn says(&self, code: &str, words: &str) {
        let account = self.account();
        let text = account["verdict"]["text"].as_str().unwrap().to_owned();
        assert_eq!(account["verdict"]["code"], code, "{text}");
        assert!(text.contains(words), "{text}");
    }
}

#[test]
fn nothing_came() {
    let story = Story::new(Role::Publish).later(1);
    story.says("connecting", "waiting");
    let story = story.later(9).ended(EndReason::SetupTimeout);
    story.says("no-udp", "No UDP packet from you arrived at 203.0.113.7:8000: the port is closed by a firewall, or the announced address is wrong.");
}

#[test]
fn nothing_could_come_at_private_addresses() {
    let announced = vec!["192.168.1.2:8000".parse().unwrap(), "[fd00::1]:8000".parse().unwrap()];
    let story = Story::of(Opening { announced, ..opening(Role::Play) }).later(10);
    story.says("no-udp-private-address", "media.public_addresses");
    let story = Story::of(Opening { announced: vec![], ..opening(Role::Play) }).later(10);
    story.says("no-candidates", "media.public_addresses");
}

#[test]
fn checks_were_refused() {
    for (refusal, code, words) in [
        (CheckRefusal::BadIntegrity, "wrong-password", "198.51.100.9:50000 with a wrong password"),
        (CheckRefusal::Incomplete, "bad-checks", "without USERNAME"),
        (CheckRefusal::RoleConflict, "role-conflict", "controlled"),
        (CheckRefusal::Stale, "stale-credentials", "before its ICE restart"),
        (CheckRefusal::UnknownAttribute, "bad-checks", "attribute"),
    ] {
        let story = Story::new(Role::Publish).check(Some(refusal)).later(10);
        story.says(code, words);
        story.ended(EndReason::SetupTimeout).says(code, words);
    }
}

#[test]
fn checks_came_for_an_unknown_ufrag() {
    let stray = |ufrag: &str| Event::StrayCheck { remote: client(), remote_ufrag: ufrag.to_owned() };
    let story = Story::new(Role::Play).event(stray("other")).event(stray("abcd")).event(stray("abcd")).later(10);
    story.says("unknown-ufrag", "198.51.100.9:50000, but for a ufrag that this server never gave");
    assert_eq!(story.account()["steps"].as_array().unwrap().len(), 3, "once, and not the other's");
}

#[test]
fn answers_do_not_reach_the_client() {
    Story::new(Role::Play).check(None).later(10).says("no-nomination", "one direction only");
}

#[test]
fn the_handshake_failed() {
    Story::new(Role::Play).nominated().later(10).says("no-dtls", "no DTLS came");
    let begun = || Story::new(Role::Play).nominated().step(Step::DtlsStarted);
    begun().ended(EndReason::DtlsTimeout).says("dtls-timeout", "did not come to its end");
    begun().ended(EndReason::DtlsFailed("no shared cipher".to_owned())).says("dtls-failed", "no shared cipher");
    begun().ended(EndReason::FingerprintMismatch).says("fingerprint-mismatch", "certificate that came is not the one");
}

#[test]
fn connected_and_no_media() {
    Story::new(Role::Publish).connected().later(5).says("no-media", "no media has come");
    Story::new(Role::Play).connected().later(5).says("waiting-for-publisher", "nobody publishes");
    let unknown = Step::UnknownSource { ssrc: Ssrc(1), payload_type: PayloadType(77) };
    Story::new(Role::Publish).connected().step(unknown).later(5).says("unknown-media", "77");
    Story::new(Role::Publish).connected().packet(0).flows(true).later(5).says("no-keyframe", "keyframe");
}

#[test]
fn all_is_well() {
    let story =
        Story::new(Role::Publish).connected().packet(0).step(Step::FirstKeyframe { track: 0 }).packet(1).flows(true);
    story.says("ok", "Connected: sends (H264, opus).");
    story.flows(false).says("silent", "two seconds");
    let audio_less = Story::new(Role::Play).connected().packet(0).step(Step::FirstKeyframe { track: 0 }).later(9);
    audio_less.says("ok", "Nothing has come of audio yet.");
}

#[test]
fn ends_that_are_no_failures_and_one_that_is() {
    for (reason, code) in [
        (EndReason::Deleted, "deleted"),
        (EndReason::ClosedByPeer, "closed-by-peer"),
        (EndReason::Replaced, "replaced"),
        (EndReason::Shutdown, "shutdown"),
        (EndReason::ConsentExpired, "consent-lost"),
    ] {
        let mut story = Story::new(Role::Publish).connected().packet(0);
        let event = Event::Ended { session: SESSION, reason, totals: Totals::default() };
        let told = story.traces.handle_event(story.now, &event);
        story.says(code, "");
        assert_eq!(told.is_some(), code == "consent-lost", "{code}");
    }
}

#[test]
fn whoever_gives_up_is_told_why_it_was_not_connected() {
    let story = Story::new(Role::Play).later(8).ended(EndReason::Deleted);
    story.says("no-udp", "203.0.113.7:8000");
    Story::new(Role::Play).ended(EndReason::Deleted).says("deleted", "");
}

#[test]
fn a_refused_offer_has_an_account_too() {
    let mut story = Story::new(Role::Play);
    story.traces.refuse(start(), id(2), opening(Role::Play), "no common codec: offered VP9\u{1b}[31m, published VP8");
    let account = serde_json::to_value(story.traces.account(start(), &id(2)).unwrap()).unwrap();
    assert_eq!((&account["state"], &account["verdict"]["code"]), (&"refused".into(), &"refused".into()));
    assert_eq!(account["verdict"]["text"], "no common codec: offered VP9 [31m, published VP8");
}

#[test]
fn the_account_is_documented_json_without_the_sessions_secret() {
    let mut story = Story::new(Role::Publish);
    story.traces.note(start(), SESSION, &Note::Trickled { usable: 2, discarded: 1 });
    story.traces.note(start(), SESSION, &Note::Restarted);
    story.traces.note(start(), SESSION, &Note::Deleted { by: Some(client()) });
    let story = story.ended(EndReason::Deleted);
    let account = story.account();
    let events: Vec<&str> =
        account["steps"].as_array().unwrap().iter().map(|step| step["event"].as_str().unwrap()).collect();
    assert_eq!(events, ["offer", "answer", "trickle", "restart", "delete", "ended"]);
    assert_eq!(account["steps"][0]["user_agent"], "OBS/31");
    assert_eq!(account["steps"][1]["candidates"][0], "203.0.113.7:8000");
    assert_eq!(account["steps"][5]["at_ms"], 1000);
    assert_eq!(account["began_at"], "2027-01-15T08:00:00.000Z");
    assert_eq!((&account["role"], &account["stream"]), (&"publish".into(), &"live/cam".into()));
    assert!(account["totals"]["duration_ms"].is_u64());
    story.says("deleted", "from 198.51.100.9");
    assert!(!account.to_string().contains(&id(1).to_string()));
}

#[test]
fn a_restart_changes_the_ufrag_by_which_strays_are_known() {
    let mut story = Story::new(Role::Play);
    story.traces.renamed(SESSION, "wxyz");
    let stray = |ufrag: &str| Event::StrayCheck { remote: client(), remote_ufrag: ufrag.to_owned() };
    let story = story.event(stray("abcd"));
    assert_eq!(story.account()["steps"].as_array().unwrap().len(), 2);
    let story = story.event(stray("wxyz"));
    assert_eq!(story.account()["steps"].as_array().unwrap().len(), 3);
}

#[test]
fn steps_are_bounded_and_counted() {
    let mut story = Story::new(Role::Publish);
    for _ in 0..500 {
        story.traces.note(start(), SESSION, &Note::Restarted);
    }
    let account = story.account();
    assert_eq!(account["steps"].as_array().unwrap().len(), 64);
    assert_eq!(account["dropped_steps"], 500 + 2 - 64);
}

#[test]
fn ended_sessions_are_kept_for_ten_minutes_and_within_bounds() {
    let mut traces = Traces::default();
    for number in 0..6_000u64 {
        let long = vec!["x".repeat(400); 20];
        let opening = Opening { offered_codecs: long.clone(), offered_candidates: long, ..opening(Role::Play) };
        traces.begin(start(), SessionId(number), id(u128::from(number)), opening);
        let event =
            Event::Ended { session: SessionId(number), reason: EndReason::SetupTimeout, totals: Totals::default() };
        traces.handle_event(start(), &event);
    }
    assert!(traces.live.is_empty() && traces.by_ufrag.is_empty() && traces.by_public_id.is_empty());
    assert!(traces.ended.len() <= MAX_ENDED && traces.bytes <= MAX_BYTES);
    assert_eq!(traces.ended.len(), traces.order.len());
    assert!(traces.account(start(), &id(5_999)).is_some() && traces.account(start(), &id(0)).is_none());
    let later = start() + KEPT;
    traces.refuse(later, id(20_000), opening(Role::Play), "");
    assert_eq!(traces.ended.len(), 1);
}
