//! Clients that are authenticated and send rubbish: nothing breaks, nothing grows, and nobody else notices.

use super::traffic::{publish, publish_from, video};
use super::*;
use crate::testing::{VP8_KEYFRAME, rtp_packet, vp8_frame};
use oneport_rtp::rtcp::{self, Lead};
use oneport_rtp::seq::SeqNo;

struct Numbers(u64);

impl Numbers {
    fn next(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % below
    }
}

/// A publisher and two viewers, of which the first is the hostile one.
fn world() -> (World, usize, [usize; 2]) {
    let mut world = World::new(2, Conditions::perfect());
    let (publisher, _) = world.join(Role::Publish, 5000);
    let viewers = [world.join(Role::Play, 6000).0, world.join(Role::Play, 6001).0];
    world.connect(&[publisher, viewers[0], viewers[1]]);
    (world, publisher, viewers)
}

fn assert_unharmed(world: &mut World, publisher: usize, viewer: usize) {
    world.seats[viewer].received.clear();
    publish_from(world, publisher, 100, 50);
    assert_eq!(video(world, viewer).len(), 50);
    assert!(world.ended.is_empty());
}

fn samples() -> Vec<Vec<u8>> {
    let mut room = [0; 1500];
    let lead = Lead { ssrc: Ssrc(7), cname: Some("hostile") };
    let seqs: Vec<SeqNo> = (0..100).map(|n| SeqNo(n * 3)).collect();
    let mut samples = Vec::new();
    let mut keep = |room: &[u8], len: Option<usize>| samples.push(room[..len.unwrap()].to_vec());
    let len = lead.write(&mut room, |room| rtcp::write_nack(room, Ssrc(7), Ssrc(0x2001), &seqs));
    keep(&room, len);
    let len = lead.write(&mut room, |room| rtcp::write_pli(room, Ssrc(7), Ssrc(0x2001)));
    keep(&room, len);
    let len = rtcp::write_remb(&mut room, Ssrc(7), u64::MAX, &[Ssrc(1); 200]);
    keep(&room, len);
    let len = rtcp::write_rrtr(&mut room, Ssrc(7), oneport_rtp::ntp::NtpTime(u64::MAX));
    keep(&room, len);
    let len =
        rtcp::write_dlrr(&mut room, Ssrc(7), &[rtcp::Dlrr { ssrc: 1, last_reference: u32::MAX, delay: u32::MAX }; 20]);
    keep(&room, len);
    // transport-cc that counts 65,535 packets and has none.
    samples.push(vec![
        0x8f, 205, 0, 5, 0, 0, 0, 1, 0, 0, 0, 2, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x5f, 0xff, 0x80, 0,
    ]);
    samples
}

#[test]
fn rtcp_of_any_shape_from_either_side_harms_nobody() {
    let (mut world, publisher, viewers) = world();
    let mut numbers = Numbers(5);
    let samples = samples();
    for n in 0..5_000 {
        let mut bytes = samples[numbers.next(samples.len())].clone();
        for _ in 0..numbers.next(6) {
            let at = numbers.next(bytes.len());
            bytes[at] = numbers.next(256) as u8;
        }
        if numbers.next(4) == 0 {
            bytes.truncate(4 + numbers.next(bytes.len()));
        }
        // Of what is no RTCP any more, the packet type would make it RTP.
        bytes[1] = 192 + bytes[1] % 32;
        bytes[0] = bytes[0] & 0x3f | 0x80;
        for seat in [publisher, viewers[0]] {
            if bytes.len() >= 8 {
                world.seats[seat].client.send_rtcp(&bytes);
            }
        }
        if n % 50 == 0 {
            world.run(Duration::from_millis(2));
        }
    }
    world.run(Duration::from_secs(1));
    assert!(world.discarded(Discard::Rtcp) > 100);
    assert_unharmed(&mut world, publisher, viewers[1]);
}

