//! A WHIP or WHEP client: its transport (ICE, DTLS, SRTP) and its media. Owned by one shard, touched by no other, and `Send`.
//!
//! Leaves to others: whose a datagram is (`middlebox`), and what happens to media between sessions (`forward`).

mod account;
mod echo;
mod egress;
mod feed;
mod ingest;
mod layers;
mod reports;
mod srtp;

pub(crate) use account::{Account, CheckLog};
pub(crate) use echo::Echo;
pub(crate) use egress::{Egress, Sent};
pub(crate) use ingest::{Ingest, IngestPolicy};
pub(crate) use srtp::Srtp;

use crate::control::{DtlsRole, EndReason, LayerState, Role, SessionId, SessionSpec, StreamId, Totals};
use crate::flow::Flow;
use crate::forward::{Batch, History, Source, Turn};
use crate::middlebox::strangers::MAX_FLOWS;
use crate::outbox::{Outbox, Sink};
use crate::stats::Discard;
use crate::transport::dtls::{Association, Dtls, DtlsContext, DtlsEvent, DtlsFault};
use crate::transport::sctp::{ChannelEvent, DataChannels};
use oneport_rtp::packet::RtpPacket;
use oneport_rtp::payload::{self, MediaKind};
use openssl::error::ErrorStack;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Which way the media goes.
#[derive(Debug)]
pub(crate) enum Media {
    /// The client sends.
    Publish(Ingest),
    /// The client receives.
    Play(Egress),
    /// The client gets back what it sends.
    Echo(Echo),
}

/// What the shard has to do after a session was touched.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Nothing more.
    Nothing,
    /// SRTP is keyed, with this profile.
    Connected(&'static str),
    /// A publisher's RTP has begun, stopped, or gone on.
    Flow(bool),
    /// The viewer needs a keyframe on these tracks of its own, one bit each.
    Keyframe(u32),
    /// The session is over.
    Ended(EndReason),
}

/// Timeouts of a session.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timeouts {
    pub dtls: Duration,
    pub consent: Duration,
}

/// A peer that lacks our last flight repeats its own sooner than this (RFC 6347 §4.2.4.1 ends at 60 s, and browsers at 3 or less).
const DTLS_QUIET: Duration = Duration::from_secs(8);
/// A publisher whose RTP has stopped for so long is silent.
const SILENCE: Duration = Duration::from_secs(2);

/// Which ICE credentials are good (RFC 8445 §9): the present ones, and until a pair is nominated with them, those before.
#[derive(Clone, Copy, Debug)]
struct Generations {
    present: u8,
    before: Option<u8>,
}

impl Generations {
    fn of(present: u8) -> Generations {
        Generations { present, before: present.checked_sub(1) }
    }

    fn accept(self, generation: u8) -> bool {
        generation == self.present || Some(generation) == self.before
    }
}

/// See the module's text.
pub(crate) struct Session {
    pub id: SessionId,
    pub stream: StreamId,
    pub media: Media,
    /// The nominated pair: where everything is sent.
    flow: Flow,
    /// Every checked pair, the nominated one included.
    flows: Vec<Flow>,
    dtls: Association,
    dtls_role: DtlsRole,
    /// Where they were agreed on.
    data: Option<Box<DataChannels>>,
    srtp: Option<Srtp>,
    /// The peer has sent something that authenticates, or nothing more of DTLS for a while.
    is_proved: bool,
    /// When the last DTLS datagram came.
    dtls_at: Instant,
    timeouts: Timeouts,
    nominated_at: Instant,
    consent_at: Instant,
    totals: Totals,
    generations: Generations,
    /// When RTP came last, while it comes.
    flowing: Option<Instant>,
    pub account: Account,
    /// The deadline under which the shard's timers have it.
    pub scheduled: Option<Instant>,
}

