//! One source of a publisher's track: how it arrives, and how it is asked for keyframes. A track has one, or one for each layer of a
//! simulcast.

use crate::forward::KeyframeRequests;
use oneport_rtp::congestion_log::CongestionLog;
use oneport_rtp::ids::Ssrc;
use oneport_rtp::nack::LossDetector;
use oneport_rtp::ntp::NtpTime;
use oneport_rtp::payload::ParameterSets;
use oneport_rtp::reception::Reception;
use oneport_rtp::replay::ReplayWindow;
use oneport_rtp::seq::ExtSeq;
use std::time::{Duration, Instant};

/// A feed goes over to another SSRC when its present one has been silent for this long, or said BYE.
const SOURCE_TIMEOUT: Duration = Duration::from_secs(1);
/// The window that bitrates are measured over.
const RATE_WINDOW: Duration = Duration::from_secs(1);

/// The SSRC that feeds, and what is known of it.
#[derive(Debug)]
pub(super) struct Current {
    pub ssrc: Ssrc,
    pub reception: Reception,
    pub losses: LossDetector,
    pub congestion: CongestionLog,
    /// What came, by itself or as a retransmission.
    seen: Option<ReplayWindow>,
    shift: Shift,
    pub last_packet: Instant,
    /// NTP time and RTP timestamp of its last sender report.
    pub report: Option<(NtpTime, u32)>,
}

impl Current {
    /// A packet with this number came. False for one that had come before, or so long ago that nobody can tell.
    pub(super) fn is_new(&mut self, seq: ExtSeq) -> bool {
        match &mut self.seen {
            Some(seen) => seen.take(seq.0).is_ok(),
            None => {
                self.seen = Some(ReplayWindow::starting_at(seq.0));
                true
            }
        }
    }

    /// The number that a packet is forwarded under.
    pub(super) fn shifted(&self, seq: ExtSeq) -> ExtSeq {
        self.shift.of(seq)
    }

    /// Makes room for a packet of ours before this one. Its number.
    pub(super) fn insert_before(&mut self, seq: ExtSeq) -> ExtSeq {
        let inserted = self.shift.of(seq);
        self.shift = Shift { since: seq, by: self.shift.by + 1 };
        inserted
    }
}

/// Packets of ours were put in between: numbers from `since` on are higher by as many.
#[derive(Debug)]
struct Shift {
    since: ExtSeq,
    by: u64,
}

impl Default for Shift {
    fn default() -> Shift {
        Shift { since: ExtSeq(0), by: 0 }
    }
}

impl Shift {
    fn of(&self, seq: ExtSeq) -> ExtSeq {
        // What is older than the last that was put in is not older than the one before: those are keyframes apart.
        ExtSeq(seq.0 + if seq >= self.since { self.by } else { self.by - 1 })
    }
}

/// See the module's text.
#[derive(Debug)]
pub(super) struct Feed {
    pub current: Option<Current>,
    pub keyframes: KeyframeRequests,
    /// Counts the SSRCs that it had.
    pub changes: u32,
    pub fir_sequence: u8,
    pub parameter_sets: ParameterSets,
    rate: Rate,
}

impl Feed {
    pub(super) fn new(parameter_sets: ParameterSets, keyframe_interval: Duration) -> Feed {
        Feed {
            parameter_sets,
            current: None,
            keyframes: KeyframeRequests::new(keyframe_interval),
            changes: 0,
            fir_sequence: 0,
            rate: Rate::default(),
        }
    }

    /// The source, if `ssrc` is the one that feeds, or may be from now on.
    pub(super) fn take(&mut self, now: Instant, ssrc: Ssrc, clock_rate: u32, len: usize) -> Option<&mut Current> {
        let stays = self.current.as_ref().is_some_and(|current| {
            current.ssrc != ssrc && now.saturating_duration_since(current.last_packet) < SOURCE_TIMEOUT
        });
        if stays {
            return None;
        }
        self.rate.add(now, len);
        if self.current.as_ref().is_none_or(|current| current.ssrc != ssrc) {
            self.changes = self.changes.wrapping_add(1);
            let reception = Reception::new(clock_rate);
            self.current = Some(Current {
                ssrc,
                reception,
                losses: LossDetector::default(),
                congestion: CongestionLog::default(),
                seen: None,
                shift: Shift::default(),
                last_packet: now,
                report: None,
            });
        }
        let current = self.current.as_mut()?;
        current.last_packet = now;
        Some(current)
    }

