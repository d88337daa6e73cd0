//! Offer and capabilities to answer (RFC 3264 §6, RFC 9429 §5.3.1), once for publishing and once for playing.
//!
//! An offer is answered whole or not at all: a client that learns from a status code what is missing is better off than one
//! that is left with half of its media.

use oneport_rtp::payload::{Codec, Format, MediaKind, Variant};

use crate::conclude::conclude;
use crate::fmtp::Parameters;
use crate::media::{Direction, OfferedFormat, OfferedMedia};
use crate::negotiated::{Capabilities, Negotiated};
use crate::offer::Offer;
use crate::rejection::{Rejection, Section};

/// What clients write that mean UDP/TLS/RTP/SAVPF (RFC 9429 §5.1.2). Which of them it is makes no difference: without a
/// fingerprint an offer is turned away.
const PROTOCOLS: [&str; 8] = [
    "UDP/TLS/RTP/SAVPF",
    "UDP/TLS/RTP/SAVP",
    "TCP/DTLS/RTP/SAVPF",
    "TCP/DTLS/RTP/SAVP",
    "RTP/SAVPF",
    "RTP/SAVP",
    "RTP/AVPF",
    "RTP/AVP",
];

/// Agrees on what a publisher sends: one format for each m-section, the first of our codecs that the offer has, and RED with Opus.
pub fn negotiate_publish(offer: &Offer, ours: &Capabilities) -> Result<Negotiated, Rejection> {
    let chosen = choose(offer, Role::Publish, |media, kind| {
        let mut formats = common(media, ours);
        formats.truncate(1);
        if formats.is_empty() {
            return Err(no_common_codec(media, kind, ours));
        }
        add_redundancy(&mut formats, media, ours);
        Ok(formats)
    })?;
    conclude(offer, ours, Role::Publish, chosen)
}

/// Agrees on what a viewer receives: every format that both sides have, with those first that take what is published, and then in
/// the order of our codecs.
pub fn negotiate_play(offer: &Offer, ours: &Capabilities, published: &[Format]) -> Result<Negotiated, Rejection> {
    let chosen = choose(offer, Role::Play, |media, kind| playable(media, kind, ours, published))?;
    let asks_for = |kind: &MediaKind| chosen.iter().flatten().any(|choice| choice.kind == *kind);
    let has = |kind: &MediaKind| published.iter().any(|format| format.codec.kind() == *kind);
    let kinds: Vec<MediaKind> = [MediaKind::Audio, MediaKind::Video].into_iter().filter(has).collect();
    if !kinds.is_empty() && chosen.iter().any(Option::is_some) && !kinds.iter().any(asks_for) {
        return Err(Rejection::NothingOffered { published: kinds, sections: Section::all_of(offer) });
    }
    conclude(offer, ours, Role::Play, chosen)
}

/// Agrees on what a client gets back: every format that both sides have, in the offer's order.
pub fn negotiate_echo(offer: &Offer, ours: &Capabilities) -> Result<Negotiated, Rejection> {
    let chosen = choose(offer, Role::Echo, |media, kind| {
        let formats: Vec<OfferedFormat> =
            media.formats.iter().filter(|format| ours.codecs.contains(&format.format.codec)).cloned().collect();
        if formats.is_empty() { Err(no_common_codec(media, kind, ours)) } else { Ok(formats) }
    })?;
    conclude(offer, ours, Role::Echo, chosen)
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    Publish,
    Play,
    Echo,
}

impl Role {
    /// Direction of an accepted section's answer.
    pub(crate) fn answer(self) -> Direction {
        match self {
            Role::Publish => Direction::RecvOnly,
            Role::Play => Direction::SendOnly,
            Role::Echo => Direction::SendRecv,
        }
    }

    /// Whether the offered direction has the client do what the role is about.
    pub(crate) fn suits(self, offered: Direction) -> bool {
        match self {
            Role::Publish => offered.sends(),
            Role::Play => offered.receives(),
            Role::Echo => offered.sends() && offered.receives(),
        }
    }

    fn wrong_direction(self, media: &OfferedMedia) -> Rejection {
        let (purpose, wanted) = match self {
            Role::Publish => ("publish", "sendonly or sendrecv"),
            Role::Play => ("play", "recvonly or sendrecv"),
            Role::Echo => ("echo", "sendrecv"),
        };
        Rejection::WrongDirection { section: Section::of(media), offered: media.direction, purpose, wanted }
    }
}

/// The formats that were chosen for a section that is accepted.
pub(crate) struct Choice {
    pub(crate) kind: MediaKind,
    pub(crate) formats: Vec<OfferedFormat>,
}

