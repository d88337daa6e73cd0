//! Two peers, a network that loses, delays and reorders by a seed, and a clock that jumps from event to event.

use super::super::*;

/// SCTP's checksum (RFC 9260 Appendix A), bit by bit.
fn crc32c(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0u32, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0x82f6_3b78 & (crc & 1).wrapping_neg()))
    })
}

/// Gives a packet that was tampered with a checksum that holds, without which nothing beyond the checksum is tested.
pub(super) fn seal(packet: &mut [u8]) {
    if packet.len() >= 12 {
        packet[8..12].fill(0);
        let sum = crc32c(packet);
        packet[8..12].copy_from_slice(&sum.to_le_bytes());
    }
}

pub(super) struct Random(pub u64);

impl Random {
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

pub(super) const A: usize = 0;
pub(super) const B: usize = 1;

pub(super) struct Pair {
    pub now: Instant,
    pub peers: [DataChannels; 2],
    pub events: [Vec<ChannelEvent>; 2],
    pub random: Random,
    /// In thousandths.
    pub loss: u64,
    /// How much longer than 10 ms a datagram may take.
    pub jitter_ms: u64,
    /// Datagrams under way: when they arrive, in the order sent where that is the same, at whom.
    flights: BTreeMap<(Instant, u64), (usize, Vec<u8>)>,
    sent: u64,
    /// All that peer A was sent.
    pub seen: Vec<Vec<u8>>,
}

impl Pair {
    /// A is the DTLS client and begins, B waits.
    pub(super) fn new(seed: u64) -> Pair {
        let now = Instant::now();
        Pair::of(seed, now, [DataChannels::begin(true, now), DataChannels::new(false)])
    }

    pub(super) fn connected(seed: u64) -> Pair {
        let mut pair = Pair::new(seed);
        pair.run(Duration::from_secs(1));
        assert!(pair.peers.iter().all(|peer| peer.phase == Phase::Established));
        pair
    }

    pub(super) fn of(seed: u64, now: Instant, peers: [DataChannels; 2]) -> Pair {
        let (random, flights) = (Random(seed), BTreeMap::new());
        Pair { now, peers, events: [vec![], vec![]], random, loss: 0, jitter_ms: 0, flights, sent: 0, seen: vec![] }
    }

    /// Runs until nothing happens any more before `time` is over.
    pub(super) fn run(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            self.collect();
            let arrival = self.flights.first_key_value().map(|((at, _), _)| *at);
            let timers = self.peers.iter().filter_map(DataChannels::next_timeout);
            let Some(next) = timers.chain(arrival).min().filter(|next| *next <= end) else { break };
            self.now = self.now.max(next);
            while let Some(flight) = self.flights.first_entry().filter(|flight| flight.key().0 <= self.now) {
                let (to, datagram) = flight.remove();
                self.peers[to].handle_datagram(self.now, &datagram);
            }
            for peer in &mut self.peers {
                if peer.next_timeout().is_some_and(|due| due <= self.now) {
                    peer.handle_timeout(self.now);
                }
            }
        }
        self.now = end;
    }

    fn collect(&mut self) {
        for from in [A, B] {
            while let Some(datagram) = self.peers[from].poll_transmit() {
                if from == B {
                    self.seen.push(datagram.clone());
                }
                let delay = Duration::from_millis(10 + self.random.below(self.jitter_ms + 1));
                if self.random.below(1000) >= self.loss {
                    self.sent += 1;
                    self.flights.insert((self.now + delay, self.sent), (1 - from, datagram));
                }
            }
            self.events[from].extend(std::iter::from_fn(|| self.peers[from].poll_event()));
        }
    }

    /// The channel that A has opened at both.
    pub(super) fn open(&mut self, label: &str, ordered: bool, reliability: Reliability) -> u16 {
        let now = self.now;
        self.peers[A].try_open(now, spec(label, ordered, reliability)).unwrap();
        self.run(Duration::from_millis(500));
        let channel = self.peers[A].find(label).unwrap();
        assert_eq!(self.peers[B].find(label), Some(channel));
        channel
    }

    pub(super) fn send(&mut self, from: usize, channel: u16, message: &[u8]) -> Result<(), SendError> {
        let now = self.now;
        self.peers[from].try_send(now, channel, true, message)
    }

    /// The messages that have come on a channel.
    pub(super) fn messages(&self, at: usize, channel: u16) -> Vec<&Bytes> {
        let of_channel = self.events[at].iter().filter_map(|event| match event {
            ChannelEvent::Message(on, _, bytes) if *on == channel => Some(bytes),
            _ => None,
        });
        of_channel.collect()
    }
}

pub(super) fn spec(label: &str, ordered: bool, reliability: Reliability) -> ChannelSpec {
    ChannelSpec { label: label.to_owned(), protocol: "p".to_owned(), ordered, reliability }
}

/// A message of `len` bytes that says which it is.
pub(super) fn numbered(n: u32, len: usize) -> Vec<u8> {
    let mut message = n.to_be_bytes().to_vec();
    message.resize(len, n as u8);
    message
}

/// Which message it is, having checked that it is whole.
pub(super) fn number(message: &[u8]) -> u32 {
    let n = u32::from_be_bytes(*message.first_chunk().unwrap());
    assert!(message[4..].iter().all(|byte| *byte == n as u8));
    n
}
