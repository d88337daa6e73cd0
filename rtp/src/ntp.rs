//! NTP timestamps as RTCP carries them (RFC 3550 §4).

use std::time::Duration;

/// 32 bits of seconds since 1900 and 32 bits of fraction. Arithmetic wraps, as the era does in 2036.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct NtpTime(pub u64);

impl NtpTime {
    /// The middle 32 bits: what LSR and DLSR count in, 1/65536 s.
    pub fn middle(self) -> u32 {
        (self.0 >> 16) as u32
    }

    /// Later by `duration`.
    pub fn after(self, duration: Duration) -> NtpTime {
        let fraction = (u64::from(duration.subsec_nanos()) << 32) / 1_000_000_000;
        NtpTime(self.0.wrapping_add((duration.as_secs() << 32).wrapping_add(fraction)))
    }
}

/// A duration in 1/65536 s, as DLSR has it; what is longer than 18 hours is cut off.
pub fn compact(duration: Duration) -> u32 {
    u32::try_from(duration.as_nanos() * 65_536 / 1_000_000_000).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_goes_on_across_the_era() {
        let before = NtpTime(0xffff_ffff_8000_0000);
        assert_eq!(before.after(Duration::from_millis(500)), NtpTime(0));
        assert_eq!(NtpTime(0x1234_5678_9abc_def0).middle(), 0x5678_9abc);
    }

    #[test]
    fn a_delay_counts_in_65536ths() {
        assert_eq!(compact(Duration::from_millis(1500)), 98_304);
        assert_eq!(compact(Duration::from_secs(1 << 20)), u32::MAX);
    }
}
