//! What a publisher sends: which track a packet is of, how well it arrives, and what the publisher is told of it.

use super::Srtp;
use super::layers::Layers;
use super::reports::ReportTimer;
use crate::control::{Extension, KeyframeRequest, LayerState, SessionId, TrackSpec};
use crate::flow::Flow;
use crate::forward::{Batch, Item, Source};
use crate::outbox::{Outbox, Sink};
use crate::random;
use crate::stats::Discard;
use oneport_rtp::demux::BundleDemux;
use oneport_rtp::ids::Ssrc;
use oneport_rtp::packet::RtpPacket;
use oneport_rtp::payload::{self, MediaKind};
use oneport_rtp::rtcp::{self, Word};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// See the module's text.
#[derive(Debug)]
pub(crate) struct Ingest {
    source: Arc<Source>,
    demux: BundleDemux,
    tracks: Vec<Layers>,
    /// What is to be told of the tracks' layers.
    changes: Vec<(usize, Vec<LayerState>)>,
    /// Ours, as the sender of reports.
    ssrc: Ssrc,
    cname: String,
    reports: ReportTimer,
}

impl Ingest {
    /// The ingest of a session on shard number `shard`.
    pub(crate) fn new(id: SessionId, shard: usize, specs: &[TrackSpec], keyframe_interval: Duration) -> Ingest {
        let tracks = specs.iter().map(|spec| Layers::new(spec, keyframe_interval)).collect();
        Ingest {
            source: Arc::new(Source { publisher: id, shard, tracks: specs.to_vec() }),
            demux: demux(specs),
            tracks,
            changes: Vec::new(),
            ssrc: Ssrc(random::number()),
            cname: format!("{:08x}{:08x}", random::number(), random::number()),
            reports: ReportTimer::new(random::number()),
        }
    }

    /// The publisher as viewers see it.
    pub(crate) fn source(&self) -> &Arc<Source> {
        &self.source
    }

    /// Takes a decrypted RTP packet. Gives the index of its track.
    pub(crate) fn handle_rtp(&mut self, now: Instant, bytes: &[u8], batch: &mut Batch) -> Result<usize, Discard> {
        let packet = RtpPacket::parse(bytes).map_err(|_| Discard::Rtp)?;
        let index = self.demux.track_of(&packet).ok_or(Discard::UnknownSource)?;
        let spec = &self.source.tracks[index];
        let format = spec.formats.iter().find(|known| known.payload_type == packet.payload_type());
        let format = format.ok_or(Discard::UnknownSource)?.format;
        let layers = &mut self.tracks[index];
        let rid_id = extension_id(spec, Extension::Rid);
        let place = layers.feed_of(spec, rid_id, &packet).ok_or(Discard::UnknownSource)?;
        let feed = &mut layers.feeds[place];
        let current = feed.take(now, packet.ssrc(), format.clock_rate, bytes.len()).ok_or(Discard::UnknownSource)?;
        let seq = current.reception.on_packet(now, packet.seq(), packet.timestamp());
        let seq = seq.ok_or(Discard::UnknownSource)?;
        let report = current.report;
        let is_keyframe = || payload::is_keyframe(format.codec, packet.payload());
        if feed.keyframes.next_timeout().is_some() && is_keyframe() {
            feed.keyframes.satisfied();
        }
        if let Some((epoch, is_new)) = layers.forward(now, place, is_keyframe) {
            if let Some((ntp, rtp_timestamp)) = report.filter(|_| is_new) {
                batch.items.push(Item::SenderReport { track: index as u8, epoch, ntp, rtp_timestamp });
            }
            batch.push_packet(index as u8, epoch, seq, bytes);
        }
        self.reports.media(now);
        Ok(index)
    }

