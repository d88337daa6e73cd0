//! The streams of a shard: who publishes and who views here, which other shards want it, and what the turn has brought so far.

use crate::control::StreamId;
use crate::forward::{Batch, Source};
use std::collections::HashMap;
use std::sync::Arc;

/// One stream, as this shard sees it.
#[derive(Default, Debug)]
pub(super) struct Stream {
    /// The publisher's session, where it is ours.
    pub publisher: Option<usize>,
    /// The viewers' sessions that are ours.
    pub viewers: Vec<usize>,
    /// Other shards that have viewers.
    pub subscribers: Vec<usize>,
    /// Who publishes, as far as this shard has heard.
    pub source: Option<Arc<Source>>,
    /// What our publisher sent in this turn.
    pub batch: Option<Batch>,
}

impl Stream {
    fn is_idle(&self) -> bool {
        self.publisher.is_none() && self.viewers.is_empty()
    }
}

/// All of them.
#[derive(Default, Debug)]
pub(super) struct Streams {
    streams: HashMap<StreamId, Stream>,
    /// Those whose batch has something in it.
    dirty: Vec<StreamId>,
}

impl Streams {
    pub(super) fn entry(&mut self, stream: StreamId) -> &mut Stream {
        self.streams.entry(stream).or_default()
    }

    pub(super) fn find(&mut self, stream: StreamId) -> Option<&mut Stream> {
        self.streams.get_mut(&stream)
    }

    pub(super) fn add_viewer(&mut self, stream: StreamId, key: usize) {
        self.entry(stream).viewers.push(key);
    }

    pub(super) fn unsubscribe(&mut self, stream: StreamId, shard: usize) {
        if let Some(stream) = self.find(stream) {
            stream.subscribers.retain(|subscriber| *subscriber != shard);
        }
    }

    /// Takes a session off its stream.
    pub(super) fn remove(&mut self, stream: StreamId, key: usize) {
        let Some(entry) = self.streams.get_mut(&stream) else { return };
        if entry.publisher == Some(key) {
            entry.publisher = None;
            entry.batch = None;
            entry.subscribers.clear();
            entry.source = None;
        }
        entry.viewers.retain(|viewer| *viewer != key);
        if entry.is_idle() {
            self.streams.remove(&stream);
        }
    }

    /// The stream's batch has its first item.
    pub(super) fn mark(&mut self, stream: StreamId) {
        self.dirty.push(stream);
    }

    /// The next stream whose batch has something in it.
    pub(super) fn pop_dirty(&mut self) -> Option<StreamId> {
        self.dirty.pop()
    }
}
