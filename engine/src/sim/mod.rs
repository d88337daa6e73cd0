//! Whole sessions in virtual time: clients, a seeded network, and the engine's protocol half with any number of shards.
//!
//! ```text
//!  Client ──► Network (loss, duplication, delay) ──► shard of the 5-tuple: Middlebox ──► Network ──► Client
//!                                                          │  ▲
//!                                               notices    ▼  │ orders
//!                                                        Directory
//! ```
//!
//! The kernel's reuseport hash is the port modulo the number of shards, so that a test chooses where a flow lands.

mod accounts;
mod clocks;
mod data;
mod hostile;
mod layers;
mod network;
mod recovery;
mod restarts;
mod sessions;
mod traffic;
mod transport_cc;

use crate::client::{Client, ClientConfig, Received};
use crate::config::Config;
use crate::control::*;
use crate::directory::{Directory, Limits};
use crate::flow::Flow;
use crate::middlebox::{Common, Middlebox};
use crate::outbox::{Outbox, Sink};
use crate::stats::{Discard, ShardStats};
use crate::testing::tracks;
use crate::transport::dtls::{Certificate, DtlsConfig, DtlsContext};
use crate::transport::ice::IceKey;
use network::{Conditions, Network};
use oneport_rtp::ids::{PayloadType, Ssrc};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// OpenSSL calls its own timer expired 15 ms early. With a timeout just above that, its clock, which is the real one, is never far
/// behind the virtual one.
const RTO: Duration = Duration::from_millis(16);

/// A datagram under way.
#[derive(Clone, Debug)]
enum Packet {
    ToServer(Flow, Vec<u8>),
    ToClient(SocketAddr, Vec<u8>),
}

#[derive(Default)]
struct Collected(Vec<(SocketAddr, Vec<u8>)>);

impl Sink for Collected {
    fn send(&mut self, flow: Flow, bytes: &[u8], segment: usize) {
        self.0.extend(bytes.chunks(segment).map(|datagram| (flow.remote, datagram.to_vec())));
    }
}

struct Node {
    middlebox: Middlebox,
    outbox: Outbox<Collected>,
    stats: Arc<ShardStats>,
}

/// A client and where it is.
struct Seat {
    client: Client,
    address: SocketAddr,
    alive: bool,
    /// What its path loses, either way, in thousandths.
    loss: u64,
    /// Its path is down.
    is_cut: bool,
    received: Vec<Received>,
}

/// Everything.
struct World {
    now: Instant,
    nodes: Vec<Node>,
    directory: Directory,
    common: Common,
    context: DtlsContext,
    fingerprints: Vec<Fingerprint>,
    server_fingerprints: Vec<Fingerprint>,
    network: Network<Packet>,
    seats: Vec<Seat>,
    ended: HashMap<SessionId, (Instant, EndReason, Totals)>,
    /// Whether clients have data channels.
    takes_data: bool,
    /// What was told, but for the ends.
    told: Vec<Event>,
    stopped: bool,
}

fn address(port: u16) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 7], port))
}

/// A client's own ICE credentials.
fn own(ufrag: &str) -> (String, String) {
    (ufrag.to_owned(), "a password of ours 22".to_owned())
}

fn dtls_config() -> DtlsConfig {
    DtlsConfig { initial_rto: RTO, max_rto: RTO, ..DtlsConfig::default() }
}

impl World {
    fn new(shards: usize, conditions: Conditions) -> World {
        let now = Instant::now();
        let server = Certificate::generate().unwrap();
        let server_fingerprints = server.fingerprints().unwrap();
        let client = Certificate::generate().unwrap();
        let fingerprints = client.fingerprints().unwrap();
        let config = Config { shards, ..Config::default() };
        let limits = Limits { max_sessions: config.max_sessions, setup_timeout: config.setup_timeout };
        let common = Common {
            config: Arc::new(config),
            ice: Arc::new(IceKey::new(&[7; 32])),
            dtls: Arc::new(DtlsContext::new(server, dtls_config()).unwrap()),
            started: now,
        };
        let node = |shard| {
            let stats = Arc::new(ShardStats::default());
            let middlebox = Middlebox::new(shard, common.clone(), stats.clone());
            Node { middlebox, outbox: Outbox::new(Collected::default()), stats }
        };
        World {
            now,
            nodes: (0..shards).map(node).collect(),
            directory: Directory::new(limits, shards, 1),
            context: DtlsContext::new(client, dtls_config()).unwrap(),
            common,
            fingerprints,
            server_fingerprints,
            network: Network::new(conditions),
            seats: Vec::new(),
            ended: HashMap::new(),
            takes_data: false,
            told: Vec::new(),
            stopped: false,
        }
    }

