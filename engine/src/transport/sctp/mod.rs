//! Data channels (RFC 8831): SCTP over DTLS by sctp-proto, and DCEP. Takes the payloads of DTLS records and `now`, gives the same.
//!
//! ```text
//!   DTLS record ──► guard ──► sctp-proto ──► DCEP, messages ──► poll_event
//!   poll_transmit ◄───────── sctp-proto ◄── channels' queues ◄── send
//! ```
//!
//! A server waits for the peer to begin the association, as browsers do on both sides (RFC 8841 §9.3 has both begin it). Where both
//! begin at once, the DTLS client yields: sctp-proto cannot answer an INIT within an association that it began, as RFC 9260 §5.2.1
//! has it. A peer that can is not harmed by either.
//!
//! **Memory.** Bounded by [`Limits`], [`RECEIVE_BUFFER`] and the guard's window; a peer that lets resets pile up loses the association.

mod channel;
mod dcep;
mod guard;
mod incoming;
mod outgoing;
mod vocabulary;

pub(crate) use vocabulary::{ChannelEvent, ChannelSpec, Counters, Limits, OpenError, Reliability, SendError};

use bytes::Bytes;
use channel::Channel;
use guard::{Guard, Verdict};
use sctp_proto::{
    Association, AssociationError, AssociationHandle, DatagramEvent, Endpoint, EndpointConfig, Event, Payload,
    ServerConfig, StreamEvent, Transmit, TransportConfig,
};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Largest message either way, in bytes; what the answer's `a=max-message-size` says.
pub(crate) const MAX_MESSAGE: usize = 64 << 10;
/// Longest label and protocol that are taken.
const MAX_NAME: usize = 256;
/// Streams either way, which browsers adapt to.
const MAX_STREAMS: u16 = 1024;
/// What a peer may send ahead of what was read here. A larger message ends the association, as it can never be whole.
const RECEIVE_BUFFER: u32 = 256 << 10;
/// Channels that the peer has closed and does not confirm that we did: sctp-proto keeps them all.
const MAX_RESETS: usize = 256;
/// Real networks answer sooner than SCTP's second.
const RTO_MIN_MS: u64 = 200;
const RTO_INITIAL_MS: u64 = 1000;
/// A minute, as RFC 9260 §16 has it, is too long to wait after a change of networks; ICE says when a peer is gone.
const RTO_MAX_MS: u64 = 3000;
/// How long a shutdown may take.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(5);
/// SCTP over DTLS has no addresses.
const PEER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 5000);

/// See the module's text.
pub(crate) struct DataChannels {
    endpoint: Endpoint,
    association: Option<(AssociationHandle, Association)>,
    phase: Phase,
    is_client: bool,
    /// We sent the INIT.
    has_begun: bool,
    limits: Limits,
    guard: Guard,
    channels: BTreeMap<u16, Channel>,
    /// Those of ours that wait for the association.
    waiting: Vec<ChannelSpec>,
    /// Streams that may have messages to read.
    readable: BTreeSet<u16>,
    /// Resets that the peer has not confirmed.
    resets: usize,
    transmits: VecDeque<Vec<u8>>,
    events: VecDeque<ChannelEvent>,
    /// Bytes of the messages in `events`.
    unpolled: usize,
    /// When something was last done.
    driven_at: Option<Instant>,
    counters: Counters,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    Connecting,
    Established,
    /// Nothing new is sent any more; SHUTDOWN follows when the queues are empty, or the end at this time.
    Closing(Instant),
    Lost,
}

impl DataChannels {
    /// Waits for the peer to begin. `is_client`: our part in DTLS.
    pub(crate) fn new(is_client: bool) -> DataChannels {
        DataChannels::with_limits(is_client, Limits::default())
    }

    /// As [`DataChannels::new`], with other limits.
    pub(crate) fn with_limits(is_client: bool, limits: Limits) -> DataChannels {
        let mut server = ServerConfig::new();
        server.transport = transport();
        DataChannels {
            endpoint: Endpoint::new(Arc::new(EndpointConfig::new()), Some(Arc::new(server))),
            association: None,
            phase: Phase::Connecting,
            is_client,
            has_begun: false,
            limits,
            guard: Guard::default(),
            channels: BTreeMap::new(),
            waiting: Vec::new(),
            readable: BTreeSet::new(),
            resets: 0,
            transmits: VecDeque::new(),
            events: VecDeque::new(),
            unpolled: 0,
            driven_at: None,
            counters: Counters::default(),
        }
    }

    /// Begins the association, as a browser does.
    #[cfg(any(test, feature = "client"))]
    pub(crate) fn begin(is_client: bool, now: Instant) -> DataChannels {
        let mut channels = DataChannels::new(is_client);
        let mut client = sctp_proto::ClientConfig::new();
        client.transport = transport();
        channels.association = channels.endpoint.connect(client, PEER).ok();
        channels.has_begun = true;
        channels.drive(now);
        channels
    }

