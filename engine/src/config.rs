//! What the engine is started with. Every field says effect, unit, bound and default.

use std::net::SocketAddr;
use std::time::Duration;

/// The engine's configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// The UDP address of all media. `[::]` takes IPv4 too where the host can. Default `[::]:8000`.
    pub media: SocketAddr,
    /// Shards, one executor and one socket each. Default 1; the binary fills in the number of cores.
    pub shards: usize,
    /// Most sessions at a time, waiting ones included; more are refused. Default 100,000.
    pub max_sessions: usize,
    /// How long a session waits for its client's nomination. Default 10 s: what has not come by then, a user has given up waiting for.
    /// RFC 8863 has clients try for 39.5 s, which is about candidates that come late; a lite server needs none.
    pub setup_timeout: Duration,
    /// How long the DTLS handshake may take after nomination. Default 15 s.
    pub dtls_timeout: Duration,
    /// How long media flows without an authenticated check (RFC 7675 §5.1). Default 30 s.
    pub consent_timeout: Duration,
    /// Least time between two keyframe requests to one publisher's track. Default 500 ms.
    pub keyframe_interval: Duration,
    /// Bytes of a video track that a shard keeps at the most, taken as they are needed: for retransmissions, and from the last keyframe on
    /// for viewers that join. Audio takes a few kilobytes of it. Default 4 MiB.
    pub history_bytes: usize,
    /// How long packets are kept for retransmission. Default 1 s.
    pub history_age: Duration,
    /// How long ago a keyframe may be for viewers to begin with it; zero: they always wait for a new one. Default 10 s.
    pub start_group: Duration,
    /// What a publisher without transport-cc is told that it may send (REMB), in bit/s. Default 20 Mbit/s.
    pub publisher_max_bitrate_bps: u64,
    /// How long a shard with much to do may hold a frame's first packets for the rest of it, so that a viewer gets them in one system
    /// call; an idle one holds nothing. Zero: none does. Default 5 ms.
    pub coalesce_max: Duration,
    /// Whether viewers' messages on data channels go to the publisher. Default false.
    pub viewers_may_send: bool,
    /// First retransmission timeout of DTLS; it doubles. Default 100 ms.
    pub dtls_initial_rto: Duration,
    /// `SO_RCVBUF` of each shard's socket, in bytes. Default 4 MiB.
    pub receive_buffer: usize,
    /// `SO_SNDBUF` of each shard's socket, in bytes. Default 4 MiB.
    pub send_buffer: usize,
    /// Whether UDP_SEGMENT may be used where the kernel has it. Default true; tests turn it off.
    pub gso: bool,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            media: SocketAddr::from(([0; 16], 8000)),
            shards: 1,
            max_sessions: 100_000,
            setup_timeout: Duration::from_secs(10),
            dtls_timeout: Duration::from_secs(15),
            consent_timeout: Duration::from_secs(30),
            keyframe_interval: Duration::from_millis(500),
            history_bytes: 4 << 20,
            history_age: Duration::from_secs(1),
            start_group: Duration::from_secs(10),
            publisher_max_bitrate_bps: 20_000_000,
            coalesce_max: Duration::from_millis(5),
            viewers_may_send: false,
            dtls_initial_rto: Duration::from_millis(100),
            receive_buffer: 4 << 20,
            send_buffer: 4 << 20,
            gso: true,
        }
    }
}
