//! Sequence numbers: as they stand on the wire, and extended by the wraps they have gone through.

/// 16 bits, as in the header.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct SeqNo(pub u16);

/// Extended: the upper bits count the wraps, which are SRTP's rollover counter (RFC 3711 §3.3.1).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ExtSeq(pub u64);

impl ExtSeq {
    /// What goes into the header.
    pub fn wire(self) -> SeqNo {
        SeqNo(self.0 as u16)
    }

    /// The rollover counter.
    pub fn roc(self) -> u32 {
        (self.0 >> 16) as u32
    }

    /// The extended number that is nearest to this one and looks like `seq` on the wire. Never below zero.
    pub fn nearest(self, seq: SeqNo) -> ExtSeq {
        let forward = seq.0.wrapping_sub(self.0 as u16);
        let candidate = match forward {
            0..0x8000 => self.0.checked_add(u64::from(forward)),
            _ => self.0.checked_sub(u64::from(forward.wrapping_neg())),
        };
        ExtSeq(candidate.unwrap_or(u64::from(seq.0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_number_is_taken_across_the_wrap() {
        assert_eq!(ExtSeq(0x1_fff0).nearest(SeqNo(5)), ExtSeq(0x2_0005));
        assert_eq!(ExtSeq(0x2_0005).nearest(SeqNo(0xfff0)), ExtSeq(0x1_fff0));
        assert_eq!(ExtSeq(0x2_0005).nearest(SeqNo(5)), ExtSeq(0x2_0005));
    }

    #[test]
    fn there_is_nothing_before_zero() {
        assert_eq!(ExtSeq(3).nearest(SeqNo(0xfff0)), ExtSeq(0xfff0));
    }

    #[test]
    fn extended_numbers_count_every_wrap() {
        let mut last = ExtSeq(65_000);
        for step in 1..1_000_000u64 {
            last = last.nearest(SeqNo((65_000 + step) as u16));
            assert_eq!(last, ExtSeq(65_000 + step));
        }
        assert_eq!(last.roc(), 16);
    }
}
