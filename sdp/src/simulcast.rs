//! Simulcast (RFC 8853) of a publisher: `a=rid` (RFC 8851) and `a=simulcast` of an offer, the layers that are accepted, and the lines
//! that say so. Of the older way, `a=ssrc-group:SIM`, only the layers are known: it has no answer.
//!
//! Limits within an `a=rid`, such as `max-width`, are the publisher's own; they bind it without being repeated.

use std::fmt;

use oneport_rtp::ids::{PayloadType, Rid, Ssrc};

use crate::media::{Attributes, Direction, OfferedFormat, OfferedMedia};
use crate::streams::Semantics;

/// Most layers of a track, and most alternatives of one layer. Browsers send three.
pub const MAX_LAYERS: usize = 8;
/// Most `a=rid` lines that are read of an m-section.
const MAX_RIDS: usize = 32;

/// An `a=rid` line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OfferedRid {
    /// The identifier.
    pub rid: Rid,
    /// `sendonly` for `send` and `recvonly` for `recv`, as the client sees it.
    pub direction: Direction,
    /// The payload types that its `pt=` allows; any where there are none.
    pub payload_types: Vec<PayloadType>,
}

/// One of the encodings among which a sender chooses for a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Alternative {
    /// Its identifier.
    pub rid: Rid,
    /// `~`: it is not sent at first.
    pub paused: bool,
}

impl fmt::Display for Alternative {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", if self.paused { "~" } else { "" }, self.rid)
    }
}

/// What tells a layer of a publisher's track from the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layer {
    /// Its RID (RFC 8852).
    Rid(Rid),
    /// Its SSRC, from `a=ssrc-group:SIM`.
    Ssrc(Ssrc),
}

/// Simulcast that both sides have agreed on.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Simulcast {
    /// The accepted `a=rid` lines, each with the payload types that are left of its own.
    pub rids: Vec<OfferedRid>,
    /// The accepted layers in the offer's order, each with its alternatives.
    pub streams: Vec<Vec<Alternative>>,
}

impl Simulcast {
    /// What is accepted of an offer with these formats: RFC 8853 §5.3.2. `None` if no layer is left.
    pub(crate) fn accepted(media: &OfferedMedia, formats: &[OfferedFormat]) -> Option<Simulcast> {
        let mut accepted = Simulcast::default();
        for stream in &media.simulcast {
            let mut alternatives = Vec::new();
            for alternative in stream {
                let Some(rid) = accepted_rid(media, alternative.rid, formats) else { continue };
                if !accepted.rids.contains(&rid) {
                    accepted.rids.push(rid);
                    alternatives.push(*alternative);
                }
            }
            if !alternatives.is_empty() {
                accepted.streams.push(alternatives);
            }
        }
        (!accepted.streams.is_empty()).then_some(accepted)
    }

    /// The first alternative of each layer.
    pub(crate) fn layers(&self) -> Vec<Layer> {
        self.streams.iter().filter_map(|stream| stream.first()).map(|first| Layer::Rid(first.rid)).collect()
    }
}

/// The value of an `a=simulcast` that receives this.
impl fmt::Display for Simulcast {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |stream: &Vec<Alternative>| stream.iter().map(Alternative::to_string).collect::<Vec<_>>().join(",");
        let streams: Vec<String> = self.streams.iter().map(list).collect();
        write!(f, "recv {}", streams.join(";"))
    }
}

/// The rid's line, if it sends and has a payload type that is accepted.
fn accepted_rid(media: &OfferedMedia, rid: Rid, formats: &[OfferedFormat]) -> Option<OfferedRid> {
    let mut found = media.rids.iter().find(|line| line.rid == rid && line.direction.sends())?.clone();
    if !found.payload_types.is_empty() {
        found.payload_types.retain(|number| formats.iter().any(|format| format.payload_type == *number));
        if found.payload_types.is_empty() {
            return None;
        }
    }
    Some(found)
}

/// The layers of the first `a=ssrc-group:SIM`.
pub(crate) fn layers_by_ssrc(media: &OfferedMedia) -> Vec<Layer> {
    let group = media.ssrc_groups.iter().find(|(semantics, _)| *semantics == Semantics::Sim);
    let mut layers: Vec<Layer> = Vec::new();
    for layer in group.into_iter().flat_map(|(_, ssrcs)| ssrcs).map(|ssrc| Layer::Ssrc(*ssrc)) {
        if layers.len() < MAX_LAYERS && !layers.contains(&layer) {
            layers.push(layer);
        }
    }
    layers
}

/// The `a=rid` lines that can be understood, each identifier once.
pub(crate) fn rids(attributes: Attributes<'_>) -> Vec<OfferedRid> {
    let mut kept: Vec<OfferedRid> = Vec::new();
    for line in attributes.values("rid").filter_map(offered_rid) {
        if kept.len() < MAX_RIDS && !kept.iter().any(|other| other.rid == line.rid) {
            kept.push(line);
        }
    }
    kept
}

/// `h send pt=96,97;max-width=1280`
fn offered_rid(value: &str) -> Option<OfferedRid> {
    let mut words = value.splitn(3, char::is_whitespace);
    let rid = identifier(words.next()?)?;
    let direction = match words.next()?.to_ascii_lowercase().as_str() {
        "send" => Direction::SendOnly,
        "recv" => Direction::RecvOnly,
        _ => return None,
    };
    let restrictions = words.next().unwrap_or_default().split(';').map(str::trim);
    let allowed = restrictions.filter_map(|restriction| restriction.strip_prefix("pt=")).next().unwrap_or_default();
    let numbers = allowed.split(',').filter_map(|number| number.trim().parse().ok()).take(128);
    Some(OfferedRid { rid, direction, payload_types: numbers.map(PayloadType).collect() })
}

/// What the first `a=simulcast` sends: layers with `;` between, alternatives with `,`. Drafts of the RFC had `rid=` before the list.
pub(crate) fn sent(attributes: Attributes<'_>) -> Vec<Vec<Alternative>> {
    let Some(value) = attributes.value("simulcast") else { return Vec::new() };
    let words: Vec<&str> = value.split_whitespace().take(4).collect();
    let list = words.chunks_exact(2).find_map(|pair| match pair {
        [direction, list] => direction.eq_ignore_ascii_case("send").then_some(*list),
        _ => None,
    });
    let list = list.unwrap_or_default();
    let streams = list.strip_prefix("rid=").unwrap_or(list).split(';').map(alternatives);
    streams.filter(|stream| !stream.is_empty()).take(MAX_LAYERS).collect()
}

fn alternatives(stream: &str) -> Vec<Alternative> {
    let alternative = |text: &str| {
        let name = text.strip_prefix('~');
        Some(Alternative { rid: identifier(name.unwrap_or(text))?, paused: name.is_some() })
    };
    stream.split(',').filter_map(alternative).take(MAX_LAYERS).collect()
}

/// RFC 8851 §10, with the characters that RFC 8852 §3.3 leaves of them and those that Chromium allows.
fn identifier(text: &str) -> Option<Rid> {
    let allowed = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    Rid::new(text.as_bytes()).filter(|_| allowed)
}
