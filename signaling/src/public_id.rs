//! The secret of a session URL: 128 random bits (RFC 9725 §5), which have nothing to do with the id inside the engine.

use std::fmt;

/// Names a session in its URL. Who knows it may end the session, so it is never logged whole.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct PublicId([u8; 16]);

impl PublicId {
    /// A new one, from the kernel's random number generator.
    pub fn random() -> Result<PublicId, getrandom::Error> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes)?;
        Ok(PublicId(bytes))
    }

    /// The one of these bytes.
    pub fn from_bytes(bytes: [u8; 16]) -> PublicId {
        PublicId(bytes)
    }

    /// The one of 32 lower-case hexadecimal digits, as `Display` writes it.
    pub fn parse(text: &str) -> Option<PublicId> {
        let digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        if text.len() != 32 || !text.bytes().all(digit) {
            return None;
        }
        u128::from_str_radix(text, 16).ok().map(|value| PublicId(value.to_be_bytes()))
    }
}

impl fmt::Display for PublicId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

impl fmt::Debug for PublicId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicId({:02x}{:02x}…)", self.0[0], self.0[1])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_id_are_the_same_both_ways() {
        let id = PublicId::from_bytes([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 255]);
        assert_eq!(id.to_string(), "000102030405060708090a0b0c0d0eff");
        assert_eq!(PublicId::parse(&id.to_string()), Some(id));
        for bad in ["", "0001", "+00102030405060708090a0b0c0d0eff", "000102030405060708090A0B0C0D0EFF"] {
            assert_eq!(PublicId::parse(bad), None);
        }
    }

    #[test]
    fn two_random_ids_differ_and_the_log_shows_neither_whole() {
        let (one, other) = (PublicId::random().unwrap(), PublicId::random().unwrap());
        assert_ne!(one, other);
        assert!(format!("{one:?}").len() < 20);
    }
}
