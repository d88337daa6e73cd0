//! Transport-wide congestion control: what a publisher is told, and what a viewer's packets carry.

use super::*;
use crate::testing::{VP8_KEYFRAME, vp8_frame};
use oneport_rtp::packet::RtpPacket;
use oneport_rtp::rtcp::{self, Word};
use std::collections::BTreeSet;

const ID: u8 = 3;
const SEND_TIME_ID: u8 = 5;

fn with_transport_cc(mut spec: SessionSpec) -> SessionSpec {
    for track in &mut spec.tracks {
        track.extensions.push(NegotiatedExtension { id: ID, extension: Extension::TransportCc });
        track.extensions.push(NegotiatedExtension { id: SEND_TIME_ID, extension: Extension::AbsSendTime });
        track.feedback.transport_cc = true;
    }
    let video = &mut spec.tracks[0];
    video.feedback.nack = true;
    let publishes = spec.role == Role::Publish;
    video.rtx = vec![if publishes { (PayloadType(97), PayloadType(96)) } else { (PayloadType(121), PayloadType(120)) }];
    video.rtx_ssrcs = vec![(Ssrc(video.ssrcs[0].0 + 0x10), video.ssrcs[0])];
    spec.reduced_size = true;
    spec
}

fn numbered(mut bytes: Vec<u8>, number: u16) -> Vec<u8> {
    let [high, low] = number.to_be_bytes();
    bytes[0] |= 0x10;
    bytes.splice(12..12, [0xbe, 0xde, 0, 1, ID << 4 | 1, high, low, 0]);
    bytes
}

#[test]
fn a_publisher_hears_of_every_number_within_100_ms_retransmissions_too() {
    let mut world = World::new(1, Conditions::perfect());
    let spec = with_transport_cc(world.spec(Role::Publish));
    let (publisher, _) = world.join_with(spec, 5000);
    world.connect(&[publisher]);
    let (mut number, mut last_told, mut arrived) = (65_000u16, world.now, 0);
    let mut lost = BTreeSet::new();
    for tick in 0..2000u32 {
        let is_lost = tick % 10 == 4;
        let frame = vp8_frame(0x1001, tick as u16, tick * 900, VP8_KEYFRAME, 200);
        if !is_lost {
            world.seats[publisher].client.send_rtp(&numbered(frame, number), 0);
        }
        number = number.wrapping_add(1);
        if tick % 10 == 6 {
            // What was lost two ticks ago, as a retransmission under a number of its own.
            let mut again = vp8_frame(0x1011, (tick / 10) as u16, (tick - 2) * 900, VP8_KEYFRAME, 200);
            again[1] = 97;
            again.splice(12..12, ((tick - 2) as u16).to_be_bytes());
            world.seats[publisher].client.send_rtp(&numbered(again, number), 0);
            number = number.wrapping_add(1);
        }
        world.run(Duration::from_millis(10));
        for received in world.seats[publisher].received.drain(..) {
            let Received::Rtcp(bytes) = received else { continue };
            let mut is_feedback = false;
            rtcp::parse(&bytes, |word| {
                if let Word::Arrival { seq, received, .. } = word {
                    is_feedback = true;
                    if received {
                        arrived += 1;
                        lost.remove(&seq.0);
                    } else {
                        lost.insert(seq.0);
                    }
                }
            })
            .unwrap();
            if is_feedback {
                assert!(bytes[1] == 205, "reduced size");
                assert!(world.now - last_told <= Duration::from_millis(110));
                last_told = world.now;
            }
        }
    }
    assert!((1985..=2000).contains(&arrived), "{arrived} told of 2000");
    assert!((195..=200).contains(&lost.len()), "{} lost of 200", lost.len());
}

