//! What a track brought of late, in plaintext and once for all viewers of a shard: retransmissions are made from it, and a viewer that
//! joins begins with the last keyframe in it.
//!
//! ```text
//!  bytes    |ddddd|e|.......|aaaaaaaa|bb|cccc|      a ring: what is overwritten has been forgotten
//!                   ^next    ^oldest
//!  entries  a b c d e                               in order of arrival; numbers count all that ever came
//! ```

use super::Epoch;
use oneport_rtp::packet::RtpPacket;
use oneport_rtp::sender_clock::SenderClock;
use oneport_rtp::seq::ExtSeq;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Bytes that a track begins with.
const INITIAL_BYTES: usize = 32 << 10;
/// Packets of one track, however small: bounds the entries.
const MAX_PACKETS: usize = 16_384;

/// Bounds of a track's history.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HistoryLimits {
    /// Bytes of packets; taken as they are needed.
    pub bytes: usize,
    /// How long a packet is kept for retransmission.
    pub age: Duration,
    /// How long a group of pictures may be to be kept for viewers that join; zero keeps none.
    pub group: Duration,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    epoch: Epoch,
    seq: ExtSeq,
    at: Instant,
    timestamp: u32,
    start: usize,
    len: usize,
}

/// A packet of the past.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Past<'a> {
    pub epoch: Epoch,
    pub seq: ExtSeq,
    pub packet: RtpPacket<'a>,
}

/// The last keyframe and what followed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Group {
    /// Number of its first entry.
    pub first: u64,
    pub epoch: Epoch,
    pub first_seq: ExtSeq,
    /// Sequence number and timestamp of the newest packet.
    pub newest: (ExtSeq, u32),
    pub bytes: usize,
    /// Time since it began.
    pub age: Duration,
}

/// See the module's text.
#[derive(Debug)]
pub(crate) struct History {
    limits: HistoryLimits,
    bytes: Vec<u8>,
    next: usize,
    entries: VecDeque<Entry>,
    /// Number of the oldest entry.
    first: u64,
    /// Number of the entry that the last keyframe begins with.
    keyframe: Option<u64>,
    /// The publisher's clock, from its last sender report.
    clock: Option<(Epoch, SenderClock)>,
}

impl History {
    pub(crate) fn new(limits: HistoryLimits) -> History {
        History { limits, bytes: Vec::new(), next: 0, entries: VecDeque::new(), first: 0, keyframe: None, clock: None }
    }

    /// The number after the newest entry's.
    pub(crate) fn end(&self) -> u64 {
        self.first + self.entries.len() as u64
    }

    /// A sender report came.
    pub(crate) fn set_clock(&mut self, epoch: Epoch, clock: SenderClock) {
        self.clock = Some((epoch, clock));
    }

    /// The publisher's clock, from its last sender report.
    pub(crate) fn clock(&self) -> Option<(Epoch, SenderClock)> {
        self.clock
    }

    /// Adds a packet that came just now.
    pub(crate) fn push(&mut self, now: Instant, epoch: Epoch, seq: ExtSeq, packet: &RtpPacket<'_>, is_keyframe: bool) {
        let bytes = packet.bytes();
        self.forget(now);
        let Some(start) = self.make_room(now, bytes.len()) else { return };
        self.bytes[start..start + bytes.len()].copy_from_slice(bytes);
        let newest = self.entries.back().map(|entry| entry.epoch);
        let entry = Entry { epoch, seq, at: now, timestamp: packet.timestamp(), start, len: bytes.len() };
        self.entries.push_back(entry);
        if is_keyframe {
            // Parameter sets and the picture's slices may come in packets of their own, all of which begin a keyframe.
            let goes_on =
                self.group_entry().is_some_and(|first| (first.epoch, first.timestamp) == (epoch, entry.timestamp));
            if !goes_on {
                self.keyframe = Some(self.end() - 1);
            }
        } else if newest.is_some_and(|newest| newest != epoch) {
            self.keyframe = None;
        }
    }

    fn group_entry(&self) -> Option<&Entry> {
        self.entry(self.keyframe?)
    }

    fn entry(&self, number: u64) -> Option<&Entry> {
        self.entries.get(usize::try_from(number.checked_sub(self.first)?).ok()?)
    }

