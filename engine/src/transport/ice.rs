//! ICE-lite credentials without a table (RFC 8445 §5.3, App. A): the ufrag says which session it belongs to, and the password
//! follows from the ufrag, so that any shard can check and answer any connectivity check without asking another.
//!
//! ```text
//!  ufrag = base64( session 40 bits │ generation 8 │ birth 24 │ MAC 48 )      20 characters
//!                  └──────────── what it claims ───────────┘   HMAC-SHA256(key, "ufrag" ‖ claims)
//!  pwd   = base64( HMAC-SHA256(key, "pwd" ‖ ufrag), the first 192 bits )     32 characters
//! ```
//!
//! The alphabet of base64 is exactly the ice-char of RFC 8839 §5.4. RFC 8445 §5.3 asks for 24 and 128 bits of randomness at
//! least: the key's are in the MAC and the password. An ICE restart is another generation, and so another ufrag *and* password.
//!
//! Left to others: whether the session is alive, and whether the generation is still allowed.

use crate::control::SessionId;
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use std::fmt;

/// Characters of every ufrag of ours.
pub const UFRAG_LEN: usize = 20;
/// Characters of every password of ours.
pub const PWD_LEN: usize = 32;
/// Session ids are below this: 40 bits are 34 years of a thousand sessions a second.
pub const SESSION_LIMIT: u64 = 1 << 40;
/// Births are counted modulo this: 194 days of seconds.
pub const BIRTH_MODULUS: u32 = 1 << 24;

const CLAIMS: usize = 9;
const MAC: usize = 6;
const PWD_BYTES: usize = 24;

/// The process's secret. All ufrags and passwords follow from it.
#[derive(Clone)]
pub struct IceKey(hmac::Key);

/// What the answer says of our ICE agent, for one session and generation.
#[derive(Clone, PartialEq, Eq)]
pub struct IceCredentials {
    /// `a=ice-ufrag`.
    pub ufrag: String,
    /// `a=ice-pwd`.
    pub pwd: String,
}

/// What a ufrag of ours says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct UfragClaims {
    /// The session.
    pub session: SessionId,
    /// 0, and one more after each ICE restart.
    pub generation: u8,
    /// When the credentials were made: coarse seconds since the engine's start, modulo [`BIRTH_MODULUS`].
    pub birth: u32,
}

impl UfragClaims {
    /// Seconds since the birth, for a `now` that counts as `birth` does. Right for anything younger than 194 days.
    pub fn age(&self, now: u32) -> u32 {
        now.wrapping_sub(self.birth) % BIRTH_MODULUS
    }

    fn to_bytes(self) -> [u8; CLAIMS] {
        let mut bytes = [0; CLAIMS];
        bytes[..5].copy_from_slice(&self.session.0.to_be_bytes()[3..]);
        bytes[5] = self.generation;
        bytes[6..].copy_from_slice(&self.birth.to_be_bytes()[1..]);
        bytes
    }

    fn from_bytes(bytes: [u8; CLAIMS]) -> UfragClaims {
        let [s0, s1, s2, s3, s4, generation, b0, b1, b2] = bytes;
        UfragClaims {
            session: SessionId(u64::from_be_bytes([0, 0, 0, s0, s1, s2, s3, s4])),
            generation,
            birth: u32::from_be_bytes([0, b0, b1, b2]),
        }
    }
}

impl IceKey {
    /// The key from 32 random bytes, which nobody else ever sees.
    pub fn new(secret: &[u8; 32]) -> IceKey {
        IceKey(hmac::Key::new(hmac::HMAC_SHA256, secret))
    }

    /// The credentials of a session's generation. `session` is below [`SESSION_LIMIT`]; `birth` counts modulo
    /// [`BIRTH_MODULUS`].
    pub fn credentials(&self, session: SessionId, generation: u8, birth: u32) -> IceCredentials {
        debug_assert!(session.0 < SESSION_LIMIT);
        let claims = UfragClaims { session, generation, birth }.to_bytes();
        let mut bytes = [0; CLAIMS + MAC];
        bytes[..CLAIMS].copy_from_slice(&claims);
        bytes[CLAIMS..].copy_from_slice(&self.ufrag_mac(&claims));
        let ufrag = STANDARD_NO_PAD.encode(bytes);
        let pwd = self.password(ufrag.as_bytes());
        IceCredentials { ufrag, pwd }
    }

