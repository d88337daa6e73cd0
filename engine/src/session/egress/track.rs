//! One track of a viewer.

use super::catch_up::{CONDENSED, CatchUp};
use super::resend::Resends;
use super::vp8::PictureNumbers;
use super::{Sent, extension_id};
use crate::control::{Extension, NegotiatedExtension, NegotiatedFormat, TrackSpec};
use crate::flow::Flow;
use crate::forward::{Epoch, History, Past, Rewriter, Source};
use crate::outbox::{Outbox, Sink};
use crate::random;
use crate::session::Srtp;
use crate::session::account::Account;
use oneport_rtp::extension::ExtensionMap;
use oneport_rtp::ids::{Mid, PayloadType, Ssrc};
use oneport_rtp::ntp::NtpTime;
use oneport_rtp::packet::{self, RtpHeader, RtpPacket};
use oneport_rtp::payload::{self, Codec, MediaKind};
use oneport_rtp::reception::ReportBlock;
use oneport_rtp::rtcp::SenderInfo;
use oneport_rtp::rtx;
use oneport_rtp::sender_clock::SenderClock;
use oneport_rtp::seq::{ExtSeq, SeqNo};
use std::time::{Duration, Instant};

/// What header extensions may add when a packet's block is written anew: ours has no more elements than the publisher's, the MID, the
/// transport-wide number and the time of sending.
const EXTENSION_ROOM: usize = 80;
/// A viewer gets no video before a keyframe begins, unless none comes for so long: some streams refresh little by little instead.
const MAX_CLOSED: Duration = Duration::from_secs(2);
/// Sender reports whose return tells the round trip.
const MAX_REPORTS: usize = 4;

/// Where packets of a session go, and what they are numbered with.
pub(super) struct Wire<'a, S: Sink> {
    pub now: Instant,
    pub since_start: Duration,
    pub transport_seq: &'a mut u16,
    pub flow: Flow,
    pub srtp: &'a mut Srtp,
    pub out: &'a mut Outbox<S>,
}

/// A publisher's track, as this viewer takes it. Decided once for each publisher.
#[derive(Debug)]
struct Binding {
    track: u8,
    types: Vec<TypeMap>,
    extensions: ExtensionMap,
}

/// A publisher's payload type that the viewer takes, and as what.
#[derive(Clone, Copy, Debug)]
struct TypeMap {
    theirs: PayloadType,
    ours: PayloadType,
    clock_rate: u32,
    codec: Codec,
    /// The publisher sends redundant audio, the viewer takes each packet's own block.
    is_unwrapped: bool,
}

/// Retransmissions in a stream of their own.
#[derive(Debug)]
struct Rtx {
    ssrc: Ssrc,
    types: Vec<(PayloadType, PayloadType)>,
    next: ExtSeq,
}

/// Whether video is sent before a keyframe has begun.
#[derive(Debug)]
enum Gate {
    Open,
    /// Since when it has been closed, once there was something to send.
    Closed(Option<Instant>),
}

/// See the module's text.
#[derive(Debug)]
pub(super) struct EgressTrack {
    /// Among the session's tracks.
    place: usize,
    pub kind: MediaKind,
    mid: Option<Mid>,
    formats: Vec<NegotiatedFormat>,
    extensions: Vec<NegotiatedExtension>,
    pub ssrc: Ssrc,
    pub cname: String,
    transport_cc: Option<u8>,
    send_time: Option<u8>,
    rtx: Option<Rtx>,
    answers_nacks: bool,
    pub resends: Resends,
    rewriter: Rewriter,
    picture_numbers: PictureNumbers,
    binding: Option<Binding>,
    gate: Gate,
    catch_up: Option<CatchUp>,
    /// The publisher's clock, of this epoch.
    clock: Option<(Epoch, SenderClock)>,
    clock_rate: u32,
    packets: u32,
    octets: u32,
    sent_since_report: bool,
    /// Sender reports, by the middle of their NTP time.
    reports: Vec<(u32, Instant)>,
}

