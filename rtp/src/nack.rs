//! Which packets of a source are missing, and when to ask for them (RFC 4585 §6.2.1).
//!
//! A packet is missed as soon as a later one comes. Networks that reorder are given time before the first NACK, as much as their
//! reordering was seen to need and 10 ms at the most; repeats are a round trip apart, which is learned from what NACKs brought.

use crate::seq::ExtSeq;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Packets that are waited for at a time. A longer gap is a keyframe's business.
const MAX_MISSING: usize = 512;
/// NACKs for one packet.
const MAX_TRIES: u8 = 8;
/// A packet that has not come for so long is of no use to a viewer any more.
const MAX_AGE: Duration = Duration::from_millis(1000);
/// The longest wait for a packet that may only be late.
const MAX_ALLOWANCE: Duration = Duration::from_millis(10);
/// The allowance is forgotten by half in this time.
const ALLOWANCE_HALF_LIFE: Duration = Duration::from_secs(10);
/// A round trip before the first was measured. Too short costs a repeat or two, too long costs a viewer a frozen picture.
const INITIAL_RTT: Duration = Duration::from_millis(30);
/// An answer may come so much later than the round trip says, and an eighth of that.
const SLACK: Duration = Duration::from_millis(2);
const MIN_RTT: Duration = Duration::from_millis(10);
const MAX_RTT: Duration = Duration::from_millis(400);

#[derive(Debug)]
struct Missing {
    seq: ExtSeq,
    since: Instant,
    /// When the next NACK is due.
    due: Instant,
    asked: Option<Instant>,
    tries: u8,
}

/// How NACKs fare.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct NackStats {
    /// Packets that were asked for.
    pub asked: u64,
    /// Packets that came after they had been asked for.
    pub recovered: u64,
    /// Packets that were given up.
    pub lost: u64,
}

/// See the module's text.
#[derive(Debug)]
pub struct LossDetector {
    highest: Option<ExtSeq>,
    missing: VecDeque<Missing>,
    allowance: Duration,
    allowance_at: Option<Instant>,
    rtt: Duration,
    /// Whether that is more than a guess.
    is_measured: bool,
    stats: NackStats,
    /// Packets given up in a row while NACKs brought nothing.
    fruitless: u32,
}

impl Default for LossDetector {
    fn default() -> LossDetector {
        LossDetector {
            highest: None,
            missing: VecDeque::new(),
            allowance: Duration::ZERO,
            allowance_at: None,
            rtt: INITIAL_RTT,
            is_measured: false,
            stats: NackStats::default(),
            fruitless: 0,
        }
    }
}

impl LossDetector {
    /// A packet came, by itself or as a retransmission. True when a gap is so long that nothing of it is asked for: a keyframe is
    /// needed.
    pub fn on_packet(&mut self, now: Instant, seq: ExtSeq, is_rtx: bool) -> bool {
        let Some(highest) = self.highest else {
            self.highest = Some(seq);
            return false;
        };
        if seq <= highest {
            self.found(now, seq, is_rtx);
            return false;
        }
        self.highest = Some(seq);
        let gap = seq.0 - highest.0 - 1;
        if gap > MAX_MISSING as u64 {
            self.stats.lost += self.missing.len() as u64 + gap;
            self.missing.clear();
            return true;
        }
        let due = now + self.allowance(now);
        for seq in highest.0 + 1..seq.0 {
            if self.missing.len() >= MAX_MISSING {
                self.missing.pop_front();
                self.stats.lost += 1;
            }
            self.missing.push_back(Missing { seq: ExtSeq(seq), since: now, due, asked: None, tries: 0 });
        }
        false
    }

