//! A publisher's own mapping of its media clock to wall-clock time, from its sender reports. Viewers' reports are made from it, never
//! from arrival times: jitter on the way in would move lips against sound.

use crate::ntp::NtpTime;
use std::time::Instant;

/// The mapping of one track.
#[derive(Clone, Copy, Default, Debug)]
pub struct SenderClock {
    last: Option<(Instant, NtpTime, u32)>,
}

impl SenderClock {
    /// A sender report came.
    pub fn on_report(&mut self, now: Instant, ntp: NtpTime, rtp_timestamp: u32) {
        self.last = Some((now, ntp, rtp_timestamp));
    }

    /// One instant near `now` on both clocks, the media clock's rate in Hz; `None` before the first report. Both are carried on by
    /// the same time, so that when the report came does not matter to their relation.
    pub fn at(&self, now: Instant, clock_rate: u32) -> Option<(NtpTime, u32)> {
        let (came, ntp, rtp_timestamp) = self.last?;
        let elapsed = now.saturating_duration_since(came);
        let ticks = elapsed.as_nanos() * u128::from(clock_rate) / 1_000_000_000;
        Some((ntp.after(elapsed), rtp_timestamp.wrapping_add(ticks as u32)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn both_clocks_go_on_by_the_same_time() {
        let now = Instant::now();
        let mut clock = SenderClock::default();
        assert_eq!(clock.at(now, 90_000), None);
        clock.on_report(now, NtpTime(5 << 32), u32::MAX);
        let later = clock.at(now + Duration::from_millis(1500), 90_000);
        assert_eq!(later, Some((NtpTime((6 << 32) + (1 << 31)), 134_999)));
    }
}
