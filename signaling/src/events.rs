//! What a viewer is told while it watches: WHEP's server-sent events (the "core" extension of draft-ietf-wish-whep; the format is
//! WHATWG's), as an event stream that the client asks for below its session's URL.
//!
//! ```text
//!  POST   /session/{id}/events        ["active", …]  ──► 201, Location: /session/{id}/events/{stream}
//!  GET    /session/{id}/events/{stream}              ──► text/event-stream, until the session ends
//!  DELETE /session/{id}/events/{stream}
//! ```
//!
//! Nothing is queued: a stream remembers what it said last and says what is different now, so a slow client costs no memory, and
//! one that comes late or again begins with how things are.

use crate::http::{Pieces, Request, Response};
use crate::problem::Problem;
use crate::public_id::PublicId;
use crate::registry::{Registry, Session, StreamView};
use crate::session;
use crate::signaling::Signaling;
use futures_lite::{future, stream};
use glommio::timer::Timer;
use oneport_engine::control::{LayerSpec, LayerState, SessionId};
use oneport_rtp::payload::MediaKind;
use serde_json::{Value, json};
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// The events that there are, in the bits' order of [`Kinds`].
pub(crate) const NAMES: [&str; 5] = ["active", "inactive", "layers", "reconnect", "viewercount"];
/// Event streams of one session: a page has one.
const MAX_STREAMS: usize = 4;
/// How often the number of viewers is looked at. It changes often, and no one needs each change.
const COUNT_INTERVAL: Duration = Duration::from_secs(2);
/// A comment is sent when nothing else was for so long, as proxies end connections that are idle for a minute.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// A set of events, a bit each.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Kinds(u8);

impl Kinds {
    const ALL: Kinds = Kinds((1 << NAMES.len()) - 1);

    /// The events that a request asks for: a JSON array of names, or none for all.
    fn parse(body: &[u8]) -> Result<Kinds, Problem> {
        if body.trim_ascii().is_empty() {
            return Ok(Kinds::ALL);
        }
        let names: Vec<String> = serde_json::from_slice(body).map_err(|error| {
            Problem::BadParameter(format!("The body must be a JSON array of event names: {error}."))
        })?;
        let bit = |name: &String| {
            let at = NAMES.iter().position(|known| known == name);
            let unknown = || format!("There is no event {name:?}; there are {}.", NAMES.join(", "));
            at.map(|at| 1 << at).ok_or_else(|| Problem::BadParameter(unknown()))
        };
        Ok(Kinds(names.iter().map(bit).try_fold(0, |all, bit| bit.map(|bit: u8| all | bit))?))
    }

    fn has(self, name: &str) -> bool {
        NAMES.iter().position(|known| *known == name).is_some_and(|at| self.0 >> at & 1 == 1)
    }
}

/// The event streams of all sessions.
#[derive(Default, Debug)]
pub(crate) struct EventStreams {
    by_session: HashMap<SessionId, Vec<(PublicId, Kinds)>>,
    is_stopping: Cell<bool>,
}

impl EventStreams {
    /// The session has ended, and its streams with it.
    pub(crate) fn forget(&mut self, session: SessionId) {
        self.by_session.remove(&session);
    }

    /// The server stops: every stream tells its client to come again, and ends.
    pub(crate) fn stop(&self) {
        self.is_stopping.set(true);
    }

    fn kinds(&self, session: SessionId, id: &PublicId) -> Option<Kinds> {
        self.by_session.get(&session)?.iter().find(|(known, _)| known == id).map(|(_, kinds)| *kinds)
    }
}

/// `POST /session/{id}/events`.
pub(crate) fn create(signaling: &Signaling, request: &Request, id: &str) -> Result<Response, Problem> {
    let (session, _) = session::to_change(signaling, request, id)?;
    let kinds = Kinds::parse(&request.body)?;
    let stream = PublicId::random().map_err(session::no_randomness)?;
    let mut streams = signaling.event_streams.borrow_mut();
    let of_session = streams.by_session.entry(session).or_default();
    if of_session.len() >= MAX_STREAMS {
        return Err(Problem::TooManyEventStreams);
    }
    of_session.push((stream, kinds));
    Ok(Response::new(201).with("Location", format!("/session/{id}/events/{stream}")).with("Cache-Control", "no-store"))
}

