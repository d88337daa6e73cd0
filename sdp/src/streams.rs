//! The RTP streams that an m-section names: `a=ssrc` and `a=ssrc-group` (RFC 5576 §4).

use oneport_rtp::ids::Ssrc;

use crate::media::Attributes;

/// Most SSRCs that are kept of an m-section, and most groups: simulcast with RTX has six and four.
const MAX_SSRCS: usize = 64;

/// What the SSRCs of an `a=ssrc-group` are to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Semantics {
    /// `FID`: the second repeats what was lost of the first (RFC 4588).
    Fid,
    /// `FEC-FR`: the second repairs the first (RFC 5956).
    FecFr,
    /// `SIM`: simulcast layers, as it was before RFC 8853.
    Sim,
}

impl Semantics {
    fn from_name(name: &str) -> Option<Semantics> {
        match name {
            "FID" => Some(Semantics::Fid),
            "FEC-FR" => Some(Semantics::FecFr),
            "SIM" => Some(Semantics::Sim),
            _ => None,
        }
    }
}

/// The groups of known semantics with their SSRCs, in the offer's order; those without any are left out.
pub(crate) fn groups(attributes: Attributes<'_>) -> Vec<(Semantics, Vec<Ssrc>)> {
    let group = |value: &str| {
        let mut words = value.split_whitespace();
        let semantics = Semantics::from_name(words.next()?)?;
        let ssrcs: Vec<Ssrc> = words.filter_map(|ssrc| ssrc.parse().ok()).map(Ssrc).take(MAX_SSRCS).collect();
        (!ssrcs.is_empty()).then_some((semantics, ssrcs))
    };
    attributes.values("ssrc-group").filter_map(group).take(MAX_SSRCS).collect()
}

/// SSRCs of media in the offer's order, without those that repair another one.
pub(crate) fn ssrcs(attributes: Attributes<'_>, groups: &[(Semantics, Vec<Ssrc>)]) -> Vec<Ssrc> {
    let repairing = groups.iter().filter(|(semantics, _)| *semantics != Semantics::Sim);
    let repair: Vec<Ssrc> = repairing.flat_map(|(_, ssrcs)| ssrcs.iter().skip(1)).copied().collect();
    let mut kept = Vec::new();
    for value in attributes.values("ssrc") {
        let ssrc = value.split_whitespace().next().and_then(|ssrc| ssrc.parse().ok()).map(Ssrc);
        let Some(ssrc) = ssrc else { continue };
        if kept.len() < MAX_SSRCS && !kept.contains(&ssrc) && !repair.contains(&ssrc) {
            kept.push(ssrc);
        }
    }
    kept
}
