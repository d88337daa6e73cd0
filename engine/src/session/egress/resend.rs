//! When a viewer's NACK is answered: no packet more often than once per round trip and a few times in all, and all answers together
//! within a share of what the viewer gets anyway, so that a viewer behind a path that is full does not fill it further.

use oneport_rtp::seq::ExtSeq;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Answers for one packet.
const MAX_RESENT: u8 = 6;
/// Packets whose answers are remembered.
const MAX_REMEMBERED: usize = 256;
/// Of what is sent, this part may be sent again: a quarter.
const SHARE: u64 = 4;
/// What may be sent again at once, in bytes: a keyframe that was lost whole.
const BURST: u64 = 128 << 10;
/// A round trip before the first was measured.
const INITIAL_RTT: Duration = Duration::from_millis(20);
/// NACKs are not sent more often than this by any client.
const MIN_RTT: Duration = Duration::from_millis(5);
const MAX_RTT: Duration = Duration::from_millis(500);

#[derive(Debug)]
struct Resent {
    seq: ExtSeq,
    at: Instant,
    times: u8,
}

/// See the module's text. One for each track of a viewer.
#[derive(Debug)]
pub(super) struct Resends {
    recent: VecDeque<Resent>,
    /// Bytes that may be sent again now.
    allowance: u64,
    rtt: Duration,
}

impl Default for Resends {
    fn default() -> Resends {
        Resends { recent: VecDeque::new(), allowance: BURST, rtt: INITIAL_RTT }
    }
}

impl Resends {
    /// A packet was sent for the first time.
    pub(super) fn sent(&mut self, bytes: usize) {
        self.allowance = (self.allowance + bytes as u64 / SHARE).min(BURST);
    }

    /// The round-trip time was measured.
    pub(super) fn set_rtt(&mut self, rtt: Duration) {
        self.rtt = rtt.clamp(MIN_RTT, MAX_RTT);
    }

    /// Whether a packet of so many bytes is to be sent again now, which then counts.
    pub(super) fn may(&mut self, now: Instant, seq: ExtSeq, bytes: usize) -> bool {
        let known = self.recent.iter_mut().rev().find(|resent| resent.seq == seq);
        // A little less than the round trip: the client's own clock ticks in steps.
        let is_early = |resent: &Resent| now.saturating_duration_since(resent.at) < self.rtt * 3 / 4;
        if known.as_ref().is_some_and(|resent| resent.times >= MAX_RESENT || is_early(resent)) {
            return false;
        }
        let Some(allowance) = self.allowance.checked_sub(bytes as u64) else { return false };
        self.allowance = allowance;
        match known {
            Some(resent) => (resent.at, resent.times) = (now, resent.times + 1),
            None => {
                if self.recent.len() >= MAX_REMEMBERED {
                    self.recent.pop_front();
                }
                self.recent.push_back(Resent { seq, at: now, times: 1 });
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn a_packet_is_sent_again_once_per_round_trip_and_not_for_ever() {
        let start = Instant::now();
        let mut resends = Resends::default();
        resends.set_rtt(100 * MS);
        let mut times = 0;
        for ms in 0..10_000 {
            times += u32::from(resends.may(start + ms * MS, ExtSeq(1), 10));
            if ms == 300 {
                assert_eq!(times, 5);
            }
        }
        assert_eq!(times, u32::from(MAX_RESENT));
    }

    #[test]
    fn answers_are_a_share_of_what_is_sent() {
        let now = Instant::now();
        let mut resends = Resends::default();
        let answered = |resends: &mut Resends| (0..10_000).filter(|seq| resends.may(now, ExtSeq(*seq), 1000)).count();
        assert_eq!(answered(&mut resends), 131);
        (0..400).for_each(|_| resends.sent(1000));
        assert_eq!(answered(&mut resends), 100);
    }
}
