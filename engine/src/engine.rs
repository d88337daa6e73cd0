//! The engine as its owner on the control core sees it: started with a [`Config`], driven with [`Command`]s.

use crate::addresses;
use crate::config::Config;
use crate::control::{Command, Digest, Event, LocalTransport, Reply, SessionId, ShardHealth};
use crate::directory::{Directory, Limits};
use crate::message::{Mesh, Notice, Order};
use crate::middlebox::{Common, Middlebox};
use crate::outbox::Outbox;
use crate::shard::{Mailbox, Post, Shard, mailbox};
use crate::stats::ShardStats;
use crate::transport::dtls::{Certificate, DtlsConfig, DtlsContext};
use crate::transport::ice::IceKey;
use crate::udp::{self, Receiver, Sender, Socket};
use glommio::timer::Timer;
use glommio::{ExecutorJoinHandle, LocalExecutorBuilder, Placement};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::mpsc;
use std::task::Poll;
use std::time::{Duration, Instant};

/// Messages that wait for a shard or for the control core; 1,000 sessions begin or end at once.
const CONTROL_QUEUE: usize = 4096;
/// Batches and datagrams that wait for a shard: at a turn a millisecond, four seconds of one stream.
const MESH_QUEUE: usize = 4096;
/// glommio's registered memory: datagrams do not pass through it.
pub const EXECUTOR_IO_MEMORY: usize = 64 << 10;
/// How long the host's addresses are believed: asking costs a netlink dump, and sessions come by the hundred a second.
const ADDRESS_AGE: Duration = Duration::from_secs(1);
/// Longest time until a due setup timeout is noticed.
const TIMEOUT_STEP: Duration = Duration::from_secs(1);

/// Why the engine did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The media address could not be bound.
    #[error("cannot serve media on UDP {0}: {1}")]
    Bind(SocketAddr, #[source] io::Error),
    /// An executor could not be made.
    #[error("cannot start the executor of shard {0}: {1}")]
    Executor(usize, String),
    /// OpenSSL refused to make the certificate or the context.
    #[error("cannot set up DTLS: {0}")]
    Dtls(String),
    /// No random numbers.
    #[error("no random numbers from the kernel: {0}")]
    Random(String),
}

/// What the host turned out to offer.
#[derive(Clone, Copy, Debug)]
pub struct Facts {
    /// Where media is served.
    pub media: SocketAddr,
    /// Whether sends use UDP_SEGMENT.
    pub gso: bool,
    /// Whether receives use UDP_GRO.
    pub gro: bool,
    /// `SO_RCVBUF` as granted, in bytes.
    pub receive_buffer: usize,
}

struct Line {
    orders: Post<Order>,
    /// Orders that found the shard's queue full.
    backlog: VecDeque<Order>,
    stats: Arc<ShardStats>,
}

struct State {
    directory: Directory,
    lines: Vec<Line>,
}

/// A running engine. Stays on the control core's executor; ends with [`Command::Shutdown`].
pub struct Engine {
    common: Common,
    fingerprints: Vec<crate::control::Fingerprint>,
    facts: Facts,
    notices: Mailbox<(usize, Notice)>,
    addresses: RefCell<Option<(Instant, Vec<IpAddr>)>>,
    state: RefCell<State>,
    shards: RefCell<Vec<ExecutorJoinHandle<io::Result<()>>>>,
}

impl Engine {
    /// Binds the port and starts the shards, each on a core of its own as far as there are cores. To be called on the thread
    /// of the control core's executor, after io_uring was found to be allowed.
    pub fn start(config: Config) -> Result<Engine, StartError> {
        let sockets = udp::bind_group(&config).map_err(|error| StartError::Bind(config.media, error))?;
        let (common, fingerprints) = common(config)?;
        let facts = facts(&sockets[0], &common.config).map_err(|error| StartError::Bind(common.config.media, error))?;
        let (notices_post, notices) = mailbox(CONTROL_QUEUE);
        let (posts, mailboxes): (Vec<_>, Vec<_>) = sockets.iter().map(|_| mailbox::<Mesh>(MESH_QUEUE)).unzip();
        let mut lines = Vec::new();
        let mut shards = Vec::new();
        for (number, (socket, mesh)) in sockets.into_iter().zip(mailboxes).enumerate() {
            let (orders_post, orders) = mailbox(CONTROL_QUEUE);
            let stats = Arc::new(ShardStats::default());
            lines.push(Line { orders: orders_post, backlog: VecDeque::new(), stats: stats.clone() });
            let seat = Seat {
                number,
                socket,
                orders,
                mesh,
                notices: notices_post.clone(),
                peers: posts.clone(),
                stats,
                common: common.clone(),
            };
            shards.push(seat.start()?);
        }
        let limits = Limits { max_sessions: common.config.max_sessions, setup_timeout: common.config.setup_timeout };
        let directory = Directory::new(limits, lines.len(), 1);
        Ok(Engine {
            common,
            fingerprints,
            facts,
            notices,
            addresses: RefCell::default(),
            state: RefCell::new(State { directory, lines }),
            shards: RefCell::new(shards),
        })
    }

