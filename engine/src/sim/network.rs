//! A network that loses, duplicates, delays and so reorders, by a seed.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::{Duration, Instant};

/// What the network does to a datagram.
#[derive(Clone, Copy, Debug)]
pub(super) struct Conditions {
    pub seed: u64,
    /// In thousandths.
    pub loss: u64,
    /// In thousandths.
    pub duplication: u64,
    pub delay: Duration,
    /// At most this much more, evenly spread: what is larger than the distance between datagrams reorders them.
    pub jitter: Duration,
}

impl Conditions {
    pub(super) fn perfect() -> Conditions {
        let delay = Duration::from_millis(5);
        Conditions { seed: 1, loss: 0, duplication: 0, delay, jitter: Duration::ZERO }
    }
}

struct UnderWay<P> {
    at: Instant,
    order: u64,
    packet: P,
}

impl<P> PartialEq for UnderWay<P> {
    fn eq(&self, other: &Self) -> bool {
        (self.at, self.order) == (other.at, other.order)
    }
}

impl<P> Eq for UnderWay<P> {}

impl<P> PartialOrd for UnderWay<P> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<P> Ord for UnderWay<P> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.order).cmp(&(other.at, other.order))
    }
}

pub(super) struct Network<P> {
    pub(super) conditions: Conditions,
    state: u64,
    order: u64,
    under_way: BinaryHeap<Reverse<UnderWay<P>>>,
}

impl<P: Clone> Network<P> {
    pub(super) fn new(conditions: Conditions) -> Network<P> {
        let state = conditions.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        Network { conditions, state, order: 0, under_way: BinaryHeap::new() }
    }

    /// Takes a datagram, of which a path of its own loses more (in thousandths).
    pub(super) fn push_over(&mut self, now: Instant, loss: u64, packet: P) {
        if !self.chance(loss) {
            self.push(now, packet);
        }
    }

    pub(super) fn push(&mut self, now: Instant, packet: P) {
        let copies = 1 + u64::from(self.chance(self.conditions.duplication));
        for _ in 0..copies {
            if self.chance(self.conditions.loss) {
                continue;
            }
            let jitter = self.random() % (self.conditions.jitter.as_micros() as u64 + 1);
            let at = now + self.conditions.delay + Duration::from_micros(jitter);
            self.order += 1;
            self.under_way.push(Reverse(UnderWay { at, order: self.order, packet: packet.clone() }));
        }
    }

    pub(super) fn next(&self) -> Option<Instant> {
        self.under_way.peek().map(|Reverse(under_way)| under_way.at)
    }

    pub(super) fn pop(&mut self, now: Instant) -> Option<P> {
        if self.next()? > now {
            return None;
        }
        self.under_way.pop().map(|Reverse(under_way)| under_way.packet)
    }

    fn chance(&mut self, thousandths: u64) -> bool {
        self.random() % 1000 < thousandths
    }

    /// xorshift64*.
    fn random(&mut self) -> u64 {
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        self.state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16
    }
}
