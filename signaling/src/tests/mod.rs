//! Signaling as a whole, in front of an engine that only takes notes.

mod admission;
mod events;
mod offers;
mod patch;
mod policies;
mod routes;
mod sessions;

use crate::http::{Headers, Method, Request, Response};
use crate::limits::{LimitsConfig, Rate};
use crate::{EnginePort, Signaling, SignalingConfig};
use futures_lite::future::block_on;
use oneport_engine::control::{
    Command, Digest, EndReason, Event, Fingerprint, LocalTransport, Refusal, Reply, SessionId, SessionSpec,
    ShardHealth, Totals,
};
use std::cell::{Cell, RefCell};
use std::net::IpAddr;
use std::rc::Rc;
use std::time::Duration;

/// Opens whatever it is told to, and remembers it.
pub(super) struct FakeEngine {
    pub(super) opened: RefCell<Vec<SessionSpec>>,
    pub(super) closed: RefCell<Vec<(SessionId, EndReason)>>,
    pub(super) completed: RefCell<Vec<(SessionId, SessionSpec)>>,
    /// Sessions and how often ICE was restarted.
    pub(super) restarted: RefCell<Vec<SessionId>>,
    /// Sessions that were reserved or opened.
    made: Cell<u64>,
    /// Refuses every `Open` and `Close` when set.
    pub(super) refusal: Cell<Option<Refusal>>,
    pub(super) since_last_turn: Cell<Duration>,
    /// Answers nonsense when set.
    pub(super) is_confused: Cell<bool>,
}

impl EnginePort for FakeEngine {
    fn submit(&self, command: Command) -> Reply {
        if self.is_confused.get() {
            return match command {
                Command::Health => Reply::Done,
                _ => Reply::Health(Vec::new()),
            };
        }
        match (command, self.refusal.get()) {
            (Command::Health, _) => Reply::Health(vec![self.shard(), self.shard()]),
            (Command::Shutdown, _) => Reply::Done,
            (_, Some(refusal)) => Reply::Refused(refusal),
            (Command::Open(spec), None) => {
                self.opened.borrow_mut().push(spec);
                Reply::Opened(self.make())
            }
            (Command::Reserve { .. }, None) => Reply::Opened(self.make()),
            (Command::Complete { session, spec }, None) => {
                self.completed.borrow_mut().push((session, spec));
                Reply::Done
            }
            (Command::Restart { session }, None) => {
                self.restarted.borrow_mut().push(session);
                let local = local_transport(session.0);
                let (ufrag, pwd) =
                    (format!("new{}{}", self.restarted.borrow().len(), local.ufrag), local.pwd.replace('p', "q"));
                Reply::Opened(LocalTransport { ufrag, pwd, ..local })
            }
            (Command::Close { session, reason }, None) => {
                self.closed.borrow_mut().push((session, reason));
                Reply::Done
            }
        }
    }
}

impl FakeEngine {
    fn make(&self) -> LocalTransport {
        self.made.set(self.made.get() + 1);
        local_transport(self.made.get())
    }

    fn shard(&self) -> ShardHealth {
        ShardHealth { since_last_turn: self.since_last_turn.get(), sessions: 0, crossed: 0 }
    }
}

fn local_transport(id: u64) -> LocalTransport {
    let fingerprint = Fingerprint { digest: Digest::Sha256, bytes: vec![0xab; 32] };
    let addresses = ["192.168.1.2", "2001:db8::2", "fe80::1", "127.0.0.1", "::1"];
    LocalTransport {
        session: SessionId(id),
        ufrag: format!("ufrag123+{id}"),
        pwd: "pwd4567890123456789012".to_owned(),
        fingerprints: vec![fingerprint],
        port: 8000,
        addresses: addresses.iter().map(|address| address.parse().expect("an address")).collect(),
    }
}

/// Signaling and its engine.
pub(super) struct Desk {
    pub(super) engine: Rc<FakeEngine>,
    pub(super) signaling: Rc<Signaling>,
    /// Where requests come from.
    pub(super) peer: IpAddr,
}

impl Desk {
    pub(super) fn new() -> Desk {
        Desk::with(SignalingConfig::default())
    }

    /// For tests that ask more often than a client may.
    pub(super) fn unlimited() -> Desk {
        let unlimited = Rate { per_second: 0, burst: 1 };
        let limits = LimitsConfig { per_address: unlimited, per_token: unlimited, half_open_per_address: 0 };
        Desk::with(SignalingConfig { limits, ..SignalingConfig::default() })
    }

    pub(super) fn with(config: SignalingConfig) -> Desk {
        let engine = Rc::new(FakeEngine {
            opened: RefCell::default(),
            closed: RefCell::default(),
            completed: RefCell::default(),
            restarted: RefCell::default(),
            made: Cell::new(0),
            refusal: Cell::new(None),
            since_last_turn: Cell::new(Duration::ZERO),
            is_confused: Cell::new(false),
        });
        let port: Rc<dyn EnginePort> = engine.clone();
        Desk { engine, signaling: Signaling::new(config, port), peer: "198.51.100.7".parse().expect("an address") }
    }

    pub(super) fn ask(&self, method: &str, path: &str) -> Response {
        self.send(method, path, &[], "")
    }

    pub(super) fn send(&self, method: &str, path: &str, fields: &[(&str, &str)], body: &str) -> Response {
        let mut headers = Headers::default();
        fields.iter().for_each(|(name, value)| headers.push(name, value.as_bytes()));
        let method = Method::from_token(method);
        let (path, query) = match path.split_once('?') {
            Some((path, query)) => (path.to_owned(), Some(query.to_owned())),
            None => (path.to_owned(), None),
        };
        let peer = Some((self.peer, 50_000).into());
        let body = body.as_bytes().to_vec();
        let request = Request { method, path, query, headers, body, keep_alive: true, peer };
        block_on(self.signaling.answer(request))
    }

    pub(super) fn offer(&self, path: &str, sdp: &str) -> Response {
        self.send("POST", path, &[("Content-Type", "application/sdp")], sdp)
    }

    pub(super) fn patch(&self, path: &str, fields: &[(&str, &str)], fragment: &str) -> Response {
        let fields = [&[("Content-Type", "application/trickle-ice-sdpfrag")], fields].concat();
        self.send("PATCH", path, &fields, fragment)
    }

    /// The engine says that a session has ended.
    pub(super) fn end(&self, session: u64) {
        let (session, reason) = (SessionId(session), EndReason::ConsentExpired);
        self.signaling.handle_event(Event::Ended { session, reason, totals: Totals::default() });
    }
}

/// The session URL of a response.
pub(super) fn location(response: &Response) -> String {
    response.header("Location").expect("a Location").to_owned()
}

/// The sentence of a problem.
pub(super) fn detail(response: &Response) -> String {
    assert_eq!(response.header("Content-Type"), Some("application/problem+json"));
    let body: serde_json::Value = serde_json::from_slice(&response.body).expect("JSON");
    body["detail"].as_str().expect("a sentence").to_owned()
}
