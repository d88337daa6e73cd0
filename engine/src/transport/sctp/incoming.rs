//! What the peer's streams bring: messages, and the DCEP that opens channels.

use super::channel::Channel;
use super::{ChannelEvent, ChannelSpec, DataChannels, MAX_MESSAGE, MAX_NAME, dcep};
use bytes::Bytes;
use sctp_proto::PayloadProtocolIdentifier;

impl DataChannels {
    /// Reads what can be read, as long as what was read before is polled.
    pub(super) fn read(&mut self) {
        while self.unpolled < self.limits.unpolled
            && let Some(channel) = self.readable.first().copied()
        {
            match self.read_message(channel) {
                Some((kind, message)) => self.take(channel, kind, message),
                None => {
                    self.readable.remove(&channel);
                }
            }
        }
    }

    fn read_message(&mut self, channel: u16) -> Option<(PayloadProtocolIdentifier, Vec<u8>)> {
        let (_, association) = self.association.as_mut()?;
        // A stream that was opened waits in a queue of its own until it is taken from there.
        while association.accept_stream().is_some() {}
        let chunks = association.stream(channel).ok()?.read_sctp().ok()??;
        let mut message = vec![0; chunks.len()];
        chunks.read(&mut message).ok()?;
        Some((chunks.ppi, message))
    }

    fn take(&mut self, channel: u16, kind: PayloadProtocolIdentifier, message: Vec<u8>) {
        if kind == PayloadProtocolIdentifier::Dcep {
            return self.take_dcep(channel, &message);
        }
        let Some(known) = self.channels.get_mut(&channel) else {
            self.counters.stray += 1;
            return;
        };
        known.is_acknowledged = true;
        if message.len() > MAX_MESSAGE {
            self.counters.oversized += 1;
            return self.expel(channel);
        }
        let (is_binary, message) = match kind {
            PayloadProtocolIdentifier::Binary => (true, message.into()),
            PayloadProtocolIdentifier::String => (false, message.into()),
            PayloadProtocolIdentifier::BinaryEmpty => (true, Bytes::new()),
            PayloadProtocolIdentifier::StringEmpty => (false, Bytes::new()),
            PayloadProtocolIdentifier::Dcep | PayloadProtocolIdentifier::Unknown => {
                self.counters.stray += 1;
                return;
            }
        };
        self.unpolled += message.len();
        self.events.push_back(ChannelEvent::Message(channel, is_binary, message));
    }

    fn take_dcep(&mut self, channel: u16, message: &[u8]) {
        match dcep::Message::parse(message) {
            Some(dcep::Message::Open(spec)) if self.may_open(channel, &spec) => self.accept(channel, spec),
            Some(dcep::Message::Ack) => {
                if let Some(known) = self.channels.get_mut(&channel) {
                    known.is_acknowledged = true;
                }
            }
            // What cannot be a channel is closed (RFC 8832 §6), and so is one that is opened a second time.
            Some(dcep::Message::Open(_)) | None => {
                self.counters.stray += 1;
                self.expel(channel);
            }
        }
    }

    fn may_open(&self, channel: u16, spec: &ChannelSpec) -> bool {
        let is_named_too_long = spec.label.len() > MAX_NAME || spec.protocol.len() > MAX_NAME;
        let is_one_too_many = self.channels.len() + self.waiting.len() >= self.limits.channels;
        !is_named_too_long && !is_one_too_many && !self.channels.contains_key(&channel)
    }

    fn accept(&mut self, channel: u16, spec: ChannelSpec) {
        let Some((_, association)) = &mut self.association else { return };
        let Ok(mut stream) = association.stream(channel) else { return };
        if stream.write_with_ppi(&dcep::ACKNOWLEDGED, PayloadProtocolIdentifier::Dcep).is_ok() {
            self.channels.insert(channel, Channel::new(spec.clone(), true));
            self.events.push_back(ChannelEvent::Opened(channel, spec));
        }
    }
}
