//! Bytes in, requests out: the framing half of a connection, without a socket or a clock.
//!
//! The owner feeds what it has read, and calls [`RequestReader::poll`] until it says [`Step::NeedMore`]. After an error the
//! connection is of no more use.

use super::body::BodyReader;
use super::config::Limits;
use super::error::HttpError;
use super::head::{Framing, Head};
use super::request::Request;

/// What [`RequestReader::poll`] found.
#[derive(Debug)]
pub enum Step {
    /// The bytes so far end within a request, or between two.
    NeedMore,
    /// The client waits for `100 Continue`.
    Continue,
    /// A whole request.
    Request(Request),
}

/// Where in the stream of requests the bytes so far end. Each has its own deadline.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Phase {
    /// Between two requests.
    Idle,
    /// Within the request line or the header fields.
    Head,
    /// Within the body.
    Body,
}

/// Takes requests out of a stream of bytes. When idle it holds no memory but itself.
#[derive(Debug)]
pub struct RequestReader {
    limits: Limits,
    buffer: Vec<u8>,
    /// Octets of `buffer` that are known not to end the head.
    scanned: usize,
    /// Whether the request line is whole.
    has_line: bool,
    /// An empty line before the request line has been skipped. One is (RFC 9112 §2.2).
    skipped_line: bool,
    pending: Option<Box<Pending>>,
}

/// A request whose body is not whole yet.
#[derive(Debug)]
struct Pending {
    head: Head,
    body: BodyReader,
}

impl RequestReader {
    /// A reader at the beginning of a stream.
    pub fn new(limits: Limits) -> Self {
        Self { limits, buffer: Vec::new(), scanned: 0, has_line: false, skipped_line: false, pending: None }
    }

    /// Adds bytes that were read.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// Where the bytes so far end.
    pub fn phase(&self) -> Phase {
        match (&self.pending, self.buffer.is_empty()) {
            (Some(_), _) => Phase::Body,
            (None, true) => Phase::Idle,
            (None, false) => Phase::Head,
        }
    }

    /// The next step. To be called again unless it is [`Step::NeedMore`] or an error.
    pub fn poll(&mut self) -> Result<Step, HttpError> {
        let Some(mut pending) = self.pending.take() else {
            return self.poll_head();
        };
        let taken = pending.body.consume(&self.buffer)?;
        self.discard(taken);
        if pending.body.is_whole() {
            return Ok(Step::Request(pending.into_request()));
        }
        self.pending = Some(pending);
        Ok(Step::NeedMore)
    }

    fn poll_head(&mut self) -> Result<Step, HttpError> {
        if !self.skip_empty_line() {
            return Ok(Step::NeedMore);
        }
        let Some(end) = self.find_head_end()? else {
            return Ok(Step::NeedMore);
        };
        let head = Head::parse(&self.buffer[..end], self.limits.body)?;
        self.discard(end);
        self.scanned = 0;
        self.has_line = false;
        self.skipped_line = false;
        // The body is not waited for by a client that has begun to send it (RFC 9110 §10.1.1).
        let wants_continue = head.expects_continue && head.framing != Framing::Length(0) && self.buffer.is_empty();
        let body = BodyReader::new(head.framing, self.limits.body);
        self.pending = Some(Box::new(Pending { head, body }));
        if wants_continue { Ok(Step::Continue) } else { self.poll() }
    }

    /// Whether what follows can only be a request line.
    fn skip_empty_line(&mut self) -> bool {
        match self.buffer.as_slice() {
            [] => false,
            [b'\r'] => self.skipped_line,
            [b'\r', b'\n', ..] if !self.skipped_line => {
                self.skipped_line = true;
                self.discard(2);
                !self.buffer.is_empty()
            }
            _ => true,
        }
    }

    /// Index behind the empty line that ends the head. Refuses what cannot become a head any more: the earlier, the less a
    /// stranger can make the server keep.
    fn find_head_end(&mut self) -> Result<Option<usize>, HttpError> {
        while let Some(byte) = self.buffer.get(self.scanned).copied() {
            let before = &self.buffer[..self.scanned];
            check_octet(before.last().copied(), byte)?;
            self.has_line |= byte == b'\n';
            let ends = byte == b'\n' && before.ends_with(b"\r\n\r");
            self.scanned += 1;
            if !self.has_line && self.scanned >= self.limits.request_line {
                return Err(HttpError::UriTooLong);
            }
            if self.scanned > self.limits.head {
                return Err(HttpError::HeadTooLarge);
            }
            if ends {
                return Ok(Some(self.scanned));
            }
        }
        Ok(None)
    }

    fn discard(&mut self, length: usize) {
        self.buffer.drain(..length);
        if self.buffer.is_empty() {
            self.buffer = Vec::new();
        }
    }
}

impl Pending {
    fn into_request(self) -> Request {
        let Head { method, path, query, headers, keep_alive, .. } = self.head;
        Request { method, path, query, headers, body: self.body.into_body(), keep_alive, peer: None }
    }
}

/// CR and LF only together, and no other control octet but a tab (RFC 9112 §2.2 and §5.5). A TLS ClientHello is refused at its
/// first octet.
fn check_octet(before: Option<u8>, byte: u8) -> Result<(), HttpError> {
    match (before, byte) {
        (None, first) if !is_token(first) => Err(HttpError::Malformed("it does not begin with a method")),
        (Some(b'\r'), b'\n') => Ok(()),
        (Some(b'\r'), _) => Err(HttpError::Malformed("it has a CR without LF")),
        (_, b'\n') => Err(HttpError::Malformed("it has a LF without CR")),
        (_, b'\r' | b'\t') => Ok(()),
        (_, other) if other.is_ascii_control() => Err(HttpError::Malformed("it has a control character")),
        _ => Ok(()),
    }
}

/// `tchar` of RFC 9110 §5.6.2.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}
