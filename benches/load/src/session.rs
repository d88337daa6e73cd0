//! One client: a publisher that sends synthetic media, or a viewer that counts what comes.

use crate::cli::{Feedback, Options};
use crate::media::{Audio, Packet, Stamp, Video};
use crate::signaling::{Answered, Role, Section, ssrc_of};
use crate::socket::{Path, Socket};
use crate::stats::Stats;
use oneport_engine::client::{Client, ClientState, Received};
use oneport_rtp::ids::Ssrc;
use oneport_rtp::nack::LossDetector;
use oneport_rtp::packet::RtpPacket;
use oneport_rtp::reception::Reception;
use oneport_rtp::replay::{ReplayWindow, Stale};
use oneport_rtp::rtcp::{self, Lead, Word};
use oneport_rtp::rtx;
use oneport_rtp::seq::{ExtSeq, SeqNo};
use oneport_rtp::transport_cc::ArrivalLog;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Time between a viewer's receiver reports.
const REPORTS: Duration = Duration::from_secs(1);
/// Time to connect, from the answer on.
const PATIENCE: Duration = Duration::from_secs(20);
/// Later than this, a packet is late.
const LATE: Duration = Duration::from_secs(1);
/// Ours, as the sender of reports.
const OUR_SSRC: Ssrc = Ssrc(0x10ad_0001);

/// How far a session has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Progress {
    Connecting,
    Connected,
    Over,
}

/// Numbers of a sender's source.
#[derive(Debug)]
struct Outgoing {
    ssrc: u32,
    section: Section,
    next: ExtSeq,
    sent: VecDeque<(ExtSeq, Vec<u8>)>,
}

/// A viewer's account of one source.
struct Incoming {
    ssrc: u32,
    window: Option<ReplayWindow>,
    first: u64,
    /// Received since it has been measured, and where that began.
    received: u64,
    reception: Reception,
    losses: LossDetector,
}

enum Media {
    Publish {
        video: Option<(Outgoing, Video)>,
        audio: Option<(Outgoing, Audio)>,
        waiting: VecDeque<(bool, Packet)>,
    },
    Play {
        sources: Vec<Incoming>,
        arrivals: ArrivalLog,
        next_report: Instant,
        count: u32,
        has_keyframe: bool,
        asked: Option<Instant>,
    },
}

/// See the module's text.
pub(crate) struct Session {
    pub(crate) role: Role,
    pub(crate) answered: Answered,
    client: Client,
    path: Path,
    media: Media,
    begun: Instant,
    origin: Instant,
    progress: Progress,
    ice_done: bool,
    has_packet: bool,
    is_measured: bool,
    was_told: bool,
}

impl Session {
    pub(crate) fn new(
        role: Role,
        answered: Answered,
        client: Client,
        path: Path,
        (ssrcs, options, origin): ([u32; 2], &Options, Instant),
    ) -> Session {
        let now = Instant::now();
        let outgoing =
            |ssrc: u32, section: Section| Outgoing { ssrc, section, next: ExtSeq(1000), sent: VecDeque::new() };
        let media = match role {
            Role::Publish => Media::Publish {
                video: answered.video.map(|section| (outgoing(ssrcs[1], section), Video::new(options, now, origin))),
                audio: answered.audio.map(|section| (outgoing(ssrcs[0], section), Audio::new(now, origin))),
                waiting: VecDeque::new(),
            },
            Role::Play => Media::Play {
                sources: Vec::new(),
                arrivals: ArrivalLog::default(),
                next_report: now + REPORTS,
                count: 0,
                has_keyframe: false,
                asked: None,
            },
        };
        Session {
            role,
            answered,
            client,
            path,
            media,
            begun: now,
            origin,
            progress: Progress::Connecting,
            ice_done: false,
            has_packet: false,
            is_measured: false,
            was_told: false,
        }
    }

    pub(crate) fn progress(&self) -> Progress {
        self.progress
    }

    /// From now on, what comes is counted.
    pub(crate) fn measure(&mut self) {
        self.is_measured = true;
        if let Media::Play { sources, .. } = &mut self.media {
            for source in sources {
                source.first = source.window.as_ref().map_or(0, |window| window.highest() + 1);
                source.received = 0;
            }
        }
    }

