//! H265 payloads (RFC 7798), as far as keyframes show in them.

const AGGREGATION: u8 = 48;
const FRAGMENTATION: u8 = 49;

/// Whether the packet begins a keyframe: an IRAP picture's first packet, or the parameter sets that go before one.
pub(super) fn is_keyframe(payload: &[u8]) -> bool {
    match *payload {
        [header, _, ref units @ ..] if kind(header) == AGGREGATION => super::h264::nal_headers(units).any(begins),
        [header, _, fu, ..] if kind(header) == FRAGMENTATION => fu & 0x80 != 0 && begins((fu & 0x3f) << 1),
        [header, _, ..] => begins(header),
        _ => false,
    }
}

fn kind(header: u8) -> u8 {
    header >> 1 & 0x3f
}

/// IRAP pictures are 16 to 23, VPS, SPS and PPS 32 to 34 (H.265 table 7-1).
fn begins(header: u8) -> bool {
    matches!(kind(header), 16..=23 | 32..=34)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn irap_pictures_and_parameter_sets_are_found_in_every_packetization() {
        assert!(is_keyframe(&[19 << 1, 1, 0]));
        assert!(is_keyframe(&[32 << 1, 1, 0]));
        assert!(is_keyframe(&[48 << 1, 1, 0, 1, 33 << 1]));
        assert!(is_keyframe(&[49 << 1, 1, 0x80 | 20]));
        assert!(!is_keyframe(&[49 << 1, 1, 20]));
        assert!(!is_keyframe(&[1 << 1, 1, 0]));
        assert!(!is_keyframe(&[19 << 1]));
    }
}
