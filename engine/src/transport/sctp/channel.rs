//! One channel, and what waits to be sent on it.
//!
//! ```text
//!   send ──► queue, in messages: may drop its oldest ──► sctp-proto, in fragments: may not, so it gets FEED bytes at most
//! ```

use super::vocabulary::{ChannelSpec, Limits, Reliability, SendError};
use bytes::Bytes;
use sctp_proto::{PayloadProtocolIdentifier, ReliabilityType, Stream};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Bytes in sctp-proto, from which on messages wait here: 20 Mbit/s at 100 ms on a reliable channel.
const FEED: usize = 256 << 10;
/// A channel that may lose messages rather loses old ones than brings them late: 5 Mbit/s at 100 ms.
const FEED_DROPPABLE: usize = 64 << 10;
/// What a message that waits costs beside its bytes.
const OVERHEAD: usize = 64;

struct Outgoing {
    kind: PayloadProtocolIdentifier,
    bytes: Bytes,
    sent_at: Instant,
}

impl Outgoing {
    fn cost(&self) -> usize {
        self.bytes.len() + OVERHEAD
    }
}

/// See the module's text.
pub(super) struct Channel {
    pub spec: ChannelSpec,
    /// The peer knows of it. Until then order is kept, lest a message overtakes what opens its channel (RFC 8832 §6).
    pub is_acknowledged: bool,
    queue: VecDeque<Outgoing>,
    /// What the queue costs, in bytes.
    queued: usize,
    /// The lengths of the messages that sctp-proto has, as far as is known, and their sum: it is slow with many small ones.
    fed: VecDeque<usize>,
    fed_bytes: usize,
}

impl Channel {
    pub(super) fn new(spec: ChannelSpec, is_acknowledged: bool) -> Channel {
        Channel { spec, is_acknowledged, queue: VecDeque::new(), queued: 0, fed: VecDeque::new(), fed_bytes: 0 }
    }

    /// Whether nothing waits here.
    pub(super) fn is_idle(&self) -> bool {
        self.queue.is_empty()
    }

    /// Puts a message into the queue. The number of older ones that were dropped for it.
    pub(super) fn enqueue(
        &mut self,
        now: Instant,
        (kind, bytes): (PayloadProtocolIdentifier, &[u8]),
        stream: &Stream<'_>,
        limits: &Limits,
    ) -> Result<u64, SendError> {
        let buffered = self.buffered(stream).ok_or(SendError::NotOpen)?;
        let is_reliable = self.spec.reliability == Reliability::Reliable;
        if is_reliable && buffered + self.queued + bytes.len() > limits.reliable {
            return Err(SendError::Full);
        }
        let mut dropped = 0;
        // One message may always wait, however much sctp-proto has.
        while !is_reliable && buffered + self.queued + bytes.len() > limits.droppable && self.pop().is_some() {
            dropped += 1;
        }
        let message = Outgoing { kind, bytes: Bytes::copy_from_slice(bytes), sent_at: now };
        self.queued += message.cost();
        self.queue.push_back(message);
        Ok(dropped)
    }

    /// What the channel's messages in sctp-proto cost, in bytes. None, if there is no such stream.
    fn buffered(&mut self, stream: &Stream<'_>) -> Option<usize> {
        let buffered = stream.buffered_amount().ok()?;
        while let Some(oldest) = self.fed.front()
            && self.fed_bytes - oldest >= buffered
        {
            self.fed_bytes -= oldest;
            self.fed.pop_front();
        }
        Some(buffered + self.fed.len() * OVERHEAD)
    }

    fn pop(&mut self) -> Option<Outgoing> {
        let message = self.queue.pop_front()?;
        self.queued -= message.cost();
        Some(message)
    }

    /// Gives sctp-proto what it may have, or everything before the channel is closed. The number of messages that were dropped.
    pub(super) fn feed(&mut self, now: Instant, stream: &mut Stream<'_>, is_last: bool) -> u64 {
        let bound = if self.spec.reliability == Reliability::Reliable { FEED } else { FEED_DROPPABLE };
        let mut dropped = 0;
        while is_last || self.buffered(stream).is_some_and(|buffered| buffered < bound) {
            let Some(message) = self.pop() else { break };
            if self.configure(now, &message, stream) && stream.write_with_ppi(&message.bytes, message.kind).is_ok() {
                self.fed.push_back(message.bytes.len());
                self.fed_bytes += message.bytes.len();
            } else {
                dropped += 1;
            }
        }
        dropped
    }

    /// Sets what the message wants. False, if its lifetime, which counts from when it was sent, is over.
    fn configure(&self, now: Instant, message: &Outgoing, stream: &mut Stream<'_>) -> bool {
        let (kind, value) = match self.spec.reliability {
            Reliability::Reliable => (ReliabilityType::Reliable, 0),
            Reliability::MaxRetransmits(count) => (ReliabilityType::Rexmit, count),
            Reliability::MaxLifetimeMs(ms) => {
                let waited = now.saturating_duration_since(message.sent_at);
                let Some(left) = Duration::from_millis(ms.into()).checked_sub(waited) else { return false };
                (ReliabilityType::Timed, u32::try_from(left.as_millis()).unwrap_or(ms))
            }
        };
        let is_unordered = !self.spec.ordered && self.is_acknowledged;
        stream.set_reliability_params(is_unordered, kind, value).is_ok()
    }

    /// Throws away what waits. How many messages that were.
    pub(super) fn discard(&mut self) -> u64 {
        self.queued = 0;
        std::mem::take(&mut self.queue).len() as u64
    }
}

impl std::fmt::Debug for Channel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Channel").field("spec", &self.spec).field("queued", &self.queued).finish()
    }
}
