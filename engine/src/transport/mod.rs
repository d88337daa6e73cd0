//! A session's transport without input or output: ICE-lite (RFC 8445), STUN (RFC 8489) and DTLS-SRTP (RFC 5764). Bytes and
//! `now` in; bytes, events and the next deadline out.
//!
//! ```text
//!   STUN datagram ──► stun::Check ──► who (session, generation), nominated or not ──► answer
//!                         ▲
//!                   ice::IceKey: what an ufrag claims, and the password that belongs to it; no table of sessions
//!
//!   DTLS datagram ──► dtls::Dtls ──► datagrams, the next deadline, SRTP keys
//! ```
//!
//! Who owns a session, which pair is selected and when consent ends is the session's business, not known here.

pub mod dtls;
pub mod ice;
pub(crate) mod sctp;
pub mod stun;
