//! Master keys as DTLS exports them (RFC 5764 §4.2) and the session keys derived from them (RFC 3711 §4.3).
//!
//! The key derivation rate is zero, as DTLS-SRTP has no way to say another, so each key is derived once. The GCM
//! profiles use the same function with AES of their key length and the 96-bit salt padded on the right
//! (RFC 7714 §11).

use aws_lc_rs::cipher::{AES_128, AES_256, EncryptingKey, EncryptionContext, UnboundCipherKey};
use aws_lc_rs::iv::FixedLength;
use std::fmt;
use zeroize::Zeroizing;

use super::profile::Profile;

/// One sender's master key and master salt; overwritten with zeros when dropped.
pub struct MasterKey {
    key: Zeroizing<Box<[u8]>>,
    salt: Zeroizing<Box<[u8]>>,
}

impl MasterKey {
    /// Takes a copy of `key` and `salt`, whose lengths are those of the profile they will serve.
    pub fn new(key: &[u8], salt: &[u8]) -> Self {
        Self { key: Zeroizing::new(key.into()), salt: Zeroizing::new(salt.into()) }
    }

    /// The session keys' source for `profile`.
    ///
    /// # Panics
    ///
    /// If the key or the salt has not the profile's length: a fault of the program, as no peer chooses either.
    pub(super) fn derivation(&self, profile: Profile) -> Derivation {
        assert_eq!(self.key.len(), profile.key_len(), "master key length");
        assert_eq!(self.salt.len(), profile.salt_len(), "master salt length");
        let mut salt = Zeroizing::new([0; 16]);
        salt[..self.salt.len()].copy_from_slice(&self.salt);
        Derivation { prf: counter_mode_key(&self.key), salt }
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MasterKey").finish_non_exhaustive()
    }
}

/// Both sides' master keys, split out of the DTLS exporter's output.
#[derive(Debug)]
pub struct KeyingMaterial {
    /// What the DTLS client protects with.
    pub client: MasterKey,
    /// What the DTLS server protects with.
    pub server: MasterKey,
}

impl KeyingMaterial {
    /// Splits the exporter's output: client key, server key, client salt, server salt. `None` if it is not exactly
    /// [`Profile::keying_material_len`] long.
    pub fn split(profile: Profile, exported: &[u8]) -> Option<Self> {
        if exported.len() != profile.keying_material_len() {
            return None;
        }
        let (keys, salts) = exported.split_at(2 * profile.key_len());
        let (client_key, server_key) = keys.split_at(profile.key_len());
        let (client_salt, server_salt) = salts.split_at(profile.salt_len());
        Some(Self { client: MasterKey::new(client_key, client_salt), server: MasterKey::new(server_key, server_salt) })
    }
}

/// What a session key is for (RFC 3711 §4.3.1, §4.3.2).
#[derive(Clone, Copy, Debug)]
pub(super) enum Label {
    RtpEncryption = 0,
    RtpAuthentication = 1,
    RtpSalt = 2,
    RtcpEncryption = 3,
    RtcpAuthentication = 4,
    RtcpSalt = 5,
}

/// The pseudo-random function of RFC 3711 §4.3.3, keyed.
pub(super) struct Derivation {
    prf: EncryptingKey,
    /// The master salt times 2^16 and more, so that it begins the counter block.
    salt: Zeroizing<[u8; 16]>,
}

impl Derivation {
    /// The first `N` octets of the key stream for `label`.
    pub(super) fn derive<const N: usize>(&self, label: Label) -> Zeroizing<[u8; N]> {
        /// Where `label || r` with its 48 bits of r = 0 puts the label, in the 112 bits that it shares with the salt.
        const LABEL_AT: usize = 7;
        let mut block = *self.salt;
        block[LABEL_AT] ^= label as u8;
        let mut key = Zeroizing::new([0; N]);
        self.prf
            .less_safe_encrypt(&mut key[..], EncryptionContext::Iv128(FixedLength::from(block)))
            .expect("counter mode takes any short input");
        key
    }
}

/// AES in counter mode under a key of 16 or 32 octets.
pub(super) fn counter_mode_key(key: &[u8]) -> EncryptingKey {
    let algorithm = if key.len() == 32 { &AES_256 } else { &AES_128 };
    UnboundCipherKey::new(algorithm, key).and_then(EncryptingKey::ctr).expect("the key has the profile's length")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exported_octets_are_keys_then_salts_client_first() {
        let exported: Vec<u8> = (0..60).collect();
        let material = KeyingMaterial::split(Profile::Aes128CmSha1_80, &exported).unwrap();
        assert_eq!(material.client.key[..], exported[..16]);
        assert_eq!(material.server.key[..], exported[16..32]);
        assert_eq!(material.client.salt[..], exported[32..46]);
        assert_eq!(material.server.salt[..], exported[46..]);
        assert!(KeyingMaterial::split(Profile::Aes128CmSha1_80, &exported[..59]).is_none());
    }
}
