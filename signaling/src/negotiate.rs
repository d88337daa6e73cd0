//! Between SDP and the engine: what offer and answer agree on becomes a session's spec, and the engine's half of the transport becomes
//! the answer's text. The rules of negotiation are oneport-sdp's.

use crate::http::Request;
use crate::name::StreamName;
use crate::problem::Problem;
use crate::registry::{Session, SessionSection};
use crate::why::Opening;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use oneport_engine::control::{
    Digest, DtlsRole, Extension, Feedback, Fingerprint, KeyframeRequest, LayerSpec, LocalTransport,
    NegotiatedExtension, NegotiatedFormat, Role, SessionId, SessionSpec, StreamId, TrackSpec,
};
use oneport_rtp::ids::Ssrc;
use oneport_rtp::payload::{Codec, Format, MediaKind};
use oneport_sdp::{
    Bitrates, CandidateType, Capabilities, Counter, Layer, LocalDescription, LocalFragment, Negotiated,
    NegotiatedMedia, Offer, OfferedFormat, Rejection, RemoteCandidate, SdpError, Semantics, Setup, Source,
    negotiate_echo, negotiate_play, negotiate_publish, write_answer, write_fragment,
};
use std::net::{IpAddr, SocketAddr};

/// How a keyframe may be asked for, PLI before FIR.
const KEYFRAME_FEEDBACK: [(&str, KeyframeRequest); 2] =
    [("nack pli", KeyframeRequest::Pli), ("ccm fir", KeyframeRequest::Fir)];

/// The largest message of a data channel that the engine takes.
const MAX_MESSAGE_SIZE: u32 = 65_536;

/// The rest of the feedback that is honoured (RFC 4585 §4.2).
const NACK: &str = "nack";
const TRANSPORT_CC: &str = "transport-cc";
const REMB: &str = "goog-remb";
const CCFB: &str = "ack ccfb";

impl From<SdpError> for Problem {
    fn from(error: SdpError) -> Problem {
        Problem::SdpSyntax(error.to_string())
    }
}

impl From<Rejection> for Problem {
    fn from(rejection: Rejection) -> Problem {
        Problem::Unacceptable(rejection.to_string(), None)
    }
}

/// What is open to negotiation: the configuration's, with what the stream and the request change of it.
#[derive(Clone, Debug)]
pub(crate) struct Terms {
    /// The codecs, the preferred ones of each kind first.
    pub(crate) codecs: Vec<Codec>,
    /// What a publisher is told of the bitrate of its video.
    pub(crate) bitrates: Option<Bitrates>,
    /// Whether data channels are accepted.
    pub(crate) data: bool,
}

/// What the engine honours at this time, within the terms.
fn capabilities(terms: &Terms, role: Role) -> Capabilities {
    // The time of sending tells a receiver that estimates bandwidth, which we do not.
    let honoured = |extension: &&Extension| role != Role::Publish || **extension != Extension::AbsSendTime;
    Capabilities {
        codecs: terms.codecs.clone(),
        bitrates: terms.bitrates,
        extensions: Extension::ALL.iter().filter(honoured).map(|extension| extension.uri()).collect(),
        audio_feedback: vec![NACK, TRANSPORT_CC, CCFB],
        video_feedback: [NACK, TRANSPORT_CC, REMB, CCFB]
            .into_iter()
            .chain(KEYFRAME_FEEDBACK.map(|(name, _)| name))
            .collect(),
        rtx: true,
        simulcast: true,
        max_message_size: terms.data.then_some(MAX_MESSAGE_SIZE),
    }
}

/// An offer and what was agreed on it.
pub(crate) struct Agreement {
    role: Role,
    negotiated: Negotiated,
}

/// What is drawn by chance for an answer: the names of the sources that a viewer receives.
pub(crate) struct Egress {
    session_id: u64,
    stream_id: String,
    cname: String,
    first_ssrc: u32,
}

impl Egress {
    /// Names for a session on this stream.
    pub(crate) fn random(name: &StreamName) -> Result<Egress, getrandom::Error> {
        let token = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' };
        Ok(Egress {
            // 63 bits, as RFC 9429 §5.2.1 wants.
            session_id: getrandom::u64()? >> 1,
            stream_id: name.to_string().chars().map(token).take(64).collect(),
            cname: format!("{:016x}", getrandom::u64()?),
            first_ssrc: getrandom::u32()?,
        })
    }

