//! Synthetic media: frames of realistic sizes in packets of nearly equal ones, with headers that servers parse, and in each packet when
//! it was made.
//!
//! ```text
//!   payload:  codec's header | MARK | packet number (4) | µs since the start (8) | flags (1) | filling
//! ```

use crate::cli::VideoCodec;
use std::time::{Duration, Instant};

/// What tells a packet of ours.
const MARK: [u8; 4] = *b"1prt";
const STAMP: usize = 17;
/// Payload bytes of a packet: within 1,200 with the RTP header and what SRTP adds.
const MAX_PAYLOAD: usize = 1160;
/// A keyframe is so many times as large as another frame.
const KEYFRAME_FACTOR: f64 = 5.0;
/// Bytes of an audio packet of 20 ms: 64 kbit/s.
const AUDIO_BYTES: usize = 160;
const AUDIO_INTERVAL: Duration = Duration::from_millis(20);

/// What a packet says of itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Stamp {
    pub(crate) number: u32,
    pub(crate) sent_us: u64,
    pub(crate) begins_keyframe: bool,
}

impl Stamp {
    fn bytes(self) -> [u8; STAMP] {
        let mut bytes = [0; STAMP];
        bytes[..4].copy_from_slice(&MARK);
        bytes[4..8].copy_from_slice(&self.number.to_be_bytes());
        bytes[8..16].copy_from_slice(&self.sent_us.to_be_bytes());
        bytes[16] = u8::from(self.begins_keyframe);
        bytes
    }

    /// The stamp of a payload; behind a codec's header of a few bytes.
    pub(crate) fn find(payload: &[u8]) -> Option<Stamp> {
        let head = &payload[..payload.len().min(64 + STAMP)];
        let at = head.windows(4).position(|window| window == MARK)?;
        let stamp = head.get(at..at + STAMP)?;
        Some(Stamp {
            number: u32::from_be_bytes(stamp[4..8].try_into().ok()?),
            sent_us: u64::from_be_bytes(stamp[8..16].try_into().ok()?),
            begins_keyframe: stamp[16] == 1,
        })
    }
}

/// A payload and the header fields that go with it.
#[derive(Clone, Debug)]
pub(crate) struct Packet {
    pub(crate) payload: Vec<u8>,
    pub(crate) marker: bool,
    pub(crate) timestamp: u32,
    pub(crate) due: Instant,
}

/// A publisher's video.
#[derive(Debug)]
pub(crate) struct Video {
    codec: VideoCodec,
    interval: Duration,
    spread: bool,
    frame_bytes: usize,
    keyframe_every: u64,
    frames: u64,
    packets: u32,
    next: Instant,
    origin: Instant,
    wants_keyframe: bool,
}

impl Video {
    pub(crate) fn new(options: &crate::cli::Options, now: Instant, origin: Instant) -> Video {
        let keyframe_every = (options.keyframe_interval.as_secs_f64() * options.fps).round().max(1.0);
        // So that a group of pictures has the bitrate asked for.
        let all = options.video_kbps as f64 * 125.0 / options.fps * keyframe_every;
        let frame_bytes = all / (keyframe_every - 1.0 + KEYFRAME_FACTOR);
        Video {
            codec: options.codec,
            interval: Duration::from_secs_f64(1.0 / options.fps),
            spread: options.spread,
            frame_bytes: (frame_bytes as usize).max(40),
            keyframe_every: keyframe_every as u64,
            frames: 0,
            packets: 0,
            next: now,
            origin,
            wants_keyframe: false,
        }
    }

    /// Somebody wants a keyframe.
    pub(crate) fn request_keyframe(&mut self) {
        self.wants_keyframe = true;
    }

    pub(crate) fn next_timeout(&self) -> Instant {
        self.next
    }

