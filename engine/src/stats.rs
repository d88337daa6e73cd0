//! Counters of a shard. One thread writes, any reads: relaxed atomics on the shard's own cache lines.

use std::sync::atomic::{AtomicU64, Ordering};

/// Why a datagram went no further. Counted, never logged.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(usize)]
pub enum Discard {
    /// Its first byte is of no protocol that is spoken here (RFC 7983).
    NotMedia,
    /// Not a well-formed STUN message.
    StunMalformed,
    /// A check with a forged ufrag or a wrong MESSAGE-INTEGRITY.
    StunUnauthenticated,
    /// A check with credentials from before an ICE restart that is complete.
    StunStale,
    /// A check that asks for something else than ICE-lite gives.
    StunRefused,
    /// A check for a session that has ended.
    SessionEnded,
    /// Not STUN, from an address that passed no check.
    UnknownFlow,
    /// More waits for the control core than may.
    ClaimsFull,
    /// Media before the DTLS handshake was done.
    NotKeyed,
    /// SRTP or SRTCP that does not authenticate, or a replay.
    Srtp,
    /// RTP that does not parse.
    Rtp,
    /// RTCP that does not parse.
    Rtcp,
    /// RTP of a source that belongs to no track, or of a payload type that was not negotiated.
    UnknownSource,
    /// RTP that has come already, by itself or as a retransmission.
    Duplicate,
    /// A retransmission of nothing: padding that probes the path, or of a packet from before the source began.
    EmptyRtx,
    /// RTP from a viewer.
    NotAPublisher,
    /// A queue to another shard was full.
    MeshFull,
    /// The socket's send buffer was full.
    SendFull,
    /// The kernel refused to send.
    SendFailed,
    /// The kernel could not receive: calls, as what they would have brought is not known.
    ReceiveFailed,
}

/// How many there are.
const DISCARDS: usize = Discard::ReceiveFailed as usize + 1;

/// A counter with one writer.
#[derive(Default, Debug)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds. A plain load and store: nobody else writes, so no locked instruction is needed.
    pub fn add(&self, count: u64) {
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(count), Ordering::Relaxed);
    }

    /// Replaces.
    pub fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    /// The value.
    pub fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What a shard counts.
#[derive(Default, Debug)]
#[repr(align(128))]
pub struct ShardStats {
    /// Milliseconds from the engine's start to the loop's last turn.
    pub last_turn_ms: Counter,
    /// Microseconds that its turns took, all together.
    pub busy_us: Counter,
    /// Sessions owned.
    pub sessions: Counter,
    /// Datagrams received.
    pub rx_datagrams: Counter,
    /// Datagrams sent.
    pub tx_datagrams: Counter,
    /// `sendmsg` calls they took.
    pub tx_calls: Counter,
    /// Datagrams that came here for a session of another shard, and were handed over.
    pub crossed: Counter,
    discards: [Counter; DISCARDS],
}

impl ShardStats {
    /// Counts a discarded datagram.
    pub fn discard(&self, reason: Discard) {
        self.discard_many(reason, 1);
    }

    /// Counts several.
    pub fn discard_many(&self, reason: Discard, count: u64) {
        self.discards[reason as usize].add(count);
    }

    /// How many were discarded for `reason`.
    pub fn discarded(&self, reason: Discard) -> u64 {
        self.discards[reason as usize].value()
    }
}
