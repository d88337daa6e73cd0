//! What a publisher sends: which track a packet is of, how well it arrives, and what the publisher is told of it.

use super::Srtp;
use super::layers::Layers;
use super::reports::ReportTimer;
use crate::control::{Extension, KeyframeRequest, LayerState, SessionId, SessionSpec, TrackSpec};
use crate::flow::Flow;
use crate::forward::{Batch, Item, Source};
use crate::outbox::{Outbox, Sink};
use crate::random;
use crate::stats::Discard;
use oneport_rtp::demux::BundleDemux;
use oneport_rtp::ids::{PayloadType, Ssrc};
use oneport_rtp::ntp::NtpTime;
use oneport_rtp::packet::{FIXED_HEADER, RtpPacket};
use oneport_rtp::payload::{self, Codec, Format, MediaKind};
use oneport_rtp::rtcp::{self, Word};
use oneport_rtp::rtx;
use oneport_rtp::seq::{ExtSeq, SeqNo};
use oneport_rtp::transport_cc::ArrivalLog;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Numbers that one NACK has: what does not fit goes into the next.
const MAX_NACKED: usize = 100;

/// Time between two feedbacks of RFC 8888.
const CONGESTION_INTERVAL: Duration = Duration::from_millis(50);

/// What does not change from publisher to publisher.
#[derive(Clone, Copy, Debug)]
pub(crate) struct IngestPolicy {
    /// Least time between two keyframe requests to one source.
    pub keyframe_interval: Duration,
    /// What a publisher without transport-cc is told that it may send, in bit/s.
    pub max_bitrate_bps: u64,
}

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
    reduced_size: bool,
    /// The transport-wide number's extension id, where it was agreed on, and what came with it.
    transport_cc: Option<u8>,
    arrivals: ArrivalLog,
    /// When the feedback of RFC 8888 is due.
    congestion_due: Option<Instant>,
    /// The source of the last packet with such a number, which feedback names.
    transport_source: Ssrc,
    /// Where NTP time begins in our reference times: any origin does.
    started: Instant,
    policy: IngestPolicy,
    /// The packet that a retransmission held.
    restored: Vec<u8>,
}

impl Ingest {
    /// The ingest of a session on shard number `shard`.
    pub(crate) fn new(now: Instant, id: SessionId, shard: usize, spec: &SessionSpec, policy: IngestPolicy) -> Ingest {
        let specs = &spec.tracks;
        let wants_transport_cc = |track: &&TrackSpec| track.feedback.transport_cc;
        let transport_cc =
            specs.iter().filter(wants_transport_cc).find_map(|track| extension_id(track, Extension::TransportCc));
        Ingest {
            source: Arc::new(Source { publisher: id, shard, tracks: specs.clone() }),
            demux: demux(specs),
            tracks: specs.iter().map(|spec| Layers::new(spec, policy.keyframe_interval)).collect(),
            changes: Vec::new(),
            ssrc: Ssrc(random::number()),
            cname: format!("{:08x}{:08x}", random::number(), random::number()),
            reports: ReportTimer::new(random::number()),
            reduced_size: spec.reduced_size,
            transport_cc,
            arrivals: ArrivalLog::default(),
            congestion_due: None,
            transport_source: Ssrc(0),
            started: now,
            policy,
            restored: Vec::new(),
        }
    }

    /// The publisher as viewers see it.
    pub(crate) fn source(&self) -> &Arc<Source> {
        &self.source
    }

    /// Takes a decrypted RTP packet. Gives the index of its track.
    pub(crate) fn handle_rtp(&mut self, now: Instant, bytes: &[u8], batch: &mut Batch) -> Result<usize, Discard> {
        let packet = RtpPacket::parse(bytes).map_err(|_| Discard::Rtp)?;
        self.note_arrival(now, &packet);
        let index = self.demux.track_of(&packet).ok_or(Discard::UnknownSource)?;
        let spec = &self.source.tracks[index];
        self.reports.media(now);
        let retransmits = spec.rtx.iter().find(|(rtx, _)| *rtx == packet.payload_type());
        if let Some((_, payload_type)) = retransmits {
            return self.handle_rtx(now, index, *payload_type, &packet, batch).map(|()| index);
        }
        let format = format_of(spec, packet.payload_type())?;
        let layers = &mut self.tracks[index];
        let place = layers.feed_of(spec, extension_id(spec, Extension::Rid), &packet).ok_or(Discard::UnknownSource)?;
        let feed = &mut layers.feeds[place];
        let current = feed.take(now, packet.ssrc(), format.clock_rate, bytes.len()).ok_or(Discard::UnknownSource)?;
        let seq = current.reception.on_packet(now, packet.seq(), packet.timestamp());
        let seq = seq.ok_or(Discard::UnknownSource)?;
        self.accept(now, (index, place), seq, &packet, format, false, batch)?;
        Ok(index)
    }

