//! What a viewer receives: the publisher's packets under the viewer's own numbers and keys, and the reports that go with them.

use super::Srtp;
use super::account::Account;
use super::reports::ReportTimer;
use crate::control::{Extension, NegotiatedExtension, NegotiatedFormat, TrackSpec};
use crate::flow::Flow;
use crate::forward::{Epoch, Rewriter, Source, Turn, TurnItem};
use crate::outbox::{Outbox, Sink};
use crate::random;
use crate::stats::Discard;
use oneport_rtp::extension::ExtensionMap;
use oneport_rtp::ids::{Mid, PayloadType, Ssrc};
use oneport_rtp::packet::{self, RtpHeader, RtpPacket};
use oneport_rtp::payload::{self, Codec, MediaKind};
use oneport_rtp::rtcp::{self, SenderInfo, Word};
use oneport_rtp::sender_clock::SenderClock;
use oneport_rtp::seq::ExtSeq;
use std::sync::Arc;
use std::time::Instant;

/// What header extensions may add when a packet's block is written anew: ours has no more elements than the publisher's and the MID.
const EXTENSION_ROOM: usize = 64;

/// Packets and bytes, as they went out.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Sent {
    pub packets: u64,
    pub bytes: u64,
}

/// A publisher's track, as this viewer takes it. Decided once for each publisher.
#[derive(Debug)]
struct Binding {
    track: u8,
    types: Vec<TypeMap>,
    extensions: ExtensionMap,
}

/// A publisher's payload type that the viewer takes, and as what.
#[derive(Debug)]
struct TypeMap {
    theirs: PayloadType,
    ours: PayloadType,
    clock_rate: u32,
    /// The publisher sends redundant audio, the viewer takes each packet's own block.
    is_unwrapped: bool,
}

#[derive(Debug)]
struct EgressTrack {
    /// Among the session's tracks.
    place: usize,
    kind: MediaKind,
    mid: Option<Mid>,
    formats: Vec<NegotiatedFormat>,
    extensions: Vec<NegotiatedExtension>,
    ssrc: Ssrc,
    cname: String,
    rewriter: Rewriter,
    binding: Option<Binding>,
    /// The publisher's clock, of this epoch.
    clock: Option<(Epoch, SenderClock)>,
    clock_rate: u32,
    packets: u32,
    octets: u32,
    sent_since_report: bool,
}

/// See the module's text.
#[derive(Debug)]
pub(crate) struct Egress {
    source: Option<Arc<Source>>,
    tracks: Vec<EgressTrack>,
    reports: ReportTimer,
}

impl Egress {
    /// The egress of a viewer with these tracks.
    pub(crate) fn new(specs: &[TrackSpec]) -> Egress {
        let tracks = specs.iter().enumerate().map(|(place, spec)| EgressTrack::new(place, spec)).collect();
        Egress { source: None, tracks, reports: ReportTimer::new(random::number()) }
    }

    /// Takes the tracks of another publisher.
    pub(crate) fn bind(&mut self, source: &Arc<Source>) {
        if self.source.as_ref().is_some_and(|known| Arc::ptr_eq(known, source)) {
            return;
        }
        self.source = Some(source.clone());
        for track in &mut self.tracks {
            track.bind(source);
        }
    }

    /// Sends what a turn brought.
    pub(crate) fn deliver<S: Sink>(
        &mut self,
        now: Instant,
        turn: &Turn<'_>,
        flow: Flow,
        srtp: &mut Srtp,
        account: &mut Account,
        out: &mut Outbox<S>,
    ) -> Sent {
        self.bind(turn.source);
        let mut sent = Sent::default();
        for item in &turn.items {
            match item {
                TurnItem::Packet { track, epoch, seq, packet } => {
                    let Some(egress) = bound(&mut self.tracks, *track) else { continue };
                    let Some(packet) = egress.suited(packet) else { continue };
                    let packet = &packet;
                    let Some(header) = egress.header(now, (turn.source.publisher, *epoch), *seq, packet) else {
                        continue;
                    };
                    sent.bytes += egress.send(packet, &header, flow, srtp, out) as u64;
                    sent.packets += 1;
                    if account.wants(egress.place, egress.kind == MediaKind::Video) {
                        let is_keyframe = is_keyframe(turn.source, *track, packet);
                        account.packet(egress.place, egress.ssrc, header.0.payload_type, is_keyframe);
                    }
                }
                TurnItem::SenderReport { track, epoch, ntp, rtp_timestamp } => {
                    if let Some(egress) = bound(&mut self.tracks, *track) {
                        let mut clock = SenderClock::default();
                        clock.on_report(now, *ntp, *rtp_timestamp);
                        egress.clock = Some(((turn.source.publisher, *epoch), clock));
                    }
                }
            }
        }
        if sent.packets > 0 {
            self.reports.media(now);
        }
        sent
    }

