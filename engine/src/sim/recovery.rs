//! Video over networks that lose: what a viewer's decoder would see, with a publisher that answers NACK and PLI and a viewer that asks
//! for what it misses, as browsers do.

use super::*;
use oneport_rtp::nack::LossDetector;
use oneport_rtp::packet::RtpPacket;
use oneport_rtp::rtcp::{self, Lead, Word};
use oneport_rtp::rtx;
use oneport_rtp::seq::{ExtSeq, SeqNo};
use std::collections::BTreeMap;

const MS: Duration = Duration::from_millis(1);
const FRAME: Duration = Duration::from_millis(33);
/// Packets of a frame, and of a keyframe.
const PACKETS: [u8; 2] = [6, 20];
const VIDEO: u32 = 0x1001;
const VIDEO_RTX: u32 = 0x1011;

fn lossy(world: &World, role: Role, rtx: bool) -> SessionSpec {
    let mut spec = world.spec(role);
    let video = &mut spec.tracks[0];
    video.feedback.nack = true;
    if rtx {
        let (rtx, of) = if role == Role::Publish { (97, 96) } else { (121, 120) };
        video.rtx = vec![(PayloadType(rtx), PayloadType(of))];
        video.rtx_ssrcs = vec![(Ssrc(video.ssrcs[0].0 + 0x10), video.ssrcs[0])];
    }
    spec
}

/// A publisher's video: frames that say which they are and when they were sent.
struct Publisher {
    seat: usize,
    session: SessionId,
    rtx: bool,
    answers_nacks: bool,
    answers_plis: bool,
    seq: u64,
    rtx_seq: u64,
    frame: u32,
    next: Instant,
    wants_keyframe: bool,
    sent: BTreeMap<u64, Vec<u8>>,
    times: BTreeMap<u32, Instant>,
    seen: usize,
    keyframe_requests: usize,
    timestamp_base: u32,
}

impl Publisher {
    fn new(world: &World, (seat, session): (usize, SessionId), rtx: bool) -> Publisher {
        Publisher {
            seat,
            session,
            rtx,
            answers_nacks: true,
            answers_plis: true,
            seq: 65_000,
            rtx_seq: 300,
            frame: 0,
            next: world.now,
            wants_keyframe: true,
            sent: BTreeMap::new(),
            times: BTreeMap::new(),
            seen: 0,
            keyframe_requests: 0,
            timestamp_base: u32::MAX - 90_000 * 3,
        }
    }

    fn send(&self, world: &mut World, seq: u64, bytes: &[u8]) {
        world.seats[self.seat].client.send_rtp(bytes, (seq >> 16) as u32);
    }

    fn turn(&mut self, world: &mut World) {
        self.read(world);
        if world.now < self.next {
            return;
        }
        self.next += FRAME;
        let is_keyframe = std::mem::take(&mut self.wants_keyframe);
        let count = PACKETS[usize::from(is_keyframe)];
        let timestamp = self.timestamp_base.wrapping_add(self.frame * 2970);
        for index in 0..count {
            let begin = if index == 0 { [0x10, u8::from(!is_keyframe)] } else { [0, 0] };
            let mut bytes = vec![0x80, 96 | if index + 1 == count { 0x80 } else { 0 }];
            bytes.extend((self.seq as u16).to_be_bytes());
            bytes.extend(timestamp.to_be_bytes());
            bytes.extend(VIDEO.to_be_bytes());
            bytes.extend(begin);
            bytes.extend(self.frame.to_be_bytes());
            bytes.extend([index, count, u8::from(is_keyframe)]);
            bytes.resize(1000, 7);
            self.send(world, self.seq, &bytes);
            self.sent.insert(self.seq, bytes);
            self.seq += 1;
        }
        self.times.insert(self.frame, world.now);
        self.frame += 1;
        self.sent.retain(|seq, _| seq + 2000 > self.seq);
    }

