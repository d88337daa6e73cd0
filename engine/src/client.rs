//! A WebRTC client without sockets or clock: full ICE towards a lite server, DTLS in either role, SRTP. For tests and load generation.
//!
//! It plays one pair of addresses; its owner moves the datagrams. What it sends as media is the owner's, packet by packet.

use crate::control::{DtlsRole, Fingerprint, LocalTransport};
use crate::session::Srtp;
use crate::transport::dtls::{Dtls, DtlsContext, DtlsEvent, DtlsFault};
use crate::transport::stun::{Answer, BindingRequest, MAX_REQUEST};
use openssl::error::ErrorStack;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Ta of RFC 8445 §14.2: checks until the first is answered.
const CHECK_INTERVAL: Duration = Duration::from_millis(50);
/// That of a peer-reflexive candidate (RFC 8445 §5.1.2.1): type preference 110.
const PRIORITY: u32 = 0x6eff_ffff;
/// Consent checks afterwards; RFC 7675 §5.1 wants 5 s, browsers take 2.5.
const CONSENT_INTERVAL: Duration = Duration::from_millis(2500);

/// What a client was told by the answer, and what its offer said.
pub struct ClientConfig {
    /// The server's side of the answer.
    pub remote: LocalTransport,
    /// `a=ice-ufrag` of the offer.
    pub ufrag: String,
    /// Its part in DTLS.
    pub dtls_role: DtlsRole,
}

/// Something that came over SRTP.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Received {
    /// A decrypted RTP packet.
    Rtp(Vec<u8>),
    /// A decrypted RTCP compound.
    Rtcp(Vec<u8>),
}

/// How far a client has come.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ClientState {
    /// No check was answered yet.
    Checking,
    /// The pair works, the handshake is under way.
    Securing,
    /// SRTP is keyed.
    Connected,
    /// The server said goodbye.
    Closed,
    /// The handshake failed.
    Failed(DtlsFault),
}

/// See the module's text.
pub struct Client {
    config: ClientConfig,
    state: ClientState,
    dtls: Dtls,
    srtp: Option<Srtp>,
    next_check: Instant,
    checks: u64,
    answered: u64,
    transmits: VecDeque<Vec<u8>>,
    received: VecDeque<Received>,
}

impl Client {
    /// A client that begins its checks at once.
    pub fn new(now: Instant, config: ClientConfig, context: &DtlsContext) -> Result<Client, ErrorStack> {
        let expected: Vec<Fingerprint> = config.remote.fingerprints.clone();
        let dtls = Dtls::new(context, config.dtls_role, expected, now)?;
        Ok(Client {
            config,
            state: ClientState::Checking,
            dtls,
            srtp: None,
            next_check: now,
            checks: 0,
            answered: 0,
            transmits: VecDeque::new(),
            received: VecDeque::new(),
        })
    }

    /// How far it has come.
    pub fn state(&self) -> &ClientState {
        &self.state
    }

    /// Whether SRTP is keyed.
    pub fn is_connected(&self) -> bool {
        self.state == ClientState::Connected
    }

    /// How many of its checks were answered.
    pub fn answered_checks(&self) -> u64 {
        self.answered
    }

    /// Takes a datagram, decrypting it in place.
    pub fn handle_datagram(&mut self, now: Instant, datagram: &mut [u8]) {
        match datagram {
            [0..=3, ..] => self.handle_response(now, datagram),
            [20..=63, ..] => {
                self.dtls.handle_datagram(now, datagram);
                self.drain_dtls();
            }
            [128..=191, 192..=223, ..] => {
                let plain = self.srtp.as_mut().and_then(|srtp| srtp.unprotect_rtcp(datagram).ok());
                self.received.extend(plain.map(|plain| Received::Rtcp(plain.to_vec())));
            }
            [128..=191, ..] => {
                let plain = self.srtp.as_mut().and_then(|srtp| srtp.unprotect_rtp(datagram).ok());
                self.received.extend(plain.map(|plain| Received::Rtp(plain.to_vec())));
            }
            _ => {}
        }
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.next_check <= now && !self.is_over() {
            self.send_check();
            let settled = self.state != ClientState::Checking;
            self.next_check = now + if settled { CONSENT_INTERVAL } else { CHECK_INTERVAL };
        }
        if self.state != ClientState::Checking && self.dtls.next_timeout().is_some_and(|due| due <= now) {
            // Early is what only a virtual clock can be: it stays due.
            let _ = self.dtls.handle_timeout(now);
            self.drain_dtls();
        }
    }

