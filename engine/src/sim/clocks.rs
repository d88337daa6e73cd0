//! Lips and sound: the relation of a viewer's tracks is the publisher's, whatever clocks and networks do.

use super::*;
use crate::testing::{VP8_KEYFRAME, rtp_packet, vp8_frame};
use oneport_rtp::ntp::NtpTime;
use oneport_rtp::packet::RtpPacket;
use oneport_rtp::rtcp::{self, SenderInfo, Word};

/// The publisher's clock goes so much too fast.
const DRIFT: f64 = 1.0001;
/// Just before NTP's seconds wrap.
const NTP_BASE: u64 = 0xffff_fff0_0000_0000;

struct Kind {
    payload_type: u8,
    ssrc: u32,
    rate: f64,
    base: u32,
    viewers_ssrc: u32,
}

const KINDS: [Kind; 2] = [
    Kind { payload_type: 96, ssrc: 0x1001, rate: 90_000.0, base: 4_000_000_000, viewers_ssrc: 0x2001 },
    Kind { payload_type: 111, ssrc: 0x1002, rate: 48_000.0, base: 77, viewers_ssrc: 0x2002 },
];

impl Kind {
    /// The media clock at this many seconds of the publisher's.
    fn timestamp(&self, seconds: f64) -> u32 {
        self.base.wrapping_add((seconds * self.rate).round() as u64 as u32)
    }
}

fn ntp(seconds: f64) -> NtpTime {
    NtpTime(NTP_BASE.wrapping_add((seconds * (1u64 << 32) as f64) as u64))
}

#[test]
fn skew_stays_within_5_ms_over_an_hour_of_drift_and_jitter() {
    let conditions = Conditions { jitter: Duration::from_millis(50), ..Conditions::perfect() };
    let mut world = World::new(2, Conditions::perfect());
    let (publisher, _) = world.join(Role::Publish, 5000);
    let (viewer, _) = world.join(Role::Play, 6001);
    world.connect(&[publisher, viewer]);
    world.network = Network::new(conditions);
    let start = world.now;
    // For each track: NTP time and timestamp of the last report, and what a packet says of its capture with its timestamp.
    let mut reports: [Option<(u64, u32)>; 2] = [None; 2];
    let (mut compared, mut worst) = (0, 0.0f64);
    for tick in 0..36_000u32 {
        let seconds = (world.now - start).as_secs_f64() * DRIFT;
        for kind in &KINDS {
            let timestamp = kind.timestamp(seconds);
            let mut bytes = match kind.payload_type {
                96 => vp8_frame(kind.ssrc, tick as u16, timestamp, VP8_KEYFRAME, 20),
                _ => rtp_packet(kind.payload_type, kind.ssrc, tick as u16, timestamp, 20),
            };
            let len = bytes.len();
            bytes[len - 8..].copy_from_slice(&seconds.to_be_bytes());
            world.seats[publisher].client.send_rtp(&bytes, tick >> 16);
            if tick % 10 == 3 {
                let info = SenderInfo { ntp: ntp(seconds), rtp_timestamp: timestamp, packets: 1, octets: 1 };
                let mut room = [0; 200];
                let len = rtcp::write_sender_report(&mut room, Ssrc(kind.ssrc), &info, "publisher").unwrap();
                world.seats[publisher].client.send_rtcp(&room[..len]);
            }
        }
        world.run(Duration::from_millis(100));
        let mut errors = [None; 2];
        for received in world.seats[viewer].received.drain(..) {
            match received {
                Received::Rtcp(bytes) => rtcp::parse(&bytes, |word| {
                    if let Word::SenderReport { ssrc, ntp, rtp_timestamp } = word {
                        let place = KINDS.iter().position(|kind| kind.viewers_ssrc == ssrc.0).unwrap();
                        reports[place] = Some((ntp.0, rtp_timestamp));
                    }
                })
                .unwrap(),
                Received::Rtp(bytes) => {
                    let packet = RtpPacket::parse(&bytes).unwrap();
                    let place = KINDS.iter().position(|kind| kind.viewers_ssrc == packet.ssrc().0).unwrap();
                    let Some((reported, at)) = reports[place] else { continue };
                    let payload = packet.payload();
                    let captured = f64::from_be_bytes(payload[payload.len() - 8..].try_into().unwrap());
                    // When the viewer takes it to have been captured, against when it was.
                    let since = f64::from(packet.timestamp().wrapping_sub(at) as i32) / KINDS[place].rate;
                    let reported = reported.wrapping_sub(NTP_BASE) as i64 as f64 / (1u64 << 32) as f64;
                    errors[place] = Some(reported + since - captured);
                }
                Received::Message { .. } => {}
            }
        }
        if let [Some(video), Some(audio)] = errors {
            compared += 1;
            worst = worst.max((video - audio).abs());
        }
    }
    assert!(compared > 20_000, "{compared}");
    assert!(worst < 0.005, "{} ms", worst * 1000.0);
}

#[test]
fn sound_goes_on_when_the_picture_stalls_and_the_other_way_round() {
    let mut world = World::new(1, Conditions::perfect());
    let (publisher, _) = world.join(Role::Publish, 5000);
    let (viewer, session) = world.join(Role::Play, 6000);
    world.connect(&[publisher, viewer]);
    for (tick, silent) in (0..900u16).map(|tick| (tick, [None, Some(96), Some(111)][usize::from(tick / 300)])) {
        for kind in KINDS.iter().filter(|kind| Some(kind.payload_type) != silent) {
            let bytes = vp8_frame(kind.ssrc, tick, u32::from(tick) * 900, VP8_KEYFRAME, 20);
            let bytes = [&[0x80, kind.payload_type], &bytes[2..]].concat();
            world.seats[publisher].client.send_rtp(&bytes, 0);
        }
        world.run(Duration::from_millis(10));
    }
    let count = |ssrc| {
        let packets = world.seats[viewer].received.iter().filter_map(|received| match received {
            Received::Rtp(bytes) => RtpPacket::parse(bytes).ok(),
            _ => None,
        });
        packets.filter(|packet| packet.ssrc() == Ssrc(ssrc)).count()
    };
    assert!(count(0x2001) >= 599 && count(0x2002) >= 599, "{} and {}", count(0x2001), count(0x2002));
    assert!(!world.ended.contains_key(&session));
}
