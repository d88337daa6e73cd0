//! A whole WebRTC peer over UDP sockets: the engine's client, the addresses that it may use, its media, and probes beside it.

use crate::answer::Description;
use crate::hello::split_client_hello;
use crate::media::{Inbox, Source};
use crate::offer::Transport;
use crate::report::Shortfall;
use crate::stun::{Answer, Probe, transaction_of};
use oneport_engine::client::{Client, ClientConfig, ClientState, Received};
use oneport_engine::control::{DtlsRole, LocalTransport, SessionId};
use oneport_engine::transport::dtls::{Certificate, DtlsConfig, DtlsContext};
use oneport_rtp::ids::Ssrc;
use oneport_rtp::rtcp::{Lead, write_pli};
use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::Instant;
use url::Url;

/// What a peer is before it knows the server: sockets, certificate, ICE credentials.
pub(crate) struct Identity {
    context: DtlsContext,
    sockets: Vec<UdpSocket>,
    pub(crate) transport: Transport,
}

/// A step that only fails when this machine does.
fn ours<T>(what: &str, result: Result<T, impl std::fmt::Display>) -> Result<T, Shortfall> {
    result.map_err(|error| Shortfall::not_applicable(format!("this machine cannot {what}: {error}")))
}

/// Letters of `ice-char` (RFC 8839 §5.4).
pub(crate) fn random_token(length: usize) -> Result<String, Shortfall> {
    let mut bytes = vec![0; length];
    ours("draw random numbers", getrandom::fill(&mut bytes))?;
    Ok(bytes.iter().map(|byte| char::from(b"abcdefghijklmnopqrstuvwxyzABCDEF"[usize::from(byte % 32)])).collect())
}

impl Identity {
    /// A new one, for a server that is reached as its HTTP is.
    pub(crate) fn new(server: &Url) -> Result<Identity, Shortfall> {
        let certificate = ours("make a certificate", Certificate::generate())?;
        let fingerprints = ours("read its certificate", certificate.fingerprints())?;
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(":");
        let fingerprint = fingerprints.first().map(|first| format!("{} {}", first.digest.name(), hex(&first.bytes)));
        let context = ours("set up DTLS", DtlsContext::new(certificate, DtlsConfig::default()))?;
        let sockets = bind_sockets()?;
        let transport = Transport {
            ufrag: random_token(8)?,
            pwd: random_token(24)?,
            fingerprint: fingerprint.unwrap_or_default(),
            candidates: candidates(&sockets, server),
        };
        Ok(Identity { context, sockets, transport })
    }
}

/// One for each family that this machine has.
fn bind_sockets() -> Result<Vec<UdpSocket>, Shortfall> {
    let v4 = ours("open a UDP socket", UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)))?;
    let mut sockets = vec![v4];
    sockets.extend(UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0)));
    for socket in &sockets {
        ours("use a UDP socket", socket.set_nonblocking(true))?;
    }
    Ok(sockets)
}

/// The addresses that this machine has towards the server.
fn candidates(sockets: &[UdpSocket], server: &Url) -> Vec<String> {
    candidates_towards(sockets, &server.socket_addrs(|| None).unwrap_or_default())
}

fn candidates_towards(sockets: &[UdpSocket], remotes: &[SocketAddr]) -> Vec<String> {
    let mut locals: Vec<SocketAddr> = Vec::new();
    for remote in remotes {
        let own = sockets.iter().filter_map(|socket| socket.local_addr().ok());
        let port = own.into_iter().find(|own| own.is_ipv4() == remote.is_ipv4()).map(|own| own.port());
        let local = source_towards(*remote).zip(port).map(SocketAddr::from);
        locals.extend(local.filter(|local| !locals.contains(local)));
    }
    let line = |(index, local): (usize, &SocketAddr)| {
        format!("{} 1 udp {} {} {} typ host", index + 1, 2_130_706_431 - index, local.ip(), local.port())
    };
    locals.iter().enumerate().map(line).collect()
}

fn source_towards(remote: SocketAddr) -> Option<IpAddr> {
    let any: IpAddr = if remote.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0)).ok()?;
    socket.connect(remote).ok()?;
    Some(socket.local_addr().ok()?.ip())
}

/// See the module's text.
pub(crate) struct Peer {
    client: Client,
    /// The first of a family is sent from.
    sockets: Vec<UdpSocket>,
    /// How many of them [`Peer::change_ports`] has opened.
    fresh_sockets: usize,
    remotes: Vec<SocketAddr>,
    selected: Option<SocketAddr>,
    ufrag: String,
    remote_ufrag: String,
    remote_pwd: String,
    source: Option<Source>,
    pub(crate) inbox: Inbox,
    /// DTLS handshake records that came.
    pub(crate) handshakes: u64,
    /// SRTP packets that came to the ports of [`Peer::change_ports`].
    pub(crate) fresh_packets: u64,
    probes: HashMap<u128, (Probe, Option<Answer>)>,
    /// Cuts its ClientHello in two.
    pub(crate) splits_hello: bool,
    /// Sends nothing.
    pub(crate) is_silent: bool,
}

