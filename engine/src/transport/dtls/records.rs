//! What of a datagram OpenSSL gets to see (RFC 6347 §4.1.2.7: invalid records are discarded, and the association lives on).
//!
//! OpenSSL drops records that it cannot decrypt, but before there are keys it takes what comes at its word: a handshake record
//! with a broken fragment header, an unknown message or application data in the clear ends the handshake, a sequence number
//! from the far future makes every later record "old", a message length of 100 KB is allocated on the first byte, and records
//! of the next epoch are each kept in a buffer of 16 KB, up to a hundred. So each record in the clear is looked at here:
//!
//! | in the clear (epoch 0) | |
//! |---|---|
//! | handshake | whole, known fragments only; the sequence number is given anew, since nothing proves the one it came with |
//! | ChangeCipherSpec | the one byte that it has |
//! | alert | never passed: nothing proves where it comes from. Reported, see [`Seen`] |
//! | application data | discarded |
//!
//! Protected records (epoch 1) pass as they are, few of them while the handshake lasts, and none that is too short to hold a
//! nonce and a tag: OpenSSL 3.6 does not discard that one but ends the association with an internal_error (`tls1_cipher`:
//! `EVP_CTRL_AEAD_TLS1_AAD` fails, and it takes this for its own fault). Anybody could end any session so.

use super::alert::Alert;

const HEADER: usize = 13;
const FRAGMENT_HEADER: usize = 12;
const CHANGE_CIPHER_SPEC: u8 = 20;
const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;
const APPLICATION_DATA: u8 = 23;
/// DTLS 1.0 (in which a ClientHello comes) and 1.2 have this first byte of the version.
const VERSION_MAJOR: u8 = 0xfe;
const ALERT_FATAL: u8 = 2;
const ALERT_CLOSE_NOTIFY: u8 = 0;

/// Explicit nonce and tag of AES-GCM (RFC 5288 §3). A record with nothing between them says nothing.
const PROTECTION: usize = 8 + 16;

/// Longest handshake message: a post-quantum ClientHello has 1.5 KB, a certificate chain a few.
const MAX_MESSAGE: usize = 16 * 1024;
/// OpenSSL reads a datagram into a buffer of this order; no peer sends a longer one.
pub(super) const MAX_DATAGRAM: usize = 8 * 1024;
/// Protected records that may come before the handshake is done: Finished, and its retransmissions. At 16 KB each that OpenSSL
/// keeps back, a session in its handshake costs at most 512 KB.
const MAX_EARLY: u8 = 32;

/// What a datagram had.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) struct Seen {
    /// A fatal alert or a close_notify in the clear.
    pub(super) alert: Option<Alert>,
    /// Something for OpenSSL.
    pub(super) admitted: bool,
}

/// How far the handshake is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Stage {
    Handshake,
    Connected,
}

/// The gate before one session.
#[derive(Default)]
pub(super) struct Gate {
    /// The next sequence number of epoch 0.
    sequence: u64,
    /// Protected records that came during the handshake.
    early: u8,
}

struct Record<'a> {
    content_type: u8,
    epoch: u16,
    /// Header and body.
    whole: &'a [u8],
}

impl<'a> Record<'a> {
    /// The first record of a datagram, and the rest.
    fn split(datagram: &'a [u8]) -> Option<(Record<'a>, &'a [u8])> {
        let header = datagram.first_chunk::<HEADER>()?;
        let length = usize::from(u16::from_be_bytes([header[11], header[12]]));
        let (whole, rest) = datagram.split_at_checked(HEADER + length)?;
        let valid = header[1] == VERSION_MAJOR && length > 0;
        let record = Record { content_type: header[0], epoch: u16::from_be_bytes([header[3], header[4]]), whole };
        valid.then_some((record, rest))
    }

    fn body(&self) -> &'a [u8] {
        &self.whole[HEADER..]
    }

    fn is_protected(&self) -> bool {
        let long_enough = self.body().len() > PROTECTION;
        self.epoch == 1 && long_enough && matches!(self.content_type, CHANGE_CIPHER_SPEC..=APPLICATION_DATA)
    }
}

