//! The sending half: RTP and RTCP to SRTP and SRTCP, in place.

use std::fmt;

use super::cipher::{MAX_PACKET_LEN, PacketId, Transform};
use super::header::{RtpHeader, rtcp_sender};
use super::index;
use super::kdf::MasterKey;
use super::profile::Profile;

/// Why a packet was not protected. But after [`Cipher`](Self::Cipher), the buffer is as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProtectError {
    /// The packet is not RTP or RTCP of version 2, or ends within its header.
    #[error("not a whole RTP or RTCP packet")]
    Malformed,
    /// The buffer has no room for the packet with its tag.
    #[error("no room for the tag")]
    NoRoom,
    /// The protected packet would be longer than a UDP datagram can be.
    #[error("the packet is longer than a datagram")]
    TooLong,
    /// All 2^31 SRTCP indices are used; only new keys help (RFC 3711 §9.2).
    #[error("the SRTCP index is used up")]
    IndexExhausted,
    /// The cryptographic library refused; with keys and lengths checked, it has no reason to.
    #[error("the cipher failed")]
    Cipher,
}

/// Protects what one side of a transport sends, for all of its SSRCs.
pub struct Protect {
    profile: Profile,
    rtp: Transform,
    rtcp: Transform,
    /// The next SRTCP index. One counter serves all SSRCs: their indices may have gaps, and the SSRC is in the nonce.
    rtcp_index: u32,
}

impl Protect {
    /// Derives the session keys of the side whose master key this is.
    ///
    /// # Panics
    ///
    /// If the master key or salt has not the profile's length.
    pub fn new(profile: Profile, master: &MasterKey) -> Self {
        let keys = master.derivation(profile);
        Self { profile, rtp: Transform::rtp(profile, &keys), rtcp: Transform::rtcp(profile, &keys), rtcp_index: 0 }
    }

    /// Protects the RTP packet in `packet[..len]` and returns its new length, [`Profile::rtp_overhead`] longer.
    ///
    /// `roc` is the rollover counter of the packet's sequence number. Of one SSRC, no sequence number may be protected
    /// twice under the same `roc` unless the packet is the same octet for octet: the key stream would be too.
    ///
    /// # Errors
    ///
    /// [`ProtectError::Malformed`], [`ProtectError::NoRoom`] or [`ProtectError::TooLong`].
    pub fn protect_rtp(&mut self, packet: &mut [u8], len: usize, roc: u32) -> Result<usize, ProtectError> {
        let packet = with_room(packet, len, self.profile.rtp_overhead())?;
        let header = RtpHeader::parse(&packet[..len]).ok_or(ProtectError::Malformed)?;
        let id = PacketId { ssrc: header.ssrc, index: index::join(roc, header.sequence_number) };
        self.rtp.seal_rtp(packet, header.len, id).map_err(|_| ProtectError::Cipher)?;
        Ok(packet.len())
    }

    /// Protects the compound RTCP packet in `packet[..len]` under the next SRTCP index and returns its new length,
    /// [`Profile::rtcp_overhead`] longer.
    ///
    /// # Errors
    ///
    /// As [`protect_rtp`](Self::protect_rtp), and [`ProtectError::IndexExhausted`] after 2^31 packets.
    pub fn protect_rtcp(&mut self, packet: &mut [u8], len: usize) -> Result<usize, ProtectError> {
        let packet = with_room(packet, len, self.profile.rtcp_overhead())?;
        let ssrc = rtcp_sender(&packet[..len]).ok_or(ProtectError::Malformed)?;
        if self.rtcp_index >> 31 != 0 {
            return Err(ProtectError::IndexExhausted);
        }
        let id = PacketId { ssrc, index: self.rtcp_index.into() };
        // Counted before it is used: whatever the cipher answers, an index never serves twice.
        self.rtcp_index += 1;
        self.rtcp.seal_rtcp(packet, id).map_err(|_| ProtectError::Cipher)?;
        Ok(packet.len())
    }
}

impl fmt::Debug for Protect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Protect").field("profile", &self.profile).finish_non_exhaustive()
    }
}

/// The part of the buffer that the protected packet will fill.
fn with_room(packet: &mut [u8], len: usize, overhead: usize) -> Result<&mut [u8], ProtectError> {
    let protected_len = len.checked_add(overhead).ok_or(ProtectError::TooLong)?;
    if protected_len > MAX_PACKET_LEN {
        return Err(ProtectError::TooLong);
    }
    packet.get_mut(..protected_len).ok_or(ProtectError::NoRoom)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_srtcp_index_serves_twice() {
        let mut protect = Protect::new(Profile::Aes128CmSha1_80, &MasterKey::new(&[1; 16], &[2; 14]));
        protect.rtcp_index = (1 << 31) - 1;
        let mut packet = [0x80; 40];
        assert_eq!(protect.protect_rtcp(&mut packet, 8), Ok(22));
        assert_eq!(packet[8..12], [0xff; 4], "the E flag and the last index");
        assert_eq!(protect.protect_rtcp(&mut packet, 8), Err(ProtectError::IndexExhausted));
        assert_eq!(protect.protect_rtcp(&mut packet, 8), Err(ProtectError::IndexExhausted));
    }
}
