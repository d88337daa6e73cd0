//! `RequestReader` against whole, split, cut, damaged and hostile streams.

use oneport_signaling::http::{HttpError, Limits, Method, Phase, Request, RequestReader, Step};

/// What a stream gave: requests, how often `100 Continue` was asked for, and how it ended.
#[derive(Default, Debug)]
struct Outcome {
    requests: Vec<Request>,
    continues: usize,
    error: Option<HttpError>,
}

impl Outcome {
    /// Method, path and body of each request.
    fn summary(&self) -> Vec<(Method, String, Vec<u8>)> {
        self.requests.iter().map(|request| (request.method, request.path.clone(), request.body.clone())).collect()
    }
}

fn read(parts: &[&[u8]]) -> (Outcome, RequestReader) {
    let mut reader = RequestReader::new(Limits::default());
    let mut outcome = Outcome::default();
    for part in parts {
        reader.feed(part);
        loop {
            match reader.poll() {
                Ok(Step::Request(request)) => outcome.requests.push(request),
                Ok(Step::Continue) => outcome.continues += 1,
                Ok(Step::NeedMore) => break,
                Err(error) => {
                    outcome.error = Some(error);
                    return (outcome, reader);
                }
            }
        }
    }
    (outcome, reader)
}

fn error_of(bytes: &[u8]) -> Option<u16> {
    let (outcome, _) = read(&[bytes]);
    assert!(outcome.requests.is_empty() || outcome.error.is_none() || bytes.len() > 40, "{outcome:?}");
    outcome.error.map(HttpError::status)
}

const PIPELINE: &[u8] = b"GET /a?x=%20 HTTP/1.1\r\nHost: a\r\n\r\n\
    POST /whip/cam HTTP/1.1\r\nHost: a\r\nContent-Type: application/sdp\r\nContent-Length: 5\r\n\r\nv=0\r\n\
    \r\nPOST /chunked HTTP/1.1\r\nhost:a\r\ntransfer-encoding:\tChunked \r\n\r\n\
    3\r\nabc\r\n0A;name=value\r\n0123456789\r\n0\r\nTrailer: gone\r\n\r\n\
    DELETE http://a:80/session/1 HTTP/1.1\r\nHost: b\r\nConnection: close\r\n\r\n";

fn pipeline() -> Vec<(Method, String, Vec<u8>)> {
    vec![
        (Method::Get, "/a".into(), vec![]),
        (Method::Post, "/whip/cam".into(), b"v=0\r\n".to_vec()),
        (Method::Post, "/chunked".into(), b"abc0123456789".to_vec()),
        (Method::Delete, "/session/1".into(), vec![]),
    ]
}

#[test]
fn a_pipelined_stream_reads_the_same_wherever_it_is_split() {
    for first in 0..=PIPELINE.len() {
        let (outcome, reader) = read(&[&PIPELINE[..first], &PIPELINE[first..]]);
        assert_eq!(outcome.error, None, "split at {first}");
        assert_eq!(outcome.summary(), pipeline(), "split at {first}");
        assert_eq!(reader.phase(), Phase::Idle);
    }
    let octets: Vec<&[u8]> = PIPELINE.chunks(1).collect();
    assert_eq!(read(&octets).0.summary(), pipeline());
}

#[test]
fn a_cut_stream_gives_whole_requests_only_and_waits_for_the_rest() {
    for length in 0..PIPELINE.len() {
        let (outcome, _) = read(&[&PIPELINE[..length]]);
        assert_eq!(outcome.error, None, "cut at {length}");
        assert!(pipeline().starts_with(&outcome.summary()), "cut at {length}");
        assert!(outcome.requests.len() < 4, "cut at {length}");
    }
}

