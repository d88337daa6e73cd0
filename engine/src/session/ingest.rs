//! What a publisher sends: which track a packet is of, how well it arrives, and what the publisher is told of it.

use super::Srtp;
use super::reports::ReportTimer;
use crate::control::{Extension, KeyframeRequest, SessionId, TrackSpec};
use crate::flow::Flow;
use crate::forward::{Batch, Item, KeyframeRequests, Source};
use crate::outbox::{Outbox, Sink};
use crate::random;
use crate::stats::Discard;
use oneport_rtp::demux::BundleDemux;
use oneport_rtp::ids::Ssrc;
use oneport_rtp::packet::RtpPacket;
use oneport_rtp::payload::{self, MediaKind};
use oneport_rtp::reception::Reception;
use oneport_rtp::rtcp::{self, Word};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A track goes over to another SSRC when its present one has been silent for this long, or said BYE.
const SOURCE_TIMEOUT: Duration = Duration::from_secs(1);

/// The source that a track is fed from.
#[derive(Debug)]
struct Current {
    ssrc: Ssrc,
    reception: Reception,
    last_packet: Instant,
}

#[derive(Debug)]
struct IngestTrack {
    epoch: u32,
    current: Option<Current>,
    keyframes: KeyframeRequests,
    fir_sequence: u8,
}

/// See the module's text.
#[derive(Debug)]
pub(crate) struct Ingest {
    source: Arc<Source>,
    demux: BundleDemux,
    tracks: Vec<IngestTrack>,
    /// Ours, as the sender of reports.
    ssrc: Ssrc,
    cname: String,
    reports: ReportTimer,
}

impl Ingest {
    /// The ingest of a session on shard number `shard`.
    pub(crate) fn new(id: SessionId, shard: usize, specs: &[TrackSpec], keyframe_interval: Duration) -> Ingest {
        let tracks = specs
            .iter()
            .map(|_| IngestTrack {
                epoch: 0,
                current: None,
                keyframes: KeyframeRequests::new(keyframe_interval),
                fir_sequence: 0,
            })
            .collect();
        Ingest {
            source: Arc::new(Source { publisher: id, shard, tracks: specs.to_vec() }),
            demux: demux(specs),
            tracks,
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
        let track = &mut self.tracks[index];
        let current = track.feed(now, packet.ssrc(), format.clock_rate).ok_or(Discard::UnknownSource)?;
        let seq = current.reception.on_packet(now, packet.seq(), packet.timestamp());
        let seq = seq.ok_or(Discard::UnknownSource)?;
        if track.keyframes.next_timeout().is_some() && payload::is_keyframe(format.codec, packet.payload()) {
            track.keyframes.satisfied();
        }
        batch.push_packet(index as u8, track.epoch, seq, bytes);
        self.reports.media(now);
        Ok(index)
    }

    /// Takes a decrypted RTCP compound.
    pub(crate) fn handle_rtcp(&mut self, now: Instant, bytes: &[u8], batch: &mut Batch) -> Result<(), Discard> {
        let (tracks, demux) = (&mut self.tracks, &mut self.demux);
        let take = |word| match word {
            Word::SenderReport { ssrc, ntp, rtp_timestamp } => {
                let Some((index, current)) = find(tracks, ssrc) else { return };
                current.reception.on_sender_report(now, ntp);
                batch.items.push(Item::SenderReport { track: index as u8, ntp, rtp_timestamp });
            }
            Word::Bye(ssrc) => {
                demux.forget(ssrc);
                for track in tracks.iter_mut() {
                    track.current.take_if(|current| current.ssrc == ssrc);
                }
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
            self.tracks[index].keyframes.request(now);
        }
    }

    /// When [`Ingest::handle_timeout`] wants to be called.
    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        // A request to a track that has sent nothing has no SSRC to name: its first packet is a keyframe's anyway.
        let fed = self.tracks.iter().filter(|track| track.current.is_some());
        fed.filter_map(|track| track.keyframes.next_timeout()).chain(self.reports.next_timeout()).min()
    }

    /// Sends the reports and requests that are due.
    pub(crate) fn handle_timeout<S: Sink>(&mut self, now: Instant, flow: Flow, srtp: &mut Srtp, out: &mut Outbox<S>) {
        if self.reports.poll(now) {
            let tracks = self.tracks.iter_mut().filter_map(|track| track.current.as_mut());
            let blocks: Vec<_> = tracks.map(|current| current.reception.report_block(now, current.ssrc)).collect();
            let (ssrc, cname) = (self.ssrc, &self.cname);
            srtp.send_rtcp(flow, out, |room| rtcp::write_receiver_report(room, ssrc, &blocks, cname));
        }
        for (track, spec) in self.tracks.iter_mut().zip(&self.source.tracks) {
            let Some(current) = &track.current else { continue };
            if !track.keyframes.poll(now) {
                continue;
            }
            let (ssrc, media, cname) = (self.ssrc, current.ssrc, &self.cname);
            match spec.keyframe_request {
                Some(KeyframeRequest::Fir) => {
                    track.fir_sequence = track.fir_sequence.wrapping_add(1);
                    let sequence = track.fir_sequence;
                    srtp.send_rtcp(flow, out, |room| rtcp::write_fir(room, ssrc, media, sequence, cname));
                }
                _ => srtp.send_rtcp(flow, out, |room| rtcp::write_pli(room, ssrc, media, cname)),
            }
        }
    }
}

impl IngestTrack {
    /// The source, if `ssrc` is the one that feeds the track, or may be from now on.
    fn feed(&mut self, now: Instant, ssrc: Ssrc, clock_rate: u32) -> Option<&mut Current> {
        let stays = self.current.as_ref().is_some_and(|current| {
            current.ssrc != ssrc && now.saturating_duration_since(current.last_packet) < SOURCE_TIMEOUT
        });
        if stays {
            return None;
        }
        if self.current.as_ref().is_none_or(|current| current.ssrc != ssrc) {
            self.epoch = self.epoch.wrapping_add(1);
            self.current = Some(Current { ssrc, reception: Reception::new(clock_rate), last_packet: now });
        }
        let current = self.current.as_mut()?;
        current.last_packet = now;
        Some(current)
    }
}

fn find(tracks: &mut [IngestTrack], ssrc: Ssrc) -> Option<(usize, &mut Current)> {
    let fed = tracks.iter_mut().enumerate().filter_map(|(index, track)| Some((index, track.current.as_mut()?)));
    fed.into_iter().find(|(_, current)| current.ssrc == ssrc)
}

fn demux(specs: &[TrackSpec]) -> BundleDemux {
    let mut demux = BundleDemux::default();
    for spec in specs {
        let mid_id = spec.extensions.iter().find(|known| known.extension == Extension::Mid).map(|known| known.id);
        let mid = spec.mid.zip(mid_id);
        let types = spec.formats.iter().map(|format| format.payload_type);
        demux.add_track(mid, &spec.ssrcs, types);
    }
    demux
}
