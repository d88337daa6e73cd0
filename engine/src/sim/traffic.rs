//! What viewers receive.

use super::*;
use crate::testing::{VP8_KEYFRAME, rtp_packet, vp8_frame};
use oneport_rtp::packet::RtpPacket;
use oneport_rtp::payload::{Codec, Format, Variant};
use oneport_rtp::rtcp::{self, Word};

/// Sends `count` video packets and as many of audio, 10 ms apart, and lets them arrive.
pub(super) fn publish(world: &mut World, publisher: usize, count: u16) {
    publish_from(world, publisher, 0, count);
}

/// The same, beginning with packet number `first`.
pub(super) fn publish_from(world: &mut World, publisher: usize, first: u16, count: u16) {
    for n in first..first + count {
        let client = &mut world.seats[publisher].client;
        assert!(client.send_rtp(&packet(96, 0x1001, n, u32::from(n) * 900), 0));
        assert!(client.send_rtp(&packet(111, 0x1002, n, u32::from(n) * 480), 0));
        world.run(Duration::from_millis(10));
    }
    world.run(Duration::from_millis(100));
}

fn packet(payload_type: u8, ssrc: u32, seq: u16, timestamp: u32) -> Vec<u8> {
    match payload_type {
        96 => vp8_frame(ssrc, seq, timestamp, VP8_KEYFRAME, 40),
        _ => rtp_packet(payload_type, ssrc, seq, timestamp, 40),
    }
}

/// Sequence number, timestamp and last payload byte of what came on the viewer's video track.
pub(super) fn video(world: &World, viewer: usize) -> Vec<(u16, u32, u8)> {
    rtp(world, viewer, 120, 0x2001)
}

fn rtp(world: &World, viewer: usize, payload_type: u8, ssrc: u32) -> Vec<(u16, u32, u8)> {
    let packets = world.seats[viewer].received.iter().filter_map(|received| match received {
        Received::Rtp(bytes) => RtpPacket::parse(bytes).ok(),
        _ => None,
    });
    packets
        .filter(|packet| packet.ssrc() == Ssrc(ssrc) && packet.payload_type() == PayloadType(payload_type))
        .map(|packet| (packet.seq().0, packet.timestamp(), *packet.payload().last().unwrap_or(&0)))
        .collect()
}

fn keyframe_requests(world: &World, publisher: usize) -> usize {
    let mut requests = 0;
    for received in &world.seats[publisher].received {
        if let Received::Rtcp(bytes) = received {
            let count = |word| requests += usize::from(word == Word::KeyframeRequest(Ssrc(0x1001)));
            rtcp::parse(bytes, count).unwrap();
        }
    }
    requests
}

#[test]
fn every_viewer_on_every_shard_gets_every_packet_under_its_own_numbers() {
    let mut world = World::new(3, Conditions::perfect());
    let (publisher, _) = world.join(Role::Publish, 5000);
    let viewers: Vec<usize> = (0..6).map(|n| world.join(Role::Play, 6000 + n).0).collect();
    world.connect(&[&viewers[..], &[publisher]].concat());
    publish(&mut world, publisher, 50);
    for viewer in viewers {
        for (packets, step) in [(video(&world, viewer), 900), (rtp(&world, viewer, 109, 0x2002), 480)] {
            assert_eq!(packets.iter().map(|packet| packet.2).collect::<Vec<_>>(), (0..50).collect::<Vec<_>>());
            for pair in packets.windows(2) {
                assert_eq!(pair[1].0, pair[0].0.wrapping_add(1));
                assert_eq!(pair[1].1, pair[0].1.wrapping_add(step));
            }
        }
    }
    assert_eq!(world.crossed(), 0, "batches cross, datagrams do not");
}

#[test]
fn a_viewer_keeps_its_session_and_its_numbers_when_the_publisher_comes_back_elsewhere() {
    let mut world = World::new(2, Conditions::perfect());
    let (first, _) = world.join(Role::Publish, 5000);
    let viewers = [world.join(Role::Play, 6000).0, world.join(Role::Play, 6001).0];
    world.connect(&[first, viewers[0], viewers[1]]);
    publish(&mut world, first, 10);
    let now = world.now;
    world.seats[first].client.close(now);
    world.run(Duration::from_secs(3));

    let (second, _) = world.join(Role::Publish, 5001);
    world.connect(&[second]);
    publish(&mut world, second, 10);
    for viewer in viewers {
        let packets = video(&world, viewer);
        assert_eq!(packets.len(), 20);
        assert!(packets.windows(2).all(|pair| pair[1].0 == pair[0].0.wrapping_add(1)));
        let gap = packets[10].1.wrapping_sub(packets[9].1);
        assert!((3 * 90_000..5 * 90_000).contains(&gap), "{gap} ticks for three seconds");
    }
}

