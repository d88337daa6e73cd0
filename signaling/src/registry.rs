//! Which streams and sessions there are: names to engine ids and back, and what is known of a stream. No randomness, no engine,
//! and `now` as an argument.
//!
//! A stream is kept while it has a publisher or a viewer. A session is kept from its answer until the engine says that it has
//! ended; from its DELETE until then it has no URL and takes no place any more.

use crate::admission::{HalfOpen, Opener};
use crate::name::StreamName;
use crate::public_id::PublicId;
use event_listener::{Event, EventListener};
use oneport_engine::control::{LayerState, Role, SessionId, StreamId};
use oneport_rtp::ids::Mid;
use oneport_rtp::payload::{Format, MediaKind};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::{Duration, Instant};

/// A publisher that has sent nothing for so long since its offer is silent, as one is whose media has stopped.
const SILENCE: Duration = Duration::from_secs(2);

/// Streams and sessions.
#[derive(Debug, Default)]
pub struct Registry {
    streams: HashMap<StreamName, Stream>,
    sessions: HashMap<SessionId, Session>,
    by_public_id: HashMap<PublicId, SessionId>,
    half_open: HashMap<SessionId, HalfOpen>,
    last_stream: u64,
}

#[derive(Debug)]
struct Stream {
    id: StreamId,
    publisher: Option<Publisher>,
    viewers: HashSet<SessionId>,
    /// Told of whatever [`StreamView`] shows, but for the number of viewers.
    changed: Event,
}

#[derive(Debug)]
struct Publisher {
    session: SessionId,
    formats: Vec<Format>,
    media: Media,
    layers: BTreeMap<usize, Vec<LayerState>>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Media {
    /// Nothing has come yet, since then.
    Expected(Instant),
    Flows,
    Silent,
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
    /// Whose token it was, where one is needed.
    pub opener: Option<Opener>,
    /// What offer and answer said of ICE, and PATCH since then.
    pub ice: IceSession,
    /// What a publisher may send, or a viewer can take.
    pub formats: Vec<Format>,
    /// The accepted m-sections, in order.
    pub sections: Vec<SessionSection>,
    /// Whether our answer said `a=ice-options:ice2`.
    pub ice2: bool,
}

/// An accepted m-section, as later messages name it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SessionSection {
    /// Its place among all m-sections of the offer.
    pub index: usize,
    /// `a=mid`.
    pub mid: Option<Mid>,
    /// Audio or video.
    pub kind: MediaKind,
}

/// Both halves of an ICE session, as far as a PATCH is measured against them (RFC 9725 §4.3).
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct IceSession {
    /// Its strong entity tag, without the quotes: our ufrag, which is another one after each restart.
    pub entity_tag: String,
    /// The client's ufrag.
    pub client_ufrag: String,
    /// The client's password.
    pub client_pwd: String,
}

/// What the viewers of a stream are told of it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct StreamView {
    /// Whether media of a publisher arrives.
    pub is_active: bool,
    /// The layers of each simulcast track, by the track's index.
    pub layers: BTreeMap<usize, Vec<LayerState>>,
    /// How many viewers there are.
    pub viewers: usize,
}

impl Registry {
    /// The stream of a name, which is made if there is none. Whoever opens no session in it calls [`Registry::forget_unused`].
    pub fn stream(&mut self, name: &StreamName) -> StreamId {
        if let Some(stream) = self.streams.get(name) {
            return stream.id;
        }
        self.last_stream += 1;
        let id = StreamId(self.last_stream);
        let stream = Stream { id, publisher: None, viewers: HashSet::new(), changed: Event::new() };
        self.streams.insert(name.clone(), stream);
        id
    }

    /// The publisher of a name, if there is one.
    pub fn publisher(&self, name: &StreamName) -> Option<SessionId> {
        Some(self.streams.get(name)?.publisher.as_ref()?.session)
    }

    /// Whether the publisher of a name has sent nothing for two seconds.
    pub fn is_silent(&self, name: &StreamName, now: Instant) -> bool {
        let publisher = self.streams.get(name).and_then(|stream| stream.publisher.as_ref());
        publisher.is_some_and(|publisher| match publisher.media {
            Media::Expected(since) => now.saturating_duration_since(since) >= SILENCE,
            Media::Flows => false,
            Media::Silent => true,
        })
    }

    /// What the publisher of a name sends, if there is one.
    pub fn published_formats(&self, name: &StreamName) -> Option<&[Format]> {
        self.streams.get(name)?.publisher.as_ref().map(|publisher| publisher.formats.as_slice())
    }

