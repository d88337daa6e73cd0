//! VP9 payloads (RFC 9628), as far as keyframes show in them.

/// Whether the packet begins a keyframe: the beginning of a frame that is not predicted from earlier ones, in the lowest spatial layer.
pub(super) fn is_keyframe(payload: &[u8]) -> bool {
    let Some((&first, rest)) = payload.split_first() else { return false };
    let predicted = first & 0x40 != 0;
    let begins = first & 0x08 != 0;
    if predicted || !begins {
        return false;
    }
    spatial_layer(first, rest) == Some(0)
}

fn spatial_layer(first: u8, rest: &[u8]) -> Option<u8> {
    let picture_id = match first & 0x80 {
        0 => 0,
        _ => 1 + usize::from(*rest.first()? >> 7),
    };
    match first & 0x20 {
        0 => Some(0),
        _ => rest.get(picture_id).map(|layers| layers >> 1 & 0x07),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_beginning_of_an_unpredicted_base_layer_counts() {
        assert!(is_keyframe(&[0x08, 0]));
        assert!(!is_keyframe(&[0x48, 0]), "predicted");
        assert!(!is_keyframe(&[0x00, 0]), "not the beginning");
        assert!(is_keyframe(&[0xa8, 0x81, 0x23, 0x00]));
        assert!(!is_keyframe(&[0xa8, 0x81, 0x23, 0x02]), "spatial layer 1");
        assert!(!is_keyframe(&[0xa8, 0x81]));
    }
}
