//! The configuration as it is used: every value has its final type and lies within its range.
//!
//! ```text
//!   oneport.toml ──► document (syntax, lines) ──► keys (the table of all keys) ──► Config ──► flags ──► Config in use
//!                            │                        │ value (types, ranges)
//!                            └────────► Faults ◄──────┘   all of one run, each with its line
//! ```
//!
//! Flags are laid over it by `cli`. What a key is called in the file, and its range, stands in `keys` and nowhere else.

mod address;
mod document;
mod fault;
mod keys;
mod level;
mod value;

pub(crate) use address::{ListenAddress, public_address};
pub(crate) use fault::Faults;
pub(crate) use keys::MAX_SHARDS;
pub(crate) use level::LogLevel;

use fault::Fault;
use oneport_rtp::payload::{Codec, MediaKind};
use oneport_signaling::access::AccessConfig;
use oneport_signaling::cors::AllowedOrigins;
use oneport_signaling::ice_servers::IceServersConfig;
use oneport_signaling::limits::LimitsConfig;
use oneport_signaling::policy::{Bitrates, WhepConfig, WhipConfig};
use oneport_signaling::proxy::TrustedProxies;
use oneport_signaling::redirect::Redirects;
use oneport_signaling::stream_rules::StreamRules;
use std::fs::File;
use std::io::{self, Read};
use std::net::IpAddr;
use std::num::NonZeroUsize;
use std::path::Path;
use std::time::Duration;

/// A configuration file is a page or two. One that is larger is something else, such as a device that never ends.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// Everything that can be set.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(crate) struct Config {
    /// The HTTP server: WHIP, WHEP and the pages.
    pub(crate) http: Http,
    /// Who may publish and play.
    pub(crate) auth: AccessConfig,
    /// How often a client may ask.
    pub(crate) limits: LimitsConfig,
    /// Streams that other nodes serve.
    pub(crate) redirect: Redirects,
    /// STUN and TURN servers that clients are told.
    pub(crate) ice: IceServersConfig,
    /// How publishers are treated.
    pub(crate) whip: WhipConfig,
    /// How viewers are treated.
    pub(crate) whep: WhepConfig,
    /// Data channels.
    pub(crate) data: Data,
    /// Whether clients may have everything sent back. Default: no.
    pub(crate) echo: bool,
    /// The UDP port and what passes through it.
    pub(crate) media: Media,
    /// What is special about some streams.
    pub(crate) streams: StreamRules,
    /// The deadlines of a session.
    pub(crate) session: Session,
    /// What is logged.
    pub(crate) log: Log,
}

/// `[http]`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Http {
    /// Where HTTP is served. Default: port 8080 of all addresses.
    pub(crate) listen: ListenAddress,
    /// Connections open at a time; one more is answered with 503. Each takes a file descriptor, and up to `max_body_bytes` while
    /// a body arrives. Default: 12,288.
    pub(crate) max_connections: usize,
    /// The largest request body in bytes; a larger one gets 413. Default: 65,536, several times a browser's largest offer.
    pub(crate) max_body_bytes: usize,
    /// Time for a request's line and headers; later it gets 408. Default: 10 s.
    pub(crate) header_timeout: Duration,
    /// Time from there to the end of the body; later it gets 408. Default: 10 s.
    pub(crate) body_timeout: Duration,
    /// How long a connection may wait for a request. Default: 75 s.
    pub(crate) idle_timeout: Duration,
    /// Whose word on the client's address counts. Default: nobody's.
    pub(crate) trusted_proxies: TrustedProxies,
    /// Whose pages may publish and play. Default: any origin's.
    pub(crate) allowed_origins: AllowedOrigins,
}

impl Default for Http {
    fn default() -> Http {
        Http {
            listen: ListenAddress::AllAddresses(8080),
            max_connections: 12_288,
            max_body_bytes: 64 << 10,
            header_timeout: Duration::from_secs(10),
            body_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(75),
            trusted_proxies: TrustedProxies::default(),
            allowed_origins: AllowedOrigins::default(),
        }
    }
}

/// `[data]`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Data {
    /// Whether they are accepted. Default: yes.
    pub(crate) enabled: bool,
    /// Whether viewers' messages go to the publisher. Default: no.
    pub(crate) viewers_may_send: bool,
}

impl Default for Data {
    fn default() -> Data {
        Data { enabled: true, viewers_may_send: false }
    }
}