    /// Takes a decrypted RTCP compound.
    pub(crate) fn handle_rtcp(&mut self, now: Instant, bytes: &[u8], batch: &mut Batch) -> Result<(), Discard> {
        let (tracks, demux) = (&mut self.tracks, &mut self.demux);
        let take = |word| match word {
            Word::SenderReport { ssrc, ntp, rtp_timestamp } => {
                for (index, layers) in tracks.iter_mut().enumerate() {
                    let Some(place) = layers.find(ssrc) else { continue };
                    let epoch = layers.epoch_of(place);
                    let Some(current) = &mut layers.feeds[place].current else { continue };
                    current.reception.on_sender_report(now, ntp);
                    current.report = Some((ntp, rtp_timestamp));
                    if let Some(epoch) = epoch {
                        batch.items.push(Item::SenderReport { track: index as u8, epoch, ntp, rtp_timestamp });
                    }
                }
            }
            Word::Bye(ssrc) => {
                demux.forget(ssrc);
                tracks.iter_mut().for_each(|layers| layers.bye(now, ssrc));
            }
            Word::KeyframeRequest(_) => {}
        };
        rtcp::parse(bytes, take).map_err(|_| Discard::Rtcp)
    }

    /// SRTP is keyed: a viewer may have been waiting for longer than the publisher was there.
    pub(crate) fn start(&mut self, now: Instant) {
        for index in 0..self.tracks.len() {
            self.request_keyframe(now, index);
        }
    }

    /// A viewer wants a keyframe of a track.
    pub(crate) fn request_keyframe(&mut self, now: Instant, index: usize) {
        let Some(spec) = self.source.tracks.get(index) else { return };
        if spec.kind == MediaKind::Video && spec.keyframe_request.is_some() {
            self.tracks[index].request_keyframe(now);
        }
    }

    /// When [`Ingest::handle_timeout`] wants to be called.
    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        // A request to a feed that has sent nothing has no SSRC to name: its first packet is a keyframe's anyway.
        let feeds = self.tracks.iter().flat_map(|layers| &layers.feeds).filter(|feed| feed.current.is_some());
        let keyframes = feeds.filter_map(|feed| feed.keyframes.next_timeout());
        let reviews = self.tracks.iter().filter_map(Layers::next_timeout);
        keyframes.chain(reviews).chain(self.reports.next_timeout()).min()
    }

    /// Sends the reports and requests that are due.
    pub(crate) fn handle_timeout<S: Sink>(&mut self, now: Instant, flow: Flow, srtp: &mut Srtp, out: &mut Outbox<S>) {
        if self.reports.poll(now) {
            let feeds = self.tracks.iter_mut().flat_map(|layers| &mut layers.feeds);
            let fed = feeds.filter_map(|feed| feed.current.as_mut());
            let blocks: Vec<_> = fed.map(|current| current.reception.report_block(now, current.ssrc)).collect();
            let (ssrc, cname) = (self.ssrc, &self.cname);
            for blocks in blocks.chunks(rtcp::MAX_BLOCKS) {
                srtp.send_rtcp(flow, out, |room| rtcp::write_receiver_report(room, ssrc, blocks, cname));
            }
        }
        for (index, (layers, spec)) in self.tracks.iter_mut().zip(&self.source.tracks).enumerate() {
            self.changes.extend(layers.review(now, spec).map(|states| (index, states)));
            for feed in &mut layers.feeds {
                let Some(current) = &feed.current else { continue };
                if !feed.keyframes.poll(now) {
                    continue;
                }
                let (ssrc, media, cname) = (self.ssrc, current.ssrc, &self.cname);
                match spec.keyframe_request {
                    Some(KeyframeRequest::Fir) => {
                        feed.fir_sequence = feed.fir_sequence.wrapping_add(1);
                        let sequence = feed.fir_sequence;
                        srtp.send_rtcp(flow, out, |room| rtcp::write_fir(room, ssrc, media, sequence, cname));
                    }
                    _ => srtp.send_rtcp(flow, out, |room| rtcp::write_pli(room, ssrc, media, cname)),
                }
            }
        }
    }

    /// Takes away what is to be told of the tracks' layers: indices of tracks, and how they are.
    pub(crate) fn take_layers(&mut self) -> Vec<(usize, Vec<LayerState>)> {
        std::mem::take(&mut self.changes)
    }
}

fn extension_id(spec: &TrackSpec, extension: Extension) -> Option<u8> {
    spec.extensions.iter().find(|known| known.extension == extension).map(|known| known.id)
}

fn demux(specs: &[TrackSpec]) -> BundleDemux {
    let mut demux = BundleDemux::default();
    for spec in specs {
        let mid = spec.mid.zip(extension_id(spec, Extension::Mid));
        let types = spec.formats.iter().map(|format| format.payload_type);
        demux.add_track(mid, &spec.ssrcs, types);
    }
    demux
}
