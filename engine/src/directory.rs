//! The control core's half of the engine: which sessions there are, which shard owns each, and which shards want a stream.
//!
//! ```text
//!  Open ─────────────────► waiting ──Claim──► owned by a shard ──Ended──► forgotten by all shards
//!  Reserve ──► reserved ──────┘ Complete                                    │
//!                 │           └──── no nomination in time ────────────────┤
//!                 └──── nobody completes it in time ──────────────────────┘
//! ```
//!
//! Pure: commands and notices in, orders and events out, and `now` as an argument.

use crate::control::{EndReason, Event, Refusal, Role, SessionId, SessionSpec, StreamId, Totals};
use crate::message::{Notice, Order};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::{Duration, Instant};

enum Place {
    /// Until it is completed. A shard may have claimed it meanwhile: its client need not wait for us to hear of its answer.
    Reserved { claimed: Option<usize> },
    /// Until a client nominates a pair.
    Waiting(Box<SessionSpec>),
    /// On this shard.
    Owned(usize),
}

struct Entry {
    /// What it publishes or plays, once that is known.
    member: Option<(StreamId, Role)>,
    place: Place,
    /// How often ICE was restarted.
    generation: u8,
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
    /// Reserved ones, likewise.
    reserved: VecDeque<(Instant, SessionId)>,
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
            reserved: VecDeque::new(),
            orders: VecDeque::new(),
            events: VecDeque::new(),
        }
    }

    /// Makes a waiting session. The publisher that it replaces ends, if and only if this succeeds.
    pub(crate) fn open(&mut self, now: Instant, spec: SessionSpec) -> Result<SessionId, Refusal> {
        let replaced = self.replaced(&spec)?;
        self.admit(usize::from(replaced.is_some()))?;
        if let Some(replaced) = replaced {
            self.close(replaced, EndReason::Replaced)?;
        }
        let session = self.next();
        self.wait(now, session, spec, 0);
        Ok(session)
    }

    /// Makes a session whose spec is not known yet. The validity is the same for all.
    pub(crate) fn reserve(&mut self, now: Instant, validity: Duration) -> Result<SessionId, Refusal> {
        self.admit(0)?;
        let session = self.next();
        self.reserved.push_back((now + validity, session));
        let place = Place::Reserved { claimed: None };
        self.sessions.insert(session, Entry { member: None, place, generation: 0 });
        Ok(session)
    }

    /// Gives a reserved session its spec.
    pub(crate) fn complete(&mut self, now: Instant, session: SessionId, spec: SessionSpec) -> Result<(), Refusal> {
        let Some(Entry { place: Place::Reserved { claimed }, generation, .. }) = self.sessions.get(&session) else {
            return Err(Refusal::UnknownSession);
        };
        let (claimed, generation) = (*claimed, *generation);
        if self.replaced(&spec)?.is_some() {
            return Err(Refusal::AlreadyPublished);
        }
        self.wait(now, session, spec, generation);
        if let Some(shard) = claimed {
            self.claim(shard, session);
        }
        Ok(())
    }

    /// Another generation of ICE credentials for a session; gives its number.
    pub(crate) fn restart(&mut self, session: SessionId) -> Result<u8, Refusal> {
        let entry = self.sessions.get_mut(&session).ok_or(Refusal::UnknownSession)?;
        entry.generation = entry.generation.wrapping_add(1);
        if let Place::Owned(shard) = entry.place {
            self.orders.push_back((shard, Order::Restart(session, entry.generation)));
        }
        Ok(entry.generation)
    }

    /// The publisher that a session takes the place of. An error when there is one that it does not name.
    fn replaced(&self, spec: &SessionSpec) -> Result<Option<SessionId>, Refusal> {
        let present = self.streams.get(&spec.stream).and_then(|stream| stream.publisher);
        match present {
            Some(publisher) if spec.role == Role::Publish => {
                let named = spec.replaces == Some(publisher);
                if named { Ok(Some(publisher)) } else { Err(Refusal::AlreadyPublished) }
            }
            _ => Ok(None),
        }
    }

    /// Whether there may be one more session, when `leaving` of the present ones end.
    fn admit(&self, leaving: usize) -> Result<(), Refusal> {
        if self.stopping {
            return Err(Refusal::Stopping);
        }
        let is_full = self.sessions.len().saturating_sub(leaving) >= self.limits.max_sessions;
        if is_full { Err(Refusal::TooManySessions) } else { Ok(()) }
    }

    fn next(&mut self) -> SessionId {
        let session = SessionId(self.next_session);
        self.next_session += 1;
        session
    }

    /// From now on the session waits for its client.
    fn wait(&mut self, now: Instant, session: SessionId, spec: SessionSpec, generation: u8) {
        let member = (spec.role != Role::Echo).then_some((spec.stream, spec.role));
        if let Some((stream, role)) = member {
            let on_stream = self.streams.entry(stream).or_default();
            if role == Role::Publish {
                on_stream.publisher = Some(session);
            }
        }
        self.waiting.push_back((now + self.limits.setup_timeout, session));
        let place = Place::Waiting(Box::new(spec));
        self.sessions.insert(session, Entry { member, place, generation });
    }

    /// Ends a session. One that is owned ends when its shard says so; its stream takes another publisher at once.
    pub(crate) fn close(&mut self, session: SessionId, reason: EndReason) -> Result<(), Refusal> {
        let entry = self.sessions.get(&session).ok_or(Refusal::UnknownSession)?;
        let Place::Owned(shard) = entry.place else {
            self.remove(session, reason, Totals::default());
            return Ok(());
        };
        if let Some(stream) = entry.member.and_then(|(stream, _)| self.streams.get_mut(&stream)) {
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
        let waiting = self.waiting.drain(..).chain(self.reserved.drain(..)).map(|(_, session)| session);
        for session in waiting.collect::<Vec<SessionId>>() {
            self.expire(session, EndReason::Shutdown);
        }
        self.orders.extend((0..self.shards).map(|shard| (shard, Order::Stop)));
    }

    /// Takes what a shard says.
    pub(crate) fn handle_notice(&mut self, shard: usize, notice: Notice) {
        match notice {
            Notice::Claim(session) => self.claim(shard, session),
            Notice::Nominated(session, remote) => self.events.push_back(Event::Nominated { session, shard, remote }),
            Notice::Connected(session, profile) => self.events.push_back(Event::Connected { session, profile }),
            Notice::Flow(session, flows) => self.events.push_back(Event::Flow { session, flows }),
            Notice::Layers(session, track, layers) => self.events.push_back(Event::Layers { session, track, layers }),
            Notice::Trace(session, step) => self.events.push_back(Event::Trace { session, step }),
            Notice::Stray(remote, remote_ufrag) => self.events.push_back(Event::StrayCheck { remote, remote_ufrag }),
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
            if matches!(self.sessions.get(&session), Some(Entry { place: Place::Waiting(_), .. })) {
                self.expire(session, EndReason::SetupTimeout);
            }
        }
        while let Some((_, session)) = self.reserved.pop_front_if(|(deadline, _)| *deadline <= now) {
            if matches!(self.sessions.get(&session), Some(Entry { place: Place::Reserved { .. }, .. })) {
                self.expire(session, EndReason::SetupTimeout);
            }
        }
    }

    /// When [`Directory::handle_timeout`] wants to be called.
    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        let first = |queue: &VecDeque<(Instant, SessionId)>| queue.front().map(|(deadline, _)| *deadline);
        first(&self.waiting).into_iter().chain(first(&self.reserved)).min()
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
        let generation = entry.generation;
        match std::mem::replace(&mut entry.place, Place::Owned(shard)) {
            Place::Owned(owner) => {
                entry.place = Place::Owned(owner);
                if owner != shard {
                    self.orders.push_back((shard, Order::Elsewhere(session, owner)));
                }
            }
            Place::Reserved { .. } => entry.place = Place::Reserved { claimed: Some(shard) },
            Place::Waiting(spec) => {
                let (stream, role) = (spec.stream, spec.role);
                self.orders.push_back((shard, Order::Grant(session, generation, spec)));
                self.subscribe(stream, role, shard);
            }
        }
    }

    /// Puts a granted session on the map of its stream.
    fn subscribe(&mut self, stream: StreamId, role: Role, shard: usize) {
        if role == Role::Echo {
            return;
        }
        let entry = self.streams.entry(stream).or_default();
        match role {
            Role::Publish => {
                let others = entry.viewers.keys().filter(|viewers| **viewers != shard);
                self.orders.extend(others.map(|viewers| (shard, Order::Subscribe(stream, *viewers))));
            }
            Role::Echo => {}
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
        if !matches!(self.sessions.get(&session), None | Some(Entry { place: Place::Owned(_), .. })) {
            self.remove(session, reason, Totals::default());
        }
    }

    fn remove(&mut self, session: SessionId, reason: EndReason, totals: Totals) {
        let Some(entry) = self.sessions.remove(&session) else { return };
        let owner = match entry.place {
            Place::Owned(shard) => Some(shard),
            Place::Waiting(_) | Place::Reserved { .. } => None,
        };
        if let Some((stream, role)) = entry.member {
            self.leave(session, stream, role, owner);
        }
        // The owner knows already; any other shard may have been answering its checks.
        let others = (0..self.shards).filter(|shard| Some(*shard) != owner);
        self.orders.extend(others.map(|shard| (shard, Order::Forget(session))));
        self.events.push_back(Event::Ended { session, reason, totals });
    }

    fn leave(&mut self, session: SessionId, stream: StreamId, role: Role, owner: Option<usize>) {
        let Some(on_stream) = self.streams.get_mut(&stream) else { return };
        if on_stream.publisher == Some(session) {
            on_stream.publisher = None;
        }
        let mut last_of = None;
        if let (Role::Play, Some(shard)) = (role, owner)
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

    const VALIDITY: Duration = Duration::from_secs(30);

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
            data: false,
            reduced_size: false,
            tracks: vec![],
        }
    }

    fn orders(directory: &mut Directory) -> Vec<String> {
        std::iter::from_fn(|| directory.poll_order())
            .map(|(shard, order)| match order {
                Order::Grant(session, ..) => format!("{shard}: grant {session}"),
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

    #[test]
    fn a_takeover_ends_the_present_publisher_and_only_if_it_succeeds() {
        let mut directory = directory(2);
        let now = Instant::now();
        let first = directory.open(now, spec(Role::Publish)).unwrap();
        directory.handle_notice(1, Notice::Claim(first));
        orders(&mut directory);
        let other = SessionSpec { replaces: Some(SessionId(99)), ..spec(Role::Publish) };
        assert_eq!(directory.open(now, other), Err(Refusal::AlreadyPublished));
        assert!(orders(&mut directory).is_empty());

        // As many sessions as there may be: the one that goes makes room for the one that comes.
        (0..3).for_each(|_| _ = directory.open(now, spec(Role::Play)).unwrap());
        let second = directory.open(now, SessionSpec { replaces: Some(first), ..spec(Role::Publish) }).unwrap();
        assert_eq!(orders(&mut directory), ["1: Close(SessionId(1), Replaced)"]);
        assert_eq!(directory.open(now, spec(Role::Play)), Err(Refusal::TooManySessions));
        directory.handle_notice(1, Notice::Ended(first, EndReason::Replaced, Totals::default()));
        assert_eq!(directory.open(now, spec(Role::Publish)), Err(Refusal::AlreadyPublished), "{second} publishes");
    }

    #[test]
    fn a_reserved_session_is_granted_when_it_is_completed_though_it_was_claimed_before() {
        let mut directory = directory(2);
        let now = Instant::now();
        let session = directory.reserve(now, VALIDITY).unwrap();
        directory.handle_notice(1, Notice::Claim(session));
        assert!(orders(&mut directory).is_empty());
        directory.complete(now, session, spec(Role::Play)).unwrap();
        assert_eq!(orders(&mut directory), ["1: grant 1"]);
        assert_eq!(directory.complete(now, session, spec(Role::Play)), Err(Refusal::UnknownSession));
    }

    #[test]
    fn a_reserved_session_that_nobody_completes_expires() {
        let mut directory = directory(1);
        let now = Instant::now();
        let (idle, used) = (directory.reserve(now, VALIDITY).unwrap(), directory.reserve(now, VALIDITY).unwrap());
        directory.complete(now, used, spec(Role::Play)).unwrap();
        assert_eq!(directory.next_timeout(), Some(now + VALIDITY));
        directory.handle_timeout(now + VALIDITY);
        assert_eq!(events(&mut directory), [format!("{idle} ended: no connectivity check nominated a pair in time")]);
        assert_eq!(directory.complete(now, idle, spec(Role::Play)), Err(Refusal::UnknownSession));
        directory.handle_timeout(now + Duration::from_secs(60));
        assert_eq!(events(&mut directory).len(), 1, "{used} has waited for its client in vain");
    }

    #[test]
    fn a_restart_is_told_to_the_owner_and_counts_before_there_is_one() {
        let mut directory = directory(2);
        let session = directory.open(Instant::now(), spec(Role::Play)).unwrap();
        assert_eq!(directory.restart(session), Ok(1));
        assert!(orders(&mut directory).is_empty());
        directory.handle_notice(1, Notice::Claim(session));
        assert!(matches!(directory.poll_order(), Some((1, Order::Grant(_, 1, _)))));
        assert_eq!(directory.restart(session), Ok(2));
        assert_eq!(orders(&mut directory), ["1: Restart(SessionId(1), 2)"]);
        assert_eq!(directory.restart(SessionId(9)), Err(Refusal::UnknownSession));
    }
}
