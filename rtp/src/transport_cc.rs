//! Transport-wide congestion control (draft-holmer-rmcat-transport-wide-cc-extensions-01): what arrived when, for the feedback that a
//! sender's bandwidth estimation lives on.

use crate::seq::{ExtSeq, SeqNo};
use rtcp_types::TwccPacketStatus;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// The feedback's unit of time.
const TICK_US: u128 = 250;
/// The unit of its reference time, in ticks.
const REFERENCE_TICKS: i64 = 256;
/// Numbers that one feedback tells of.
const MAX_PACKETS: usize = 400;
/// Feedbacks are this far apart at the most while packets come.
const MAX_INTERVAL: Duration = Duration::from_millis(100);
/// And at the least.
const MIN_INTERVAL: Duration = Duration::from_millis(20);
/// Packets after which a feedback does not wait.
const ENOUGH: usize = 100;

/// What one feedback says; the grammar is rtcp-types'.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Feedback {
    /// Number of the first packet.
    pub base: SeqNo,
    /// In 64 ms.
    pub reference_time: u32,
    /// Counts the feedbacks.
    pub count: u8,
    /// One for each number from `base` on.
    pub statuses: Vec<TwccPacketStatus>,
}

/// The arrivals of one transport.
#[derive(Debug)]
pub struct ArrivalLog {
    origin: Option<Instant>,
    /// Arrival in ticks since the origin of each number from `base` on.
    arrivals: VecDeque<Option<i64>>,
    base: ExtSeq,
    /// The number after the last that was told.
    told: Option<ExtSeq>,
    received: usize,
    first_at: Option<Instant>,
    count: u8,
}

impl Default for ArrivalLog {
    fn default() -> ArrivalLog {
        ArrivalLog {
            origin: None,
            arrivals: VecDeque::new(),
            base: ExtSeq(0),
            told: None,
            received: 0,
            first_at: None,
            count: 0,
        }
    }
}

impl ArrivalLog {
    /// A packet with this transport-wide number came.
    pub fn on_packet(&mut self, now: Instant, seq: SeqNo) {
        let origin = *self.origin.get_or_insert(now);
        let ticks = (now.saturating_duration_since(origin).as_micros() / TICK_US) as i64;
        let seq = match self.told {
            None if self.arrivals.is_empty() => ExtSeq(0x1_0000 + u64::from(seq.0)),
            _ => ExtSeq(self.base.0 + self.arrivals.len() as u64).nearest(seq),
        };
        if self.arrivals.is_empty() {
            // What is missing between two feedbacks is told by the second one.
            self.base = self.told.filter(|told| seq >= *told && seq.0 - told.0 < MAX_PACKETS as u64).unwrap_or(seq);
        }
        if seq < self.base {
            self.begin_at(seq);
        }
        let place = (seq.0 - self.base.0) as usize;
        if place >= MAX_PACKETS {
            // A jump: what is kept is told no more, and the numbers go on from here.
            self.arrivals.clear();
            self.received = 0;
            self.base = seq;
            return self.put(now, 0, ticks);
        }
        self.put(now, place, ticks);
    }

    fn put(&mut self, now: Instant, place: usize, ticks: i64) {
        if self.arrivals.len() <= place {
            self.arrivals.resize(place + 1, None);
        }
        let arrival = &mut self.arrivals[place];
        if arrival.is_none() {
            *arrival = Some(ticks);
            self.received += 1;
            self.first_at.get_or_insert(now);
        }
    }

    /// A packet that is older than the first of the next feedback: that begins earlier then, if it has room.
    fn begin_at(&mut self, seq: ExtSeq) {
        let earlier = (self.base.0 - seq.0) as usize;
        if earlier + self.arrivals.len() > MAX_PACKETS {
            self.arrivals.clear();
            self.received = 0;
        } else {
            (0..earlier).for_each(|_| self.arrivals.push_front(None));
        }
        self.base = seq;
    }

    /// When [`ArrivalLog::poll`] wants to be called.
    pub fn next_timeout(&self) -> Option<Instant> {
        let wait = if self.received >= ENOUGH { MIN_INTERVAL } else { MAX_INTERVAL / 2 };
        self.first_at.map(|first| first + wait)
    }