    /// Whether something came of it within `time`.
    pub(super) fn is_active(&self, now: Instant, time: Duration) -> bool {
        self.current.as_ref().is_some_and(|current| now.saturating_duration_since(current.last_packet) < time)
    }

    /// What came in the last second or two, in bit/s.
    pub(super) fn bitrate_bps(&self, now: Instant) -> u64 {
        self.rate.bps(now)
    }
}

/// Bytes of the window that runs and of the one before.
#[derive(Default, Debug)]
struct Rate {
    begun: Option<Instant>,
    bytes: u64,
    before_bytes: u64,
}

impl Rate {
    fn add(&mut self, now: Instant, len: usize) {
        let begun = *self.begun.get_or_insert(now);
        let elapsed = now.saturating_duration_since(begun);
        if elapsed >= RATE_WINDOW {
            // After a pause there is no window before.
            self.before_bytes = if elapsed < 2 * RATE_WINDOW { self.bytes } else { 0 };
            self.begun = Some(if elapsed < 2 * RATE_WINDOW { begun + RATE_WINDOW } else { now });
            self.bytes = 0;
        }
        self.bytes += len as u64;
    }

    /// The running window's, filled up with the share of the one before that it has not covered yet.
    fn bps(&self, now: Instant) -> u64 {
        let Some(begun) = self.begun else { return 0 };
        let elapsed = now.saturating_duration_since(begun);
        let (window, elapsed) = (RATE_WINDOW.as_micros() as u64, elapsed.as_micros() as u64);
        let bytes = match window.checked_sub(elapsed) {
            Some(left) => self.bytes + self.before_bytes * left / window,
            None => self.bytes * (2 * window).saturating_sub(elapsed) / window,
        };
        bytes * 8
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bitrate_is_that_of_the_last_second_and_fades() {
        let start = Instant::now();
        let mut rate = Rate::default();
        let at = |ms| start + Duration::from_millis(ms);
        for ms in (0..5000).step_by(10) {
            rate.add(at(ms), 1250);
        }
        assert!((950_000..=1_050_000).contains(&rate.bps(at(5000))), "{}", rate.bps(at(5000)));
        assert!(rate.bps(at(5700)) < 500_000);
        assert_eq!(rate.bps(at(7000)), 0);
        rate.add(at(9000), 125);
        assert_eq!(rate.bps(at(9000)), 1000);
    }

    #[test]
    fn another_source_takes_over_after_a_silence() {
        let start = Instant::now();
        let mut feed = Feed::new(ParameterSets::default(), Duration::from_secs(1));
        let at = |ms| start + Duration::from_millis(ms);
        assert!(feed.take(at(0), Ssrc(1), 90_000, 100).is_some());
        assert!(feed.take(at(500), Ssrc(2), 90_000, 100).is_none());
        assert_eq!(feed.changes, 1);
        assert!(feed.take(at(1000), Ssrc(2), 90_000, 100).is_some());
        assert_eq!(feed.changes, 2);
        assert!(feed.is_active(at(1900), Duration::from_secs(1)) && !feed.is_active(at(2000), Duration::from_secs(1)));
    }

    #[test]
    fn what_is_put_in_shifts_what_follows() {
        let mut feed = Feed::new(ParameterSets::default(), Duration::from_secs(1));
        let current = feed.take(Instant::now(), Ssrc(1), 90_000, 100).unwrap();
        assert_eq!(current.shifted(ExtSeq(9)), ExtSeq(9));
        assert_eq!(current.insert_before(ExtSeq(10)), ExtSeq(10));
        assert_eq!([9, 10, 11].map(|seq| current.shifted(ExtSeq(seq)).0), [9, 11, 12]);
        assert_eq!(current.insert_before(ExtSeq(20)), ExtSeq(21));
        assert_eq!([19, 20].map(|seq| current.shifted(ExtSeq(seq)).0), [20, 22]);
    }
}