    fn read(&mut self, world: &mut World) {
        let mut nacked = Vec::new();
        for received in &world.seats[self.seat].received[self.seen..] {
            let Received::Rtcp(bytes) = received else { continue };
            let take = |word| match word {
                Word::Nack(Ssrc(VIDEO), seq) => nacked.push(seq),
                Word::KeyframeRequest(Ssrc(VIDEO)) => {
                    self.keyframe_requests += 1;
                    self.wants_keyframe |= self.answers_plis;
                }
                _ => {}
            };
            rtcp::parse(bytes, take).unwrap();
        }
        self.seen = world.seats[self.seat].received.len();
        for seq in nacked.into_iter().filter(|_| self.answers_nacks) {
            let seq = ExtSeq(self.seq).nearest(seq);
            let Some(mut bytes) = self.sent.get(&seq.0).cloned() else { continue };
            if self.rtx {
                let len = bytes.len();
                bytes.resize(len + rtx::OSN, 0);
                rtx::wrap(&mut bytes, 12, len, seq.wire()).unwrap();
                bytes[1] = bytes[1] & 0x80 | 97;
                bytes[2..4].copy_from_slice(&(self.rtx_seq as u16).to_be_bytes());
                bytes[8..12].copy_from_slice(&VIDEO_RTX.to_be_bytes());
                self.send(world, self.rtx_seq, &bytes);
                self.rtx_seq += 1;
            } else {
                self.send(world, seq.0, &bytes);
            }
        }
    }
}

/// A viewer that asks for what it misses.
struct Viewer {
    seat: usize,
    losses: LossDetector,
    highest: Option<ExtSeq>,
    seen: usize,
    /// For each frame: the packets that came, how many it has, whether it is a keyframe, when it was complete.
    frames: BTreeMap<u32, (u32, u8, bool, Option<Instant>)>,
    /// Extended number and timestamp of each packet, as it came first.
    packets: BTreeMap<u64, u32>,
    bytes: (u64, u64),
    waits_for_keyframe: Option<Instant>,
}

impl Viewer {
    fn new(seat: usize) -> Viewer {
        Viewer {
            seat,
            losses: LossDetector::default(),
            highest: None,
            seen: 0,
            frames: BTreeMap::new(),
            packets: BTreeMap::new(),
            bytes: (0, 0),
            waits_for_keyframe: None,
        }
    }

    fn turn(&mut self, world: &mut World) {
        let now = world.now;
        let received: Vec<Received> = world.seats[self.seat].received.drain(..).collect();
        for received in received {
            let Received::Rtp(bytes) = received else { continue };
            let packet = RtpPacket::parse(&bytes).unwrap();
            match packet.ssrc().0 {
                0x2001 => {
                    self.bytes.0 += bytes.len() as u64;
                    self.take(now, packet.seq(), &packet, packet.payload(), false);
                }
                0x2011 => {
                    self.bytes.1 += bytes.len() as u64;
                    let (seq, payload) = rtx::original(&packet).expect("no empty retransmissions");
                    self.take(now, seq, &packet, payload, true);
                }
                _ => {}
            }
        }
        self.seen = 0;
        let mut missing = Vec::new();
        let gave_up = self.losses.poll(now, |seq| missing.push(seq.wire()));
        let client = &mut world.seats[self.seat].client;
        let lead = Lead { ssrc: Ssrc(9), cname: Some("viewer") };
        let mut room = [0; 1000];
        if !missing.is_empty() {
            let len = lead.write(&mut room, |room| rtcp::write_nack(room, lead.ssrc, Ssrc(0x2001), &missing)).unwrap();
            client.send_rtcp(&room[..len]);
        }
        if gave_up || self.waits_for_keyframe.is_some_and(|due| due <= now) {
            self.waits_for_keyframe = Some(now + 500 * MS);
            let len = lead.write(&mut room, |room| rtcp::write_pli(room, lead.ssrc, Ssrc(0x2001))).unwrap();
            client.send_rtcp(&room[..len]);
        }
    }