    /// What the viewers of a name are told; of a stream that there is not, that it is not active.
    pub fn view(&self, name: &StreamName) -> StreamView {
        let Some(stream) = self.streams.get(name) else { return StreamView::default() };
        let publisher = stream.publisher.as_ref();
        StreamView {
            is_active: publisher.is_some_and(|publisher| publisher.media == Media::Flows),
            layers: publisher.map(|publisher| publisher.layers.clone()).unwrap_or_default(),
            viewers: stream.viewers.len(),
        }
    }

    /// Waits for a change of a stream: a publisher that comes or goes, media that begins or stops, other layers. The stream is made
    /// if there is none, and kept; who has waited calls [`Registry::forget_unused`].
    pub fn listen(&mut self, name: &StreamName) -> EventListener {
        self.stream(name);
        self.streams[name].changed.listen()
    }

    /// Wakes everyone who waits for a change of this stream.
    pub fn wake(&self, name: &StreamName) {
        self.streams.get(name).inspect(|stream| stream.tell());
    }

    /// Wakes everyone who waits for a change of any stream.
    pub fn wake_all(&self) {
        self.streams.values().for_each(Stream::tell);
    }

    /// Enters a session that the engine has opened. For a publisher, `formats` is what it may send.
    pub fn enter(&mut self, now: Instant, id: SessionId, session: Session) {
        self.stream(&session.name);
        if let Some(stream) = self.streams.get_mut(&session.name) {
            match session.role {
                Role::Publish => {
                    let (formats, media) = (session.formats.clone(), Media::Expected(now));
                    stream.publisher = Some(Publisher { session: id, formats, media, layers: BTreeMap::new() });
                    stream.tell();
                }
                Role::Play => _ = stream.viewers.insert(id),
                Role::Echo => {}
            }
        }
        self.by_public_id.insert(session.public_id, id);
        self.sessions.insert(id, session);
    }

    /// Enters a session whose client's half is not known yet: it has a URL, and no place in its stream.
    pub fn reserve(&mut self, id: SessionId, session: Session) {
        self.by_public_id.insert(session.public_id, id);
        self.sessions.insert(id, session);
    }

    /// The session counts as half-open until it is connected or closed.
    pub fn set_half_open(&mut self, id: SessionId, half_open: Option<HalfOpen>) {
        self.half_open.extend(half_open.map(|half_open| (id, half_open)));
    }

    /// The session is connected.
    pub fn connected(&mut self, id: SessionId) {
        self.half_open.remove(&id);
    }

    /// The session of a URL.
    pub fn find(&self, public_id: &PublicId) -> Option<SessionId> {
        self.by_public_id.get(public_id).copied()
    }

    /// A session that has not ended.
    pub fn session(&self, id: SessionId) -> Option<&Session> {
        self.sessions.get(&id)
    }

    /// Whether a viewer cannot take the audio or the video that is published now, though it asked for such: it has to offer anew.
    pub fn is_left_out(&self, viewer: &Session) -> bool {
        let published = self.published_formats(&viewer.name).unwrap_or_default();
        let of = |kind: MediaKind, format: &&Format| format.codec.kind() == kind;
        [MediaKind::Audio, MediaKind::Video].into_iter().any(|kind| {
            let own: Vec<&Format> = viewer.formats.iter().filter(|format| of(kind, format)).collect();
            let mut sent = published.iter().filter(|format| of(kind, format)).peekable();
            let takes = |sent: &Format| own.iter().any(|own| own.fitness_for(sent).is_some());
            !own.is_empty() && sent.peek().is_some() && !sent.any(takes)
        })
    }

    /// The ICE of a session was restarted.
    pub fn restarted(&mut self, id: SessionId, ice: IceSession) {
        if let Some(session) = self.sessions.get_mut(&id) {
            session.ice = ice;
        }
    }

    /// A publisher's media has begun, stopped or gone on.
    pub fn set_flow(&mut self, id: SessionId, flows: bool) {
        self.with_publisher(id, |publisher| publisher.media = if flows { Media::Flows } else { Media::Silent });
    }

    /// The layers of a publisher's track have changed.
    pub fn set_layers(&mut self, id: SessionId, track: usize, layers: Vec<LayerState>) {
        self.with_publisher(id, |publisher| _ = publisher.layers.insert(track, layers));
    }

