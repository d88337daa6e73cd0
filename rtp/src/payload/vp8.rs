//! VP8 payloads (RFC 7741), as far as keyframes show in them.

/// Whether the packet begins a keyframe: the start of partition 0, whose first byte has the P bit clear.
pub(super) fn is_keyframe(payload: &[u8]) -> bool {
    let Some((&first, rest)) = payload.split_first() else { return false };
    let starts_partition_0 = first & 0x10 != 0 && first & 0x0f == 0;
    starts_partition_0 && frame(first, rest).is_some_and(|frame| frame[0] & 1 == 0)
}

/// What follows the descriptor; not empty.
fn frame(first: u8, rest: &[u8]) -> Option<&[u8]> {
    if first & 0x80 == 0 {
        return rest.get(..).filter(|frame| !frame.is_empty());
    }
    let (&extension, rest) = rest.split_first()?;
    let picture_id = match extension & 0x80 {
        0 => 0,
        // The M bit makes it two bytes.
        _ => 1 + usize::from(*rest.first()? >> 7),
    };
    let tl0picidx = usize::from(extension & 0x40 != 0);
    let tid_keyidx = usize::from(extension & 0x30 != 0);
    rest.get(picture_id + tl0picidx + tid_keyidx..).filter(|frame| !frame.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_p_bit_is_found_behind_every_descriptor() {
        assert!(is_keyframe(&[0x10, 0x00]));
        assert!(!is_keyframe(&[0x10, 0x01]));
        assert!(!is_keyframe(&[0x00, 0x00]), "not the start of a partition");
        assert!(!is_keyframe(&[0x11, 0x00]), "not partition 0");
        assert!(is_keyframe(&[0x90, 0x80, 0x81, 0x23, 0x10]));
        assert!(is_keyframe(&[0x90, 0xf0, 0x01, 9, 9, 0x10]));
        assert!(!is_keyframe(&[0x90, 0xf0, 0x01, 9, 9, 0x11]));
        for len in 0..5 {
            assert!(!is_keyframe(&[0x90, 0xf0, 0x01, 9, 9, 0x10][..len]));
        }
    }
}
