//! A shard without its executor: a selective forwarding middlebox (RFC 7667 §3.7) that takes datagrams, orders and mesh messages
//! with `now`, and gives datagrams, notices and mesh messages. No socket, no clock, no runtime.
//!
//! ```text
//!   datagram ──► demux (RFC 7983) ──► STUN ──► session by ufrag ─┐
//!                                └──► else ──► session by flow ──┤
//!                                                                ▼
//!                              another shard's: mesh    ours: ICE, DTLS, SRTP ──► streams' batches
//!                                                                                      │ end of the turn
//!                              other shards with viewers ◄── one batch each ───────────┴──► viewers here ──► outbox
//! ```

mod allowance;
mod claims;
mod data;
mod media;
pub(crate) mod strangers;
mod streams;

use crate::config::Config;
use crate::control::{EndReason, Role, SessionId, SessionSpec, StreamId};
use crate::flow::Flow;
use crate::message::{Mesh, Notice, Order};
use crate::outbox::{Outbox, Sink};
use crate::session::{Outcome, Session};
use crate::stats::{Discard, ShardStats};
use crate::transport::dtls::DtlsContext;
use crate::transport::ice::IceKey;
use allowance::Allowance;
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};
use strangers::Strangers;
use streams::Streams;

/// How often old entries are looked for.
const SWEEP_INTERVAL: Duration = Duration::from_secs(5);

/// What RFC 7983 §7 and RFC 5761 §4 tell by the first bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Protocol {
    Stun,
    Dtls,
    Rtp,
    Rtcp,
}

impl Protocol {
    fn of(datagram: &[u8]) -> Option<Protocol> {
        match *datagram {
            [0..=3, ..] => Some(Protocol::Stun),
            [20..=63, ..] => Some(Protocol::Dtls),
            [128..=191, 192..=223, ..] => Some(Protocol::Rtcp),
            [128..=191, _, ..] => Some(Protocol::Rtp),
            _ => None,
        }
    }
}

/// Whose a flow is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Owner {
    /// A session of this shard, by its place in the slab.
    Here(usize),
    /// A session that was checked here and is not this shard's, or not yet.
    Stranger(SessionId),
}

/// What all shards have in common.
#[derive(Clone)]
pub(crate) struct Common {
    /// The configuration.
    pub config: Arc<Config>,
    /// Makes and checks ufrags and passwords.
    pub ice: Arc<IceKey>,
    /// The certificate, and what DTLS offers.
    pub dtls: Arc<DtlsContext>,
    /// The instant that ufrags count their birth from.
    pub started: Instant,
}

impl Common {
    /// Whole seconds since the engine's start.
    pub(crate) fn seconds(&self, now: Instant) -> u32 {
        now.saturating_duration_since(self.started).as_secs() as u32
    }
}

/// See the module's text.
pub(crate) struct Middlebox {
    shard: usize,
    common: Common,
    sessions: slab::Slab<Session>,
    by_id: HashMap<SessionId, usize>,
    flows: HashMap<Flow, Owner>,
    strangers: Strangers,
    streams: Streams,
    timers: BTreeSet<(Instant, usize)>,
    /// Those whose time has come; empty between calls, kept for its memory.
    due: Vec<usize>,
    next_sweep: Option<Instant>,
    notices: VecDeque<Notice>,
    mesh: VecDeque<(usize, Mesh)>,
    stats: Arc<ShardStats>,
    /// How long a batch may wait for the rest of its frame; zero while there is time to spare.
    window: Duration,
    /// When the first of those that wait goes out.
    next_release: Option<Instant>,
    /// Streams whose batch waits; empty between turns, kept for its memory.
    held: Vec<StreamId>,
    /// Checks of nobody's that may be told at present.
    strays: Allowance,
    stopped: bool,
}

impl Middlebox {
    /// The middlebox of shard number `shard`.
    pub(crate) fn new(shard: usize, common: Common, stats: Arc<ShardStats>) -> Middlebox {
        Middlebox {
            shard,
            common,
            sessions: slab::Slab::new(),
            by_id: HashMap::new(),
            flows: HashMap::new(),
            strangers: Strangers::default(),
            streams: Streams::default(),
            timers: BTreeSet::new(),
            due: Vec::new(),
            next_sweep: None,
            notices: VecDeque::new(),
            mesh: VecDeque::new(),
            stats,
            window: Duration::ZERO,
            next_release: None,
            held: Vec::new(),
            strays: Allowance::default(),
            stopped: false,
        }
    }

