//! SRTP and SRTCP (RFC 3711, RFC 7714) under the three DTLS-SRTP profiles that browsers offer.
//!
//! ```text
//! SRTP    header | ciphertext | tag                       SRTCP (GCM)  8 octets | ciphertext | tag | E+index
//!                                                         SRTCP (CM)   8 octets | ciphertext | E+index | tag
//! ```
//!
//! A [`Protect`] is the sending half of a transport, an [`Unprotect`] the receiving half; both work in place in the
//! caller's buffer and allocate nothing per packet. The sender's rollover counter is the caller's, as the egress
//! rewrites sequence numbers and so knows it; the receiver's is kept here per SSRC. The DTLS handshake that agrees
//! the profile and exports the keys is elsewhere, and so are MKI, re-keying and encrypted header extensions
//! (RFC 6904), none of which WebRTC uses.

mod cipher;
mod header;
mod index;
mod kdf;
mod profile;
mod protect;
mod streams;
mod unprotect;
#[cfg(test)]
mod vectors;

pub use kdf::{KeyingMaterial, MasterKey};
pub use profile::Profile;
pub use protect::{Protect, ProtectError};
pub use unprotect::{Unprotect, UnprotectError};
