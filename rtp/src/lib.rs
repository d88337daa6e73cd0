//! RTP, RTCP and SRTP without input or output: bytes and `now` in, bytes and values out. Never a socket, a clock or a thread, and
//! nothing of SDP or HTTP.

pub mod congestion_log;
pub mod demux;
pub mod extension;
pub mod ids;
pub mod nack;
pub mod ntp;
pub mod packet;
pub mod payload;
pub mod reception;
pub mod replay;
pub mod rtcp;
pub mod rtx;
pub mod sender_clock;
pub mod seq;
pub mod srtp;
pub mod transport_cc;