    fn take(&mut self, now: Instant, seq: SeqNo, packet: &RtpPacket<'_>, payload: &[u8], is_rtx: bool) {
        let seq = self.highest.map_or(ExtSeq(0x1_0000 + u64::from(seq.0)), |highest| highest.nearest(seq));
        self.highest = Some(self.highest.map_or(seq, |highest| highest.max(seq)));
        self.losses.on_packet(now, seq, is_rtx);
        if self.packets.insert(seq.0, packet.timestamp()).is_some() {
            return;
        }
        let number = u32::from_be_bytes(payload[2..6].try_into().unwrap());
        let (index, count, is_keyframe) = (payload[6], payload[7], payload[8] == 1);
        let frame = self.frames.entry(number).or_insert((0, count, is_keyframe, None));
        frame.0 |= 1 << index;
        if frame.0.count_ones() == u32::from(count) && frame.3.is_none() {
            frame.3 = Some(now);
            if is_keyframe {
                self.waits_for_keyframe = None;
                self.losses.on_keyframe(seq);
            }
        }
    }

    /// Of the frames from the first that came on: how many, and how many were complete within `time`.
    fn complete_within(&self, publisher: &Publisher, time: Duration, until: Instant) -> (usize, usize) {
        let Some(first) = self.frames.keys().next() else { return (0, 0) };
        let due = publisher.times.range(first..).filter(|(_, sent)| **sent + time < until);
        let in_time = |(number, sent): &(&u32, &Instant)| {
            self.frames.get(number).is_some_and(|frame| frame.3.is_some_and(|at| at <= **sent + time))
        };
        let due: Vec<_> = due.collect();
        (due.len(), due.iter().filter(|frame| in_time(frame)).count())
    }

    /// Every number from the first to the last came but for so many.
    fn holes(&self) -> usize {
        let (Some((first, _)), Some((last, _))) = (self.packets.first_key_value(), self.packets.last_key_value())
        else {
            return 0;
        };
        (last - first + 1) as usize - self.packets.len()
    }
}

fn run(world: &mut World, publisher: &mut Publisher, viewers: &mut [Viewer], time: Duration) {
    let end = world.now + time;
    while world.now < end {
        publisher.turn(world);
        viewers.iter_mut().for_each(|viewer| viewer.turn(world));
        world.run(MS);
    }
}

/// A publisher and viewers, connected over a network without loss, and 200 ms of video.
fn meet(shards: usize, rtx: bool, delay: Duration, viewers: usize) -> (World, Publisher, Vec<Viewer>) {
    let mut world = World::new(shards, Conditions { delay, ..Conditions::perfect() });
    let spec = lossy(&world, Role::Publish, rtx);
    let (seat, session) = world.join_with(spec, 5000);
    let mut seats = vec![seat];
    for n in 0..viewers {
        let spec = lossy(&world, Role::Play, rtx);
        seats.push(world.join_with(spec, 6000 + n as u16).0);
    }
    world.connect(&seats);
    let mut publisher = Publisher::new(&world, (seat, session), rtx);
    let mut viewers: Vec<Viewer> = seats[1..].iter().map(|seat| Viewer::new(*seat)).collect();
    run(&mut world, &mut publisher, &mut viewers, 200 * MS);
    (world, publisher, viewers)
}

#[test]
fn at_5_percent_loss_each_way_999_of_1000_frames_are_complete_in_150_ms() {
    for (seed, rtx) in [(1, true), (2, false)] {
        let (mut world, mut publisher, mut viewers) = meet(2, rtx, 12 * MS, 3);
        world.network = Network::new(Conditions { seed, jitter: MS, ..world.network.conditions });
        world.seats.iter_mut().for_each(|seat| seat.loss = 50);
        run(&mut world, &mut publisher, &mut viewers, Duration::from_secs(200));
        for viewer in &viewers {
            let (frames, complete) = viewer.complete_within(&publisher, 150 * MS, world.now);
            assert!(frames > 1800 && complete * 1000 >= frames * 999, "{complete} of {frames} frames, rtx: {rtx}");
        }
    }
}

