//! The whole surface that signaling sees of the engine: [`Command`] in, [`Reply`] out, and [`Event`]s when something
//! happened by itself. Plain values only: no closures, no shared state, no SDP, no HTTP.

use oneport_rtp::ids::{Mid, PayloadType, Rid, Ssrc};
use oneport_rtp::payload::{Format, MediaKind};
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// A session inside the engine: a WHIP or WHEP client. It stands in the clear in the ICE ufrag, so it is never the secret of a
/// session URL.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct SessionId(pub u64);

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// A stream: what a publisher sends under one name, and its viewers with it. It outlives each of its publishers.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct StreamId(pub u64);

/// What signaling asks for.
#[derive(Debug)]
pub enum Command {
    /// Makes a session that waits for its client's first connectivity check. Answered by [`Reply::Opened`] or [`Reply::Refused`].
    Open(SessionSpec),
    /// Makes a session whose client's half is not known yet (a WHEP counter-offer): it gets credentials, and waits for
    /// [`Command::Complete`]. Answered as [`Command::Open`] is.
    Reserve {
        /// How long it waits for its [`Command::Complete`].
        validity: Duration,
    },
    /// Tells what the client of a reserved session agreed to. Answered by [`Reply::Done`], or [`Reply::Refused`] with
    /// [`Refusal::UnknownSession`] when it is not a reserved session, or is no more.
    Complete {
        /// The session.
        session: SessionId,
        /// What was agreed.
        spec: SessionSpec,
    },
    /// Restarts ICE (RFC 8445 §9): new credentials, while those before stay good until a pair is nominated with the new ones. DTLS and
    /// SRTP go on. Answered by [`Reply::Opened`] with the new credentials.
    Restart {
        /// The session.
        session: SessionId,
    },
    /// Ends a session: close_notify to the peer, and its checks are answered no more. Answered by [`Reply::Done`], or
    /// [`Reply::Refused`] with [`Refusal::UnknownSession`].
    Close {
        /// The session.
        session: SessionId,
        /// Who wanted it, for the log and the counters.
        reason: EndReason,
    },
    /// How the shards are. Answered by [`Reply::Health`].
    Health,
    /// Ends every session, flushes and stops the shards. Answered by [`Reply::Done`]; [`Event::Stopped`] follows.
    Shutdown,
}

/// The answer to a [`Command`], at once.
#[derive(Debug)]
pub enum Reply {
    /// The session waits for its client, or for its client's checks with new credentials.
    Opened(LocalTransport),
    /// Nothing was changed.
    Refused(Refusal),
    /// It is done, or under way where it concerns the shards.
    Done,
    /// One entry for each shard.
    Health(Vec<ShardHealth>),
}

/// Why a command was refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Refusal {
    /// No such session, or it has ended.
    #[error("there is no such session")]
    UnknownSession,
    /// The configured number of sessions is reached.
    #[error("the server has as many sessions as it may have")]
    TooManySessions,
    /// The stream has a publisher already.
    #[error("the stream has a publisher already")]
    AlreadyPublished,
    /// The engine is stopping.
    #[error("the server is stopping")]
    Stopping,
}

/// Something that happened by itself.
#[derive(Debug)]
pub enum Event {
    /// A connectivity check nominated a pair, and a shard owns the session now.
    Nominated {
        /// The session.
        session: SessionId,
        /// Index of the owning shard.
        shard: usize,
        /// The client's address.
        remote: SocketAddr,
    },
    /// DTLS is done and SRTP is keyed.
    Connected {
        /// The session.
        session: SessionId,
        /// The SRTP profile that was agreed, by its name in RFC 5764 or RFC 7714.
        profile: &'static str,
    },
    /// A publisher's media has begun, stopped for two seconds, or gone on.
    Flow {
        /// The session.
        session: SessionId,
        /// Whether RTP arrives.
        flows: bool,
    },
    /// The layers of a publisher's track, when they have changed: one has begun or ended, or another is forwarded.
    Layers {
        /// The session.
        session: SessionId,
        /// Index of the track among [`SessionSpec::tracks`].
        track: usize,
        /// All of them, in the order of [`TrackSpec::layers`].
        layers: Vec<LayerState>,
    },
    /// A step on the way to a connection, or a reason why there is none: for the account that a user is given. Bounded in number for
    /// each session.
    Trace {
        /// The session.
        session: SessionId,
        /// What happened.
        step: Step,
    },
    /// A connectivity check that names no session here. The client's half of its USERNAME may tell whose it was.
    StrayCheck {
        /// Where it came from.
        remote: SocketAddr,
        /// The client's ufrag, after the colon.
        remote_ufrag: String,
    },
    /// The session is gone. Nothing more comes of it.
    Ended {
        /// The session.
        session: SessionId,
        /// Why.
        reason: EndReason,
        /// What it carried.
        totals: Totals,
    },
    /// Every shard has stopped. Nothing comes after it.
    Stopped,
}

