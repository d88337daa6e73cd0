//! A WebRTC client without sockets or clock: full ICE towards a lite or a full server, DTLS in either role, SRTP. For tests and load
//! generation.
//!
//! It is the controlling agent, unless told otherwise, and plays one pair of addresses; its owner moves the datagrams. What it sends
//! as media is the owner's, packet by packet.

use crate::control::{DtlsRole, Fingerprint, LocalTransport};
use crate::session::Srtp;
use crate::transport::dtls::{Dtls, DtlsContext, DtlsEvent, DtlsFault};
use crate::transport::sctp::{ChannelEvent, ChannelSpec, DataChannels, Reliability};
use crate::transport::stun::{Answer, BindingRequest, MAX_REQUEST};
use openssl::error::ErrorStack;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use stun_types::attribute::{AttributeType, RawAttribute, Username, XorMappedAddress};
use stun_types::message::{
    BINDING, IntegrityAlgorithm, Message, MessageClass, MessageType, MessageWrite, MessageWriteExt, MessageWriteVec,
    ShortTermCredentials,
};

/// Ta of RFC 8445 §14.2: checks until the first is answered.
const CHECK_INTERVAL: Duration = Duration::from_millis(50);
/// That of a peer-reflexive candidate (RFC 8445 §5.1.2.1): type preference 110.
const PRIORITY: u32 = 0x6eff_ffff;
const PRIORITY_TYPE: AttributeType = AttributeType::new(0x0024);
const ICE_CONTROLLED: AttributeType = AttributeType::new(0x8029);
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
    /// A message on the data channel of this label.
    Message {
        /// The channel's label.
        label: String,
        /// Bytes, or text.
        is_binary: bool,
        /// What it says.
        message: Vec<u8>,
    },
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
    /// What a server's own checks may be signed for: our ufrag and password, and those before an ICE restart.
    credentials: Vec<(String, String)>,
    is_controlled: bool,
    state: ClientState,
    /// No check with the present credentials was answered yet.
    unproven: bool,
    dtls: Dtls,
    takes_data: bool,
    data: Option<DataChannels>,
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
            credentials: Vec::new(),
            is_controlled: false,
            state: ClientState::Checking,
            unproven: true,
            dtls,
            takes_data: false,
            data: None,
            srtp: None,
            next_check: now,
            checks: 0,
            answered: 0,
            transmits: VecDeque::new(),
            received: VecDeque::new(),
        })
    }

    /// With the `a=ice-pwd` of the offer, which the checks of a full-ICE server are signed with.
    pub fn with_password(mut self, pwd: String) -> Client {
        self.credentials.push((self.config.ufrag.clone(), pwd));
        self
    }

    /// With data channels.
    pub fn with_data(mut self) -> Client {
        self.takes_data = true;
        self.dtls.accept_data();
        self
    }

    /// Opens a reliable and ordered data channel.
    pub fn open_channel(&mut self, now: Instant, label: &str) {
        if let Some(data) = &mut self.data {
            let (label, protocol) = (label.to_owned(), String::new());
            data.open(now, ChannelSpec { label, protocol, ordered: true, reliability: Reliability::Reliable });
        }
        self.drain_data();
    }

    /// Sends a message on the data channel of this label, if there is one.
    pub fn send_message(&mut self, now: Instant, label: &str, is_binary: bool, message: &[u8]) {
        if let Some(data) = &mut self.data
            && let Some(channel) = data.find(label)
        {
            data.send(now, channel, is_binary, message);
        }
        self.drain_data();
    }

    fn drain_data(&mut self) {
        let Some(data) = &mut self.data else { return };
        while let Some(datagram) = data.poll_transmit() {
            self.dtls.send(&datagram);
        }
        while let Some(event) = data.poll_event() {
            if let ChannelEvent::Message(channel, is_binary, message) = event {
                let label = data.spec(channel).map(|spec| spec.label.clone()).unwrap_or_default();
                self.received.push_back(Received::Message { label, is_binary, message: message.to_vec() });
            }
        }
        while let Some(datagram) = self.dtls.poll_transmit() {
            self.transmits.push_back(datagram);
        }
    }

    /// As the controlled agent: that of who answers a full-ICE server's offer (RFC 8445 §6.1.1).
    pub fn controlled(mut self) -> Client {
        self.is_controlled = true;
        self
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
                self.drain_dtls(now);
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
            self.next_check = now + if self.unproven { CHECK_INTERVAL } else { CONSENT_INTERVAL };
        }
        if self.state != ClientState::Checking && self.dtls.next_timeout().is_some_and(|due| due <= now) {
            // Early is what only a virtual clock can be: it stays due.
            let _ = self.dtls.handle_timeout(now);
            self.drain_dtls(now);
        }
        if let Some(data) = self.data.as_mut().filter(|data| data.next_timeout().is_some_and(|due| due <= now)) {
            data.handle_timeout(now);
            self.drain_data();
        }
    }

    /// When [`Client::handle_timeout`] wants to be called.
    pub fn next_timeout(&self) -> Option<Instant> {
        match self.state {
            ClientState::Checking => Some(self.next_check),
            ClientState::Closed | ClientState::Failed(_) => None,
            _ => {
                let data = self.data.as_ref().and_then(DataChannels::next_timeout);
                [Some(self.next_check), data, self.dtls.next_timeout()].into_iter().flatten().min()
            }
        }
    }

    /// The next datagram to send.
    pub fn poll_transmit(&mut self) -> Option<Vec<u8>> {
        self.transmits.pop_front()
    }

    /// Whether there is something to send.
    pub fn has_transmits(&self) -> bool {
        !self.transmits.is_empty()
    }

    /// The plaintext of an SRTP packet, decrypted in place: for who does not want it copied.
    pub fn unprotect_rtp<'a>(&mut self, datagram: &'a mut [u8]) -> Option<&'a [u8]> {
        self.srtp.as_mut()?.unprotect_rtp(datagram).ok()
    }

    /// The next thing that came over SRTP.
    pub fn poll_received(&mut self) -> Option<Received> {
        self.received.pop_front()
    }

    /// Checks again at once, from wherever the owner sends now: the client has moved, or wants its consent renewed.
    pub fn check(&mut self) {
        self.send_check();
    }

    /// Goes on with the credentials of an ICE restart (RFC 8445 §9); DTLS and SRTP stay. Checks with those before are still answered.
    pub fn restart(&mut self, now: Instant, remote: (String, String), ours: (String, String)) {
        (self.config.remote.ufrag, self.config.remote.pwd) = remote;
        self.config.ufrag.clone_from(&ours.0);
        self.credentials.push(ours);
        self.unproven = true;
        self.next_check = now;
    }

    /// The answer to a full-ICE server's check from `from`, which it goes back to (RFC 8445 §7.3). `None` when the datagram is no
    /// check, or none for us.
    pub fn answer_check(&self, from: SocketAddr, datagram: &[u8]) -> Option<Vec<u8>> {
        let check = Message::from_bytes(datagram).ok()?;
        if check.class() != MessageClass::Request || check.method() != BINDING {
            return None;
        }
        let username = check.attribute::<Username>().ok()?;
        let (ufrag, _) = username.username().split_once(':')?;
        let (_, pwd) = self.credentials.iter().rev().find(|(ours, _)| ours == ufrag)?;
        let credentials = ShortTermCredentials::new(pwd.clone());
        check.validate_integrity(&credentials.clone().into()).ok()?;
        let mut answer = Message::builder_success(&check, MessageWriteVec::new());
        answer.add_attribute(&XorMappedAddress::new(from, check.transaction_id())).ok()?;
        answer.add_message_integrity(&credentials.into(), IntegrityAlgorithm::Sha1).ok()?;
        answer.add_fingerprint().ok()?;
        Some(answer.finish())
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

    /// Sends a datagram of the owner's, such as the answer to a server's check.
    pub fn queue(&mut self, datagram: Vec<u8>) {
        self.transmits.push_back(datagram);
    }

    /// Says goodbye.
    pub fn close(&mut self, now: Instant) {
        self.dtls.close(now);
        self.drain_dtls(now);
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
        let check = if self.is_controlled { self.controlled_check() } else { self.controlling_check(transaction) };
        self.transmits.extend(check);
    }

    fn controlling_check(&self, transaction: [u8; 12]) -> Option<Vec<u8>> {
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
        let len = request.write(&mut room)?;
        Some(room[..len].to_vec())
    }

    fn controlled_check(&self) -> Option<Vec<u8>> {
        let kind = MessageType::from_class_method(MessageClass::Request, BINDING);
        let mut check = Message::builder(kind, u128::from(self.checks).into(), MessageWriteVec::new());
        let username = format!("{}:{}", self.config.remote.ufrag, self.config.ufrag);
        check.add_attribute(&Username::new(&username).ok()?).ok()?;
        check.add_attribute(&RawAttribute::new(PRIORITY_TYPE, &PRIORITY.to_be_bytes())).ok()?;
        check.add_attribute(&RawAttribute::new(ICE_CONTROLLED, &[0; 8])).ok()?;
        let credentials = ShortTermCredentials::new(self.config.remote.pwd.clone());
        check.add_message_integrity(&credentials.into(), IntegrityAlgorithm::Sha1).ok()?;
        check.add_fingerprint().ok()?;
        Some(check.finish())
    }

    fn handle_response(&mut self, now: Instant, datagram: &[u8]) {
        let answer = Answer::parse(&self.config.remote.pwd, datagram);
        if !answer.is_ok_and(|answer| answer.outcome.is_ok()) {
            return;
        }
        self.answered += 1;
        if std::mem::take(&mut self.unproven) {
            self.next_check = now + CONSENT_INTERVAL;
        }
        if self.state == ClientState::Checking {
            self.state = ClientState::Securing;
            self.drain_dtls(now);
        }
    }

    fn drain_dtls(&mut self, now: Instant) {
        while let Some(datagram) = self.dtls.poll_transmit() {
            self.transmits.push_back(datagram);
        }
        while let Some(event) = self.dtls.poll_event() {
            self.state = match event {
                DtlsEvent::Connected { profile, keying_material } => {
                    self.srtp = Srtp::new(profile, &keying_material, self.config.dtls_role);
                    if self.takes_data {
                        self.data = Some(DataChannels::begin(self.config.dtls_role == DtlsRole::Client, now));
                    }
                    ClientState::Connected
                }
                DtlsEvent::Data(datagram) => {
                    if let Some(data) = &mut self.data {
                        data.handle_datagram(now, &datagram);
                    }
                    continue;
                }
                DtlsEvent::Closed => ClientState::Closed,
                DtlsEvent::Failed(fault) => ClientState::Failed(fault),
            };
        }
        self.drain_data();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::SessionId;
    use crate::transport::dtls::{Certificate, DtlsConfig};

    const PWD: &str = "0123456789abcdefghijkl";

    fn client() -> Client {
        let certificate = Certificate::generate().unwrap();
        let context = DtlsContext::new(certificate, DtlsConfig::default()).unwrap();
        let remote = LocalTransport {
            session: SessionId(0),
            ufrag: "server".to_owned(),
            pwd: "server's password of 22".to_owned(),
            fingerprints: vec![],
            port: 0,
            addresses: vec![],
        };
        let config = ClientConfig { remote, ufrag: "ours".to_owned(), dtls_role: DtlsRole::Client };
        Client::new(Instant::now(), config, &context).unwrap().with_password(PWD.to_owned())
    }

    /// A full-ICE server's check for a client.
    fn check(ufrag: &str, pwd: &str) -> Vec<u8> {
        let mut room = [0; MAX_REQUEST];
        let (transaction, priority) = ([7; 12], PRIORITY);
        let (local_ufrag, remote_ufrag, remote_pwd) = ("server", ufrag, pwd);
        let (controlling, use_candidate) = (0, false);
        let request =
            BindingRequest { remote_ufrag, remote_pwd, local_ufrag, transaction, priority, controlling, use_candidate };
        let len = request.write(&mut room).unwrap();
        room[..len].to_vec()
    }

    #[test]
    fn a_full_ice_servers_check_is_answered_if_it_is_signed_for_us() {
        let (client, from) = (client(), "192.0.2.1:3478".parse().unwrap());
        let answer = client.answer_check(from, &check("ours", PWD)).unwrap();
        assert_eq!(Answer::parse(PWD, &answer).unwrap(), Answer { transaction: [7; 12], outcome: Ok(from) });
        assert_eq!(client.answer_check(from, &check("ours", "another password of 22")), None);
        assert_eq!(client.answer_check(from, &check("theirs", PWD)), None);
        assert_eq!(client.answer_check(from, &answer), None, "an answer is no check");
    }

    #[test]
    fn a_controlled_client_says_so_and_nominates_nothing() {
        let mut client = client().controlled();
        client.check();
        let check = client.poll_transmit().unwrap();
        let check = Message::from_bytes(&check).unwrap();
        assert!(check.has_attribute(ICE_CONTROLLED));
        let (controlling, use_candidate) = (AttributeType::new(0x802a), AttributeType::new(0x0025));
        assert!(!check.has_attribute(controlling) && !check.has_attribute(use_candidate));
        let key = ShortTermCredentials::new("server's password of 22".to_owned());
        assert!(check.validate_integrity(&key.into()).is_ok());
    }

    #[test]
    fn after_a_restart_checks_of_both_generations_are_answered() {
        let (mut client, now) = (client(), Instant::now());
        let from = "192.0.2.1:3478".parse().unwrap();
        let new = ("newer".to_owned(), "a newer password of 22".to_owned());
        client.restart(now, ("next".to_owned(), "the next password of 22".to_owned()), new.clone());
        assert!(client.answer_check(from, &check("ours", PWD)).is_some());
        assert!(client.answer_check(from, &check(&new.0, &new.1)).is_some());
        assert_eq!(client.next_timeout(), Some(now), "it checks the new pair at once");
    }
}