impl EgressTrack {
    pub(super) fn new(place: usize, spec: &TrackSpec) -> EgressTrack {
        let rtx_ssrc = spec.rtx_ssrcs.first().map(|(rtx, _)| *rtx).filter(|_| !spec.rtx.is_empty());
        // A packet that is sent again under its own number has to be the same octets (RFC 7714 §8.1 has a counter for each number), so
        // that what is different each time goes with retransmissions in a stream of their own only.
        let is_numbered = rtx_ssrc.is_some() || !spec.feedback.nack;
        let transport_cc = extension_id(spec, Extension::TransportCc).filter(|_| spec.feedback.transport_cc);
        EgressTrack {
            place,
            kind: spec.kind,
            mid: spec.mid,
            formats: spec.formats.clone(),
            extensions: spec.extensions.clone(),
            ssrc: spec.ssrcs.first().copied().unwrap_or_else(|| Ssrc(random::number())),
            cname: spec.cname.clone(),
            transport_cc: transport_cc.filter(|_| is_numbered),
            send_time: extension_id(spec, Extension::AbsSendTime).filter(|_| is_numbered),
            rtx: rtx_ssrc.map(|ssrc| Rtx {
                ssrc,
                types: spec.rtx.clone(),
                next: ExtSeq(u64::from(random::number() & 0x7fff)),
            }),
            answers_nacks: spec.feedback.nack,
            resends: Resends::default(),
            rewriter: Rewriter::new(random::number() as u16, random::number()),
            picture_numbers: PictureNumbers::default(),
            binding: None,
            gate: Gate::Open,
            catch_up: None,
            clock: None,
            clock_rate: 90_000,
            packets: 0,
            octets: 0,
            sent_since_report: false,
            reports: Vec::new(),
        }
    }

    pub(super) fn bind(&mut self, source: &Source) {
        self.clock = None;
        self.catch_up = None;
        self.gate = if self.kind == MediaKind::Video { Gate::Closed(None) } else { Gate::Open };
        let found = source.tracks.iter().enumerate().find(|(_, track)| track.kind == self.kind);
        self.binding = found.map(|(index, track)| Binding {
            track: index as u8,
            types: track.formats.iter().filter_map(|sent| self.type_for(sent)).collect(),
            extensions: self.extension_map(&track.extensions),
        });
    }

    /// Index of the publisher's track that this one shows.
    pub(super) fn bound_to(&self) -> Option<usize> {
        self.binding.as_ref().map(|binding| usize::from(binding.track))
    }

    /// The viewer's payload type that suits the publisher's best.
    fn type_for(&self, sent: &NegotiatedFormat) -> Option<TypeMap> {
        let fits = self.formats.iter().filter_map(|own| Some((own.format.fitness_for(&sent.format)?, own)));
        let (_, own) = fits.min_by_key(|(fitness, _)| *fitness)?;
        Some(TypeMap {
            theirs: sent.payload_type,
            ours: own.payload_type,
            clock_rate: sent.format.clock_rate,
            codec: own.format.codec,
            is_unwrapped: sent.format.codec == Codec::Red && own.format.codec != Codec::Red,
        })
    }

    fn extension_map(&self, sent: &[NegotiatedExtension]) -> ExtensionMap {
        let mut map = ExtensionMap::default();
        for own in &self.extensions {
            match own.extension {
                Extension::Mid => {
                    if let Some(mid) = self.mid {
                        map = map.with_mid(own.id, mid);
                    }
                }
                // Those are ours, and never the publisher's.
                Extension::TransportCc | Extension::AbsSendTime => {}
                extension => {
                    if let Some(theirs) = sent.iter().find(|theirs| theirs.extension == extension) {
                        map.insert(theirs.id, own.id);
                    }
                }
            }
        }
        map
    }

    fn type_of(&self, packet: &RtpPacket<'_>) -> Option<TypeMap> {
        self.binding.as_ref()?.types.iter().find(|known| known.theirs == packet.payload_type()).copied()
    }

    /// Begins with the last keyframe, if it is there with all that followed.
    pub(super) fn join(&mut self, now: Instant, history: &History) -> bool {
        if self.catch_up.is_some() || matches!(self.gate, Gate::Open) {
            return true;
        }
        let Some(group) = history.group(now) else { return false };
        let Some(first) = history.at(group.first) else { return false };
        let Some(known) = self.type_of(&first.packet) else { return false };
        let begin = (group.first_seq, first.packet.timestamp());
        self.rewriter.begin_in_the_past(now, group.epoch, begin, group.newest.1, (known.clock_rate, CONDENSED));
        self.gate = Gate::Open;
        self.catch_up = Some(CatchUp::new(now, &group));
        true
    }

    pub(super) fn next_timeout(&self) -> Option<Instant> {
        self.catch_up.as_ref().map(CatchUp::due)
    }

