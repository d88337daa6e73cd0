//! The media of the peers: what a publisher sends, and what came of it at a peer.

use crate::offer::CNAME;
use oneport_engine::client::Client;
use oneport_rtp::ids::Ssrc;
use oneport_rtp::ntp::NtpTime;
use oneport_rtp::packet::RtpPacket;
use oneport_rtp::rtcp::{self, SenderInfo, Word};
use rtcp_types::{Compound, Packet, SdesItem};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// One frame, one audio packet. 50 in the second, as Opus has.
const INTERVAL: Duration = Duration::from_millis(20);
/// Sender reports: often, so that no check waits long for one.
const REPORT_INTERVAL: Duration = Duration::from_millis(500);
/// The least VP8 descriptor (RFC 7741 §4.2), and a whole keyframe of one grey pixel.
const VP8_FRAME: [u8; 23] =
    [0x10, 0x30, 1, 0, 0x9d, 1, 0x2a, 1, 0, 1, 0, 0x0e, 0xc0, 0xfe, 0x25, 0xa4, 0, 3, 0x70, 0, 0, 0, 0];
/// 20 ms of silence (RFC 6716 §3).
const OPUS_FRAME: [u8; 3] = [0xf8, 0xff, 0xfe];

/// One track that is sent.
#[derive(Clone, Debug)]
pub(crate) struct Track {
    pub(crate) payload_type: u8,
    pub(crate) ssrc: u32,
    pub(crate) is_video: bool,
}

/// What a publisher sends.
#[derive(Debug)]
pub(crate) struct Source {
    tracks: Vec<Track>,
    next: Instant,
    next_report: Instant,
    /// Frames sent of each track. Small enough never to wrap in a check.
    frames: u32,
}

impl Source {
    pub(crate) fn new(now: Instant, tracks: Vec<Track>) -> Source {
        Source { tracks, next: now, next_report: now + INTERVAL, frames: 0 }
    }

    /// Sends what is due.
    pub(crate) fn turn(&mut self, now: Instant, client: &mut Client) {
        if now >= self.next {
            self.next = now + INTERVAL;
            for track in &self.tracks {
                client.send_rtp(&packet(track, self.frames), self.frames >> 16);
            }
            self.frames += 1;
        }
        if now >= self.next_report {
            self.next_report = now + REPORT_INTERVAL;
            for track in &self.tracks {
                let mut room = [0; 256];
                if let Some(len) = self.write_report(track, &mut room) {
                    client.send_rtcp(&room[..len]);
                }
            }
        }
    }

    fn write_report(&self, track: &Track, room: &mut [u8]) -> Option<usize> {
        let unix = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).ok()?;
        // 1900 to 1970 (RFC 5905 §6).
        let ntp = NtpTime(2_208_988_800 << 32).after(unix);
        let octets = self.frames * if track.is_video { VP8_FRAME.len() } else { OPUS_FRAME.len() } as u32;
        let info = SenderInfo { ntp, rtp_timestamp: timestamp(track, self.frames), packets: self.frames, octets };
        rtcp::write_sender_report(room, Ssrc(track.ssrc), &info, CNAME)
    }
}

fn timestamp(track: &Track, frame: u32) -> u32 {
    frame.wrapping_mul(if track.is_video { 1800 } else { 960 })
}

fn packet(track: &Track, frame: u32) -> Vec<u8> {
    let payload: &[u8] = if track.is_video { &VP8_FRAME } else { &OPUS_FRAME };
    let marker = if track.is_video { 0x80 } else { 0 };
    let mut packet = vec![0x80, marker | track.payload_type];
    packet.extend((frame as u16).to_be_bytes());
    packet.extend(timestamp(track, frame).to_be_bytes());
    packet.extend(track.ssrc.to_be_bytes());
    packet.extend_from_slice(payload);
    packet
}

