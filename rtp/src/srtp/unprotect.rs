//! The receiving half: SRTP and SRTCP to RTP and RTCP, in place, each packet once (RFC 3711 §3.3, §3.4).

use std::fmt;

use super::cipher::{ENCRYPTED, MAX_PACKET_LEN, PacketId, Transform};
use super::header::{RtpHeader, rtcp_sender};
use super::index::{self, OutOfRange};
use super::kdf::MasterKey;
use super::profile::Profile;
use super::streams::Streams;
use crate::replay::{ReplayWindow, Stale};

/// Why a packet was not unprotected. After [`Authentication`](Self::Authentication) its octets are of no use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnprotectError {
    /// The packet is not SRTP or SRTCP, ends too early, or is longer than a datagram can be.
    #[error("not a whole SRTP or SRTCP packet")]
    Malformed,
    /// The tag is not the packet's: forged, damaged, or of other keys.
    #[error("the authentication tag is wrong")]
    Authentication,
    /// A packet with this index was received before.
    #[error("the packet was received before")]
    Replayed,
    /// The index is so old that nobody can tell whether it was received before.
    #[error("the packet is older than the replay window")]
    TooOld,
    /// All 2^48 indices of the SSRC are used; only new keys help (RFC 3711 §9.2).
    #[error("the packet index is used up")]
    IndexExhausted,
    /// SRTCP without its E flag. DTLS-SRTP cannot agree on it, so no peer sends it.
    #[error("the SRTCP packet is not encrypted")]
    Unencrypted,
}

impl From<Stale> for UnprotectError {
    fn from(stale: Stale) -> Self {
        match stale {
            Stale::Replayed => Self::Replayed,
            Stale::TooOld => Self::TooOld,
        }
    }
}

impl From<OutOfRange> for UnprotectError {
    fn from(out_of_range: OutOfRange) -> Self {
        match out_of_range {
            OutOfRange::BeforeFirst => Self::TooOld,
            OutOfRange::BehindLast => Self::IndexExhausted,
        }
    }
}

/// Unprotects what the other side of a transport sends, for all of its SSRCs.
pub struct Unprotect {
    profile: Profile,
    rtp: Transform,
    rtcp: Transform,
    rtp_streams: Streams,
    rtcp_streams: Streams,
}

impl Unprotect {
    /// Derives the session keys of the side whose master key this is: the peer's.
    ///
    /// # Panics
    ///
    /// If the master key or salt has not the profile's length.
    pub fn new(profile: Profile, master: &MasterKey) -> Self {
        let keys = master.derivation(profile);
        Self {
            profile,
            rtp: Transform::rtp(profile, &keys),
            rtcp: Transform::rtcp(profile, &keys),
            rtp_streams: Streams::default(),
            rtcp_streams: Streams::default(),
        }
    }

    /// Unprotects the SRTP packet that fills `packet` and returns the length of the RTP packet at its start.
    ///
    /// A new SSRC starts at rollover counter 0 and is remembered, with at most 63 others, only once a packet of it was
    /// authentic; the least recently used makes room.
    ///
    /// # Errors
    ///
    /// Any [`UnprotectError`] but [`UnprotectError::Unencrypted`]; nothing is remembered of the packet then.
    pub fn unprotect_rtp(&mut self, packet: &mut [u8]) -> Result<usize, UnprotectError> {
        let len = without_overhead(packet, self.profile.rtp_overhead())?;
        let header = RtpHeader::parse(&packet[..len]).ok_or(UnprotectError::Malformed)?;
        let index = match self.rtp_streams.window(header.ssrc) {
            Some(window) => guess_new(window, header.sequence_number)?,
            None => header.sequence_number.into(),
        };
        let id = PacketId { ssrc: header.ssrc, index };
        self.rtp.open_rtp(packet, header.len, id).map_err(|_| UnprotectError::Authentication)?;
        self.rtp_streams.accept(header.ssrc, index);
        Ok(len)
    }

    /// Unprotects the SRTCP packet that fills `packet` and returns the length of the RTCP packet at its start.
    ///
    /// # Errors
    ///
    /// Any [`UnprotectError`] but [`UnprotectError::IndexExhausted`]; nothing is remembered of the packet then.
    pub fn unprotect_rtcp(&mut self, packet: &mut [u8]) -> Result<usize, UnprotectError> {
        let len = without_overhead(packet, self.profile.rtcp_overhead())?;
        let ssrc = rtcp_sender(&packet[..len]).ok_or(UnprotectError::Malformed)?;
        let word = self.rtcp.srtcp_word(packet);
        if word & ENCRYPTED == 0 {
            return Err(UnprotectError::Unencrypted);
        }
        let index = u64::from(word & !ENCRYPTED);
        if let Some(window) = self.rtcp_streams.window(ssrc) {
            window.check(index)?;
        }
        self.rtcp.open_rtcp(packet, PacketId { ssrc, index }).map_err(|_| UnprotectError::Authentication)?;
        self.rtcp_streams.accept(ssrc, index);
        Ok(len)
    }
}

impl fmt::Debug for Unprotect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unprotect").field("profile", &self.profile).finish_non_exhaustive()
    }
}

fn guess_new(window: &ReplayWindow, sequence_number: u16) -> Result<u64, UnprotectError> {
    let index = index::guess(window.highest(), sequence_number)?;
    window.check(index)?;
    Ok(index)
}

/// The length that is left of a protected packet of a credible length.
fn without_overhead(packet: &[u8], overhead: usize) -> Result<usize, UnprotectError> {
    if packet.len() > MAX_PACKET_LEN {
        return Err(UnprotectError::Malformed);
    }
    packet.len().checked_sub(overhead).ok_or(UnprotectError::Malformed)
}
