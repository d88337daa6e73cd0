//! Sequence numbers and timestamps of one viewer's track: continuous for the viewer's whole life, whoever publishes.

use crate::control::SessionId;
use oneport_rtp::seq::ExtSeq;
use std::time::Instant;

/// What numbers are comparable within: a publisher's track, and one SSRC of it.
pub(crate) type Epoch = (SessionId, u32);

/// The mapping of the current epoch.
#[derive(Clone, Copy, Debug)]
struct Mapping {
    epoch: Epoch,
    /// First sequence number of the epoch, as received and as sent.
    first_in: u64,
    first_out: u64,
    /// Sent minus received timestamp.
    timestamp_offset: u32,
}

/// Maps a publisher's numbers to a viewer's.
#[derive(Debug)]
pub(crate) struct Rewriter {
    mapping: Option<Mapping>,
    next_out: u64,
    last_timestamp: u32,
    last_sent: Option<Instant>,
}

impl Rewriter {
    /// Begins at `first_sequence` and `first_timestamp`, which RFC 3550 §5.1 wants random.
    pub(crate) fn new(first_sequence: u16, first_timestamp: u32) -> Rewriter {
        // The upper half is left free, as a receiver that loses the first packets must not mistake the wrap for the start.
        let next_out = u64::from(first_sequence & 0x7fff);
        Rewriter { mapping: None, next_out, last_timestamp: first_timestamp, last_sent: None }
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
            _ => self.switch(now, epoch, seq, timestamp, clock_rate),
        };
        let since_first = seq.0.checked_sub(mapping.first_in)?;
        let out = mapping.first_out + since_first;
        let timestamp = timestamp.wrapping_add(mapping.timestamp_offset);
        if out >= self.next_out {
            self.next_out = out + 1;
            self.last_timestamp = timestamp;
            self.last_sent = Some(now);
        }
        Some((ExtSeq(out), timestamp))
    }

    /// The viewer's timestamp for one of `epoch`, if that is the present one.
    pub(crate) fn timestamp(&self, epoch: Epoch, timestamp: u32) -> Option<u32> {
        let mapping = self.mapping.filter(|mapping| mapping.epoch == epoch)?;
        Some(timestamp.wrapping_add(mapping.timestamp_offset))
    }

    fn switch(&mut self, now: Instant, epoch: Epoch, seq: ExtSeq, timestamp: u32, clock_rate: u32) -> Mapping {
        // The gap in time is a gap on the media clock too, at least one tick: two frames must not share a timestamp.
        let gap = self.last_sent.map_or(0, |last| {
            let ticks = now.saturating_duration_since(last).as_micros() * u128::from(clock_rate) / 1_000_000;
            (ticks as u32).max(1)
        });
        let first_timestamp = self.last_timestamp.wrapping_add(gap);
        let mapping = Mapping {
            epoch,
            first_in: seq.0,
            first_out: self.next_out,
            timestamp_offset: first_timestamp.wrapping_sub(timestamp),
        };
        self.mapping = Some(mapping);
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
}