    /// Sends an instalment of the past. False when it is not kept any more, and a keyframe is needed to go on.
    pub(super) fn catch_up<S: Sink>(
        &mut self,
        history: Option<&History>,
        wire: &mut Wire<'_, S>,
        account: &mut Account,
        sent: &mut Sent,
    ) -> bool {
        let (Some(mut catch_up), Some(history)) = (self.catch_up.take(), history) else { return true };
        let mut left = catch_up.instalment(wire.now);
        while left > 0 && catch_up.next < history.end() {
            let Some(past) = history.at(catch_up.next) else {
                self.gate = Gate::Closed(None);
                return false;
            };
            let is_keyframe = self.is_keyframe(&past.packet);
            let bytes = self.send(&past, is_keyframe, wire, account);
            sent.add(bytes);
            catch_up.next += 1;
            match left.checked_sub(bytes as u64) {
                Some(rest) => left = rest,
                None => {
                    catch_up.overdraw(bytes as u64 - left);
                    left = 0;
                }
            }
        }
        if catch_up.next < history.end() {
            self.catch_up = Some(catch_up);
        }
        true
    }

    fn is_keyframe(&self, packet: &RtpPacket<'_>) -> bool {
        self.type_of(packet).is_some_and(|known| payload::is_keyframe(known.codec, packet.payload()))
    }

    /// Sends a packet that has just come. The bytes on the wire; 0 when it is not for this viewer, or not yet.
    pub(super) fn send_live<S: Sink>(
        &mut self,
        past: &Past<'_>,
        is_keyframe: bool,
        wire: &mut Wire<'_, S>,
        account: &mut Account,
    ) -> usize {
        if self.catch_up.is_some() {
            // It is in the history, where the viewer will come to it.
            return 0;
        }
        if let Gate::Closed(since) = &mut self.gate {
            let since = *since.get_or_insert(wire.now);
            if !is_keyframe && wire.now.saturating_duration_since(since) < MAX_CLOSED {
                return 0;
            }
            self.gate = Gate::Open;
        }
        self.send(past, is_keyframe, wire, account)
    }

    fn send<S: Sink>(
        &mut self,
        past: &Past<'_>,
        is_keyframe: bool,
        wire: &mut Wire<'_, S>,
        account: &mut Account,
    ) -> usize {
        let Some(known) = self.type_of(&past.packet) else { return 0 };
        let Some(packet) = suited(&past.packet, known) else { return 0 };
        self.clock_rate = known.clock_rate;
        let numbers = self.rewriter.rewrite(wire.now, past.epoch, past.seq, packet.timestamp(), known.clock_rate);
        let Some((seq, timestamp)) = numbers else { return 0 };
        let header = RtpHeader {
            marker: packet.marker(),
            payload_type: known.ours,
            seq: seq.wire(),
            timestamp,
            ssrc: self.ssrc,
        };
        let picture_numbers = &mut self.picture_numbers;
        let Some(binding) = &self.binding else { return 0 };
        let own = OwnExtensions::new(self.transport_cc, self.send_time, wire);
        let mut sent = 0;
        wire.out.push(wire.flow, Srtp::room(packet.len() + EXTENSION_ROOM), |room| {
            let Ok((payload, len)) =
                packet::rewrite(room, &packet, &header, &binding.extensions, own.elements().as_slice())
            else {
                return 0;
            };
            if known.codec == Codec::Vp8 {
                picture_numbers.rewrite(past.epoch, &mut room[payload..len]);
            }
            sent = wire.srtp.protect_rtp(room, len, seq.roc());
            sent
        });
        self.packets = self.packets.wrapping_add(1);
        self.octets = self.octets.wrapping_add(packet.payload().len() as u32);
        self.sent_since_report = true;
        self.resends.sent(sent);
        if account.wants(self.place, self.kind == MediaKind::Video) {
            account.packet(self.place, self.ssrc, known.ours, is_keyframe);
        }
        sent
    }