#[test]
fn a_new_viewer_asks_the_publisher_for_a_keyframe_and_many_ask_once() {
    let mut world = World::new(2, Conditions::perfect());
    let (publisher, _) = world.join(Role::Publish, 5000);
    world.connect(&[publisher]);
    publish(&mut world, publisher, 5);
    // The publisher's own start has asked; let that and its repeats end.
    world.run(Duration::from_secs(10));
    world.seats[publisher].received.clear();
    let viewers: Vec<usize> = (0..20).map(|n| world.join(Role::Play, 6000 + n).0).collect();
    world.connect(&viewers);
    let requests = keyframe_requests(&world, publisher);
    assert!((1..=2).contains(&requests), "{requests} requests");
}

#[test]
fn a_viewers_pli_reaches_a_publisher_on_another_shard() {
    let mut world = World::new(2, Conditions::perfect());
    let (publisher, _) = world.join(Role::Publish, 5000);
    let (viewer, _) = world.join(Role::Play, 6001);
    world.connect(&[publisher, viewer]);
    publish(&mut world, publisher, 5);
    world.run(Duration::from_secs(10));
    world.seats[publisher].received.clear();
    let pli = [&[0x81, 206, 0, 2][..], &9u32.to_be_bytes(), &0x2001u32.to_be_bytes()].concat();
    assert!(world.seats[viewer].client.send_rtcp(&pli));
    world.run(Duration::from_millis(100));
    assert_eq!(keyframe_requests(&world, publisher), 1);
}

#[test]
fn lip_sync_at_the_viewer_is_the_publishers() {
    let mut world = World::new(2, Conditions::perfect());
    let (publisher, _) = world.join(Role::Publish, 5000);
    let (viewer, _) = world.join(Role::Play, 6001);
    world.connect(&[publisher, viewer]);
    publish(&mut world, publisher, 10);
    // The publisher's own clocks: video 1,000 and audio 7,000 at the same instant.
    for (ssrc, timestamp) in [(0x1001u32, 1000u32), (0x1002, 7000)] {
        let ntp = 0xdead_beef_0000_0000u64;
        let report =
            [&[0x80, 200, 0, 6][..], &ssrc.to_be_bytes(), &ntp.to_be_bytes(), &timestamp.to_be_bytes(), &[0; 8]]
                .concat();
        assert!(world.seats[publisher].client.send_rtcp(&report));
    }
    publish(&mut world, publisher, 200);
    let offset = |packets: Vec<(u16, u32, u8)>| packets[0].1;
    let reports = sender_reports(&world, viewer);
    // The first packets had timestamp 0.
    let video_shift = offset(video(&world, viewer)).wrapping_add(1000);
    let audio_shift = offset(rtp(&world, viewer, 109, 0x2002)).wrapping_add(7000);
    let video_at = reports.iter().find(|report| report.0 == 0x2001).expect("a report of video");
    let audio_at = reports.iter().find(|report| report.0 == 0x2002 && report.1 == video_at.1).expect("of audio");
    // At one instant of the publisher's wall clock both media clocks have gone on for the same time.
    let video_ms = video_at.2.wrapping_sub(video_shift) as i32 / 90;
    let audio_ms = audio_at.2.wrapping_sub(audio_shift) as i32 / 48;
    assert!((video_ms - audio_ms).abs() <= 1, "{video_ms} ms of video, {audio_ms} ms of audio");
}

/// SSRC, NTP time and RTP timestamp of each sender report.
fn sender_reports(world: &World, viewer: usize) -> Vec<(u32, u64, u32)> {
    let compounds = world.seats[viewer].received.iter().filter_map(|received| match received {
        Received::Rtcp(bytes) if bytes[1] == 200 => Some(bytes),
        _ => None,
    });
    let number = |bytes: &[u8]| bytes.iter().fold(0u64, |number, byte| number << 8 | u64::from(*byte));
    compounds.map(|bytes| (number(&bytes[4..8]) as u32, number(&bytes[8..16]), number(&bytes[16..20]) as u32)).collect()
}

