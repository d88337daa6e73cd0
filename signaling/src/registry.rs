//! Which streams and sessions there are: names to engine ids and back, nothing else. No clock, no randomness, no engine.
//!
//! A stream is kept while it has a publisher or a viewer. A session is kept from its answer until the engine says that it has
//! ended; from its DELETE until then it has no URL and takes no place any more.

use crate::name::StreamName;
use crate::public_id::PublicId;
use oneport_engine::control::{Role, SessionId, StreamId};
use oneport_rtp::payload::Format;
use std::collections::{HashMap, HashSet};

/// Streams and sessions.
#[derive(Debug, Default)]
pub struct Registry {
    streams: HashMap<StreamName, Stream>,
    sessions: HashMap<SessionId, Session>,
    by_public_id: HashMap<PublicId, SessionId>,
    last_stream: u64,
}

#[derive(Debug)]
struct Stream {
    id: StreamId,
    publisher: Option<Publisher>,
    viewers: HashSet<SessionId>,
}

#[derive(Debug)]
struct Publisher {
    session: SessionId,
    formats: Vec<Format>,
}

/// A session as signaling knows it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Session {
    /// The secret of its URL.
    pub public_id: PublicId,
    /// The stream that it publishes or plays.
    pub name: StreamName,
    /// Which way.
    pub role: Role,
}

impl Registry {
    /// The stream of a name, which is made if there is none. Whoever opens no session in it calls [`Registry::forget_unused`].
    pub fn stream(&mut self, name: &StreamName) -> StreamId {
        if let Some(stream) = self.streams.get(name) {
            return stream.id;
        }
        self.last_stream += 1;
        let id = StreamId(self.last_stream);
        self.streams.insert(name.clone(), Stream { id, publisher: None, viewers: HashSet::new() });
        id
    }

    /// Whether somebody publishes under a name.
    pub fn is_published(&self, name: &StreamName) -> bool {
        self.published_formats(name).is_some()
    }

    /// What the publisher of a name sends, if there is one.
    pub fn published_formats(&self, name: &StreamName) -> Option<&[Format]> {
        self.streams.get(name)?.publisher.as_ref().map(|publisher| publisher.formats.as_slice())
    }

    /// Enters a session that the engine has opened. For a publisher, `formats` is what it may send.
    pub fn enter(&mut self, id: SessionId, session: Session, formats: Vec<Format>) {
        self.stream(&session.name);
        if let Some(stream) = self.streams.get_mut(&session.name) {
            match session.role {
                Role::Publish => stream.publisher = Some(Publisher { session: id, formats }),
                Role::Play => _ = stream.viewers.insert(id),
            }
        }
        self.by_public_id.insert(session.public_id, id);
        self.sessions.insert(id, session);
    }

    /// The session of a URL.
    pub fn find(&self, public_id: &PublicId) -> Option<SessionId> {
        self.by_public_id.get(public_id).copied()
    }

    /// A session that has not ended.
    pub fn session(&self, id: SessionId) -> Option<&Session> {
        self.sessions.get(&id)
    }

    /// Takes away a session's URL and its place in the stream; what it was is kept until [`Registry::ended`].
    pub fn close(&mut self, id: SessionId) {
        let Some(session) = self.sessions.get(&id) else {
            return;
        };
        self.by_public_id.remove(&session.public_id);
        if let Some(stream) = self.streams.get_mut(&session.name) {
            stream.viewers.remove(&id);
            stream.publisher.take_if(|publisher| publisher.session == id);
        }
        let name = session.name.clone();
        self.forget_unused(&name);
    }

    /// Forgets a session, and says what it was.
    pub fn ended(&mut self, id: SessionId) -> Option<Session> {
        self.close(id);
        self.sessions.remove(&id)
    }

    /// Forgets a stream that has neither publisher nor viewers.
    pub fn forget_unused(&mut self, name: &StreamName) {
        if self.streams.get(name).is_some_and(|stream| stream.publisher.is_none() && stream.viewers.is_empty()) {
            self.streams.remove(name);
        }
    }

    /// How many streams and sessions there are.
    pub fn len(&self) -> (usize, usize) {
        (self.streams.len(), self.sessions.len())
    }

    /// Whether there is nothing at all.
    pub fn is_empty(&self) -> bool {
        self.len() == (0, 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use oneport_rtp::payload::{Codec, Variant};

    const OPUS: Format = Format { codec: Codec::Opus, clock_rate: 48_000, variant: Variant::Plain };

    fn name() -> StreamName {
        StreamName::new("live", "cam").unwrap()
    }

    fn enter(registry: &mut Registry, id: u64, role: Role) -> PublicId {
        let public_id = PublicId::from_bytes([id as u8; 16]);
        registry.enter(SessionId(id), Session { public_id, name: name(), role }, vec![OPUS]);
        public_id
    }

    #[test]
    fn a_publisher_is_found_by_name_and_its_session_by_url() {
        let mut registry = Registry::default();
        assert!(!registry.is_published(&name()));
        let public_id = enter(&mut registry, 1, Role::Publish);
        assert_eq!(registry.published_formats(&name()), Some(&[OPUS][..]));
        assert_eq!(registry.find(&public_id), Some(SessionId(1)));
        assert_eq!(registry.find(&PublicId::from_bytes([9; 16])), None);
    }

    #[test]
    fn a_stream_keeps_its_id_while_a_viewer_stays() {
        let mut registry = Registry::default();
        let id = registry.stream(&name());
        enter(&mut registry, 1, Role::Publish);
        enter(&mut registry, 2, Role::Play);
        registry.ended(SessionId(1));
        assert!(!registry.is_published(&name()));
        assert_eq!(registry.stream(&name()), id);
        registry.ended(SessionId(2));
        assert!(registry.is_empty());
        assert_ne!(registry.stream(&name()), id);
    }

    #[test]
    fn a_closed_session_has_no_url_and_frees_its_place_at_once() {
        let mut registry = Registry::default();
        let public_id = enter(&mut registry, 1, Role::Publish);
        registry.close(SessionId(1));
        assert_eq!(registry.find(&public_id), None);
        assert!(!registry.is_published(&name()));
        assert_eq!(registry.len(), (0, 1));
        assert_eq!(registry.ended(SessionId(1)).map(|session| session.public_id), Some(public_id));
        assert!(registry.is_empty());
    }

    #[test]
    fn the_late_end_of_a_publisher_leaves_the_next_one_alone() {
        let mut registry = Registry::default();
        enter(&mut registry, 1, Role::Publish);
        registry.close(SessionId(1));
        enter(&mut registry, 2, Role::Publish);
        registry.ended(SessionId(1));
        assert!(registry.is_published(&name()));
        assert_eq!(registry.ended(SessionId(1)), None);
    }

    #[test]
    fn a_stream_that_nobody_entered_can_be_forgotten() {
        let mut registry = Registry::default();
        registry.stream(&name());
        registry.forget_unused(&name());
        assert!(registry.is_empty());
        enter(&mut registry, 1, Role::Play);
        registry.forget_unused(&name());
        assert_eq!(registry.len(), (1, 1));
    }
}
