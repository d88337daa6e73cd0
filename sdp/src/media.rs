//! One m-section of an offer (RFC 8866 §5.14) with the attributes that RTP, BUNDLE and header extensions hang on it.

use std::fmt;

use oneport_rtp::ids::{Mid, PayloadType, Ssrc};
use oneport_rtp::payload::{Format, MediaKind};
use sdp_types::{Attribute, Media, Session};

use crate::format;
use crate::simulcast::{self, Alternative, OfferedRid};
use crate::streams::{self, Semantics};
use crate::transport::Transport;

/// What an m-section carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// `m=audio`
    Audio,
    /// `m=video`
    Video,
    /// Any other, such as `application`.
    Other(String),
}

impl Kind {
    fn new(name: &str) -> Kind {
        match name {
            "audio" => Kind::Audio,
            "video" => Kind::Video,
            other => Kind::Other(other.to_owned()),
        }
    }

    /// The kind as RTP knows it; `None` for what is never forwarded.
    pub fn media(&self) -> Option<MediaKind> {
        match self {
            Kind::Audio => Some(MediaKind::Audio),
            Kind::Video => Some(MediaKind::Video),
            Kind::Other(_) => None,
        }
    }

    /// The name as it stands in the m-line.
    pub fn as_str(&self) -> &str {
        match self {
            Kind::Audio => "audio",
            Kind::Video => "video",
            Kind::Other(name) => name,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Direction of media, as seen by the side that writes it (RFC 8866 §6.7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are the attributes' own")]
pub enum Direction {
    SendRecv,
    SendOnly,
    RecvOnly,
    Inactive,
}

impl Direction {
    const ALL: [Direction; 4] = [Direction::SendRecv, Direction::SendOnly, Direction::RecvOnly, Direction::Inactive];

    /// The attribute's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Direction::SendRecv => "sendrecv",
            Direction::SendOnly => "sendonly",
            Direction::RecvOnly => "recvonly",
            Direction::Inactive => "inactive",
        }
    }

    pub(crate) fn from_name(name: &str) -> Option<Direction> {
        Direction::ALL.into_iter().find(|direction| direction.as_str().eq_ignore_ascii_case(name))
    }

    /// Whether the side that wrote it sends.
    pub fn sends(self) -> bool {
        matches!(self, Direction::SendRecv | Direction::SendOnly)
    }

    /// Whether the side that wrote it receives.
    pub fn receives(self) -> bool {
        matches!(self, Direction::SendRecv | Direction::RecvOnly)
    }
}

/// A payload type and what it stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OfferedFormat {
    /// The number in the m-line.
    pub payload_type: PayloadType,
    /// Codec, clock rate and variant.
    pub format: Format,
    /// Audio channels of the `a=rtpmap`, 1 when it names none.
    pub channels: u8,
    /// The format's parameters as they came.
    pub fmtp: Option<String>,
    /// `a=rtcp-fb` values, such as `nack pli`.
    pub feedback: Vec<String>,
    /// The payload type of its retransmissions (RFC 4588), where there is one.
    pub rtx: Option<PayloadType>,
}

/// A header extension of an m-section (RFC 8285 §5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OfferedExtension {
    /// Local identifier.
    pub id: u8,
    /// What the extension is.
    pub uri: String,
    /// The direction in which it is used, where the `a=extmap` names one.
    pub direction: Option<Direction>,
}

/// One m-section of an offer.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct OfferedMedia {
    /// Position in the offer, from 0.
    pub index: usize,
    /// Line number of its m-line in the text as it came, from 1.
    pub line: usize,
    /// Audio, video or something else.
    pub kind: Kind,
    /// `a=mid`
    pub mid: Option<Mid>,
    /// The direction as the client sees it.
    pub direction: Direction,
    /// The formats of known codecs, in the order of the m-line.
    pub formats: Vec<OfferedFormat>,
    /// The names of all codecs of the m-line, known or not, without repair and redundancy formats.
    pub codec_names: Vec<String>,
    /// Header extensions, each URI once.
    pub extensions: Vec<OfferedExtension>,
    /// SSRCs of media, without the repair streams of `a=ssrc-group:FID` and `FEC-FR`.
    pub ssrcs: Vec<Ssrc>,
    /// `a=ssrc-group` of known semantics, with their SSRCs.
    pub ssrc_groups: Vec<(Semantics, Vec<Ssrc>)>,
    /// `a=rid`
    pub rids: Vec<OfferedRid>,
    /// The layers that the client would send by `a=simulcast`, each with its alternatives. Empty without simulcast.
    pub simulcast: Vec<Vec<Alternative>>,
    /// `a=sctp-port` of a section of data channels (RFC 8841 §5).
    pub sctp_port: Option<u16>,
    /// Transport protocol of the m-line.
    pub protocol: String,
    /// The m-line's format list as it came.
    pub format_list: String,
    /// Port 0 without `a=bundle-only`: the client itself has turned the section off.
    pub disabled: bool,
    /// `a=rtcp-mux`
    pub rtcp_mux: bool,
    /// `a=rtcp-rsize`
    pub rtcp_rsize: bool,
    /// `a=extmap-allow-mixed` of the section itself.
    pub extmap_allow_mixed: bool,
    pub(crate) transport: Transport,
}