    /// Takes a retransmission (RFC 4588) of a packet with this payload type.
    fn handle_rtx(
        &mut self,
        now: Instant,
        index: usize,
        payload_type: PayloadType,
        packet: &RtpPacket<'_>,
        batch: &mut Batch,
    ) -> Result<(), Discard> {
        let spec = &self.source.tracks[index];
        let format = format_of(spec, payload_type)?;
        let layers = &mut self.tracks[index];
        let rid_id = extension_id(spec, Extension::RepairedRid);
        let place = layers.rtx_feed_of(spec, rid_id, packet).ok_or(Discard::UnknownSource)?;
        let current = layers.feeds[place].current.as_ref().ok_or(Discard::EmptyRtx)?;
        let mut restored = std::mem::take(&mut self.restored);
        let original = rtx::restore(packet, payload_type, current.ssrc, &mut restored);
        let seq = original.and_then(|seq| current.reception.extended(seq)).ok_or(Discard::EmptyRtx);
        let accepted = seq.and_then(|seq| {
            let packet = RtpPacket::parse(&restored).map_err(|_| Discard::Rtp)?;
            self.accept(now, (index, place), seq, &packet, format, true, batch)
        });
        self.restored = restored;
        accepted
    }

    /// Takes a packet of a feed: once, and on to the viewers if they get this feed.
    #[allow(clippy::too_many_arguments, reason = "a packet and where it belongs; one caller each way")]
    fn accept(
        &mut self,
        now: Instant,
        (index, place): (usize, usize),
        seq: ExtSeq,
        packet: &RtpPacket<'_>,
        format: Format,
        is_rtx: bool,
        batch: &mut Batch,
    ) -> Result<(), Discard> {
        let spec = &self.source.tracks[index];
        let layers = &mut self.tracks[index];
        let feed = &mut layers.feeds[place];
        let current = feed.current.as_mut().ok_or(Discard::UnknownSource)?;
        if !current.is_new(seq) {
            return Err(Discard::Duplicate);
        }
        let is_keyframe = payload::is_keyframe(format.codec, packet.payload());
        let mut is_broken = false;
        if spec.feedback.ccfb && !is_rtx {
            current.congestion.on_packet(now, seq);
            self.congestion_due.get_or_insert(now + CONGESTION_INTERVAL);
        }
        if spec.feedback.nack {
            is_broken = current.losses.on_packet(now, seq, is_rtx);
            if is_keyframe {
                current.losses.on_keyframe(seq);
            }
        }
        if is_keyframe {
            feed.keyframes.satisfied();
        } else if is_broken && can_make_keyframes(spec) {
            feed.keyframes.request(now);
        }
        let sets = match format.codec {
            Codec::H264 if !is_rtx => feed.parameter_sets.before(packet.timestamp(), packet.payload()),
            _ => None,
        };
        let report = current.report;
        let inserted = sets.map(|payload| (current.insert_before(seq), payload));
        let shifted = current.shifted(seq);
        let Some((epoch, is_new)) = layers.forward(now, place, || is_keyframe) else { return Ok(()) };
        if let Some((ntp, rtp_timestamp)) = report.filter(|_| is_new) {
            batch.items.push(Item::SenderReport { track: index as u8, epoch, ntp, rtp_timestamp });
        }
        if let Some((seq, payload)) = inserted {
            let bytes = beside(packet, seq.wire(), &payload);
            batch.push_packet(index as u8, (epoch, seq), true, &bytes);
        }
        batch.push_packet(index as u8, (epoch, shifted), is_keyframe, packet.bytes());
        Ok(())
    }