    /// What the host turned out to offer.
    pub fn facts(&self) -> Facts {
        self.facts
    }

    /// The counters of each shard.
    pub fn stats(&self) -> Vec<Arc<ShardStats>> {
        self.state.borrow().lines.iter().map(|line| line.stats.clone()).collect()
    }

    /// Does what `command` says, or starts it, and answers at once.
    pub fn submit(&self, command: Command) -> Reply {
        let now = Instant::now();
        let state = &mut *self.state.borrow_mut();
        let reply = match command {
            Command::Open(spec) => match state.directory.open(now, spec) {
                Ok(session) => Reply::Opened(self.local_transport(now, session, 0)),
                Err(refusal) => Reply::Refused(refusal),
            },
            Command::Reserve { validity } => match state.directory.reserve(now, validity) {
                Ok(session) => Reply::Opened(self.local_transport(now, session, 0)),
                Err(refusal) => Reply::Refused(refusal),
            },
            Command::Complete { session, spec } => match state.directory.complete(now, session, spec) {
                Ok(()) => Reply::Done,
                Err(refusal) => Reply::Refused(refusal),
            },
            Command::Restart { session } => match state.directory.restart(session) {
                Ok(generation) => Reply::Opened(self.local_transport(now, session, generation)),
                Err(refusal) => Reply::Refused(refusal),
            },
            Command::Close { session, reason } => match state.directory.close(session, reason) {
                Ok(()) => Reply::Done,
                Err(refusal) => Reply::Refused(refusal),
            },
            Command::Health => Reply::Health(state.lines.iter().map(|line| self.health(now, &line.stats)).collect()),
            Command::Shutdown => {
                state.directory.shutdown();
                Reply::Done
            }
        };
        state.send_orders();
        reply
    }

    /// The next thing that happened by itself. To be awaited all the time: it is what moves notices and timeouts along.
    pub async fn event(&self) -> Event {
        loop {
            let due = {
                let state = &mut *self.state.borrow_mut();
                if let Some(event) = state.turn(Instant::now(), &self.notices) {
                    return event;
                }
                state.next_sleep(Instant::now())
            };
            let mut timer = std::pin::pin!(Timer::new(due));
            poll_fn(|context| match self.notices.poll_ready(context) {
                Poll::Ready(()) => Poll::Ready(()),
                Poll::Pending => timer.as_mut().poll(context).map(|_| ()),
            })
            .await;
        }
    }

    /// Waits for the shards' threads, after [`Event::Stopped`].
    pub fn join(&self) {
        for shard in self.shards.borrow_mut().drain(..) {
            match shard.join() {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::error!(%error, "a shard ended with an error"),
                Err(error) => tracing::error!(%error, "a shard did not end"),
            }
        }
    }

    /// The host's addresses at which the media port is open, in order of preference, loopback last.
    pub fn addresses(&self, now: Instant) -> Vec<IpAddr> {
        let mut known = self.addresses.borrow_mut();
        if known.as_ref().is_none_or(|(read, _)| now.saturating_duration_since(*read) >= ADDRESS_AGE) {
            *known = Some((now, addresses::open_at(self.facts.media.ip(), &addresses::of_interfaces())));
        }
        known.as_ref().map(|(_, addresses)| addresses.clone()).unwrap_or_default()
    }

    fn health(&self, now: Instant, stats: &ShardStats) -> ShardHealth {
        let last_turn = self.common.started + Duration::from_millis(stats.last_turn_ms.value());
        ShardHealth {
            since_last_turn: now.saturating_duration_since(last_turn),
            sessions: stats.sessions.value(),
            crossed: stats.crossed.value(),
        }
    }

    fn local_transport(&self, now: Instant, session: SessionId, generation: u8) -> LocalTransport {
        let credentials = self.common.ice.credentials(session, generation, self.common.seconds(now));
        LocalTransport {
            session,
            ufrag: credentials.ufrag,
            pwd: credentials.pwd,
            fingerprints: self.fingerprints.clone(),
            port: self.facts.media.port(),
            addresses: self.addresses(now),
        }
    }
}

