//! What a viewer receives: the publisher's packets under the viewer's own numbers and keys, what it lost once more, and the reports that
//! go with them.

mod catch_up;
mod resend;
mod track;
mod vp8;

use super::Srtp;
use super::account::Account;
use super::reports::ReportTimer;
use crate::control::{Extension, SessionSpec};
use crate::flow::Flow;
use crate::forward::{History, Past, Source, Turn, TurnItem};
use crate::outbox::{Outbox, Sink};
use crate::random;
use crate::stats::Discard;
use oneport_rtp::ids::Ssrc;
use oneport_rtp::ntp::{self, NtpTime};
use oneport_rtp::payload::MediaKind;
use oneport_rtp::rtcp::{self, Dlrr, Word};
use oneport_rtp::sender_clock::SenderClock;
use oneport_rtp::seq::SeqNo;
use std::sync::Arc;
use std::time::{Duration, Instant};
use track::{EgressTrack, Wire};

/// NACKed numbers of one compound that are answered: a storm has more.
const MAX_NACKS: usize = 512;

/// Packets and bytes, as they went out.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Sent {
    pub packets: u64,
    pub bytes: u64,
}

impl Sent {
    /// One more packet, of so many bytes on the wire; none of no bytes.
    pub(crate) fn add(&mut self, bytes: usize) {
        self.packets += u64::from(bytes > 0);
        self.bytes += bytes as u64;
    }
}

/// What a viewer's feedback tells of its path; what an estimator of its bandwidth will begin with.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Path {
    /// Packets that transport-wide feedback has acknowledged.
    pub arrived: u64,
    /// Packets that it has not.
    pub lost: u64,
    /// What the viewer says that it can take, in bit/s.
    pub max_bitrate_bps: Option<u64>,
    /// Round-trip time, from its receiver reports.
    pub rtt: Option<Duration>,
}

/// Reference times that viewers sent, to be returned.
const MAX_REFERENCES: usize = 4;

/// See the module's text.
#[derive(Debug)]
pub(crate) struct Egress {
    source: Option<Arc<Source>>,
    tracks: Vec<EgressTrack>,
    reports: ReportTimer,
    /// The next transport-wide number.
    transport_seq: u16,
    started: Instant,
    path: Path,
    references: Vec<(Ssrc, NtpTime, Instant)>,
}

impl Egress {
    /// The egress of a viewer.
    pub(crate) fn new(now: Instant, spec: &SessionSpec) -> Egress {
        let tracks = spec.tracks.iter().enumerate().map(|(place, spec)| EgressTrack::new(place, spec)).collect();
        Egress {
            source: None,
            tracks,
            reports: ReportTimer::new(random::number()),
            transport_seq: 0,
            started: now,
            path: Path::default(),
            references: Vec::new(),
        }
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

    /// Begins with the past, where there is a keyframe in it. One bit for each track that needs one instead.
    pub(crate) fn join(&mut self, now: Instant, histories: &[History]) -> u32 {
        let mut wanted = 0;
        for (index, track) in self.tracks.iter_mut().enumerate() {
            let history = track.bound_to().and_then(|bound| histories.get(bound));
            if let Some((epoch, clock)) = history.and_then(History::clock) {
                track.set_clock(epoch, clock);
            }
            if track.kind == MediaKind::Video && !history.is_some_and(|history| track.join(now, history)) {
                wanted |= 1 << index;
            }
        }
        wanted
    }

    /// Sends what a turn brought.
    pub(crate) fn deliver<S: Sink>(
        &mut self,
        now: Instant,
        turn: &Turn<'_>,
        wire: (Flow, &mut Srtp),
        account: &mut Account,
        out: &mut Outbox<S>,
    ) -> Sent {
        self.bind(turn.source);
        let mut sent = Sent::default();
        let (flow, srtp) = wire;
        let mut wire =
            Wire { now, since_start: now - self.started, transport_seq: &mut self.transport_seq, flow, srtp, out };
        for item in &turn.items {
            match item {
                TurnItem::Packet { track, epoch, seq, is_keyframe, packet } => {
                    let Some(egress) = bound(&mut self.tracks, *track) else { continue };
                    let epoch = (turn.source.publisher, *epoch);
                    let past = Past { epoch, seq: *seq, packet: *packet };
                    sent.add(egress.send_live(&past, *is_keyframe, &mut wire, account));
                }
                TurnItem::SenderReport { track, epoch, ntp, rtp_timestamp } => {
                    if let Some(egress) = bound(&mut self.tracks, *track) {
                        let mut clock = SenderClock::default();
                        clock.on_report(now, *ntp, *rtp_timestamp);
                        egress.set_clock((turn.source.publisher, *epoch), clock);
                    }
                }
            }
        }
        if sent.packets > 0 {
            self.reports.media(now);
        }
        sent
    }

    /// Takes a decrypted RTCP compound, and answers the NACKs in it. One bit for each track that needs a keyframe, and what was sent.
    pub(crate) fn handle_rtcp<S: Sink>(
        &mut self,
        now: Instant,
        bytes: &[u8],
        histories: &[History],
        wire: (Flow, &mut Srtp),
        out: &mut Outbox<S>,
    ) -> Result<(u32, Sent), Discard> {
        let mut keyframes = 0;
        let mut nacks = 0;
        let mut sent = Sent::default();
        let (flow, srtp) = wire;
        let mut wire =
            Wire { now, since_start: now - self.started, transport_seq: &mut self.transport_seq, flow, srtp, out };
        let (tracks, path, references) = (&mut self.tracks, &mut self.path, &mut self.references);
        let take = |word| match word {
            Word::KeyframeRequest(ssrc) => {
                let wanted = tracks.iter().position(|track| track.ssrc == ssrc);
                keyframes |= wanted.map_or(0, |index| 1 << index);
            }
            Word::Nack(ssrc, seq) if nacks < MAX_NACKS => {
                nacks += 1;
                sent.add(resend(tracks, ssrc, seq, histories, &mut wire));
            }
            Word::Received(block) => {
                let Some(track) = tracks.iter_mut().find(|track| track.ssrc == block.ssrc) else { return };
                path.rtt = track.rtt_of(now, &block).or(path.rtt);
                if let Some(rtt) = path.rtt {
                    tracks.iter_mut().for_each(|track| track.resends.set_rtt(rtt));
                }
            }
            Word::Arrival { received: true, .. } => path.arrived += 1,
            Word::Arrival { .. } => path.lost += 1,
            Word::MaxBitrate(bitrate) => path.max_bitrate_bps = Some(bitrate),
            Word::ReferenceTime { ssrc, ntp } => {
                references.retain(|(known, ..)| *known != ssrc);
                references.truncate(MAX_REFERENCES - 1);
                references.push((ssrc, ntp, now));
            }
            _ => {}
        };
        rtcp::parse(bytes, take).map_err(|_| Discard::Rtcp)?;
        Ok((keyframes, sent))
    }

    /// The publisher's video tracks behind these of ours.
    pub(crate) fn source_tracks(&self, bits: u32) -> impl Iterator<Item = usize> {
        let tracks = self.tracks.iter().enumerate().filter(move |(index, _)| bits >> index & 1 == 1);
        let videos = tracks.filter(|(_, track)| track.kind == MediaKind::Video);
        videos.filter_map(|(_, track)| track.bound_to())
    }

    /// When [`Egress::handle_timeout`] wants to be called.
    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        let catching_up = self.tracks.iter().filter_map(EgressTrack::next_timeout);
        catching_up.chain(self.reports.next_timeout()).min()
    }