    fn note_arrival(&mut self, now: Instant, packet: &RtpPacket<'_>) {
        let number = self.transport_cc.and_then(|id| packet.extensions().find(id));
        if let Some([high, low]) = number.and_then(|data| data.first_chunk()) {
            self.arrivals.on_packet(now, SeqNo(u16::from_be_bytes([*high, *low])));
            self.transport_source = packet.ssrc();
        }
    }

    /// Takes a decrypted RTCP compound.
    pub(crate) fn handle_rtcp(&mut self, now: Instant, bytes: &[u8], batch: &mut Batch) -> Result<(), Discard> {
        let (tracks, demux) = (&mut self.tracks, &mut self.demux);
        let since_start = NtpTime(0).after(now.saturating_duration_since(self.started)).middle();
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
            Word::SinceReferenceTime(part) => {
                let rtt = since_start.wrapping_sub(part.last_reference).wrapping_sub(part.delay);
                let rtt = Duration::from_nanos(u64::from(rtt) * 1_000_000_000 / 65_536);
                let feeds = tracks.iter_mut().flat_map(|layers| &mut layers.feeds);
                let fed = feeds.filter_map(|feed| feed.current.as_mut());
                fed.for_each(|current| current.losses.learn_rtt(rtt));
            }
            _ => {}
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
        if self.source.tracks.get(index).is_some_and(can_make_keyframes) {
            self.tracks[index].request_keyframe(now);
        }
    }

    /// When [`Ingest::handle_timeout`] wants to be called.
    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        // A request to a feed that has sent nothing has no SSRC to name: its first packet is a keyframe's anyway.
        let feeds = self.tracks.iter().flat_map(|layers| &layers.feeds);
        let fed = feeds.filter_map(|feed| Some((feed, feed.current.as_ref()?)));
        let requests = fed.flat_map(|(feed, current)| [feed.keyframes.next_timeout(), current.losses.next_timeout()]);
        let reviews = self.tracks.iter().map(Layers::next_timeout);
        let others = [self.reports.next_timeout(), self.arrivals.next_timeout(), self.congestion_due];
        requests.chain(reviews).chain(others).flatten().min()
    }

    /// Sends the reports and requests that are due.
    pub(crate) fn handle_timeout<S: Sink>(&mut self, now: Instant, flow: Flow, srtp: &mut Srtp, out: &mut Outbox<S>) {
        if self.reports.poll(now) {
            self.send_reports(now, flow, srtp, out);
        }
        let (ssrc, media) = (self.ssrc, self.transport_source);
        let lead = rtcp::Lead { ssrc, cname: (!self.reduced_size).then_some(self.cname.as_str()) };
        if let Some(feedback) = self.arrivals.poll(now) {
            srtp.send_rtcp(flow, out, |room| {
                lead.write(room, |room| rtcp::write_transport_feedback(room, ssrc, media, &feedback))
            });
        }
        if self.congestion_due.take_if(|due| *due <= now).is_some() {
            let feeds = self.tracks.iter_mut().flat_map(|layers| &mut layers.feeds);
            let fed = feeds.filter_map(|feed| feed.current.as_mut());
            let timestamp = NtpTime(0).after(now.saturating_duration_since(self.started)).middle();
            // Each source in a message of its own: all of them might not fit into one.
            for told in fed.filter_map(|current| current.congestion.take(now, current.ssrc)) {
                srtp.send_rtcp(flow, out, |room| {
                    lead.write(room, |room| rtcp::write_congestion(room, ssrc, std::slice::from_ref(&told), timestamp))
                });
            }
        }
        for (index, (layers, spec)) in self.tracks.iter_mut().zip(&self.source.tracks).enumerate() {
            self.changes.extend(layers.review(now, spec).map(|states| (index, states)));
            for feed in &mut layers.feeds {
                let Some(current) = &mut feed.current else { continue };
                let media = current.ssrc;
                let mut missing: Vec<SeqNo> = Vec::new();
                let gave_up = current.losses.poll(now, |seq| missing.push(seq.wire()));
                for seqs in missing.chunks(MAX_NACKED) {
                    srtp.send_rtcp(flow, out, |room| {
                        lead.write(room, |room| rtcp::write_nack(room, ssrc, media, seqs))
                    });
                }
                // A source that never answers NACKs is asked for a keyframe at once.
                let is_vain = !missing.is_empty() && !current.losses.is_answered();
                if (gave_up || is_vain) && can_make_keyframes(spec) {
                    feed.keyframes.request(now);
                }
                if !feed.keyframes.poll(now) {
                    continue;
                }
                match spec.keyframe_request {
                    Some(KeyframeRequest::Fir) => {
                        feed.fir_sequence = feed.fir_sequence.wrapping_add(1);
                        let sequence = feed.fir_sequence;
                        srtp.send_rtcp(flow, out, |room| {
                            lead.write(room, |room| rtcp::write_fir(room, ssrc, media, sequence))
                        });
                    }
                    _ => {
                        srtp.send_rtcp(flow, out, |room| lead.write(room, |room| rtcp::write_pli(room, ssrc, media)));
                    }
                }
            }
        }
    }

    /// RR with our reference time, and REMB for a publisher that goes by it.
    fn send_reports<S: Sink>(&mut self, now: Instant, flow: Flow, srtp: &mut Srtp, out: &mut Outbox<S>) {
        let feeds = self.tracks.iter_mut().flat_map(|layers| &mut layers.feeds);
        let fed = feeds.filter_map(|feed| feed.current.as_mut());
        let blocks: Vec<_> = fed.map(|current| current.reception.report_block(now, current.ssrc)).collect();
        let (ssrc, cname) = (self.ssrc, &self.cname);
        let ntp = NtpTime(0).after(now.saturating_duration_since(self.started));
        let wants_remb = |spec: &&TrackSpec| spec.feedback.remb && spec.kind == MediaKind::Video;
        let wants_remb = self.transport_cc.is_none() && self.source.tracks.iter().any(|spec| wants_remb(&spec));
        for blocks in blocks.chunks(rtcp::MAX_BLOCKS) {
            srtp.send_rtcp(flow, out, |room| {
                let mut len = rtcp::write_receiver_report(room, ssrc, blocks, cname)?;
                len += rtcp::write_rrtr(&mut room[len..], ssrc, ntp)?;
                if wants_remb {
                    let sources: Vec<Ssrc> = blocks.iter().map(|block| block.ssrc).collect();
                    len += rtcp::write_remb(&mut room[len..], ssrc, self.policy.max_bitrate_bps, &sources)?;
                }
                Some(len)
            });
        }
    }

    /// Takes away what is to be told of the tracks' layers: indices of tracks, and how they are.
    pub(crate) fn take_layers(&mut self) -> Vec<(usize, Vec<LayerState>)> {
        std::mem::take(&mut self.changes)
    }
}

