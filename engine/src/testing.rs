//! What the tests of whole sessions have in common.

use crate::control::*;
use oneport_rtp::ids::{PayloadType, Ssrc};
use oneport_rtp::payload::{Codec, Format, MediaKind, Variant};

/// What a publisher of VP8 and Opus negotiates, or a viewer of them under other numbers.
pub(crate) fn tracks(role: Role) -> Vec<TrackSpec> {
    let (video_type, audio_type, base) = if role == Role::Publish { (96, 111, 0x1000) } else { (120, 109, 0x2000) };
    let track = |kind, payload_type, codec, clock_rate, ssrc: u32| TrackSpec {
        kind,
        mid: None,
        formats: vec![NegotiatedFormat {
            payload_type: PayloadType(payload_type),
            format: Format { codec, clock_rate, variant: Variant::Plain },
        }],
        extensions: vec![],
        ssrcs: vec![Ssrc(base + ssrc)],
        layers: vec![],
        rtx: vec![],
        rtx_ssrcs: vec![],
        feedback: Feedback::default(),
        parameter_sets: vec![],
        keyframe_request: (kind == MediaKind::Video).then_some(KeyframeRequest::Pli),
        cname: "viewer".to_owned(),
    };
    vec![
        track(MediaKind::Video, video_type, Codec::Vp8, 90_000, 1),
        track(MediaKind::Audio, audio_type, Codec::Opus, 48_000, 2),
    ]
}

/// The VP8 descriptor of a frame's start, and a byte of that which is a keyframe's.
pub(crate) const VP8_KEYFRAME: [u8; 2] = [0x10, 0];

/// An RTP packet of the publisher's that begins a VP8 frame, the bytes behind that its sequence number's lower half.
pub(crate) fn vp8_frame(ssrc: u32, seq: u16, timestamp: u32, begin: [u8; 2], len: usize) -> Vec<u8> {
    let mut bytes = rtp_packet(96, ssrc, seq, timestamp, len);
    bytes[12..14].copy_from_slice(&begin);
    bytes
}

/// An RTP packet of the publisher's, all payload bytes its sequence number's lower half.
pub(crate) fn rtp_packet(payload_type: u8, ssrc: u32, seq: u16, timestamp: u32, len: usize) -> Vec<u8> {
    let mut bytes = vec![0x80, payload_type];
    bytes.extend(seq.to_be_bytes());
    bytes.extend(timestamp.to_be_bytes());
    bytes.extend(ssrc.to_be_bytes());
    bytes.resize(bytes.len() + len, seq as u8);
    bytes
}

/// A packet of the publisher's video track, of a size as frames are made of.
pub(crate) fn vp8_packet(seq: u16) -> Vec<u8> {
    vp8_frame(0x1001, seq, u32::from(seq / 10) * 3000, VP8_KEYFRAME, 1000)
}
