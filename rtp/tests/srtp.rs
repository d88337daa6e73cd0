//! SRTP with itself: what a receiver accepts, refuses and remembers.

mod packets;

use oneport_rtp::srtp::{KeyingMaterial, MasterKey, Profile, Protect, ProtectError, Unprotect, UnprotectError};
use packets::{PROFILES, Random, Secret, protected, rtcp, rtp, unprotected};

fn pair(profile: Profile, random: &mut Random) -> (Protect, Unprotect) {
    let secret = Secret::random(profile, random);
    (Protect::new(profile, &secret.master()), Unprotect::new(profile, &secret.master()))
}

fn send_rtp(protect: &mut Protect, packet: &[u8], index: usize) -> Vec<u8> {
    protected(packet, |buffer, len| protect.protect_rtp(buffer, len, (index >> 16) as u32))
}

fn receive_rtp(unprotect: &mut Unprotect, packet: &[u8]) -> Result<Vec<u8>, UnprotectError> {
    unprotected(packet, |buffer| unprotect.unprotect_rtp(buffer))
}

fn send_rtcp(protect: &mut Protect, packet: &[u8]) -> Vec<u8> {
    protected(packet, |buffer, len| protect.protect_rtcp(buffer, len))
}

fn receive_rtcp(unprotect: &mut Unprotect, packet: &[u8]) -> Result<Vec<u8>, UnprotectError> {
    unprotected(packet, |buffer| unprotect.unprotect_rtcp(buffer))
}

#[test]
fn rtp_survives_wraps_loss_and_reordering() {
    let mut random = Random(10);
    for profile in PROFILES {
        let (mut protect, mut unprotect) = pair(profile, &mut random);
        for ssrc in [1, 2] {
            let mut held = Vec::new();
            for index in (65_000..340_000).step_by(7) {
                let packet = rtp(&mut random, ssrc, index as u16);
                held.push((send_rtp(&mut protect, &packet, index), packet));
                if random.one_in(10) {
                    held.pop();
                }
                // A batch at a time in random order: nothing is later than 20 packets of 7 indices each.
                let arriving = if held.len() < 20 { 0 } else { held.len() };
                for _ in 0..arriving {
                    let (wire, packet) = held.swap_remove(random.below(held.len()));
                    assert_eq!(receive_rtp(&mut unprotect, &wire), Ok(packet), "{profile:?} around {index}");
                }
            }
        }
    }
}

#[test]
fn rtp_is_accepted_once() {
    let mut random = Random(11);
    for profile in PROFILES {
        let (mut protect, mut unprotect) = pair(profile, &mut random);
        let wires: Vec<_> = (65_000..67_000)
            .map(|index| {
                let packet = rtp(&mut random, 5, index as u16);
                send_rtp(&mut protect, &packet, index)
            })
            .collect();
        wires.iter().for_each(|wire| assert!(receive_rtp(&mut unprotect, wire).is_ok()));
        for (at, wire) in wires.iter().enumerate() {
            let expected = if at < 2_000 - 1_024 { UnprotectError::TooOld } else { UnprotectError::Replayed };
            assert_eq!(receive_rtp(&mut unprotect, wire), Err(expected), "{profile:?} {at}");
        }
    }
}

#[test]
fn rtcp_is_accepted_once_and_in_any_order() {
    let mut random = Random(12);
    for profile in PROFILES {
        let (mut protect, mut unprotect) = pair(profile, &mut random);
        let packets: Vec<_> = (0..1_500).map(|_| rtcp(&mut random, 9)).collect();
        let wires: Vec<_> = packets.iter().map(|packet| send_rtcp(&mut protect, packet)).collect();
        for at in (1..1_500).step_by(2).chain((500..1_500).step_by(2)) {
            assert_eq!(receive_rtcp(&mut unprotect, &wires[at]).as_ref(), Ok(&packets[at]));
        }
        assert_eq!(receive_rtcp(&mut unprotect, &wires[475]), Err(UnprotectError::TooOld));
        assert_eq!(receive_rtcp(&mut unprotect, &wires[476]).as_ref(), Ok(&packets[476]));
        assert_eq!(receive_rtcp(&mut unprotect, &wires[476]), Err(UnprotectError::Replayed));
        assert_eq!(receive_rtcp(&mut unprotect, &wires[1_499]), Err(UnprotectError::Replayed));
    }
}

