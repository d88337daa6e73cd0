//! RTP packets (RFC 3550 §5.1): one parse to a borrowed view, and the same packet written anew under a viewer's header.
//!
//! ```text
//!  |V=2|P|X| CC |M|  PT  | sequence number |   timestamp   |   SSRC   | CSRCs | extension | payload | padding |
//! ```

use crate::extension::{ExtensionMap, Extensions};
use crate::ids::{PayloadType, Ssrc};
use crate::seq::SeqNo;

/// Bytes of the header without CSRCs and extension.
pub const FIXED_HEADER: usize = 12;

/// Why bytes are no RTP packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum RtpError {
    /// They end within the header.
    #[error("too short")]
    TooShort,
    /// The version is not 2.
    #[error("version is not 2")]
    Version,
    /// The padding's count is zero or goes beyond the payload.
    #[error("wrong padding")]
    Padding,
    /// A buffer to write to is too small.
    #[error("no room")]
    NoRoom,
}

/// Whether an RTP or RTCP packet, by its first byte, is RTCP (RFC 5761 §4).
pub fn is_rtcp(packet: &[u8]) -> bool {
    matches!(packet, [_, 192..=223, ..])
}

/// A plaintext packet, parsed and borrowed.
#[derive(Clone, Copy, Debug)]
pub struct RtpPacket<'a> {
    bytes: &'a [u8],
    csrcs_end: usize,
    /// Where header, CSRCs and extensions end.
    head: usize,
    extensions: Extensions<'a>,
    payload: &'a [u8],
}

impl<'a> RtpPacket<'a> {
    /// Parses a packet.
    pub fn parse(bytes: &'a [u8]) -> Result<RtpPacket<'a>, RtpError> {
        let first = *bytes.first().ok_or(RtpError::TooShort)?;
        if first >> 6 != 2 {
            return Err(RtpError::Version);
        }
        let csrcs_end = FIXED_HEADER + 4 * usize::from(first & 0x0f);
        let rest = bytes.get(csrcs_end..).ok_or(RtpError::TooShort)?;
        let (extensions, rest) = match first & 0x10 {
            0 => (Extensions::NONE, rest),
            _ => Extensions::parse(rest).ok_or(RtpError::TooShort)?,
        };
        let head = bytes.len() - rest.len();
        let payload = match first & 0x20 {
            0 => rest,
            _ => without_padding(rest)?,
        };
        Ok(RtpPacket { bytes, csrcs_end, head, extensions, payload })
    }

    /// The marker bit.
    pub fn marker(&self) -> bool {
        self.bytes[1] & 0x80 != 0
    }

    /// The payload type.
    pub fn payload_type(&self) -> PayloadType {
        PayloadType(self.bytes[1] & 0x7f)
    }

    /// The sequence number.
    pub fn seq(&self) -> SeqNo {
        SeqNo(u16::from_be_bytes([self.bytes[2], self.bytes[3]]))
    }

    /// The timestamp.
    pub fn timestamp(&self) -> u32 {
        u32::from_be_bytes([self.bytes[4], self.bytes[5], self.bytes[6], self.bytes[7]])
    }

    /// The source.
    pub fn ssrc(&self) -> Ssrc {
        Ssrc(u32::from_be_bytes([self.bytes[8], self.bytes[9], self.bytes[10], self.bytes[11]]))
    }

    /// The header extensions.
    pub fn extensions(&self) -> Extensions<'a> {
        self.extensions
    }

    /// Everything before the payload: header, CSRCs and extensions.
    pub fn head(&self) -> &'a [u8] {
        &self.bytes[..self.head]
    }

    /// The same packet with a part of its payload alone.
    #[must_use]
    pub fn with_payload(self, payload: &'a [u8]) -> RtpPacket<'a> {
        RtpPacket { payload, ..self }
    }

    /// The payload, without padding.
    pub fn payload(&self) -> &'a [u8] {
        self.payload
    }

    /// The whole packet.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The length of the whole packet.
    #[allow(clippy::len_without_is_empty, reason = "a packet has at least its header")]
    pub fn len(&self) -> usize {
        self.bytes.len()
    }
}

fn without_padding(rest: &[u8]) -> Result<&[u8], RtpError> {
    let count = usize::from(*rest.last().ok_or(RtpError::Padding)?);
    let end = rest.len().checked_sub(count).filter(|_| count > 0).ok_or(RtpError::Padding)?;
    Ok(&rest[..end])
}

/// What a viewer's copy has in place of the publisher's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RtpHeader {
    /// The marker bit.
    pub marker: bool,
    /// The payload type.
    pub payload_type: PayloadType,
    /// The sequence number.
    pub seq: SeqNo,
    /// The timestamp.
    pub timestamp: u32,
    /// The source.
    pub ssrc: Ssrc,
}

