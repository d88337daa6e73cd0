//! The control core's half of the engine: which sessions there are, which shard owns each, and which shards want a stream.
//!
//! ```text
//!  Open ──► waiting ──Claim──► owned by a shard ──Ended──► forgotten by all shards
//!              └──── no nomination in time ────────────────┘
//! ```
//!
//! Pure: commands and notices in, orders and events out, and `now` as an argument.

use crate::control::{EndReason, Event, Refusal, Role, SessionId, SessionSpec, StreamId, Totals};
use crate::message::{Notice, Order};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::{Duration, Instant};

enum Place {
    /// Until a client nominates a pair.
    Waiting(Box<SessionSpec>),
    /// On this shard.
    Owned(usize),
}

struct Entry {
    stream: StreamId,
    role: Role,
    place: Place,
}

#[derive(Default)]
struct StreamEntry {
    publisher: Option<SessionId>,
    /// Viewers of the stream on each shard that has any.
    viewers: BTreeMap<usize, usize>,
}

/// Limits of the directory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub max_sessions: usize,
    pub setup_timeout: Duration,
}

/// See the module's text.
pub(crate) struct Directory {
    limits: Limits,
    shards: usize,
    stopped: usize,
    stopping: bool,
    next_session: u64,
    sessions: HashMap<SessionId, Entry>,
    streams: HashMap<StreamId, StreamEntry>,
    /// Waiting sessions in the order of their deadlines, as the timeout is the same for all. May name sessions that wait no more.
    waiting: VecDeque<(Instant, SessionId)>,
    orders: VecDeque<(usize, Order)>,
    events: VecDeque<Event>,
}

impl Directory {
    /// A directory for `shards` shards. Session numbers begin at `first_session`.
    pub(crate) fn new(limits: Limits, shards: usize, first_session: u64) -> Directory {
        Directory {
            limits,
            shards,
            stopped: 0,
            stopping: false,
            next_session: first_session,
            sessions: HashMap::new(),
            streams: HashMap::new(),
            waiting: VecDeque::new(),
            orders: VecDeque::new(),
            events: VecDeque::new(),
        }
    }

    /// Makes a waiting session.
    pub(crate) fn open(&mut self, now: Instant, spec: SessionSpec) -> Result<SessionId, Refusal> {
        if self.stopping {
            return Err(Refusal::Stopping);
        }
        if self.sessions.len() >= self.limits.max_sessions {
            return Err(Refusal::TooManySessions);
        }
        let session = SessionId(self.next_session);
        let stream = self.streams.entry(spec.stream).or_default();
        if spec.role == Role::Publish {
            if stream.publisher.is_some() {
                return Err(Refusal::AlreadyPublished);
            }
            stream.publisher = Some(session);
        }
        self.next_session += 1;
        self.waiting.push_back((now + self.limits.setup_timeout, session));
        let entry = Entry { stream: spec.stream, role: spec.role, place: Place::Waiting(Box::new(spec)) };
        self.sessions.insert(session, entry);
        Ok(session)
    }

    /// Ends a session. One that is owned ends when its shard says so; its stream takes another publisher at once.
    pub(crate) fn close(&mut self, session: SessionId, reason: EndReason) -> Result<(), Refusal> {
        let entry = self.sessions.get(&session).ok_or(Refusal::UnknownSession)?;
        let Place::Owned(shard) = entry.place else {
            self.remove(session, reason, Totals::default());
            return Ok(());
        };
        if let Some(stream) = self.streams.get_mut(&entry.stream) {
            stream.publisher.take_if(|publisher| *publisher == session);
        }
        self.orders.push_back((shard, Order::Close(session, reason)));
        Ok(())
    }

    /// Refuses what is new, ends what waits and tells the shards to stop.
    pub(crate) fn shutdown(&mut self) {
        if std::mem::replace(&mut self.stopping, true) {
            return;
        }
        let waiting: Vec<SessionId> = self.waiting.drain(..).map(|(_, session)| session).collect();
        for session in waiting {
            self.expire(session, EndReason::Shutdown);
        }
        self.orders.extend((0..self.shards).map(|shard| (shard, Order::Stop)));
    }

    /// Takes what a shard says.
    pub(crate) fn handle_notice(&mut self, shard: usize, notice: Notice) {
        match notice {
            Notice::Claim(session) => self.claim(shard, session),
            Notice::Nominated(session, remote) => self.events.push_back(Event::Nominated { session, shard, remote }),
            Notice::Connected(session) => self.events.push_back(Event::Connected { session, profile: "" }),
            Notice::Ended(session, reason, totals) => self.remove(session, reason, totals),
            Notice::Stopped => {
                self.stopped += 1;
                if self.stopped == self.shards {
                    self.events.push_back(Event::Stopped);
                }
            }
        }
    }