    /// The packets of the frame that is due, if one is.
    pub(crate) fn poll(&mut self, now: Instant) -> Vec<Packet> {
        if now < self.next {
            return Vec::new();
        }
        let begun = self.next;
        self.next += self.interval;
        if self.next < now {
            // The machine was busy: what is missed is not made up for.
            self.next = now + self.interval;
        }
        let is_keyframe = self.frames.is_multiple_of(self.keyframe_every) || std::mem::take(&mut self.wants_keyframe);
        let bytes = if is_keyframe { (self.frame_bytes as f64 * KEYFRAME_FACTOR) as usize } else { self.frame_bytes };
        let count = bytes.div_ceil(MAX_PAYLOAD).max(1);
        let timestamp = (self.frames as f64 * self.interval.as_secs_f64() * 90_000.0) as u64 as u32;
        self.frames += 1;
        let packets = (0..count).map(|index| {
            let wait = if self.spread { self.interval.mul_f64(index as f64 / count as f64) } else { Duration::ZERO };
            let due = begun.max(now) + wait;
            let number = self.packets;
            self.packets = self.packets.wrapping_add(1);
            let stamp = Stamp {
                number,
                sent_us: due.saturating_duration_since(self.origin).as_micros() as u64,
                begins_keyframe: is_keyframe && index == 0,
            };
            let mut payload = header(self.codec, is_keyframe, index, count, self.frames);
            payload.extend(stamp.bytes());
            payload.resize((bytes / count).max(payload.len()), 0x55);
            Packet { payload, marker: index + 1 == count, timestamp, due }
        });
        packets.collect()
    }
}

/// The codec's own header of a frame's packet number `index` of `count`.
fn header(codec: VideoCodec, is_keyframe: bool, index: usize, count: usize, frame: u64) -> Vec<u8> {
    let (first, last) = (index == 0, index + 1 == count);
    match codec {
        VideoCodec::Vp8 => {
            let id = 0x8000 | (frame as u16 & 0x7fff);
            let mut bytes = vec![if first { 0x90 } else { 0x80 }, 0x80, (id >> 8) as u8, id as u8];
            if first {
                // Frame tag; a keyframe has the start code and 640 × 360.
                bytes.extend([u8::from(!is_keyframe) | 0x10, 0, 0]);
                if is_keyframe {
                    bytes.extend([0x9d, 0x01, 0x2a, 0x80, 0x02, 0x68, 0x01]);
                }
            }
            bytes
        }
        VideoCodec::Vp9 => {
            let id = 0x8000 | (frame as u16 & 0x7fff);
            let flags =
                0x80 | if is_keyframe { 0 } else { 0x40 } | if first { 0x08 } else { 0 } | if last { 0x04 } else { 0 };
            vec![flags, (id >> 8) as u8, id as u8]
        }
        VideoCodec::H264 => {
            let kind = if is_keyframe { 5 } else { 1 };
            let mut bytes = Vec::new();
            if first && is_keyframe {
                // An aggregation of SPS and PPS cannot hold a fragment: the picture is the third unit, whole, and small.
                let sps = [0x67, 0x42, 0xe0, 0x1f, 0x8c, 0x8d, 0x40, 0x50, 0x1e, 0xd0, 0x0f, 0x08, 0x84, 0x6a];
                let pps = [0x68, 0xce, 0x3c, 0x80];
                bytes.push(0x78);
                for unit in [&sps[..], &pps[..]] {
                    bytes.extend((unit.len() as u16).to_be_bytes());
                    bytes.extend(unit);
                }
                return bytes;
            }
            if count == 1 {
                return vec![0x60 | kind];
            }
            let begins = if is_keyframe { index == 1 } else { first };
            bytes.push(0x7c);
            bytes.push(if begins { 0x80 } else { 0 } | if last { 0x40 } else { 0 } | kind);
            bytes
        }
        VideoCodec::H265 => {
            let kind = if is_keyframe { 19 } else { 1 };
            if count == 1 {
                return vec![kind << 1, 1];
            }
            vec![49 << 1, 1, if first { 0x80 } else { 0 } | if last { 0x40 } else { 0 } | kind]
        }
        VideoCodec::Av1 => {
            // Z, Y, W and N of the aggregation header: one element, that goes on from packet to packet.
            let flags = if first { 0 } else { 0x80 } | if last { 0 } else { 0x40 } | 0x10;
            vec![flags | if first && is_keyframe { 0x08 } else { 0 }, 0x30]
        }
        VideoCodec::None => Vec::new(),
    }
}

