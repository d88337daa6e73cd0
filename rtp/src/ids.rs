//! The identifiers of RFC 3550, RFC 8852 and RFC 9143, one type each, so that none can be taken for another.

use std::fmt;

/// Synchronisation source (RFC 3550 §3).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Ssrc(pub u32);

/// RTP payload type, 0 to 127.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct PayloadType(pub u8);

/// Longest MID or RID that is kept. RFC 8852 allows more in a two-byte extension, no client sends more.
pub const MAX_TOKEN: usize = 16;

/// A short token in place: `Copy`, so that packets and tables can carry it without allocation.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Token {
    len: u8,
    bytes: [u8; MAX_TOKEN],
}

impl Token {
    /// The token, or `None` when it is empty, longer than [`MAX_TOKEN`] or not printable ASCII.
    pub fn new(text: &[u8]) -> Option<Token> {
        let fits = !text.is_empty() && text.len() <= MAX_TOKEN;
        if !fits || !text.iter().all(u8::is_ascii_graphic) {
            return None;
        }
        let mut bytes = [0; MAX_TOKEN];
        bytes[..text.len()].copy_from_slice(text);
        Some(Token { len: text.len() as u8, bytes })
    }

    /// The token's bytes as they stand on the wire.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }

    /// The token as text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(self.as_bytes()).unwrap_or_default()
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Media identification of an m-section (RFC 9143 §15.2).
pub type Mid = Token;
/// RTP stream identification of a simulcast layer (RFC 8852).
pub type Rid = Token;
