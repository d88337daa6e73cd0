//! What the configuration decides: viewers before their publisher, publishers of a name that is taken.

use super::{Desk, location};
use crate::SignalingConfig;
use crate::policy::{NoPublisher, Takeover, WhepConfig, WhipConfig};
use futures_lite::future::{block_on, poll_once};
use oneport_engine::control::{EndReason, Event, SessionId};

const PUBLISH: &str = include_str!("../../../sdp/tests/corpus/chromium-publish.offer.sdp");
const PLAY: &str = include_str!("../../../sdp/tests/corpus/chromium-play.offer.sdp");

fn desk(takeover: Takeover) -> Desk {
    Desk::with(SignalingConfig { whip: WhipConfig { takeover }, ..SignalingConfig::default() })
}

fn flows(desk: &Desk, session: u64, flows: bool) {
    desk.signaling.handle_event(Event::Flow { session: SessionId(session), flows });
}

#[test]
fn a_viewer_may_come_before_its_publisher() {
    let desk = Desk::new();
    let viewer = desk.offer("/whep/cam", PLAY);
    assert_eq!(viewer.status, 201);
    assert_eq!(desk.offer("/whip/cam", PUBLISH).status, 201);
    let opened = desk.engine.opened.borrow();
    assert_eq!(opened[0].stream, opened[1].stream);
    let answer = String::from_utf8(viewer.body.to_vec()).unwrap();
    for codec in ["VP8/90000", "H264/90000", "VP9/90000", "AV1/90000", "opus/48000/2"] {
        assert!(answer.contains(codec), "any publisher may come: {codec}");
    }
}

#[test]
fn a_publisher_of_a_taken_name_is_refused_or_takes_over_as_the_policy_says() {
    for (takeover, silent, expected) in [
        (Takeover::Reject, false, 409),
        (Takeover::Reject, true, 409),
        (Takeover::Replace, false, 201),
        (Takeover::ReplaceIfSilent, false, 409),
        (Takeover::ReplaceIfSilent, true, 201),
    ] {
        let desk = desk(takeover);
        let first = location(&desk.offer("/whip/cam", PUBLISH));
        flows(&desk, 1, true);
        if silent {
            flows(&desk, 1, false);
        }
        let second = desk.offer("/whip/cam", PUBLISH);
        assert_eq!(second.status, expected, "{takeover:?}, silent: {silent}");
        let replaced = desk.engine.opened.borrow().get(1).and_then(|spec| spec.replaces);
        assert_eq!(replaced, (expected == 201).then_some(SessionId(1)));
        assert_eq!(desk.ask("GET", &first).status, if expected == 201 { 404 } else { 204 });
    }
}

#[test]
fn the_late_end_of_a_replaced_publisher_leaves_the_next_one_alone() {
    let desk = desk(Takeover::Replace);
    desk.offer("/whip/cam", PUBLISH);
    let second = location(&desk.offer("/whip/cam", PUBLISH));
    flows(&desk, 2, true);
    let replaced = Event::Ended { session: SessionId(1), reason: EndReason::Replaced, totals: Default::default() };
    desk.signaling.handle_event(replaced);
    assert_eq!(desk.ask("GET", &second).status, 204);
    assert!(desk.signaling.registry.borrow().view(&crate::name::StreamName::new("live", "cam").unwrap()).is_active);
}

#[test]
fn a_request_that_waits_for_a_publisher_and_goes_leaves_nothing_behind() {
    let time = std::time::Duration::from_secs(10);
    let desk = Desk::with(SignalingConfig {
        whep: WhepConfig { no_publisher: NoPublisher::Wait, wait: time, ..WhepConfig::default() },
        ..SignalingConfig::default()
    });
    let faulty = desk.offer("/whep/cam", "rubbish");
    assert_eq!(faulty.status, 400, "a fault is told at once");
    desk.offer("/whip/cam", PUBLISH);
    assert_eq!(desk.offer("/whep/cam", PLAY).status, 201, "nothing to wait for");
    assert!(block_on(poll_once(std::future::ready(()))).is_some());
}
