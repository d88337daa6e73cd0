//! A batch parsed, once for all viewers.

use super::{Batch, Item, Source};
use arrayvec::ArrayVec;
use oneport_rtp::ntp::NtpTime;
use oneport_rtp::packet::RtpPacket;
use oneport_rtp::seq::ExtSeq;
use std::sync::Arc;

/// As many as one run holds.
const MAX_ITEMS: usize = 64;

/// An [`Item`], parsed.
pub(crate) enum TurnItem<'a> {
    Packet { track: u8, epoch: u32, seq: ExtSeq, is_keyframe: bool, packet: RtpPacket<'a> },
    SenderReport { track: u8, epoch: u32, ntp: NtpTime, rtp_timestamp: u32 },
}

/// Up to 64 items of a batch.
pub(crate) struct Turn<'a> {
    pub source: &'a Arc<Source>,
    pub items: ArrayVec<TurnItem<'a>, MAX_ITEMS>,
}

impl<'a> Turn<'a> {
    /// The batch in turns of what one run holds.
    pub(crate) fn split(batch: &'a Batch) -> impl Iterator<Item = Turn<'a>> {
        batch.items.chunks(MAX_ITEMS).map(|items| {
            // The ingest has parsed every packet before it let it in: none is lost here.
            let items = items.iter().filter_map(|item| parse(batch, item)).collect();
            Turn { source: &batch.source, items }
        })
    }
}

fn parse<'a>(batch: &'a Batch, item: &Item) -> Option<TurnItem<'a>> {
    Some(match item {
        Item::Packet { track, epoch, seq, is_keyframe, bytes } => {
            let packet = RtpPacket::parse(batch.packet(bytes)).ok()?;
            TurnItem::Packet { track: *track, epoch: *epoch, seq: *seq, is_keyframe: *is_keyframe, packet }
        }
        Item::SenderReport { track, epoch, ntp, rtp_timestamp } => {
            TurnItem::SenderReport { track: *track, epoch: *epoch, ntp: *ntp, rtp_timestamp: *rtp_timestamp }
        }
    })
}