    /// Sends the reports and the instalments of the past that are due. What was sent, and one bit for each track that cannot go on
    /// without a keyframe.
    pub(crate) fn handle_timeout<S: Sink>(
        &mut self,
        now: Instant,
        histories: &[History],
        wire: (Flow, &mut Srtp),
        account: &mut Account,
        out: &mut Outbox<S>,
    ) -> (Sent, u32) {
        let (flow, srtp) = wire;
        let (mut sent, mut wanted) = (Sent::default(), 0);
        let mut wire =
            Wire { now, since_start: now - self.started, transport_seq: &mut self.transport_seq, flow, srtp, out };
        for (index, track) in self.tracks.iter_mut().enumerate() {
            if track.next_timeout().is_none_or(|due| due > now) {
                continue;
            }
            let history = track.bound_to().and_then(|bound| histories.get(bound));
            if !track.catch_up(history, &mut wire, account, &mut sent) {
                wanted |= 1 << index;
            }
        }
        if sent.packets > 0 {
            self.reports.media(now);
        }
        if self.reports.poll(now) {
            self.send_reports(now, flow, srtp, out);
        }
        (sent, wanted)
    }

    fn send_reports<S: Sink>(&mut self, now: Instant, flow: Flow, srtp: &mut Srtp, out: &mut Outbox<S>) {
        let returned: Vec<Dlrr> = self
            .references
            .drain(..)
            .map(|(ssrc, ntp, came)| Dlrr {
                ssrc: ssrc.0,
                last_reference: ntp.middle(),
                delay: ntp::compact(now.saturating_duration_since(came)),
            })
            .collect();
        let mut returned = (!returned.is_empty()).then_some(returned);
        for track in &mut self.tracks {
            let Some(info) = track.sender_info(now) else { continue };
            let (ssrc, cname, returned) = (track.ssrc, &track.cname, returned.take());
            srtp.send_rtcp(flow, out, |room| {
                let len = rtcp::write_sender_report(room, ssrc, &info, cname)?;
                let more = returned.as_ref().and_then(|parts| rtcp::write_dlrr(&mut room[len..], ssrc, parts));
                Some(len + more.unwrap_or_default())
            });
        }
    }

    /// Tells the viewer that its sources have ended.
    pub(crate) fn send_bye<S: Sink>(&mut self, flow: Flow, srtp: &mut Srtp, out: &mut Outbox<S>) {
        for track in &self.tracks {
            let (ssrc, cname) = (track.ssrc, &track.cname);
            srtp.send_rtcp(flow, out, |room| rtcp::write_bye(room, ssrc, cname));
        }
    }
}

fn resend<S: Sink>(
    tracks: &mut [EgressTrack],
    ssrc: Ssrc,
    seq: SeqNo,
    histories: &[History],
    wire: &mut Wire<'_, S>,
) -> usize {
    let Some(track) = tracks.iter_mut().find(|track| track.ssrc == ssrc) else { return 0 };
    let history = track.bound_to().and_then(|bound| histories.get(bound));
    history.map_or(0, |history| track.resend(seq, history, wire))
}

fn bound(tracks: &mut [EgressTrack], track: u8) -> Option<&mut EgressTrack> {
    tracks.iter_mut().find(|egress| egress.bound_to() == Some(usize::from(track)))
}

/// The extension's id on this leg.
fn extension_id(spec: &crate::control::TrackSpec, extension: Extension) -> Option<u8> {
    spec.extensions.iter().find(|known| known.extension == extension).map(|known| known.id)
}
