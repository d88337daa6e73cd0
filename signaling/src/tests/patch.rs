//! PATCH of a session: trickled candidates, ICE restarts and their entity tags (RFC 9725 §4.3), and answers to counter-offers.

use super::{Desk, detail, location};
use crate::http::Response;
use oneport_engine::control::{Refusal, SessionId};

const PUBLISH: &str = include_str!("../../../sdp/tests/corpus/chromium-publish.offer.sdp");
const PLAY: &str = include_str!("../../../sdp/tests/corpus/chromium-play.offer.sdp");
const OTHER: &str = "a=ice-ufrag:anew\r\na=ice-pwd:anotherpasswordanotherpass\r\n";

fn attribute<'a>(sdp: &'a str, name: &str) -> &'a str {
    let line = sdp.lines().find_map(|line| line.strip_prefix(&format!("a={name}:")));
    line.expect("the attribute")
}

/// A fragment with the credentials of the offer.
fn trickle(offer: &str) -> String {
    let (ufrag, pwd) = (attribute(offer, "ice-ufrag"), attribute(offer, "ice-pwd"));
    format!(
        "a=ice-ufrag:{ufrag}\r\na=ice-pwd:{pwd}\r\nm=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\n\
         a=candidate:1 1 udp 2122260223 192.168.1.5 50000 typ host\r\n\
         a=candidate:2 1 udp 2122260222 9b36eaac-bb2e-49bb-bb78-21c41c499900.local 50001 typ host\r\n"
    )
}

fn tag(response: &Response) -> String {
    response.header("ETag").expect("an ETag").to_owned()
}

#[test]
fn every_session_has_a_strong_entity_tag_of_its_own() {
    let desk = Desk::new();
    let tags = [desk.offer("/whip/cam", PUBLISH), desk.offer("/whep/cam", PLAY)].map(|response| tag(&response));
    assert_ne!(tags[0], tags[1]);
    assert!(tags.iter().all(|tag| tag.starts_with('"') && tag.ends_with('"') && tag.len() > 2), "{tags:?}");
}

#[test]
fn candidates_are_trickled_under_the_present_tag() {
    for (path, offer) in [("/whip/cam", PUBLISH), ("/whep/cam", PLAY)] {
        let desk = Desk::new();
        let created = desk.offer(path, offer);
        let answer = desk.patch(&location(&created), &[("If-Match", &tag(&created))], &trickle(offer));
        assert_eq!((answer.status, answer.body.len(), answer.header("ETag")), (204, 0, None));
        assert!(desk.engine.restarted.borrow().is_empty());
    }
}

#[test]
fn a_patch_without_or_with_another_tag_is_refused() {
    let desk = Desk::new();
    let url = location(&desk.offer("/whip/cam", PUBLISH));
    assert_eq!(desk.patch(&url, &[], &trickle(PUBLISH)).status, 428);
    assert_eq!(desk.patch(&url, &[("If-Match", "\"other\"")], &trickle(PUBLISH)).status, 412);
    assert_eq!(desk.patch(&url, &[("If-Match", "\"other\"")], OTHER).status, 412);
    assert!(desk.engine.restarted.borrow().is_empty());
}

#[test]
fn other_credentials_restart_ice_and_change_the_tag() {
    for wildcard in ["*", "\"*\""] {
        let desk = Desk::new();
        let created = desk.offer("/whip/cam", PUBLISH);
        let url = location(&created);
        let answer = desk.patch(&url, &[("If-Match", wildcard)], OTHER);
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("Content-Type"), Some("application/trickle-ice-sdpfrag"));
        assert_ne!(tag(&answer), tag(&created));
        let body = String::from_utf8(answer.body.to_vec()).unwrap();
        let before = String::from_utf8(created.body.to_vec()).unwrap();
        for name in ["ice-ufrag", "ice-pwd"] {
            assert_ne!(attribute(&body, name), attribute(&before, name));
        }
        assert!(body.contains("a=candidate:") && body.contains("a=end-of-candidates"), "{body}");
        assert!(body.contains("a=ice-lite") && body.ends_with("\r\n"));
        assert_eq!(*desk.engine.restarted.borrow(), [SessionId(1)]);
        // What is trickled next belongs to the new ICE session.
        assert_eq!(desk.patch(&url, &[("If-Match", &tag(&answer))], OTHER).status, 204);
        assert_eq!(desk.patch(&url, &[("If-Match", &tag(&created))], OTHER).status, 412);
    }
}

#[test]
fn a_restart_that_fails_leaves_the_session_as_it_was() {
    let desk = Desk::new();
    let created = desk.offer("/whip/cam", PUBLISH);
    let (url, tag) = (location(&created), tag(&created));
    assert_eq!(desk.patch(&url, &[("If-Match", "*")], "a=ice-ufrag:anew\r\n").status, 400, "no password");
    desk.engine.refusal.set(Some(Refusal::Stopping));
    assert_eq!(desk.patch(&url, &[("If-Match", "*")], OTHER).status, 503);
    desk.engine.refusal.set(None);
    assert_eq!(desk.patch(&url, &[("If-Match", &tag)], &trickle(PUBLISH)).status, 204);
    assert_eq!(desk.ask("GET", &url).status, 204);
}

