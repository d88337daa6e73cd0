//! SRTP against libsrtp 2, octet by octet and verdict by verdict. Needs libsrtp2-dev.

mod oracle;
mod packets;

use oneport_rtp::srtp::{Profile, Protect, Unprotect, UnprotectError};
use oracle::{Direction, Session, Status};
use packets::{PROFILES, Random, Secret, protected, rtcp, rtp, unprotected};

/// Both implementations of one side of a transport.
struct Side {
    protect: Protect,
    unprotect: Unprotect,
    libsrtp_out: Session,
    libsrtp_in: Session,
}

impl Side {
    fn new(profile: Profile, random: &mut Random) -> Self {
        let secret = Secret::random(profile, random);
        Self {
            protect: Protect::new(profile, &secret.master()),
            unprotect: Unprotect::new(profile, &secret.master()),
            libsrtp_out: Session::new(profile, Direction::Outbound, &secret.key, &secret.salt),
            libsrtp_in: Session::new(profile, Direction::Inbound, &secret.key, &secret.salt),
        }
    }

    fn protect_rtp(&mut self, packet: &[u8], roc: u32) -> Vec<u8> {
        protected(packet, |buffer, len| self.protect.protect_rtp(buffer, len, roc))
    }
}

#[test]
fn rtp_is_the_same_octets_in_both_directions_over_wraps_and_gaps() {
    let mut random = Random(1);
    for profile in PROFILES {
        let mut side = Side::new(profile, &mut random);
        for ssrc in [random.next() as u32, random.next() as u32] {
            let mut index = random.below(1 << 15);
            for _ in 0..2_000 {
                index += if random.one_in(10) { random.below(2_000) + 1 } else { 1 };
                let packet = rtp(&mut random, ssrc, index as u16);
                let ours = side.protect_rtp(&packet, (index >> 16) as u32);
                let theirs = protected(&packet, |buffer, len| side.libsrtp_out.protect_rtp(buffer, len));
                assert_eq!(ours, theirs, "{profile:?} index {index}");
                assert_eq!(ours.len(), packet.len() + profile.rtp_overhead());
                assert_eq!(unprotected(&theirs, |buffer| side.unprotect.unprotect_rtp(buffer)).as_ref(), Ok(&packet));
                assert_eq!(unprotected(&ours, |buffer| side.libsrtp_in.unprotect_rtp(buffer)).as_ref(), Ok(&packet));
            }
            assert!(index >> 16 >= 2, "the walk wraps more than once");
        }
    }
}

#[test]
fn rtcp_is_the_same_octets_in_both_directions() {
    let mut random = Random(2);
    for profile in PROFILES {
        let mut side = Side::new(profile, &mut random);
        let ssrc = random.next() as u32;
        // libsrtp's first SRTCP index is 1; RFC 3711 §3.4, and so the server, begin at 0. libsrtp takes both.
        let first = rtcp(&mut random, ssrc);
        let ours = protected(&first, |buffer, len| side.protect.protect_rtcp(buffer, len));
        assert_eq!(unprotected(&ours, |buffer| side.libsrtp_in.unprotect_rtcp(buffer)), Ok(first));
        for _ in 0..2_000 {
            let packet = rtcp(&mut random, ssrc);
            let ours = protected(&packet, |buffer, len| side.protect.protect_rtcp(buffer, len));
            let theirs = protected(&packet, |buffer, len| side.libsrtp_out.protect_rtcp(buffer, len));
            assert_eq!(ours, theirs, "{profile:?}");
            assert_eq!(ours.len(), packet.len() + profile.rtcp_overhead());
            assert_eq!(unprotected(&theirs, |buffer| side.unprotect.unprotect_rtcp(buffer)).as_ref(), Ok(&packet));
            assert_eq!(unprotected(&ours, |buffer| side.libsrtp_in.unprotect_rtcp(buffer)).as_ref(), Ok(&packet));
        }
    }
}

