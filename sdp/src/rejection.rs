//! Why an offer is turned away. Each sentence is meant for the person who wrote the client or set it up.

use std::fmt;

use oneport_rtp::ids::Mid;
use oneport_rtp::payload::{Codec, Format, MediaKind, Variant};

use crate::media::{Direction, OfferedMedia};
use crate::offer::Offer;

/// Most items of a list that are named.
const LISTED: usize = 16;
/// How much of one item is repeated to the client.
const QUOTED: usize = 64;

/// Which m-section a rejection is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    /// Position in the offer, from 0.
    pub index: usize,
    /// Line number of its m-line, from 1.
    pub line: usize,
    /// The first word of its m-line.
    pub kind: String,
    /// `a=mid`
    pub mid: Option<Mid>,
}

impl Section {
    pub(crate) fn of(media: &OfferedMedia) -> Section {
        Section { index: media.index, line: media.line, kind: media.kind.to_string(), mid: media.mid }
    }

    pub(crate) fn all_of(offer: &Offer) -> Vec<Section> {
        offer.media.iter().map(Section::of).collect()
    }
}

impl fmt::Display for Section {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "m-section {} ({}, ", self.index, quoted(&self.kind))?;
        match self.mid {
            Some(mid) => write!(f, "mid {mid}, ")?,
            None => f.write_str("no mid, ")?,
        }
        write!(f, "line {})", self.line)
    }
}

/// Why an offer cannot be answered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[allow(missing_docs, reason = "each variant's sentence says what it and its fields are")]
pub enum Rejection {
    #[error("{section} is {offered}, but to {purpose} the offer has to say {wanted}", offered = offered.as_str())]
    WrongDirection { section: Section, offered: Direction, purpose: &'static str, wanted: &'static str },

    #[error("{section} uses the transport {}; only UDP/TLS/RTP/SAVPF is served", quoted(protocol))]
    Protocol { section: Section, protocol: String },

    #[error(
        "{section} does not say which certificate the client will show: it has no a=fingerprint with sha-256, sha-384 or \
         sha-512, and neither has the session"
    )]
    NoFingerprint { section: Section },

    #[error("{section} has no a=ice-ufrag and a=ice-pwd that can be used, and neither has the session")]
    NoIceCredentials { section: Section },

    #[error("line {line} of the offer says a=ice-lite, as this server does; one side has to be a full ICE agent")]
    IceLite { line: usize },

    #[error("{section} has no a=rtcp-mux; RTP and RTCP share one port here")]
    NoRtcpMux { section: Section },

    #[error("{section} is not in the a=group:BUNDLE of the other m-sections; all media use one transport here")]
    NotBundled { section: Section },

    #[error("{section} is a second {kind} section; a session carries at most one audio and one video")]
    SecondOfKind { section: Section, kind: MediaKind },

    #[error("{section} has a=setup:{}; an offer says actpass, active or passive", quoted(offered))]
    BadSetup { section: Section, offered: String },

    #[error(
        "{section} offers no {kind} codec (encoder) that is accepted here: offered are {}, accepted are {}",
        list(offered),
        list(ours)
    )]
    NoCommonCodec { section: Section, kind: MediaKind, offered: Vec<String>, ours: Vec<Codec> },

    #[error(
        "{section} cannot take the {kind} that is published, which is {}: offered are {}",
        in_words(published),
        list(offered)
    )]
    CodecNotOffered { section: Section, kind: MediaKind, published: Format, offered: Vec<String> },

    #[error(
        "{section} may not be sent the {kind} that is published, which is {published}: allowed here, or by the request, are {}; \
         offered are {}",
        list(ours),
        list(offered)
    )]
    CodecNotAllowed { section: Section, kind: MediaKind, published: Codec, offered: Vec<String>, ours: Vec<Codec> },

    #[error("the stream has {}, of which the offer asks for nothing: it has {}", list(published), list(sections))]
    NothingOffered { published: Vec<MediaKind>, sections: Vec<Section> },

    #[error("the offer has neither audio nor video that is turned on: it has {}", list(sections))]
    NothingUsable { sections: Vec<Section> },

    #[error("the answer has {answered} m-sections, and the server's offer has {offered}")]
    OtherSections { offered: usize, answered: usize },

    #[error("{section} of the answer is not the offer's: it has another kind, mid or payload type")]
    OtherSection { section: Section },

    #[error("{section} has a=setup:actpass; an answer says active or passive")]
    UndecidedSetup { section: Section },
}

impl Rejection {
    /// The published format that none of the section's takes. Where the codec itself was offered, its variants are named.
    pub(crate) fn codec_not_offered(media: &OfferedMedia, kind: MediaKind, published: &Format) -> Rejection {
        let is_published = |name: &String| name.eq_ignore_ascii_case(published.codec.encoding_name());
        let mut offered = media.codec_names.clone();
        offered.retain(|name| !is_published(name));
        for format in media.formats.iter().filter(|offered| offered.format.codec == published.codec) {
            let words = in_words(&format.format);
            if !offered.contains(&words) {
                offered.push(words);
            }
        }
        Rejection::CodecNotOffered { section: Section::of(media), kind, published: *published, offered }
    }
}

/// The codec, with what tells its variants apart.
fn in_words(format: &Format) -> String {
    let codec = format.codec;
    match format.variant {
        Variant::Plain => codec.to_string(),
        Variant::H264 { packetization_mode, .. } => format!("{codec} with packetization-mode {packetization_mode}"),
        Variant::Profile(profile) => format!("{codec} with profile {profile}"),
        Variant::Tiered { profile, tier, level } => {
            format!("{codec} with profile {profile}, tier {tier} and level {level}")
        }
    }
}

/// The items with commas between, "none" when there are none. Of many the last are not named.
pub(crate) fn list<T: fmt::Display>(items: &[T]) -> String {
    if items.is_empty() {
        return "none".to_owned();
    }
    let mut named: Vec<String> = items.iter().take(LISTED).map(|item| quoted(&item.to_string())).collect();
    if items.len() > LISTED {
        named.push(format!("{} more", items.len() - LISTED));
    }
    named.join(", ")
}

/// What a client wrote, fit to be shown: not longer than a line and without control characters.
fn quoted(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(QUOTED).collect()
}
