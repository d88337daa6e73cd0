//! Random but repeatable RTP and RTCP packets, shared by the SRTP tests.

#![allow(dead_code, unreachable_pub)] // each test binary uses its part

use oneport_rtp::srtp::{MasterKey, Profile};

pub const PROFILES: [Profile; 3] = [Profile::AeadAes128Gcm, Profile::AeadAes256Gcm, Profile::Aes128CmSha1_80];

/// Room behind a packet for what any profile, or libsrtp, appends.
pub const TRAILER: usize = 160;

/// A seeded generator (splitmix64), so that a failure repeats.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    pub fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    pub fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.next() as u8).collect()
    }
}

/// A master key and salt as plain octets, for those who need them twice.
pub struct Secret {
    pub key: Vec<u8>,
    pub salt: Vec<u8>,
}

impl Secret {
    pub fn random(profile: Profile, random: &mut Random) -> Self {
        Self { key: random.bytes(profile.key_len()), salt: random.bytes(profile.salt_len()) }
    }

    pub fn master(&self) -> MasterKey {
        MasterKey::new(&self.key, &self.salt)
    }
}

/// An RTP packet with up to 15 CSRCs, perhaps an extension, and up to 1,200 octets of payload, perhaps none.
pub fn rtp(random: &mut Random, ssrc: u32, sequence_number: u16) -> Vec<u8> {
    let csrcs = if random.one_in(3) { random.below(16) } else { 0 };
    let extended = random.one_in(2);
    let mut packet = vec![0x80 | u8::from(extended) << 4 | csrcs as u8, random.next() as u8];
    packet.extend(sequence_number.to_be_bytes());
    packet.extend(random.bytes(4));
    packet.extend(ssrc.to_be_bytes());
    packet.extend(random.bytes(4 * csrcs));
    if extended {
        let words = random.below(20);
        packet.extend([0xbe, 0xde, 0, words as u8]);
        packet.extend(random.bytes(4 * words));
    }
    let payload = if random.one_in(20) { 0 } else { random.below(1_200) };
    packet.extend(random.bytes(payload));
    packet
}

/// A compound RTCP packet as far as SRTCP looks at it: version, type, length and sender.
pub fn rtcp(random: &mut Random, ssrc: u32) -> Vec<u8> {
    let words = random.below(100);
    let mut packet = vec![0x81, 200];
    packet.extend((words as u16 + 1).to_be_bytes());
    packet.extend(ssrc.to_be_bytes());
    packet.extend(random.bytes(4 * words));
    packet
}

/// `packet` protected by `protect`, which gets it with room behind.
pub fn protected<E: std::fmt::Debug>(
    packet: &[u8],
    protect: impl FnOnce(&mut [u8], usize) -> Result<usize, E>,
) -> Vec<u8> {
    let mut buffer = packet.to_vec();
    buffer.resize(packet.len() + TRAILER, 0xaa);
    let len = protect(&mut buffer, packet.len()).expect("a valid packet with room is protected");
    assert!(buffer[len..].iter().all(|&octet| octet == 0xaa), "nothing is written behind the packet");
    buffer.truncate(len);
    buffer
}

/// `packet` unprotected by `unprotect`.
pub fn unprotected<E>(packet: &[u8], unprotect: impl FnOnce(&mut [u8]) -> Result<usize, E>) -> Result<Vec<u8>, E> {
    let mut buffer = packet.to_vec();
    let len = unprotect(&mut buffer)?;
    buffer.truncate(len);
    Ok(buffer)
}