    /// One for each m-section. Apart by an odd stride, so that they are as unlike each other as any.
    fn ssrc(&self, section: usize) -> Ssrc {
        self.nth_ssrc(2 * section)
    }

    /// That of a section's retransmissions, if it has any.
    fn rtx_ssrc(&self, section: usize, media: &NegotiatedMedia) -> Option<Ssrc> {
        media.formats.iter().any(|format| format.rtx.is_some()).then(|| self.nth_ssrc(2 * section + 1))
    }

    fn nth_ssrc(&self, nth: usize) -> Ssrc {
        Ssrc(self.first_ssrc.wrapping_add(0x9e37_79b9u32.wrapping_mul(nth as u32)))
    }
}

impl Agreement {
    /// Answers a publisher's offer.
    pub(crate) fn to_publish(offer: &Offer, terms: &Terms) -> Result<Agreement, Problem> {
        let negotiated = negotiate_publish(offer, &capabilities(terms, Role::Publish))?;
        Ok(Agreement { role: Role::Publish, negotiated })
    }

    /// Answers a viewer's offer for a stream with these formats.
    pub(crate) fn to_play(offer: &Offer, terms: &Terms, published: &[Format]) -> Result<Agreement, Problem> {
        let negotiated = negotiate_play(offer, &capabilities(terms, Role::Play), published)?;
        Ok(Agreement { role: Role::Play, negotiated })
    }

    /// Answers an offer to get everything back.
    pub(crate) fn to_echo(offer: &Offer, terms: &Terms) -> Result<Agreement, Problem> {
        let negotiated = negotiate_echo(offer, &capabilities(terms, Role::Echo))?;
        Ok(Agreement { role: Role::Echo, negotiated })
    }

    /// Takes the answer to a counter-offer.
    pub(crate) fn countered(counter: &Counter, answer: &Offer) -> Result<Agreement, Problem> {
        Ok(Agreement { role: Role::Play, negotiated: counter.accept(answer)? })
    }

    /// What the account of the session begins with, but for the addresses.
    pub(crate) fn opening(&self, request: &Request, stream: &StreamName, offer: &Offer) -> Opening {
        let agreed = self.accepted().flat_map(|(_, media)| media.formats.first());
        Opening {
            client_ufrag: self.negotiated.ice_ufrag.clone(),
            agreed_codecs: agreed.map(|format| format.format.codec.to_string()).collect(),
            tracks: self.sections().iter().map(|section| section.kind).collect(),
            ..opening(self.role, request, stream, offer)
        }
    }

    /// Publishing or playing.
    pub(crate) fn role(&self) -> Role {
        self.role
    }

    /// The client's ICE user fragment and password.
    pub(crate) fn client_credentials(&self) -> (String, String) {
        (self.negotiated.ice_ufrag.clone(), self.negotiated.ice_pwd.clone())
    }

    /// The accepted m-sections.
    pub(crate) fn sections(&self) -> Vec<SessionSection> {
        let section = |(index, media): (usize, &NegotiatedMedia)| {
            media.kind.media().map(|kind| SessionSection { index, mid: media.mid, kind })
        };
        self.accepted().filter_map(section).collect()
    }

    /// The formats that a publisher may send, or that a viewer takes.
    pub(crate) fn formats(&self) -> Vec<Format> {
        self.accepted().flat_map(|(_, media)| media.formats.iter().map(|format| format.format)).collect()
    }

    /// What the engine has to know.
    pub(crate) fn spec(&self, stream: StreamId, egress: &Egress, replaces: Option<SessionId>) -> SessionSpec {
        let fingerprints = self.negotiated.fingerprints.iter().filter_map(|offered| {
            Some(Fingerprint { digest: Digest::from_name(&offered.algorithm)?, bytes: offered.bytes.clone() })
        });
        SessionSpec {
            stream,
            role: self.role,
            replaces,
            dtls_role: match self.negotiated.setup {
                Setup::Active => DtlsRole::Client,
                Setup::Passive => DtlsRole::Server,
            },
            fingerprints: fingerprints.collect(),
            data: self.accepted().any(|(_, media)| media.max_message_size.is_some()),
            reduced_size: self.accepted().filter(|(_, media)| media.kind.media().is_some()).all(|(_, m)| m.rtcp_rsize),
            tracks: self.accepted().filter_map(|(index, media)| self.track(index, media, egress)).collect(),
        }
    }