/// `GET /session/{id}/events/{stream}`.
pub(crate) fn follow(signaling: &Signaling, id: &str, stream: &str) -> Result<Response, Problem> {
    let (id, session) = session::known(signaling, id).map_err(|_| Problem::UnknownEventStream)?;
    let stream = PublicId::parse(stream).ok_or(Problem::UnknownEventStream)?;
    let (registry, streams) = (Rc::clone(&signaling.registry), Rc::clone(&signaling.event_streams));
    let kinds = streams.borrow().kinds(id, &stream).ok_or(Problem::UnknownEventStream)?;
    let feed = Feed { registry, streams, id, session, stream, kinds, told: Told::default(), is_over: false };
    let pieces = stream::unfold(feed, |mut feed| async move {
        let piece = feed.next().await?;
        Some((piece, feed))
    });
    let response = Response::new(200).with_pieces("text/event-stream", Pieces::new(pieces));
    // Proxies that gather answers before they pass them on would make events late; nginx can be told.
    Ok(response.with("Cache-Control", "no-store").with("X-Accel-Buffering", "no"))
}

/// `DELETE /session/{id}/events/{stream}`.
pub(crate) fn delete(signaling: &Signaling, id: &str, stream: &str) -> Result<Response, Problem> {
    let (id, session) = session::known(signaling, id).map_err(|_| Problem::UnknownEventStream)?;
    let stream = PublicId::parse(stream).ok_or(Problem::UnknownEventStream)?;
    let mut streams = signaling.event_streams.borrow_mut();
    let of_session = streams.by_session.get_mut(&id).ok_or(Problem::UnknownEventStream)?;
    let at = of_session.iter().position(|(known, _)| *known == stream).ok_or(Problem::UnknownEventStream)?;
    of_session.remove(at);
    drop(streams);
    // Whoever reads it finds it gone.
    signaling.registry.borrow().wake(&session.name);
    Ok(Response::new(200))
}

/// What a stream has said last.
#[derive(Default, PartialEq, Debug)]
struct Told {
    is_active: bool,
    layers: Option<Value>,
    viewers: Option<usize>,
    is_left_out: bool,
}

/// An event stream while it is read.
struct Feed {
    registry: Rc<RefCell<Registry>>,
    streams: Rc<RefCell<EventStreams>>,
    id: SessionId,
    session: Session,
    stream: PublicId,
    kinds: Kinds,
    told: Told,
    is_over: bool,
}

impl Feed {
    /// The next events, or a comment when there are none for long; `None` at the end.
    async fn next(&mut self) -> Option<Vec<u8>> {
        let quiet_until = Instant::now() + HEARTBEAT;
        while !self.is_over {
            // Before the look at how things are, so that no change falls in between.
            let changed = self.registry.borrow_mut().listen(&self.session.name);
            let is_stopping = self.streams.borrow().is_stopping.get();
            if is_stopping || self.streams.borrow().kinds(self.id, &self.stream).is_none() {
                self.is_over = true;
                return (is_stopping && self.kinds.has("reconnect"))
                    .then(|| event("reconnect", &json!({})).into_bytes());
            }
            let view = self.registry.borrow().view(&self.session.name);
            let text = self.news(view);
            if !text.is_empty() {
                return Some(text.into_bytes());
            }
            if Instant::now() >= quiet_until {
                return Some(b": nothing new\n\n".to_vec());
            }
            let tick = async {
                Timer::new(COUNT_INTERVAL).await;
            };
            future::or(changed, tick).await;
        }
        None
    }

    /// What is different from what was said last, as events.
    fn news(&mut self, view: StreamView) -> String {
        let is_left_out = self.registry.borrow().is_left_out(&self.session);
        let layers = self.video_line().map(|line| layers(line, &view)).filter(|layers| *layers != json!({}));
        let now = Told { is_active: view.is_active, layers, viewers: Some(view.viewers), is_left_out };
        let mut text = String::new();
        let mut tell = |name, data: &Value| {
            if self.kinds.has(name) {
                text.push_str(&event(name, data));
            }
        };
        if now.is_active != self.told.is_active {
            tell(if now.is_active { "active" } else { "inactive" }, &json!({}));
        }
        if let Some(layers) = now.layers.as_ref().filter(|layers| self.told.layers.as_ref() != Some(*layers)) {
            tell("layers", layers);
        }
        if now.viewers != self.told.viewers {
            tell("viewercount", &json!({ "viewercount": view.viewers }));
        }
        // What is published now is of a codec that this session does not have; a new offer may.
        if now.is_left_out && !self.told.is_left_out {
            tell("reconnect", &json!({}));
        }
        self.told = now;
        text
    }

