//! Sequence numbers and timestamps of one viewer's track: continuous for the viewer's whole life, whoever publishes.

use crate::control::SessionId;
use oneport_rtp::seq::{ExtSeq, SeqNo};
use std::time::Instant;

/// What numbers are comparable within: a publisher's track, and one SSRC of it.
pub(crate) type Epoch = (SessionId, u32);

/// Timestamps of before `until` are drawn together towards it, so that what a viewer gets of the past takes no time to show.
#[derive(Clone, Copy, Debug)]
struct Condensed {
    until: u32,
    /// Ticks of the past that become one.
    factor: u32,
}

/// How the numbers of an epoch become a viewer's.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mapping {
    epoch: Epoch,
    /// First sequence number of the epoch, as received and as sent.
    first_in: u64,
    first_out: u64,
    /// Sent minus received timestamp.
    timestamp_offset: u32,
    condensed: Option<Condensed>,
}

impl Mapping {
    /// The viewer's numbers; `None` before the epoch's first. Always the same for the same packet.
    pub(crate) fn map(&self, seq: ExtSeq, timestamp: u32) -> Option<(ExtSeq, u32)> {
        let since_first = seq.0.checked_sub(self.first_in)?;
        let timestamp = match self.condensed {
            Some(Condensed { until, factor }) => {
                let before = until.wrapping_sub(timestamp);
                if before < 1 << 31 { until.wrapping_sub(before / factor) } else { timestamp }
            }
            None => timestamp,
        };
        Some((ExtSeq(self.first_out + since_first), timestamp.wrapping_add(self.timestamp_offset)))
    }
}

/// Maps a publisher's numbers to a viewer's.
#[derive(Debug)]
pub(crate) struct Rewriter {
    mapping: Option<Mapping>,
    /// The one before, which NACKs may still ask for.
    before: Option<Mapping>,
    next_out: u64,
    last_timestamp: u32,
    last_sent: Option<Instant>,
}

impl Rewriter {
    /// Begins at `first_sequence` and `first_timestamp`, which RFC 3550 §5.1 wants random.
    pub(crate) fn new(first_sequence: u16, first_timestamp: u32) -> Rewriter {
        // The upper half is left free, as a receiver that loses the first packets must not mistake the wrap for the start.
        let next_out = u64::from(first_sequence & 0x7fff);
        Rewriter { mapping: None, before: None, next_out, last_timestamp: first_timestamp, last_sent: None }
    }

    /// The viewer's numbers for a received packet; `None` when it is older than the epoch's first, whose numbers are taken.
    pub(crate) fn rewrite(
        &mut self,
        now: Instant,
        epoch: Epoch,
        seq: ExtSeq,
        timestamp: u32,
        clock_rate: u32,
    ) -> Option<(ExtSeq, u32)> {
        let mapping = match self.mapping {
            Some(mapping) if mapping.epoch == epoch => mapping,
            _ => {
                let timestamp_offset = self.go_on(now, clock_rate).wrapping_sub(timestamp);
                self.switch(epoch, seq, timestamp_offset, None)
            }
        };
        let (out, timestamp) = mapping.map(seq, timestamp)?;
        if out.0 >= self.next_out {
            self.next_out = out.0 + 1;
            self.last_timestamp = timestamp;
            self.last_sent = Some(now);
        }
        Some((out, timestamp))
    }

    /// Begins an epoch with a packet of the past, so that the timestamp `live` is now and those before are condensed: `factor` ticks
    /// become one.
    pub(crate) fn begin_in_the_past(
        &mut self,
        now: Instant,
        epoch: Epoch,
        first: (ExtSeq, u32),
        live: u32,
        (clock_rate, factor): (u32, u32),
    ) {
        // The past needs room behind what was sent before.
        let past = live.wrapping_sub(first.1) / factor;
        let timestamp_offset = self.go_on(now, clock_rate).wrapping_add(past).wrapping_sub(live);
        self.switch(epoch, first.0, timestamp_offset, Some(Condensed { until: live, factor }));
    }

    /// The mapping that made this number of ours, and the publisher's number.
    pub(crate) fn origin(&self, out: ExtSeq) -> Option<(Mapping, Epoch, ExtSeq)> {
        let of = |mapping: Mapping| {
            Some((mapping, mapping.epoch, ExtSeq(mapping.first_in + out.0.checked_sub(mapping.first_out)?)))
        };
        let origin = self.mapping.and_then(of).or_else(|| self.before.and_then(of));
        origin.filter(|_| out.0 < self.next_out)
    }

    /// The number of ours that is nearest to the newest and looks like this on the wire.
    pub(crate) fn extended(&self, seq: SeqNo) -> ExtSeq {
        ExtSeq(self.next_out).nearest(seq)
    }