    /// Takes a datagram, decrypting it in place.
    pub(crate) fn handle_datagram<S: Sink>(
        &mut self,
        now: Instant,
        flow: Flow,
        datagram: &mut [u8],
        out: &mut Outbox<S>,
    ) {
        let handled = match Protocol::of(datagram) {
            None => Err(Discard::NotMedia),
            Some(Protocol::Stun) => self.handle_stun(now, flow, datagram, out),
            Some(protocol) => match self.flows.get(&flow) {
                Some(Owner::Here(key)) => self.handle_session_datagram(now, *key, protocol, datagram, out),
                Some(Owner::Stranger(session)) => {
                    let session = *session;
                    self.handle_stranger_datagram(now, session, flow, protocol, datagram)
                }
                None => Err(Discard::UnknownFlow),
            },
        };
        if let Err(reason) = handled {
            self.stats.discard(reason);
        }
    }

    /// Takes an order of the control core.
    pub(crate) fn handle_order<S: Sink>(&mut self, now: Instant, order: Order, out: &mut Outbox<S>) {
        match order {
            Order::Grant(session, generation, spec) => self.grant(now, session, generation, *spec, out),
            Order::Restart(session, generation) => {
                if let Some(key) = self.by_id.get(&session) {
                    self.sessions[*key].restart_ice(generation);
                }
            }
            Order::Elsewhere(session, owner) => self.set_elsewhere(session, owner),
            Order::Forget(session) => self.forget(now, session),
            Order::Close(session, reason) => {
                if let Some(key) = self.by_id.get(&session) {
                    self.end(now, *key, reason, out);
                }
            }
            Order::Subscribe(stream, shard) => self.subscribe(now, stream, shard, out),
            Order::Unsubscribe(stream, shard) => self.streams.unsubscribe(stream, shard),
            Order::Stop => {
                let keys: Vec<usize> = self.sessions.iter().map(|(key, _)| key).collect();
                for key in keys {
                    self.end(now, key, EndReason::Shutdown, out);
                }
                self.notices.push_back(Notice::Stopped);
                self.stopped = true;
            }
        }
    }

    /// Takes a message of another shard.
    pub(crate) fn handle_mesh<S: Sink>(&mut self, now: Instant, message: Mesh, out: &mut Outbox<S>) {
        match message {
            Mesh::Media(stream, batch) => {
                self.set_source(now, stream, &batch.source, None, out);
                if let Some(entry) = self.streams.find(stream).filter(|entry| entry.publisher.is_none()) {
                    entry.record(now, &batch);
                }
                self.deliver(now, stream, &batch, out);
            }
            Mesh::Source(stream, source, groups) => self.set_source(now, stream, &source, groups.as_deref(), out),
            Mesh::Channel(stream, news) => self.handle_channel_news(now, stream, &news, out),
            Mesh::ViewerMessage(publisher, label, is_binary, message) => {
                self.handle_viewer_message(now, publisher, &label, (is_binary, message), out);
            }
            Mesh::Keyframe(publisher, track) => self.request_keyframe(now, publisher, usize::from(track), out),
            Mesh::Datagram(flow, mut datagram) => self.handle_datagram(now, flow, &mut datagram, out),
        }
    }

    /// Does what is due.
    pub(crate) fn handle_timeout<S: Sink>(&mut self, now: Instant, out: &mut Outbox<S>) {
        // What is due, first, and each session once: a deadline that stays due (OpenSSL's timer reads the wall clock, which may have been
        // set back) comes again in the next turn, and does not hold up this one.
        let mut due = std::mem::take(&mut self.due);
        while let Some((at, key)) = self.timers.first().copied()
            && at <= now
        {
            self.timers.pop_first();
            due.push(key);
        }
        for key in due.drain(..) {
            let session = &mut self.sessions[key];
            session.scheduled = None;
            let outcome = session.handle_timeout(now, self.streams.histories(session.stream), out);
            self.settle(now, key, outcome, out);
        }
        self.due = due;
        if self.next_sweep.is_some_and(|due| due <= now) {
            self.sweep(now);
        }
    }

