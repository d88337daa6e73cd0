//! What of the peer's datagrams gets to sctp-proto. It trusts its peer in places where ours may be anyone who can publish:
//!
//! - It keeps whatever comes after a missing TSN. Here the peer may be [`WINDOW`] ahead of what was acknowledged, so that what is
//!   kept is bounded. The sender repeats what is discarded, as if the network had lost it.
//! - It takes DATA before the association is established, and has state for every stream that DATA names.
//! - An INIT that comes late, after the association is established, ends it.
//!
//! All is read from the packets themselves (RFC 9260 §3): the cumulative TSN from the SACKs that we send.

/// A DTLS record that carries SCTP fits a path of 1500 bytes; room for those with larger ones.
const MAX_DATAGRAM: usize = 2048;
/// How many TSNs the peer may be ahead of what we acknowledged: ten times of what fills the receive buffer at 1200 bytes each.
/// What is kept then is 4 MiB at most.
const WINDOW: u32 = 2048;
/// Source and destination port, verification tag, checksum.
const COMMON_HEADER: usize = 12;
const CHUNK_HEADER: usize = 4;

const DATA: u8 = 0;
const INIT: u8 = 1;
const INIT_ACK: u8 = 2;
const SACK: u8 = 3;
const COOKIE_ECHO: u8 = 10;
const COOKIE_ACK: u8 = 11;
const SHUTDOWN_COMPLETE: u8 = 14;

/// What to do with a datagram.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Verdict {
    Pass,
    /// The peer begins an association.
    Begins,
    Discard,
}

/// See the module's text.
#[derive(Debug, Default)]
pub(super) struct Guard {
    /// The peer has answered our INIT.
    pub is_answered: bool,
    /// We have sent the last word of a shutdown.
    pub has_said_goodbye: bool,
    /// The TSN up to which we have acknowledged everything.
    cumulative: Option<u32>,
}

impl Guard {
    /// Judges a datagram of the peer's.
    pub(super) fn inspect(&mut self, datagram: &[u8], is_established: bool) -> Verdict {
        if datagram.len() > MAX_DATAGRAM {
            return Verdict::Discard;
        }
        let mut may_carry_data = is_established;
        let mut verdict = Verdict::Discard;
        let mut rest = datagram.get(COMMON_HEADER..).unwrap_or_default();
        while !rest.is_empty() {
            let Some((kind, body, next)) = split_chunk(rest) else { return Verdict::Discard };
            verdict = match kind {
                INIT if is_established || self.cumulative.is_some() => Verdict::Discard,
                INIT => Verdict::Begins,
                DATA if !may_carry_data || !self.admits(body) => Verdict::Discard,
                _ => Verdict::Pass,
            };
            if verdict != Verdict::Pass {
                return verdict;
            }
            self.is_answered |= kind == INIT_ACK;
            may_carry_data |= matches!(kind, COOKIE_ECHO | COOKIE_ACK);
            rest = next;
        }
        verdict
    }

    /// Whether DATA is of a stream that may be, and not too far ahead.
    fn admits(&self, data: &[u8]) -> bool {
        let Some(([a, b, c, d, e, f], _)) = data.split_first_chunk::<6>() else { return false };
        let (tsn, stream) = (u32::from_be_bytes([*a, *b, *c, *d]), u16::from_be_bytes([*e, *f]));
        let ahead = self.cumulative.map_or(0, |cumulative| tsn.wrapping_sub(cumulative));
        let is_old = ahead > u32::MAX / 2;
        stream < super::MAX_STREAMS && (is_old || ahead <= WINDOW)
    }

    /// Takes note of what we send.
    pub(super) fn observe(&mut self, datagram: &[u8]) {
        let mut rest = datagram.get(COMMON_HEADER..).unwrap_or_default();
        while let Some((kind, body, next)) = split_chunk(rest) {
            match (kind, body.first_chunk::<4>()) {
                (SACK, Some(tsn)) => self.cumulative = Some(u32::from_be_bytes(*tsn)),
                (SHUTDOWN_COMPLETE, _) => self.has_said_goodbye = true,
                _ => {}
            }
            rest = next;
        }
    }
}

/// A chunk's type, its value, and what follows it and its padding. None, if it does not fit.
fn split_chunk(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let ([kind, _, high, low], _) = bytes.split_first_chunk::<CHUNK_HEADER>()?;
    let len = usize::from(u16::from_be_bytes([*high, *low]));
    let body = bytes.get(CHUNK_HEADER..len)?;
    Some((*kind, body, bytes.get(len.next_multiple_of(4)..).unwrap_or_default()))
}