impl State {
    fn turn(&mut self, now: Instant, notices: &Mailbox<(usize, Notice)>) -> Option<Event> {
        while let Some((shard, notice)) = notices.pop() {
            self.directory.handle_notice(shard, notice);
        }
        self.directory.handle_timeout(now);
        self.send_orders();
        self.directory.poll_event()
    }

    fn next_sleep(&self, now: Instant) -> Duration {
        if self.lines.iter().any(|line| !line.backlog.is_empty()) {
            return Duration::from_millis(1);
        }
        let due = self.directory.next_timeout().map(|due| due.saturating_duration_since(now));
        due.map_or(TIMEOUT_STEP, |due| due.clamp(Duration::from_millis(1), TIMEOUT_STEP))
    }

    fn send_orders(&mut self) {
        while let Some((shard, order)) = self.directory.poll_order() {
            self.lines[shard].backlog.push_back(order);
        }
        for line in &mut self.lines {
            while let Some(order) = line.backlog.pop_front() {
                if let Err(order) = line.orders.send(order) {
                    line.backlog.push_front(order);
                    break;
                }
            }
        }
    }
}

/// What a shard takes with it to its thread.
struct Seat {
    number: usize,
    socket: Socket,
    orders: Mailbox<Order>,
    mesh: Mailbox<Mesh>,
    notices: Post<(usize, Notice)>,
    peers: Vec<Post<Mesh>>,
    stats: Arc<ShardStats>,
    common: Common,
}

impl Seat {
    fn start(self) -> Result<ExecutorJoinHandle<io::Result<()>>, StartError> {
        let number = self.number;
        // The executor tells only by its thread's death that it could not be made; the channel tells that it was.
        let (ready, started) = mpsc::channel();
        let handle = LocalExecutorBuilder::new(placement(number))
            .name(&format!("shard-{number}"))
            .io_memory(EXECUTOR_IO_MEMORY)
            .spawn(move || async move {
                let _ = ready.send(());
                self.run().await
            })
            .map_err(|error| StartError::Executor(number, error.to_string()))?;
        match started.recv() {
            Ok(()) => Ok(handle),
            Err(_) => {
                let error = handle.join().err().map_or("it ended at once".to_owned(), |error| error.to_string());
                Err(StartError::Executor(number, error))
            }
        }
    }

    async fn run(self) -> io::Result<()> {
        let readiness = glommio_socket2::Socket::from(self.socket.try_clone()?);
        let sender = Sender::new(self.socket.clone(), self.common.config.gso, self.stats.clone());
        let shard = Shard {
            number: self.number,
            started: self.common.started,
            coalesce_max: self.common.config.coalesce_max,
            middlebox: Middlebox::new(self.number, self.common, self.stats.clone()),
            receiver: Receiver::new(self.socket),
            outbox: Outbox::new(sender),
            orders: self.orders,
            mesh: self.mesh,
            notices: self.notices,
            peers: self.peers,
            stats: self.stats,
            unsent: None,
            complained: None,
        };
        shard.run(readiness.into()).await;
        Ok(())
    }
}

/// The core of a shard: as many different ones as the process may use.
fn placement(shard: usize) -> Placement {
    let cores = core_affinity::get_core_ids().unwrap_or_default();
    match cores.get(shard % cores.len().max(1)) {
        Some(core) => Placement::Fixed(core.id),
        None => Placement::Unbound,
    }
}

fn common(config: Config) -> Result<(Common, Vec<crate::control::Fingerprint>), StartError> {
    let mut key = [0; 32];
    getrandom::fill(&mut key).map_err(|error| StartError::Random(error.to_string()))?;
    let certificate = Certificate::generate().map_err(|error| StartError::Dtls(error.to_string()))?;
    // One is enough, and every client knows SHA-256 (RFC 8122 §5).
    let fingerprint = certificate.fingerprint(Digest::Sha256).map_err(|error| StartError::Dtls(error.to_string()))?;
    let dtls_config = DtlsConfig { initial_rto: config.dtls_initial_rto, ..DtlsConfig::default() };
    let dtls = DtlsContext::new(certificate, dtls_config).map_err(|error| StartError::Dtls(error.to_string()))?;
    let common = Common {
        config: Arc::new(config),
        ice: Arc::new(IceKey::new(&key)),
        dtls: Arc::new(dtls),
        started: Instant::now(),
    };
    Ok((common, vec![fingerprint]))
}

fn facts(socket: &Socket, config: &Config) -> io::Result<Facts> {
    Ok(Facts {
        media: socket.local_addr()?,
        gso: config.gso && socket.has_gso(),
        gro: socket.has_gro(),
        receive_buffer: socket.receive_buffer(),
    })
}