    /// The answer's text, with candidates at `addresses`.
    pub(crate) fn answer(&self, local: &LocalTransport, addresses: &[IpAddr], egress: &Egress) -> String {
        let sends = self.role == Role::Play;
        write_answer(&self.negotiated, &description(&self.negotiated, sends, local, addresses, egress))
    }

    /// Whether the answer says that it follows RFC 8445.
    pub(crate) fn ice2(&self) -> bool {
        self.negotiated.ice2
    }

    fn accepted(&self) -> impl Iterator<Item = (usize, &NegotiatedMedia)> {
        self.negotiated.media.iter().enumerate().filter(|(_, media)| media.accepted)
    }

    fn track(&self, index: usize, media: &NegotiatedMedia, egress: &Egress) -> Option<TrackSpec> {
        let kind = media.kind.media()?;
        Some(TrackSpec {
            kind,
            mid: media.mid,
            formats: media.formats.iter().map(negotiated_format).collect(),
            extensions: media.extensions.iter().filter_map(negotiated_extension).collect(),
            ssrcs: match self.role {
                Role::Publish | Role::Echo => media.ssrcs.clone(),
                Role::Play => vec![egress.ssrc(index)],
            },
            layers: media.layers.iter().map(layer_spec).collect(),
            rtx: media.formats.iter().filter_map(|format| Some((format.rtx?, format.payload_type))).collect(),
            rtx_ssrcs: match self.role {
                Role::Publish | Role::Echo => fid_pairs(media),
                Role::Play => egress.rtx_ssrc(index, media).map(|rtx| (rtx, egress.ssrc(index))).into_iter().collect(),
            },
            feedback: feedback(media),
            parameter_sets: media.formats.iter().flat_map(parameter_sets).collect(),
            keyframe_request: if kind == MediaKind::Video { keyframe_request(media) } else { None },
            cname: egress.cname.clone(),
        })
    }
}

/// What the account of an offer begins with.
pub(crate) fn opening(role: Role, request: &Request, stream: &StreamName, offer: &Offer) -> Opening {
    let candidate = |candidate: &RemoteCandidate| {
        let transport = if candidate.tcp { "tcp" } else { "udp" };
        let kind = match candidate.kind {
            CandidateType::Host => "host",
            CandidateType::Reflexive => "reflexive",
            CandidateType::Relay => "relay",
        };
        format!("{kind} {transport} {}", candidate.address)
    };
    let mut candidates: Vec<String> = offer.candidates().iter().map(candidate).collect();
    candidates.dedup();
    Opening {
        role,
        stream: stream.clone(),
        peer: request.peer,
        user_agent: request.headers.first("user-agent").map(str::to_owned),
        client_ufrag: offer.ice_ufrag().unwrap_or_default().to_owned(),
        offered_codecs: offer.media.iter().flat_map(|media| media.codec_names.clone()).collect(),
        offered_candidates: candidates,
        agreed_codecs: Vec::new(),
        announced: Vec::new(),
        tracks: Vec::new(),
    }
}

/// A counter-offer within the terms, with the formats first that take what is published.
pub(crate) fn counter(terms: &Terms, published: &[Format]) -> Result<Counter, Problem> {
    Ok(Counter::new(capabilities(terms, Role::Play), published)?)
}

/// A counter-offer's text, with candidates at `addresses`.
pub(crate) fn counter_offer(
    counter: &Counter,
    local: &LocalTransport,
    addresses: &[IpAddr],
    egress: &Egress,
) -> String {
    counter.write(&description(counter.offered(), true, local, addresses, egress))
}