impl Session {
    /// A session whose client has nominated `flow`, with ICE credentials of this generation.
    pub(crate) fn new(
        now: Instant,
        (id, generation): (SessionId, u8),
        spec: SessionSpec,
        flow: Flow,
        context: &DtlsContext,
        timeouts: Timeouts,
        media: Media,
    ) -> Result<Session, ErrorStack> {
        let mut dtls = Dtls::new(context, spec.dtls_role, spec.fingerprints, now)?;
        let data = spec.data.then(|| Box::new(DataChannels::new(spec.dtls_role == DtlsRole::Client)));
        if data.is_some() {
            dtls.accept_data();
        }
        Ok(Session {
            id,
            stream: spec.stream,
            media,
            flow,
            flows: vec![flow],
            dtls: Association::Whole(Box::new(dtls)),
            dtls_role: spec.dtls_role,
            data,
            srtp: None,
            is_proved: false,
            dtls_at: now,
            timeouts,
            nominated_at: now,
            consent_at: now,
            totals: Totals::default(),
            generations: Generations::of(generation),
            flowing: None,
            account: Account::default(),
            scheduled: None,
        })
    }

    /// Publishing or playing.
    pub(crate) fn role(&self) -> Role {
        match self.media {
            Media::Publish(_) => Role::Publish,
            Media::Play(_) => Role::Play,
            Media::Echo(_) => Role::Echo,
        }
    }

    /// The nominated pair.
    pub(crate) fn flow(&self) -> Flow {
        self.flow
    }

    /// Every pair that was checked.
    pub(crate) fn flows(&self) -> &[Flow] {
        &self.flows
    }

    /// Whether SRTP is keyed.
    pub(crate) fn is_connected(&self) -> bool {
        self.srtp.is_some()
    }

    /// What it carried until now.
    pub(crate) fn totals(&self, now: Instant) -> Totals {
        Totals { duration: now.saturating_duration_since(self.nominated_at), ..self.totals }
    }

    /// ICE was restarted: other credentials are good, too.
    pub(crate) fn restart_ice(&mut self, generation: u8) {
        // Those that a pair was nominated with stay good until the next nomination, however often ICE is restarted meanwhile.
        let nominated = self.generations.before.unwrap_or(self.generations.present);
        self.generations = Generations { present: generation, before: Some(nominated) };
    }

    /// Whether credentials of this generation are good.
    pub(crate) fn accepts(&self, generation: u8) -> bool {
        self.generations.accept(generation)
    }

    /// An authenticated connectivity check came over `flow`, with credentials that are good: of the generation that it
    /// nominates with, if it does. Gives the pair that had to make room, where one had to.
    pub(crate) fn handle_check(&mut self, now: Instant, flow: Flow, nominates: Option<u8>) -> Option<Flow> {
        self.consent_at = now;
        self.account.check(flow.remote, None);
        if self.is_connected() && now >= self.dtls_at + DTLS_QUIET {
            self.prove();
        }
        if let Some(generation) = nominates {
            self.nominate(flow, generation);
        }
        if self.flows.contains(&flow) {
            return None;
        }
        self.flows.push(flow);
        if self.flows.len() <= MAX_FLOWS {
            return None;
        }
        let oldest = self.flows.iter().position(|old| *old != self.flow && *old != flow)?;
        Some(self.flows.remove(oldest))
    }

    /// The peer has what it needs of DTLS: what was kept to send it again is not needed any more.
    fn prove(&mut self) {
        if !std::mem::replace(&mut self.is_proved, true) {
            self.dtls.retire();
        }
    }

    fn nominate(&mut self, flow: Flow, generation: u8) {
        let restarted = generation == self.generations.present && self.generations.before.is_some();
        if restarted {
            self.generations.before = None;
        }
        if self.is_connected() && (restarted || flow != self.flow) {
            self.account.pair_changed(flow.remote, restarted);
        }
        self.flow = flow;
    }

    /// Sends what DTLS has to say first: our ClientHello, where we are the client.
    pub(crate) fn start<S: Sink>(&mut self, now: Instant, out: &mut Outbox<S>) -> Outcome {
        self.drain_dtls(now, out)
    }

    /// Takes a DTLS datagram.
    pub(crate) fn handle_dtls<S: Sink>(&mut self, now: Instant, datagram: &[u8], out: &mut Outbox<S>) -> Outcome {
        self.account.dtls();
        self.dtls_at = now;
        self.dtls.handle_datagram(now, datagram);
        self.drain_dtls(now, out)
    }

