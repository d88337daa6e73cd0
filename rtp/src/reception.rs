//! How well a source arrives: the statistics of RFC 3550 §6.4.1, kept as its appendices A.1, A.3 and A.8 say.

use crate::ids::Ssrc;
use crate::ntp::{self, NtpTime};
use crate::seq::{ExtSeq, SeqNo};
use std::time::Instant;

/// A jump ahead by more than this is a restart of the source, if the next packet goes on from there (appendix A.1).
const MAX_DROPOUT: u64 = 3000;
/// So is one back by more than this.
const MAX_MISORDER: u64 = 1000;

/// What an RR says of one source.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ReportBlock {
    /// The source.
    pub ssrc: Ssrc,
    /// Loss since the last report, in 256ths.
    pub fraction_lost: u8,
    /// Packets lost since the beginning; duplicates count against it.
    pub cumulative_lost: i32,
    /// Extended highest sequence number, 32 bits of it.
    pub highest_seq: u32,
    /// Interarrival jitter in timestamp units.
    pub jitter: u32,
    /// Middle 32 bits of the last SR's NTP time, 0 before the first.
    pub last_sr: u32,
    /// Time since it came, in 65536ths of a second.
    pub delay_since_last_sr: u32,
}

impl Default for ReportBlock {
    fn default() -> ReportBlock {
        ReportBlock {
            ssrc: Ssrc(0),
            fraction_lost: 0,
            cumulative_lost: 0,
            highest_seq: 0,
            jitter: 0,
            last_sr: 0,
            delay_since_last_sr: 0,
        }
    }
}

#[derive(Debug)]
struct Sequence {
    base: u64,
    highest: ExtSeq,
    received: u64,
    expected_before: u64,
    received_before: u64,
    /// Where a source that jumped would go on.
    restart: Option<u16>,
}

impl Sequence {
    fn new(seq: SeqNo) -> Sequence {
        let first = u64::from(seq.0);
        let highest = ExtSeq(first);
        Sequence { base: first, highest, received: 0, expected_before: 0, received_before: 0, restart: None }
    }
}

/// The statistics of one source.
#[derive(Debug)]
pub struct Reception {
    clock_rate: u32,
    started: Option<Instant>,
    sequence: Option<Sequence>,
    transit: Option<i64>,
    /// Sixteen times the jitter, as in appendix A.8.
    jitter_16: u64,
    last_sr: Option<(NtpTime, Instant)>,
}

impl Reception {
    /// For a source whose timestamps count at `clock_rate` Hz.
    pub fn new(clock_rate: u32) -> Reception {
        Reception { clock_rate, started: None, sequence: None, transit: None, jitter_16: 0, last_sr: None }
    }

    /// A packet came. Its extended sequence number; `None` for one that jumped so far that it may be of a restarted source, which the
    /// next packet will show.
    pub fn on_packet(&mut self, now: Instant, seq: SeqNo, timestamp: u32) -> Option<ExtSeq> {
        let sequence = self.sequence.get_or_insert_with(|| Sequence::new(seq));
        let mut extended = sequence.highest.nearest(seq);
        let ahead = extended.0.saturating_sub(sequence.highest.0);
        let behind = sequence.highest.0.saturating_sub(extended.0);
        if ahead >= MAX_DROPOUT || behind >= MAX_MISORDER {
            if sequence.restart.replace(seq.0.wrapping_add(1)) != Some(seq.0) {
                return None;
            }
            // The numbers go on above the old ones: what was sent to viewers is not taken back, and the gap is nobody's loss.
            extended = ExtSeq((sequence.highest.0 | 0xffff) + 1 + u64::from(seq.0));
            *sequence = Sequence { highest: extended, base: extended.0, ..Sequence::new(seq) };
        }
        sequence.restart = None;
        sequence.received += 1;
        sequence.highest = sequence.highest.max(extended);
        self.update_jitter(now, timestamp);
        Some(extended)
    }

    /// The extended number of a packet that came another way (a retransmission), if anything came this way before.
    pub fn extended(&self, seq: SeqNo) -> Option<ExtSeq> {
        self.sequence.as_ref().map(|sequence| sequence.highest.nearest(seq))
    }

    /// A sender report of the source came.
    pub fn on_sender_report(&mut self, now: Instant, ntp: NtpTime) {
        self.last_sr = Some((ntp, now));
    }