#[test]
fn queries_hosts_and_persistence_are_kept() {
    let (outcome, _) = read(&[PIPELINE]);
    assert_eq!(outcome.requests[0].query.as_deref(), Some("x=%20"));
    assert_eq!(outcome.requests[1].headers.first("content-type"), Some("application/sdp"));
    let keep_alive: Vec<bool> = outcome.requests.iter().map(|request| request.keep_alive).collect();
    assert_eq!(keep_alive, [true, true, true, false]);
    let (old, _) = read(&[b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"]);
    assert!(!old.requests[0].keep_alive, "HTTP/1.0 is served with close");
}

#[test]
fn targets_have_four_forms_of_which_three_are_served() {
    for (target, path, query) in [
        ("/a/b", "/a/b", None),
        ("/?q", "/", Some("q")),
        ("http://h", "/", None),
        ("HTTPS://h:1?q", "/", Some("q")),
        ("http://[::1]:80/x?y?z", "/x", Some("y?z")),
        ("//double", "//double", None),
    ] {
        let (outcome, _) = read(&[format!("GET {target} HTTP/1.1\r\nHost: h\r\n\r\n").as_bytes()]);
        let request = outcome.requests.first().unwrap_or_else(|| panic!("{target}: {:?}", outcome.error));
        assert_eq!((request.path.as_str(), request.query.as_deref()), (path, query), "{target}");
    }
    let (star, _) = read(&[b"OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n"]);
    assert_eq!(star.requests[0].path, "*");
    assert_eq!(error_of(b"CONNECT h:80 HTTP/1.1\r\nHost: h\r\n\r\n"), Some(501));
    for bad in ["*", "a", "ftp://h/", "http://", "http:///x", "http://u@h/", "/a#b", "/\u{e4}", "http://h\\/"] {
        assert_eq!(error_of(format!("GET {bad} HTTP/1.1\r\nHost: h\r\n\r\n").as_bytes()), Some(400), "{bad}");
    }
}

#[test]
fn a_continue_is_asked_for_once_and_only_when_the_body_is_awaited() {
    let head = b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-Continue\r\nContent-Length: 2\r\n\r\n";
    let (outcome, _) = read(&[head, b"a", b"b"]);
    assert_eq!((outcome.continues, outcome.requests.len()), (1, 1));
    let whole = [head.as_slice(), b"ab"].concat();
    assert_eq!(read(&[&whole]).0.continues, 0, "the body is there already");
    let old = b"POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n";
    assert_eq!(read(&[old, b"ab"]).0.continues, 0, "HTTP/1.0 has no 100");
    assert_eq!(error_of(b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 200-ok\r\n\r\n"), Some(417));
}

/// Each could be read differently by a proxy in front, or is no HTTP/1.1 at all.
#[test]
fn smuggling_is_refused() {
    let cases: &[(&str, u16)] = &[
        ("Transfer-Encoding: chunked\r\nContent-Length: 3", 400),
        ("Content-Length: 3\r\nTransfer-Encoding: chunked", 400),
        ("Content-Length: 3\r\nContent-Length: 4", 400),
        ("Content-Length: 3\r\nContent-Length: 3", 400),
        ("Content-Length: 3, 3", 400),
        ("Content-Length: 3, 4", 400),
        ("Content-Length: +3", 400),
        ("Content-Length: -3", 400),
        ("Content-Length: 0x3", 400),
        ("Content-Length: 3 3", 400),
        ("Content-Length: ", 400),
        ("Content-Length: \u{a0}3", 400),
        ("Content-Length: 99999999999999999999999", 413),
        ("Transfer-Encoding: gzip, chunked", 501),
        ("Transfer-Encoding: chunked, chunked", 501),
        ("Transfer-Encoding: gzip", 400),
        ("Transfer-Encoding: identity", 400),
        ("Transfer-Encoding: chunked, identity", 400),
        ("Transfer-Encoding: xchunked", 400),
        ("Transfer-Encoding: \"chunked\"", 400),
        ("Transfer-Encoding: chunked;q=1", 400),
        ("Transfer-Encoding: \u{b}chunked", 400),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity", 400),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", 400),
        ("Transfer-Encoding:", 400),
        ("Transfer-Encoding : chunked", 400),
        ("Content-Length : 3", 400),
        (" Content-Length: 3", 400),
        ("X: a\r\n folded: b", 400),
        ("X: a\r\n\tfolded", 400),
        ("X: a\nContent-Length: 3", 400),
        ("X: a\rContent-Length: 3", 400),
        ("X: a\r\r\nContent-Length: 3", 400),
        ("X: a\0b", 400),
        ("X\0: a", 400),
        ("Content-Length\t: 3", 400),
        ("no colon", 400),
        (": no name", 400),
        ("Content Length: 3", 400),
        ("Host: b", 400),
    ];
    for (fields, status) in cases {
        let request = format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\nabc");
        assert_eq!(error_of(request.as_bytes()), Some(*status), "{fields:?}");
    }
}

#[test]
fn request_lines_and_hosts_are_strict() {
    let cases: &[(&str, u16)] = &[
        ("GET / HTTP/1.1\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400),
        ("GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
        ("GET / HTTP/1.2\r\nHost: a\r\n\r\n", 505),
        ("GET / HTTP/0.9\r\nHost: a\r\n\r\n", 505),
        ("GET / HTTP/1.10\r\nHost: a\r\n\r\n", 400),
        ("GET / http/1.1\r\nHost: a\r\n\r\n", 400),
        ("GET / HTTP/1,1\r\nHost: a\r\n\r\n", 400),
        ("GET /\r\nHost: a\r\n\r\n", 400),
        ("GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("GET / a HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (" GET / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("GET / HTTP/1.1\nHost: a\n\n", 400),
        ("G(T / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        ("\u{16}\u{3}\u{1}", 400),
    ];
    for (bytes, status) in cases {
        assert_eq!(error_of(bytes.as_bytes()), Some(*status), "{bytes:?}");
    }
    assert_eq!(error_of(b"BREW / HTTP/1.1\r\nHost: \r\n\r\n"), None, "an unknown method is the handler's to refuse");
}

#[test]
fn chunked_bodies_are_strict() {
    let cases: &[(&str, u16)] = &[
        ("\r\n", 400),
        ("x\r\n", 400),
        ("0x3\r\nabc\r\n0\r\n\r\n", 400),
        ("+3\r\nabc\r\n0\r\n\r\n", 400),
        (" 3\r\nabc\r\n0\r\n\r\n", 400),
        ("-1\r\n", 400),
        ("3\nabc\r\n0\r\n\r\n", 400),
        ("3\rabc\r\n0\r\n\r\n", 400),
        ("3 x\r\nabc\r\n0\r\n\r\n", 400),
        ("3\r\nabcd\r\n0\r\n\r\n", 400),
        ("3\r\nabc\n0\r\n\r\n", 400),
        ("3;a\nb\r\nabc\r\n0\r\n\r\n", 400),
        ("3;a\0\r\nabc\r\n0\r\n\r\n", 400),
        ("00000000000000003\r\nabc\r\n0\r\n\r\n", 400),
        ("ffffffffffffffff\r\n", 413),
        ("10001\r\n", 413),
        ("0\r\nX: a\nY: b\r\n\r\n", 400),
    ];
    for (body, status) in cases {
        let request = format!("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{body}");
        assert_eq!(read(&[request.as_bytes()]).0.error.map(HttpError::status), Some(*status), "{body:?}");
    }
}

#[test]
fn every_bound_has_its_status() {
    let line = format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "a".repeat(9000));
    assert_eq!(error_of(line.as_bytes()), Some(414));
    let fields = format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "a".repeat(17_000));
    assert_eq!(error_of(fields.as_bytes()), Some(431));
    let many = format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: a\r\n".repeat(64));
    assert_eq!(error_of(many.as_bytes()), Some(431));
    let just = format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: a\r\n".repeat(63));
    assert_eq!(error_of(just.as_bytes()), None);
    assert_eq!(error_of(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 65537\r\n\r\n"), Some(413));
    let chunks = format!("{}0\r\n\r\n", "8000\r\n".to_owned() + &"a".repeat(0x8000) + "\r\n");
    let chunked = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n".to_owned();
    assert_eq!(read(&[(chunked.clone() + &chunks).as_bytes()]).0.requests[0].body.len(), 0x8000);
    let extension = format!("{chunked}3;{}", "a".repeat(300));
    assert_eq!(error_of(extension.as_bytes()), Some(400));
    let trailer = format!("{chunked}0\r\n{}", "X: a\r\n".repeat(1000));
    assert_eq!(error_of(trailer.as_bytes()), Some(431));
}

#[test]
fn an_endless_head_is_refused_before_it_fills_memory() {
    let mut reader = RequestReader::new(Limits::default());
    reader.feed(b"GET / HTTP/1.1\r\n");
    let fed = (0..).take_while(|_| {
        reader.feed(b"X-Filler: abcdefgh\r\n");
        matches!(reader.poll(), Ok(Step::NeedMore))
    });
    assert!(fed.count() < 16 * 1024 / 20);
}

/// A small generator with a seed of its own, so that a failure can be repeated.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound as u64) as usize
    }
}

#[test]
fn damaged_streams_give_the_same_outcome_whole_and_split() {
    let palette = b"\r\n\0\t :;,0123456789abcdefgHTP/1.%\x7f\x80\xff";
    for seed in 1..=4000_u64 {
        let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let mut bytes = PIPELINE.to_vec();
        for _ in 0..=random.below(4) {
            let at = random.below(bytes.len());
            match random.below(3) {
                0 => bytes[at] = palette[random.below(palette.len())],
                1 => bytes.insert(at, palette[random.below(palette.len())]),
                _ => _ = bytes.remove(at),
            }
        }
        let cut = random.below(bytes.len());
        let (whole, _) = read(&[&bytes]);
        let (split, _) = read(&[&bytes[..cut], &bytes[cut..]]);
        assert_eq!(whole.summary(), split.summary(), "seed {seed}, cut {cut}");
        assert_eq!(whole.error, split.error, "seed {seed}, cut {cut}");
    }
}
