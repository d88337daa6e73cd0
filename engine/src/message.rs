//! What shards and the control core tell each other. Every value is owned or an immutable batch: nothing is shared.

use crate::control::{EndReason, LayerState, SessionId, SessionSpec, Step, StreamId, Totals};
use crate::flow::Flow;
use crate::forward::{Batch, Source};
use crate::transport::sctp::ChannelSpec;
use bytes::Bytes;
use std::net::SocketAddr;
use std::sync::Arc;

/// From a shard to the control core.
#[derive(Debug)]
pub(crate) enum Notice {
    /// The client of this session nominated a pair here: is it this shard's?
    Claim(SessionId),
    /// A pair is nominated.
    Nominated(SessionId, SocketAddr),
    /// SRTP is keyed, with this profile.
    Connected(SessionId, &'static str),
    /// A publisher's RTP has begun, stopped, or gone on.
    Flow(SessionId, bool),
    /// How the layers of a publisher's track are: its index, and each layer.
    Layers(SessionId, usize, Vec<LayerState>),
    /// Something that the account of a session tells.
    Trace(SessionId, Step),
    /// A check from here that names no session of ours, with the client's half of its USERNAME.
    Stray(SocketAddr, String),
    /// The session is gone from the shard.
    Ended(SessionId, EndReason, Totals),
    /// The shard has stopped.
    Stopped,
}

/// From the control core to a shard.
#[derive(Debug)]
pub(crate) enum Order {
    /// The claimed session is the shard's. Its ICE credentials are of this generation.
    Grant(SessionId, u8, Box<SessionSpec>),
    /// The session's ICE credentials are of this generation from now on.
    Restart(SessionId, u8),
    /// The claimed session is another shard's.
    Elsewhere(SessionId, usize),
    /// The session has ended, or never was: answer it no more.
    Forget(SessionId),
    /// End this session.
    Close(SessionId, EndReason),
    /// The other shard has viewers of this stream now.
    Subscribe(StreamId, usize),
    /// It has none any more.
    Unsubscribe(StreamId, usize),
    /// End all sessions and stop.
    Stop,
}

/// Something that happened on a publisher's data channels, which are told apart by their labels.
#[derive(Clone, Debug)]
pub(crate) enum ChannelNews {
    /// One was opened.
    Opened(ChannelSpec),
    /// A message came on the channel of this label: whether it is binary, and its bytes.
    Message(String, bool, Bytes),
    /// One was closed.
    Closed(String),
}

/// From one shard to another.
#[derive(Debug)]
pub(crate) enum Mesh {
    /// A turn's media of a stream.
    Media(StreamId, Arc<Batch>),
    /// Who publishes a stream, ahead of its media, and its last groups of pictures.
    Source(StreamId, Arc<Source>, Option<Box<Batch>>),
    /// Something that happened on a publisher's data channels.
    Channel(StreamId, Arc<ChannelNews>),
    /// A viewer's message for the publisher, on the channel of this label: whether it is binary, and its bytes.
    ViewerMessage(SessionId, String, bool, Bytes),
    /// A viewer needs a keyframe of a publisher's track.
    Keyframe(SessionId, u8),
    /// A datagram for a session of the receiving shard.
    Datagram(Flow, Vec<u8>),
}
