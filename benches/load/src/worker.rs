//! A thread that moves the datagrams of many clients through one socket.

use crate::cli::Options;
use crate::session::{Progress, Session};
use crate::signaling::{Answered, Local, Role};
use crate::socket::{Path, Socket};
use crate::stats::Stats;
use oneport_engine::client::{Client, ClientConfig};
use oneport_engine::control::{DtlsRole, LocalTransport, SessionId};
use oneport_engine::transport::dtls::DtlsContext;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, TryRecvError};
use std::time::{Duration, Instant};
use url::Url;

/// The longest sleep: new clients come through a channel.
const MAX_SLEEP: Duration = Duration::from_millis(5);

/// What a thread is told.
pub(crate) enum Order {
    /// A client's offer was answered.
    Begin { number: usize, role: Role, answered: Box<Answered>, local: Local, from: Option<IpAddr> },
    /// From now on, it counts.
    Measure,
    /// A viewer leaves: any, if there is one.
    Leave,
    /// Counts no more, and gives what there is.
    Account(Sender<Stats>),
    /// Ends every session; gives their URLs.
    End(Sender<Vec<Url>>),
}

/// What is shown while it runs.
#[derive(Default, Debug)]
pub(crate) struct Live {
    pub(crate) connected: AtomicU64,
    pub(crate) failed: AtomicU64,
    pub(crate) packets: AtomicU64,
    pub(crate) bytes: AtomicU64,
}

/// See the module's text.
pub(crate) struct Worker {
    options: Arc<Options>,
    context: DtlsContext,
    socket: Socket,
    orders: Receiver<Order>,
    /// Sessions that were asked to leave: their URLs.
    left: Sender<Url>,
    sessions: Vec<Session>,
    by_address: HashMap<IpAddr, usize>,
    timers: BinaryHeap<Reverse<(Instant, usize)>>,
    /// The deadline under which each is in `timers`.
    scheduled: Vec<Instant>,
    touched: Vec<usize>,
    stats: Stats,
    live: Arc<Live>,
    origin: Instant,
    lossy: u64,
}

impl Worker {
    pub(crate) fn new(
        (options, context, socket): (Arc<Options>, DtlsContext, Socket),
        orders: Receiver<Order>,
        left: Sender<Url>,
        (live, origin): (Arc<Live>, Instant),
    ) -> Worker {
        Worker {
            options,
            context,
            socket,
            orders,
            left,
            sessions: Vec::new(),
            by_address: HashMap::new(),
            timers: BinaryHeap::new(),
            scheduled: Vec::new(),
            touched: Vec::new(),
            stats: Stats::default(),
            live,
            origin,
            lossy: 1,
        }
    }

    /// Runs until its last order.
    pub(crate) fn run(mut self) {
        loop {
            loop {
                match self.orders.try_recv() {
                    Ok(order) => {
                        if !self.obey(order) {
                            return;
                        }
                    }
                    Err(TryRecvError::Empty) => break,
                    Err(TryRecvError::Disconnected) => return,
                }
            }
            let now = Instant::now();
            let next = self.timers.peek().map_or(now + MAX_SLEEP, |Reverse((due, _))| *due);
            self.socket.wait(next.saturating_duration_since(now).min(MAX_SLEEP));
            self.receive();
            self.turn();
        }
    }

    fn obey(&mut self, order: Order) -> bool {
        match order {
            Order::Begin { number, role, answered, local, from } => {
                if let Err(cause) = self.begin((number, role), *answered, &local, from) {
                    self.stats.fail(cause);
                    self.live.failed.fetch_add(1, Ordering::Relaxed);
                }
            }
            Order::Measure => {
                // What was counted on the way here is no part of it, but how the way was.
                let stats = &mut self.stats;
                (stats.packets_sent, stats.bytes_sent, stats.bytes_received) = (0, 0, 0);
                (stats.packets_duplicate, stats.packets_reordered, stats.packets_invalid) = (0, 0, 0);
                (stats.nacks_sent, stats.retransmissions) = (0, 0);
                self.sessions.iter_mut().for_each(Session::measure);
            }
            Order::Leave => self.leave(),
            Order::Account(reply) => {
                self.sessions.iter_mut().for_each(|session| session.account(&mut self.stats));
                let _ = reply.send(self.stats.clone());
            }
            Order::End(reply) => {
                let now = Instant::now();
                for session in &mut self.sessions {
                    session.close(now, &mut self.socket);
                }
                self.socket.flush();
                let urls = self.sessions.iter().filter_map(|session| session.answered.url.clone()).collect();
                let _ = reply.send(urls);
                return false;
            }
        }
        true
    }

