//! VP8's picture numbers (RFC 7741 §4.2) on a viewer's track: continuous over layers and publishers, as decoders take a jump for loss.

use crate::forward::Epoch;
use oneport_rtp::payload::Vp8Numbers;

/// What is added to the numbers of an epoch, and where they have come to.
#[derive(Default, Debug)]
pub(super) struct PictureNumbers {
    epoch: Option<Epoch>,
    picture_id_offset: u16,
    tl0_offset: u8,
    last_picture_id: Option<u16>,
    last_tl0: u8,
}

impl PictureNumbers {
    /// Rewrites the numbers of a payload that is sent for the first time.
    pub(super) fn rewrite(&mut self, epoch: Epoch, payload: &mut [u8]) {
        let Some(numbers) = Vp8Numbers::find(payload) else { return };
        let (id, modulus) = numbers.picture_id(payload).unwrap_or((0, 0x8000));
        let tl0 = numbers.tl0_pic_idx(payload).unwrap_or_default();
        if self.epoch != Some(epoch) {
            self.epoch = Some(epoch);
            if let Some(last) = self.last_picture_id {
                self.picture_id_offset = last.wrapping_add(1).wrapping_sub(id);
                self.tl0_offset = self.last_tl0.wrapping_add(1).wrapping_sub(tl0);
            }
        }
        let id = self.apply(&numbers, payload);
        let tl0 = tl0.wrapping_add(self.tl0_offset);
        // A late packet does not set them back.
        let ahead = self.last_picture_id.is_none_or(|last| (id.wrapping_sub(last) & (modulus - 1)) < modulus / 2);
        if ahead {
            (self.last_picture_id, self.last_tl0) = (Some(id), tl0);
        }
    }

    /// Rewrites the numbers of a payload that is sent again, as it was the first time; false when that is not known any more.
    pub(super) fn repeat(&self, epoch: Epoch, payload: &mut [u8]) -> bool {
        let is_known = self.epoch == Some(epoch);
        if let Some(numbers) = Vp8Numbers::find(payload).filter(|_| is_known) {
            self.apply(&numbers, payload);
        }
        is_known
    }

    fn apply(&self, numbers: &Vp8Numbers, payload: &mut [u8]) -> u16 {
        let (id, modulus) = numbers.picture_id(payload).unwrap_or((0, 0x8000));
        let tl0 = numbers.tl0_pic_idx(payload).unwrap_or_default();
        let id = id.wrapping_add(self.picture_id_offset) & (modulus - 1);
        numbers.write(payload, id, tl0.wrapping_add(self.tl0_offset));
        id
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::SessionId;

    fn payload(id: u16, tl0: u8) -> [u8; 6] {
        [0x90, 0xc0, 0x80 | (id >> 8) as u8, id as u8, tl0, 0x10]
    }

    #[test]
    fn numbers_go_on_over_epochs_and_wraps() {
        let mut numbers = PictureNumbers::default();
        let mut expected = (0x7ffeu16, 254u8);
        for (publisher, first) in [(1, 0x7ffe), (2, 5), (3, 0x7fff)] {
            for n in 0..5u16 {
                let mut bytes = payload((first + n) & 0x7fff, (first + n) as u8);
                numbers.rewrite((SessionId(publisher), 0), &mut bytes);
                assert_eq!(bytes, payload(expected.0, expected.1), "{publisher} {n}");
                expected = ((expected.0 + 1) & 0x7fff, expected.1.wrapping_add(1));
            }
        }
    }

    #[test]
    fn a_late_packet_and_a_repeated_one_have_their_own_numbers() {
        let mut numbers = PictureNumbers::default();
        let epoch = (SessionId(1), 0);
        for id in [10, 12, 11, 13] {
            let mut bytes = payload(id, 1);
            numbers.rewrite(epoch, &mut bytes);
            assert_eq!(bytes, payload(id, 1));
        }
        let mut bytes = payload(500, 7);
        numbers.rewrite((SessionId(2), 0), &mut bytes);
        assert_eq!(bytes, payload(14, 2));
        let mut again = payload(500, 7);
        assert!(numbers.repeat((SessionId(2), 0), &mut again));
        assert_eq!(again, payload(14, 2));
        assert!(!numbers.repeat(epoch, &mut payload(13, 1)));
    }
}
