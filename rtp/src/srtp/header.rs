//! What protection needs of a packet's header (RFC 3550 §5.1, §5.3.1, §6.4.1): where it ends and whose it is.
//!
//! Everything else about the header is the packet parser's.

/// The fields of an RTP header that choose the key stream, and the header's length with CSRCs and extension.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RtpHeader {
    pub(super) len: usize,
    pub(super) sequence_number: u16,
    pub(super) ssrc: u32,
}

impl RtpHeader {
    /// `None` unless `packet` is RTP version 2 and holds its whole header.
    pub(super) fn parse(packet: &[u8]) -> Option<Self> {
        let fixed = packet.first_chunk::<12>().filter(|fixed| is_version_2(fixed[0]))?;
        let csrcs_end = 12 + 4 * usize::from(fixed[0] & 0x0f);
        let len = match fixed[0] & 0x10 {
            0 => csrcs_end,
            _ => {
                let [_, _, high, low] = *packet.get(csrcs_end..)?.first_chunk::<4>()?;
                csrcs_end + 4 + 4 * usize::from(u16::from_be_bytes([high, low]))
            }
        };
        (len <= packet.len()).then_some(Self {
            len,
            sequence_number: u16::from_be_bytes([fixed[2], fixed[3]]),
            ssrc: u32::from_be_bytes([fixed[8], fixed[9], fixed[10], fixed[11]]),
        })
    }
}

/// Octets of the first RTCP packet's header with the sender's SSRC, which SRTCP leaves in the clear.
pub(super) const RTCP_HEADER_LEN: usize = 8;

/// The sender's SSRC of a compound RTCP packet; `None` unless `packet` is version 2 and holds its first 8 octets.
pub(super) fn rtcp_sender(packet: &[u8]) -> Option<u32> {
    let header = packet.first_chunk::<RTCP_HEADER_LEN>().filter(|header| is_version_2(header[0]))?;
    Some(u32::from_be_bytes([header[4], header[5], header[6], header[7]]))
}

fn is_version_2(first: u8) -> bool {
    first >> 6 == 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_length_counts_csrcs_and_extension() {
        let mut packet = [0u8; 40];
        packet[0] = 0x80 | 0x10 | 2;
        packet[23] = 3; // the extension's length in words, after 12 + 8 octets and the profile's two
        assert_eq!(RtpHeader::parse(&packet).map(|header| header.len), Some(12 + 8 + 4 + 12));
        assert_eq!(RtpHeader::parse(&packet[..35]), None);
    }

    #[test]
    fn a_header_that_ends_early_is_none_at_every_length() {
        let mut packet = [0xffu8; 76];
        packet[0] = 0x9f;
        for len in 0..packet.len() {
            assert_eq!(RtpHeader::parse(&packet[..len]), None, "{len}");
        }
        packet[0] = 0x0f;
        assert_eq!(RtpHeader::parse(&packet), None, "version 0");
    }
}
