//! RTP payload formats: their names and what makes two of them the same.

mod format;

pub use format::{Codec, Format, H264Profile, MediaKind, Variant};