    fn begin(
        &mut self,
        (number, role): (usize, Role),
        answered: Answered,
        local: &Local,
        from: Option<IpAddr>,
    ) -> Result<(), String> {
        self.stats.http.record(answered.took);
        let description = &answered.description;
        let attribute =
            |name: &str| description.anywhere(name).map(str::to_owned).ok_or(format!("the answer has no a={name}"));
        let dtls_role = match description.anywhere("setup") {
            Some("active") => DtlsRole::Server,
            _ => DtlsRole::Client,
        };
        let remote = LocalTransport {
            session: SessionId(number as u64),
            ufrag: attribute("ice-ufrag")?,
            pwd: attribute("ice-pwd")?,
            fingerprints: description.fingerprints(),
            port: answered.remote.port(),
            addresses: vec![answered.remote.ip()],
        };
        let config = ClientConfig { remote, ufrag: local.ufrag.clone(), dtls_role };
        let client = Client::new(Instant::now(), config, &self.context).map_err(|error| format!("DTLS: {error}"))?;
        let client = client.with_password(local.pwd.clone());
        let path = Path { local: from, remote: answered.remote };
        let session = Session::new(role, answered, client, path, (local.ssrcs, &self.options, self.origin));
        let index = self.sessions.len();
        self.by_address.insert(from.unwrap_or(IpAddr::from([0; 4])), index);
        self.sessions.push(session);
        self.scheduled.push(Instant::now());
        self.timers.push(Reverse((self.scheduled[index], index)));
        Ok(())
    }

    fn leave(&mut self) {
        let now = Instant::now();
        let staying = self.sessions.iter_mut().find(|s| s.role == Role::Play && s.progress() == Progress::Connected);
        let Some(session) = staying else { return };
        session.account(&mut self.stats);
        session.close(now, &mut self.socket);
        session.end();
        if let Some(url) = session.answered.url.take() {
            let _ = self.left.send(url);
        }
        self.live.connected.fetch_sub(1, Ordering::Relaxed);
    }

    fn receive(&mut self) {
        let now = Instant::now();
        let Worker { socket, sessions, by_address, touched, stats, options, live, lossy, .. } = self;
        let threshold = (options.loss / 100.0 * (u32::MAX as f64)) as u64;
        let (mut packets, mut bytes) = (0, 0);
        // One client without an address of its own stands at the unspecified one.
        let anywhere = IpAddr::from([0; 4]);
        let mut last: Option<(Option<IpAddr>, usize)> = None;
        socket.receive(|to, _from: SocketAddr, datagram| {
            let index = match last {
                Some((known, index)) if known == to => Some(index),
                _ => to.and_then(|to| by_address.get(&to)).or_else(|| by_address.get(&anywhere)).copied(),
            };
            let Some(index) = index else { return };
            last = Some((to, index));
            *lossy ^= *lossy << 13;
            *lossy ^= *lossy >> 7;
            *lossy ^= *lossy << 17;
            if threshold > 0 && (*lossy >> 32) < threshold && sessions[index].role == Role::Play {
                return;
            }
            packets += 1;
            bytes += datagram.len() as u64;
            sessions[index].handle_datagram(now, datagram, options, stats);
            if touched.last() != Some(&index) {
                touched.push(index);
            }
        });
        live.packets.fetch_add(packets, Ordering::Relaxed);
        live.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    fn turn(&mut self) {
        let now = Instant::now();
        for index in std::mem::take(&mut self.touched) {
            let due = self.sessions[index].next_timeout();
            if self.sessions[index].has_transmits() || due <= now {
                self.turn_of(now, index);
            } else {
                self.schedule(index, due);
            }
        }
        while let Some(Reverse((due, index))) = self.timers.peek().copied()
            && due <= now
        {
            self.timers.pop();
            if self.scheduled[index] == due {
                self.scheduled[index] = now + MAX_SLEEP * 10_000;
                self.turn_of(now, index);
            }
        }
        self.socket.flush();
    }

    fn turn_of(&mut self, now: Instant, index: usize) {
        let session = &mut self.sessions[index];
        let before = session.progress();
        session.turn(now, &self.options, &mut self.socket, &mut self.stats);
        match (before, session.progress()) {
            (Progress::Connecting, Progress::Connecting) => {}
            (_, Progress::Over) if before != Progress::Over => _ = self.live.failed.fetch_add(1, Ordering::Relaxed),
            _ => {}
        }
        if session.newly_connected() {
            self.live.connected.fetch_add(1, Ordering::Relaxed);
        }
        if session.progress() != Progress::Over {
            let due = session.next_timeout().max(now + Duration::from_micros(200));
            self.schedule(index, due);
        }
    }

    fn schedule(&mut self, index: usize, due: Instant) {
        if due < self.scheduled[index] {
            self.scheduled[index] = due;
            self.timers.push(Reverse((due, index)));
        }
    }
}