fn can_make_keyframes(spec: &TrackSpec) -> bool {
    spec.kind == MediaKind::Video && spec.keyframe_request.is_some()
}

fn format_of(spec: &TrackSpec, payload_type: PayloadType) -> Result<Format, Discard> {
    let known = spec.formats.iter().find(|known| known.payload_type == payload_type);
    known.map(|known| known.format).ok_or(Discard::UnknownSource)
}

fn extension_id(spec: &TrackSpec, extension: Extension) -> Option<u8> {
    spec.extensions.iter().find(|known| known.extension == extension).map(|known| known.id)
}

/// A packet of ours beside one of the publisher's: its time and source, without extensions.
fn beside(packet: &RtpPacket<'_>, seq: SeqNo, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x80, packet.payload_type().0];
    bytes.extend(seq.0.to_be_bytes());
    bytes.extend_from_slice(&packet.bytes()[4..FIXED_HEADER]);
    bytes.extend_from_slice(payload);
    bytes
}

fn demux(specs: &[TrackSpec]) -> BundleDemux {
    let mut demux = BundleDemux::default();
    for spec in specs {
        let mid = spec.mid.zip(extension_id(spec, Extension::Mid));
        let retransmitted = spec.rtx.iter().map(|(rtx, _)| *rtx);
        let types = spec.formats.iter().map(|format| format.payload_type).chain(retransmitted);
        let retransmitting = spec.rtx_ssrcs.iter().map(|(rtx, _)| *rtx);
        let ssrcs: Vec<Ssrc> = spec.ssrcs.iter().copied().chain(retransmitting).collect();
        demux.add_track(mid, &ssrcs, types);
    }
    demux
}
