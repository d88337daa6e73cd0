//! AV1 payloads (RTP Payload Format For AV1, section 4), as far as keyframes show in them.

/// Whether the packet begins a coded video sequence, which a keyframe does: the N bit of the aggregation header.
pub(super) fn is_keyframe(payload: &[u8]) -> bool {
    payload.first().is_some_and(|aggregation| aggregation & 0x08 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_n_bit_says_it() {
        assert!(is_keyframe(&[0x18]));
        assert!(!is_keyframe(&[0x10]));
        assert!(!is_keyframe(&[]));
    }
}
