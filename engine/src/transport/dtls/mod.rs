//! DTLS 1.2 for SRTP (RFC 6347, RFC 5764), as server or client, on OpenSSL: datagrams and `now` in; datagrams, the next deadline
//! and events out. Nothing outside of this folder knows OpenSSL, so that another engine can take its place.
//!
//! ```text
//!  handle_datagram ──► records::Gate ──► wire::Wire ──► OpenSSL ──► wire::Wire ──► poll_transmit
//!                        │ alert in the clear             │ certificate ──► peer::PeerCheck
//!                        ▼                                ▼ timer ──► ffi ──► next_timeout
//!                      doubt                          poll_event
//! ```
//!
//! **Alerts in the clear.** Before there are keys anybody who can forge the peer's address can send a fatal alert, and RFC 6347
//! §4.1.2.7 asks for invalid records to be discarded, not obeyed. But a peer that refuses our certificate or has no cipher in
//! common says so in just such an alert, and then falls silent: to ignore it would turn each clear reason into a timeout. So an
//! alert in the clear is a *doubt*: it is believed when the peer sends nothing more of the handshake for
//! [`DtlsConfig::alert_grace`], and forgotten when it does.
//!
//! **Memory.** A connected session that carries no data is reduced to its goodbye ([`Association::retire`]): some 200 bytes. Before, it holds 77 KB, measured on OpenSSL 3.6 with glibc: three record layers (13 KB), the BIO between
//! two epochs (15 KB), the handshake buffer and the last flight's, kept for its retransmission (30 KB). A server that waits for
//! its ClientHello holds 33 KB.
//!
//! Left to others: which address the datagrams come from, the time limit of the whole handshake, SRTP itself.

mod alert;
mod certificate;
mod context;
mod ffi;
mod keying;
mod peer;
mod records;
mod remnant;
mod wire;

pub use certificate::Certificate;
pub use context::{DtlsConfig, DtlsContext};
pub use keying::KeyingMaterial;

use crate::control::{DtlsRole, Fingerprint};
use alert::Alert;
use ffi::{Expiry, Timer};
use oneport_rtp::srtp::Profile;
use openssl::error::ErrorStack;
use openssl::ssl::{Error, ErrorCode, Ssl, SslStream};
use peer::PeerCheck;
use records::{Gate, Stage};
use remnant::Remnant;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};
use wire::Wire;

/// RFC 5764 §4.2.
const EXPORTER_LABEL: &str = "EXTRACTOR-dtls_srtp";
/// `SSL_AD_REASON_OFFSET`: OpenSSL reports a peer's fatal alert as this plus the alert's description.
const ALERT_REASONS: libc::c_int = 1000;
/// `SSL_R_READ_TIMEOUT_EXPIRED`: the retransmissions came to their end.
const READ_TIMEOUT_EXPIRED: libc::c_int = 312;
/// Application data is read by pieces of this size. SCTP's packets are smaller; what is not SCTP is nobody's.
const RECORD: usize = 2048;

/// What a session's DTLS has to say.
#[derive(Debug)]
pub enum DtlsEvent {
    /// The handshake is done and the peer has proved its fingerprint.
    Connected {
        /// The SRTP protection profile that was agreed on.
        profile: Profile,
        /// The keys for it.
        keying_material: KeyingMaterial,
    },
    /// A record of application data, where [`Dtls::accept_data`] was called.
    Data(Vec<u8>),
    /// The peer's close_notify. Ours is queued in answer. Nothing follows.
    Closed,
    /// The handshake failed, or the peer ended the association with a fatal alert. Nothing follows.
    Failed(DtlsFault),
}

/// Why DTLS failed.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum DtlsFault {
    /// The peer: its certificate has none of the expected fingerprints.
    #[error("the certificate has another fingerprint")]
    FingerprintMismatch,
    /// The peer: it has no SRTP protection profile in common with us, or does not speak DTLS-SRTP.
    #[error("no SRTP protection profile in common")]
    NoSrtpProfile,
    /// The peer refused, with this alert.
    #[error("the peer's alert: {0}")]
    Alert(String),
    /// We refused what the peer sent, or OpenSSL did, in its words.
    #[error("{0}")]
    Refused(String),
    /// The peer stopped answering.
    #[error("no answer to any retransmission")]
    TimedOut,
}

