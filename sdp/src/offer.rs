//! The offer as a whole: what stands at session level (RFC 8866 §5), the BUNDLE group (RFC 9143) and the m-sections.

use oneport_rtp::ids::Mid;
use sdp_types::Session;

use crate::media::{OfferedMedia, Shared};
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
    /// `a=ice-lite`: the client only answers connectivity checks.
    pub ice_lite: bool,
    /// `a=extmap-allow-mixed` at session level.
    pub extmap_allow_mixed: bool,
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
            ice_lite: session.has_attribute("ice-lite"),
            extmap_allow_mixed: session.has_attribute("extmap-allow-mixed"),
        })
    }

    /// Whether the client wants this m-section in its bundle.
    pub(crate) fn bundles(&self, media: &OfferedMedia) -> bool {
        match (&self.bundle, media.mid) {
            (Some(mids), Some(mid)) => mids.contains(&mid),
            _ => false,
        }
    }
}

/// The first BUNDLE group. Groups of other semantics (`LS`, RFC 5888 §7) ask for nothing of a forwarder.
fn bundle_of(session: &Session) -> Option<Vec<Mid>> {
    session.get_attribute_values("group").flatten().find_map(|value| {
        let mut words = value.split_whitespace();
        let bundle = words.next()?.eq_ignore_ascii_case("BUNDLE");
        bundle.then(|| words.filter_map(|mid| Mid::new(mid.as_bytes())).take(MAX_SECTIONS).collect())
    })
}