#[test]
fn every_flipped_bit_is_noticed_and_changes_nothing() {
    let mut random = Random(13);
    for profile in PROFILES {
        let (mut protect, mut unprotect) = pair(profile, &mut random);
        let first = rtp(&mut random, 3, 100);
        assert!(receive_rtp(&mut unprotect, &send_rtp(&mut protect, &first, 100)).is_ok());
        let packet = [&[0x91, 96, 0, 101, 0, 0, 0, 0, 0, 0, 0, 3][..], &[7; 4], &[0xbe, 0xde, 0, 1], &[1; 44]].concat();
        let wire = send_rtp(&mut protect, &packet, 101);
        let report = rtcp(&mut random, 3);
        let srtcp = send_rtcp(&mut protect, &report);
        for bit in 0..8 * wire.len() {
            let mut damaged = wire.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(receive_rtp(&mut unprotect, &damaged).is_err(), "{profile:?} bit {bit}");
        }
        for bit in 0..8 * srtcp.len() {
            let mut damaged = srtcp.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(receive_rtcp(&mut unprotect, &damaged).is_err(), "{profile:?} bit {bit}");
        }
        assert_eq!(receive_rtp(&mut unprotect, &wire), Ok(packet));
        assert_eq!(receive_rtcp(&mut unprotect, &srtcp), Ok(report));
    }
}

#[test]
fn the_two_sides_of_a_handshake_have_different_keys() {
    let mut random = Random(14);
    for profile in PROFILES {
        let exported = random.bytes(profile.keying_material_len());
        let material = KeyingMaterial::split(profile, &exported).unwrap();
        let mut client = Protect::new(profile, &material.client);
        let packet = rtp(&mut random, 3, 1);
        let wire = send_rtp(&mut client, &packet, 1);
        let reflected = receive_rtp(&mut Unprotect::new(profile, &material.server), &wire);
        assert_eq!(reflected, Err(UnprotectError::Authentication));
        assert_eq!(receive_rtp(&mut Unprotect::new(profile, &material.client), &wire), Ok(packet));
    }
}

#[test]
fn a_forger_cannot_push_out_a_stream() {
    let mut random = Random(15);
    for profile in PROFILES {
        let (mut protect, mut unprotect) = pair(profile, &mut random);
        let (mut forger, _) = pair(profile, &mut random);
        let packet = rtp(&mut random, 3, 65_535);
        assert!(receive_rtp(&mut unprotect, &send_rtp(&mut protect, &packet, 65_535)).is_ok());
        for ssrc in 100..300 {
            let forged = rtp(&mut random, ssrc, 1);
            let verdict = receive_rtp(&mut unprotect, &send_rtp(&mut forger, &forged, 1));
            assert_eq!(verdict, Err(UnprotectError::Authentication));
        }
        let packet = rtp(&mut random, 3, 0);
        let wire = send_rtp(&mut protect, &packet, 65_536);
        assert_eq!(receive_rtp(&mut unprotect, &wire), Ok(packet), "the rollover counter was kept");
    }
}

#[test]
fn the_65th_ssrc_replaces_the_one_unused_longest() {
    let mut random = Random(16);
    let (mut protect, mut unprotect) = pair(Profile::AeadAes128Gcm, &mut random);
    let wires: Vec<_> = (0..65)
        .map(|ssrc| {
            let packet = rtp(&mut random, ssrc, 1);
            send_rtp(&mut protect, &packet, 1)
        })
        .collect();
    wires.iter().for_each(|wire| assert!(receive_rtp(&mut unprotect, wire).is_ok()));
    assert_eq!(receive_rtp(&mut unprotect, &wires[1]), Err(UnprotectError::Replayed));
    assert!(receive_rtp(&mut unprotect, &wires[0]).is_ok(), "SSRC 0 was forgotten, and SSRC 1 is now");
    assert!(receive_rtp(&mut unprotect, &wires[1]).is_ok());
}

