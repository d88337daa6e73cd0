//! The two transforms: AES-GCM (RFC 7714) and AES in counter mode with HMAC-SHA1-80 (RFC 3711 §4.1.1, §4.2.1).
//!
//! A transform has the session keys of one direction of RTP or of RTCP. It knows the packets' layout and the
//! nonces; which index a packet has, and whether it was seen before, is its caller's business.

use aws_lc_rs::aead::{AES_128_GCM, AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::cipher::{EncryptingKey, EncryptionContext};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::hmac;
use aws_lc_rs::iv::FixedLength;

use super::header::RTCP_HEADER_LEN;
use super::kdf::{Derivation, Label, counter_mode_key};
use super::profile::Profile;

/// The longest packet that is protected or unprotected, as no UDP datagram is longer. It also keeps a packet inside
/// of the 2^16 blocks of key stream that RFC 3711 §4.1.1 gives to each index.
pub(super) const MAX_PACKET_LEN: usize = 65_535;

/// The E flag of SRTCP: the packet is encrypted.
pub(super) const ENCRYPTED: u32 = 1 << 31;

const GCM_TAG_LEN: usize = 16;
const SHA1_80_TAG_LEN: usize = 10;
const SRTCP_WORD_LEN: usize = 4;

/// What makes a packet's key stream its own: the SSRC and the 48-bit (RTP) or 31-bit (RTCP) index.
#[derive(Clone, Copy, Debug)]
pub(super) struct PacketId {
    pub(super) ssrc: u32,
    pub(super) index: u64,
}

impl PacketId {
    /// `salt` with the SSRC and then the index, in 48 bits, XORed into its last ten octets. Both transforms'
    /// formulas come to this (RFC 3711 §4.1.1, RFC 7714 §8.1 and §9.1).
    fn mask<const N: usize>(self, mut salt: [u8; N]) -> [u8; N] {
        let (ssrc, index) = (self.ssrc.to_be_bytes(), self.index.to_be_bytes());
        let id = ssrc.iter().chain(&index[2..]);
        salt[N - 10..].iter_mut().zip(id).for_each(|(octet, id)| *octet ^= id);
        salt
    }

    fn roc(self) -> [u8; 4] {
        ((self.index >> 16) as u32).to_be_bytes()
    }

    fn srtcp_word(self) -> [u8; SRTCP_WORD_LEN] {
        (self.index as u32 | ENCRYPTED).to_be_bytes()
    }
}

/// The session keys of RTP or of RTCP under one master key.
pub(super) enum Transform {
    Gcm(Gcm),
    /// Boxed, as the HMAC state and the AES schedules lie in it and are forty times the size of a GCM key.
    CmSha1(Box<CmSha1>),
}

impl Transform {
    pub(super) fn rtp(profile: Profile, keys: &Derivation) -> Self {
        Self::new(profile, keys, [Label::RtpEncryption, Label::RtpAuthentication, Label::RtpSalt])
    }

    pub(super) fn rtcp(profile: Profile, keys: &Derivation) -> Self {
        Self::new(profile, keys, [Label::RtcpEncryption, Label::RtcpAuthentication, Label::RtcpSalt])
    }

    fn new(profile: Profile, keys: &Derivation, [encryption, authentication, salt]: [Label; 3]) -> Self {
        match profile {
            Profile::AeadAes128Gcm => {
                let key = UnboundKey::new(&AES_128_GCM, &keys.derive::<16>(encryption)[..]);
                Self::Gcm(Gcm::new(key, *keys.derive(salt)))
            }
            Profile::AeadAes256Gcm => {
                let key = UnboundKey::new(&AES_256_GCM, &keys.derive::<32>(encryption)[..]);
                Self::Gcm(Gcm::new(key, *keys.derive(salt)))
            }
            Profile::Aes128CmSha1_80 => Self::CmSha1(Box::new(CmSha1 {
                key: counter_mode_key(&keys.derive::<16>(encryption)[..]),
                mac: hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &keys.derive::<20>(authentication)[..]),
                salt: *keys.derive(salt),
            })),
        }
    }

    /// Encrypts what follows the header and fills the tag, for which the end of `packet` has room.
    pub(super) fn seal_rtp(&self, packet: &mut [u8], header_len: usize, id: PacketId) -> Result<(), Unspecified> {
        match self {
            Self::Gcm(gcm) => {
                let (header, rest) = packet.split_at_mut(header_len);
                gcm.seal(id, header, rest)
            }
            Self::CmSha1(cm) => {
                let (message, tag) = packet.split_at_mut(packet.len() - SHA1_80_TAG_LEN);
                cm.crypt(id, &mut message[header_len..])?;
                tag.copy_from_slice(&cm.tag(&[message, &id.roc()]));
                Ok(())
            }
        }
    }

    /// Checks the tag and decrypts what follows the header.
    pub(super) fn open_rtp(&self, packet: &mut [u8], header_len: usize, id: PacketId) -> Result<(), Unspecified> {
        match self {
            Self::Gcm(gcm) => {
                let (header, rest) = packet.split_at_mut(header_len);
                gcm.open(id, header, rest)
            }
            Self::CmSha1(cm) => {
                let (message, tag) = packet.split_at_mut(packet.len() - SHA1_80_TAG_LEN);
                verify_slices_are_equal(&cm.tag(&[message, &id.roc()]), tag)?;
                cm.crypt(id, &mut message[header_len..])
            }
        }
    }

    /// Encrypts what follows the first 8 octets and fills the tag and the E+index word, for which the end of `packet`
    /// has room.
    pub(super) fn seal_rtcp(&self, packet: &mut [u8], id: PacketId) -> Result<(), Unspecified> {
        let word_at = self.srtcp_word_at(packet.len());
        packet[word_at..word_at + SRTCP_WORD_LEN].copy_from_slice(&id.srtcp_word());
        match self {
            Self::Gcm(gcm) => {
                let (header, rest) = packet[..word_at].split_at_mut(RTCP_HEADER_LEN);
                gcm.seal(id, &rtcp_aad(header, id), rest)
            }
            Self::CmSha1(cm) => {
                cm.crypt(id, &mut packet[RTCP_HEADER_LEN..word_at])?;
                let (message, tag) = packet.split_at_mut(packet.len() - SHA1_80_TAG_LEN);
                tag.copy_from_slice(&cm.tag(&[message]));
                Ok(())
            }
        }
    }

    /// Checks the tag and decrypts what follows the first 8 octets.
    pub(super) fn open_rtcp(&self, packet: &mut [u8], id: PacketId) -> Result<(), Unspecified> {
        let word_at = self.srtcp_word_at(packet.len());
        match self {
            Self::Gcm(gcm) => {
                let (header, rest) = packet[..word_at].split_at_mut(RTCP_HEADER_LEN);
                gcm.open(id, &rtcp_aad(header, id), rest)
            }
            Self::CmSha1(cm) => {
                let (message, tag) = packet.split_at_mut(packet.len() - SHA1_80_TAG_LEN);
                verify_slices_are_equal(&cm.tag(&[message]), tag)?;
                cm.crypt(id, &mut packet[RTCP_HEADER_LEN..word_at])
            }
        }
    }

    /// The E+index word of an SRTCP packet that is at least [`Profile::rtcp_overhead`] long.
    pub(super) fn srtcp_word(&self, packet: &[u8]) -> u32 {
        packet[self.srtcp_word_at(packet.len())..].first_chunk().copied().map_or(0, u32::from_be_bytes)
    }

    /// GCM's tag is part of its ciphertext and so comes before the word (RFC 7714 §9.4); HMAC's comes after it.
    fn srtcp_word_at(&self, packet_len: usize) -> usize {
        match self {
            Self::Gcm(_) => packet_len - SRTCP_WORD_LEN,
            Self::CmSha1(_) => packet_len - SRTCP_WORD_LEN - SHA1_80_TAG_LEN,
        }
    }
}

