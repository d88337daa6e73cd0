//! What a publisher sent during one turn of its shard, in plaintext: made once, read by every shard that has viewers.

use crate::control::{SessionId, TrackSpec};
use oneport_rtp::ntp::NtpTime;
use oneport_rtp::payload::MediaKind;
use oneport_rtp::seq::ExtSeq;
use std::ops::Range;
use std::sync::Arc;

/// A publisher as its viewers see it.
#[derive(Debug)]
pub(crate) struct Source {
    /// The publisher's session.
    pub publisher: SessionId,
    /// The shard that owns it.
    pub shard: usize,
    /// Its tracks.
    pub tracks: Vec<TrackSpec>,
}

/// One thing that happened on a track.
#[derive(Debug)]
pub(crate) enum Item {
    /// A packet came.
    Packet {
        /// Index into [`Source::tracks`].
        track: u8,
        /// Changes when the track's layer or SSRC does: sequence numbers and timestamps are comparable within one epoch only.
        epoch: u32,
        /// Its extended sequence number.
        seq: ExtSeq,
        /// Whether it begins a keyframe.
        is_keyframe: bool,
        /// Where it lies in [`Batch::bytes`].
        bytes: Range<u32>,
    },
    /// A sender report came.
    SenderReport {
        /// Index into [`Source::tracks`].
        track: u8,
        /// Whose timestamps it tells of.
        epoch: u32,
        /// Its wall-clock time.
        ntp: NtpTime,
        /// The same instant on the media clock.
        rtp_timestamp: u32,
    },
}

/// A turn's items.
#[derive(Debug)]
pub(crate) struct Batch {
    /// Whose.
    pub source: Arc<Source>,
    /// The packets, decrypted, end to end.
    pub bytes: Vec<u8>,
    /// In order of arrival.
    pub items: Vec<Item>,
    /// The last video packet does not end its frame: more of it is on its way.
    pub is_open: bool,
}

impl Batch {
    /// An empty batch of `source`.
    pub(crate) fn new(source: Arc<Source>) -> Batch {
        Batch { source, bytes: Vec::new(), items: Vec::new(), is_open: false }
    }

    /// Adds a packet.
    pub(crate) fn push_packet(&mut self, track: u8, (epoch, seq): (u32, ExtSeq), is_keyframe: bool, packet: &[u8]) {
        let start = self.bytes.len() as u32;
        if self.source.tracks.get(usize::from(track)).is_some_and(|spec| spec.kind == MediaKind::Video) {
            self.is_open = packet.get(1).is_some_and(|second| second & 0x80 == 0);
        }
        self.bytes.extend_from_slice(packet);
        let bytes = start..self.bytes.len() as u32;
        self.items.push(Item::Packet { track, epoch, seq, is_keyframe, bytes });
    }

    /// The packet at `range`.
    pub(crate) fn packet(&self, range: &Range<u32>) -> &[u8] {
        &self.bytes[range.start as usize..range.end as usize]
    }

    /// Makes room for the next turn, and keeps the memory.
    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.items.clear();
        self.is_open = false;
    }
}