/// Writes `packet` to `out` under `header`, its extensions' ids mapped by `map` behind those that are `own`, its CSRCs kept, its
/// padding left out. Returns where the payload begins, and the length.
pub fn rewrite(
    out: &mut [u8],
    packet: &RtpPacket<'_>,
    header: &RtpHeader,
    map: &ExtensionMap,
    own: &[(u8, &[u8])],
) -> Result<(usize, usize), RtpError> {
    let csrcs_end = packet.csrcs_end;
    let (fixed, rest) = out.split_at_mut_checked(csrcs_end).ok_or(RtpError::NoRoom)?;
    let extension = map.write(packet.extensions, own, rest).ok_or(RtpError::NoRoom)?;
    fixed[0] = 0x80 | packet.bytes[0] & 0x0f | if extension > 0 { 0x10 } else { 0 };
    fixed[1] = header.payload_type.0 & 0x7f | if header.marker { 0x80 } else { 0 };
    fixed[2..4].copy_from_slice(&header.seq.0.to_be_bytes());
    fixed[4..8].copy_from_slice(&header.timestamp.to_be_bytes());
    fixed[8..12].copy_from_slice(&header.ssrc.0.to_be_bytes());
    fixed[12..].copy_from_slice(&packet.bytes[FIXED_HEADER..csrcs_end]);
    let payload = rest.get_mut(extension..extension + packet.payload.len()).ok_or(RtpError::NoRoom)?;
    payload.copy_from_slice(packet.payload);
    Ok((csrcs_end + extension, csrcs_end + extension + packet.payload.len()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::Mid;

    const HEADER: RtpHeader =
        RtpHeader { marker: false, payload_type: PayloadType(100), seq: SeqNo(7), timestamp: 8, ssrc: Ssrc(9) };

    /// Marker, payload type 96, one CSRC, a one-byte extension 3 of two bytes, payload "hello", 3 bytes of padding.
    fn sample() -> Vec<u8> {
        let mut bytes = vec![0xb1, 0xe0, 0x12, 0x34, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3];
        bytes.extend([0xbe, 0xde, 0, 1, 0x31, 0xaa, 0xbb, 0]);
        bytes.extend(*b"hello");
        bytes.extend([0, 0, 3]);
        bytes
    }

    #[test]
    fn every_field_is_read() {
        let bytes = sample();
        let packet = RtpPacket::parse(&bytes).unwrap();
        assert!(packet.marker());
        assert_eq!(packet.payload_type(), PayloadType(96));
        assert_eq!(packet.seq(), SeqNo(0x1234));
        assert_eq!((packet.timestamp(), packet.ssrc()), (1, Ssrc(2)));
        assert_eq!(packet.extensions().find(3), Some(&[0xaa, 0xbb][..]));
        assert_eq!(packet.payload(), b"hello");
    }

    #[test]
    fn a_copy_has_the_viewers_header_and_the_publishers_payload() {
        let bytes = sample();
        let packet = RtpPacket::parse(&bytes).unwrap();
        let mut map = ExtensionMap::default().with_mid(5, Mid::new(b"v").unwrap());
        map.insert(3, 12);
        let mut out = [0; 100];
        let (_, len) = rewrite(&mut out, &packet, &HEADER, &map, &[]).unwrap();
        let copy = RtpPacket::parse(&out[..len]).unwrap();
        assert!(!copy.marker());
        assert_eq!((copy.payload_type(), copy.seq(), copy.timestamp()), (PayloadType(100), SeqNo(7), 8));
        assert_eq!(copy.ssrc(), Ssrc(9));
        assert_eq!(out[12..16], [0, 0, 0, 3], "CSRCs are kept");
        assert_eq!(copy.extensions().find(12), Some(&[0xaa, 0xbb][..]));
        assert_eq!(copy.extensions().find(5), Some(&b"v"[..]));
        assert_eq!(copy.extensions().find(3), None);
        assert_eq!(copy.payload(), b"hello");
    }

    #[test]
    fn extensions_that_nobody_negotiated_leave_no_trace() {
        let bytes = sample();
        let packet = RtpPacket::parse(&bytes).unwrap();
        let mut out = [0; 100];
        let (_, len) = rewrite(&mut out, &packet, &HEADER, &ExtensionMap::default(), &[]).unwrap();
        assert_eq!(len, FIXED_HEADER + 4 + 5);
        assert_eq!(out[0], 0x81);
    }

    #[test]
    fn a_buffer_that_is_too_small_is_an_error_at_every_length() {
        let bytes = sample();
        let packet = RtpPacket::parse(&bytes).unwrap();
        let mut map = ExtensionMap::default();
        map.insert(3, 3);
        let mut out = [0; 100];
        let (_, len) = rewrite(&mut out, &packet, &HEADER, &map, &[]).unwrap();
        for room in 0..len {
            assert_eq!(rewrite(&mut out[..room], &packet, &HEADER, &map, &[]), Err(RtpError::NoRoom));
        }
        assert!(rewrite(&mut out[..len], &packet, &HEADER, &map, &[]).is_ok());
    }

    #[test]
    fn wrong_padding_is_an_error() {
        let mut bytes = sample();
        let last = bytes.len() - 1;
        for count in [0, 9, 255] {
            bytes[last] = count;
            assert_eq!(RtpPacket::parse(&bytes).unwrap_err(), RtpError::Padding);
        }
    }

    #[test]
    fn no_prefix_and_no_mutation_does_harm() {
        let bytes = sample();
        let map = ExtensionMap::default().with_mid(5, Mid::new(b"v").unwrap());
        let mut out = [0; 2000];
        for len in 0..FIXED_HEADER + 4 + 8 {
            assert!(RtpPacket::parse(&bytes[..len]).is_err());
        }
        let mut state = 7u32;
        for _ in 0..50_000 {
            let mut mutated = bytes.clone();
            for _ in 0..4 {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let at = (state >> 8) as usize % mutated.len();
                mutated[at] = (state >> 24) as u8;
            }
            if let Ok(packet) = RtpPacket::parse(&mutated) {
                let (_, len) = rewrite(&mut out, &packet, &HEADER, &map, &[]).unwrap();
                assert_eq!(RtpPacket::parse(&out[..len]).unwrap().payload(), packet.payload());
            }
        }
    }
}
