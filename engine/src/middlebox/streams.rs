//! The streams of a shard: who publishes and who views here, which other shards want it, and what the turn has brought so far.

use crate::control::{StreamId, TrackSpec};
use crate::forward::{Batch, History, HistoryLimits, Item, Source};
use crate::transport::sctp::ChannelSpec;
use oneport_rtp::packet::RtpPacket;
use oneport_rtp::payload::MediaKind;
use oneport_rtp::sender_clock::SenderClock;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

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
    /// What our publisher sent in this turn, or since the last batch went out.
    pub batch: Option<Batch>,
    /// When the batch goes out at the latest, while it waits for the rest of a frame.
    pub held_until: Option<Instant>,
    /// The data channels that the publisher has open.
    pub channels: Vec<ChannelSpec>,
    /// What the source's tracks brought of late, one for each.
    pub histories: Vec<History>,
}

impl Stream {
    /// Another publisher: nothing of the one before is kept.
    pub(super) fn set_source(&mut self, source: Arc<Source>, limits: HistoryLimits) {
        let of = |track: &TrackSpec| match track.kind {
            MediaKind::Video => limits,
            MediaKind::Audio => HistoryLimits { group: Duration::ZERO, ..limits },
        };
        self.histories = source.tracks.iter().map(|track| History::new(of(track))).collect();
        self.source = Some(source);
        self.channels.clear();
    }

    /// Remembers what a batch brought.
    pub(super) fn record(&mut self, now: Instant, batch: &Batch) {
        for item in &batch.items {
            let epoch = |epoch: &u32| (batch.source.publisher, *epoch);
            match item {
                Item::Packet { track, epoch: number, seq, is_keyframe, bytes } => {
                    let Some(history) = self.histories.get_mut(usize::from(*track)) else { continue };
                    let Ok(packet) = RtpPacket::parse(batch.packet(bytes)) else { continue };
                    history.push(now, epoch(number), *seq, &packet, *is_keyframe);
                }
                Item::SenderReport { track, epoch: number, ntp, rtp_timestamp } => {
                    let Some(history) = self.histories.get_mut(usize::from(*track)) else { continue };
                    let mut clock = SenderClock::default();
                    clock.on_report(now, *ntp, *rtp_timestamp);
                    history.set_clock(epoch(number), clock);
                }
            }
        }
    }

    /// The last groups of pictures as a batch, for another shard; `None` when there is none.
    pub(super) fn groups(&self, now: Instant) -> Option<Batch> {
        let mut batch = Batch::new(self.source.clone()?);
        for (index, history) in self.histories.iter().enumerate() {
            let Some(group) = history.group(now) else { continue };
            for past in (group.first..history.end()).filter_map(|number| history.at(number)) {
                let is_keyframe = past.seq == group.first_seq;
                batch.push_packet(index as u8, (past.epoch.1, past.seq), is_keyframe, past.packet.bytes());
            }
        }
        (!batch.items.is_empty()).then_some(batch)
    }

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
            entry.histories.clear();
            entry.channels.clear();
        }
        entry.viewers.retain(|viewer| *viewer != key);
        if entry.is_idle() {
            self.streams.remove(&stream);
        }
    }

    /// What the tracks of a stream brought of late.
    pub(super) fn histories(&self, stream: StreamId) -> &[History] {
        self.streams.get(&stream).map(|stream| stream.histories.as_slice()).unwrap_or_default()
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
