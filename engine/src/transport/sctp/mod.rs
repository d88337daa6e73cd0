//! Data channels (RFC 8831): SCTP over DTLS by sctp-proto, and DCEP. Takes the payloads of DTLS records and `now`, gives the same.
//!
//! A server waits for the peer to begin the association, as browsers do on both sides (RFC 8841 §9.3 has both begin it).

mod dcep;

use bytes::Bytes;
use sctp_proto::{
    Association, AssociationHandle, ClientConfig, DatagramEvent, Endpoint, EndpointConfig, Event, Payload,
    PayloadProtocolIdentifier, ReliabilityType, ServerConfig, StreamEvent, Transmit, TransportConfig,
};
use std::collections::{BTreeMap, VecDeque};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

/// Largest message either way, in bytes; what the answer's `a=max-message-size` says.
pub(crate) const MAX_MESSAGE: usize = 64 << 10;
/// Channels of one association.
const MAX_CHANNELS: usize = 64;
/// Longest label and protocol that are taken.
const MAX_NAME: usize = 256;
/// Bytes that wait to be sent on one channel, from which on messages are dropped if the channel may lose them ...
const DROP_ABOVE: usize = 256 << 10;
/// ... or the channel is closed if it may not: a viewer has to know that something is missing.
const CLOSE_ABOVE: usize = 4 << 20;
/// What a peer may send ahead of what was read here.
const RECEIVE_BUFFER: u32 = 256 << 10;
/// Real networks answer sooner than SCTP's second.
const RTO_MIN_MS: u64 = 200;
const RTO_INITIAL_MS: u64 = 1000;

/// How hard it is tried to bring a message across.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Reliability {
    Reliable,
    MaxRetransmits(u32),
    MaxLifetimeMs(u32),
}

/// What a channel is opened with.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct ChannelSpec {
    pub label: String,
    pub protocol: String,
    pub ordered: bool,
    pub reliability: Reliability,
}

/// Something that the peer did. Channels are named by their SCTP stream.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum ChannelEvent {
    /// It opened a channel.
    Opened(u16, ChannelSpec),
    /// It sent a message: whether it is binary, and its bytes.
    Message(u16, bool, Bytes),
    /// It closed this channel, or the association has ended.
    Closed(ChannelSpec),
}

/// See the module's text.
pub(crate) struct DataChannels {
    endpoint: Endpoint,
    association: Option<(AssociationHandle, Association)>,
    is_established: bool,
    channels: BTreeMap<u16, ChannelSpec>,
    /// Those of ours that wait for the association.
    waiting: Vec<ChannelSpec>,
    /// The next stream of a channel of ours: of the parity that our DTLS role gives (RFC 8832 §6).
    next_stream: u16,
    transmits: VecDeque<Vec<u8>>,
    events: VecDeque<ChannelEvent>,
    /// Messages that were dropped, or came for no channel.
    dropped: u64,
}

/// SCTP over DTLS has no addresses.
const PEER: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 5000);

impl DataChannels {
    /// Waits for the peer to begin. `is_client`: our part in DTLS.
    pub(crate) fn new(is_client: bool) -> DataChannels {
        DataChannels::with(is_client, None)
    }

    /// Begins the association, as a browser does.
    #[cfg(any(test, feature = "client"))]
    pub(crate) fn begin(is_client: bool, now: Instant) -> DataChannels {
        DataChannels::with(is_client, Some(now))
    }

    fn with(is_client: bool, begins: Option<Instant>) -> DataChannels {
        let transport = TransportConfig::default()
            .with_max_receive_buffer_size(RECEIVE_BUFFER)
            .with_max_receive_message_size(MAX_MESSAGE as u32)
            .with_max_send_message_size(MAX_MESSAGE as u32)
            .with_max_num_inbound_streams(1024)
            .with_max_num_outbound_streams(1024)
            .with_rto_min_ms(RTO_MIN_MS)
            .with_rto_initial_ms(RTO_INITIAL_MS);
        let transport = Arc::new(transport);
        let mut server = ServerConfig::new();
        server.transport = Arc::clone(&transport);
        let mut endpoint = Endpoint::new(Arc::new(EndpointConfig::new()), Some(Arc::new(server)));
        let mut client = ClientConfig::new();
        client.transport = transport;
        let association = begins.and_then(|_| endpoint.connect(client, PEER).ok());
        let mut channels = DataChannels {
            endpoint,
            association,
            is_established: false,
            channels: BTreeMap::new(),
            waiting: Vec::new(),
            next_stream: if is_client { 0 } else { 1 },
            transmits: VecDeque::new(),
            events: VecDeque::new(),
            dropped: 0,
        };
        if let Some(now) = begins {
            channels.drive(now);
        }
        channels
    }