    fn pop(&mut self) {
        self.entries.pop_front();
        self.first += 1;
        if self.keyframe.is_some_and(|keyframe| keyframe < self.first) {
            self.keyframe = None;
        }
    }

    /// Lets go of what is old and of no group that is kept.
    fn forget(&mut self, now: Instant) {
        let too_long = |first: &Entry| now.saturating_duration_since(first.at) > self.limits.group;
        if self.group_entry().is_some_and(too_long) {
            self.keyframe = None;
        }
        while let Some(oldest) = self.entries.front() {
            let is_kept =
                self.keyframe == Some(self.first) || now.saturating_duration_since(oldest.at) <= self.limits.age;
            if is_kept && self.entries.len() < MAX_PACKETS {
                break;
            }
            self.pop();
        }
        if self.entries.is_empty() {
            self.next = 0;
        }
    }

    /// Where `len` bytes can be written; what lies there is forgotten.
    fn make_room(&mut self, now: Instant, len: usize) -> Option<usize> {
        if len > self.limits.bytes {
            return None;
        }
        loop {
            let start = if self.next + len <= self.bytes.len() { self.next } else { 0 };
            let Some(oldest) = self.entries.front() else {
                if self.bytes.len() < len {
                    self.grow(len);
                }
                self.next = len;
                return Some(0);
            };
            // Free is what lies between the newest's end and the oldest's start, going round.
            let wraps = start < self.next;
            let is_free = match (oldest.start >= self.next, wraps) {
                (true, false) => start + len <= oldest.start,
                (true, true) => false,
                (false, false) => start + len <= self.bytes.len(),
                (false, true) => len <= oldest.start,
            };
            if is_free {
                self.next = start + len;
                return Some(start);
            }
            let may_grow = self.bytes.len() < self.limits.bytes;
            let is_wanted =
                self.keyframe == Some(self.first) || now.saturating_duration_since(oldest.at) <= self.limits.age;
            if may_grow && is_wanted {
                self.grow(len);
            } else {
                self.pop();
            }
        }
    }

    /// Twice as many bytes, with what is kept moved to the beginning.
    fn grow(&mut self, len: usize) {
        let size = (self.bytes.len() * 2).max(INITIAL_BYTES).max(len).min(self.limits.bytes);
        let mut bytes = vec![0; size];
        let mut next = 0;
        for entry in &mut self.entries {
            bytes[next..next + entry.len].copy_from_slice(&self.bytes[entry.start..entry.start + entry.len]);
            entry.start = next;
            next += entry.len;
        }
        (self.bytes, self.next) = (bytes, next);
    }