impl Peer {
    /// The peer of a server's description, in the part of DTLS that is left to it.
    pub(crate) fn new(identity: Identity, answer: &Description) -> Result<Peer, Shortfall> {
        let (dtls_role, remote) = (dtls_role(answer)?, remote_transport(answer)?);
        let Identity { context, sockets, transport } = identity;
        let (remote_ufrag, remote_pwd) = (remote.ufrag.clone(), remote.pwd.clone());
        let config = ClientConfig { remote, ufrag: transport.ufrag.clone(), dtls_role };
        let client = ours("set up DTLS", Client::new(Instant::now(), config, &context))?;
        let client = client.with_password(transport.pwd);
        // Who answers a full agent is controlled (RFC 8445 §6.1.1): an offer leaves the DTLS role open, an answer never does.
        let is_controlled = answer.anywhere("setup") == Some("actpass") && !answer.is_lite();
        Ok(Peer {
            client: if is_controlled { client.controlled() } else { client },
            sockets,
            fresh_sockets: 0,
            remotes: answer.candidates(),
            selected: None,
            ufrag: transport.ufrag,
            remote_ufrag,
            remote_pwd,
            source: None,
            inbox: Inbox::default(),
            handshakes: 0,
            fresh_packets: 0,
            probes: HashMap::new(),
            splits_hello: false,
            is_silent: false,
        })
    }

    /// Opens other ports, and sends from them from now on; what comes to the old ones is still taken. Tells the new candidates.
    pub(crate) fn change_ports(&mut self) -> Result<Vec<String>, Shortfall> {
        let fresh = bind_sockets()?;
        let candidates = candidates_towards(&fresh, &self.remotes);
        self.fresh_sockets = fresh.len();
        self.sockets.splice(0..0, fresh);
        Ok(candidates)
    }

    pub(crate) fn publish(&mut self, source: Source) {
        self.source = Some(source);
    }

    pub(crate) fn state(&self) -> &ClientState {
        self.client.state()
    }

    pub(crate) fn is_connected(&self) -> bool {
        self.client.is_connected()
    }

    pub(crate) fn is_closed(&self) -> bool {
        *self.client.state() == ClientState::Closed
    }

    /// How many of the client's own checks were answered.
    pub(crate) fn answered_checks(&self) -> u64 {
        self.client.answered_checks()
    }

    /// The addresses that the server may see this peer at: its ports.
    pub(crate) fn ports(&self) -> Vec<u16> {
        self.sockets.iter().filter_map(|socket| Some(socket.local_addr().ok()?.port())).collect()
    }

    /// Says goodbye over DTLS.
    pub(crate) fn close(&mut self) {
        self.client.close(Instant::now());
        self.transmit();
    }

    /// Goes on with the credentials and candidates of an ICE restart.
    pub(crate) fn restart(&mut self, remote: (String, String), ours: (String, String), remotes: Vec<SocketAddr>) {
        (self.remote_ufrag, self.remote_pwd) = remote.clone();
        self.ufrag.clone_from(&ours.0);
        // The same server: what worked is worth a check with the new credentials too.
        self.remotes.extend(remotes.into_iter().filter(|remote| Some(*remote) != self.selected));
        self.client.restart(Instant::now(), remote, ours);
    }

    /// Asks for a keyframe of a source.
    pub(crate) fn request_keyframe(&mut self, media: u32) {
        let mut room = [0; 256];
        let lead = Lead { ssrc: Ssrc(0x0c1e_0001), cname: Some(crate::offer::CNAME) };
        if let Some(len) = lead.write(&mut room, |room| write_pli(room, lead.ssrc, Ssrc(media))) {
            self.client.send_rtcp(&room[..len]);
        }
    }

    /// An honest check with the present credentials.
    pub(crate) fn probe(&self) -> Probe {
        let username = format!("{}:{}", self.remote_ufrag, self.ufrag);
        Probe { username, pwd: self.remote_pwd.clone(), controlled: false }
    }

    /// Sends a check; [`Peer::answer_to`] tells what came of it.
    pub(crate) fn send_probe(&mut self, probe: Probe) -> Result<u128, Shortfall> {
        let mut bytes = [0; 16];
        ours("draw random numbers", getrandom::fill(&mut bytes[4..]))?;
        let transaction = u128::from_be_bytes(bytes);
        if let Some(datagram) = probe.write(transaction) {
            match self.selected {
                Some(selected) => self.send_to(&datagram, selected),
                None => self.remotes.iter().for_each(|remote| self.send_to(&datagram, *remote)),
            }
        }
        self.probes.insert(transaction, (probe, None));
        Ok(transaction)
    }