    /// Takes the payload of a DTLS record.
    pub(crate) fn handle_datagram(&mut self, now: Instant, datagram: &[u8]) {
        let data = Bytes::copy_from_slice(datagram);
        match self.endpoint.handle(now, PEER, None, None, data) {
            Some((handle, DatagramEvent::NewAssociation(association))) if self.association.is_none() => {
                self.association = Some((handle, association));
                // There is no second, however often the peer begins anew.
                self.endpoint.reject_new_associations();
            }
            Some((_, DatagramEvent::NewAssociation(_))) | None => {}
            Some((handle, DatagramEvent::AssociationEvent(event))) => {
                if let Some((known, association)) = &mut self.association
                    && *known == handle
                {
                    association.handle_event(event);
                }
            }
        }
        self.drive(now);
    }

    /// When [`DataChannels::handle_timeout`] wants to be called.
    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        self.association.as_ref().and_then(|(_, association)| association.poll_timeout())
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
        self.events.pop_front()
    }

    /// What a channel was opened with.
    pub(crate) fn spec(&self, channel: u16) -> Option<&ChannelSpec> {
        self.channels.get(&channel)
    }

    /// The channel of this label, whoever opened it.
    pub(crate) fn find(&self, label: &str) -> Option<u16> {
        self.channels.iter().find(|(_, spec)| spec.label == label).map(|(channel, _)| *channel)
    }

    /// Opens a channel, as soon as the peer is there, unless there is one of this label.
    pub(crate) fn open(&mut self, now: Instant, spec: ChannelSpec) {
        let is_known = self.find(&spec.label).is_some() || self.waiting.iter().any(|known| known.label == spec.label);
        if is_known || self.channels.len() + self.waiting.len() >= MAX_CHANNELS {
            return;
        }
        self.waiting.push(spec);
        self.drive(now);
    }

    /// Sends a message. What may be lost is dropped when too much waits already, and what may not closes its channel then.
    pub(crate) fn send(&mut self, now: Instant, channel: u16, is_binary: bool, message: &[u8]) {
        let Some((_, association)) = self.association.as_mut().filter(|_| message.len() <= MAX_MESSAGE) else {
            self.dropped += 1;
            return;
        };
        let Some(spec) = self.channels.get(&channel) else { return };
        let Ok(mut stream) = association.stream(channel) else { return };
        let waits = stream.buffered_amount().unwrap_or_default();
        if waits > CLOSE_ABOVE {
            self.close(now, channel);
            return;
        }
        if waits > DROP_ABOVE && spec.reliability != Reliability::Reliable {
            self.dropped += 1;
            return;
        }
        // SCTP cannot carry an empty message: one byte stands for it (RFC 8831 §6.6).
        let (kind, bytes): (_, &[u8]) = match (is_binary, message.is_empty()) {
            (true, false) => (PayloadProtocolIdentifier::Binary, message),
            (true, true) => (PayloadProtocolIdentifier::BinaryEmpty, &[0]),
            (false, false) => (PayloadProtocolIdentifier::String, message),
            (false, true) => (PayloadProtocolIdentifier::StringEmpty, &[0]),
        };
        if stream.write_with_ppi(bytes, kind).is_err() {
            self.dropped += 1;
        }
        self.drive(now);
    }

    /// Closes a channel on both sides.
    pub(crate) fn close(&mut self, now: Instant, channel: u16) {
        if self.channels.remove(&channel).is_some()
            && let Some((_, association)) = &mut self.association
            && let Ok(mut stream) = association.stream(channel)
        {
            let _ = stream.close();
        }
        self.drive(now);
    }

    /// Moves everything on that can move.
    fn drive(&mut self, now: Instant) {
        self.open_waiting();
        while let Some(event) = self.association.as_mut().and_then(|(_, association)| association.poll()) {
            match event {
                Event::Connected => {
                    self.is_established = true;
                    self.open_waiting();
                }
                Event::Stream(StreamEvent::Opened { id } | StreamEvent::Readable { id }) => self.read(id),
                Event::Stream(StreamEvent::Finished { id }) => self.closed(id),
                Event::HandshakeFailed { .. } | Event::AssociationLost { .. } => self.lose(),
                _ => {}
            }
        }
        self.collect(now);
    }

    fn collect(&mut self, now: Instant) {
        while let Some(transmit) = self.endpoint.poll_transmit() {
            put(&mut self.transmits, transmit);
        }
        let Some((handle, association)) = &mut self.association else { return };
        while let Some(transmit) = association.poll_transmit(now) {
            put(&mut self.transmits, transmit);
        }
        while let Some(event) = association.poll_endpoint_event() {
            if let Some(answer) = self.endpoint.handle_event(*handle, event) {
                association.handle_event(answer);
            }
        }
    }

    fn open_waiting(&mut self) {
        if !self.is_established {
            return;
        }
        for spec in std::mem::take(&mut self.waiting) {
            let Some((_, association)) = &mut self.association else { return };
            let channel = self.next_stream;
            self.next_stream += 2;
            let Ok(mut stream) = association.open_stream(channel, PayloadProtocolIdentifier::Binary) else { continue };
            let sent = stream.write_with_ppi(&dcep::open(&spec), PayloadProtocolIdentifier::Dcep);
            if sent.is_ok() && apply(&mut stream, &spec) {
                self.channels.insert(channel, spec);
            }
        }
    }

    fn read(&mut self, channel: u16) {
        loop {
            let Some((_, association)) = &mut self.association else { return };
            // A stream that was opened waits in a queue of its own until it is taken from there.
            while association.accept_stream().is_some() {}
            let Ok(mut stream) = association.stream(channel) else { return };
            let Ok(Some(chunks)) = stream.read_sctp() else { return };
            let mut message = vec![0; chunks.len()];
            if chunks.read(&mut message).is_err() {
                return;
            }
            let kind = chunks.ppi;
            self.take(channel, kind, message);
        }
    }

    fn take(&mut self, channel: u16, kind: PayloadProtocolIdentifier, message: Vec<u8>) {
        let is_known = self.channels.contains_key(&channel);
        match kind {
            PayloadProtocolIdentifier::Dcep => self.take_dcep(channel, &message),
            _ if !is_known => self.dropped += 1,
            PayloadProtocolIdentifier::Binary => {
                self.events.push_back(ChannelEvent::Message(channel, true, message.into()));
            }
            PayloadProtocolIdentifier::String => {
                self.events.push_back(ChannelEvent::Message(channel, false, message.into()));
            }
            PayloadProtocolIdentifier::BinaryEmpty => {
                self.events.push_back(ChannelEvent::Message(channel, true, Bytes::new()));
            }
            PayloadProtocolIdentifier::StringEmpty => {
                self.events.push_back(ChannelEvent::Message(channel, false, Bytes::new()));
            }
            PayloadProtocolIdentifier::Unknown => self.dropped += 1,
        }
    }

    fn take_dcep(&mut self, channel: u16, message: &[u8]) {
        let Some(dcep::Message::Open(spec)) = dcep::Message::parse(message) else { return };
        let is_one_too_many = self.channels.len() >= MAX_CHANNELS && !self.channels.contains_key(&channel);
        let is_named_too_long = spec.label.len() > MAX_NAME || spec.protocol.len() > MAX_NAME;
        let Some((_, association)) = &mut self.association else { return };
        let Ok(mut stream) = association.stream(channel) else { return };
        if is_one_too_many || is_named_too_long {
            let _ = stream.close();
            return;
        }
        let acknowledged = stream.write_with_ppi(&dcep::ACKNOWLEDGED, PayloadProtocolIdentifier::Dcep);
        if acknowledged.is_ok() && apply(&mut stream, &spec) && self.channels.insert(channel, spec.clone()).is_none() {
            self.events.push_back(ChannelEvent::Opened(channel, spec));
        }
    }

    fn closed(&mut self, channel: u16) {
        self.events.extend(self.channels.remove(&channel).map(ChannelEvent::Closed));
    }

    fn lose(&mut self) {
        self.is_established = false;
        self.association = None;
        let channels: Vec<u16> = self.channels.keys().copied().collect();
        channels.into_iter().for_each(|channel| self.closed(channel));
    }
}

fn apply(stream: &mut sctp_proto::Stream<'_>, spec: &ChannelSpec) -> bool {
    let (kind, value) = match spec.reliability {
        Reliability::Reliable => (ReliabilityType::Reliable, 0),
        Reliability::MaxRetransmits(count) => (ReliabilityType::Rexmit, count),
        Reliability::MaxLifetimeMs(ms) => (ReliabilityType::Timed, ms),
    };
    stream.set_reliability_params(!spec.ordered, kind, value).is_ok()
}

fn put(transmits: &mut VecDeque<Vec<u8>>, transmit: Transmit) {
    if let Payload::RawEncode(parts) = transmit.payload {
        transmits.extend(parts.into_iter().map(|part| part.to_vec()));
    }
}

impl std::fmt::Debug for DataChannels {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DataChannels").field("channels", &self.channels).field("dropped", &self.dropped).finish()
    }
}

#[cfg(test)]
mod tests;