/// What [`Dtls::handle_timeout`] could do.
#[must_use = "a virtual clock that runs ahead has to wait"]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Timeout {
    /// All that was due.
    Done,
    /// The deadline stays due: OpenSSL's timer, which reads the real clock, has not expired. Only under a virtual clock: let a
    /// real millisecond pass and ask again.
    Early,
}

enum Phase {
    Handshake,
    Connected,
    Over,
}

/// One session's DTLS association.
pub struct Dtls {
    stream: SslStream<Wire>,
    phase: Phase,
    gate: Gate,
    peer: Arc<PeerCheck>,
    /// When the flight is sent again.
    retransmit_at: Option<Instant>,
    /// An unproven alert, and when it is believed.
    doubt: Option<(Instant, Alert)>,
    alert_grace: Duration,
    events: VecDeque<DtlsEvent>,
    /// Application data was negotiated.
    takes_data: bool,
    role: DtlsRole,
}

/// An association, or what is left of it once it is connected and proved.
#[allow(clippy::large_enum_variant, reason = "the large one is boxed")]
pub(crate) enum Association {
    /// All that OpenSSL holds.
    Whole(Box<Dtls>),
    /// The goodbye.
    Remnant(Remnant),
}

impl Association {
    /// The peer has shown that it has finished the handshake too, by a packet that authenticates: nothing of it will be sent again. An
    /// association for data is kept as it is.
    pub(crate) fn retire(&mut self) {
        if let Association::Whole(dtls) = self
            && let Some(remnant) = dtls.remnant()
        {
            *self = Association::Remnant(remnant);
        }
    }

    /// See [`Dtls::handle_datagram`]; so with the others.
    pub(crate) fn handle_datagram(&mut self, now: Instant, datagram: &[u8]) {
        match self {
            Association::Whole(dtls) => dtls.handle_datagram(now, datagram),
            Association::Remnant(remnant) => remnant.handle_datagram(datagram),
        }
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) -> Timeout {
        match self {
            Association::Whole(dtls) => dtls.handle_timeout(now),
            Association::Remnant(_) => Timeout::Done,
        }
    }

    pub(crate) fn poll_transmit(&mut self) -> Option<Vec<u8>> {
        match self {
            Association::Whole(dtls) => dtls.poll_transmit(),
            Association::Remnant(remnant) => remnant.poll_transmit(),
        }
    }

    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        match self {
            Association::Whole(dtls) => dtls.next_timeout(),
            Association::Remnant(_) => None,
        }
    }

    pub(crate) fn poll_event(&mut self) -> Option<DtlsEvent> {
        match self {
            Association::Whole(dtls) => dtls.poll_event(),
            Association::Remnant(remnant) => remnant.poll_event(),
        }
    }

    pub(crate) fn send(&mut self, data: &[u8]) {
        if let Association::Whole(dtls) = self {
            dtls.send(data);
        }
    }

    pub(crate) fn close(&mut self, now: Instant) {
        match self {
            Association::Whole(dtls) => dtls.close(now),
            Association::Remnant(remnant) => remnant.close(),
        }
    }
}

impl Dtls {
    /// A new association. A client's first flight waits in [`Dtls::poll_transmit`] at once.
    ///
    /// # Errors
    ///
    /// OpenSSL's, when memory is short.
    pub fn new(
        context: &DtlsContext,
        role: DtlsRole,
        expected: Vec<Fingerprint>,
        now: Instant,
    ) -> Result<Dtls, ErrorStack> {
        let config = &context.config;
        let mut ssl = Ssl::new(&context.ssl)?;
        ssl.set_mtu(config.mtu)?;
        ffi::install_back_off(&mut ssl, config.initial_rto, config.max_rto)?;
        let peer = PeerCheck::install(&mut ssl, expected);
        match role {
            DtlsRole::Server => ssl.set_accept_state(),
            DtlsRole::Client => ssl.set_connect_state(),
        }
        let mut dtls = Dtls {
            stream: SslStream::new(ssl, Wire::default())?,
            phase: Phase::Handshake,
            gate: Gate::default(),
            peer,
            retransmit_at: None,
            doubt: None,
            alert_grace: config.alert_grace,
            events: VecDeque::new(),
            takes_data: false,
            role,
        };
        // A server has nothing to say yet, and OpenSSL would only allocate for it.
        if role == DtlsRole::Client {
            dtls.advance(now);
        }
        Ok(dtls)
    }

