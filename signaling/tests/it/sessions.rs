//! Requests that take their time: event streams, and viewers that wait for their publisher.

use crate::wire::{Client, Running};
use oneport_engine::control::{
    Command, Digest, EndReason, Event, Fingerprint, LocalTransport, Reply, SessionId, Totals,
};
use oneport_signaling::http::Response;
use oneport_signaling::policy::{NoPublisher, WhepConfig};
use oneport_signaling::server::Server;
use oneport_signaling::{EnginePort, Signaling, SignalingConfig};
use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

const PUBLISH: &str = include_str!("../../../sdp/tests/corpus/chromium-publish.offer.sdp");
const PLAY: &str = include_str!("../../../sdp/tests/corpus/chromium-play.offer.sdp");

/// Opens whatever it is asked for.
#[derive(Default)]
struct OpenEngine(Cell<u64>);

impl EnginePort for OpenEngine {
    fn submit(&self, command: Command) -> Reply {
        match command {
            Command::Open(_) => {
                self.0.set(self.0.get() + 1);
                Reply::Opened(LocalTransport {
                    session: SessionId(self.0.get()),
                    ufrag: format!("ufrag{}", self.0.get()),
                    pwd: "password8901234567890123".to_owned(),
                    fingerprints: vec![Fingerprint { digest: Digest::Sha256, bytes: vec![1; 32] }],
                    port: 8000,
                    addresses: vec!["192.0.2.1".parse().expect("an address")],
                })
            }
            _ => Reply::Done,
        }
    }
}

/// A server whose engine says what is asked of it: `POST /engine/flows/1`, `/engine/silent/1`, `/engine/ended/1`; `/engine/stop` stops.
fn start(config: SignalingConfig) -> Running {
    Running::start_server(move |listener| {
        let signaling = Signaling::new(config.clone(), Rc::new(OpenEngine::default()));
        let answer = move |request: oneport_signaling::http::Request| {
            let signaling = Rc::clone(&signaling);
            async move {
                let Some(word) = request.path.strip_prefix("/engine/") else { return signaling.answer(request).await };
                let (what, session) = word.split_once('/').unwrap_or((word, "0"));
                let session = SessionId(session.parse().expect("a number"));
                match what {
                    "stop" => signaling.begin_stop(),
                    "ended" => signaling.handle_event(Event::Ended {
                        session,
                        reason: EndReason::ClosedByPeer,
                        totals: Totals::default(),
                    }),
                    _ => signaling.handle_event(Event::Flow { session, flows: what == "flows" }),
                }
                Response::new(204)
            }
        };
        Server::new(listener, config.http.clone(), answer)
    })
}

fn post(client: &mut Client, path: &str, media_type: &str, body: &str) {
    let length = body.len();
    client.send(format!(
        "POST {path} HTTP/1.1\r\nHost: a\r\nContent-Type: {media_type}\r\nContent-Length: {length}\r\n\r\n{body}"
    ));
}

fn offer(client: &mut Client, path: &str, sdp: &str) -> String {
    post(client, path, "application/sdp", sdp);
    let answer = client.answer();
    assert_eq!(answer.status, 201, "{}", String::from_utf8_lossy(&answer.body));
    answer.header("Location").expect("a Location").to_owned()
}

fn engine(client: &mut Client, word: &str) {
    client.send(format!("GET /engine/{word} HTTP/1.1\r\nHost: a\r\n\r\n"));
    assert_eq!(client.answer().status, 204);
}

/// Follows the events of a viewer's session over a connection of its own.
fn follow(server: &Running, client: &mut Client, session: &str, names: &str) -> Client {
    post(client, &format!("{session}/events"), "application/json", names);
    let made = client.answer();
    assert_eq!(made.status, 201);
    let mut events = server.connect();
    events.send(format!("GET {} HTTP/1.1\r\nHost: a\r\n\r\n", made.header("Location").expect("a Location")));
    let head = events.head();
    assert_eq!((head.status, head.header("Content-Type")), (200, Some("text/event-stream")));
    assert_eq!((head.header("Content-Length"), head.header("Connection")), (None, Some("close")));
    events
}