    /// Adds what has come since, and counts no more.
    pub(crate) fn account(&mut self, stats: &mut Stats) {
        let Media::Play { sources, .. } = &mut self.media else { return };
        if !std::mem::take(&mut self.is_measured) {
            return;
        }
        for source in sources.iter() {
            let Some(window) = &source.window else { continue };
            stats.packets_expected += (window.highest() + 1).saturating_sub(source.first);
            stats.packets_received += source.received;
        }
    }

    /// A datagram came.
    pub(crate) fn handle_datagram(&mut self, now: Instant, datagram: &mut [u8], options: &Options, stats: &mut Stats) {
        let is_media = matches!(datagram, [128..=191, kind, ..] if !(192..=223).contains(kind));
        if is_media && self.role == Role::Play {
            return self.take_media(now, datagram, options, stats);
        }
        if let Some(answer) = self.client.answer_check(self.path.remote, datagram) {
            self.client.queue(answer);
            return;
        }
        self.client.handle_datagram(now, datagram);
        self.follow(now, stats);
        while let Some(received) = self.client.poll_received() {
            if let Received::Rtcp(compound) = received {
                self.take_rtcp(&compound);
            }
        }
    }

    fn follow(&mut self, now: Instant, stats: &mut Stats) {
        match self.client.state() {
            ClientState::Securing if !self.ice_done => {
                self.ice_done = true;
                stats.ice.record(now - self.begun);
            }
            ClientState::Connected if self.progress == Progress::Connecting => {
                self.progress = Progress::Connected;
                stats.sessions_connected += 1;
                stats.dtls.record(now - self.begun);
            }
            ClientState::Closed if self.progress != Progress::Over => self.lose(stats, "closed by the server"),
            ClientState::Failed(fault) if self.progress != Progress::Over => {
                let cause = format!("DTLS: {fault}");
                self.lose(stats, &cause);
            }
            _ => {}
        }
    }

    fn lose(&mut self, stats: &mut Stats, cause: &str) {
        stats.sessions_lost += u64::from(self.progress == Progress::Connected);
        stats.fail(cause);
        self.progress = Progress::Over;
    }

    fn take_rtcp(&mut self, compound: &[u8]) {
        let Media::Publish { video, .. } = &mut self.media else { return };
        let Some((outgoing, video)) = video else { return };
        let mut wanted = Vec::new();
        let take = |word| match word {
            Word::KeyframeRequest(_) => video.request_keyframe(),
            Word::Nack(ssrc, seq) if ssrc.0 == outgoing.ssrc => wanted.push(seq),
            _ => {}
        };
        let _ = rtcp::parse(compound, take);
        for seq in wanted {
            let seq = outgoing.next.nearest(seq);
            if let Some((_, bytes)) = outgoing.sent.iter().find(|(sent, _)| *sent == seq) {
                self.client.send_rtp(bytes, seq.roc());
            }
        }
    }