    /// A datagram from the peer. What is no valid DTLS is discarded without a word.
    pub fn handle_datagram(&mut self, now: Instant, datagram: &[u8]) {
        let stage = match self.phase {
            Phase::Handshake => Stage::Handshake,
            Phase::Connected => Stage::Connected,
            Phase::Over => return,
        };
        let seen = self.gate.admit(stage, datagram, self.stream.get_mut().inbound());
        if seen.admitted {
            self.doubt = None;
            self.advance(now);
        }
        if let (Some(alert), Phase::Handshake) = (seen.alert, &self.phase) {
            self.doubt.get_or_insert((now + self.alert_grace, alert));
        }
    }

    /// From now on, application data is an event and not discarded.
    pub fn accept_data(&mut self) {
        self.takes_data = true;
    }

    /// What may take its place, when it is connected, quiet and carries no data.
    fn remnant(&mut self) -> Option<Remnant> {
        let is_quiet = matches!(self.phase, Phase::Connected) && !self.takes_data && self.events.is_empty();
        is_quiet.then(|| Remnant::of(self.stream.ssl(), self.role)).flatten()
    }

    /// Sends a record of application data. It is lost like a datagram when the association is not connected.
    pub fn send(&mut self, data: &[u8]) {
        if matches!(self.phase, Phase::Connected) {
            clear_errors();
            let _ = self.stream.ssl_write(data);
            ffi::free_buffers(&mut self.stream);
        }
    }

    /// Does what is due at `now`.
    pub fn handle_timeout(&mut self, now: Instant) -> Timeout {
        match self.doubt {
            Some((believed_at, alert)) if now >= believed_at => {
                self.fail(DtlsFault::Alert(alert.to_string()));
                return Timeout::Done;
            }
            _ => {}
        }
        match self.retransmit_at {
            Some(deadline) if now >= deadline => self.retransmit(now),
            _ => Timeout::Done,
        }
    }

    /// The next datagram to send, none longer than [`DtlsConfig::mtu`].
    pub fn poll_transmit(&mut self) -> Option<Vec<u8>> {
        self.stream.get_mut().poll_transmit()
    }

    /// When [`Dtls::handle_timeout`] has to be called.
    pub fn next_timeout(&self) -> Option<Instant> {
        let believed_at = self.doubt.map(|(believed_at, _)| believed_at);
        [self.retransmit_at, believed_at].into_iter().flatten().min()
    }

    /// The next event.
    pub fn poll_event(&mut self) -> Option<DtlsEvent> {
        self.events.pop_front()
    }

    /// Ends the association. A connected peer is told by a close_notify; before that there is no key to prove one with, and
    /// OpenSSL sends none.
    pub fn close(&mut self, _now: Instant) {
        if matches!(self.phase, Phase::Connected) {
            self.send_close_notify();
        }
        self.end();
    }

    /// Lets OpenSSL do what it can with what it has.
    fn advance(&mut self, now: Instant) {
        if matches!(self.phase, Phase::Handshake) {
            self.advance_handshake();
        }
        // The datagram that ends a handshake can have more behind it.
        if matches!(self.phase, Phase::Connected) {
            self.read_application_data();
            ffi::free_buffers(&mut self.stream);
        }
        self.take_timer(now);
    }

    fn advance_handshake(&mut self) {
        clear_errors();
        match self.stream.do_handshake() {
            Ok(()) => self.complete(),
            Err(error) => self.handle_error(&error),
        }
    }

