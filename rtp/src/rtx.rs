//! Retransmission streams (RFC 4588 §4): the original payload behind its own sequence number (OSN).

use crate::ids::{PayloadType, Ssrc};
use crate::packet::{FIXED_HEADER, RtpPacket};
use crate::seq::SeqNo;

/// Bytes of the OSN.
pub const OSN: usize = 2;

/// The number and payload of the original packet; `None` for a packet without them, such as the padding that senders probe with.
pub fn original<'a>(packet: &RtpPacket<'a>) -> Option<(SeqNo, &'a [u8])> {
    let (osn, payload) = packet.payload().split_first_chunk::<OSN>()?;
    (!payload.is_empty()).then_some((SeqNo(u16::from_be_bytes(*osn)), payload))
}

/// Writes the original packet of a retransmission to `out`, under the payload type and source that it had. Its number; `None` for one
/// that holds none.
pub fn restore(packet: &RtpPacket<'_>, payload_type: PayloadType, ssrc: Ssrc, out: &mut Vec<u8>) -> Option<SeqNo> {
    let (seq, payload) = original(packet)?;
    out.clear();
    out.extend_from_slice(packet.head());
    out.extend_from_slice(payload);
    // Padding is none of the original's.
    out[0] &= !0x20;
    out[1] = out[1] & 0x80 | payload_type.0;
    out[2..4].copy_from_slice(&seq.0.to_be_bytes());
    out[8..12].copy_from_slice(&ssrc.0.to_be_bytes());
    Some(seq)
}

/// Makes a written packet, header and payload from `payload_start` on, a retransmission: the OSN goes in front of the payload. The new
/// length, or `None` when there is no room.
pub fn wrap(out: &mut [u8], payload_start: usize, len: usize, osn: SeqNo) -> Option<usize> {
    if payload_start < FIXED_HEADER || payload_start > len || out.len() < len + OSN {
        return None;
    }
    out.copy_within(payload_start..len, payload_start + OSN);
    out[payload_start..payload_start + OSN].copy_from_slice(&osn.0.to_be_bytes());
    Some(len + OSN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrapped_comes_out_again() {
        let mut bytes = vec![0x80, 97, 0, 1, 0, 0, 0, 0, 0, 0, 0, 9, 1, 2, 3];
        let len = bytes.len();
        bytes.resize(len + OSN, 0);
        assert_eq!(wrap(&mut bytes, FIXED_HEADER, len, SeqNo(0x1234)), Some(len + OSN));
        let packet = RtpPacket::parse(&bytes).unwrap();
        assert_eq!(original(&packet), Some((SeqNo(0x1234), &[1, 2, 3][..])));
        let mut restored = Vec::new();
        assert_eq!(restore(&packet, PayloadType(96), Ssrc(5), &mut restored), Some(SeqNo(0x1234)));
        assert_eq!(restored, [0x80, 96, 0x12, 0x34, 0, 0, 0, 0, 0, 0, 0, 5, 1, 2, 3]);
        assert_eq!(wrap(&mut bytes, FIXED_HEADER, len + OSN, SeqNo(1)), None, "no room");
    }

    #[test]
    fn probes_are_no_retransmissions() {
        let probe = [0xa0, 97, 0, 1, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 3];
        assert_eq!(original(&RtpPacket::parse(&probe).unwrap()), None);
        let empty = [0x80, 97, 0, 1, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0];
        assert_eq!(original(&RtpPacket::parse(&empty).unwrap()), None);
    }
}