/// Something that happened to a session, and is worth telling when somebody asks why it does not connect.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Step {
    /// The first connectivity check from this address, or the first that was refused for this reason.
    Check {
        /// Where it came from.
        remote: SocketAddr,
        /// Why it was refused; `None` when it was answered.
        refused: Option<CheckRefusal>,
    },
    /// The nominated pair was exchanged for another after the session was connected.
    PairChanged {
        /// The client's address.
        remote: SocketAddr,
        /// Whether it came with the credentials of an ICE restart.
        restarted: bool,
    },
    /// The first DTLS datagram of the client.
    DtlsStarted,
    /// The first RTP packet of a track.
    FirstPacket {
        /// Index of the track among [`SessionSpec::tracks`].
        track: usize,
        /// Its source.
        ssrc: Ssrc,
        /// Its payload type.
        payload_type: PayloadType,
    },
    /// The first keyframe of a video track, received of a publisher or sent to a viewer.
    FirstKeyframe {
        /// Index of the track among [`SessionSpec::tracks`].
        track: usize,
    },
    /// An RTP packet that belongs to no track.
    UnknownSource {
        /// Its source.
        ssrc: Ssrc,
        /// Its payload type.
        payload_type: PayloadType,
    },
}

/// Why a connectivity check was not accepted.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum CheckRefusal {
    /// The MESSAGE-INTEGRITY was made with another password.
    BadIntegrity,
    /// There is none, or the USERNAME is incomplete.
    Incomplete,
    /// The client claims to be controlled, as only we are (RFC 8445 §7.3.1.1).
    RoleConflict,
    /// The credentials are those from before an ICE restart that is complete.
    Stale,
    /// An attribute that must be understood was not.
    UnknownAttribute,
}

/// A layer of a simulcast track, as it arrives.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LayerState {
    /// Which.
    pub layer: LayerSpec,
    /// What arrived of it in the last second or so, in bit/s of RTP packets. 0 when it is not sent at present.
    pub bitrate_bps: u64,
    /// Whether it is the one that viewers get.
    pub is_forwarded: bool,
}

/// Why a session ended.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum EndReason {
    /// DELETE, or another request for it.
    #[error("ended by request")]
    Deleted,
    /// Another publisher took over the stream.
    #[error("replaced by another publisher of the same stream")]
    Replaced,
    /// The peer's DTLS close_notify.
    #[error("closed by the peer")]
    ClosedByPeer,
    /// No authenticated connectivity check for the consent time (RFC 7675).
    #[error("consent lost: no connectivity check from the client for 30 s")]
    ConsentExpired,
    /// No client nominated a pair in time.
    #[error("no connectivity check nominated a pair in time")]
    SetupTimeout,
    /// The DTLS handshake did not come to an end in time.
    #[error("the DTLS handshake did not finish in time")]
    DtlsTimeout,
    /// The DTLS handshake failed, in OpenSSL's words.
    #[error("the DTLS handshake failed: {0}")]
    DtlsFailed(String),
    /// The peer's certificate matches none of the fingerprints that its SDP gave.
    #[error("the peer's certificate does not match the fingerprint in its SDP")]
    FingerprintMismatch,
    /// The engine stops.
    #[error("the server stops")]
    Shutdown,
}

/// What a session carried, payload and headers of RTP as they were protected on the wire.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Totals {
    /// RTP packets received.
    pub rx_packets: u64,
    /// Their bytes.
    pub rx_bytes: u64,
    /// RTP packets sent.
    pub tx_packets: u64,
    /// Their bytes.
    pub tx_bytes: u64,
    /// Time from nomination to the end.
    pub duration: Duration,
}