    /// What a ufrag claims, if it is one of ours.
    pub fn parse_ufrag(&self, ufrag: &[u8]) -> Option<UfragClaims> {
        let mut bytes = [0; CLAIMS + MAC];
        // The length is looked at first, as the decoder takes fewer characters too.
        let decoded = ufrag.len() == UFRAG_LEN && STANDARD_NO_PAD.decode_slice(ufrag, &mut bytes) == Ok(bytes.len());
        let (claims, mac) = bytes.split_first_chunk::<CLAIMS>()?;
        let genuine = verify_slices_are_equal(&self.ufrag_mac(claims), mac).is_ok();
        (decoded && genuine).then(|| UfragClaims::from_bytes(*claims))
    }

    /// The password that belongs to a ufrag of ours.
    pub(super) fn password(&self, ufrag: &[u8]) -> String {
        STANDARD_NO_PAD.encode(&self.mac(b"pwd", ufrag).as_ref()[..PWD_BYTES])
    }

    fn ufrag_mac(&self, claims: &[u8; CLAIMS]) -> [u8; MAC] {
        let tag = self.mac(b"ufrag", claims);
        let mut mac = [0; MAC];
        mac.copy_from_slice(&tag.as_ref()[..MAC]);
        mac
    }

    /// The purpose goes first, so that no MAC of one purpose is one of another.
    fn mac(&self, purpose: &[u8], message: &[u8]) -> hmac::Tag {
        let mut context = hmac::Context::with_key(&self.0);
        context.update(purpose);
        context.update(message);
        context.sign()
    }
}

impl fmt::Debug for IceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IceKey(..)")
    }
}

impl fmt::Debug for IceCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IceCredentials").field("ufrag", &self.ufrag).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SESSION: SessionId = SessionId(0x12_3456_789a);

    fn key() -> IceKey {
        IceKey::new(&[7; 32])
    }

    #[test]
    fn a_ufrag_says_what_it_was_made_of() {
        for (session, generation, birth) in [(0, 0, 0), (1, 2, 3), (SESSION_LIMIT - 1, 255, BIRTH_MODULUS - 1)] {
            let credentials = key().credentials(SessionId(session), generation, birth);
            let claims = UfragClaims { session: SessionId(session), generation, birth };
            assert_eq!(key().parse_ufrag(credentials.ufrag.as_bytes()), Some(claims));
        }
    }

    #[test]
    fn credentials_have_the_length_and_alphabet_of_rfc_8839() {
        let credentials = key().credentials(SESSION, 0, 17);
        assert_eq!((credentials.ufrag.len(), credentials.pwd.len()), (UFRAG_LEN, PWD_LEN));
        let is_ice_char = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/';
        assert!(credentials.ufrag.bytes().chain(credentials.pwd.bytes()).all(is_ice_char));
    }

    #[test]
    fn any_changed_character_makes_a_forgery() {
        let ufrag = key().credentials(SESSION, 0, 17).ufrag.into_bytes();
        for at in 0..ufrag.len() {
            for other in *b"Aa0+/:=- \0\xff" {
                let mut forged = ufrag.clone();
                if std::mem::replace(&mut forged[at], other) != other {
                    assert_eq!(key().parse_ufrag(&forged), None);
                }
            }
        }
    }

    #[test]
    fn a_ufrag_cut_short_or_made_longer_is_none_of_ours() {
        let ufrag = key().credentials(SESSION, 0, 17).ufrag.into_bytes();
        for length in 0..ufrag.len() {
            assert_eq!(key().parse_ufrag(&ufrag[..length]), None);
        }
        assert_eq!(key().parse_ufrag(&[&ufrag[..], b"A"].concat()), None);
        assert_eq!(key().parse_ufrag(&[&ufrag[..], b"===="].concat()), None);
    }

    #[test]
    fn another_process_has_other_credentials() {
        let [ours, theirs] = [[1; 32], [2; 32]].map(|secret| IceKey::new(&secret));
        let credentials = theirs.credentials(SESSION, 0, 17);
        assert_eq!(ours.parse_ufrag(credentials.ufrag.as_bytes()), None);
        assert_ne!(ours.credentials(SESSION, 0, 17), credentials);
    }

    #[test]
    fn an_ice_restart_changes_ufrag_and_password() {
        let [one, two] = [0, 1].map(|generation| key().credentials(SESSION, generation, 17));
        assert_ne!(one.ufrag, two.ufrag);
        assert_ne!(one.pwd, two.pwd);
    }

    #[test]
    fn the_age_is_right_across_the_wrap() {
        let claims = UfragClaims { session: SESSION, generation: 0, birth: BIRTH_MODULUS - 10 };
        assert_eq!(claims.age(BIRTH_MODULUS + 5), 15);
        assert_eq!(claims.age(5), 15);
    }

    #[test]
    fn secrets_are_not_printed() {
        let credentials = key().credentials(SESSION, 0, 17);
        assert!(!format!("{:?} {credentials:?}", key()).contains(&credentials.pwd));
    }
}