#[test]
fn srtcp_in_the_clear_is_refused() {
    let mut random = Random(17);
    for profile in PROFILES {
        let (mut protect, mut unprotect) = pair(profile, &mut random);
        let mut wire = send_rtcp(&mut protect, &rtcp(&mut random, 3));
        let word_at = if profile == Profile::Aes128CmSha1_80 { wire.len() - 14 } else { wire.len() - 4 };
        wire[word_at] &= 0x7f;
        assert_eq!(receive_rtcp(&mut unprotect, &wire), Err(UnprotectError::Unencrypted));
    }
}

#[test]
fn any_octets_at_all_give_an_error() {
    let mut random = Random(18);
    for profile in PROFILES {
        let (mut protect, mut unprotect) = pair(profile, &mut random);
        for round in 0..20_000 {
            let len = random.below(120);
            let mut packet = random.bytes(len);
            if let Some(first) = packet.first_mut().filter(|_| round % 2 == 0) {
                *first = *first & 0x3f | 0x80;
            }
            assert!(unprotect.unprotect_rtp(&mut packet.clone()).is_err());
            assert!(unprotect.unprotect_rtcp(&mut packet.clone()).is_err());
            // Without room, whatever it is.
            assert!(protect.protect_rtp(&mut packet.clone(), len, 0).is_err());
            assert!(protect.protect_rtcp(&mut packet, len).is_err());
        }
    }
}

#[test]
fn protection_names_its_reason() {
    for profile in PROFILES {
        let master = MasterKey::new(&vec![1; profile.key_len()], &vec![2; profile.salt_len()]);
        let mut protect = Protect::new(profile, &master);
        let mut buffer = vec![0x80; 70_000];
        let overhead = profile.rtp_overhead();
        assert_eq!(protect.protect_rtp(&mut buffer, 11, 0), Err(ProtectError::Malformed));
        assert_eq!(protect.protect_rtcp(&mut buffer, 7), Err(ProtectError::Malformed));
        assert_eq!(protect.protect_rtp(&mut buffer[..11 + overhead], 12, 0), Err(ProtectError::NoRoom));
        assert_eq!(protect.protect_rtp(&mut buffer[..10], 12, 0), Err(ProtectError::NoRoom));
        assert_eq!(protect.protect_rtp(&mut buffer, usize::MAX, 0), Err(ProtectError::TooLong));
        assert_eq!(protect.protect_rtp(&mut buffer, 65_536 - overhead, 0), Err(ProtectError::TooLong));
        assert!(buffer.iter().all(|&octet| octet == 0x80), "a refusal leaves the packet alone");
        assert_eq!(protect.protect_rtp(&mut buffer, 12, 0), Ok(12 + overhead));
        assert_eq!(protect.protect_rtp(&mut buffer, 65_535 - overhead, 1), Ok(65_535));
        assert_eq!(Unprotect::new(profile, &master).unprotect_rtp(&mut buffer), Err(UnprotectError::Malformed));
    }
}

#[test]
fn secrets_are_not_printed() {
    let mut random = Random(19);
    let secret = Secret { key: vec![0xab; 16], salt: vec![0xcd; 12] };
    let (protect, unprotect) = pair(Profile::AeadAes128Gcm, &mut random);
    assert_eq!(format!("{:?}", secret.master()), "MasterKey { .. }");
    assert_eq!(format!("{protect:?}"), "Protect { profile: AeadAes128Gcm, .. }");
    assert_eq!(format!("{unprotect:?}"), "Unprotect { profile: AeadAes128Gcm, .. }");
}