    /// Takes away a session's URL and its place in the stream; what it was is kept until [`Registry::ended`].
    pub fn close(&mut self, id: SessionId) {
        let Some(session) = self.sessions.get(&id) else {
            return;
        };
        self.by_public_id.remove(&session.public_id);
        self.half_open.remove(&id);
        if let Some(stream) = self.streams.get_mut(&session.name) {
            stream.viewers.remove(&id);
            if stream.publisher.take_if(|publisher| publisher.session == id).is_some() {
                stream.tell();
            }
        }
        let name = session.name.clone();
        self.forget_unused(&name);
    }

    /// Forgets a session, and says what it was.
    pub fn ended(&mut self, id: SessionId) -> Option<Session> {
        self.close(id);
        self.sessions.remove(&id)
    }

    /// Forgets a stream that has neither publisher nor viewers, and that nobody waits for.
    pub fn forget_unused(&mut self, name: &StreamName) {
        if self.streams.get(name).is_some_and(Stream::is_unused) {
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

    fn with_publisher(&mut self, id: SessionId, change: impl FnOnce(&mut Publisher)) {
        let Some(session) = self.sessions.get(&id) else { return };
        let Some(stream) = self.streams.get_mut(&session.name) else { return };
        if let Some(publisher) = stream.publisher.as_mut().filter(|publisher| publisher.session == id) {
            change(publisher);
            stream.tell();
        }
    }
}

impl Stream {
    fn is_unused(&self) -> bool {
        self.publisher.is_none() && self.viewers.is_empty() && self.changed.total_listeners() == 0
    }

    fn tell(&self) {
        self.changed.notify(usize::MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_lite::future::{block_on, poll_once};
    use oneport_rtp::payload::{Codec, Variant};

    const OPUS: Format = Format { codec: Codec::Opus, clock_rate: 48_000, variant: Variant::Plain };

    fn name() -> StreamName {
        StreamName::new("live", "cam").unwrap()
    }

    fn enter(registry: &mut Registry, id: u64, role: Role) -> PublicId {
        let public_id = PublicId::from_bytes([id as u8; 16]);
        let session = Session {
            public_id,
            name: name(),
            role,
            opener: None,
            ice: IceSession::default(),
            formats: vec![OPUS],
            sections: vec![],
            ice2: false,
        };
        registry.enter(Instant::now(), SessionId(id), session);
        public_id
    }

    #[test]
    fn a_publisher_is_found_by_name_and_its_session_by_url() {
        let mut registry = Registry::default();
        assert_eq!(registry.publisher(&name()), None);
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
        assert_eq!(registry.publisher(&name()), None);
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
        assert_eq!(registry.publisher(&name()), None);
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
        assert_eq!(registry.publisher(&name()), Some(SessionId(2)));
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

    #[test]
    fn a_publisher_is_silent_when_its_media_stops_or_never_begins() {
        let mut registry = Registry::default();
        enter(&mut registry, 1, Role::Publish);
        let now = Instant::now();
        assert!(!registry.is_silent(&name(), now));
        assert!(registry.is_silent(&name(), now + SILENCE));
        registry.set_flow(SessionId(1), true);
        assert!(registry.view(&name()).is_active && !registry.is_silent(&name(), now + SILENCE));
        registry.set_flow(SessionId(1), false);
        assert!(registry.is_silent(&name(), now));
        enter(&mut registry, 2, Role::Publish);
        registry.set_flow(SessionId(1), true);
        assert!(!registry.view(&name()).is_active, "the flow of a publisher that was replaced is nobody's");
    }

    #[test]
    fn who_listens_hears_of_a_publisher_that_comes_flows_and_goes() {
        let mut registry = Registry::default();
        enter(&mut registry, 1, Role::Play);
        for change in 0..3 {
            let listener = registry.listen(&name());
            match change {
                0 => _ = enter(&mut registry, 2, Role::Publish),
                1 => registry.set_flow(SessionId(2), true),
                _ => _ = registry.ended(SessionId(2)),
            }
            assert!(block_on(poll_once(listener)).is_some());
        }
    }

    #[test]
    fn a_viewer_that_takes_nothing_of_the_next_publisher_is_left_out() {
        let mut registry = Registry::default();
        enter(&mut registry, 1, Role::Play);
        let viewer = registry.session(SessionId(1)).unwrap().clone();
        assert!(!registry.is_left_out(&viewer), "nobody publishes");
        enter(&mut registry, 2, Role::Publish);
        assert!(!registry.is_left_out(&viewer));
        let pcmu = Format { codec: Codec::Pcmu, clock_rate: 8_000, variant: Variant::Plain };
        assert!(registry.is_left_out(&Session { formats: vec![pcmu], ..viewer }));
    }
}
