//! The server over real TCP, with a handler that tells what it was asked.

use crate::wire::{Running, short_deadlines};
use oneport_engine::control::{Command, Refusal, Reply, ShardHealth};
use oneport_signaling::http::{Deadlines, HttpConfig, Method, Request, Response};
use oneport_signaling::{EnginePort, Signaling, SignalingConfig};
use std::rc::Rc;
use std::time::Duration;

/// Answers with method, path and body, or with as many octets as the query says.
async fn echo(request: Request) -> Response {
    if let Some(length) = request.query.as_deref().and_then(|query| query.parse().ok()) {
        return Response::new(200).with_body("application/octet-stream", vec![b'x'; length]);
    }
    if request.path == "/slow" {
        glommio::timer::sleep(Duration::from_millis(200)).await;
    }
    let line = format!("{:?} {} {}", request.method, request.path, String::from_utf8_lossy(&request.body));
    Response::new(if request.method == Method::Unknown { 501 } else { 200 }).with_body("text/plain", line.into_bytes())
}

fn start() -> Running {
    Running::start(HttpConfig::default(), echo)
}

fn start_short() -> Running {
    Running::start(HttpConfig { deadlines: short_deadlines(), ..HttpConfig::default() }, echo)
}

#[test]
fn a_connection_is_kept_and_pipelined_requests_are_answered_in_order() {
    let server = start();
    let mut client = server.connect();
    client
        .send("GET /1 HTTP/1.1\r\nHost: a\r\n\r\nPOST /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhiGET /3 HT");
    let first = client.answer();
    assert_eq!(first.body, b"Get /1 ");
    assert_eq!((first.header("Server"), first.header("Connection")), (Some("oneport"), None));
    assert!(first.header("Date").is_some_and(|date| date.ends_with(" GMT") && date.len() == 29));
    assert_eq!(client.answer().body, b"Post /2 hi");
    client.send("TP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    let last = client.answer();
    assert_eq!((last.body.as_slice(), last.header("Connection")), (&b"Get /3 "[..], Some("close")));
    assert!(client.is_closed());
}

#[test]
fn chunked_bodies_and_continue_work_over_the_wire() {
    let server = start();
    let mut client = server.connect();
    let head = "POST /c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n";
    client.send(head);
    assert_eq!(client.head().status, 100);
    client.send("2\r\nab\r\n");
    client.send("1\r\nc\r\n0\r\n\r\n");
    assert_eq!(client.answer().body, b"Post /c abc");
}

#[test]
fn head_has_the_length_of_get_and_no_body() {
    let server = start();
    let mut client = server.connect();
    client.send("HEAD /?100000 HTTP/1.1\r\nHost: a\r\n\r\nGET /next HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(client.head().header("Content-Length"), Some("100000"));
    assert_eq!(client.answer().body, b"Get /next ");
}

#[test]
fn a_large_answer_arrives_whole() {
    let server = start();
    let mut client = server.connect();
    client.send("GET /?20000000 HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(client.answer().body.len(), 20_000_000);
}

#[test]
fn http_1_0_is_answered_and_closed() {
    let server = start();
    let mut client = server.connect();
    client.send("GET / HTTP/1.0\r\n\r\n");
    assert_eq!(client.answer().header("Connection"), Some("close"));
    assert!(client.is_closed());
}

#[test]
fn a_refusal_reaches_a_client_that_is_still_sending() {
    let server = start();
    let mut client = server.connect();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3000000\r\n\r\n");
    client.try_send(vec![b'x'; 3_000_000]);
    let answer = client.answer();
    assert_eq!((answer.status, answer.header("Connection")), (413, Some("close")));
    assert_eq!(answer.header("Content-Type"), Some("application/problem+json"));
}

#[test]
fn malformed_requests_end_the_connection() {
    let server = start();
    for (bytes, status) in [
        ("GET / HTTP/1.1\r\n\r\n", 400),
        ("GET / HTTP/3.0\r\nHost: a\r\n\r\n", 505),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nHost: a\r\nExpect: tea\r\nContent-Length: 1\r\n\r\n", 417),
    ] {
        let mut client = server.connect();
        client.send(bytes);
        assert_eq!(client.answer().status, status, "{bytes:?}");
        assert!(client.is_closed());
    }
}

#[test]
fn a_request_that_trickles_is_ended_with_408() {
    let server = start_short();
    for part in ["GET / HT", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nab"] {
        let mut client = server.connect();
        client.send(part);
        let answer = client.answer();
        assert_eq!((answer.status, answer.header("Connection")), (408, Some("close")), "{part:?}");
        assert!(client.is_closed());
    }
}

#[test]
fn trickling_does_not_push_the_deadline_away() {
    let server = start_short();
    let mut client = server.connect();
    let filler = std::iter::repeat_n(b'a', 200);
    for octet in b"GET /".iter().copied().chain(filler) {
        client.try_send([octet]);
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(client.answer().status, 408);
}

#[test]
fn an_idle_connection_is_closed_without_a_word() {
    let server = start_short();
    let (mut fresh, mut used) = (server.connect(), server.connect());
    used.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(used.answer().status, 200);
    assert!(fresh.is_closed() && used.is_closed());
}

#[test]
fn a_client_that_takes_nothing_is_ended() {
    let deadlines = Deadlines { write: Duration::from_millis(150), ..Deadlines::default() };
    let server = Running::start(HttpConfig { deadlines, ..HttpConfig::default() }, echo);
    let mut client = server.connect();
    client.send("GET /?200000000 HTTP/1.1\r\nHost: a\r\n\r\n");
    std::thread::sleep(Duration::from_millis(400));
    assert!(client.count_rest() < 200_000_000);
}

#[test]
fn a_client_that_ends_its_half_still_gets_its_answers() {
    let server = start();
    let mut client = server.connect();
    client.send("GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /slow HTTP/1.1\r\nHost: a\r\n\r\nGET /cut HT");
    client.end_sending();
    assert_eq!(client.answer().body, b"Get /1 ");
    assert_eq!(client.answer().body, b"Get /slow ");
    assert!(client.is_closed());
}

/// An engine with one shard that turns.
struct OneShard;

impl EnginePort for OneShard {
    fn submit(&self, command: Command) -> Reply {
        match command {
            Command::Health => {
                Reply::Health(vec![ShardHealth { since_last_turn: Duration::ZERO, sessions: 0, crossed: 0 }])
            }
            _ => Reply::Refused(Refusal::Stopping),
        }
    }
}

#[test]
fn signaling_answers_over_the_wire() {
    let server = Running::start_server(|listener| {
        Signaling::new(SignalingConfig::default(), Rc::new(OneShard)).server(listener)
    });
    let mut client = server.connect();
    client.send("GET /readyz HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(client.answer().status, 200);
    let offer = include_str!("../../../sdp/tests/corpus/pion-publish.offer.sdp");
    let length = offer.len();
    let head = "POST /whip/cam HTTP/1.1\r\nHost: a\r\nContent-Type: application/sdp\r\nExpect: 100-continue\r\n";
    client.send(format!("{head}Content-Length: {length}\r\n\r\n"));
    assert_eq!(client.head().status, 100);
    client.send(offer);
    let answer = client.answer();
    assert_eq!((answer.status, answer.header("Retry-After")), (503, Some("5")));
    client.send("DELETE /session/0 HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(client.answer().status, 404);
}

#[test]
fn a_connection_too_many_is_told_so() {
    let server = Running::start(HttpConfig { max_connections: 2, ..HttpConfig::default() }, echo);
    let mut kept: Vec<_> = (0..2).map(|_| server.connect()).collect();
    for client in &mut kept {
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(client.answer().status, 200);
    }
    let mut refused = server.connect();
    let answer = refused.answer();
    assert_eq!((answer.status, answer.header("Retry-After")), (503, Some("5")));
    assert!(refused.is_closed());
    kept[1].send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(kept[1].answer().status, 200);
    kept[0].send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    assert_eq!(kept[0].answer().status, 200);
    kept[0].is_closed();
}

#[test]
fn stopping_ends_idle_connections_and_lets_the_others_finish() {
    let mut server = start();
    let (mut idle, mut busy) = (server.connect(), server.connect());
    idle.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(idle.answer().status, 200);
    busy.send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n");
    std::thread::sleep(Duration::from_millis(50));
    server.begin_stop();
    assert!(idle.is_closed());
    let answer = busy.answer();
    assert_eq!((answer.status, answer.header("Connection")), (200, Some("close")));
    assert!(busy.is_closed());
    drop(server);
}

#[test]
fn thousands_of_idle_connections_disturb_nobody() {
    const IDLE: usize = 2_500;
    let descriptors = rlimit::increase_nofile_limit(8_192).expect("the limit can be read");
    assert!(descriptors > 2 * IDLE as u64 + 500, "this test needs 5,500 file descriptors: raise ulimit -n");
    let server = start();
    let mut idle: Vec<_> = (0..IDLE).map(|_| server.connect()).collect();
    let mut client = server.connect();
    for _ in 0..100 {
        client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi");
        assert_eq!(client.answer().body, b"Post / hi");
    }
    for client in [0, IDLE / 2, IDLE - 1] {
        idle[client].send("GET /awake HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(idle[client].answer().body, b"Get /awake ");
    }
}
