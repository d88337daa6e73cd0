//! Which track of a BUNDLE a packet is of (RFC 9143 §9.2): by MID, by an SSRC seen before or signalled, by a payload type that only
//! one track has.

use crate::ids::{Mid, PayloadType, Ssrc};
use crate::packet::RtpPacket;

/// Sources that are remembered; a client has a few per track. The oldest that was learned makes room.
const MAX_SOURCES: usize = 32;

#[derive(Debug)]
struct Track {
    /// The track's MID and the extension id that carries it; m-sections of one bundle may use different ids.
    mid: Option<(Mid, u8)>,
    types: Vec<PayloadType>,
}

/// See the module's text.
#[derive(Default, Debug)]
pub struct BundleDemux {
    tracks: Vec<Track>,
    sources: Vec<(Ssrc, usize)>,
}

impl BundleDemux {
    /// Adds the next track: its MID with the extension id, where both were negotiated, the sources that its SDP names, and its payload
    /// types.
    pub fn add_track(&mut self, mid: Option<(Mid, u8)>, ssrcs: &[Ssrc], types: impl Iterator<Item = PayloadType>) {
        let index = self.tracks.len();
        self.tracks.push(Track { mid, types: types.collect() });
        for ssrc in ssrcs {
            self.learn(*ssrc, index);
        }
    }

    /// The track of a packet.
    pub fn track_of(&mut self, packet: &RtpPacket<'_>) -> Option<usize> {
        let known = self.sources.iter().find(|(ssrc, _)| *ssrc == packet.ssrc()).map(|(_, track)| *track);
        match self.by_mid(packet) {
            // A MID that is none of ours is of an m-section that was refused.
            Some(Err(())) => None,
            Some(Ok(track)) => {
                if known != Some(track) {
                    self.forget(packet.ssrc());
                    self.learn(packet.ssrc(), track);
                }
                Some(track)
            }
            None => known.or_else(|| {
                let track = self.by_type(packet.payload_type())?;
                self.learn(packet.ssrc(), track);
                Some(track)
            }),
        }
    }

    /// The source has ended.
    pub fn forget(&mut self, ssrc: Ssrc) {
        self.sources.retain(|(known, _)| *known != ssrc);
    }

    fn by_mid(&self, packet: &RtpPacket<'_>) -> Option<Result<usize, ()>> {
        let mut carried = None;
        for (index, track) in self.tracks.iter().enumerate() {
            let Some((mid, id)) = &track.mid else { continue };
            match packet.extensions().find(*id) {
                Some(data) if data == mid.as_bytes() => return Some(Ok(index)),
                Some(_) => carried = Some(Err(())),
                None => {}
            }
        }
        carried
    }

    fn by_type(&self, payload_type: PayloadType) -> Option<usize> {
        let mut having = self.tracks.iter().enumerate().filter(|(_, track)| track.types.contains(&payload_type));
        let (index, _) = having.next()?;
        having.next().is_none().then_some(index)
    }

    fn learn(&mut self, ssrc: Ssrc, track: usize) {
        if self.sources.len() >= MAX_SOURCES {
            self.sources.remove(0);
        }
        self.sources.push((ssrc, track));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(payload_type: u8, ssrc: u32, mid: Option<(u8, &str)>) -> Vec<u8> {
        let mut bytes = vec![if mid.is_some() { 0x90 } else { 0x80 }, payload_type, 0, 1, 0, 0, 0, 1];
        bytes.extend(ssrc.to_be_bytes());
        if let Some((id, mid)) = mid {
            assert_eq!(mid.len(), 3);
            bytes.extend([0xbe, 0xde, 0, 1, id << 4 | 2]);
            bytes.extend(mid.as_bytes());
        }
        bytes
    }

    fn demux() -> BundleDemux {
        let mut demux = BundleDemux::default();
        let track = |mid: &str, id| Some((Mid::new(mid.as_bytes()).unwrap(), id));
        demux.add_track(track("aud", 4), &[Ssrc(1)], [PayloadType(111), PayloadType(9)].into_iter());
        demux.add_track(track("vid", 5), &[], [PayloadType(96), PayloadType(9)].into_iter());
        demux
    }

    fn track_of(demux: &mut BundleDemux, bytes: &[u8]) -> Option<usize> {
        demux.track_of(&RtpPacket::parse(bytes).unwrap())
    }

    #[test]
    fn the_mid_decides_and_its_source_is_remembered() {
        let mut demux = demux();
        assert_eq!(track_of(&mut demux, &packet(9, 50, Some((5, "vid")))), Some(1));
        assert_eq!(track_of(&mut demux, &packet(9, 50, None)), Some(1));
        assert_eq!(track_of(&mut demux, &packet(9, 50, Some((4, "aud")))), Some(0), "a source may move");
        assert_eq!(track_of(&mut demux, &packet(9, 50, None)), Some(0));
    }

    #[test]
    fn signalled_sources_and_unique_payload_types_are_known_without_a_mid() {
        let mut demux = demux();
        assert_eq!(track_of(&mut demux, &packet(9, 1, None)), Some(0));
        assert_eq!(track_of(&mut demux, &packet(96, 60, None)), Some(1));
        assert_eq!(track_of(&mut demux, &packet(9, 61, None)), None, "two tracks have the type");
        assert_eq!(track_of(&mut demux, &packet(77, 62, None)), None);
        assert_eq!(track_of(&mut demux, &packet(96, 63, Some((5, "xyz")))), None, "a MID of nobody's");
    }

    #[test]
    fn what_has_ended_is_forgotten_and_churn_is_bounded() {
        let mut demux = demux();
        demux.forget(Ssrc(1));
        assert_eq!(track_of(&mut demux, &packet(9, 1, None)), None);
        for ssrc in 0..10_000 {
            assert_eq!(track_of(&mut demux, &packet(96, ssrc + 100, None)), Some(1));
        }
        assert!(demux.sources.len() <= MAX_SOURCES);
    }
}