    fn found(&mut self, now: Instant, seq: ExtSeq, is_rtx: bool) {
        let Ok(place) = self.missing.binary_search_by_key(&seq, |missing| missing.seq) else { return };
        let Some(missing) = self.missing.remove(place) else { return };
        let late = now.saturating_duration_since(missing.since);
        // One that comes sooner after the NACK than any answer could was under way all the time.
        let answer = missing.asked.map(|asked| now.saturating_duration_since(asked));
        let is_answer = is_rtx || answer.is_some_and(|time| time >= self.rtt / 2);
        match answer.filter(|_| is_answer) {
            Some(time) => {
                self.stats.recovered += 1;
                self.fruitless = 0;
                // Of repeats it is not known which one was answered.
                if missing.tries == 1 {
                    let known = if std::mem::replace(&mut self.is_measured, true) { self.rtt } else { time };
                    self.rtt = ((known * 7 + time) / 8).clamp(MIN_RTT, MAX_RTT);
                }
            }
            None => {
                self.allowance = self.allowance(now).max(late * 5 / 4).min(MAX_ALLOWANCE);
                self.allowance_at = Some(now);
            }
        }
    }

    fn allowance(&self, now: Instant) -> Duration {
        let Some(at) = self.allowance_at else { return Duration::ZERO };
        let half_lives = now.saturating_duration_since(at).as_secs_f32() / ALLOWANCE_HALF_LIFE.as_secs_f32();
        self.allowance.mul_f32((-half_lives).exp2())
    }

    /// A keyframe begins with `seq`: nothing before it is needed any more.
    pub fn on_keyframe(&mut self, seq: ExtSeq) {
        while self.missing.front().is_some_and(|missing| missing.seq < seq) {
            self.missing.pop_front();
        }
    }

    /// When [`LossDetector::poll`] wants to be called.
    pub fn next_timeout(&self) -> Option<Instant> {
        self.missing.iter().map(|missing| missing.due).min()
    }

    /// Gives the numbers to ask for now to `ask`, in order. True when some were given up: a keyframe is needed.
    pub fn poll(&mut self, now: Instant, mut ask: impl FnMut(ExtSeq)) -> bool {
        let before = self.missing.len();
        // Older than a second, asked for often enough, or never answered by this source at all.
        self.missing.retain(|missing| {
            now < missing.due || (missing.tries < MAX_TRIES && now.saturating_duration_since(missing.since) < MAX_AGE)
        });
        let given_up = before - self.missing.len();
        self.stats.lost += given_up as u64;
        self.fruitless = self.fruitless.saturating_add(given_up as u32);
        for missing in self.missing.iter_mut().filter(|missing| missing.due <= now) {
            ask(missing.seq);
            self.stats.asked += u64::from(missing.tries == 0);
            missing.tries += 1;
            missing.asked = Some(now);
            // A viewer waits: the first repeats come as soon as an answer is late. Later ones grow apart, as that may be a full queue.
            missing.due = now + (self.rtt * 9 / 8 + SLACK) * u32::from(missing.tries.saturating_sub(2).max(1));
        }
        given_up > 0
    }

    /// Whether the source answers NACKs, as far as was seen: not, when a dozen packets in a row were asked for in vain.
    pub fn is_answered(&self) -> bool {
        self.fruitless < 12
    }

    /// The round-trip time was measured another way.
    pub fn learn_rtt(&mut self, rtt: Duration) {
        self.is_measured = true;
        self.rtt = ((self.rtt * 3 + rtt.min(MAX_RTT)) / 4).clamp(MIN_RTT, MAX_RTT);
    }

    /// How NACKs fare.
    pub fn stats(&self) -> NackStats {
        self.stats
    }

