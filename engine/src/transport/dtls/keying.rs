//! What DTLS hands to SRTP: the exported keys (RFC 5764 §4.2). Which profiles there are, `oneport_rtp::srtp` says.

use oneport_rtp::srtp::Profile;
use std::fmt;
use zeroize::Zeroizing;

/// The profiles that we take, in our order: GCM costs half of CM with SHA1, and 128 bits less than 256.
pub(super) const PREFERENCE: [Profile; 3] = [Profile::AeadAes128Gcm, Profile::AeadAes256Gcm, Profile::Aes128CmSha1_80];

/// OpenSSL's name of a profile.
pub(super) fn openssl_name(profile: Profile) -> &'static str {
    match profile {
        Profile::AeadAes128Gcm => "SRTP_AEAD_AES_128_GCM",
        Profile::AeadAes256Gcm => "SRTP_AEAD_AES_256_GCM",
        Profile::Aes128CmSha1_80 => "SRTP_AES128_CM_SHA1_80",
    }
}

/// The master keys and salts of both directions, as the exporter gave them. Wiped when dropped, and shown by nothing.
pub struct KeyingMaterial(Zeroizing<Vec<u8>>);

impl KeyingMaterial {
    /// Room for a profile's keys, to be filled by the exporter.
    pub(super) fn empty(profile: Profile) -> KeyingMaterial {
        KeyingMaterial(Zeroizing::new(vec![0; profile.keying_material_len()]))
    }

    pub(super) fn as_mut(&mut self) -> &mut [u8] {
        &mut self.0
    }

    /// All of it.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for KeyingMaterial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyingMaterial(..)")
    }
}