    fn past(&self, entry: &Entry) -> Option<Past<'_>> {
        let packet = RtpPacket::parse(&self.bytes[entry.start..entry.start + entry.len]).ok()?;
        Some(Past { epoch: entry.epoch, seq: entry.seq, packet })
    }

    /// The packet with this number of an epoch. Wanted ones are recent: it is looked for from the newest on.
    pub(crate) fn find(&self, epoch: Epoch, seq: ExtSeq) -> Option<Past<'_>> {
        let entry = self.entries.iter().rev().find(|entry| (entry.epoch, entry.seq) == (epoch, seq))?;
        self.past(entry)
    }

    /// The entry of this number, if it is still kept.
    pub(crate) fn at(&self, number: u64) -> Option<Past<'_>> {
        self.past(self.entry(number)?)
    }

    /// The last keyframe and what followed, if all of it is kept.
    pub(crate) fn group(&self, now: Instant) -> Option<Group> {
        let number = self.keyframe?;
        let first = self.entry(number)?;
        let age = now.saturating_duration_since(first.at);
        if age > self.limits.group {
            return None;
        }
        let entries = self.entries.range((number - self.first) as usize..);
        let newest = entries.clone().max_by_key(|entry| entry.seq)?;
        Some(Group {
            first: number,
            epoch: first.epoch,
            first_seq: first.seq,
            newest: (newest.seq, newest.timestamp),
            bytes: entries.map(|entry| entry.len).sum(),
            age,
        })
    }

    /// Memory held.
    #[cfg(test)]
    fn size(&self) -> usize {
        self.bytes.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::SessionId;
    use crate::testing::rtp_packet;

    const LIMITS: HistoryLimits =
        HistoryLimits { bytes: 256 << 10, age: Duration::from_secs(1), group: Duration::from_secs(10) };
    const EPOCH: Epoch = (SessionId(1), 1);

    fn push(history: &mut History, now: Instant, seq: u64, len: usize, is_keyframe: bool) {
        let bytes = rtp_packet(96, 1, seq as u16, seq as u32 * 10, len);
        history.push(now, EPOCH, ExtSeq(seq), &RtpPacket::parse(&bytes).unwrap(), is_keyframe);
    }

    fn is_whole(history: &History, seq: u64) -> bool {
        history.find(EPOCH, ExtSeq(seq)).is_some_and(|past| {
            past.packet.seq().0 == seq as u16 && past.packet.payload().iter().all(|byte| *byte == seq as u8)
        })
    }

    #[test]
    fn what_is_kept_is_whole_whatever_the_sizes() {
        let start = Instant::now();
        let mut history = History::new(LIMITS);
        let mut state = 7u32;
        for seq in 0..20_000u64 {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let now = start + Duration::from_millis(seq);
            push(&mut history, now, seq, 1 + (state >> 16) as usize % 1400, false);
            assert!(is_whole(&history, seq));
            for back in [1, 50, 100] {
                assert!(seq < back || is_whole(&history, seq - back), "{seq} {back}");
            }
            assert!(history.size() <= LIMITS.bytes);
        }
        assert_eq!(history.end(), 20_000);
        assert!(!is_whole(&history, 18_000), "older than a second");
    }

    #[test]
    fn a_group_is_kept_from_its_keyframe_on() {
        let start = Instant::now();
        let mut history = History::new(LIMITS);
        assert_eq!(history.group(start), None);
        for seq in 0..100u64 {
            push(&mut history, start + Duration::from_millis(seq * 33), seq, 1000, seq % 60 == 7);
        }
        let group = history.group(start + Duration::from_millis(3300)).unwrap();
        assert_eq!((group.first_seq, group.newest), (ExtSeq(67), (ExtSeq(99), 990)));
        assert_eq!(history.at(group.first).unwrap().seq, ExtSeq(67));
        assert_eq!(group.bytes, 33 * 1012);
    }

    #[test]
    fn a_group_that_is_too_long_or_too_large_is_none() {
        let start = Instant::now();
        let mut history = History::new(LIMITS);
        push(&mut history, start, 0, 1000, true);
        push(&mut history, start + Duration::from_secs(11), 1, 1000, false);
        assert_eq!(history.group(start + Duration::from_secs(11)), None);
        push(&mut history, start + Duration::from_secs(12), 2, 1000, true);
        for seq in 3..400 {
            push(&mut history, start + Duration::from_secs(12), seq, 1000, false);
        }
        assert_eq!(history.group(start + Duration::from_secs(12)), None);
        assert!(is_whole(&history, 399) && !is_whole(&history, 3));
    }

    #[test]
    fn a_keyframe_of_several_packets_is_one_and_another_epoch_has_none_of_it() {
        let now = Instant::now();
        let mut history = History::new(LIMITS);
        for seq in 0..3u16 {
            let bytes = rtp_packet(96, 1, seq, 5, 100);
            history.push(now, EPOCH, ExtSeq(seq.into()), &RtpPacket::parse(&bytes).unwrap(), true);
        }
        assert_eq!(history.group(now).unwrap().first_seq, ExtSeq(0));
        let bytes = rtp_packet(96, 2, 9, 6, 100);
        history.push(now, (SessionId(1), 2), ExtSeq(9), &RtpPacket::parse(&bytes).unwrap(), false);
        assert_eq!(history.group(now), None);
    }

    #[test]
    fn many_small_packets_are_bounded() {
        let now = Instant::now();
        let mut history = History::new(HistoryLimits { bytes: 8 << 20, ..LIMITS });
        (0..50_000).for_each(|seq| push(&mut history, now, seq, 1, seq == 0));
        assert!(history.entries.len() <= MAX_PACKETS);
        assert!(is_whole(&history, 49_999));
    }
}