/// `[media]`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Media {
    /// Where ICE, DTLS and SRTP are received: the one UDP port. Default: port 8000 of all addresses.
    pub(crate) listen: ListenAddress,
    /// The addresses that clients are told, instead of those of the interfaces. Default: none.
    pub(crate) public_addresses: Vec<IpAddr>,
    /// Executors that carry media; `None` is one for each available core, the default.
    pub(crate) shards: Option<NonZeroUsize>,
    /// `SO_RCVBUF` of each shard's socket in bytes, which is its memory bound too. Default: 4 MiB.
    pub(crate) receive_buffer_bytes: usize,
    /// `SO_SNDBUF` of each shard's socket in bytes, which is its memory bound too. Default: 4 MiB.
    pub(crate) send_buffer_bytes: usize,
    /// Sessions at a time; one more is refused. Each takes tens of kilobytes, most of it DTLS. Default: 100,000.
    pub(crate) max_sessions: usize,
    /// Video codecs that are taken, the preferred ones first. Default: all.
    pub(crate) video_codecs: Vec<Codec>,
    /// Audio codecs that are taken, the preferred ones first. Default: all.
    pub(crate) audio_codecs: Vec<Codec>,
    /// The bit rates that publishers are told. Default: none.
    pub(crate) video_bitrate: Bitrates,
    /// Bytes of a video track that each shard with viewers of it keeps at the most. Default: 4 MiB.
    pub(crate) history_bytes: usize,
    /// How long packets are kept to be sent again. Default: 1 s.
    pub(crate) history: Duration,
    /// How old the last keyframe may be for a viewer to begin with it; zero: never. Default: 10 s.
    pub(crate) start_group: Duration,
    /// Least time between two keyframe requests to a publisher's source. Default: 500 ms.
    pub(crate) keyframe_interval: Duration,
    /// How long a busy shard may hold a frame's first packets for the rest; zero: never. Default: 5 ms.
    pub(crate) coalesce_max: Duration,
    /// Each packet leaves by a system call of its own, to measure what batching saves. Not by the file.
    pub(crate) is_plain: bool,
    /// What publishers without transport-cc are told that they may send. Default: 20 Mbit/s.
    pub(crate) remb_kbps: u32,
}

impl Default for Media {
    fn default() -> Media {
        Media {
            listen: ListenAddress::AllAddresses(8000),
            public_addresses: Vec::new(),
            shards: None,
            receive_buffer_bytes: 4 << 20,
            send_buffer_bytes: 4 << 20,
            max_sessions: 100_000,
            video_codecs: codecs_of(MediaKind::Video),
            audio_codecs: codecs_of(MediaKind::Audio),
            video_bitrate: Bitrates::default(),
            history_bytes: 4 << 20,
            history: Duration::from_secs(1),
            start_group: Duration::from_secs(10),
            keyframe_interval: Duration::from_millis(500),
            coalesce_max: Duration::from_millis(5),
            is_plain: false,
            remb_kbps: 20_000,
        }
    }
}

fn codecs_of(kind: MediaKind) -> Vec<Codec> {
    Codec::ALL.into_iter().filter(|codec| codec.kind() == kind).collect()
}

/// `[session]`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Session {
    /// From the answer to the first nominated pair. Default: 10 s.
    pub(crate) setup_timeout: Duration,
    /// From the nominated pair to the end of the DTLS handshake. Default: 15 s.
    pub(crate) dtls_timeout: Duration,
    /// Without an authenticated check for this long, media stops (RFC 7675 §5.1 says 30 s, the default).
    pub(crate) consent_timeout: Duration,
}

impl Default for Session {
    fn default() -> Session {
        Session {
            setup_timeout: Duration::from_secs(10),
            dtls_timeout: Duration::from_secs(15),
            consent_timeout: Duration::from_secs(30),
        }
    }
}

/// `[log]`.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(crate) struct Log {
    /// The least important level that is still written. Default: info.
    pub(crate) level: LogLevel,
}

impl Config {
    /// Reads a file. What it leaves out has its default.
    ///
    /// # Errors
    /// Every fault of the file, in the order of its lines.
    pub(crate) fn load(path: &Path) -> Result<Config, Faults> {
        let in_file = |faults| Faults::new(path, faults);
        let bytes = read(path).map_err(|error| in_file(vec![Fault::of_file(format!("cannot be read: {error}"))]))?;
        let text = document::decode(&bytes).map_err(|fault| in_file(vec![fault]))?;
        Config::parse(text).map_err(in_file)
    }

    fn parse(text: &str) -> Result<Config, Vec<Fault>> {
        let (config, mut faults) = document::read(text);
        if faults.is_empty() {
            return Ok(config);
        }
        faults.sort();
        faults.dedup();
        Err(faults)
    }
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(io::Error::other(format!("it is larger than {MAX_FILE_BYTES} bytes")));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests;
