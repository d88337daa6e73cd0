//! When RTCP reports are due: about once a second while media flows, and never otherwise.

use std::time::{Duration, Instant};

/// RFC 3550 §6.2 lets a session of a few hundred kbit/s report this often; browsers do.
const INTERVAL_MS: u64 = 1000;

/// See the module's text.
#[derive(Debug)]
pub(crate) struct ReportTimer {
    due: Option<Instant>,
    active: bool,
    state: u32,
}

impl ReportTimer {
    /// `seed` keeps the reports of many sessions apart.
    pub(crate) fn new(seed: u32) -> ReportTimer {
        ReportTimer { due: None, active: false, state: seed | 1 }
    }

    /// Media flowed. The first report comes within a tenth of the interval, so that lips and sound meet early.
    pub(crate) fn media(&mut self, now: Instant) {
        self.active = true;
        if self.due.is_none() {
            self.due = Some(now + Duration::from_millis(INTERVAL_MS / 10));
        }
    }

    /// When [`ReportTimer::poll`] wants to be called.
    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        self.due
    }

    /// Whether a report is to be sent now. The next one is due after 0.5 to 1.5 intervals (RFC 3550 §6.2), unless
    /// nothing flows until then.
    pub(crate) fn poll(&mut self, now: Instant) -> bool {
        if self.due.is_none_or(|due| now < due) {
            return false;
        }
        if !std::mem::take(&mut self.active) {
            self.due = None;
            return false;
        }
        let share = u64::from(self.next_random() % 1000);
        self.due = Some(now + Duration::from_millis(INTERVAL_MS / 2 + INTERVAL_MS * share / 1000));
        true
    }

    /// Marsaglia's xorshift: spreading reports needs no better.
    fn next_random(&mut self) -> u32 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 17;
        self.state ^= self.state << 5;
        self.state
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_come_about_once_a_second_while_media_flows_and_end_with_it() {
        let start = Instant::now();
        let mut timer = ReportTimer::new(7);
        assert_eq!(timer.next_timeout(), None);
        let mut reports = 0;
        for ms in 0..60_000 {
            let now = start + Duration::from_millis(ms);
            timer.media(now);
            reports += u32::from(timer.poll(now));
        }
        assert!((50..=70).contains(&reports), "{reports} reports in a minute");
        let mut last = 0;
        while let Some(due) = timer.next_timeout() {
            last += u32::from(timer.poll(due));
        }
        assert_eq!(last, 1);
    }
}