    fn spec(&self, role: Role) -> SessionSpec {
        SessionSpec {
            stream: StreamId(1),
            role,
            replaces: None,
            dtls_role: DtlsRole::Server,
            fingerprints: self.fingerprints.clone(),
            data: self.takes_data,
            reduced_size: false,
            tracks: tracks(role),
        }
    }

    /// A client that begins now, from `port`.
    fn join(&mut self, role: Role, port: u16) -> (usize, SessionId) {
        let spec = self.spec(role);
        self.join_with(spec, port)
    }

    fn join_with(&mut self, spec: SessionSpec, port: u16) -> (usize, SessionId) {
        let dtls_role = match spec.dtls_role {
            DtlsRole::Server => DtlsRole::Client,
            DtlsRole::Client => DtlsRole::Server,
        };
        let session = self.directory.open(self.now, spec).unwrap();
        (self.seat(session, dtls_role, port), session)
    }

    /// A client of a session that there is.
    fn seat(&mut self, session: SessionId, dtls_role: DtlsRole, port: u16) -> usize {
        let credentials = self.common.ice.credentials(session, 0, self.common.seconds(self.now));
        let remote = LocalTransport {
            session,
            ufrag: credentials.ufrag,
            pwd: credentials.pwd,
            fingerprints: self.server_fingerprints.clone(),
            port: 0,
            addresses: vec![],
        };
        let config = ClientConfig { remote, ufrag: "peer".to_owned(), dtls_role };
        let client = Client::new(self.now, config, &self.context).unwrap();
        let client = if self.takes_data { client.with_data() } else { client };
        self.seats.push(Seat {
            client,
            address: address(port),
            alive: true,
            loss: 0,
            is_cut: false,
            received: Vec::new(),
        });
        self.seats.len() - 1
    }

    /// Restarts the ICE of a session, and has its client use the new credentials.
    fn restart(&mut self, seat: usize, session: SessionId) {
        let generation = self.directory.restart(session).unwrap();
        let credentials = self.common.ice.credentials(session, generation, self.common.seconds(self.now));
        let ours = own(&format!("peer{generation}"));
        self.seats[seat].client.restart(self.now, (credentials.ufrag, credentials.pwd), ours);
    }

    fn shard_of(&self, flow: Flow) -> usize {
        usize::from(flow.remote.port()) % self.nodes.len()
    }

    /// Lets `time` pass.
    fn run(&mut self, time: Duration) {
        let end = self.now + time;
        self.run_until(end, |_| false);
        self.now = end;
    }

    /// Goes on until `done`, or until `end`. Whether it was done.
    fn run_until(&mut self, end: Instant, done: impl Fn(&World) -> bool) -> bool {
        loop {
            self.settle();
            if done(self) {
                return true;
            }
            match self.next_event() {
                Some(next) if next <= end => self.advance(next),
                _ => return false,
            }
        }
    }

    /// Goes on until every client of `seats` is connected; fails after a minute of virtual time.
    fn connect(&mut self, seats: &[usize]) {
        let end = self.now + Duration::from_secs(60);
        let connected = self.run_until(end, |world| seats.iter().all(|seat| world.seats[*seat].client.is_connected()));
        assert!(connected, "not connected: {:?}", self.states());
        self.run(Duration::from_millis(200));
    }

    fn states(&self) -> Vec<String> {
        self.seats.iter().map(|seat| format!("{:?}", seat.client.state())).collect()
    }

    fn next_event(&self) -> Option<Instant> {
        let nodes = self.nodes.iter().filter_map(|node| node.middlebox.next_timeout());
        let clients = self.seats.iter().filter(|seat| seat.alive).filter_map(|seat| seat.client.next_timeout());
        nodes.chain(clients).chain(self.network.next()).chain(self.directory.next_timeout()).min()
    }

