//! H264 payloads (RFC 6184), as far as keyframes show in them.

const NAL_IDR: u8 = 5;
const NAL_SPS: u8 = 7;
const STAP_A: u8 = 24;
const FU_A: u8 = 28;

/// Whether the packet begins a keyframe: an IDR slice's first packet, or the parameter sets that go before one.
pub(super) fn is_keyframe(payload: &[u8]) -> bool {
    let begins = |header: u8| matches!(header & 0x1f, NAL_IDR | NAL_SPS);
    match *payload {
        [header, ref units @ ..] if header & 0x1f == STAP_A => nal_headers(units).any(begins),
        [indicator, header, ..] if indicator & 0x1f == FU_A => header & 0x80 != 0 && begins(header),
        [header, ..] => begins(header),
        [] => false,
    }
}

/// The first byte of each unit of an aggregation: units of two bytes of length and as many of NAL.
pub(super) fn nal_headers(mut units: &[u8]) -> impl Iterator<Item = u8> {
    std::iter::from_fn(move || {
        let (len, rest) = units.split_first_chunk::<2>()?;
        let (unit, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*len)))?;
        units = rest;
        unit.first().copied()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idr_and_sps_are_found_in_every_packetization() {
        assert!(is_keyframe(&[0x65, 1]));
        assert!(is_keyframe(&[0x67, 1]));
        assert!(is_keyframe(&[0x78, 0, 2, 0x68, 1, 0, 1, 0x65]));
        assert!(is_keyframe(&[0x7c, 0x85]));
        assert!(!is_keyframe(&[0x7c, 0x05]), "the middle of one is not its beginning");
        assert!(!is_keyframe(&[0x41, 1]));
        assert!(!is_keyframe(&[0x78, 0, 2, 0x41, 1, 0, 9, 0x65]), "a unit that is cut off");
    }
}