/// The state of one shard.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ShardHealth {
    /// Time since its loop last turned.
    pub since_last_turn: Duration,
    /// Sessions that it owns.
    pub sessions: u64,
    /// Datagrams that came here for a session of another shard, and were handed to it through the mesh.
    pub crossed: u64,
}

/// Which way a session's media goes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Role {
    /// The client sends (WHIP).
    Publish,
    /// The client receives (WHEP).
    Play,
    /// The client gets back what it sends. Such a session is of no stream, whatever its spec says.
    Echo,
}

/// What offer and answer agreed on, as far as media depends on it.
#[derive(Clone, Debug)]
pub struct SessionSpec {
    /// The stream that it publishes or plays.
    pub stream: StreamId,
    /// Which way.
    pub role: Role,
    /// The stream's present publisher, which ends with [`EndReason::Replaced`] if and only if this session is opened.
    pub replaces: Option<SessionId>,
    /// Our part in DTLS.
    pub dtls_role: DtlsRole,
    /// The peer's certificate fingerprints; one that matches is enough (RFC 8122 §5). Never empty.
    pub fingerprints: Vec<Fingerprint>,
    /// Data channels were agreed on (RFC 8841).
    pub data: bool,
    /// Reduced-size RTCP (RFC 5506) may be sent.
    pub reduced_size: bool,
    /// One for each m-section that was accepted, in order.
    pub tracks: Vec<TrackSpec>,
}

/// Our part in the DTLS handshake.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum DtlsRole {
    /// We wait for the ClientHello (`a=setup:passive` in the answer).
    Server,
    /// We send it (`a=setup:active` in the answer).
    Client,
}

/// A digest that fingerprints may use.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[allow(missing_docs, reason = "the names are the algorithms' own")]
pub enum Digest {
    Sha256,
    Sha384,
    Sha512,
}

impl Digest {
    /// The name that `a=fingerprint` uses.
    pub fn name(self) -> &'static str {
        match self {
            Digest::Sha256 => "sha-256",
            Digest::Sha384 => "sha-384",
            Digest::Sha512 => "sha-512",
        }
    }

    /// The digest of a name in an `a=fingerprint`, in any case.
    pub fn from_name(name: &str) -> Option<Digest> {
        [Digest::Sha256, Digest::Sha384, Digest::Sha512].into_iter().find(|d| d.name().eq_ignore_ascii_case(name))
    }
}

/// A certificate's fingerprint (RFC 8122).
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Fingerprint {
    /// The digest.
    pub digest: Digest,
    /// Its raw bytes.
    pub bytes: Vec<u8>,
}

/// One m-section's media.
#[derive(Clone, Debug)]
pub struct TrackSpec {
    /// Audio or video.
    pub kind: MediaKind,
    /// `a=mid`, where the offer had one.
    pub mid: Option<Mid>,
    /// The payload types of this leg, in the answer's order. Publish: one that is sent; play: all that the viewer takes.
    pub formats: Vec<NegotiatedFormat>,
    /// The RTP header extensions of this leg.
    pub extensions: Vec<NegotiatedExtension>,
    /// Publish: the sources that the offer names, possibly none. Play: the one source that we send.
    pub ssrcs: Vec<Ssrc>,
    /// Publish: the simulcast layers in the order of the answer; empty for a track with one source.
    pub layers: Vec<LayerSpec>,
    /// The payload types of retransmissions (RFC 4588), each with that of what it retransmits. Empty where they are not agreed on.
    pub rtx: Vec<(PayloadType, PayloadType)>,
    /// Sources of retransmissions, each with that of what it retransmits. Publish: those that the offer names; play: the one that we send.
    pub rtx_ssrcs: Vec<(Ssrc, Ssrc)>,
    /// The RTCP feedback of this leg.
    pub feedback: Feedback,
    /// Publish: parameter sets that the offer has (`sprop-parameter-sets`, decoded), for keyframes that come without.
    pub parameter_sets: Vec<Vec<u8>>,
    /// Publish: how a keyframe is asked for; play: ignored.
    pub keyframe_request: Option<KeyframeRequest>,
    /// Play: the CNAME of our source; publish: unused.
    pub cname: String,
}

/// RTCP feedback (RFC 4585 §4.2) that goes from the receiver of a track to its sender.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Feedback {
    /// `nack`: missing packets are named.
    pub nack: bool,
    /// `transport-cc`
    pub transport_cc: bool,
    /// `goog-remb`
    pub remb: bool,
    /// `ack ccfb` (RFC 8888), where there is no transport-cc.
    pub ccfb: bool,
}

