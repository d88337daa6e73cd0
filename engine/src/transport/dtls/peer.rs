//! The peer's certificate against the fingerprints of its SDP (RFC 8122 §5, RFC 8827 §6.5).

use super::certificate::fingerprint;
use super::ffi;
use crate::control::Fingerprint;
use openssl::memcmp;
use openssl::ssl::{SslRef, SslVerifyMode};
use openssl::x509::{X509Ref, X509StoreContextRef};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

const UNSEEN: u8 = 0;
const MATCHES: u8 = 1;
const DIFFERS: u8 = 2;

/// The comparison, shared with OpenSSL's callback. Atomic only because the callback has to be `Sync`.
pub(super) struct PeerCheck {
    expected: Vec<Fingerprint>,
    verdict: AtomicU8,
}

impl PeerCheck {
    /// Has `ssl` refuse every certificate but one with a fingerprint among `expected`.
    pub(super) fn install(ssl: &mut SslRef, expected: Vec<Fingerprint>) -> Arc<PeerCheck> {
        let check = Arc::new(PeerCheck { expected, verdict: AtomicU8::new(UNSEEN) });
        let in_callback = Arc::clone(&check);
        // The comparison is made here and not after the handshake, since a client would by then take itself for connected.
        ssl.set_verify_callback(SslVerifyMode::PEER | SslVerifyMode::FAIL_IF_NO_PEER_CERT, move |_, store| {
            in_callback.verify(store)
        });
        check
    }

    /// A certificate was seen, and it is the expected one. Without this a handshake counts for nothing.
    pub(super) fn matches(&self) -> bool {
        self.verdict.load(Ordering::Relaxed) == MATCHES
    }

    /// A certificate was seen, and it is another one.
    pub(super) fn differs(&self) -> bool {
        self.verdict.load(Ordering::Relaxed) == DIFFERS
    }

    /// OpenSSL asks for each certificate of the chain, and once more for each fault that it finds. Only the leaf has a
    /// fingerprint; that it is self-signed, out of date or unknown is as it should be.
    fn verify(&self, store: &mut X509StoreContextRef) -> bool {
        if store.error_depth() != 0 {
            return true;
        }
        let expected = store.current_cert().is_some_and(|leaf| self.is_expected(leaf));
        self.verdict.store(if expected { MATCHES } else { DIFFERS }, Ordering::Relaxed);
        if !expected {
            store.set_error(ffi::certificate_rejected());
        }
        expected
    }

    fn is_expected(&self, leaf: &X509Ref) -> bool {
        self.expected.iter().any(|expected| {
            fingerprint(leaf, expected.digest).is_ok_and(|actual| {
                actual.bytes.len() == expected.bytes.len() && memcmp::eq(&actual.bytes, &expected.bytes)
            })
        })
    }
}
