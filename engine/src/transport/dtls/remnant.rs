//! What is left of an association that is connected and carries no data: the keys for the one thing that is still to be said or heard,
//! which is goodbye. OpenSSL's 77 KB are given back, and this takes some 200 bytes.
//!
//! The keys are those of TLS 1.2 (RFC 5246 §6.3), derived once more from the master secret; records are DTLS 1.2's with AES-GCM
//! (RFC 6347 §4.1, RFC 5288 §3).

use super::alert::Alert;
use super::{DtlsEvent, DtlsFault};
use crate::control::DtlsRole;
use aws_lc_rs::aead::{AES_128_GCM, AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::hmac;
use openssl::ssl::SslRef;
use zeroize::Zeroizing;

const HEADER: usize = 13;
const EXPLICIT_NONCE: usize = 8;
const SALT: usize = 4;
const TAG: usize = 16;
const ALERT: u8 = 21;
const VERSION: [u8; 2] = [0xfe, 0xfd];
const WARNING: u8 = 1;
const CLOSE_NOTIFY: u8 = 0;
/// Far above any number that OpenSSL has used in epoch 1, of 48 bits.
const FIRST_SEQUENCE: u64 = 1 << 40;

/// One direction's key, and the part of the nonce that is not in the record.
struct Half {
    key: Zeroizing<Vec<u8>>,
    salt: [u8; SALT],
}

impl Half {
    fn cipher(&self) -> Option<LessSafeKey> {
        let algorithm = if self.key.len() == 16 { &AES_128_GCM } else { &AES_256_GCM };
        UnboundKey::new(algorithm, &self.key).ok().map(LessSafeKey::new)
    }

    fn nonce(&self, explicit: [u8; EXPLICIT_NONCE]) -> Nonce {
        let mut nonce = [0; SALT + EXPLICIT_NONCE];
        nonce[..SALT].copy_from_slice(&self.salt);
        nonce[SALT..].copy_from_slice(&explicit);
        Nonce::assume_unique_for_key(nonce)
    }
}

/// See the module's text.
pub(crate) struct Remnant {
    write: Half,
    read: Half,
    sequence: u64,
    outbound: Option<Vec<u8>>,
    event: Option<DtlsEvent>,
    is_over: bool,
}

impl Remnant {
    /// That of a connected association. `None` when its cipher suite is not one of ours.
    pub(super) fn of(ssl: &SslRef, role: DtlsRole) -> Option<Remnant> {
        let cipher = ssl.current_cipher()?;
        let (key_len, digest) = match cipher.name() {
            name if name.ends_with("AES128-GCM-SHA256") => (16, hmac::HMAC_SHA256),
            name if name.ends_with("AES256-GCM-SHA384") => (32, hmac::HMAC_SHA384),
            _ => return None,
        };
        let mut master = Zeroizing::new([0; 48]);
        let (mut client, mut server) = ([0; 32], [0; 32]);
        let lengths = [
            ssl.session()?.master_key(master.as_mut()),
            ssl.client_random(&mut client),
            ssl.server_random(&mut server),
        ];
        if lengths != [48, 32, 32] {
            return None;
        }
        let block = key_block(digest, master.as_ref(), &server, &client, 2 * (key_len + SALT));
        Some(Remnant::from_block(&block, key_len, role))
    }

    /// The client's key, the server's, the client's salt, the server's.
    fn from_block(block: &[u8], key_len: usize, role: DtlsRole) -> Remnant {
        let half = |index: usize| {
            let mut salt = [0; SALT];
            let at = 2 * key_len + index * SALT;
            salt.copy_from_slice(&block[at..at + SALT]);
            Half { key: Zeroizing::new(block[index * key_len..(index + 1) * key_len].to_vec()), salt }
        };
        let (write, read) = match role {
            DtlsRole::Client => (half(0), half(1)),
            DtlsRole::Server => (half(1), half(0)),
        };
        Remnant { write, read, sequence: FIRST_SEQUENCE, outbound: None, event: None, is_over: false }
    }

    /// Takes a datagram: an alert is heard, all else is over and done with.
    pub(super) fn handle_datagram(&mut self, datagram: &[u8]) {
        let mut rest = datagram;
        while let Some((header, after)) = rest.split_first_chunk::<HEADER>() {
            let len = usize::from(u16::from_be_bytes([header[11], header[12]]));
            let Some((fragment, after)) = after.split_at_checked(len) else { return };
            rest = after;
            if header[0] == ALERT && header[3..5] == [0, 1] && !self.is_over {
                self.take_alert(header, fragment);
            }
        }
    }

    fn take_alert(&mut self, header: &[u8; HEADER], fragment: &[u8]) {
        let Some((explicit, sealed)) = fragment.split_first_chunk::<EXPLICIT_NONCE>() else { return };
        let (Some(len), Some(cipher)) = (sealed.len().checked_sub(TAG), self.read.cipher()) else { return };
        let mut text = sealed.to_vec();
        let associated = associated_data(header, len);
        let Ok(plain) = cipher.open_in_place(self.read.nonce(*explicit), Aad::from(associated), &mut text) else {
            return;
        };
        match *plain {
            [_, CLOSE_NOTIFY] => {
                self.close();
                self.event = Some(DtlsEvent::Closed);
            }
            [level, description] if level != WARNING => {
                self.is_over = true;
                self.event = Some(DtlsEvent::Failed(DtlsFault::Alert(Alert { description }.to_string())));
            }
            _ => {}
        }
    }

    /// Says goodbye.
    pub(super) fn close(&mut self) {
        if !std::mem::replace(&mut self.is_over, true) {
            self.outbound = self.seal_alert([WARNING, CLOSE_NOTIFY]);
        }
    }

    fn seal_alert(&mut self, alert: [u8; 2]) -> Option<Vec<u8>> {
        // Epoch 1, and 48 bits of sequence number; the same serve as the explicit nonce, as they are never used twice.
        let number = (1 << 48 | self.sequence).to_be_bytes();
        self.sequence += 1;
        let mut header = [0; HEADER];
        header[0] = ALERT;
        header[1..3].copy_from_slice(&VERSION);
        header[3..11].copy_from_slice(&number);
        let mut text = alert.to_vec();
        let associated = Aad::from(associated_data(&header, alert.len()));
        self.write.cipher()?.seal_in_place_append_tag(self.write.nonce(number), associated, &mut text).ok()?;
        let len = (EXPLICIT_NONCE + text.len()) as u16;
        header[11..].copy_from_slice(&len.to_be_bytes());
        Some([&header[..], &number, &text].concat())
    }

    pub(super) fn poll_transmit(&mut self) -> Option<Vec<u8>> {
        self.outbound.take()
    }

    pub(super) fn poll_event(&mut self) -> Option<DtlsEvent> {
        self.event.take()
    }
}

/// Epoch, sequence number, type and version of the record, and the length of its plaintext (RFC 5246 §6.2.3.3).
fn associated_data(header: &[u8; HEADER], len: usize) -> [u8; HEADER] {
    let mut data = [0; HEADER];
    data[..8].copy_from_slice(&header[3..11]);
    data[8..11].copy_from_slice(&header[..3]);
    data[11..].copy_from_slice(&(len as u16).to_be_bytes());
    data
}

/// The key block (RFC 5246 §6.3), by the PRF of §5.
fn key_block(
    digest: hmac::Algorithm,
    master: &[u8],
    server: &[u8; 32],
    client: &[u8; 32],
    len: usize,
) -> Zeroizing<Vec<u8>> {
    let key = hmac::Key::new(digest, master);
    let seed = [&b"key expansion"[..], server, client].concat();
    let mut block = Zeroizing::new(Vec::with_capacity(len + 48));
    let mut a = hmac::sign(&key, &seed);
    while block.len() < len {
        let mut context = hmac::Context::with_key(&key);
        context.update(a.as_ref());
        context.update(&seed);
        block.extend_from_slice(context.sign().as_ref());
        a = hmac::sign(&key, a.as_ref());
    }
    block.truncate(len);
    block
}
