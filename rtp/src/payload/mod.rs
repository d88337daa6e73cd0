//! RTP payload formats: their names, what makes two of them the same, and where keyframes begin.

mod av1;
mod format;
mod h264;
mod h265;
mod red;
mod vp8;
mod vp9;

pub use format::{Codec, Format, H264Profile, MediaKind, Variant};
pub use h264::ParameterSets;
pub use red::primary as red_primary;
pub use vp8::Vp8Numbers;

/// Whether a packet with this payload begins a keyframe. Audio has none.
pub fn is_keyframe(codec: Codec, payload: &[u8]) -> bool {
    match codec {
        Codec::H264 => h264::is_keyframe(payload),
        Codec::H265 => h265::is_keyframe(payload),
        Codec::Vp8 => vp8::is_keyframe(payload),
        Codec::Vp9 => vp9::is_keyframe(payload),
        Codec::Av1 => av1::is_keyframe(payload),
        Codec::Opus | Codec::Red | Codec::Pcmu | Codec::Pcma => false,
    }
}
