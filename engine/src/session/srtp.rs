//! A session's SRTP: its two directions, keyed by one DTLS handshake, with errors as [`Discard`]s.

use crate::control::DtlsRole;
use crate::flow::Flow;
use crate::outbox::{Outbox, Sink};
use crate::stats::Discard;
use crate::transport::dtls::KeyingMaterial as Exported;
use oneport_rtp::srtp::{KeyingMaterial, Profile, Protect, Unprotect};

/// Room for an RTCP compound of ours before encryption: within any path's MTU.
const MAX_RTCP: usize = 1150;
/// What any profile adds at the most: the tag of 16, and SRTCP's index of 4.
const MAX_OVERHEAD: usize = 20;

/// See the module's text.
pub(crate) struct Srtp {
    protect: Protect,
    unprotect: Unprotect,
}

impl Srtp {
    /// Keys both directions from what the handshake exported (RFC 5764 §4.2).
    pub(crate) fn new(profile: Profile, exported: &Exported, our_role: DtlsRole) -> Option<Srtp> {
        let keys = KeyingMaterial::split(profile, exported.as_bytes())?;
        let (ours, theirs) = match our_role {
            DtlsRole::Client => (keys.client, keys.server),
            DtlsRole::Server => (keys.server, keys.client),
        };
        Some(Srtp { protect: Protect::new(profile, &ours), unprotect: Unprotect::new(profile, &theirs) })
    }

    /// The plaintext of an SRTP packet, in place.
    pub(crate) fn unprotect_rtp<'a>(&mut self, packet: &'a mut [u8]) -> Result<&'a [u8], Discard> {
        let len = self.unprotect.unprotect_rtp(packet).map_err(|_| Discard::Srtp)?;
        Ok(&packet[..len])
    }

    /// The plaintext of an SRTCP packet, in place.
    pub(crate) fn unprotect_rtcp<'a>(&mut self, packet: &'a mut [u8]) -> Result<&'a [u8], Discard> {
        let len = self.unprotect.unprotect_rtcp(packet).map_err(|_| Discard::Srtp)?;
        Ok(&packet[..len])
    }

    /// Room that a packet of `len` bytes needs.
    pub(crate) fn room(len: usize) -> usize {
        len + MAX_OVERHEAD
    }

    /// Encrypts the first `len` bytes in place; the length on the wire, 0 when it cannot be sent.
    pub(crate) fn protect_rtp(&mut self, packet: &mut [u8], len: usize, roc: u32) -> usize {
        self.protect.protect_rtp(packet, len, roc).unwrap_or(0)
    }

    /// The same for an RTCP compound.
    pub(crate) fn protect_rtcp(&mut self, packet: &mut [u8], len: usize) -> usize {
        self.protect.protect_rtcp(packet, len).unwrap_or(0)
    }

    /// Sends an RTCP compound, at most [`MAX_RTCP`] bytes of which `write` puts in place; it returns their number.
    pub(crate) fn send_rtcp<S: Sink>(
        &mut self,
        flow: Flow,
        out: &mut Outbox<S>,
        write: impl FnOnce(&mut [u8]) -> Option<usize>,
    ) {
        out.push(flow, Srtp::room(MAX_RTCP), |room| match write(&mut room[..MAX_RTCP]) {
            Some(len) => self.protect_rtcp(room, len),
            None => 0,
        });
    }
}