    fn advance(&mut self, next: Instant) {
        if next <= self.now {
            // Somebody's deadline stays due: OpenSSL waits for the real clock.
            std::thread::sleep(Duration::from_micros(200));
            self.now += Duration::from_micros(100);
        } else {
            self.now = next;
        }
        let now = self.now;
        while let Some(packet) = self.network.pop(now) {
            self.arrive(packet);
        }
        for node in &mut self.nodes {
            node.middlebox.handle_timeout(now, &mut node.outbox);
        }
        for seat in self.seats.iter_mut().filter(|seat| seat.alive) {
            seat.client.handle_timeout(now);
        }
        self.directory.handle_timeout(now);
    }

    fn arrive(&mut self, packet: Packet) {
        match packet {
            Packet::ToServer(flow, mut bytes) => {
                let shard = self.shard_of(flow);
                let node = &mut self.nodes[shard];
                node.middlebox.handle_datagram(self.now, flow, &mut bytes, &mut node.outbox);
            }
            Packet::ToClient(address, mut bytes) => {
                let seat = self.seats.iter_mut().find(|seat| seat.alive && seat.address == address);
                let Some(seat) = seat else { return };
                seat.client.handle_datagram(self.now, &mut bytes);
                seat.received.extend(std::iter::from_fn(|| seat.client.poll_received()));
            }
        }
    }

    /// Moves everything that is not under way on the network, until nothing moves.
    fn settle(&mut self) {
        loop {
            for node in &mut self.nodes {
                node.middlebox.end_turn(self.now, &mut node.outbox);
            }
            let moved = self.settle_control() | self.settle_mesh() | self.settle_datagrams();
            if !moved {
                return;
            }
        }
    }

    fn settle_control(&mut self) -> bool {
        let mut moved = false;
        for (shard, node) in self.nodes.iter_mut().enumerate() {
            while let Some(notice) = node.middlebox.poll_notice() {
                self.directory.handle_notice(shard, notice);
                moved = true;
            }
        }
        while let Some((shard, order)) = self.directory.poll_order() {
            let node = &mut self.nodes[shard];
            node.middlebox.handle_order(self.now, order, &mut node.outbox);
            moved = true;
        }
        while let Some(event) = self.directory.poll_event() {
            match event {
                Event::Ended { session, reason, totals } => {
                    self.ended.insert(session, (self.now, reason, totals));
                }
                Event::Stopped => self.stopped = true,
                other => self.told.push(other),
            }
        }
        moved
    }

    fn settle_mesh(&mut self) -> bool {
        let messages: Vec<_> =
            self.nodes.iter_mut().flat_map(|node| std::iter::from_fn(|| node.middlebox.poll_mesh())).collect();
        let moved = !messages.is_empty();
        for (shard, message) in messages {
            let node = &mut self.nodes[shard];
            node.middlebox.handle_mesh(self.now, message, &mut node.outbox);
        }
        moved
    }

    fn settle_datagrams(&mut self) -> bool {
        let mut moved = false;
        for node in &mut self.nodes {
            node.outbox.flush();
            for (address, bytes) in node.outbox.sink().0.drain(..) {
                let seat = self.seats.iter().find(|seat| seat.alive && seat.address == address);
                let loss = seat.map_or(0, |seat| if seat.is_cut { 1000 } else { seat.loss });
                self.network.push_over(self.now, loss, Packet::ToClient(address, bytes));
                moved = true;
            }
        }
        for seat in self.seats.iter_mut().filter(|seat| seat.alive) {
            let flow = Flow::new(seat.address, None);
            while let Some(bytes) = seat.client.poll_transmit() {
                let loss = if seat.is_cut { 1000 } else { seat.loss };
                self.network.push_over(self.now, loss, Packet::ToServer(flow, bytes));
                moved = true;
            }
        }
        moved
    }

    fn crossed(&self) -> u64 {
        self.nodes.iter().map(|node| node.stats.crossed.value()).sum()
    }

    fn discarded(&self, reason: Discard) -> u64 {
        self.nodes.iter().map(|node| node.stats.discarded(reason)).sum()
    }
}
