//! Simulcast: which layer viewers get, and that they notice nothing of a change but its quality.

use super::traffic::video;
use super::*;
use oneport_rtp::ids::Rid;
use oneport_rtp::rtcp::{self, Word};

const RID_ID: u8 = 4;
/// Bytes of a packet's payload in each layer.
const SIZES: [usize; 3] = [50, 200, 800];

fn ssrc(layer: usize) -> u32 {
    0x1010 + layer as u32
}

/// A publisher of three layers, told apart by RID or by SSRC.
fn simulcast(world: &World, by_rid: bool) -> SessionSpec {
    let mut spec = world.spec(Role::Publish);
    let video = &mut spec.tracks[0];
    if by_rid {
        video.ssrcs = vec![];
        video.layers = ["l", "m", "h"].map(|rid| LayerSpec::Rid(Rid::new(rid.as_bytes()).unwrap())).to_vec();
        video.extensions = vec![NegotiatedExtension { id: RID_ID, extension: Extension::Rid }];
    } else {
        video.ssrcs = (0..3).map(|layer| Ssrc(ssrc(layer))).collect();
        video.layers = video.ssrcs.iter().map(|ssrc| LayerSpec::Ssrc(*ssrc)).collect();
    }
    spec
}

/// A publisher's encoder: answers keyframe requests, and tells a layer's packets by their first byte behind the VP8 header.
struct Encoder {
    seat: usize,
    rids: Option<[&'static str; 3]>,
    tick: u32,
    /// Received items that were looked at.
    seen: usize,
    wanted: [bool; 3],
}

impl Encoder {
    fn new(seat: usize, rids: Option<[&'static str; 3]>) -> Encoder {
        Encoder { seat, rids, tick: 0, seen: 0, wanted: [true; 3] }
    }

    /// Sends these layers for a while: 50 frames a second, of one packet each.
    fn run(&mut self, world: &mut World, layers: &[usize], time: Duration) {
        let end = world.now + time;
        while world.now < end {
            for layer in layers {
                let packet = self.packet(*layer);
                assert!(world.seats[self.seat].client.send_rtp(&packet, 0));
            }
            self.tick += 1;
            world.run(Duration::from_millis(20));
            self.read(world);
        }
    }

    fn read(&mut self, world: &World) {
        let received = &world.seats[self.seat].received;
        for received in &received[self.seen..] {
            let Received::Rtcp(bytes) = received else { continue };
            let wanted = |word| {
                if let Word::KeyframeRequest(Ssrc(wanted)) = word {
                    self.wanted[(wanted - ssrc(0)) as usize] = true;
                }
            };
            rtcp::parse(bytes, wanted).unwrap();
        }
        self.seen = received.len();
    }

    fn packet(&mut self, layer: usize) -> Vec<u8> {
        let is_keyframe = std::mem::take(&mut self.wanted[layer]);
        let timestamp = 7777 * layer as u32 + self.tick * 1800;
        let (seq, ssrc) = ((self.tick as u16).wrapping_add(1000 * layer as u16), ssrc(layer));
        let mut bytes = vec![if self.rids.is_some() { 0x90 } else { 0x80 }, 96];
        bytes.extend(seq.to_be_bytes());
        bytes.extend(timestamp.to_be_bytes());
        bytes.extend(ssrc.to_be_bytes());
        if let Some(rids) = self.rids {
            bytes.extend([0xbe, 0xde, 0, 1, RID_ID << 4, rids[layer].as_bytes()[0], 0, 0]);
        }
        // The VP8 descriptor of a frame's start, and the P bit of its first byte.
        bytes.extend([0x10, u8::from(!is_keyframe) | (layer as u8) << 4]);
        bytes.resize(bytes.len() + SIZES[layer], 0);
        bytes
    }
}

/// What a viewer got: sequence number, timestamp, layer, whether it is a keyframe.
fn frames(world: &World, viewer: usize) -> Vec<(u16, u32, u8, bool)> {
    let packets = world.seats[viewer].received.iter().filter_map(|received| match received {
        Received::Rtp(bytes) => oneport_rtp::packet::RtpPacket::parse(bytes).ok(),
        _ => None,
    });
    let video = packets.filter(|packet| packet.ssrc() == Ssrc(0x2001));
    video
        .map(|packet| {
            let first = packet.payload()[1];
            (packet.seq().0, packet.timestamp(), first >> 4, first & 1 == 0)
        })
        .collect()
}

fn forwarded(world: &World) -> Vec<(Vec<bool>, Option<usize>)> {
    let layers = world.told.iter().filter_map(|event| match event {
        Event::Layers { layers, .. } => Some(layers),
        _ => None,
    });
    layers
        .map(|layers| {
            let active = layers.iter().map(|layer| layer.bitrate_bps > 0).collect();
            (active, layers.iter().position(|layer| layer.is_forwarded))
        })
        .collect()
}

fn assert_continuous(frames: &[(u16, u32, u8, bool)]) {
    for pair in frames.windows(2) {
        assert_eq!(pair[1].0, pair[0].0.wrapping_add(1), "no number is left out");
        let step = pair[1].1.wrapping_sub(pair[0].1);
        assert!((1..=1800 * 60).contains(&step), "a step of {step} ticks");
        assert!(pair[1].2 == pair[0].2 || pair[1].3, "another layer begins with its keyframe");
    }
}

#[test]
fn viewers_get_the_best_layer_that_is_sent() {
    for rids in [Some(["l", "m", "h"]), None] {
        let mut world = World::new(2, Conditions::perfect());
        let spec = simulcast(&world, rids.is_some());
        let (publisher, _) = world.join_with(spec, 5000);
        let viewers = [world.join(Role::Play, 6000).0, world.join(Role::Play, 6001).0];
        world.connect(&[publisher, viewers[0], viewers[1]]);
        let mut encoder = Encoder::new(publisher, rids);
        let second = Duration::from_secs(1);
        encoder.run(&mut world, &[0], second);
        encoder.run(&mut world, &[0, 1, 2], 5 * second);
        encoder.run(&mut world, &[0, 1], 5 * second);
        encoder.run(&mut world, &[0, 1, 2], 5 * second);
        for viewer in viewers {
            let frames = frames(&world, viewer);
            assert_continuous(&frames);
            let mut order: Vec<u8> = frames.iter().map(|frame| frame.2).collect();
            order.dedup();
            assert_eq!(order, [0, 2, 1, 2]);
            let lost = frames.windows(2).filter(|pair| pair[1].1.wrapping_sub(pair[0].1) > 1800 * 50).count();
            assert!(lost <= 1, "one gap of a second at the most, when the best layer fell silent");
        }
        let told = forwarded(&world);
        assert_eq!(told.first(), Some(&(vec![true, false, false], Some(0))), "{told:?}");
        assert_eq!(told.last(), Some(&(vec![true; 3], Some(2))), "{told:?}");
        assert!(told.contains(&(vec![true, true, false], Some(1))), "{told:?}");
    }
}

#[test]
fn a_layer_that_the_answer_does_not_have_is_discarded() {
    let mut world = World::new(1, Conditions::perfect());
    let spec = simulcast(&world, true);
    let (publisher, _) = world.join_with(spec, 5000);
    let (viewer, _) = world.join(Role::Play, 6000);
    world.connect(&[publisher, viewer]);
    let mut encoder = Encoder::new(publisher, Some(["l", "m", "x"]));
    encoder.run(&mut world, &[0, 1, 2], Duration::from_secs(5));
    let frames = frames(&world, viewer);
    assert!(frames.iter().all(|frame| frame.2 < 2) && frames.iter().any(|frame| frame.2 == 1));
    assert!(world.discarded(Discard::UnknownSource) > 200);
}

#[test]
fn layers_of_alike_bitrates_are_not_changed_for_each_other() {
    let mut world = World::new(1, Conditions::perfect());
    let spec = simulcast(&world, true);
    let (publisher, _) = world.join_with(spec, 5000);
    let (viewer, _) = world.join(Role::Play, 6000);
    world.connect(&[publisher, viewer]);
    // All are as large as the middle one.
    let mut encoder = Encoder::new(publisher, Some(["l", "l", "l"]));
    encoder.run(&mut world, &[1], Duration::from_secs(10));
    assert_eq!(video(&world, viewer).len(), 500);
}

#[test]
fn a_layers_goodbye_is_heeded_at_once() {
    let mut world = World::new(1, Conditions::perfect());
    let spec = simulcast(&world, true);
    let (publisher, _) = world.join_with(spec, 5000);
    let (viewer, _) = world.join(Role::Play, 6000);
    world.connect(&[publisher, viewer]);
    let mut encoder = Encoder::new(publisher, Some(["l", "m", "h"]));
    encoder.run(&mut world, &[0, 1, 2], Duration::from_secs(4));
    assert_eq!(frames(&world, viewer).last().map(|frame| frame.2), Some(2));
    let mut bye = vec![0x81, 203, 0, 1];
    bye.extend(ssrc(2).to_be_bytes());
    assert!(world.seats[publisher].client.send_rtcp(&bye));
    encoder.run(&mut world, &[0, 1], Duration::from_millis(200));
    assert_eq!(frames(&world, viewer).last().map(|frame| frame.2), Some(1));
    assert_continuous(&frames(&world, viewer));
}