    /// Answers a NACK. The bytes on the wire, 0 when it is not answered: it is not kept any more, was not received either (it is passed
    /// on as soon as it is), or was answered often enough.
    pub(super) fn resend<S: Sink>(&mut self, seq: SeqNo, history: &History, wire: &mut Wire<'_, S>) -> usize {
        if !self.answers_nacks {
            return 0;
        }
        let seq = self.rewriter.extended(seq);
        let Some((mapping, epoch, original)) = self.rewriter.origin(seq) else { return 0 };
        let Some(past) = history.find(epoch, original) else { return 0 };
        let Some(known) = self.type_of(&past.packet) else { return 0 };
        let Some(packet) = suited(&past.packet, known) else { return 0 };
        let Some((_, timestamp)) = mapping.map(original, packet.timestamp()) else { return 0 };
        if !self.resends.may(wire.now, seq, packet.len()) {
            return 0;
        }
        let mut header = RtpHeader {
            marker: packet.marker(),
            payload_type: known.ours,
            seq: seq.wire(),
            timestamp,
            ssrc: self.ssrc,
        };
        let mut roc = seq.roc();
        let osn = match &mut self.rtx {
            Some(rtx) => {
                let Some((payload_type, _)) = rtx.types.iter().find(|(_, of)| *of == known.ours) else { return 0 };
                (header.payload_type, header.ssrc, header.seq) = (*payload_type, rtx.ssrc, rtx.next.wire());
                roc = rtx.next.roc();
                Some(seq.wire())
            }
            None => None,
        };
        let (picture_numbers, Some(binding)) = (&self.picture_numbers, &self.binding) else { return 0 };
        let own = OwnExtensions::new(self.transport_cc, self.send_time, wire);
        let mut sent = 0;
        wire.out.push(wire.flow, Srtp::room(packet.len() + EXTENSION_ROOM + rtx::OSN), |room| {
            let Ok((payload, mut len)) =
                packet::rewrite(room, &packet, &header, &binding.extensions, own.elements().as_slice())
            else {
                return 0;
            };
            if known.codec == Codec::Vp8 && !picture_numbers.repeat(epoch, &mut room[payload..len]) {
                return 0;
            }
            if let Some(osn) = osn {
                let Some(wrapped) = rtx::wrap(room, payload, len, osn) else { return 0 };
                len = wrapped;
            }
            sent = wire.srtp.protect_rtp(room, len, roc);
            sent
        });
        if let Some(rtx) = self.rtx.as_mut().filter(|_| sent > 0) {
            rtx.next = ExtSeq(rtx.next.0 + 1);
        }
        sent
    }

    /// The publisher's clock, from a sender report of this epoch.
    pub(super) fn set_clock(&mut self, epoch: Epoch, clock: SenderClock) {
        self.clock = Some((epoch, clock));
    }

    /// The publisher's clock on the viewer's timeline, once both are known.
    pub(super) fn sender_info(&mut self, now: Instant) -> Option<SenderInfo> {
        if !self.sent_since_report {
            return None;
        }
        let (epoch, clock) = &self.clock?;
        let (ntp, theirs) = clock.at(now, self.clock_rate)?;
        let rtp_timestamp = self.rewriter.timestamp(*epoch, theirs)?;
        self.sent_since_report = false;
        if self.reports.len() >= MAX_REPORTS {
            self.reports.remove(0);
        }
        self.reports.push((ntp.middle(), now));
        Some(SenderInfo { ntp, rtp_timestamp, packets: self.packets, octets: self.octets })
    }

    /// The round-trip time, from a receiver report that names one of our sender reports.
    pub(super) fn rtt_of(&self, now: Instant, block: &ReportBlock) -> Option<Duration> {
        let (_, sent) = self.reports.iter().find(|(middle, _)| *middle == block.last_sr && block.last_sr != 0)?;
        let delay = Duration::from_nanos(u64::from(block.delay_since_last_sr) * 1_000_000_000 / 65_536);
        now.saturating_duration_since(*sent).checked_sub(delay)
    }
}

/// A packet as the viewer takes it, but for its numbers.
fn suited<'a>(packet: &RtpPacket<'a>, known: TypeMap) -> Option<RtpPacket<'a>> {
    match known.is_unwrapped {
        true => Some(packet.with_payload(payload::red_primary(packet.payload())?)),
        false => Some(*packet),
    }
}

/// The extensions that are a packet's own: its transport-wide number, and when it was sent.
struct OwnExtensions {
    transport_seq: Option<(u8, [u8; 2])>,
    send_time: Option<(u8, [u8; 3])>,
}

impl OwnExtensions {
    fn new<S: Sink>(transport_cc: Option<u8>, send_time: Option<u8>, wire: &mut Wire<'_, S>) -> OwnExtensions {
        let transport_seq = transport_cc.map(|id| {
            let seq = *wire.transport_seq;
            *wire.transport_seq = seq.wrapping_add(1);
            (id, seq.to_be_bytes())
        });
        // 24 bits of seconds, 18 of them fraction.
        let send_time = send_time.map(|id| {
            let [_, a, b, c] = ((NtpTime(0).after(wire.since_start).0 >> 14) as u32).to_be_bytes();
            (id, [a, b, c])
        });
        OwnExtensions { transport_seq, send_time }
    }

    fn elements(&self) -> arrayvec::ArrayVec<(u8, &[u8]), 2> {
        let seq = self.transport_seq.as_ref().map(|(id, bytes)| (*id, bytes.as_slice()));
        let time = self.send_time.as_ref().map(|(id, bytes)| (*id, bytes.as_slice()));
        seq.into_iter().chain(time).collect()
    }
}
