//! The words of data channels: what one is opened with, what happens on it, how much it may cost and what is refused.

use bytes::Bytes;

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

/// Something that happened to a channel and that its owner did not ask for. Channels are named by their SCTP stream.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum ChannelEvent {
    /// The peer opened a channel.
    Opened(u16, ChannelSpec),
    /// It sent a message: whether it is binary, and its bytes.
    Message(u16, bool, Bytes),
    /// It closed this channel, or broke a rule or a bound and the channel was closed for that, or the association has ended.
    Closed(ChannelSpec),
}

/// What the channels of one peer may cost.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Limits {
    /// Channels of one association, ours and the peer's.
    pub channels: usize,
    /// Bytes that wait on a channel that may lose messages, from which on its oldest are dropped. 192 KiB may
    /// wait in any case: what SCTP has cannot be taken back, and the newest message is never dropped.
    pub droppable: usize,
    /// Bytes that wait on a reliable channel, from which on messages are refused.
    pub reliable: usize,
    /// Bytes of messages that came and were not polled, from which on no more are taken from the peer.
    pub unpolled: usize,
}

impl Default for Limits {
    /// What `docs/data-channels.md` tells users.
    fn default() -> Limits {
        Limits { channels: 64, droppable: 256 << 10, reliable: 4 << 20, unpolled: 256 << 10 }
    }
}

/// Why a message was not taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub(crate) enum SendError {
    /// There is no such channel, or the association is going down.
    #[error("the channel is not open")]
    NotOpen,
    /// The message is longer than [`super::MAX_MESSAGE`].
    #[error("the message has {0} bytes")]
    TooLarge(usize),
    /// As much waits on this reliable channel as [`Limits::reliable`] allows.
    #[error("too much waits on the channel")]
    Full,
}

/// Why a channel was not opened.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub(crate) enum OpenError {
    /// There is a channel of this label.
    #[error("the label is taken")]
    Taken,
    /// There are [`Limits::channels`].
    #[error("there are too many channels")]
    TooMany,
    /// The association has ended, or is going down.
    #[error("the association has ended")]
    Ended,
}

/// What went wrong so far.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Counters {
    /// Messages to send that were dropped for newer ones, or because their lifetime was over, or whose channel closed.
    pub dropped: u64,
    /// Messages to send that were refused.
    pub refused: u64,
    /// Messages that came and were too large, and closed their channel or, above the receive buffer, the association.
    pub oversized: u64,
    /// Messages that came for no channel, and DCEP that is malformed.
    pub stray: u64,
    /// Datagrams that were not passed to SCTP.
    pub discarded: u64,
}
