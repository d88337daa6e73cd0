//! RTP, RTCP and SRTP without input or output: bytes and `now` in, bytes and events out.

pub mod ids;
pub mod payload;