#[test]
fn what_is_no_fragment_is_refused_with_what_would_be_one() {
    let desk = Desk::new();
    let created = desk.offer("/whip/cam", PUBLISH);
    let url = location(&created);
    for media_type in ["application/sdp", "text/plain"] {
        let answer = desk.send("PATCH", &url, &[("Content-Type", media_type)], &trickle(PUBLISH));
        assert_eq!((answer.status, answer.header("Accept-Patch")), (415, Some("application/trickle-ice-sdpfrag")));
    }
    for body in ["", "rubbish", "a=candidate:rubbish\r\n"] {
        let answer = desk.patch(&url, &[("If-Match", &tag(&created))], body);
        assert_eq!(answer.status, 400, "{body:?}");
        assert!(detail(&answer).starts_with("The body is not a valid SDP fragment:"));
    }
}

#[test]
fn a_session_that_has_ended_takes_no_patch() {
    let desk = Desk::new();
    let url = location(&desk.offer("/whip/cam", PUBLISH));
    assert_eq!(desk.send("DELETE", &url, &[("If-Match", "\"stale\"")], "").status, 200, "a tag is no matter here");
    assert_eq!(desk.patch(&url, &[("If-Match", "*")], OTHER).status, 404);
    let url = location(&desk.offer("/whip/cam", PUBLISH));
    desk.engine.refusal.set(Some(Refusal::UnknownSession));
    assert_eq!(desk.patch(&url, &[("If-Match", "*")], OTHER).status, 404, "its end is on its way");
}

/// What a client answers to `offer`: every section received, with the first of its formats.
fn answer_to(offer: &str) -> String {
    let mut answer = String::new();
    let mut kept = String::new();
    for line in offer.lines() {
        let own = match line.split_once('=') {
            Some(("m", _)) => {
                let mut words = line.split(' ');
                let head: Vec<&str> = words.by_ref().take(3).collect();
                kept = words.next().unwrap_or_default().to_owned();
                format!("{} {kept}", head.join(" "))
            }
            Some(("a", "sendonly")) => "a=recvonly".to_owned(),
            Some(("a", "ice-lite")) => continue,
            Some(("a", value)) if value.starts_with("ice-ufrag") => "a=ice-ufrag:mine".to_owned(),
            Some(("a", value)) if value.starts_with("ice-pwd") => "a=ice-pwd:myownpasswordmyownpassword".to_owned(),
            Some(("a", value)) if value.starts_with("setup") => "a=setup:active".to_owned(),
            Some(("a", value)) if ["ssrc", "msid", "candidate"].iter().any(|name| value.starts_with(name)) => continue,
            Some(("a", value)) if ["rtpmap", "fmtp", "rtcp-fb"].iter().any(|name| value.starts_with(name)) => {
                let number = value.split([':', ' ']).nth(1).unwrap_or_default();
                if number != kept {
                    continue;
                }
                line.to_owned()
            }
            _ => line.to_owned(),
        };
        answer.push_str(&own);
        answer.push_str("\r\n");
    }
    answer
}

#[test]
fn a_client_that_makes_no_offer_gets_one_and_answers_it() {
    for (path, media_type) in
        [("/whep/cam", &[][..]), ("/whep/cam?counter-offer=1", &[("Content-Type", "application/sdp")])]
    {
        let desk = Desk::new();
        desk.offer("/whip/cam", PUBLISH);
        let countered = desk.send("POST", path, media_type, "");
        assert_eq!(countered.status, 406);
        let media_type = countered.header("Content-Type").unwrap();
        assert!(
            media_type.starts_with("application/sdp; valid-until=\"") && media_type.ends_with("GMT\""),
            "{media_type}"
        );
        let offer = String::from_utf8(countered.body.to_vec()).unwrap();
        assert!(offer.contains("a=sendonly") && offer.contains("a=setup:actpass"), "{offer}");
        let url = location(&countered);
        let answered = desk.send("PATCH", &url, &[("Content-Type", "application/sdp")], &answer_to(&offer));
        assert_eq!(answered.status, 204, "{:?}", String::from_utf8_lossy(&answered.body));
        let completed = desk.engine.completed.borrow();
        assert_eq!(completed[0].0, SessionId(2));
        assert_eq!(completed[0].1.tracks.len(), 2);
        assert!(completed[0].1.tracks.iter().all(|track| track.formats.len() == 1));
        let again = desk.send("PATCH", &url, &[("Content-Type", "application/sdp")], &answer_to(&offer));
        assert_eq!(again.status, 422, "it is answered");
    }
}

#[test]
fn an_answer_that_cannot_be_taken_leaves_the_counter_offer_open() {
    let desk = Desk::new();
    let countered = desk.send("POST", "/whep/cam", &[], "");
    let offer = String::from_utf8(countered.body.to_vec()).unwrap();
    let url = location(&countered);
    let put = |body: &str| desk.send("PATCH", &url, &[("Content-Type", "application/sdp")], body).status;
    assert_eq!(put("rubbish"), 400);
    assert_eq!(put(&answer_to(&offer).replace("a=recvonly", "a=sendonly")), 422);
    assert_eq!(put(&answer_to(&offer)), 204);
}

#[test]
fn a_counter_offer_ends_with_its_session() {
    let desk = Desk::new();
    let countered = desk.send("POST", "/whep/cam", &[], "");
    let answer = answer_to(core::str::from_utf8(&countered.body).unwrap());
    desk.end(1);
    let late = desk.send("PATCH", &location(&countered), &[("Content-Type", "application/sdp")], &answer);
    assert_eq!(late.status, 404);
    assert!(desk.signaling.registry.borrow().is_empty());
    let offered = desk.offer("/whep/cam", PLAY);
    let unasked = desk.send("PATCH", &location(&offered), &[("Content-Type", "application/sdp")], &answer);
    assert_eq!(unasked.status, 422, "no counter-offer was made");
}
