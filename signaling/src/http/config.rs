//! What one HTTP connection may cost: bytes, time, and how many there may be.

use std::time::Duration;

/// Everything that the HTTP server can be told.
#[derive(Clone, Debug)]
pub struct HttpConfig {
    /// Bounds on the bytes of a request.
    pub limits: Limits,
    /// Bounds on the time of its parts.
    pub deadlines: Deadlines,
    /// Connections at the same time; one more is answered with 503 and closed. An idle one costs about 2 KB of memory and one
    /// file descriptor. Default 12,288.
    pub max_connections: usize,
}

impl Default for HttpConfig {
    fn default() -> Self {
        Self { limits: Limits::default(), deadlines: Deadlines::default(), max_connections: 12 * 1024 }
    }
}

/// Bounds on the bytes of a request. Together they bound what a connection can hold: `head + body` and one read of 16 KiB.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The request line. Longer is 414. Default 8 KiB; RFC 9112 §3 asks for 8,000 octets at least.
    pub request_line: usize,
    /// The request line and all header fields. Longer is 431. Default 16 KiB.
    pub head: usize,
    /// The body, after chunked decoding. Longer is 413. Default 64 KiB: the largest offers of browsers have 10 KB.
    pub body: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { request_line: 8 * 1024, head: 16 * 1024, body: 64 * 1024 }
    }
}

/// Bounds on the time that the parts of an exchange may take.
#[derive(Clone, Copy, Debug)]
pub struct Deadlines {
    /// From the first byte of a request to the end of its header fields. Later is 408. Default 10 s.
    pub head: Duration,
    /// From there to the end of its body. Later is 408. Default 10 s.
    pub body: Duration,
    /// How long a connection may wait between requests, and before the first. Closed without a word. Default 75 s.
    pub idle: Duration,
    /// How long a client may refuse to take bytes of a response. Default 10 s.
    pub write: Duration,
    /// After a response that ends the connection: how long the client's bytes are still read, so that the kernel does not
    /// answer them with a reset that could overtake the response (RFC 9112 §9.6). Default 2 s.
    pub linger: Duration,
}

impl Default for Deadlines {
    fn default() -> Self {
        Self {
            head: Duration::from_secs(10),
            body: Duration::from_secs(10),
            idle: Duration::from_secs(75),
            write: Duration::from_secs(10),
            linger: Duration::from_secs(2),
        }
    }
}