    /// The round-trip time, as learned from answers.
    pub fn rtt(&self) -> Duration {
        self.rtt
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn ask(detector: &mut LossDetector, now: Instant) -> Vec<u64> {
        let mut asked = Vec::new();
        detector.poll(now, |seq| asked.push(seq.0));
        asked
    }

    #[test]
    fn a_gap_is_asked_for_at_once_and_again_after_a_round_trip() {
        let start = Instant::now();
        let mut detector = LossDetector::default();
        detector.on_packet(start, ExtSeq(100), false);
        detector.on_packet(start, ExtSeq(103), false);
        assert_eq!(detector.next_timeout(), Some(start));
        assert_eq!(ask(&mut detector, start), [101, 102]);
        assert_eq!(ask(&mut detector, start + 5 * MS), []);
        detector.on_packet(start + 60 * MS, ExtSeq(101), true);
        assert_eq!(ask(&mut detector, start + 120 * MS), [102]);
        assert_eq!(detector.stats(), NackStats { asked: 2, recovered: 1, lost: 0 });
    }

    #[test]
    fn a_packet_is_given_up_after_its_tries() {
        let start = Instant::now();
        let mut detector = LossDetector::default();
        detector.on_packet(start, ExtSeq(1), false);
        detector.on_packet(start, ExtSeq(3), false);
        let mut tries = 0;
        while let Some(due) = detector.next_timeout() {
            tries += ask(&mut detector, due).len();
        }
        assert!((4..=usize::from(MAX_TRIES)).contains(&tries), "{tries}");
        assert_eq!(detector.stats().lost, 1);
    }

    #[test]
    fn reordering_is_given_the_time_that_it_was_seen_to_need() {
        let start = Instant::now();
        let mut detector = LossDetector::default();
        let mut nacks = 0;
        for pair in 0..1000u64 {
            let now = start + Duration::from_millis(pair * 20);
            detector.on_packet(now, ExtSeq(pair * 2 + 1), false);
            nacks += ask(&mut detector, now).len();
            let late = now + 3 * MS;
            nacks += ask(&mut detector, late - MS).len();
            detector.on_packet(late, ExtSeq(pair * 2), false);
        }
        assert!(nacks <= 1, "{nacks} NACKs for packets that were only late");
        detector.on_packet(start + Duration::from_secs(21), ExtSeq(2003), false);
        assert!(detector.next_timeout().unwrap() <= start + Duration::from_secs(21) + MAX_ALLOWANCE);
    }

    #[test]
    fn the_round_trip_is_learned() {
        let start = Instant::now();
        let mut detector = LossDetector::default();
        for n in 0..200u64 {
            let now = start + Duration::from_millis(n * 300);
            detector.on_packet(now, ExtSeq(n * 2), false);
            ask(&mut detector, now);
            detector.on_packet(now + 25 * MS, ExtSeq((n * 2).saturating_sub(1)), true);
        }
        assert!((20 * MS..30 * MS).contains(&detector.rtt()), "{:?}", detector.rtt());
    }

    #[test]
    fn a_keyframe_makes_what_is_older_useless_and_a_long_gap_needs_one() {
        let start = Instant::now();
        let mut detector = LossDetector::default();
        detector.on_packet(start, ExtSeq(1), false);
        detector.on_packet(start, ExtSeq(5), false);
        detector.on_packet(start, ExtSeq(9), false);
        detector.on_keyframe(ExtSeq(8));
        assert_eq!(ask(&mut detector, start), [8]);
        assert!(!detector.on_packet(start, ExtSeq(9 + 512), false));
        assert!(detector.on_packet(start, ExtSeq(9 + 512 + 514), false));
        assert_eq!(detector.next_timeout(), None);
    }

    #[test]
    fn a_source_that_never_answers_is_noticed() {
        let start = Instant::now();
        let mut detector = LossDetector::default();
        for n in 0..20u64 {
            detector.on_packet(start, ExtSeq(n * 2), false);
        }
        while let Some(due) = detector.next_timeout() {
            ask(&mut detector, due);
        }
        assert!(!detector.is_answered());
    }

    #[test]
    fn churn_is_bounded() {
        let start = Instant::now();
        let mut detector = LossDetector::default();
        for n in 0..100_000u64 {
            detector.on_packet(start, ExtSeq(n * 2), false);
        }
        assert_eq!(detector.missing.len(), MAX_MISSING);
    }
}