    /// The viewer's timestamp for one of `epoch`, if that is the present one.
    pub(crate) fn timestamp(&self, epoch: Epoch, timestamp: u32) -> Option<u32> {
        let mapping = self.mapping.filter(|mapping| mapping.epoch == epoch)?;
        Some(timestamp.wrapping_add(mapping.timestamp_offset))
    }

    /// The timestamp for now. The gap in time is a gap on the media clock too, at least one tick: two frames must not share a timestamp.
    fn go_on(&self, now: Instant, clock_rate: u32) -> u32 {
        let gap = self.last_sent.map_or(0, |last| {
            let ticks = now.saturating_duration_since(last).as_micros() * u128::from(clock_rate) / 1_000_000;
            (ticks as u32).max(1)
        });
        self.last_timestamp.wrapping_add(gap)
    }

    fn switch(&mut self, epoch: Epoch, seq: ExtSeq, timestamp_offset: u32, condensed: Option<Condensed>) -> Mapping {
        let mapping = Mapping { epoch, first_in: seq.0, first_out: self.next_out, timestamp_offset, condensed };
        self.before = self.mapping.replace(mapping);
        mapping
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const A: Epoch = (SessionId(1), 0);
    const B: Epoch = (SessionId(2), 0);

    #[test]
    fn numbers_begin_where_the_viewer_is_told_and_keep_gaps_and_order() {
        let now = Instant::now();
        let mut rewriter = Rewriter::new(100, 5000);
        let mut out = |seq, timestamp| rewriter.rewrite(now, A, ExtSeq(seq), timestamp, 90_000);
        assert_eq!(out(70_000, 1000), Some((ExtSeq(100), 5000)));
        assert_eq!(out(70_002, 4000), Some((ExtSeq(102), 8000)));
        assert_eq!(out(70_001, 1000), Some((ExtSeq(101), 5000)));
        assert_eq!(out(69_999, 1000), None);
    }

    #[test]
    fn another_publisher_goes_on_with_the_next_number_and_the_time_that_passed() {
        let now = Instant::now();
        let mut rewriter = Rewriter::new(100, 5000);
        rewriter.rewrite(now, A, ExtSeq(7), u32::MAX, 90_000);
        let later = now + Duration::from_secs(2);
        assert_eq!(rewriter.rewrite(later, B, ExtSeq(900), 3, 90_000), Some((ExtSeq(101), 185_000)));
        assert_eq!(rewriter.timestamp(B, 3), Some(185_000));
        assert_eq!(rewriter.timestamp(A, 3), None);
    }

    #[test]
    fn a_switch_at_once_still_moves_the_timestamp() {
        let now = Instant::now();
        let mut rewriter = Rewriter::new(0, 0);
        rewriter.rewrite(now, A, ExtSeq(1), 50, 48_000);
        assert_eq!(rewriter.rewrite(now, (SessionId(1), 1), ExtSeq(1), 50, 48_000), Some((ExtSeq(1), 1)));
    }

    #[test]
    fn the_past_is_condensed_and_ends_at_now() {
        let now = Instant::now();
        let mut rewriter = Rewriter::new(0, 1000);
        let live = 5_000_000u32;
        rewriter.begin_in_the_past(now, A, (ExtSeq(10), live - 180_000), live, (90_000, 60));
        let mut out = |seq, timestamp| rewriter.rewrite(now, A, ExtSeq(seq), timestamp, 90_000).unwrap();
        assert_eq!(out(10, live - 180_000), (ExtSeq(0), 1000));
        assert_eq!(out(11, live - 177_000), (ExtSeq(1), 1050));
        assert_eq!(out(70, live), (ExtSeq(60), 4000));
        assert_eq!(out(71, live + 3000), (ExtSeq(61), 7000));
        assert_eq!(rewriter.timestamp(A, live + 90_000), Some(94_000));
    }

    #[test]
    fn numbers_of_ours_lead_back_to_the_publishers() {
        let now = Instant::now();
        let mut rewriter = Rewriter::new(100, 0);
        rewriter.rewrite(now, A, ExtSeq(7), 50, 90_000);
        rewriter.rewrite(now, A, ExtSeq(9), 60, 90_000);
        rewriter.rewrite(now, B, ExtSeq(900), 3, 90_000);
        let origin = |out| rewriter.origin(rewriter.extended(SeqNo(out))).map(|(_, epoch, seq)| (epoch, seq.0));
        assert_eq!(origin(103), Some((B, 900)));
        assert_eq!(origin(102), Some((A, 9)));
        assert_eq!(origin(101), Some((A, 8)));
        assert_eq!(origin(104), None, "not sent yet");
        assert_eq!(origin(99), None);
    }
}