    /// The viewer's m-section for video, which is the only kind that has layers.
    fn video_line(&self) -> Option<usize> {
        self.session.sections.iter().find(|section| section.kind == MediaKind::Video).map(|section| section.index)
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.registry.borrow_mut().forget_unused(&self.session.name);
    }
}

fn event(name: &str, data: &Value) -> String {
    format!("event: {name}\ndata: {data}\n\n")
}

/// The layers of the video, by the index of the viewer's m-section. Simulcast is the publisher's one track that has layers.
fn layers(line: usize, view: &StreamView) -> Value {
    let Some(layers) = view.layers.values().next() else { return json!({}) };
    let entries: Vec<Value> = layers.iter().enumerate().map(|(index, state)| layer(index, state)).collect();
    json!({ line.to_string(): entries })
}

fn layer(index: usize, state: &LayerState) -> Value {
    match state.layer {
        LayerSpec::Rid(rid) => json!({ "rid": rid.as_str(), "bitrate": state.bitrate_bps }),
        // Layers that only an SSRC tells apart are numbered in the order of the offer's group.
        LayerSpec::Ssrc(_) => json!({ "spatialLayerId": index, "bitrate": state.bitrate_bps }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name::StreamName;
    use crate::registry::{IceSession, SessionSection};
    use oneport_engine::control::Role;
    use oneport_rtp::ids::Rid;

    fn feed(kinds: Kinds) -> Feed {
        let section = SessionSection { index: 1, mid: None, kind: MediaKind::Video };
        let session = Session {
            public_id: PublicId::from_bytes([1; 16]),
            name: StreamName::new("live", "cam").unwrap(),
            opener: None,
            role: Role::Play,
            ice: IceSession::default(),
            formats: vec![],
            sections: vec![section],
            ice2: false,
        };
        Feed {
            registry: Rc::default(),
            streams: Rc::default(),
            id: SessionId(1),
            session,
            stream: PublicId::from_bytes([2; 16]),
            kinds,
            told: Told::default(),
            is_over: false,
        }
    }

    #[test]
    fn only_what_changed_is_told_and_inactive_never_first() {
        let mut feed = feed(Kinds::ALL);
        let mut view = StreamView { viewers: 1, ..StreamView::default() };
        assert_eq!(feed.news(view.clone()), "event: viewercount\ndata: {\"viewercount\":1}\n\n");
        assert_eq!(feed.news(view.clone()), "");
        view.is_active = true;
        assert_eq!(feed.news(view.clone()), "event: active\ndata: {}\n\n");
        view.is_active = false;
        assert_eq!(feed.news(view), "event: inactive\ndata: {}\n\n");
    }

    #[test]
    fn layers_are_told_by_the_viewers_own_section() {
        let mut feed = feed(Kinds::parse(b"[\"layers\"]").unwrap());
        let layer = LayerSpec::Rid(Rid::new(b"h").unwrap());
        let state = LayerState { layer, bitrate_bps: 1_500_000, is_forwarded: true };
        let view = StreamView { layers: [(0, vec![state])].into(), ..StreamView::default() };
        assert_eq!(feed.news(view), "event: layers\ndata: {\"1\":[{\"bitrate\":1500000,\"rid\":\"h\"}]}\n\n");
    }

    #[test]
    fn events_are_asked_for_by_name() {
        assert_eq!(Kinds::parse(b" "), Ok(Kinds::ALL));
        let two = Kinds::parse(br#"["inactive", "viewercount"]"#).unwrap();
        assert_eq!(NAMES.map(|name| two.has(name)), [false, true, false, false, true]);
        for bad in [&b"[\"scte35\"]"[..], b"{}", b"[1]", b"\xff", b"[\"active\", \"Active\"]"] {
            assert!(matches!(Kinds::parse(bad), Err(Problem::BadParameter(_))));
        }
    }
}