#[test]
fn a_viewers_packets_have_numbers_of_its_own_and_the_time_of_sending() {
    let mut world = World::new(1, Conditions::perfect());
    let spec = with_transport_cc(world.spec(Role::Publish));
    let (publisher, _) = world.join_with(spec, 5000);
    let spec = with_transport_cc(world.spec(Role::Play));
    let (viewer, _) = world.join_with(spec, 6000);
    world.connect(&[publisher, viewer]);
    for tick in 0..200u16 {
        let frame = vp8_frame(0x1001, tick, u32::from(tick) * 900, VP8_KEYFRAME, 200);
        world.seats[publisher].client.send_rtp(&numbered(frame, 7 * tick), 0);
        world.run(Duration::from_millis(10));
        if tick == 100 {
            // A NACK's answer is numbered too.
            let mut room = [0; 100];
            let received = &world.seats[viewer].received;
            let Some(Received::Rtp(bytes)) =
                received.iter().rev().find(|received| matches!(received, Received::Rtp(_)))
            else {
                panic!("nothing came");
            };
            let seq = RtpPacket::parse(bytes).unwrap().seq();
            let len = rtcp::write_nack(&mut room, Ssrc(1), Ssrc(0x2001), &[seq]).unwrap();
            world.seats[viewer].client.send_rtcp(&room[..len]);
        }
    }
    let (mut numbers, mut times, mut again) = (Vec::new(), Vec::new(), 0);
    for received in &world.seats[viewer].received {
        let Received::Rtp(bytes) = received else { continue };
        let packet = RtpPacket::parse(bytes).unwrap();
        again += u32::from(packet.ssrc() == Ssrc(0x2011));
        let number = packet.extensions().find(ID).unwrap();
        numbers.push(u16::from_be_bytes([number[0], number[1]]));
        let time = packet.extensions().find(SEND_TIME_ID).unwrap();
        times.push(u32::from_be_bytes([0, time[0], time[1], time[2]]));
    }
    assert_eq!(again, 1);
    assert!(numbers.windows(2).all(|pair| pair[1] == pair[0].wrapping_add(1)), "{numbers:?}");
    // 18 bits of fraction: 10 ms are 2621.
    assert!(times.windows(2).all(|pair| pair[1].wrapping_sub(pair[0]) <= 2700), "{times:?}");
    assert!(times.len() > 195);
}

#[test]
fn a_publisher_without_it_is_told_a_ceiling() {
    let mut world = World::new(1, Conditions::perfect());
    let mut spec = world.spec(Role::Publish);
    spec.tracks[0].feedback.remb = true;
    let (publisher, _) = world.join_with(spec, 5000);
    world.connect(&[publisher]);
    traffic::publish(&mut world, publisher, 200);
    let mut told = Vec::new();
    for received in &world.seats[publisher].received {
        let Received::Rtcp(bytes) = received else { continue };
        let take = |word| {
            if let Word::MaxBitrate(bps) = word {
                told.push(bps);
            }
        };
        rtcp::parse(bytes, take).unwrap();
    }
    assert!(!told.is_empty() && told.iter().all(|bps| (19_900_000..=20_000_000).contains(bps)), "{told:?}");
}

#[test]
fn rfc_8888_is_told_where_it_was_agreed_on() {
    let mut world = World::new(1, Conditions::perfect());
    let mut spec = world.spec(Role::Publish);
    spec.tracks[0].feedback.ccfb = true;
    let (publisher, _) = world.join_with(spec, 5000);
    world.connect(&[publisher]);
    world.seats[publisher].loss = 100;
    traffic::publish(&mut world, publisher, 200);
    let (mut arrived, mut lost) = (0, 0);
    for received in &world.seats[publisher].received {
        let Received::Rtcp(bytes) = received else { continue };
        let take = |word| match word {
            Word::Arrival { ssrc: Some(Ssrc(0x1001)), received: true, .. } => arrived += 1,
            Word::Arrival { ssrc: Some(Ssrc(0x1001)), received: false, .. } => lost += 1,
            _ => {}
        };
        rtcp::parse(bytes, take).unwrap();
    }
    // A tenth is lost on the way here, and a tenth of the feedback on the way back.
    assert!(arrived > 120 && lost > 5 && arrived + lost <= 200, "{arrived} and {lost}");
}