    /// What the next RR says. Begins a new interval for the fraction lost.
    pub fn report_block(&mut self, now: Instant, ssrc: Ssrc) -> ReportBlock {
        let (last_sr, delay_since_last_sr) = self
            .last_sr
            .map_or((0, 0), |(ntp, came)| (ntp.middle(), ntp::compact(now.saturating_duration_since(came))));
        let jitter = (self.jitter_16 >> 4) as u32;
        let empty = ReportBlock { ssrc, jitter, last_sr, delay_since_last_sr, ..ReportBlock::default() };
        let Some(sequence) = &mut self.sequence else { return empty };
        let expected = sequence.highest.0 - sequence.base + 1;
        let lost = expected as i64 - sequence.received as i64;
        let expected_now = expected - sequence.expected_before;
        let received_now = sequence.received - sequence.received_before;
        sequence.expected_before = expected;
        sequence.received_before = sequence.received;
        let lost_now = expected_now.saturating_sub(received_now);
        let fraction = (lost_now * 256).checked_div(expected_now).unwrap_or(0);
        ReportBlock {
            fraction_lost: fraction.min(255) as u8,
            cumulative_lost: lost.clamp(-0x80_0000, 0x7f_ffff) as i32,
            highest_seq: sequence.highest.0 as u32,
            ..empty
        }
    }

    fn update_jitter(&mut self, now: Instant, timestamp: u32) {
        let started = *self.started.get_or_insert(now);
        let elapsed = now.saturating_duration_since(started).as_micros();
        let arrival = (elapsed * u128::from(self.clock_rate) / 1_000_000) as u32;
        let transit = i64::from(arrival.wrapping_sub(timestamp) as i32);
        if let Some(before) = self.transit.replace(transit) {
            // Over the timestamp's wrap the difference is taken in 32 bits.
            let difference = i64::from((transit - before) as i32).unsigned_abs();
            self.jitter_16 = (self.jitter_16 + difference).saturating_sub((self.jitter_16 + 8) >> 4);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const SSRC: Ssrc = Ssrc(1);

    fn feed(reception: &mut Reception, now: Instant, seqs: impl IntoIterator<Item = u16>) {
        for seq in seqs {
            reception.on_packet(now, SeqNo(seq), 0);
        }
    }

    #[test]
    fn loss_is_counted_in_all_and_since_the_last_report() {
        let now = Instant::now();
        let mut reception = Reception::new(90_000);
        feed(&mut reception, now, (65_500..=65_535).chain(0..64).filter(|seq| seq % 4 != 0));
        let first = reception.report_block(now, SSRC);
        assert_eq!(first.cumulative_lost, 24);
        assert_eq!(first.highest_seq, 65_536 + 63);
        assert!((62..=64).contains(&first.fraction_lost));
        feed(&mut reception, now, 64..164);
        let second = reception.report_block(now, SSRC);
        assert_eq!((second.fraction_lost, second.cumulative_lost), (0, 24));
    }

    #[test]
    fn duplicates_count_against_loss() {
        let now = Instant::now();
        let mut reception = Reception::new(90_000);
        feed(&mut reception, now, [1, 2, 2, 2, 3]);
        assert_eq!(reception.report_block(now, SSRC).cumulative_lost, -2);
    }

    #[test]
    fn a_single_wild_number_is_not_believed_and_a_second_is_a_restart() {
        let now = Instant::now();
        let mut reception = Reception::new(90_000);
        feed(&mut reception, now, 100..200);
        assert_eq!(reception.on_packet(now, SeqNo(40_000), 0), None);
        assert_eq!(reception.on_packet(now, SeqNo(200), 0), Some(ExtSeq(200)));
        assert_eq!(reception.on_packet(now, SeqNo(40_000), 0), None);
        let restarted = reception.on_packet(now, SeqNo(40_001), 0).unwrap();
        assert!(restarted > ExtSeq(200) && restarted.wire() == SeqNo(40_001));
        assert_eq!(reception.report_block(now, SSRC).cumulative_lost, 0);
    }

    #[test]
    fn jitter_is_zero_for_a_steady_source_and_grows_with_unsteadiness() {
        let start = Instant::now();
        let mut steady = Reception::new(90_000);
        let mut unsteady = Reception::new(90_000);
        for n in 0..200u64 {
            let at = start + Duration::from_millis(20 * n);
            // The timestamps go over their wrap.
            let timestamp = (0xffff_0000u32).wrapping_add(n as u32 * 1800);
            steady.on_packet(at, SeqNo(n as u16), timestamp);
            unsteady.on_packet(at + Duration::from_millis(10 * (n % 2)), SeqNo(n as u16), timestamp);
        }
        assert_eq!(steady.report_block(start, SSRC).jitter, 0);
        let jitter = unsteady.report_block(start, SSRC).jitter;
        assert!((850..=900).contains(&jitter), "{jitter} ticks for 10 ms");
    }

    #[test]
    fn the_last_sender_report_is_named_with_its_age() {
        let now = Instant::now();
        let mut reception = Reception::new(90_000);
        assert_eq!(reception.report_block(now, SSRC).last_sr, 0);
        reception.on_sender_report(now, NtpTime(0x1111_2222_3333_4444));
        let block = reception.report_block(now + Duration::from_millis(500), SSRC);
        assert_eq!((block.last_sr, block.delay_since_last_sr), (0x2222_3333, 32_768));
    }
}