    /// Ends the sessions that have waited too long.
    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        while let Some((_, session)) = self.waiting.pop_front_if(|(deadline, _)| *deadline <= now) {
            self.expire(session, EndReason::SetupTimeout);
        }
    }

    /// When [`Directory::handle_timeout`] wants to be called.
    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        self.waiting.front().map(|(deadline, _)| *deadline)
    }

    /// The next order, and for which shard.
    pub(crate) fn poll_order(&mut self) -> Option<(usize, Order)> {
        self.orders.pop_front()
    }

    /// The next event.
    pub(crate) fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    fn claim(&mut self, shard: usize, session: SessionId) {
        let Some(entry) = self.sessions.get_mut(&session) else {
            self.orders.push_back((shard, Order::Forget(session)));
            return;
        };
        let (stream, role) = (entry.stream, entry.role);
        match std::mem::replace(&mut entry.place, Place::Owned(shard)) {
            Place::Owned(owner) => {
                entry.place = Place::Owned(owner);
                if owner != shard {
                    self.orders.push_back((shard, Order::Elsewhere(session, owner)));
                }
            }
            Place::Waiting(spec) => {
                self.orders.push_back((shard, Order::Grant(session, spec)));
                self.subscribe(stream, role, shard);
            }
        }
    }

    /// Puts a granted session on the map of its stream.
    fn subscribe(&mut self, stream: StreamId, role: Role, shard: usize) {
        let entry = self.streams.entry(stream).or_default();
        match role {
            Role::Publish => {
                let others = entry.viewers.keys().filter(|viewers| **viewers != shard);
                self.orders.extend(others.map(|viewers| (shard, Order::Subscribe(stream, *viewers))));
            }
            Role::Play => {
                let viewers = entry.viewers.entry(shard).or_default();
                *viewers += 1;
                let first = *viewers == 1;
                if first {
                    self.tell_publisher(stream, shard, Order::Subscribe(stream, shard));
                }
            }
        }
    }

    /// Gives an order to the shard of a stream's publisher, unless that is `viewers` itself.
    fn tell_publisher(&mut self, stream: StreamId, viewers: usize, order: Order) {
        let publisher = self.streams.get(&stream).and_then(|entry| entry.publisher);
        let place = publisher.and_then(|publisher| self.sessions.get(&publisher)).map(|entry| &entry.place);
        if let Some(Place::Owned(owner)) = place
            && *owner != viewers
        {
            self.orders.push_back((*owner, order));
        }
    }

    fn expire(&mut self, session: SessionId, reason: EndReason) {
        if matches!(self.sessions.get(&session), Some(Entry { place: Place::Waiting(_), .. })) {
            self.remove(session, reason, Totals::default());
        }
    }

    fn remove(&mut self, session: SessionId, reason: EndReason, totals: Totals) {
        let Some(entry) = self.sessions.remove(&session) else { return };
        let owner = match entry.place {
            Place::Owned(shard) => Some(shard),
            Place::Waiting(_) => None,
        };
        self.leave(session, &entry, owner);
        // The owner knows already; any other shard may have been answering its checks.
        let others = (0..self.shards).filter(|shard| Some(*shard) != owner);
        self.orders.extend(others.map(|shard| (shard, Order::Forget(session))));
        self.events.push_back(Event::Ended { session, reason, totals });
    }

    fn leave(&mut self, session: SessionId, entry: &Entry, owner: Option<usize>) {
        let stream = entry.stream;
        let Some(on_stream) = self.streams.get_mut(&stream) else { return };
        if on_stream.publisher == Some(session) {
            on_stream.publisher = None;
        }
        let mut last_of = None;
        if let (Role::Play, Some(shard)) = (entry.role, owner)
            && let Some(viewers) = on_stream.viewers.get_mut(&shard)
        {
            *viewers -= 1;
            last_of = (*viewers == 0).then_some(shard);
        }
        if let Some(shard) = last_of {
            on_stream.viewers.remove(&shard);
            self.tell_publisher(stream, shard, Order::Unsubscribe(stream, shard));
        }
        if self.streams.get(&stream).is_some_and(|entry| entry.publisher.is_none() && entry.viewers.is_empty()) {
            self.streams.remove(&stream);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::DtlsRole;

    const STREAM: StreamId = StreamId(7);

    fn directory(shards: usize) -> Directory {
        let limits = Limits { max_sessions: 4, setup_timeout: Duration::from_secs(60) };
        Directory::new(limits, shards, 1)
    }

    fn spec(role: Role) -> SessionSpec {
        SessionSpec {
            stream: STREAM,
            role,
            replaces: None,
            dtls_role: DtlsRole::Server,
            fingerprints: vec![],
            tracks: vec![],
        }
    }

    fn orders(directory: &mut Directory) -> Vec<String> {
        std::iter::from_fn(|| directory.poll_order())
            .map(|(shard, order)| match order {
                Order::Grant(session, _) => format!("{shard}: grant {session}"),
                other => format!("{shard}: {other:?}"),
            })
            .collect()
    }

    fn events(directory: &mut Directory) -> Vec<String> {
        std::iter::from_fn(|| directory.poll_event())
            .map(|event| match event {
                Event::Ended { session, reason, .. } => format!("{session} ended: {reason}"),
                other => format!("{other:?}"),
            })
            .collect()
    }

    #[test]
    fn the_first_claim_wins_and_the_next_is_told_where() {
        let mut directory = directory(2);
        let session = directory.open(Instant::now(), spec(Role::Publish)).unwrap();
        directory.handle_notice(1, Notice::Claim(session));
        directory.handle_notice(0, Notice::Claim(session));
        directory.handle_notice(1, Notice::Claim(session));
        assert_eq!(orders(&mut directory), ["1: grant 1", "0: Elsewhere(SessionId(1), 1)"]);
    }

    #[test]
    fn the_publishers_shard_hears_once_of_each_shard_with_viewers() {
        let mut directory = directory(3);
        let now = Instant::now();
        let early = directory.open(now, spec(Role::Play)).unwrap();
        let publisher = directory.open(now, spec(Role::Publish)).unwrap();
        let late = [directory.open(now, spec(Role::Play)).unwrap(), directory.open(now, spec(Role::Play)).unwrap()];
        directory.handle_notice(2, Notice::Claim(early));
        directory.handle_notice(0, Notice::Claim(publisher));
        directory.handle_notice(1, Notice::Claim(late[0]));
        directory.handle_notice(1, Notice::Claim(late[1]));
        let subscriptions: Vec<String> =
            orders(&mut directory).into_iter().filter(|order| order.contains("ubscribe")).collect();
        assert_eq!(subscriptions, ["0: Subscribe(StreamId(7), 2)", "0: Subscribe(StreamId(7), 1)"]);

        directory.handle_notice(1, Notice::Ended(late[0], EndReason::ClosedByPeer, Totals::default()));
        assert!(!orders(&mut directory).iter().any(|order| order.contains("ubscribe")));
        directory.handle_notice(1, Notice::Ended(late[1], EndReason::ClosedByPeer, Totals::default()));
        assert!(orders(&mut directory).contains(&"0: Unsubscribe(StreamId(7), 1)".to_owned()));
    }

    #[test]
    fn a_second_publisher_is_refused_until_the_first_has_gone() {
        let mut directory = directory(1);
        let first = directory.open(Instant::now(), spec(Role::Publish)).unwrap();
        assert_eq!(directory.open(Instant::now(), spec(Role::Publish)), Err(Refusal::AlreadyPublished));
        directory.close(first, EndReason::Deleted).unwrap();
        assert!(directory.open(Instant::now(), spec(Role::Publish)).is_ok());
        assert_eq!(directory.close(first, EndReason::Deleted), Err(Refusal::UnknownSession));
    }

    #[test]
    fn a_session_that_nobody_nominates_expires_and_every_shard_forgets_it() {
        let mut directory = directory(2);
        let now = Instant::now();
        let session = directory.open(now, spec(Role::Play)).unwrap();
        let due = directory.next_timeout().unwrap();
        directory.handle_timeout(due - Duration::from_millis(1));
        assert!(events(&mut directory).is_empty());
        directory.handle_timeout(due);
        assert_eq!(
            events(&mut directory),
            [format!("{session} ended: no connectivity check nominated a pair in time")]
        );
        assert_eq!(orders(&mut directory), ["0: Forget(SessionId(1))", "1: Forget(SessionId(1))"]);
        directory.handle_notice(0, Notice::Claim(session));
        assert_eq!(orders(&mut directory), ["0: Forget(SessionId(1))"]);
    }

    #[test]
    fn the_number_of_sessions_is_bounded_and_a_stop_ends_them() {
        let mut directory = directory(1);
        let now = Instant::now();
        let sessions: Vec<SessionId> = (0..4).map(|_| directory.open(now, spec(Role::Play)).unwrap()).collect();
        assert_eq!(directory.open(now, spec(Role::Play)), Err(Refusal::TooManySessions));
        directory.handle_notice(0, Notice::Claim(sessions[0]));
        directory.shutdown();
        assert_eq!(directory.open(now, spec(Role::Play)), Err(Refusal::Stopping));
        assert_eq!(events(&mut directory).len(), 3);
        directory.handle_notice(0, Notice::Ended(sessions[0], EndReason::Shutdown, Totals::default()));
        directory.handle_notice(0, Notice::Stopped);
        assert_eq!(events(&mut directory), ["1 ended: the server stops", "Stopped"]);
    }
}