#[test]
fn a_viewer_hears_of_its_publisher_as_it_comes_pauses_and_goes() {
    let server = start(SignalingConfig::default());
    let mut client = server.connect();
    let session = offer(&mut client, "/whep/cam", PLAY);
    let mut events = follow(&server, &mut client, &session, r#"["active", "inactive"]"#);
    offer(&mut client, "/whip/cam", PUBLISH);
    engine(&mut client, "flows/2");
    assert_eq!(events.until("\n\n"), "event: active\ndata: {}\n\n");
    engine(&mut client, "silent/2");
    assert_eq!(events.until("\n\n"), "event: inactive\ndata: {}\n\n");
    engine(&mut client, "flows/2");
    assert_eq!(events.until("\n\n"), "event: active\ndata: {}\n\n");
    engine(&mut client, "ended/2");
    assert_eq!(events.until("\n\n"), "event: inactive\ndata: {}\n\n");
    engine(&mut client, "ended/1");
    assert!(events.is_closed(), "the stream ends with its session");
}

#[test]
fn the_number_of_viewers_is_told_first_and_when_it_changes() {
    let server = start(SignalingConfig::default());
    let mut client = server.connect();
    let session = offer(&mut client, "/whep/cam", PLAY);
    let mut events = follow(&server, &mut client, &session, r#"["viewercount"]"#);
    assert_eq!(events.until("\n\n"), "event: viewercount\ndata: {\"viewercount\":1}\n\n");
    offer(&mut client, "/whep/cam", PLAY);
    assert_eq!(events.until("\n\n"), "event: viewercount\ndata: {\"viewercount\":2}\n\n");
}

#[test]
fn a_stream_that_is_deleted_ends_and_a_client_that_goes_disturbs_nobody() {
    let server = start(SignalingConfig::default());
    let mut client = server.connect();
    let session = offer(&mut client, "/whep/cam", PLAY);
    drop(follow(&server, &mut client, &session, ""));
    let mut events = follow(&server, &mut client, &session, r#"["active"]"#);
    client.send(format!("DELETE {session} HTTP/1.1\r\nHost: a\r\n\r\n"));
    assert_eq!(client.answer().status, 200);
    assert!(events.is_closed());
}

#[test]
fn whoever_listens_is_told_to_come_again_when_the_server_stops() {
    let server = start(SignalingConfig::default());
    let mut client = server.connect();
    let session = offer(&mut client, "/whep/cam", PLAY);
    let mut events = follow(&server, &mut client, &session, r#"["reconnect"]"#);
    engine(&mut client, "stop");
    assert_eq!(events.until("\n\n"), "event: reconnect\ndata: {}\n\n");
    assert!(events.is_closed());
}

fn waiting(time: Duration) -> SignalingConfig {
    let whep = WhepConfig { no_publisher: NoPublisher::Wait, wait: time, ..WhepConfig::default() };
    SignalingConfig { whep, ..SignalingConfig::default() }
}

#[test]
fn a_viewer_that_waits_is_answered_when_its_publisher_comes() {
    let server = start(waiting(Duration::from_secs(20)));
    let mut viewers = [server.connect(), server.connect()];
    for viewer in &mut viewers {
        post(viewer, "/whep/cam", "application/sdp", PLAY);
    }
    let mut publisher = server.connect();
    offer(&mut publisher, "/whip/cam", PUBLISH);
    for viewer in &mut viewers {
        assert_eq!(viewer.answer().status, 201);
    }
}

#[test]
fn a_viewer_whose_publisher_does_not_come_is_told_when_to_come_again() {
    let server = start(waiting(Duration::from_millis(100)));
    let mut viewer = server.connect();
    post(&mut viewer, "/whep/cam", "application/sdp", PLAY);
    let answer = viewer.answer();
    assert_eq!((answer.status, answer.header("Retry-After")), (409, Some("2")));
}