#[test]
fn loss_from_none_to_30_percent_ends_in_whole_frames_or_a_keyframe() {
    for loss in [0, 10, 100, 200, 300] {
        let (mut world, mut publisher, mut viewers) = meet(2, true, 20 * MS, 3);
        world.network =
            Network::new(Conditions { seed: loss + 1, jitter: 8 * MS, duplication: 10, ..world.network.conditions });
        for (seat, share) in world.seats.iter_mut().zip([loss, 0, loss / 2, loss]) {
            seat.loss = share;
        }
        run(&mut world, &mut publisher, &mut viewers, Duration::from_secs(30));
        // Quiet again: what is still missing has been given up, and a keyframe has come after it.
        world.seats.iter_mut().for_each(|seat| seat.loss = 0);
        run(&mut world, &mut publisher, &mut viewers, Duration::from_secs(3));
        for viewer in &viewers {
            let broken = viewer.frames.iter().rev().find(|(_, frame)| frame.3.is_none()).map(|(number, _)| *number);
            let keyframe = viewer.frames.iter().rev().find(|(_, frame)| frame.2 && frame.3.is_some());
            let keyframe = keyframe.map(|(number, _)| *number).expect("a keyframe");
            assert!(broken.is_none_or(|broken| broken < keyframe), "{loss}: {broken:?} is broken after {keyframe}");
            let last = publisher.frame - 10;
            assert!(viewer.frames.get(&last).is_some_and(|frame| frame.3.is_some()), "{loss}: frame {last}");
        }
    }
}

#[test]
fn at_1_percent_loss_less_than_3_percent_is_sent_again() {
    let (mut world, mut publisher, mut viewers) = meet(1, true, 25 * MS, 1);
    world.network = Network::new(Conditions { seed: 5, jitter: 3 * MS, ..world.network.conditions });
    world.seats[viewers[0].seat].loss = 10;
    run(&mut world, &mut publisher, &mut viewers, Duration::from_secs(60));
    let (sent, again) = viewers[0].bytes;
    assert!(again > 0 && again * 100 < sent * 3, "{again} bytes again of {sent}");
    assert_eq!(viewers[0].holes(), 0);
}

#[test]
fn one_lost_packet_delays_no_other() {
    let (mut world, mut publisher, mut viewers) = meet(1, true, 10 * MS, 1);
    publisher.answers_nacks = false;
    publisher.answers_plis = false;
    world.seats[publisher.seat].loss = 30;
    let begin = world.now;
    run(&mut world, &mut publisher, &mut viewers, Duration::from_secs(10));
    let viewer = &viewers[0];
    let mut whole = 0;
    for (number, (_, _, _, complete)) in &viewer.frames {
        let sent = publisher.times[number];
        if let Some(complete) = complete.filter(|_| sent > begin) {
            whole += 1;
            assert!(complete <= sent + 24 * MS, "frame {number} was held for {:?}", complete - sent);
        }
    }
    assert!(whole > 200, "{whole}");
    assert!(publisher.keyframe_requests > 5, "{} PLIs when NACKs bring nothing", publisher.keyframe_requests);
}

#[test]
fn an_outage_of_5_s_is_over_with_a_keyframe() {
    let (mut world, mut publisher, mut viewers) = meet(2, true, 20 * MS, 2);
    run(&mut world, &mut publisher, &mut viewers, Duration::from_secs(2));
    for cut in [publisher.seat, viewers[0].seat] {
        world.seats[cut].is_cut = true;
        run(&mut world, &mut publisher, &mut viewers, Duration::from_secs(5));
        world.seats[cut].is_cut = false;
        run(&mut world, &mut publisher, &mut viewers, Duration::from_secs(4));
        for viewer in &viewers {
            let last = publisher.frame - 10;
            assert!(viewer.frames[&last].3.is_some());
            let keyframe = viewer.frames.iter().rev().find(|(_, frame)| frame.2 && frame.3.is_some()).unwrap().0;
            let broken = viewer.frames.iter().rev().find(|(_, frame)| frame.3.is_none()).map(|(number, _)| number);
            assert!(broken.is_none_or(|broken| broken < keyframe));
        }
    }
    assert!(world.ended.is_empty());
}

