//! The offer as a whole: what stands at session level (RFC 8866 §5), the BUNDLE group (RFC 9143) and the m-sections.

use oneport_rtp::ids::Mid;
use sdp_types::Session;

use crate::media::{Attributes, OfferedMedia, Shared};
use crate::remote_candidate::{self, MAX_CANDIDATES, RemoteCandidate};
use crate::text::{self, Parsed, SdpError};

/// Longest offer that is read, in bytes. The longest of a browser has about 8 KiB.
pub const MAX_OFFER: usize = 64 * 1024;
/// Most m-sections of an offer.
pub const MAX_SECTIONS: usize = 32;

/// A parsed offer.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Offer {
    /// The m-sections in the offer's order, including those that will be refused.
    pub media: Vec<OfferedMedia>,
    /// The mids of the first `a=group:BUNDLE`; `None` without one.
    pub bundle: Option<Vec<Mid>>,
    /// The line number of `a=ice-lite`, from 1: the client only answers connectivity checks.
    pub ice_lite: Option<usize>,
    /// `a=ice-options:ice2`, for the session or a section: the client follows RFC 8445.
    pub ice2: bool,
    /// `a=extmap-allow-mixed` at session level.
    pub extmap_allow_mixed: bool,
    candidates: Vec<RemoteCandidate>,
}

impl Offer {
    /// Reads an offer, as liberally as real clients need it.
    pub fn parse(text: &str) -> Result<Offer, SdpError> {
        let Parsed { session, m_lines } = text::parse(text)?;
        if session.medias.is_empty() {
            return Err(SdpError::NoMedia);
        }
        let shared = Shared::of(&session);
        let sections = session.medias.iter().zip(m_lines).enumerate();
        let media = sections.map(|(index, (media, line))| OfferedMedia::read(index, line, media, &shared));
        Ok(Offer {
            media: media.collect(),
            bundle: bundle_of(&session),
            ice_lite: session.has_attribute("ice-lite").then(|| line_of(text, "a=ice-lite")),
            ice2: levels(&session).any(offers_ice2),
            candidates: levels(&session).flat_map(remote_candidate::read).take(MAX_CANDIDATES).collect(),
            extmap_allow_mixed: session.has_attribute("extmap-allow-mixed"),
        })
    }

    /// The client's candidates, of all m-sections.
    pub fn candidates(&self) -> &[RemoteCandidate] {
        &self.candidates
    }

    /// The client's user fragment, if there is one that can be used: the first section's.
    pub fn ice_ufrag(&self) -> Option<&str> {
        self.media.iter().find_map(|media| media.transport.ice.as_ref()).map(|(ufrag, _)| ufrag.as_str())
    }

    /// Whether the client wants this m-section in its bundle.
    pub(crate) fn bundles(&self, media: &OfferedMedia) -> bool {
        match (&self.bundle, media.mid) {
            (Some(mids), Some(mid)) => mids.contains(&mid),
            _ => false,
        }
    }
}

/// The attributes of the session, then those of each m-section.
fn levels(session: &Session) -> impl Iterator<Item = Attributes<'_>> {
    let sections = session.medias.iter().map(|media| Attributes(&media.attributes));
    std::iter::once(Attributes(&session.attributes)).chain(sections)
}

/// RFC 8839 §5.6. libdatachannel writes a comma where a space belongs.
fn offers_ice2(attributes: Attributes<'_>) -> bool {
    let options = attributes.values("ice-options").flat_map(|options| options.split([',', ' ', '\t']));
    options.into_iter().any(|option| option == "ice2")
}

/// The number of the first line that begins so, from 1.
fn line_of(text: &str, prefix: &str) -> usize {
    1 + text.split('\n').take_while(|line| !line.starts_with(prefix)).count()
}

/// The first BUNDLE group. Groups of other semantics (`LS`, RFC 5888 §7) ask for nothing of a forwarder.
fn bundle_of(session: &Session) -> Option<Vec<Mid>> {
    session.get_attribute_values("group").flatten().find_map(|value| {
        let mut words = value.split_whitespace();
        let bundle = words.next()?.eq_ignore_ascii_case("BUNDLE");
        bundle.then(|| words.filter_map(|mid| Mid::new(mid.as_bytes())).take(MAX_SECTIONS).collect())
    })
}