/// A publisher's audio.
#[derive(Debug)]
pub(crate) struct Audio {
    packets: u32,
    next: Instant,
    origin: Instant,
}

impl Audio {
    pub(crate) fn new(now: Instant, origin: Instant) -> Audio {
        Audio { packets: 0, next: now, origin }
    }

    pub(crate) fn next_timeout(&self) -> Instant {
        self.next
    }

    pub(crate) fn poll(&mut self, now: Instant) -> Option<Packet> {
        if now < self.next {
            return None;
        }
        self.next = (self.next + AUDIO_INTERVAL).max(now);
        let sent_us = now.saturating_duration_since(self.origin).as_micros() as u64;
        let stamp = Stamp { number: self.packets, sent_us, begins_keyframe: false };
        // TOC: one CELT frame of 20 ms, full band, stereo.
        let mut payload = vec![0xfc];
        payload.extend(stamp.bytes());
        payload.resize(AUDIO_BYTES, 0x55);
        let timestamp = self.packets.wrapping_mul(960);
        self.packets = self.packets.wrapping_add(1);
        Some(Packet { payload, marker: false, timestamp, due: now })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;
    use oneport_rtp::payload::{self, Codec};

    fn options(codec: &str, more: &[&str]) -> crate::cli::Options {
        let args = ["oneport-load", "--whip", "http://a", "--codec", codec];
        crate::cli::Options::parse_from([&args[..], more].concat())
    }

    #[test]
    fn the_bitrate_is_met_and_every_packet_is_stamped() {
        for (name, codec) in [
            ("vp8", Codec::Vp8),
            ("vp9", Codec::Vp9),
            ("h264", Codec::H264),
            ("h265", Codec::H265),
            ("av1", Codec::Av1),
        ] {
            let start = Instant::now();
            let mut video = Video::new(&options(name, &[]), start, start);
            let (mut bytes, mut numbers, mut keyframes, mut begun) = (0, 0u32, 0, 0);
            for frame in 0..600 {
                let packets = video.poll(video.next_timeout());
                assert!(packets.last().unwrap().marker, "{name}");
                let starts = packets.iter().filter(|packet| payload::is_keyframe(codec, &packet.payload)).count();
                begun += usize::from(starts > 0);
                assert_eq!(starts > 0, frame % 60 == 0, "{name} {frame}");
                for packet in packets {
                    let stamp = Stamp::find(&packet.payload).unwrap();
                    assert_eq!(stamp.number, numbers);
                    numbers += 1;
                    keyframes += usize::from(stamp.begins_keyframe);
                    assert!(packet.payload.len() <= 1200);
                    bytes += packet.payload.len();
                }
            }
            assert_eq!((keyframes, begun), (10, 10));
            let kbps = bytes * 8 / 20 / 1000;
            assert!((2400..2600).contains(&kbps), "{name}: {kbps} kbit/s");
        }
    }

    #[test]
    fn a_keyframe_comes_on_request_and_packets_may_be_spread() {
        let start = Instant::now();
        let mut video = Video::new(&options("vp8", &["--spread"]), start, start);
        video.poll(start);
        video.request_keyframe();
        let packets = video.poll(video.next_timeout());
        assert!(Stamp::find(&packets[0].payload).unwrap().begins_keyframe);
        let times: Vec<Instant> = packets.iter().map(|packet| packet.due).collect();
        assert!(times.windows(2).all(|pair| pair[1] > pair[0]) && times.last().unwrap() < &video.next_timeout());
    }
}