    /// When [`Client::handle_timeout`] wants to be called.
    pub fn next_timeout(&self) -> Option<Instant> {
        match self.state {
            ClientState::Checking => Some(self.next_check),
            ClientState::Closed | ClientState::Failed(_) => None,
            _ => [Some(self.next_check), self.dtls.next_timeout()].into_iter().flatten().min(),
        }
    }

    /// The next datagram to send.
    pub fn poll_transmit(&mut self) -> Option<Vec<u8>> {
        self.transmits.pop_front()
    }

    /// The next thing that came over SRTP.
    pub fn poll_received(&mut self) -> Option<Received> {
        self.received.pop_front()
    }

    /// Checks again at once, from wherever the owner sends now: the client has moved, or wants its consent renewed.
    pub fn check(&mut self) {
        self.send_check();
    }

    /// Restarts ICE: checks with the server's new credentials and a new ufrag of its own, at once. DTLS and SRTP go on.
    pub fn restart(&mut self, now: Instant, remote_ufrag: String, remote_pwd: String, ufrag: String) {
        self.config.remote.ufrag = remote_ufrag;
        self.config.remote.pwd = remote_pwd;
        self.config.ufrag = ufrag;
        self.next_check = now;
    }

    /// Sends a plaintext RTP packet whose rollover counter is `roc`. False until SRTP is keyed.
    pub fn send_rtp(&mut self, packet: &[u8], roc: u32) -> bool {
        let mut room = packet.to_vec();
        room.resize(Srtp::room(packet.len()), 0);
        self.send_protected(room, |srtp, room| srtp.protect_rtp(room, packet.len(), roc))
    }

    /// Sends a plaintext RTCP compound. False until SRTP is keyed.
    pub fn send_rtcp(&mut self, compound: &[u8]) -> bool {
        let mut room = compound.to_vec();
        room.resize(Srtp::room(compound.len()), 0);
        self.send_protected(room, |srtp, room| srtp.protect_rtcp(room, compound.len()))
    }

    /// Says goodbye.
    pub fn close(&mut self, now: Instant) {
        self.dtls.close(now);
        self.drain_dtls();
        self.state = ClientState::Closed;
    }

    fn is_over(&self) -> bool {
        matches!(self.state, ClientState::Closed | ClientState::Failed(_))
    }

    fn send_protected(&mut self, mut room: Vec<u8>, protect: impl FnOnce(&mut Srtp, &mut [u8]) -> usize) -> bool {
        let Some(srtp) = &mut self.srtp else { return false };
        let len = protect(srtp, &mut room);
        room.truncate(len);
        if len > 0 {
            self.transmits.push_back(room);
        }
        len > 0
    }

    fn send_check(&mut self) {
        self.checks += 1;
        let mut transaction = [0; 12];
        transaction[4..].copy_from_slice(&self.checks.to_be_bytes());
        let request = BindingRequest {
            remote_ufrag: &self.config.remote.ufrag,
            remote_pwd: &self.config.remote.pwd,
            local_ufrag: &self.config.ufrag,
            transaction,
            priority: PRIORITY,
            controlling: 1,
            use_candidate: true,
        };
        let mut room = [0; MAX_REQUEST];
        if let Some(len) = request.write(&mut room) {
            self.transmits.push_back(room[..len].to_vec());
        }
    }

    fn handle_response(&mut self, now: Instant, datagram: &[u8]) {
        let answer = Answer::parse(&self.config.remote.pwd, datagram);
        if !answer.is_ok_and(|answer| answer.outcome.is_ok()) {
            return;
        }
        self.answered += 1;
        if self.state == ClientState::Checking {
            self.state = ClientState::Securing;
            self.next_check = now + CONSENT_INTERVAL;
            self.drain_dtls();
        }
    }

    fn drain_dtls(&mut self) {
        while let Some(datagram) = self.dtls.poll_transmit() {
            self.transmits.push_back(datagram);
        }
        while let Some(event) = self.dtls.poll_event() {
            self.state = match event {
                DtlsEvent::Connected { profile, keying_material } => {
                    self.srtp = Srtp::new(profile, &keying_material, self.config.dtls_role);
                    ClientState::Connected
                }
                DtlsEvent::Closed => ClientState::Closed,
                DtlsEvent::Failed(fault) => ClientState::Failed(fault),
            };
        }
    }
}
