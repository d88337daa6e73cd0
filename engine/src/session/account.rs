//! What a session has to tell of its way to a connection: each thing once, and bounded, so that the account of a session costs
//! nothing once it runs.

use crate::control::{CheckRefusal, Step};
use oneport_rtp::ids::{PayloadType, Ssrc};
use std::net::SocketAddr;

/// Sources of checks that are told for each way in which they were met: a client has a few addresses.
const MAX_CHECKS: usize = 8;
/// Unknown SSRCs that are told.
const MAX_UNKNOWN: usize = 4;

/// Sources of checks, and what became of the first from each.
#[derive(Default, Debug)]
pub(crate) struct CheckLog(Vec<(SocketAddr, Option<CheckRefusal>)>);

impl CheckLog {
    /// Whether a check is worth telling: the first from there that was met like this, and not one of too many.
    pub(crate) fn is_new(&mut self, remote: SocketAddr, refused: Option<CheckRefusal>) -> bool {
        let alike = self.0.iter().filter(|(_, before)| *before == refused);
        let (seen, count) = alike.fold((false, 0), |(seen, n), (address, _)| (seen || *address == remote, n + 1));
        let is_new = !seen && count < MAX_CHECKS;
        if is_new {
            self.0.push((remote, refused));
        }
        is_new
    }
}

/// See the module's text.
#[derive(Default, Debug)]
pub(crate) struct Account {
    pub(crate) checks: CheckLog,
    /// Not yet taken away.
    steps: Vec<Step>,
    unknown: Vec<Ssrc>,
    has_dtls: bool,
    /// A bit for each track whose first packet, or first keyframe, is told.
    packets: u32,
    keyframes: u32,
}

impl Account {
    /// A check came from there, for the first time or for the first time with this refusal.
    pub(crate) fn check(&mut self, remote: SocketAddr, refused: Option<CheckRefusal>) {
        if self.checks.is_new(remote, refused) {
            self.steps.push(Step::Check { remote, refused });
        }
    }

    /// The nominated pair was exchanged.
    pub(crate) fn pair_changed(&mut self, remote: SocketAddr, restarted: bool) {
        // A client that goes to and fro between two pairs is told by the first dozen steps.
        if self.steps.len() < MAX_CHECKS {
            self.steps.push(Step::PairChanged { remote, restarted });
        }
    }

    /// A DTLS datagram came.
    pub(crate) fn dtls(&mut self) {
        if !std::mem::replace(&mut self.has_dtls, true) {
            self.steps.push(Step::DtlsStarted);
        }
    }

    /// Whether a track's first packet or keyframe is still to be told.
    pub(crate) fn wants(&self, track: usize, has_keyframes: bool) -> bool {
        let bit = bit(track);
        self.packets & bit == 0 || has_keyframes && self.keyframes & bit == 0
    }

    /// A packet of a track passed.
    pub(crate) fn packet(&mut self, track: usize, ssrc: Ssrc, payload_type: PayloadType, is_keyframe: bool) {
        let bit = bit(track);
        if self.packets & bit == 0 {
            self.packets |= bit;
            self.steps.push(Step::FirstPacket { track, ssrc, payload_type });
        }
        if is_keyframe && self.keyframes & bit == 0 {
            self.keyframes |= bit;
            self.steps.push(Step::FirstKeyframe { track });
        }
    }

    /// A packet that belongs to no track.
    pub(crate) fn unknown(&mut self, ssrc: Ssrc, payload_type: PayloadType) {
        if self.unknown.len() < MAX_UNKNOWN && !self.unknown.contains(&ssrc) {
            self.unknown.push(ssrc);
            self.steps.push(Step::UnknownSource { ssrc, payload_type });
        }
    }

    /// Whether there is something to take away.
    pub(crate) fn has_steps(&self) -> bool {
        !self.steps.is_empty()
    }

    /// Takes away what there is.
    pub(crate) fn take(&mut self) -> Vec<Step> {
        std::mem::take(&mut self.steps)
    }
}

fn bit(track: usize) -> u32 {
    1u32.checked_shl(track as u32).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(port: u16) -> SocketAddr {
        ([192, 0, 2, 1], port).into()
    }

    #[test]
    fn each_source_is_told_once_for_each_refusal_and_not_too_many() {
        let mut account = Account::default();
        for port in 0..100 {
            for _ in 0..3 {
                account.check(from(port), None);
                account.check(from(port), Some(CheckRefusal::BadIntegrity));
            }
        }
        let steps = account.take();
        assert_eq!(steps.len(), 2 * MAX_CHECKS);
        assert_eq!(steps[1], Step::Check { remote: from(0), refused: Some(CheckRefusal::BadIntegrity) });
        assert!(!account.has_steps());
    }

    #[test]
    fn a_tracks_first_packet_and_first_keyframe_are_told_once() {
        let mut account = Account::default();
        let (ssrc, payload_type) = (Ssrc(7), PayloadType(96));
        for (track, keyframe) in [(0, false), (0, false), (0, true), (0, true), (1, true)] {
            account.packet(track, ssrc, payload_type, keyframe);
        }
        let keyframes: Vec<usize> = account
            .take()
            .iter()
            .filter_map(|step| if let Step::FirstKeyframe { track } = step { Some(*track) } else { None })
            .collect();
        assert_eq!(keyframes, [0, 1]);
        assert!(!account.wants(0, true) && account.wants(2, false));
    }

    #[test]
    fn a_flood_of_unknown_sources_is_told_in_part() {
        let mut account = Account::default();
        (0..10_000).for_each(|ssrc| account.unknown(Ssrc(ssrc), PayloadType(0)));
        assert_eq!(account.take().len(), MAX_UNKNOWN);
    }
}