impl Gate {
    /// Copies what OpenSSL may see of `datagram` to `admitted`.
    pub(super) fn admit(&mut self, stage: Stage, datagram: &[u8], admitted: &mut Vec<u8>) -> Seen {
        admitted.clear();
        let mut seen = Seen::default();
        if datagram.len() > MAX_DATAGRAM {
            return seen;
        }
        let mut rest = datagram;
        while let Some((record, after)) = Record::split(rest) {
            rest = after;
            match (record.epoch, stage) {
                (0, Stage::Handshake) => self.admit_plain(&record, admitted, &mut seen),
                _ if record.is_protected() => self.admit_protected(&record, stage, admitted),
                _ => {}
            }
        }
        seen.admitted = !admitted.is_empty();
        seen
    }

    fn admit_plain(&mut self, record: &Record<'_>, admitted: &mut Vec<u8>, seen: &mut Seen) {
        match record.content_type {
            HANDSHAKE if is_handshake(record.body()) => self.renumber(record, admitted),
            CHANGE_CIPHER_SPEC if record.body() == [1] => self.renumber(record, admitted),
            ALERT => seen.alert = seen.alert.or(plain_alert(record.body())),
            _ => {}
        }
    }

    fn admit_protected(&mut self, record: &Record<'_>, stage: Stage, admitted: &mut Vec<u8>) {
        if stage == Stage::Handshake {
            if self.early == MAX_EARLY {
                return;
            }
            self.early += 1;
        }
        admitted.extend_from_slice(record.whole);
    }

    fn renumber(&mut self, record: &Record<'_>, admitted: &mut Vec<u8>) {
        let start = admitted.len();
        admitted.extend_from_slice(record.whole);
        // Epoch and sequence number are one field of 64 bits; the epoch is 0.
        admitted[start + 3..start + 11].copy_from_slice(&self.sequence.to_be_bytes());
        self.sequence += 1;
    }
}

/// Whole fragments of messages that a handshake can have, to the last byte.
fn is_handshake(mut body: &[u8]) -> bool {
    while !body.is_empty() {
        let Some(rest) = after_fragment(body) else { return false };
        body = rest;
    }
    true
}

fn after_fragment(body: &[u8]) -> Option<&[u8]> {
    let header = body.first_chunk::<FRAGMENT_HEADER>()?;
    let message = u24(header[1], header[2], header[3]);
    let offset = u24(header[6], header[7], header[8]);
    let length = u24(header[9], header[10], header[11]);
    let fits = message <= MAX_MESSAGE && offset + length <= message;
    let empty_part = length == 0 && message > 0;
    let (_, rest) = body.split_at_checked(FRAGMENT_HEADER + length)?;
    (fits && !empty_part && is_message(header[0])).then_some(rest)
}

/// HelloRequest, ClientHello, ServerHello, HelloVerifyRequest and NewSessionTicket; Certificate to ClientKeyExchange;
/// Finished and CertificateStatus.
fn is_message(message_type: u8) -> bool {
    matches!(message_type, 0..=4 | 11..=16 | 20 | 22)
}

fn u24(high: u8, middle: u8, low: u8) -> usize {
    usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low)
}

fn plain_alert(body: &[u8]) -> Option<Alert> {
    let [level, description] = *body else { return None };
    let ends = level == ALERT_FATAL || description == ALERT_CLOSE_NOTIFY;
    ends.then_some(Alert { description })
}

#[cfg(test)]
mod tests {
    use super::*;

    const FINISHED: [u8; HEADER + 40] = {
        let mut record = [0; HEADER + 40];
        record[0] = HANDSHAKE;
        record[1] = VERSION_MAJOR;
        record[4] = 1;
        record[12] = 40;
        record
    };

    /// OpenSSL keeps each in a buffer of 16 KB until it has the keys.
    #[test]
    fn protected_records_are_few_before_there_are_keys() {
        let mut gate = Gate::default();
        let mut admitted = Vec::new();
        let count = (0..1000).filter(|_| gate.admit(Stage::Handshake, &FINISHED, &mut admitted).admitted).count();
        assert_eq!(count, usize::from(MAX_EARLY));
        assert!(gate.admit(Stage::Connected, &FINISHED, &mut admitted).admitted);
        assert_eq!(admitted, FINISHED);
    }

    #[test]
    fn a_connected_session_hears_nothing_in_the_clear() {
        let mut gate = Gate::default();
        let alert = [ALERT, VERSION_MAJOR, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, ALERT_FATAL, 40];
        let seen = gate.admit(Stage::Connected, &alert, &mut Vec::new());
        assert_eq!(seen, Seen::default());
        let seen = gate.admit(Stage::Handshake, &alert, &mut Vec::new());
        assert_eq!(seen, Seen { alert: Some(Alert { description: 40 }), admitted: false });
    }
}