/// What the session level gives to every m-section that does not say otherwise.
pub(crate) struct Shared {
    transport: Transport,
    direction: Option<Direction>,
    extensions: Vec<OfferedExtension>,
    rtcp_mux: bool,
}

impl Shared {
    pub(crate) fn of(session: &Session) -> Shared {
        let attributes = Attributes(&session.attributes);
        Shared {
            transport: Transport::read(attributes, None),
            direction: attributes.direction(),
            extensions: extensions(attributes, &[]),
            rtcp_mux: attributes.has("rtcp-mux"),
        }
    }
}

impl OfferedMedia {
    pub(crate) fn read(index: usize, line: usize, media: &Media, shared: &Shared) -> OfferedMedia {
        let attributes = Attributes(&media.attributes);
        let kind = Kind::new(&media.media);
        let (formats, codec_names) = format::read(&kind, &media.fmt, attributes);
        let ssrc_groups = streams::groups(attributes);
        OfferedMedia {
            index,
            line,
            mid: attributes.value("mid").and_then(|mid| Mid::new(mid.as_bytes())),
            direction: attributes.direction().or(shared.direction).unwrap_or(Direction::SendRecv),
            formats,
            codec_names,
            extensions: extensions(attributes, &shared.extensions),
            ssrcs: streams::ssrcs(attributes, &ssrc_groups),
            ssrc_groups,
            rids: simulcast::rids(attributes),
            simulcast: simulcast::sent(attributes),
            sctp_port: attributes.value("sctp-port").and_then(|port| port.parse().ok()),
            protocol: media.proto.clone(),
            format_list: media.fmt.clone(),
            disabled: media.port == 0 && !attributes.has("bundle-only"),
            rtcp_mux: shared.rtcp_mux || attributes.has("rtcp-mux") || attributes.has("rtcp-mux-only"),
            rtcp_rsize: attributes.has("rtcp-rsize"),
            extmap_allow_mixed: attributes.has("extmap-allow-mixed"),
            transport: Transport::read(attributes, Some(&shared.transport)),
            kind,
        }
    }
}

impl OfferedMedia {
    /// Whether it is a section of data channels (RFC 8841 §4).
    pub fn is_data(&self) -> bool {
        let is_application = matches!(&self.kind, Kind::Other(name) if name.eq_ignore_ascii_case("application"));
        is_application && self.protocol.to_ascii_uppercase().ends_with("DTLS/SCTP") && self.sctp_port.is_some()
    }

    /// Whether it leaves the DTLS role to the other side, as only an offer may.
    pub(crate) fn is_actpass(&self) -> bool {
        self.transport.setup.as_deref().is_some_and(|setup| setup.eq_ignore_ascii_case("actpass"))
    }
}

/// The attributes of a session or an m-section.
#[derive(Clone, Copy)]
pub(crate) struct Attributes<'a>(pub(crate) &'a [Attribute]);

impl<'a> Attributes<'a> {
    pub(crate) fn has(self, name: &str) -> bool {
        self.0.iter().any(|attribute| attribute.attribute.eq_ignore_ascii_case(name))
    }

    pub(crate) fn values(self, name: &str) -> impl Iterator<Item = &'a str> {
        let named = self.0.iter().filter(move |attribute| attribute.attribute.eq_ignore_ascii_case(name));
        named.filter_map(|attribute| attribute.value.as_deref()).map(str::trim)
    }

    pub(crate) fn value(self, name: &str) -> Option<&'a str> {
        self.values(name).next()
    }

    fn direction(self) -> Option<Direction> {
        self.0.iter().find_map(|attribute| Direction::from_name(&attribute.attribute))
    }
}

/// The section's header extensions, then those of the session that it does not define itself.
fn extensions(attributes: Attributes<'_>, of_session: &[OfferedExtension]) -> Vec<OfferedExtension> {
    let mut kept: Vec<OfferedExtension> = Vec::new();
    for extension in attributes.values("extmap").filter_map(extension).chain(of_session.iter().cloned()) {
        if !kept.iter().any(|other| other.id == extension.id || other.uri == extension.uri) {
            kept.push(extension);
        }
    }
    kept
}

/// `9/sendonly uri`. Identifier 15 has no meaning in the one-byte form (RFC 8285 §4.2), 0 is padding.
fn extension(value: &str) -> Option<OfferedExtension> {
    let mut words = value.split_whitespace();
    let (id, direction) = match words.next()?.split_once('/') {
        Some((id, direction)) => (id, Some(Direction::from_name(direction)?)),
        None => (value.split_whitespace().next()?, None),
    };
    let id = id.parse().ok().filter(|id| !matches!(id, 0 | 15))?;
    Some(OfferedExtension { id, uri: words.next()?.to_owned(), direction })
}