    /// Takes an SRTP packet; what it holds goes to `batch`.
    pub(crate) fn handle_srtp(
        &mut self,
        now: Instant,
        packet: &mut [u8],
        batch: &mut Batch,
    ) -> Result<Outcome, Discard> {
        let srtp = self.srtp.as_mut().ok_or(Discard::NotKeyed)?;
        let Media::Publish(ingest) = &mut self.media else { return Err(Discard::NotAPublisher) };
        let bytes = packet.len() as u64;
        let plain = srtp.unprotect_rtp(packet)?;
        if !self.is_proved {
            self.is_proved = true;
            self.dtls.retire();
        }
        self.totals.rx_packets += 1;
        self.totals.rx_bytes += bytes;
        let track = ingest.handle_rtp(now, plain, batch).inspect_err(|discard| {
            if *discard == Discard::UnknownSource {
                tell_unknown(&mut self.account, plain);
            }
        })?;
        tell_packet(&mut self.account, ingest.source(), track, plain);
        let begins = self.flowing.replace(now).is_none();
        Ok(if begins { Outcome::Flow(true) } else { Outcome::Nothing })
    }

    /// Takes an SRTCP packet of a publisher; a sender report goes to `batch`.
    pub(crate) fn handle_ingest_srtcp(
        &mut self,
        now: Instant,
        packet: &mut [u8],
        batch: &mut Batch,
    ) -> Result<(), Discard> {
        let srtp = self.srtp.as_mut().ok_or(Discard::NotKeyed)?;
        let Media::Publish(ingest) = &mut self.media else { return Err(Discard::NotAPublisher) };
        let plain = srtp.unprotect_rtcp(packet)?;
        ingest.handle_rtcp(now, plain, batch)
    }

    /// Takes an SRTCP packet of a viewer, and answers its NACKs from the stream's histories.
    pub(crate) fn handle_egress_srtcp<S: Sink>(
        &mut self,
        now: Instant,
        packet: &mut [u8],
        histories: &[History],
        out: &mut Outbox<S>,
    ) -> Result<Outcome, Discard> {
        let srtp = self.srtp.as_mut().ok_or(Discard::NotKeyed)?;
        let Media::Play(egress) = &mut self.media else { return Err(Discard::NotAPublisher) };
        let len = srtp.unprotect_rtcp(packet)?.len();
        if !self.is_proved {
            self.is_proved = true;
            self.dtls.retire();
        }
        let (tracks, sent) = egress.handle_rtcp(now, &packet[..len], histories, (self.flow, srtp), out)?;
        self.totals.tx_packets += sent.packets;
        self.totals.tx_bytes += sent.bytes;
        Ok(if tracks == 0 { Outcome::Nothing } else { Outcome::Keyframe(tracks) })
    }

    /// Takes an RTP or RTCP packet of an echo session, and returns it.
    pub(crate) fn handle_echo<S: Sink>(
        &mut self,
        packet: &mut [u8],
        is_rtcp: bool,
        out: &mut Outbox<S>,
    ) -> Result<(), Discard> {
        let srtp = self.srtp.as_mut().ok_or(Discard::NotKeyed)?;
        let Media::Echo(echo) = &mut self.media else { return Err(Discard::NotAPublisher) };
        if is_rtcp {
            return Echo::handle_rtcp(packet, (self.flow, srtp), out);
        }
        let bytes = packet.len() as u64;
        let sent = echo.handle_rtp(packet, (self.flow, srtp), out)?;
        self.totals.rx_packets += 1;
        self.totals.rx_bytes += bytes;
        self.totals.tx_packets += sent.packets;
        self.totals.tx_bytes += sent.bytes;
        Ok(())
    }