/// What has come to a peer.
#[derive(Clone, Debug, Default)]
pub(crate) struct Inbox {
    /// RTP packets.
    pub(crate) packets: u64,
    /// Payload type and source of them.
    pub(crate) flows: BTreeSet<(u8, u32)>,
    /// Payloads of VP8 that are the publisher's frame to the byte.
    pub(crate) whole_frames: u64,
    /// Sources of sender reports.
    pub(crate) reports: BTreeSet<u32>,
    /// Source and CNAME.
    pub(crate) cnames: BTreeSet<(u32, String)>,
    /// PLI and FIR.
    pub(crate) keyframe_requests: u64,
    /// What was no RTP or RTCP after decryption.
    pub(crate) malformed: u64,
}

/// Flows that are told apart; a server that sends more is not worth the memory.
const MAX_FLOWS: usize = 64;

impl Inbox {
    pub(crate) fn take_rtp(&mut self, bytes: &[u8]) {
        let Ok(packet) = RtpPacket::parse(bytes) else {
            self.malformed += 1;
            return;
        };
        self.packets += 1;
        self.whole_frames += u64::from(packet.payload().ends_with(&VP8_FRAME[1..]));
        if self.flows.len() < MAX_FLOWS {
            self.flows.insert((packet.payload_type().0, packet.ssrc().0));
        }
    }

    pub(crate) fn take_rtcp(&mut self, bytes: &[u8]) {
        let parsed = rtcp::parse(bytes, |word| match word {
            Word::SenderReport { ssrc, .. } if self.reports.len() < MAX_FLOWS => {
                self.reports.insert(ssrc.0);
            }
            Word::KeyframeRequest(_) => self.keyframe_requests += 1,
            _ => {}
        });
        self.malformed += u64::from(parsed.is_err());
        self.take_cnames(bytes);
    }

    fn take_cnames(&mut self, bytes: &[u8]) {
        let Ok(compound) = Compound::parse(bytes) else { return };
        for packet in compound.flatten() {
            let Packet::Sdes(sdes) = packet else { continue };
            for chunk in sdes.chunks() {
                let names = chunk.items().filter(|item| item.type_() == SdesItem::CNAME);
                let names = names.filter_map(|item| str::from_utf8(item.value()).ok());
                let room = MAX_FLOWS.saturating_sub(self.cnames.len());
                self.cnames.extend(names.take(room).map(|name| (chunk.ssrc(), name.to_owned())));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use oneport_rtp::payload::{Codec, is_keyframe};

    const VIDEO: Track = Track { payload_type: 96, ssrc: 7, is_video: true };

    #[test]
    fn every_video_frame_is_a_keyframe_in_a_packet() {
        let bytes = packet(&VIDEO, 5);
        let packet = RtpPacket::parse(&bytes).unwrap();
        assert!(packet.marker() && is_keyframe(Codec::Vp8, packet.payload()));
        assert_eq!((packet.payload_type().0, packet.seq().0, packet.timestamp(), packet.ssrc().0), (96, 5, 9000, 7));
    }

    #[test]
    fn an_inbox_tells_flows_reports_and_requests() {
        let mut inbox = Inbox::default();
        inbox.take_rtp(&packet(&VIDEO, 1));
        inbox.take_rtp(&[0; 3]);
        let mut room = [0; 256];
        let len = Source::new(Instant::now(), vec![]).write_report(&VIDEO, &mut room).unwrap();
        inbox.take_rtcp(&room[..len]);
        let len = rtcp::write_pli(&mut room, Ssrc(9), Ssrc(7)).unwrap();
        inbox.take_rtcp(&room[..len]);
        assert_eq!((inbox.packets, inbox.whole_frames, inbox.malformed, inbox.keyframe_requests), (1, 1, 1, 1));
        assert_eq!(inbox.flows, BTreeSet::from([(96, 7)]));
        assert_eq!(inbox.reports, BTreeSet::from([7]));
        assert!(inbox.cnames.contains(&(7, CNAME.to_owned())));
    }
}