/// What tells a simulcast layer from the others.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum LayerSpec {
    /// Its RID (RFC 8852).
    Rid(Rid),
    /// Its SSRC, where the offer has `a=ssrc-group:SIM`.
    Ssrc(Ssrc),
}

/// A payload type and what it stands for on this leg.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NegotiatedFormat {
    /// The payload type.
    pub payload_type: PayloadType,
    /// What it stands for.
    pub format: Format,
}

/// A header extension and its id on this leg (RFC 8285).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NegotiatedExtension {
    /// 1 to 14, or to 255 where two-byte headers are allowed.
    pub id: u8,
    /// What it is.
    pub extension: Extension,
}

/// The header extensions that the engine forwards or writes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[allow(missing_docs, reason = "the names are the extensions' own, see `uri`")]
pub enum Extension {
    Mid,
    Rid,
    RepairedRid,
    AudioLevel,
    VideoOrientation,
    AbsCaptureTime,
    PlayoutDelay,
    VideoContentType,
    VideoTiming,
    ColorSpace,
    DependencyDescriptor,
    VideoLayersAllocation,
    TransmissionOffset,
    TransportCc,
    AbsSendTime,
}

impl Extension {
    /// All of them.
    pub const ALL: [Extension; 15] = [
        Extension::Mid,
        Extension::Rid,
        Extension::RepairedRid,
        Extension::AudioLevel,
        Extension::VideoOrientation,
        Extension::AbsCaptureTime,
        Extension::PlayoutDelay,
        Extension::VideoContentType,
        Extension::VideoTiming,
        Extension::ColorSpace,
        Extension::DependencyDescriptor,
        Extension::VideoLayersAllocation,
        Extension::TransmissionOffset,
        Extension::TransportCc,
        Extension::AbsSendTime,
    ];

    /// The URI of its `a=extmap`.
    pub fn uri(self) -> &'static str {
        match self {
            Extension::Mid => "urn:ietf:params:rtp-hdrext:sdes:mid",
            Extension::Rid => "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id",
            Extension::RepairedRid => "urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id",
            Extension::AudioLevel => "urn:ietf:params:rtp-hdrext:ssrc-audio-level",
            Extension::VideoOrientation => "urn:3gpp:video-orientation",
            Extension::AbsCaptureTime => "http://www.webrtc.org/experiments/rtp-hdrext/abs-capture-time",
            Extension::PlayoutDelay => "http://www.webrtc.org/experiments/rtp-hdrext/playout-delay",
            Extension::VideoContentType => "http://www.webrtc.org/experiments/rtp-hdrext/video-content-type",
            Extension::VideoTiming => "http://www.webrtc.org/experiments/rtp-hdrext/video-timing",
            Extension::ColorSpace => "http://www.webrtc.org/experiments/rtp-hdrext/color-space",
            Extension::DependencyDescriptor => {
                "https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension"
            }
            Extension::VideoLayersAllocation => {
                "http://www.webrtc.org/experiments/rtp-hdrext/video-layers-allocation00"
            }
            Extension::TransmissionOffset => "urn:ietf:params:rtp-hdrext:toffset",
            Extension::TransportCc => "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01",
            Extension::AbsSendTime => "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time",
        }
    }

    /// The extension of a URI.
    pub fn from_uri(uri: &str) -> Option<Extension> {
        Extension::ALL.into_iter().find(|extension| extension.uri() == uri)
    }
}

/// How a publisher is asked for a keyframe.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum KeyframeRequest {
    /// Picture loss indication (RFC 4585 §6.3.1).
    Pli,
    /// Full intra request (RFC 5104 §4.3.1).
    Fir,
}

/// Our half of a session's transport: what the answer says of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LocalTransport {
    /// The session.
    pub session: SessionId,
    /// `a=ice-ufrag`.
    pub ufrag: String,
    /// `a=ice-pwd`.
    pub pwd: String,
    /// `a=fingerprint`, one for each digest that we give.
    pub fingerprints: Vec<Fingerprint>,
    /// The port of every candidate.
    pub port: u16,
    /// Addresses at which the port is open, in order of preference, loopback last. Which of them a client is told, signaling
    /// decides.
    pub addresses: Vec<IpAddr>,
}