/// The text that answers an ICE restart.
pub(crate) fn restart_answer(local: &LocalTransport, addresses: &[IpAddr], session: &Session) -> String {
    let tagged = session.sections.first();
    write_fragment(&LocalFragment {
        ice_ufrag: local.ufrag.clone(),
        ice_pwd: local.pwd.clone(),
        candidates: candidates(local, addresses),
        bundle: session.sections.iter().filter_map(|section| section.mid).collect(),
        tagged: tagged.map_or((None, MediaKind::Audio), |section| (section.mid, section.kind)),
        ice2: session.ice2,
    })
}

fn candidates(local: &LocalTransport, addresses: &[IpAddr]) -> Vec<SocketAddr> {
    addresses.iter().map(|ip| SocketAddr::new(*ip, local.port)).collect()
}

/// Our half of a description, with the sources where we send.
fn description(
    negotiated: &Negotiated,
    sends: bool,
    local: &LocalTransport,
    addresses: &[IpAddr],
    egress: &Egress,
) -> LocalDescription {
    let fingerprints = local.fingerprints.iter().map(|own| (own.digest.name().to_owned(), own.bytes.clone()));
    let source = |(index, media): (usize, &NegotiatedMedia)| {
        (sends && media.accepted && media.kind.media().is_some()).then(|| source(index, media, egress))
    };
    LocalDescription {
        ice_ufrag: local.ufrag.clone(),
        ice_pwd: local.pwd.clone(),
        fingerprints: fingerprints.collect(),
        candidates: candidates(local, addresses),
        session_id: egress.session_id,
        sources: negotiated.media.iter().enumerate().map(source).collect(),
    }
}

fn source(index: usize, media: &NegotiatedMedia, egress: &Egress) -> Source {
    Source {
        ssrc: egress.ssrc(index),
        rtx_ssrc: egress.rtx_ssrc(index, media),
        cname: egress.cname.clone(),
        stream_id: egress.stream_id.clone(),
        track_id: format!("{}-{}", egress.stream_id, media.kind.as_str()),
    }
}

fn negotiated_format(offered: &OfferedFormat) -> NegotiatedFormat {
    NegotiatedFormat { payload_type: offered.payload_type, format: offered.format }
}

fn layer_spec(layer: &Layer) -> LayerSpec {
    match layer {
        Layer::Rid(rid) => LayerSpec::Rid(*rid),
        Layer::Ssrc(ssrc) => LayerSpec::Ssrc(*ssrc),
    }
}

fn negotiated_extension(offered: &oneport_sdp::OfferedExtension) -> Option<NegotiatedExtension> {
    Some(NegotiatedExtension { id: offered.id, extension: Extension::from_uri(&offered.uri)? })
}

/// The sources of an offer's FID groups: of retransmissions, and of what they retransmit.
fn fid_pairs(media: &NegotiatedMedia) -> Vec<(Ssrc, Ssrc)> {
    let pair = |(semantics, ssrcs): &(Semantics, Vec<Ssrc>)| match (semantics, ssrcs.as_slice()) {
        (Semantics::Fid, [media, rtx]) => Some((*rtx, *media)),
        _ => None,
    };
    media.ssrc_groups.iter().filter_map(pair).collect()
}

fn feedback(media: &NegotiatedMedia) -> Feedback {
    let agreed = |name: &str| media.feedback.iter().any(|feedback| feedback == name);
    Feedback { nack: agreed(NACK), transport_cc: agreed(TRANSPORT_CC), remb: agreed(REMB), ccfb: agreed(CCFB) }
}

/// H264's `sprop-parameter-sets` (RFC 6184 §8.1).
fn parameter_sets(format: &OfferedFormat) -> Vec<Vec<u8>> {
    let parameters = format.fmtp.as_deref().unwrap_or_default().split(';');
    let sets = parameters.filter_map(|parameter| parameter.trim().strip_prefix("sprop-parameter-sets="));
    sets.flat_map(|sets| sets.split(',')).filter_map(|set| BASE64_STANDARD.decode(set).ok()).collect()
}

fn keyframe_request(media: &NegotiatedMedia) -> Option<KeyframeRequest> {
    let agreed = |name: &str| media.feedback.iter().any(|feedback| feedback == name);
    KEYFRAME_FEEDBACK.iter().find(|(name, _)| agreed(name)).map(|(_, request)| *request)
}