    /// When [`Middlebox::handle_timeout`] wants to be called.
    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        let timer = self.timers.first().map(|(due, _)| *due);
        timer.into_iter().chain(self.next_sweep).chain(self.next_release).min()
    }

    /// The next word to the control core.
    pub(crate) fn poll_notice(&mut self) -> Option<Notice> {
        self.notices.pop_front()
    }

    /// The next message to another shard.
    pub(crate) fn poll_mesh(&mut self) -> Option<(usize, Mesh)> {
        self.mesh.pop_front()
    }

    /// Whether it was told to stop, and did.
    pub(crate) fn is_stopped(&self) -> bool {
        self.stopped
    }

    /// Makes the claimed session one of ours.
    fn grant<S: Sink>(&mut self, now: Instant, id: SessionId, generation: u8, spec: SessionSpec, out: &mut Outbox<S>) {
        let waited = self.strangers.take(id);
        let Some(flow) = waited.nominated.or(waited.flows.first().copied()) else {
            // Forgotten in between; the control core hears of it, or it would keep the session forever.
            self.notices.push_back(Notice::Ended(id, EndReason::SetupTimeout, Default::default()));
            return;
        };
        match self.make_session(now, id, generation, spec, flow) {
            Ok(mut session) => {
                session.account.checks = waited.checks;
                self.insert(now, session, &waited.flows, out);
                for (flow, mut datagram) in waited.queue {
                    self.handle_datagram(now, flow, &mut datagram, out);
                }
            }
            Err(reason) => self.notices.push_back(Notice::Ended(id, reason, Default::default())),
        }
    }

    fn insert<S: Sink>(&mut self, now: Instant, session: Session, flows: &[Flow], out: &mut Outbox<S>) {
        let (id, stream, role, flow) = (session.id, session.stream, session.role(), session.flow());
        let key = self.sessions.insert(session);
        self.by_id.insert(id, key);
        for flow in flows.iter().chain([&flow]) {
            self.adopt(now, key, *flow, None);
        }
        match role {
            Role::Publish => self.set_publisher(key, stream),
            Role::Play => self.streams.add_viewer(stream, key),
            Role::Echo => {}
        }
        self.stats.sessions.set(self.sessions.len() as u64);
        self.notices.push_back(Notice::Nominated(id, flow.remote));
        let outcome = self.sessions[key].start(now, out);
        self.settle(now, key, outcome, out);
    }

    /// An authenticated check of a session of ours came over `flow`, with credentials of the generation that it nominates with.
    fn adopt(&mut self, now: Instant, key: usize, flow: Flow, nominates: Option<u8>) {
        let session = &mut self.sessions[key];
        let moved_in = session.handle_check(now, flow, nominates);
        if let Some(dropped) = moved_in {
            self.flows.remove(&dropped);
        }
        self.flows.insert(flow, Owner::Here(key));
    }

    /// Draws the consequences of what a session was given.
    fn settle<S: Sink>(&mut self, now: Instant, key: usize, outcome: Outcome, out: &mut Outbox<S>) {
        match outcome {
            Outcome::Nothing => {}
            Outcome::Connected(profile) => {
                self.notices.push_back(Notice::Connected(self.sessions[key].id, profile));
                self.bind_viewer(now, key, out);
            }
            Outcome::Flow(flows) => self.notices.push_back(Notice::Flow(self.sessions[key].id, flows)),
            Outcome::Keyframe(tracks) => self.request_viewer_keyframes(now, key, tracks, out),
            Outcome::Ended(reason) => return self.end(now, key, reason, out),
        }
        self.pass_data(now, key, out);
        self.tell(key);
        self.schedule(key);
    }

    /// Passes on what a session has to tell of itself.
    fn tell(&mut self, key: usize) {
        let session = &mut self.sessions[key];
        if session.account.has_steps() {
            let id = session.id;
            self.notices.extend(session.account.take().into_iter().map(|step| Notice::Trace(id, step)));
        }
        let changes = session.take_layers();
        let id = session.id;
        self.notices.extend(changes.into_iter().map(|(track, layers)| Notice::Layers(id, track, layers)));
    }

    fn schedule(&mut self, key: usize) {
        let session = &mut self.sessions[key];
        let due = session.next_timeout();
        match session.scheduled {
            // An earlier entry stays: when it comes up, nothing is due and it is put where it belongs. That spares the set for
            // every check and every packet, which only move a deadline further away.
            Some(scheduled) if scheduled <= due => {}
            scheduled => {
                if let Some(old) = scheduled {
                    self.timers.remove(&(old, key));
                }
                session.scheduled = Some(due);
                self.timers.insert((due, key));
            }
        }
    }

    fn end<S: Sink>(&mut self, now: Instant, key: usize, reason: EndReason, out: &mut Outbox<S>) {
        self.tell(key);
        let mut session = self.sessions.remove(key);
        session.close(now, out);
        if let Some(due) = session.scheduled {
            self.timers.remove(&(due, key));
        }
        for flow in session.flows() {
            if self.flows.get(flow) == Some(&Owner::Here(key)) {
                self.flows.remove(flow);
            }
        }
        self.by_id.remove(&session.id);
        if session.role() != Role::Echo {
            self.streams.remove(session.stream, key);
        }
        self.strangers.forget(now, session.id);
        self.wake_sweep(now);
        self.stats.sessions.set(self.sessions.len() as u64);
        self.notices.push_back(Notice::Ended(session.id, reason, session.totals(now)));
    }

    fn wake_sweep(&mut self, now: Instant) {
        self.next_sweep.get_or_insert(now + SWEEP_INTERVAL);
    }

    fn sweep(&mut self, now: Instant) {
        for (session, flow) in self.strangers.sweep(now) {
            self.release(session, flow);
        }
        self.next_sweep = (!self.strangers.is_empty()).then(|| now + SWEEP_INTERVAL);
    }

    /// Forgets a flow, unless it is somebody else's by now.
    fn release(&mut self, session: SessionId, flow: Flow) {
        if self.flows.get(&flow) == Some(&Owner::Stranger(session)) {
            self.flows.remove(&flow);
        }
    }
}