#[test]
fn a_late_viewer_begins_with_the_last_keyframe_and_catches_up() {
    for shards in [1, 3] {
        let (mut world, mut publisher, mut viewers) = meet(shards, true, 10 * MS, 1);
        run(&mut world, &mut publisher, &mut viewers, Duration::from_secs(4));
        let asked = publisher.keyframe_requests;
        publisher.answers_plis = false;
        let spec = lossy(&world, Role::Play, true);
        let (late, _) = world.join_with(spec, 6101);
        let mut late = vec![Viewer::new(late)];
        let joined = world.now;
        run(&mut world, &mut publisher, &mut late, Duration::from_secs(2));
        let late = &late[0];
        assert_eq!(publisher.keyframe_requests, asked, "the past does");
        let (first, frame) = late.frames.first_key_value().unwrap();
        assert!(frame.2 && *first == 0, "it begins with the keyframe");
        assert!(frame.3.unwrap() < joined + 250 * MS, "which is there {:?} after it joined", frame.3.unwrap() - joined);
        assert_eq!(late.holes(), 0);
        // Caught up within a second: frames of then come as they are sent.
        for (number, frame) in late.frames.iter().filter(|(number, _)| publisher.times[number] > joined + 1000 * MS) {
            let Some(at) = frame.3 else { continue };
            assert!(at <= publisher.times[number] + 30 * MS, "{number}");
        }
        // Four seconds of the past take less than a tenth of a second of media time, and the present its own.
        let stamps: Vec<u32> = late.packets.values().copied().collect();
        assert!(stamps.windows(2).all(|pair| pair[1].wrapping_sub(pair[0]) < 1 << 31), "time never goes back");
        let span = stamps.last().unwrap().wrapping_sub(stamps[0]);
        let watched = (world.now - joined).as_millis() as u32 * 90;
        assert!(span < watched + 9000, "{span} ticks of media in {watched}");
    }
}

#[test]
fn a_storm_of_nacks_is_answered_within_bounds() {
    let (mut world, mut publisher, mut viewers) = meet(1, true, 5 * MS, 2);
    run(&mut world, &mut publisher, &mut viewers, Duration::from_secs(2));
    let (_, before) = viewers[0].bytes;
    let media = viewers[0].bytes.0;
    let highest = viewers[0].highest.unwrap().wire().0;
    let seqs: Vec<SeqNo> = (0..100).map(|n| SeqNo(highest.wrapping_sub(n))).collect();
    for _ in 0..1000 {
        let mut room = [0; 1000];
        let len = rtcp::write_nack(&mut room, Ssrc(9), Ssrc(0x2001), &seqs).unwrap();
        world.seats[viewers[0].seat].client.send_rtcp(&room[..len]);
        world.run(MS);
    }
    run(&mut world, &mut publisher, &mut viewers, Duration::from_secs(2));
    let again = viewers[0].bytes.1 - before;
    assert!(again > 0 && again < (128 << 10) + media, "{again} bytes");
    assert_eq!(viewers[1].holes(), 0, "nobody else suffers");
}

#[test]
fn numbers_stay_continuous_over_wraps_and_a_publishers_return() {
    let (mut world, mut publisher, mut viewers) = meet(2, true, 5 * MS, 2);
    run(&mut world, &mut publisher, &mut viewers, Duration::from_secs(20));
    world.seats[publisher.seat].alive = false;
    let spec = SessionSpec { replaces: Some(publisher.session), ..lossy(&world, Role::Publish, true) };
    let (seat, session) = world.join_with(spec, 5002);
    world.connect(&[seat]);
    let fresh = Publisher::new(&world, (seat, session), true);
    let mut second = Publisher { frame: publisher.frame + 1000, seq: 17, ..fresh };
    second.times = publisher.times.clone();
    run(&mut world, &mut second, &mut viewers, Duration::from_secs(400));
    for viewer in &viewers {
        assert_eq!(viewer.holes(), 0);
        let stamps: Vec<u32> = viewer.packets.values().copied().collect();
        assert!(stamps.windows(2).all(|pair| pair[1].wrapping_sub(pair[0]) < 90_000 * 3), "time goes on");
        assert!(viewer.packets.len() > 70_000, "{} packets: the numbers have wrapped", viewer.packets.len());
    }
}