#[test]
fn rtp_of_any_shape_harms_nobody() {
    let (mut world, publisher, viewers) = world();
    let mut numbers = Numbers(9);
    for n in 0..5_000u32 {
        let mut bytes = vp8_frame(0x3000 + n % 3, n as u16, n * 100, VP8_KEYFRAME, 60);
        bytes[0] = 0x80 | numbers.next(64) as u8;
        bytes[1] = numbers.next(128) as u8;
        for _ in 0..numbers.next(4) {
            let at = 12 + numbers.next(bytes.len() - 12);
            bytes[at] = numbers.next(256) as u8;
        }
        world.seats[publisher].client.send_rtp(&bytes, 0);
        if n % 50 == 0 {
            world.run(Duration::from_millis(2));
        }
    }
    world.run(Duration::from_secs(2));
    assert_unharmed(&mut world, publisher, viewers[1]);
}

#[test]
fn ten_thousand_sources_in_a_second_are_counted_and_forgotten() {
    let (mut world, publisher, viewers) = world();
    for n in 0..10_000u32 {
        let bytes = rtp_packet([96, 111, 77][n as usize % 3], 0x10_0000 + n, n as u16, n, 30);
        world.seats[publisher].client.send_rtp(&bytes, 0);
        if n % 100 == 0 {
            world.run(Duration::from_millis(10));
        }
    }
    world.run(Duration::from_secs(2));
    assert!(world.discarded(Discard::UnknownSource) > 9_000);
    assert_unharmed(&mut world, publisher, viewers[1]);
}

#[test]
fn retransmissions_of_nothing_are_counted() {
    let mut world = World::new(1, Conditions::perfect());
    let mut spec = world.spec(Role::Publish);
    spec.tracks[0].rtx = vec![(PayloadType(97), PayloadType(96))];
    spec.tracks[0].feedback.nack = true;
    let (publisher, _) = world.join_with(spec, 5000);
    let (viewer, _) = world.join(Role::Play, 6000);
    world.connect(&[publisher, viewer]);
    let rtx = |seq: u16, osn: u16| {
        let mut bytes = rtp_packet(97, 0x1011, seq, 0, 40);
        bytes[12..14].copy_from_slice(&osn.to_be_bytes());
        bytes
    };
    for n in 0..500 {
        world.seats[publisher].client.send_rtp(&rtx(n, n * 7), 0);
    }
    world.run(Duration::from_millis(100));
    assert_eq!(world.discarded(Discard::EmptyRtx), 500);
    publish(&mut world, publisher, 50);
    // Each of these has come already.
    for n in 0..50 {
        world.seats[publisher].client.send_rtp(&rtx(500 + n, n), 0);
    }
    world.run(Duration::from_millis(100));
    assert_eq!(world.discarded(Discard::Duplicate), 50);
    assert_eq!(video(&world, viewer).len(), 50);
}

#[test]
fn a_flood_of_plis_is_one_request_per_interval() {
    let (mut world, publisher, viewers) = world();
    publish(&mut world, publisher, 5);
    world.seats[publisher].received.clear();
    let mut room = [0; 100];
    let len = rtcp::write_pli(&mut room, Ssrc(7), Ssrc(0x2001)).unwrap();
    for _ in 0..2_000 {
        world.seats[viewers[0]].client.send_rtcp(&room[..len]);
        world.run(Duration::from_millis(1));
    }
    let requests = world.seats[publisher].received.iter().filter(|received| match received {
        Received::Rtcp(bytes) => {
            let mut is_request = false;
            rtcp::parse(bytes, |word| is_request |= matches!(word, rtcp::Word::KeyframeRequest(_))).unwrap();
            is_request
        }
        _ => false,
    });
    assert!(requests.count() <= 5);
    assert_unharmed(&mut world, publisher, viewers[1]);
}

#[test]
fn a_flood_of_data_is_bounded() {
    let mut world = World::new(1, Conditions::perfect());
    world.takes_data = true;
    let (publisher, _) = world.join(Role::Publish, 5000);
    let (viewer, _) = world.join(Role::Play, 6000);
    world.connect(&[publisher, viewer]);
    world.run(Duration::from_secs(3));
    let now = world.now;
    (0..200).for_each(|n| world.seats[publisher].client.open_channel(now, &format!("channel {n}")));
    world.run(Duration::from_secs(1));
    for n in 0..300usize {
        let now = world.now;
        world.seats[publisher].client.send_message(now, &format!("channel {}", n % 64), true, &vec![7; 60_000]);
        if n % 10 == 0 {
            world.run(Duration::from_millis(20));
        }
    }
    world.run(Duration::from_secs(2));
    assert_unharmed(&mut world, publisher, viewer);
}
