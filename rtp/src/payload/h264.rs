//! H264 payloads (RFC 6184): where keyframes begin, and the parameter sets that decoders need before them.

const NAL_IDR: u8 = 5;
const NAL_SPS: u8 = 7;
const NAL_PPS: u8 = 8;
const STAP_A: u8 = 24;
const FU_A: u8 = 28;

/// Whether the packet begins a keyframe: an IDR slice's first packet, or the parameter sets that go before one.
pub(super) fn is_keyframe(payload: &[u8]) -> bool {
    let begins = |header: u8| matches!(header & 0x1f, NAL_IDR | NAL_SPS);
    match *payload {
        [header, ref units @ ..] if header & 0x1f == STAP_A => nal_headers(units).any(begins),
        [indicator, header, ..] if indicator & 0x1f == FU_A => header & 0x80 != 0 && begins(header),
        [header, ..] => begins(header),
        [] => false,
    }
}

/// The first byte of each unit of an aggregation: units of two bytes of length and as many of NAL.
pub(super) fn nal_headers(mut units: &[u8]) -> impl Iterator<Item = u8> {
    std::iter::from_fn(move || {
        let (len, rest) = units.split_first_chunk::<2>()?;
        let (unit, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*len)))?;
        units = rest;
        unit.first().copied()
    })
}

/// The units of a packet that are whole in it.
fn units(payload: &[u8]) -> impl Iterator<Item = &[u8]> {
    let is_aggregation = payload.first().is_some_and(|header| header & 0x1f == STAP_A);
    let mut rest = if is_aggregation { &payload[1..] } else { payload };
    std::iter::from_fn(move || {
        if !is_aggregation {
            return Some(std::mem::take(&mut rest)).filter(|unit| !unit.is_empty());
        }
        let (len, after) = rest.split_first_chunk::<2>()?;
        let (unit, after) = after.split_at_checked(usize::from(u16::from_be_bytes(*len)))?;
        rest = after;
        Some(unit)
    })
}

/// Parameter sets are remembered up to this size together; real ones have some 30 bytes.
const MAX_PARAMETER_SETS: usize = 1000;

/// The parameter sets that a source sent last, so that a keyframe which comes without them can be given them.
#[derive(Clone, Default, Debug)]
pub struct ParameterSets {
    sps: Vec<u8>,
    pps: Vec<u8>,
    /// Timestamp of the frame that they came with.
    fresh: Option<u32>,
    /// Timestamp of the keyframe that was looked at last.
    done: Option<u32>,
}

impl ParameterSets {
    /// Sets that were signalled: `sprop-parameter-sets`, decoded.
    pub fn learn(&mut self, unit: &[u8]) {
        let place = match unit.first().map(|header| header & 0x1f) {
            Some(NAL_SPS) => &mut self.sps,
            Some(NAL_PPS) => &mut self.pps,
            _ => return,
        };
        if unit.len() <= MAX_PARAMETER_SETS / 2 {
            place.clear();
            place.extend_from_slice(unit);
        }
    }

    /// A packet passes. Gives the payload of the STAP-A that has to go before it, when it begins an IDR picture whose parameter sets did
    /// not come with it and are known from earlier.
    pub fn before(&mut self, timestamp: u32, payload: &[u8]) -> Option<Vec<u8>> {
        let is = |header: u8, kind: u8| header & 0x1f == kind;
        for unit in units(payload) {
            if unit.first().is_some_and(|header| is(*header, NAL_SPS) || is(*header, NAL_PPS)) {
                self.learn(unit);
                self.fresh = Some(timestamp);
            }
        }
        let begins_idr = match *payload {
            [indicator, header, ..] if is(indicator, FU_A) => header & 0x80 != 0 && is(header, NAL_IDR),
            _ => units(payload).any(|unit| unit.first().is_some_and(|header| is(*header, NAL_IDR))),
        };
        let is_first = begins_idr && self.done != Some(timestamp);
        if is_first {
            self.done = Some(timestamp);
        }
        if !is_first || self.fresh == Some(timestamp) || self.sps.is_empty() || self.pps.is_empty() {
            return None;
        }
        let mut aggregation = vec![0x60 | STAP_A];
        for unit in [&self.sps, &self.pps] {
            aggregation.extend((unit.len() as u16).to_be_bytes());
            aggregation.extend(unit);
        }
        Some(aggregation)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idr_and_sps_are_found_in_every_packetization() {
        assert!(is_keyframe(&[0x65, 1]));
        assert!(is_keyframe(&[0x67, 1]));
        assert!(is_keyframe(&[0x78, 0, 2, 0x68, 1, 0, 1, 0x65]));
        assert!(is_keyframe(&[0x7c, 0x85]));
        assert!(!is_keyframe(&[0x7c, 0x05]), "the middle of one is not its beginning");
        assert!(!is_keyframe(&[0x41, 1]));
        assert!(!is_keyframe(&[0x78, 0, 2, 0x41, 1, 0, 9, 0x65]), "a unit that is cut off");
    }

    #[test]
    fn a_keyframe_without_parameter_sets_is_given_those_of_before() {
        let mut sets = ParameterSets::default();
        assert_eq!(sets.before(1, &[0x65, 1]), None, "none are known");
        assert_eq!(sets.before(2, &[0x78, 0, 2, 0x67, 9, 0, 2, 0x68, 8]), None);
        assert_eq!(sets.before(2, &[0x7c, 0x85, 1]), None, "they came with it");
        assert_eq!(sets.before(3, &[0x41, 1]), None);
        let given = vec![0x78, 0, 2, 0x67, 9, 0, 2, 0x68, 8];
        assert_eq!(sets.before(4, &[0x7c, 0x85, 1]), Some(given.clone()));
        assert_eq!(sets.before(4, &[0x7c, 0x05, 1]), None);
        assert_eq!(sets.before(4, &[0x65, 1]), None, "another slice of the same picture");
        assert_eq!(sets.before(5, &[0x67, 7]), None);
        assert_eq!(sets.before(6, &[0x65, 1]), Some(vec![0x78, 0, 2, 0x67, 7, 0, 2, 0x68, 8]));
        assert!(is_keyframe(&given));
    }
}