    pub(crate) fn answer_to(&self, transaction: u128) -> Option<Answer> {
        self.probes.get(&transaction).and_then(|(_, answer)| *answer)
    }

    /// Moves what there is to move.
    pub(crate) fn turn(&mut self) {
        let now = Instant::now();
        self.receive(now);
        if self.is_silent {
            return;
        }
        if self.client.next_timeout().is_some_and(|due| due <= now) {
            self.client.handle_timeout(now);
        }
        if let Some(source) = self.source.as_mut().filter(|_| self.client.is_connected()) {
            source.turn(now, &mut self.client);
        }
        self.transmit();
    }

    fn receive(&mut self, now: Instant) {
        let mut buffer = [0; 2048];
        for index in 0..self.sockets.len() {
            while let Ok((len, from)) = self.sockets[index].recv_from(&mut buffer) {
                let is_srtp = buffer.first().is_some_and(|first| (128..192).contains(first));
                self.fresh_packets += u64::from(is_srtp && index < self.fresh_sockets);
                self.handle_datagram(now, from, &mut buffer[..len]);
            }
        }
        while let Some(received) = self.client.poll_received() {
            match received {
                Received::Rtp(packet) => self.inbox.take_rtp(&packet),
                Received::Message { .. } => {}
                Received::Rtcp(compound) => self.inbox.take_rtcp(&compound),
            }
        }
    }

    fn handle_datagram(&mut self, now: Instant, from: SocketAddr, datagram: &mut [u8]) {
        if datagram.first() == Some(&22) {
            self.handshakes += 1;
        }
        if datagram.first().is_some_and(|first| *first < 4) {
            if self.handle_probe_answer(datagram) {
                return;
            }
            if let Some(answer) = self.client.answer_check(from, datagram) {
                if !self.is_silent {
                    self.send_to(&answer, from);
                }
                return;
            }
        }
        let answered = self.client.answered_checks();
        self.client.handle_datagram(now, datagram);
        if self.client.answered_checks() > answered {
            self.selected = Some(from);
        }
    }

    fn handle_probe_answer(&mut self, datagram: &[u8]) -> bool {
        let probe = transaction_of(datagram).and_then(|transaction| self.probes.get_mut(&transaction));
        let Some((probe, answer)) = probe else { return false };
        *answer = answer.or_else(|| probe.read(datagram));
        true
    }

    fn transmit(&mut self) {
        while let Some(datagram) = self.client.poll_transmit() {
            let is_hello_like = self.splits_hello && datagram.first() == Some(&22);
            let datagrams = if is_hello_like { split_client_hello(&datagram) } else { vec![datagram] };
            datagrams.iter().for_each(|datagram| self.send_where_due(datagram));
        }
    }

    /// Checks go everywhere until one is answered; all else only where one was.
    fn send_where_due(&self, datagram: &[u8]) {
        match self.selected {
            Some(selected) => self.send_to(datagram, selected),
            None => self.remotes.iter().for_each(|remote| self.send_to(datagram, *remote)),
        }
    }

    fn send_to(&self, datagram: &[u8], remote: SocketAddr) {
        let is_of = |socket: &&UdpSocket| socket.local_addr().is_ok_and(|own| own.is_ipv4() == remote.is_ipv4());
        if let Some(socket) = self.sockets.iter().find(is_of) {
            // What the network loses, ICE, DTLS and RTP bear.
            let _ = socket.send_to(datagram, remote);
        }
    }
}

/// The part that the server's description leaves to us.
fn dtls_role(answer: &Description) -> Result<DtlsRole, Shortfall> {
    match answer.anywhere("setup") {
        Some("active") => Ok(DtlsRole::Server),
        Some("passive" | "actpass") => Ok(DtlsRole::Client),
        other => Err(Shortfall::fail("a=setup:active or passive", format!("{other:?}"))),
    }
}

/// ICE and DTLS of the server's description.
fn remote_transport(answer: &Description) -> Result<LocalTransport, Shortfall> {
    let (Some(ufrag), Some(pwd)) = (answer.anywhere("ice-ufrag"), answer.anywhere("ice-pwd")) else {
        return Err(Shortfall::fail("a=ice-ufrag and a=ice-pwd", "an answer without"));
    };
    let fingerprints = answer.fingerprints();
    if fingerprints.is_empty() || answer.candidates().is_empty() {
        let got = format!("fingerprints {:?}, candidates {:?}", answer.all("fingerprint"), answer.all("candidate"));
        return Err(Shortfall::fail("a fingerprint and a UDP candidate that is an address", got));
    }
    let (ufrag, pwd) = (ufrag.to_owned(), pwd.to_owned());
    // Where the server is, the peer knows.
    Ok(LocalTransport { session: SessionId(0), ufrag, pwd, fingerprints, port: 0, addresses: Vec::new() })
}
