//! What this server can do, and what it and a client have agreed on.

use oneport_rtp::ids::{Mid, Ssrc};
use oneport_rtp::payload::Codec;

use crate::media::{Direction, Kind, OfferedExtension, OfferedFormat};
use crate::simulcast::{Layer, Simulcast};
use crate::streams::Semantics;
use crate::transport::{OfferedFingerprint, Setup};

/// What this server takes part in.
#[derive(Debug, Clone, Default)]
pub struct Capabilities {
    /// The codecs that are accepted, the preferred ones first. RED is answered along with Opus only.
    pub codecs: Vec<Codec>,
    /// URIs of the header extensions that are honoured.
    pub extensions: Vec<&'static str>,
    /// RTCP feedback for audio, such as `transport-cc`.
    pub audio_feedback: Vec<&'static str>,
    /// RTCP feedback for video, such as `nack pli` and `ccm fir`.
    pub video_feedback: Vec<&'static str>,
    /// Retransmissions in a stream of their own (RFC 4588).
    pub rtx: bool,
    /// A publisher may send its video in several layers (RFC 8853).
    pub simulcast: bool,
    /// Data channels (RFC 8841): the largest message that is taken, in bytes.
    pub max_message_size: Option<u32>,
    /// What a publisher is told of the bitrate of its video.
    pub bitrates: Option<Bitrates>,
}

/// Bounds of a video encoder, in kbit/s. What is not given is left to the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Bitrates {
    /// It does not go below this while there is room.
    pub min_kbps: Option<u32>,
    /// It begins with this.
    pub start_kbps: Option<u32>,
    /// It never goes above this.
    pub max_kbps: Option<u32>,
}

impl Bitrates {
    /// What does not fit together: the name of the value that is too low, and the sentence.
    pub fn fault(&self) -> Option<(&'static str, String)> {
        let above = |low: Option<u32>, high: Option<u32>| low.zip(high).filter(|(low, high)| low > high);
        let start = above(self.min_kbps, self.start_kbps)
            .map(|(min, start)| ("video_start_kbps", format!("{start} is less than video_min_kbps, which is {min}")));
        let max = above(self.min_kbps.max(self.start_kbps), self.max_kbps).map(|(low, max)| {
            ("video_max_kbps", format!("{max} is less than video_min_kbps or video_start_kbps, which is {low}"))
        });
        start.or(max)
    }
}

/// What both sides have agreed on.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Negotiated {
    /// The client's user fragment.
    pub ice_ufrag: String,
    /// The client's ICE password.
    pub ice_pwd: String,
    /// Hashes of which the client's certificate has to match one.
    pub fingerprints: Vec<OfferedFingerprint>,
    /// Our DTLS role.
    pub setup: Setup,
    /// One for each m-section of the offer, in its order.
    pub media: Vec<NegotiatedMedia>,
    /// The accepted mids, if the offer has a BUNDLE group.
    pub bundle: Option<Vec<Mid>>,
    /// `a=extmap-allow-mixed` was offered at session level.
    pub extmap_allow_mixed: bool,
    /// `a=ice-options:ice2` was offered (RFC 8445 §10).
    pub ice2: bool,
}

/// What has been agreed on for one m-section.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct NegotiatedMedia {
    /// Audio, video or something else.
    pub kind: Kind,
    /// `a=mid` of the offer.
    pub mid: Option<Mid>,
    /// What is answered for a section of data channels: the largest message that is taken, in bytes.
    pub max_message_size: Option<u32>,
    /// Whether the section is used; otherwise it is answered with port 0.
    pub accepted: bool,
    /// The accepted formats, the preferred one first.
    pub formats: Vec<OfferedFormat>,
    /// The accepted header extensions with the offer's identifiers and directions.
    pub extensions: Vec<OfferedExtension>,
    /// SSRCs that the client announced for media.
    pub ssrcs: Vec<Ssrc>,
    /// `a=ssrc-group` of the offer, with their SSRCs: the second of a FID group retransmits the first.
    pub ssrc_groups: Vec<(Semantics, Vec<Ssrc>)>,
    /// What is answered of `a=rid` and `a=simulcast`; `None` where there is no simulcast, or only that of `a=ssrc-group:SIM`.
    pub simulcast: Option<Simulcast>,
    /// The layers of a publisher's track in the order of the answer; empty for a track with one source.
    pub layers: Vec<Layer>,
    /// What a publisher is told of the bitrate of its video.
    pub bitrates: Option<Bitrates>,
    /// RTCP feedback that both sides have.
    pub feedback: Vec<String>,
    /// Direction of the answer.
    pub direction: Direction,
    /// Transport protocol of the m-line.
    pub protocol: String,
    /// The offered m-line's format list, repeated when the section is refused.
    pub format_list: String,
    /// `a=rtcp-rsize` was offered.
    pub rtcp_rsize: bool,
    /// `a=extmap-allow-mixed` was offered in the section.
    pub extmap_allow_mixed: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bit_rates_must_not_cross() {
        let fault =
            |min_kbps, start_kbps, max_kbps| Bitrates { min_kbps, start_kbps, max_kbps }.fault().map(|(name, _)| name);
        assert_eq!(fault(None, None, None), None);
        assert_eq!(fault(Some(1), Some(1), Some(1)), None);
        assert_eq!(fault(Some(2), Some(1), None), Some("video_start_kbps"));
        assert_eq!(fault(Some(2), None, Some(1)), Some("video_max_kbps"));
        assert_eq!(fault(None, Some(2), Some(1)), Some("video_max_kbps"));
        assert_eq!(fault(None, Some(2), Some(3)), None);
    }
}