    /// Sends a viewer what a turn brought. True when its next timeout has changed.
    pub(crate) fn deliver<S: Sink>(&mut self, now: Instant, turn: &Turn<'_>, out: &mut Outbox<S>) -> bool {
        let (Some(srtp), Media::Play(egress)) = (&mut self.srtp, &mut self.media) else { return false };
        let was_idle = egress.next_timeout().is_none();
        let sent = egress.deliver(now, turn, (self.flow, srtp), &mut self.account, out);
        self.totals.tx_packets += sent.packets;
        self.totals.tx_bytes += sent.bytes;
        was_idle && egress.next_timeout().is_some()
    }

    /// Binds a viewer to a publisher's tracks.
    pub(crate) fn bind(&mut self, source: &Arc<Source>) {
        if let Media::Play(egress) = &mut self.media {
            egress.bind(source);
        }
    }

    /// Has a viewer begin with what is kept of the stream. One bit for each of its tracks that needs a keyframe instead.
    pub(crate) fn join(&mut self, now: Instant, histories: &[History]) -> u32 {
        match &mut self.media {
            Media::Play(egress) => egress.join(now, histories),
            Media::Publish(_) | Media::Echo(_) => 0,
        }
    }

    /// Asks the publisher for a keyframe of a track, now or as soon as it may.
    pub(crate) fn request_keyframe<S: Sink>(&mut self, now: Instant, track: usize, out: &mut Outbox<S>) {
        if let Media::Publish(ingest) = &mut self.media {
            ingest.request_keyframe(now, track);
        }
        self.send_due(now, &[], out);
    }

    /// Takes away what is to be told of a publisher's layers: indices of tracks, and how they are.
    pub(crate) fn take_layers(&mut self) -> Vec<(usize, Vec<LayerState>)> {
        match &mut self.media {
            Media::Publish(ingest) => ingest.take_layers(),
            Media::Play(_) | Media::Echo(_) => Vec::new(),
        }
    }

    /// When [`Session::handle_timeout`] wants to be called.
    pub(crate) fn next_timeout(&self) -> Instant {
        let consent = self.consent_at + self.timeouts.consent;
        let silence = self.flowing.map(|last| last + SILENCE);
        let handshake = self.srtp.is_none().then(|| self.nominated_at + self.timeouts.dtls);
        let reports = match &self.media {
            Media::Publish(ingest) => ingest.next_timeout(),
            Media::Play(egress) => egress.next_timeout(),
            Media::Echo(_) => None,
        };
        let data = self.data.as_ref().and_then(|data| data.next_timeout());
        [handshake, reports, silence, data, self.dtls.next_timeout()].into_iter().flatten().fold(consent, Instant::min)
    }

    /// Does what is due.
    pub(crate) fn handle_timeout<S: Sink>(
        &mut self,
        now: Instant,
        histories: &[History],
        out: &mut Outbox<S>,
    ) -> Outcome {
        if now >= self.consent_at + self.timeouts.consent {
            return Outcome::Ended(EndReason::ConsentExpired);
        }
        if self.srtp.is_none() && now >= self.nominated_at + self.timeouts.dtls {
            return Outcome::Ended(EndReason::DtlsTimeout);
        }
        if let Some(data) = self.data.as_mut().filter(|data| data.next_timeout().is_some_and(|due| due <= now)) {
            data.handle_timeout(now);
            self.send_data(out);
        }
        let keyframes = self.send_due(now, histories, out);
        if keyframes != 0 {
            return Outcome::Keyframe(keyframes);
        }
        if self.flowing.is_some_and(|last| now >= last + SILENCE) {
            self.flowing = None;
            return Outcome::Flow(false);
        }
        if self.dtls.next_timeout().is_some_and(|due| due <= now) {
            // What is early only under a virtual clock stays due, and comes again.
            let _ = self.dtls.handle_timeout(now);
            return self.drain_dtls(now, out);
        }
        Outcome::Nothing
    }

    /// Says goodbye: RTCP BYE to a viewer, close_notify to all.
    pub(crate) fn close<S: Sink>(&mut self, now: Instant, out: &mut Outbox<S>) {
        if let (Some(srtp), Media::Play(egress)) = (&mut self.srtp, &mut self.media) {
            egress.send_bye(self.flow, srtp, out);
        }
        self.dtls.close(now);
        self.send_dtls(out);
    }