/// The associated data of SRTCP under GCM: the 8 octets in the clear, then the E+index word (RFC 7714 §9.2).
fn rtcp_aad(header: &[u8], id: PacketId) -> [u8; RTCP_HEADER_LEN + SRTCP_WORD_LEN] {
    let mut aad = [0; RTCP_HEADER_LEN + SRTCP_WORD_LEN];
    aad[..RTCP_HEADER_LEN].copy_from_slice(header);
    aad[RTCP_HEADER_LEN..].copy_from_slice(&id.srtcp_word());
    aad
}

/// AES-GCM with the 96-bit session salt of its nonces.
pub(super) struct Gcm {
    key: LessSafeKey,
    salt: [u8; 12],
}

impl Gcm {
    pub(super) fn new(key: Result<UnboundKey, Unspecified>, salt: [u8; 12]) -> Self {
        Self { key: LessSafeKey::new(key.expect("the key has the algorithm's length")), salt }
    }

    fn nonce(&self, id: PacketId) -> Nonce {
        Nonce::assume_unique_for_key(id.mask(self.salt))
    }

    /// `text` is the plaintext and then room for the tag.
    fn seal(&self, id: PacketId, aad: &[u8], text: &mut [u8]) -> Result<(), Unspecified> {
        let (plaintext, room) = text.split_at_mut(text.len() - GCM_TAG_LEN);
        let tag = self.key.seal_in_place_separate_tag(self.nonce(id), Aad::from(aad), plaintext)?;
        room.copy_from_slice(tag.as_ref());
        Ok(())
    }

    /// `text` is the ciphertext and then the tag.
    fn open(&self, id: PacketId, aad: &[u8], text: &mut [u8]) -> Result<(), Unspecified> {
        self.key.open_in_place(self.nonce(id), Aad::from(aad), text).map(drop)
    }
}

/// AES-128 in counter mode, HMAC-SHA1 cut to 80 bits, and the 112-bit session salt of the counter blocks.
pub(super) struct CmSha1 {
    key: EncryptingKey,
    mac: hmac::Key,
    salt: [u8; 14],
}

impl CmSha1 {
    /// Encrypts or decrypts, which is the same in counter mode.
    fn crypt(&self, id: PacketId, text: &mut [u8]) -> Result<(), Unspecified> {
        let mut block = [0; 16];
        block[..14].copy_from_slice(&id.mask(self.salt));
        self.key.less_safe_encrypt(text, EncryptionContext::Iv128(FixedLength::from(block))).map(drop)
    }

    /// The tag over the concatenation of `parts`.
    fn tag(&self, parts: &[&[u8]]) -> [u8; SHA1_80_TAG_LEN] {
        let mut mac = hmac::Context::with_key(&self.mac);
        parts.iter().for_each(|part| mac.update(part));
        let mut tag = [0; SHA1_80_TAG_LEN];
        tag.copy_from_slice(&mac.sign().as_ref()[..SHA1_80_TAG_LEN]);
        tag
    }
}