    /// Takes the payload of a DTLS record.
    pub(crate) fn handle_datagram(&mut self, now: Instant, datagram: &[u8]) {
        if !self.admits(datagram) {
            self.counters.discarded += 1;
            return;
        }
        let data = Bytes::copy_from_slice(datagram);
        match self.endpoint.handle(now, PEER, None, None, data) {
            Some((handle, DatagramEvent::NewAssociation(association))) => {
                self.association = Some((handle, association));
                self.has_begun = false;
                // There is no second, however often the peer begins anew.
                self.endpoint.reject_new_associations();
            }
            Some((handle, DatagramEvent::AssociationEvent(event))) => {
                if let Some((_, association)) = self.association.as_mut().filter(|(known, _)| *known == handle) {
                    association.handle_event(event);
                }
            }
            None => self.counters.discarded += 1,
        }
        self.drive(now);
    }

    fn admits(&mut self, datagram: &[u8]) -> bool {
        if self.phase == Phase::Lost {
            return false;
        }
        match self.guard.inspect(datagram, self.phase != Phase::Connecting) {
            Verdict::Pass => true,
            // Once the peer has answered our INIT, ours goes on.
            Verdict::Begins => !self.has_begun || (self.is_client && !self.guard.is_answered),
            Verdict::Discard => false,
        }
    }

    /// When [`DataChannels::handle_timeout`] wants to be called.
    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        let end = match self.phase {
            Phase::Closing(end) => Some(end),
            _ => None,
        };
        let timer = self.association.as_ref().and_then(|(_, association)| association.poll_timeout());
        timer.into_iter().chain(end).min()
    }

    /// Does what is due.
    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        if let Some((_, association)) = &mut self.association {
            association.handle_timeout(now);
        }
        self.drive(now);
    }

    /// The next payload of a DTLS record to send.
    pub(crate) fn poll_transmit(&mut self) -> Option<Vec<u8>> {
        self.transmits.pop_front()
    }

    /// The next event.
    pub(crate) fn poll_event(&mut self) -> Option<ChannelEvent> {
        let event = self.events.pop_front()?;
        if let ChannelEvent::Message(_, _, message) = &event {
            let was_full = self.unpolled >= self.limits.unpolled;
            self.unpolled -= message.len();
            if let (true, Some(now)) = (was_full, self.driven_at) {
                self.drive(now);
            }
        }
        Some(event)
    }

    /// What a channel was opened with.
    pub(crate) fn spec(&self, channel: u16) -> Option<&ChannelSpec> {
        self.channels.get(&channel).map(|channel| &channel.spec)
    }

    /// The channel of this label, whoever opened it.
    pub(crate) fn find(&self, label: &str) -> Option<u16> {
        self.channels.iter().find(|(_, channel)| channel.spec.label == label).map(|(stream, _)| *stream)
    }

    /// Whether the association has ended, for whatever reason. There will not be another.
    #[allow(dead_code, reason = "not wired yet")]
    pub(crate) fn is_lost(&self) -> bool {
        self.phase == Phase::Lost
    }

    /// What went wrong so far.
    #[allow(dead_code, reason = "not wired yet")]
    pub(crate) fn counters(&self) -> Counters {
        self.counters
    }

    /// Opens a channel, as soon as the peer is there, unless there is one of this label, or too many.
    pub(crate) fn open(&mut self, now: Instant, spec: ChannelSpec) {
        let _ = self.try_open(now, spec);
    }

    /// As [`DataChannels::open`], and says what was wrong. [`DataChannels::find`] knows the channel from when the peer is there.
    pub(crate) fn try_open(&mut self, now: Instant, spec: ChannelSpec) -> Result<(), OpenError> {
        if !matches!(self.phase, Phase::Connecting | Phase::Established) {
            return Err(OpenError::Ended);
        }
        if self.find(&spec.label).is_some() || self.waiting.iter().any(|known| known.label == spec.label) {
            return Err(OpenError::Taken);
        }
        if self.channels.len() + self.waiting.len() >= self.limits.channels {
            return Err(OpenError::TooMany);
        }
        self.waiting.push(spec);
        self.drive(now);
        Ok(())
    }

    /// Sends a message. A reliable channel that has no room for it is closed: whoever listens has to know that something is missing.
    pub(crate) fn send(&mut self, now: Instant, channel: u16, is_binary: bool, message: &[u8]) {
        if self.try_send(now, channel, is_binary, message) == Err(SendError::Full) {
            self.expel(channel);
            self.drive(now);
        }
    }

    /// Sends a message, or says why not. On a channel that may lose messages, the oldest that wait make room.
    pub(crate) fn try_send(
        &mut self,
        now: Instant,
        channel: u16,
        is_binary: bool,
        message: &[u8],
    ) -> Result<(), SendError> {
        let sent = self.enqueue(now, channel, is_binary, message);
        match sent {
            Ok(dropped) => self.counters.dropped += dropped,
            Err(_) => self.counters.refused += 1,
        }
        self.drive(now);
        sent.map(|_| ())
    }

    /// Closes a channel on both sides, once what waits on it has been sent.
    pub(crate) fn close(&mut self, now: Instant, channel: u16) {
        if let Some(mut gone) = self.channels.remove(&channel)
            && let Some((_, association)) = &mut self.association
            && let Ok(mut stream) = association.stream(channel)
        {
            self.counters.dropped += gone.feed(now, &mut stream, true);
            let _ = stream.close();
        }
        self.drive(now);
    }

    /// Ends the association, once what waits has been sent, and within five seconds.
    #[allow(dead_code, reason = "not wired yet")]
    pub(crate) fn shutdown(&mut self, now: Instant) {
        match self.phase {
            Phase::Connecting => self.lose(),
            Phase::Established => self.phase = Phase::Closing(now + SHUTDOWN_TIMEOUT),
            Phase::Closing(_) | Phase::Lost => {}
        }
        self.drive(now);
    }

    /// Moves everything on that can move.
    fn drive(&mut self, now: Instant) {
        self.driven_at = Some(now);
        self.read();
        while let Some(event) = self.association.as_mut().and_then(|(_, association)| association.poll()) {
            self.handle_event(now, event);
            self.read();
        }
        self.open_waiting();
        self.feed(now);
        self.close_down(now);
        self.collect(now);
        if self.guard.has_said_goodbye {
            self.lose();
        }
    }

    fn handle_event(&mut self, now: Instant, event: Event) {
        match event {
            Event::Connected => {
                self.phase = Phase::Established;
                self.endpoint.reject_new_associations();
            }
            Event::Stream(StreamEvent::Opened { id } | StreamEvent::Readable { id }) => {
                self.readable.insert(id);
            }
            Event::Stream(StreamEvent::Finished { id }) => {
                self.closed(id);
                self.resets += 1;
                if self.resets > MAX_RESETS {
                    self.lose();
                }
            }
            Event::Stream(StreamEvent::ResetComplete { .. } | StreamEvent::ResetFailed { .. }) => {
                self.resets = self.resets.saturating_sub(1);
            }
            Event::HandshakeFailed { .. } | Event::AssociationLost { .. } => {
                if matches!(event, Event::AssociationLost { reason: AssociationError::ReceiveBufferExhausted }) {
                    self.counters.oversized += 1;
                }
                // The last words, such as why.
                self.collect(now);
                self.lose();
            }
            _ => {}
        }
    }

    /// sctp-proto's word to the endpoint, that an association is drained, is not passed on: it comes with our SHUTDOWN, and the
    /// endpoint would not know whom the answer is for any more.
    fn collect(&mut self, now: Instant) {
        let waiting = self.transmits.len();
        while let Some(transmit) = self.endpoint.poll_transmit() {
            put(&mut self.transmits, transmit);
        }
        let Some((_, association)) = &mut self.association else { return };
        while let Some(transmit) = association.poll_transmit(now) {
            put(&mut self.transmits, transmit);
        }
        self.transmits.iter().skip(waiting).for_each(|datagram| self.guard.observe(datagram));
    }

    /// Closes a channel, or a stream that is none, for what the peer did; what waits there is thrown away.
    fn expel(&mut self, channel: u16) {
        if let Some((_, association)) = &mut self.association
            && let Ok(mut stream) = association.stream(channel)
        {
            let _ = stream.close();
        }
        self.closed(channel);
    }

    fn closed(&mut self, channel: u16) {
        if let Some(mut gone) = self.channels.remove(&channel) {
            self.counters.dropped += gone.discard();
            self.events.push_back(ChannelEvent::Closed(gone.spec));
        }
    }

    fn lose(&mut self) {
        self.phase = Phase::Lost;
        self.association = None;
        self.waiting.clear();
        self.readable.clear();
        let channels: Vec<u16> = self.channels.keys().copied().collect();
        channels.into_iter().for_each(|channel| self.closed(channel));
    }
}