    /// Sends the reports, requests and packets that are due. One bit for each of a viewer's tracks that needs a keyframe.
    fn send_due<S: Sink>(&mut self, now: Instant, histories: &[History], out: &mut Outbox<S>) -> u32 {
        let Some(srtp) = &mut self.srtp else { return 0 };
        match &mut self.media {
            Media::Publish(ingest) => {
                ingest.handle_timeout(now, self.flow, srtp, out);
                0
            }
            Media::Echo(_) => 0,
            Media::Play(egress) => {
                let wire = (self.flow, srtp);
                let (sent, keyframes) = egress.handle_timeout(now, histories, wire, &mut self.account, out);
                self.totals.tx_packets += sent.packets;
                self.totals.tx_bytes += sent.bytes;
                keyframes
            }
        }
    }

    fn send_dtls<S: Sink>(&mut self, out: &mut Outbox<S>) {
        while let Some(datagram) = self.dtls.poll_transmit() {
            out.datagram(self.flow, &datagram);
        }
    }

    fn drain_dtls<S: Sink>(&mut self, now: Instant, out: &mut Outbox<S>) -> Outcome {
        self.send_dtls(out);
        let mut outcome = Outcome::Nothing;
        while let Some(event) = self.dtls.poll_event() {
            match event {
                DtlsEvent::Connected { profile, keying_material } => {
                    match Srtp::new(profile, &keying_material, self.dtls_role) {
                        Some(srtp) => self.srtp = Some(srtp),
                        None => return Outcome::Ended(EndReason::DtlsFailed("no usable SRTP profile".to_owned())),
                    }
                    if let Media::Publish(ingest) = &mut self.media {
                        ingest.start(now);
                    }
                    outcome = Outcome::Connected(profile.name());
                }
                DtlsEvent::Data(datagram) => {
                    if let Some(data) = &mut self.data {
                        data.handle_datagram(now, &datagram);
                    }
                }
                DtlsEvent::Closed => return Outcome::Ended(EndReason::ClosedByPeer),
                DtlsEvent::Failed(DtlsFault::FingerprintMismatch) => {
                    return Outcome::Ended(EndReason::FingerprintMismatch);
                }
                DtlsEvent::Failed(fault) => return Outcome::Ended(EndReason::DtlsFailed(fault.to_string())),
            }
        }
        self.send_data(out);
        outcome
    }

    /// Sends what waits on the data channels.
    fn send_data<S: Sink>(&mut self, out: &mut Outbox<S>) {
        let Some(data) = &mut self.data else { return };
        while let Some(datagram) = data.poll_transmit() {
            self.dtls.send(&datagram);
        }
        self.send_dtls(out);
    }

    /// The session's data channels, where it has any, to be used by `use_them`; what that sends goes out at once.
    pub(crate) fn with_data<S: Sink, T>(
        &mut self,
        out: &mut Outbox<S>,
        use_them: impl FnOnce(&mut DataChannels) -> T,
    ) -> Option<T> {
        let used = use_them(self.data.as_mut()?);
        self.send_data(out);
        Some(used)
    }

    /// What happened on a data channel. None, for sessions without.
    pub(crate) fn poll_channel_event(&mut self) -> Option<ChannelEvent> {
        self.data.as_mut()?.poll_event()
    }
}

/// Tells of a track's first packet and first keyframe, as long as they have not come.
fn tell_packet(account: &mut Account, source: &Source, track: usize, plain: &[u8]) {
    let Some(spec) = source.tracks.get(track) else { return };
    if !account.wants(track, spec.kind == MediaKind::Video) {
        return;
    }
    let Ok(packet) = RtpPacket::parse(plain) else { return };
    let format = spec.formats.iter().find(|format| format.payload_type == packet.payload_type());
    let is_keyframe = format.is_some_and(|format| payload::is_keyframe(format.format.codec, packet.payload()));
    account.packet(track, packet.ssrc(), packet.payload_type(), is_keyframe);
}

fn tell_unknown(account: &mut Account, plain: &[u8]) {
    if let Ok(packet) = RtpPacket::parse(plain) {
        account.unknown(packet.ssrc(), packet.payload_type());
    }
}
