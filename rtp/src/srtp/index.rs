//! The receiver's guess of a packet's 48-bit index from its 16-bit sequence number (RFC 3711 §3.3.1, appendix A).
//!
//! The RFC keeps ROC and s_l apart; here both are the highest authenticated index, `ROC || s_l`.

/// The index that `sequence_number` most probably stands for, `highest` being the highest one so far.
///
/// # Errors
///
/// The guess lies before the first index or behind the last, under which no packet can have been protected.
pub(super) fn guess(highest: u64, sequence_number: u16) -> Result<u64, OutOfRange> {
    const HALF: u16 = 1 << 15;
    let roc = (highest >> 16) as u32;
    let s_l = highest as u16;
    let roc = if s_l < HALF && sequence_number > s_l + HALF {
        roc.checked_sub(1).ok_or(OutOfRange::BeforeFirst)?
    } else if s_l >= HALF && sequence_number < s_l - HALF {
        roc.checked_add(1).ok_or(OutOfRange::BehindLast)?
    } else {
        roc
    };
    Ok(join(roc, sequence_number))
}

/// The packet index of a rollover counter and a sequence number.
pub(super) fn join(roc: u32, sequence_number: u16) -> u64 {
    u64::from(roc) << 16 | u64::from(sequence_number)
}

/// A guess that is no index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OutOfRange {
    /// The packet would precede the stream's first sequence number cycle.
    BeforeFirst,
    /// All 2^48 indices are used: the master key's life is over (RFC 3711 §9.2).
    BehindLast,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_order_packets_keep_the_cycle_and_a_wrap_starts_the_next() {
        assert_eq!(guess(join(3, 100), 101), Ok(join(3, 101)));
        assert_eq!(guess(join(3, 65_535), 0), Ok(join(4, 0)));
        assert_eq!(guess(join(3, 65_000), 20_000), Ok(join(4, 20_000)));
    }

    #[test]
    fn a_late_packet_from_before_the_wrap_is_of_the_cycle_before() {
        assert_eq!(guess(join(4, 2), 65_534), Ok(join(3, 65_534)));
        assert_eq!(guess(join(0, 2), 65_534), Err(OutOfRange::BeforeFirst));
    }

    #[test]
    fn half_the_range_decides_as_the_rfc_writes_it() {
        assert_eq!(guess(join(1, 0), 32_768), Ok(join(1, 32_768)));
        assert_eq!(guess(join(1, 0), 32_769), Ok(join(0, 32_769)));
        assert_eq!(guess(join(1, 32_768), 0), Ok(join(1, 0)));
        assert_eq!(guess(join(1, 32_769), 0), Ok(join(2, 0)));
    }

    #[test]
    fn the_last_cycle_does_not_wrap() {
        assert_eq!(guess(join(u32::MAX, 65_535), 0), Err(OutOfRange::BehindLast));
    }
}
