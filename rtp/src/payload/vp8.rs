//! VP8 payloads (RFC 7741): where keyframes begin, and the picture numbers that decoders go by.

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

/// Where the picture numbers of a packet stand.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Vp8Numbers {
    /// PictureID: its place in the payload, and whether it has 15 bits instead of 7.
    picture_id: Option<(usize, bool)>,
    tl0_pic_idx: Option<usize>,
}

impl Vp8Numbers {
    /// Those of a payload; `None` when its descriptor is cut off.
    pub fn find(payload: &[u8]) -> Option<Vp8Numbers> {
        let none = Vp8Numbers { picture_id: None, tl0_pic_idx: None };
        if payload.first()? & 0x80 == 0 {
            return Some(none);
        }
        let extension = *payload.get(1)?;
        let mut at = 2;
        let mut numbers = none;
        if extension & 0x80 != 0 {
            let is_long = payload.get(at)? & 0x80 != 0;
            numbers.picture_id = Some((at, is_long));
            at += if is_long { 2 } else { 1 };
        }
        if extension & 0x40 != 0 {
            numbers.tl0_pic_idx = Some(at);
            at += 1;
        }
        (payload.len() >= at).then_some(numbers)
    }

    /// PictureID, and how many values it has.
    pub fn picture_id(&self, payload: &[u8]) -> Option<(u16, u16)> {
        let (at, is_long) = self.picture_id?;
        match is_long {
            true => Some((u16::from(payload.get(at)? & 0x7f) << 8 | u16::from(*payload.get(at + 1)?), 0x8000)),
            false => Some((u16::from(*payload.get(at)?), 0x80)),
        }
    }

    /// TL0PICIDX.
    pub fn tl0_pic_idx(&self, payload: &[u8]) -> Option<u8> {
        payload.get(self.tl0_pic_idx?).copied()
    }

    /// Writes both, as far as the payload has them.
    pub fn write(&self, payload: &mut [u8], picture_id: u16, tl0_pic_idx: u8) {
        match self.picture_id {
            Some((at, true)) => {
                if let Some(place) = payload.get_mut(at..at + 2) {
                    place.copy_from_slice(&(0x8000 | picture_id).to_be_bytes());
                }
            }
            Some((at, false)) => {
                if let Some(place) = payload.get_mut(at) {
                    *place = picture_id as u8 & 0x7f;
                }
            }
            None => {}
        }
        if let Some(place) = self.tl0_pic_idx.and_then(|at| payload.get_mut(at)) {
            *place = tl0_pic_idx;
        }
    }
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

    #[test]
    fn picture_numbers_are_found_and_rewritten() {
        let mut long = [0x90, 0xc0, 0x81, 0x23, 9, 0x10];
        let numbers = Vp8Numbers::find(&long).unwrap();
        assert_eq!((numbers.picture_id(&long), numbers.tl0_pic_idx(&long)), (Some((0x123, 0x8000)), Some(9)));
        numbers.write(&mut long, 0x7fff, 255);
        assert_eq!(long, [0x90, 0xc0, 0xff, 0xff, 255, 0x10]);
        let mut short = [0x90, 0x80, 0x23, 0x10];
        let numbers = Vp8Numbers::find(&short).unwrap();
        assert_eq!((numbers.picture_id(&short), numbers.tl0_pic_idx(&short)), (Some((0x23, 0x80)), None));
        numbers.write(&mut short, 0x80, 1);
        assert_eq!(short, [0x90, 0x80, 0, 0x10]);
        for len in 0..5 {
            assert_eq!(Vp8Numbers::find(&long[..len]), None);
        }
        let plain = Vp8Numbers::find(&[0x10, 0]).unwrap();
        assert_eq!(plain.picture_id(&[0x10, 0]), None);
    }
}