    fn take_media(&mut self, now: Instant, datagram: &mut [u8], options: &Options, stats: &mut Stats) {
        let Media::Play { sources, arrivals, count, has_keyframe, asked, .. } = &mut self.media else { return };
        if self.progress != Progress::Connected {
            return;
        }
        stats.bytes_received += datagram.len() as u64;
        let Ok(header) = RtpPacket::parse(datagram) else { return };
        let (ssrc, seq, number, timestamp) =
            (header.ssrc().0, header.seq(), header.payload_type().0, header.timestamp());
        let section = [self.answered.video, self.answered.audio].into_iter().flatten();
        let id = section.clone().find_map(|section| section.transport_cc);
        if let Some([high, low]) = id.and_then(|id| header.extensions().find(id)).and_then(|data| data.first_chunk()) {
            arrivals.on_packet(now, SeqNo(u16::from_be_bytes([*high, *low])));
        }
        let is_rtx = section.clone().any(|section| section.rtx == Some(number));
        let is_video =
            self.answered.video.is_some_and(|video| video.payload_type == number || video.rtx == Some(number));
        if !self.has_packet {
            self.has_packet = true;
            stats.join.record(now.saturating_duration_since(self.answered.asked_at));
        }
        *count = count.wrapping_add(1);
        let looks = *count % options.verify == 0 || is_rtx || (is_video && !*has_keyframe);
        let stamp = if looks {
            let Some(plain) = self.client.unprotect_rtp(datagram) else {
                stats.packets_invalid += 1;
                return;
            };
            RtpPacket::parse(plain)
                .ok()
                .map(|packet| (rtx::original(&packet).map(|(seq, _)| seq), Stamp::find(packet.payload())))
        } else {
            None
        };
        let mut seq = seq;
        let mut source_ssrc = ssrc;
        if is_rtx {
            stats.retransmissions += 1;
            let Some((Some(original), _)) = stamp else { return };
            seq = original;
            let Some(video) =
                sources.iter().find(|source| Some(source.ssrc) == ssrc_of(&self.answered.description, "video"))
            else {
                return;
            };
            source_ssrc = video.ssrc;
        }
        let place = sources.iter().position(|source| source.ssrc == source_ssrc).unwrap_or_else(|| {
            let rate = if is_video { 90_000 } else { 48_000 };
            let (reception, losses) = (Reception::new(rate), LossDetector::default());
            sources.push(Incoming { ssrc, window: None, first: 0, received: 0, reception, losses });
            sources.len() - 1
        });
        let source = &mut sources[place];
        let extended = match &source.window {
            Some(window) => ExtSeq(window.highest()).nearest(seq),
            None => ExtSeq(0x1_0000 + u64::from(seq.0)),
        };
        let taken = match &mut source.window {
            Some(window) => {
                stats.packets_reordered += u64::from(extended.0 < window.highest() && !is_rtx);
                window.take(extended.0)
            }
            None => {
                source.window = Some(ReplayWindow::starting_at(extended.0));
                source.first = extended.0;
                Ok(())
            }
        };
        match taken {
            Ok(()) => source.received += u64::from(extended.0 >= source.first),
            Err(Stale::Replayed) => stats.packets_duplicate += 1,
            Err(Stale::TooOld) => {}
        }
        if options.feedback == Feedback::Browser {
            if !is_rtx {
                source.reception.on_packet(now, seq, timestamp);
            }
            if is_video {
                source.losses.on_packet(now, extended, is_rtx);
            }
        }
        let Some((_, Some(stamp))) = stamp else { return };
        if stamp.begins_keyframe && !*has_keyframe {
            *has_keyframe = true;
            *asked = None;
            stats.first_keyframe.record(now.saturating_duration_since(self.answered.asked_at));
        }
        if self.is_measured && !is_rtx {
            let sent = self.origin + Duration::from_micros(stamp.sent_us);
            let latency = now.saturating_duration_since(sent);
            stats.latency.record(latency);
            stats.packets_late += u64::from(latency > LATE);
        }
    }

    /// Does what is due, and sends what there is to send.
    pub(crate) fn turn(&mut self, now: Instant, options: &Options, socket: &mut Socket, stats: &mut Stats) {
        if self.progress == Progress::Over {
            return;
        }
        if self.progress == Progress::Connecting && now > self.begun + PATIENCE {
            let cause = if self.ice_done { "DTLS: not done in time" } else { "ICE: no answer" };
            return self.lose(stats, cause);
        }
        self.client.handle_timeout(now);
        self.follow(now, stats);
        if self.progress == Progress::Connected {
            match self.role {
                Role::Publish => self.publish(now, stats),
                Role::Play if options.feedback == Feedback::Browser => self.report(now, stats),
                Role::Play => {}
            }
        }
        while let Some(datagram) = self.client.poll_transmit() {
            socket.send(self.path, &datagram);
        }
    }

    fn publish(&mut self, now: Instant, stats: &mut Stats) {
        let Media::Publish { video, audio, waiting } = &mut self.media else { return };
        if let Some((_, audio)) = audio {
            waiting.extend(audio.poll(now).map(|packet| (false, packet)));
        }
        if let Some((_, video)) = video {
            waiting.extend(video.poll(now).into_iter().map(|packet| (true, packet)));
        }
        let mut left = VecDeque::new();
        for (is_video, packet) in waiting.drain(..) {
            if packet.due > now {
                left.push_back((is_video, packet));
                continue;
            }
            let outgoing = match is_video {
                true => video.as_mut().map(|(outgoing, _)| outgoing),
                false => audio.as_mut().map(|(outgoing, _)| outgoing),
            };
            let Some(outgoing) = outgoing else { continue };
            let seq = outgoing.next;
            outgoing.next = ExtSeq(seq.0 + 1);
            let mut bytes = vec![0x80, outgoing.section.payload_type | if packet.marker { 0x80 } else { 0 }];
            bytes.extend(seq.wire().0.to_be_bytes());
            bytes.extend(packet.timestamp.to_be_bytes());
            bytes.extend(outgoing.ssrc.to_be_bytes());
            bytes.extend(&packet.payload);
            self.client.send_rtp(&bytes, seq.roc());
            stats.packets_sent += 1;
            stats.bytes_sent += bytes.len() as u64;
            if is_video {
                outgoing.sent.push_back((seq, bytes));
                if outgoing.sent.len() > 1000 {
                    outgoing.sent.pop_front();
                }
            }
        }
        *waiting = left;
    }