/// Goes through the sections: `None` for one that is refused. No formats from `formats_of` refuse the section alone.
fn choose(
    offer: &Offer,
    role: Role,
    formats_of: impl Fn(&OfferedMedia, MediaKind) -> Result<Vec<OfferedFormat>, Rejection>,
) -> Result<Vec<Option<Choice>>, Rejection> {
    let mut chosen = Vec::with_capacity(offer.media.len());
    let mut taken: Vec<MediaKind> = Vec::new();
    for media in &offer.media {
        let kind = media.kind.media().filter(|_| !media.disabled);
        let Some(kind) = kind else {
            chosen.push(None);
            continue;
        };
        check_section(media, role)?;
        if taken.contains(&kind) {
            return Err(Rejection::SecondOfKind { section: Section::of(media), kind });
        }
        taken.push(kind);
        let formats = formats_of(media, kind)?;
        chosen.push((!formats.is_empty()).then_some(Choice { kind, formats }));
    }
    Ok(chosen)
}

fn check_section(media: &OfferedMedia, role: Role) -> Result<(), Rejection> {
    if !role.suits(media.direction) {
        return Err(role.wrong_direction(media));
    }
    if !PROTOCOLS.iter().any(|protocol| protocol.eq_ignore_ascii_case(&media.protocol)) {
        return Err(Rejection::Protocol { section: Section::of(media), protocol: media.protocol.clone() });
    }
    if !media.rtcp_mux {
        return Err(Rejection::NoRtcpMux { section: Section::of(media) });
    }
    Ok(())
}

/// The offered formats whose codec is accepted here, in the order of our codecs. Among those of one codec the offer's order holds, but
/// H264's packetization mode 1 comes before mode 0, which not every encoder can keep to.
fn common(media: &OfferedMedia, ours: &Capabilities) -> Vec<OfferedFormat> {
    let rank = |offered: &OfferedFormat| {
        let codec = ours.codecs.iter().position(|codec| *codec == offered.format.codec)?;
        let mode_0 = matches!(offered.format.variant, Variant::H264 { packetization_mode: 0, .. });
        Some((codec, mode_0))
    };
    let primary = media.formats.iter().filter(|offered| offered.format.codec != Codec::Red);
    let mut ranked: Vec<_> = primary.filter_map(|offered| Some((rank(offered)?, offered))).collect();
    ranked.sort_by_key(|(rank, _)| *rank);
    ranked.into_iter().map(|(_, offered)| offered.clone()).collect()
}

/// Adds the RED formats that repeat nothing but what is among the formats. Behind them, as a browser that finds RED first sends
/// nothing else.
fn add_redundancy(formats: &mut Vec<OfferedFormat>, media: &OfferedMedia, ours: &Capabilities) {
    let red = media.formats.iter().filter(|offered| offered.format.codec == Codec::Red);
    for offered in red.filter(|_| ours.codecs.contains(&Codec::Red)) {
        let carried = Parameters(offered.fmtp.as_deref().unwrap_or_default()).redundant();
        let is_opus = |format: &OfferedFormat| format.format.codec == Codec::Opus;
        let taken = |number| formats.iter().any(|format| format.payload_type == number && is_opus(format));
        if !carried.is_empty() && carried.iter().all(|number| taken(*number)) {
            formats.push(offered.clone());
        }
    }
}

fn no_common_codec(media: &OfferedMedia, kind: MediaKind, ours: &Capabilities) -> Rejection {
    let ours = primary_codecs(ours, kind);
    Rejection::NoCommonCodec { section: Section::of(media), kind, offered: media.codec_names.clone(), ours }
}

fn codec_not_allowed(media: &OfferedMedia, kind: MediaKind, ours: &Capabilities, published: Codec) -> Rejection {
    let (offered, ours) = (media.codec_names.clone(), primary_codecs(ours, kind));
    Rejection::CodecNotAllowed { section: Section::of(media), kind, published, offered, ours }
}

/// Our codecs of one kind, without RED, which is no choice of its own.
fn primary_codecs(ours: &Capabilities, kind: MediaKind) -> Vec<Codec> {
    let primary = ours.codecs.iter().copied().filter(|codec| *codec != Codec::Red);
    primary.filter(|codec| codec.kind() == kind).collect()
}

/// All common formats of a viewer's section, the best for what is published of its kind first.
fn playable(
    media: &OfferedMedia,
    kind: MediaKind,
    ours: &Capabilities,
    published: &[Format],
) -> Result<Vec<OfferedFormat>, Rejection> {
    let of_kind = |format: &&Format| format.codec.kind() == kind && format.codec != Codec::Red;
    let sent: Vec<&Format> = published.iter().filter(of_kind).collect();
    let fitness = |offered: &OfferedFormat| sent.iter().filter_map(|sent| offered.format.fitness_for(sent)).min();
    let mut formats = common(media, ours);
    if let Some(first) = sent.first() {
        if !formats.iter().any(|offered| fitness(offered).is_some()) {
            let allowed = sent.iter().any(|sent| ours.codecs.contains(&sent.codec));
            return Err(if allowed {
                Rejection::codec_not_offered(media, kind, first)
            } else {
                codec_not_allowed(media, kind, ours, first.codec)
            });
        }
    } else if formats.is_empty() && published.is_empty() {
        return Err(no_common_codec(media, kind, ours));
    }
    formats.sort_by_key(|offered| fitness(offered).unwrap_or(u8::MAX));
    add_redundancy(&mut formats, media, ours);
    Ok(formats)
}