    /// Takes a decrypted RTCP compound. One bit for each track that needs a keyframe.
    pub(crate) fn handle_rtcp(&mut self, bytes: &[u8]) -> Result<u32, Discard> {
        let mut wanted = 0;
        let take = |word| {
            if let Word::KeyframeRequest(ssrc) = word {
                wanted |= self.bit_of(ssrc);
            }
        };
        rtcp::parse(bytes, take).map_err(|_| Discard::Rtcp)?;
        Ok(wanted)
    }

    /// The publisher's video tracks behind these of ours.
    pub(crate) fn source_tracks(&self, bits: u32) -> impl Iterator<Item = usize> {
        let tracks = self.tracks.iter().enumerate().filter(move |(index, _)| bits >> index & 1 == 1);
        let videos = tracks.filter(|(_, track)| track.kind == MediaKind::Video);
        videos.filter_map(|(_, track)| Some(usize::from(track.binding.as_ref()?.track)))
    }

    /// When [`Egress::handle_timeout`] wants to be called.
    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        self.reports.next_timeout()
    }

    /// Sends the reports that are due.
    pub(crate) fn handle_timeout<S: Sink>(&mut self, now: Instant, flow: Flow, srtp: &mut Srtp, out: &mut Outbox<S>) {
        if !self.reports.poll(now) {
            return;
        }
        for track in &mut self.tracks {
            let Some(info) = track.sender_info(now) else { continue };
            let (ssrc, cname) = (track.ssrc, &track.cname);
            srtp.send_rtcp(flow, out, |room| rtcp::write_sender_report(room, ssrc, &info, cname));
        }
    }

    /// Tells the viewer that its sources have ended.
    pub(crate) fn send_bye<S: Sink>(&mut self, flow: Flow, srtp: &mut Srtp, out: &mut Outbox<S>) {
        for track in &self.tracks {
            let (ssrc, cname) = (track.ssrc, &track.cname);
            srtp.send_rtcp(flow, out, |room| rtcp::write_bye(room, ssrc, cname));
        }
    }

    fn bit_of(&self, ssrc: Ssrc) -> u32 {
        self.tracks.iter().position(|track| track.ssrc == ssrc).map_or(0, |index| 1 << index)
    }
}

impl EgressTrack {
    fn new(place: usize, spec: &TrackSpec) -> EgressTrack {
        EgressTrack {
            place,
            kind: spec.kind,
            mid: spec.mid,
            formats: spec.formats.clone(),
            extensions: spec.extensions.clone(),
            ssrc: spec.ssrcs.first().copied().unwrap_or_else(|| Ssrc(random::number())),
            cname: spec.cname.clone(),
            rewriter: Rewriter::new(random::number() as u16, random::number()),
            binding: None,
            clock: None,
            clock_rate: 90_000,
            packets: 0,
            octets: 0,
            sent_since_report: false,
        }
    }

    fn bind(&mut self, source: &Source) {
        self.clock = None;
        let found = source.tracks.iter().enumerate().find(|(_, track)| track.kind == self.kind);
        self.binding = found.map(|(index, track)| Binding {
            track: index as u8,
            types: track.formats.iter().filter_map(|sent| self.type_for(sent)).collect(),
            extensions: self.extension_map(&track.extensions),
        });
    }

