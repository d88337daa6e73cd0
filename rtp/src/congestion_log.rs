//! What arrived of one source since the last congestion control feedback (RFC 8888 §3.1).

use crate::ids::Ssrc;
use crate::rtcp::Congestion;
use crate::seq::ExtSeq;
use std::collections::VecDeque;
use std::time::Instant;

/// Numbers that one feedback tells of; of a longer gap, the newest.
const MAX_PACKETS: usize = 400;

/// See the module's text.
#[derive(Default, Debug)]
pub struct CongestionLog {
    /// Number of the first of `arrivals`.
    begin: Option<ExtSeq>,
    arrivals: VecDeque<Option<Instant>>,
}

impl CongestionLog {
    /// A packet came.
    pub fn on_packet(&mut self, now: Instant, seq: ExtSeq) {
        let begin = *self.begin.get_or_insert(seq);
        // One that comes after its number was told of is a retransmission's business.
        let Some(place) = seq.0.checked_sub(begin.0) else { return };
        let place = place as usize;
        if place >= self.arrivals.len() + MAX_PACKETS {
            self.arrivals.clear();
            self.begin = Some(seq);
            self.arrivals.push_back(Some(now));
            return;
        }
        if self.arrivals.len() <= place {
            self.arrivals.resize(place + 1, None);
        }
        self.arrivals[place].get_or_insert(now);
        while self.arrivals.len() > MAX_PACKETS {
            self.arrivals.pop_front();
            self.begin = self.begin.map(|begin| ExtSeq(begin.0 + 1));
        }
    }

    /// What is to be told of the source at `now`, if anything came. The next begins after it.
    pub fn take(&mut self, now: Instant, ssrc: Ssrc) -> Option<Congestion> {
        let begin = self.begin.filter(|_| !self.arrivals.is_empty())?;
        let offset = |at: Instant| {
            let ms = now.saturating_duration_since(at).as_micros() * 1024 / 1_000_000;
            u16::try_from(ms).unwrap_or(u16::MAX)
        };
        let arrivals = self.arrivals.drain(..).map(|arrival| arrival.map(offset)).collect::<Vec<_>>();
        self.begin = Some(ExtSeq(begin.0 + arrivals.len() as u64));
        Some(Congestion { ssrc, begin: begin.wire(), arrivals })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seq::SeqNo;
    use std::time::Duration;

    #[test]
    fn each_number_is_told_of_once_with_its_age() {
        let start = Instant::now();
        let mut log = CongestionLog::default();
        assert_eq!(log.take(start, Ssrc(1)), None);
        log.on_packet(start, ExtSeq(65_535));
        log.on_packet(start + Duration::from_millis(250), ExtSeq(65_537));
        let told = log.take(start + Duration::from_millis(500), Ssrc(1)).unwrap();
        assert_eq!((told.begin, told.arrivals), (SeqNo(65_535), vec![Some(512), None, Some(256)]));
        assert_eq!(log.take(start, Ssrc(1)), None);
        log.on_packet(start, ExtSeq(65_536));
        log.on_packet(start, ExtSeq(65_539));
        let told = log.take(start, Ssrc(1)).unwrap();
        assert_eq!((told.begin, told.arrivals), (SeqNo(2), vec![None, Some(0)]));
    }

    #[test]
    fn gaps_are_bounded() {
        let now = Instant::now();
        let mut log = CongestionLog::default();
        for seq in [1, 300, 600, 5_000_000] {
            log.on_packet(now, ExtSeq(seq));
            assert!(log.arrivals.len() <= MAX_PACKETS);
        }
        assert_eq!(log.take(now, Ssrc(1)).unwrap().arrivals, [Some(0)]);
    }
}