fn transport() -> Arc<TransportConfig> {
    let config = TransportConfig::default()
        .with_max_receive_buffer_size(RECEIVE_BUFFER)
        // It would end the association without a word; here what fits the buffer costs its channel, and what does not is told.
        .with_max_receive_message_size(u32::MAX)
        .with_max_send_message_size(MAX_MESSAGE as u32)
        .with_max_num_inbound_streams(MAX_STREAMS)
        .with_max_num_outbound_streams(MAX_STREAMS)
        .with_rto_min_ms(RTO_MIN_MS)
        .with_rto_initial_ms(RTO_INITIAL_MS)
        .with_rto_max_ms(RTO_MAX_MS)
        // It counts for resets, too, and a stream whose reset was given up cannot be used again.
        .with_max_init_retransmits(None);
    Arc::new(config)
}

fn put(transmits: &mut VecDeque<Vec<u8>>, transmit: Transmit) {
    if let Payload::RawEncode(parts) = transmit.payload {
        transmits.extend(parts.into_iter().map(|part| part.to_vec()));
    }
}

impl std::fmt::Debug for DataChannels {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DataChannels")
            .field("phase", &self.phase)
            .field("channels", &self.channels)
            .field("counters", &self.counters)
            .finish()
    }
}

#[cfg(test)]
mod tests;