    /// The viewer's payload type that suits the publisher's best.
    fn type_for(&self, sent: &NegotiatedFormat) -> Option<TypeMap> {
        let fits = self.formats.iter().filter_map(|own| Some((own.format.fitness_for(&sent.format)?, own)));
        let (_, own) = fits.min_by_key(|(fitness, _)| *fitness)?;
        Some(TypeMap {
            theirs: sent.payload_type,
            ours: own.payload_type,
            clock_rate: sent.format.clock_rate,
            is_unwrapped: sent.format.codec == Codec::Red && own.format.codec != Codec::Red,
        })
    }

    fn extension_map(&self, sent: &[NegotiatedExtension]) -> ExtensionMap {
        let mut map = ExtensionMap::default();
        for own in &self.extensions {
            if own.extension == Extension::Mid {
                if let Some(mid) = self.mid {
                    map = map.with_mid(own.id, mid);
                }
                continue;
            }
            if let Some(theirs) = sent.iter().find(|theirs| theirs.extension == own.extension) {
                map.insert(theirs.id, own.id);
            }
        }
        map
    }

    fn type_of(&self, packet: &RtpPacket<'_>) -> Option<&TypeMap> {
        self.binding.as_ref()?.types.iter().find(|known| known.theirs == packet.payload_type())
    }

    /// The packet as the viewer takes it, but for its numbers; `None` when it does not take it.
    fn suited<'a>(&self, packet: &RtpPacket<'a>) -> Option<RtpPacket<'a>> {
        match self.type_of(packet)?.is_unwrapped {
            true => Some(packet.with_payload(payload::red_primary(packet.payload())?)),
            false => Some(*packet),
        }
    }

    fn header(&mut self, now: Instant, epoch: Epoch, seq: ExtSeq, packet: &RtpPacket<'_>) -> Option<(RtpHeader, u32)> {
        let (payload_type, clock_rate) = self.type_of(packet).map(|known| (known.ours, known.clock_rate))?;
        self.clock_rate = clock_rate;
        let (seq, timestamp) = self.rewriter.rewrite(now, epoch, seq, packet.timestamp(), clock_rate)?;
        let header = RtpHeader { marker: packet.marker(), payload_type, seq: seq.wire(), timestamp, ssrc: self.ssrc };
        Some((header, seq.roc()))
    }

    fn send<S: Sink>(
        &mut self,
        packet: &RtpPacket<'_>,
        (header, roc): &(RtpHeader, u32),
        flow: Flow,
        srtp: &mut Srtp,
        out: &mut Outbox<S>,
    ) -> usize {
        let Some(binding) = &self.binding else { return 0 };
        let mut sent = 0;
        out.push(flow, Srtp::room(packet.len() + EXTENSION_ROOM), |room| {
            let written = packet::rewrite(room, packet, header, &binding.extensions);
            sent = written.map_or(0, |len| srtp.protect_rtp(room, len, *roc));
            sent
        });
        self.packets = self.packets.wrapping_add(1);
        self.octets = self.octets.wrapping_add(packet.payload().len() as u32);
        self.sent_since_report = true;
        sent
    }

    /// The publisher's clock on the viewer's timeline, once both are known.
    fn sender_info(&mut self, now: Instant) -> Option<SenderInfo> {
        if !std::mem::take(&mut self.sent_since_report) {
            return None;
        }
        let (epoch, clock) = &self.clock?;
        let (ntp, theirs) = clock.at(now, self.clock_rate)?;
        let rtp_timestamp = self.rewriter.timestamp(*epoch, theirs)?;
        Some(SenderInfo { ntp, rtp_timestamp, packets: self.packets, octets: self.octets })
    }
}

/// Whether a packet of a publisher's track begins a keyframe.
fn is_keyframe(source: &Source, track: u8, packet: &RtpPacket<'_>) -> bool {
    let formats = source.tracks.get(usize::from(track)).map(|track| track.formats.as_slice()).unwrap_or_default();
    let format = formats.iter().find(|format| format.payload_type == packet.payload_type());
    format.is_some_and(|format| payload::is_keyframe(format.format.codec, packet.payload()))
}

fn bound(tracks: &mut [EgressTrack], track: u8) -> Option<&mut EgressTrack> {
    tracks.iter_mut().find(|egress| egress.binding.as_ref().is_some_and(|binding| binding.track == track))
}