#[test]
fn replayed_and_forged_media_is_counted_and_harms_nobody() {
    let mut world = World::new(1, Conditions { duplication: 500, ..Conditions::perfect() });
    let (publisher, _) = world.join(Role::Publish, 5000);
    let (viewer, _) = world.join(Role::Play, 6000);
    world.connect(&[publisher, viewer]);
    let flow = Flow::new(world.seats[publisher].address, None);
    for n in 0..50u8 {
        let mut forged = packet(96, 0x1001, u16::from(n), 0);
        let node = &mut world.nodes[0];
        node.middlebox.handle_datagram(world.now, flow, &mut forged, &mut node.outbox);
    }
    publish(&mut world, publisher, 50);
    assert_eq!(video(&world, viewer).len(), 50);
    assert!(world.discarded(Discard::Srtp) > 50);
}

#[test]
fn redundant_audio_is_unwrapped_for_viewers_that_take_it_plain() {
    let mut world = World::new(1, Conditions::perfect());
    let red = |payload_type| NegotiatedFormat {
        payload_type: PayloadType(payload_type),
        format: Format { codec: Codec::Red, clock_rate: 48_000, variant: Variant::Plain },
    };
    let mut spec = world.spec(Role::Publish);
    spec.tracks[1].formats.push(red(63));
    let (publisher, _) = world.join_with(spec, 5000);
    let (plain, _) = world.join(Role::Play, 6000);
    let mut spec = world.spec(Role::Play);
    spec.tracks[1].formats.push(red(64));
    let (redundant, _) = world.join_with(spec, 6001);
    world.connect(&[publisher, plain, redundant]);
    for n in 0..20u8 {
        let mut bytes = rtp_packet(63, 0x1002, u16::from(n), u32::from(n) * 960, 0);
        bytes.extend([0x80 | 111, 0, 0, 2, 111, n, n, 100 + n, 100 + n]);
        assert!(world.seats[publisher].client.send_rtp(&bytes, 0));
    }
    world.run(Duration::from_millis(100));
    let own = rtp(&world, plain, 109, 0x2002);
    assert_eq!(own.iter().map(|packet| packet.2).collect::<Vec<_>>(), (100..120).collect::<Vec<_>>());
    assert_eq!(rtp(&world, redundant, 64, 0x2002).len(), 20);
}

#[test]
fn a_busy_shard_waits_for_the_rest_of_a_frame_and_no_longer_than_it_may() {
    let mut world = World::new(1, Conditions::perfect());
    let (publisher, _) = world.join(Role::Publish, 5000);
    let (viewer, _) = world.join(Role::Play, 6000);
    world.connect(&[publisher, viewer]);
    let send = |world: &mut World, seq: u16, marker: u8| {
        let mut bytes = vp8_frame(0x1001, seq, u32::from(seq / 4) * 3000, VP8_KEYFRAME, 40);
        bytes[1] |= marker;
        assert!(world.seats[publisher].client.send_rtp(&bytes, 0));
    };
    let ms = Duration::from_millis;
    world.nodes[0].middlebox.set_window(ms(20));
    // A frame of four packets, one a millisecond: it comes whole with its last.
    for seq in 0..3 {
        send(&mut world, seq, 0);
        world.run(ms(1));
    }
    world.run(ms(12));
    assert_eq!(video(&world, viewer).len(), 0);
    send(&mut world, 3, 0x80);
    world.run(ms(11));
    assert_eq!(video(&world, viewer).len(), 4);
    // One whose end does not come is not held beyond the window; sound never is.
    send(&mut world, 4, 0);
    world.run(ms(26));
    assert_eq!(video(&world, viewer).len(), 4);
    world.run(ms(10));
    assert_eq!(video(&world, viewer).len(), 5);
    world.seats[publisher].client.send_rtp(&packet(111, 0x1002, 0, 0), 0);
    world.run(ms(11));
    assert_eq!(rtp(&world, viewer, 109, 0x2002).len(), 1);
}