    /// The feedback that is due.
    pub fn poll(&mut self, now: Instant) -> Option<Feedback> {
        self.next_timeout().filter(|due| *due <= now)?;
        self.first_at = None;
        // The first delta is against the reference time, which counts in larger units.
        let first = self.arrivals.iter().flatten().next()?;
        let reference = first.div_euclid(REFERENCE_TICKS);
        let mut last = reference * REFERENCE_TICKS;
        let mut statuses = Vec::with_capacity(self.arrivals.len());
        for arrival in &self.arrivals {
            let Some(ticks) = arrival else {
                statuses.push(TwccPacketStatus::NotReceived);
                continue;
            };
            // A delta that does not fit ends the feedback; the rest of it is not told.
            let Ok(delta) = i16::try_from(ticks - last) else { break };
            statuses.push(TwccPacketStatus::Received { delta });
            last = *ticks;
        }
        let feedback = Feedback {
            base: self.base.wire(),
            reference_time: (reference as u32) & 0xff_ffff,
            count: self.count,
            statuses,
        };
        self.count = self.count.wrapping_add(1);
        let end = ExtSeq(self.base.0 + self.arrivals.len() as u64);
        self.told = Some(self.told.map_or(end, |told| told.max(end)));
        self.base = end;
        self.arrivals.clear();
        self.received = 0;
        Some(feedback)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deltas(feedback: &Feedback) -> Vec<Option<i16>> {
        let delta = |status: &TwccPacketStatus| match status {
            TwccPacketStatus::NotReceived => None,
            TwccPacketStatus::Received { delta } => Some(*delta),
        };
        feedback.statuses.iter().map(delta).collect()
    }

    fn at(start: Instant, us: u64) -> Instant {
        start + Duration::from_micros(us)
    }

    #[test]
    fn arrivals_are_told_in_ticks_with_what_is_missing() {
        let start = Instant::now();
        let mut log = ArrivalLog::default();
        log.on_packet(at(start, 0), SeqNo(65_534));
        log.on_packet(at(start, 1000), SeqNo(65_535));
        log.on_packet(at(start, 3000), SeqNo(1));
        assert_eq!(log.poll(at(start, 10_000)), None);
        let feedback = log.poll(at(start, 50_000)).unwrap();
        assert_eq!((feedback.base, feedback.reference_time, feedback.count), (SeqNo(65_534), 0, 0));
        assert_eq!(deltas(&feedback), [Some(0), Some(4), None, Some(8)]);
        // What is lost between two feedbacks is told by the second.
        log.on_packet(at(start, 130_000), SeqNo(4));
        let feedback = log.poll(at(start, 230_000)).unwrap();
        assert_eq!((feedback.base, feedback.reference_time, feedback.count), (SeqNo(2), 2, 1));
        assert_eq!(deltas(&feedback), [None, None, Some(8)]);
        assert_eq!(log.next_timeout(), None);
    }

    #[test]
    fn a_late_packet_is_told_and_time_may_go_back() {
        let start = Instant::now();
        let mut log = ArrivalLog::default();
        log.on_packet(at(start, 0), SeqNo(10));
        log.poll(at(start, 60_000)).unwrap();
        log.on_packet(at(start, 64_000), SeqNo(12));
        log.on_packet(at(start, 65_000), SeqNo(11));
        log.on_packet(at(start, 66_000), SeqNo(9));
        let feedback = log.poll(at(start, 130_000)).unwrap();
        assert_eq!(feedback.base, SeqNo(9));
        assert_eq!(deltas(&feedback), [Some(8), None, Some(-4), Some(-4)]);
    }

    #[test]
    fn every_packet_is_told_once_across_many_wraps_and_jumps_are_survived() {
        let start = Instant::now();
        let mut log = ArrivalLog::default();
        let (mut told, mut us) = (0u64, 0);
        for n in 0..300_000u64 {
            us += 500;
            if n % 10 != 3 {
                log.on_packet(at(start, us), SeqNo(n as u16));
            }
            while let Some(feedback) = log.poll(at(start, us)) {
                told += deltas(&feedback).iter().flatten().count() as u64;
            }
        }
        assert!(told > 269_000 && told <= 270_000, "{told}");
        let mut state = 1u32;
        for _ in 0..100_000 {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            us += 100;
            log.on_packet(at(start, us), SeqNo((state >> 16) as u16));
            assert!(log.arrivals.len() <= MAX_PACKETS);
            log.poll(at(start, us));
        }
    }

    #[test]
    fn a_busy_transport_is_told_of_more_often() {
        let start = Instant::now();
        let mut log = ArrivalLog::default();
        (0..200).for_each(|n| log.on_packet(start, SeqNo(n)));
        assert_eq!(log.next_timeout(), Some(start + MIN_INTERVAL));
    }
}