/// Damages a packet in about one of ten cases. Only behind the fixed header: there the two may refuse for different
/// reasons, as they check in a different order.
fn perhaps_damaged(random: &mut Random, packet: &[u8], behind: usize) -> Vec<u8> {
    let mut packet = packet.to_vec();
    if random.one_in(10) {
        let at = behind + random.below(packet.len() - behind);
        packet[at] ^= 1 << random.below(8);
    }
    packet
}

fn same_verdict(ours: Result<Vec<u8>, UnprotectError>, theirs: Result<Vec<u8>, Status>) -> bool {
    match (ours, theirs) {
        (Ok(ours), Ok(theirs)) => ours == theirs,
        (Err(UnprotectError::Authentication), Err(status)) => status == Status::AUTH_FAIL,
        (Err(UnprotectError::Replayed), Err(status)) => status == Status::REPLAY_FAIL,
        (Err(UnprotectError::TooOld), Err(status)) => status == Status::REPLAY_OLD,
        _ => false,
    }
}

/// A list that is out of order within `reach`, with losses and repetitions, the latter perhaps very late.
fn delivered(random: &mut Random, sent: &[Vec<u8>], reach: usize, late: usize) -> Vec<Vec<u8>> {
    let mut arrivals: Vec<(usize, usize)> = Vec::new();
    for at in 0..sent.len() {
        if !random.one_in(8) {
            arrivals.push((at + random.below(reach), at));
        }
        if random.one_in(5) {
            arrivals.push((at + random.below(late), at));
        }
    }
    arrivals.sort();
    arrivals.into_iter().map(|(_, at)| sent[at].clone()).collect()
}

#[test]
fn rtp_verdicts_agree_under_loss_reordering_replay_and_damage() {
    let mut random = Random(3);
    for profile in PROFILES {
        let mut side = Side::new(profile, &mut random);
        // From the middle of the first cycle, so that no late packet falls before it.
        let first = 40_000;
        let sent: Vec<_> = (first..first + 60_000)
            .step_by(3)
            .map(|index: usize| {
                let mut packet = rtp(&mut random, 7, index as u16);
                packet[0] &= !0x1f; // no CSRC, no extension: a flipped bit in them is a flipped payload bit
                side.protect_rtp(&packet, (index >> 16) as u32)
            })
            .collect();
        let mut refused = 0;
        for packet in delivered(&mut random, &sent, 30, 1_000) {
            let packet = perhaps_damaged(&mut random, &packet, 12);
            let ours = unprotected(&packet, |buffer| side.unprotect.unprotect_rtp(buffer));
            let theirs = unprotected(&packet, |buffer| side.libsrtp_in.unprotect_rtp(buffer));
            refused += usize::from(ours.is_err());
            assert!(same_verdict(ours.clone(), theirs.clone()), "{profile:?}: {ours:?} {theirs:?}");
        }
        assert!(refused > 1_000, "the test has refusals to compare");
    }
}

#[test]
fn rtcp_verdicts_agree_under_loss_reordering_replay_and_damage() {
    let mut random = Random(4);
    for profile in PROFILES {
        let mut side = Side::new(profile, &mut random);
        let sent: Vec<_> = (0..5_000)
            .map(|_| {
                let packet = rtcp(&mut random, 7);
                protected(&packet, |buffer, len| side.protect.protect_rtcp(buffer, len))
            })
            .collect();
        // libsrtp's SRTCP window is 128 whatever the policy says, so nothing is later than that.
        for packet in delivered(&mut random, &sent, 30, 60) {
            let packet = match profile {
                // Not in the E+index word, which decides the order of checks.
                Profile::Aes128CmSha1_80 => packet,
                _ => {
                    let (body, word) = packet.split_at(packet.len() - 4);
                    [perhaps_damaged(&mut random, body, 8).as_slice(), word].concat()
                }
            };
            let ours = unprotected(&packet, |buffer| side.unprotect.unprotect_rtcp(buffer));
            let theirs = unprotected(&packet, |buffer| side.libsrtp_in.unprotect_rtcp(buffer));
            assert!(same_verdict(ours.clone(), theirs.clone()), "{profile:?}: {ours:?} {theirs:?}");
        }
    }
}