    fn report(&mut self, now: Instant, stats: &mut Stats) {
        let Media::Play { sources, arrivals, next_report, has_keyframe, asked, .. } = &mut self.media else { return };
        let mut room = [0; 1200];
        let lead = Lead { ssrc: OUR_SSRC, cname: None };
        if let Some(feedback) = arrivals.poll(now)
            && let Some(len) = rtcp::write_transport_feedback(&mut room, OUR_SSRC, Ssrc(0), &feedback)
        {
            self.client.send_rtcp(&room[..len]);
        }
        for source in sources.iter_mut() {
            let mut missing = Vec::new();
            source.losses.poll(now, |seq| missing.push(seq.wire()));
            for seqs in missing.chunks(100) {
                if let Some(len) =
                    lead.write(&mut room, |room| rtcp::write_nack(room, OUR_SSRC, Ssrc(source.ssrc), seqs))
                {
                    stats.nacks_sent += 1;
                    self.client.send_rtcp(&room[..len]);
                }
            }
        }
        if now < *next_report {
            return;
        }
        *next_report = now + REPORTS;
        let blocks: Vec<_> =
            sources.iter_mut().map(|source| source.reception.report_block(now, Ssrc(source.ssrc))).collect();
        if let Some(len) = rtcp::write_receiver_report(&mut room, OUR_SSRC, &blocks, "load") {
            self.client.send_rtcp(&room[..len]);
        }
        // A picture that does not come is asked for, as browsers do.
        let video =
            ssrc_of(&self.answered.description, "video").filter(|_| !*has_keyframe && self.answered.video.is_some());
        if let Some(ssrc) = video
            && asked.is_none_or(|asked| now > asked + REPORTS)
        {
            *asked = Some(now);
            if let Some(len) = lead.write(&mut room, |room| rtcp::write_pli(room, OUR_SSRC, Ssrc(ssrc))) {
                self.client.send_rtcp(&room[..len]);
            }
        }
    }

    /// When [`Session::turn`] wants to be called.
    pub(crate) fn next_timeout(&self) -> Instant {
        let mut due = self.client.next_timeout().unwrap_or(self.begun + PATIENCE * 1000);
        match &self.media {
            _ if self.progress != Progress::Connected => {}
            Media::Publish { video, audio, waiting } => {
                due = video.iter().fold(due, |due, (_, video)| due.min(video.next_timeout()));
                due = audio.iter().fold(due, |due, (_, audio)| due.min(audio.next_timeout()));
                due = waiting.iter().fold(due, |due, (_, packet)| due.min(packet.due));
            }
            Media::Play { sources, arrivals, next_report, .. } => {
                due = due.min(*next_report);
                due = arrivals.next_timeout().into_iter().fold(due, Instant::min);
                due = sources.iter().filter_map(|source| source.losses.next_timeout()).fold(due, Instant::min);
            }
        }
        due
    }

    /// Whether there is something to send.
    pub(crate) fn has_transmits(&self) -> bool {
        self.client.has_transmits()
    }

    /// Whether it is connected since the last time that this was asked.
    pub(crate) fn newly_connected(&mut self) -> bool {
        self.progress == Progress::Connected && !std::mem::replace(&mut self.was_told, true)
    }

    /// Nothing more comes of it.
    pub(crate) fn end(&mut self) {
        self.progress = Progress::Over;
    }

    /// Says goodbye.
    pub(crate) fn close(&mut self, now: Instant, socket: &mut Socket) {
        self.client.close(now);
        while let Some(datagram) = self.client.poll_transmit() {
            socket.send(self.path, &datagram);
        }
    }
}