    fn complete(&mut self) {
        // The callback has refused every other certificate; that it was asked at all is not left to trust.
        if !self.peer.matches() {
            return self.fail(DtlsFault::FingerprintMismatch);
        }
        let Some((profile, keying_material)) = self.export_keys() else {
            self.send_close_notify();
            return self.fail(DtlsFault::NoSrtpProfile);
        };
        self.phase = Phase::Connected;
        self.doubt = None;
        self.stream.get_mut().shrink();
        self.events.push_back(DtlsEvent::Connected { profile, keying_material });
    }

    fn export_keys(&self) -> Option<(Profile, KeyingMaterial)> {
        let selected = self.stream.ssl().selected_srtp_profile()?;
        let profile = Profile::from_dtls_id(u16::try_from(selected.id().as_raw()).ok()?)?;
        let mut keying_material = KeyingMaterial::empty(profile);
        self.stream.ssl().export_keying_material(keying_material.as_mut(), EXPORTER_LABEL, None).ok()?;
        Some((profile, keying_material))
    }

    /// Reads until there is nothing left, which is how alerts are found.
    fn read_application_data(&mut self) {
        let mut record = [0; RECORD];
        loop {
            clear_errors();
            match self.stream.ssl_read(&mut record) {
                Ok(len) if self.takes_data => self.events.push_back(DtlsEvent::Data(record[..len].to_vec())),
                // Nobody negotiated it.
                Ok(_) => {}
                Err(error) => return self.handle_error(&error),
            }
        }
    }

    fn handle_error(&mut self, error: &Error) {
        match error.code() {
            ErrorCode::ZERO_RETURN => {
                self.send_close_notify();
                self.end();
                self.events.push_back(DtlsEvent::Closed);
            }
            ErrorCode::SSL => self.fail(self.fault(error.ssl_error())),
            // Nothing to read, or a record that OpenSSL dropped without a reason.
            _ => {}
        }
    }

    fn fault(&self, errors: Option<&ErrorStack>) -> DtlsFault {
        if self.peer.differs() {
            return DtlsFault::FingerprintMismatch;
        }
        let Some(first) = errors.and_then(|errors| errors.errors().first()) else {
            return DtlsFault::Refused("OpenSSL gave no reason".to_owned());
        };
        match (first.reason_code(), u8::try_from(first.reason_code() - ALERT_REASONS)) {
            (READ_TIMEOUT_EXPIRED, _) => {
                self.doubt.map_or(DtlsFault::TimedOut, |(_, alert)| DtlsFault::Alert(alert.to_string()))
            }
            (_, Ok(description)) => DtlsFault::Alert(Alert { description }.to_string()),
            _ => DtlsFault::Refused(first.reason().unwrap_or("unknown reason").to_owned()),
        }
    }

    fn fail(&mut self, fault: DtlsFault) {
        self.end();
        self.events.push_back(DtlsEvent::Failed(fault));
    }

    fn end(&mut self) {
        self.phase = Phase::Over;
        self.retransmit_at = None;
        self.doubt = None;
        clear_errors();
    }

    fn send_close_notify(&mut self) {
        clear_errors();
        // Its answer says whether the peer's close_notify has come too, or that the association is broken: no matter now.
        let _ = self.stream.shutdown();
    }

    fn retransmit(&mut self, now: Instant) -> Timeout {
        clear_errors();
        match ffi::expire(&mut self.stream) {
            Expiry::NotYet => return Timeout::Early,
            Expiry::Retransmitted => self.take_timer(now),
            Expiry::Failed => {
                let fault = self.fault(Some(&ErrorStack::get()));
                self.fail(fault);
            }
        }
        Timeout::Done
    }

    fn take_timer(&mut self, now: Instant) {
        let handshaking = matches!(self.phase, Phase::Handshake);
        match ffi::timer(self.stream.ssl()) {
            Timer::Set(duration) if handshaking => self.retransmit_at = Some(now + duration),
            Timer::Unchanged if handshaking => {}
            _ => self.retransmit_at = None,
        }
    }
}

/// An error that another call left on this thread's queue would be taken for one of the next call.
fn clear_errors() {
    let _ = ErrorStack::get();
}

#[cfg(test)]
mod tests;
