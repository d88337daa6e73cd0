//! What goes to the peer: channels of ours, messages, and the end.

use super::channel::Channel;
use super::{ChannelSpec, DataChannels, MAX_MESSAGE, MAX_STREAMS, Phase, SHUTDOWN_TIMEOUT, SendError, dcep};
use sctp_proto::PayloadProtocolIdentifier;
use std::time::Instant;

impl DataChannels {
    pub(super) fn enqueue(
        &mut self,
        now: Instant,
        channel: u16,
        is_binary: bool,
        message: &[u8],
    ) -> Result<u64, SendError> {
        if message.len() > MAX_MESSAGE {
            return Err(SendError::TooLarge(message.len()));
        }
        let (Phase::Established, Some((_, association))) = (self.phase, &mut self.association) else {
            return Err(SendError::NotOpen);
        };
        let known = self.channels.get_mut(&channel).ok_or(SendError::NotOpen)?;
        let stream = association.stream(channel).map_err(|_| SendError::NotOpen)?;
        // SCTP cannot carry an empty message: one byte stands for it (RFC 8831 §6.6).
        let (kind, bytes): (_, &[u8]) = match (is_binary, message.is_empty()) {
            (true, false) => (PayloadProtocolIdentifier::Binary, message),
            (true, true) => (PayloadProtocolIdentifier::BinaryEmpty, &[0]),
            (false, false) => (PayloadProtocolIdentifier::String, message),
            (false, true) => (PayloadProtocolIdentifier::StringEmpty, &[0]),
        };
        known.enqueue(now, (kind, bytes), &stream, &self.limits)
    }

    pub(super) fn open_waiting(&mut self) {
        if self.phase != Phase::Established {
            return;
        }
        for spec in std::mem::take(&mut self.waiting) {
            self.open_now(spec);
        }
    }

    /// Opens a channel on the first stream that is free, of the parity that our DTLS role gives (RFC 8832 §6).
    fn open_now(&mut self, spec: ChannelSpec) -> Option<()> {
        let (_, association) = self.association.as_mut()?;
        let streams = (if self.is_client { 0 } else { 1 }..MAX_STREAMS).step_by(2);
        for channel in streams.filter(|channel| !self.channels.contains_key(channel)) {
            let Ok(mut stream) = association.open_stream(channel, PayloadProtocolIdentifier::Binary) else { continue };
            stream.write_with_ppi(&dcep::open(&spec), PayloadProtocolIdentifier::Dcep).ok()?;
            self.channels.insert(channel, Channel::new(spec, false));
            break;
        }
        Some(())
    }

    pub(super) fn feed(&mut self, now: Instant) {
        let Some((_, association)) = &mut self.association else { return };
        for (channel, known) in self.channels.iter_mut().filter(|(_, known)| !known.is_idle()) {
            if let Ok(mut stream) = association.stream(*channel) {
                self.counters.dropped += known.feed(now, &mut stream, false);
            }
        }
    }

    /// Takes a shutdown, of ours or the peer's, further.
    pub(super) fn close_down(&mut self, now: Instant) {
        let Some((_, association)) = &mut self.association else { return };
        match self.phase {
            Phase::Closing(end) if now >= end => self.lose(),
            Phase::Closing(_) if !association.is_closing() && !association.is_closed() => {
                let is_sent = |channel: u16| match association.stream(channel) {
                    Ok(stream) => stream.buffered_amount().unwrap_or_default() == 0,
                    Err(_) => true,
                };
                let is_idle = self.channels.values().all(Channel::is_idle);
                // sctp-proto would not send what waits any more.
                if is_idle && self.channels.keys().copied().all(is_sent) {
                    let _ = association.shutdown();
                }
            }
            Phase::Established if association.is_closing() => self.phase = Phase::Closing(now + SHUTDOWN_TIMEOUT),
            _ => {}
        }
    }
}
