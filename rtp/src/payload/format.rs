//! What an RTP payload type stands for, and which of a viewer's formats can take what a publisher sends.

use std::fmt;

/// Audio or video.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum MediaKind {
    /// An `m=audio` section.
    Audio,
    /// An `m=video` section.
    Video,
}

impl fmt::Display for MediaKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            MediaKind::Audio => "audio",
            MediaKind::Video => "video",
        })
    }
}

/// The codecs that are forwarded.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[allow(missing_docs, reason = "the names are the codecs' own")]
pub enum Codec {
    Opus,
    /// Redundant Opus (RFC 2198): each packet repeats earlier ones.
    Red,
    Pcmu,
    Pcma,
    Vp8,
    Vp9,
    H264,
    H265,
    Av1,
}

impl Codec {
    /// All of them, in the order in which lists of codecs are printed.
    pub const ALL: [Codec; 9] = [
        Codec::Opus,
        Codec::Red,
        Codec::Pcmu,
        Codec::Pcma,
        Codec::Vp8,
        Codec::Vp9,
        Codec::H264,
        Codec::H265,
        Codec::Av1,
    ];

    /// The codec of an `a=rtpmap` encoding name, whatever its case.
    pub fn from_encoding_name(name: &str) -> Option<Codec> {
        Codec::ALL.into_iter().find(|codec| codec.encoding_name().eq_ignore_ascii_case(name))
    }

    /// The name as registered with IANA.
    pub fn encoding_name(self) -> &'static str {
        match self {
            Codec::Opus => "opus",
            Codec::Red => "red",
            Codec::Pcmu => "PCMU",
            Codec::Pcma => "PCMA",
            Codec::Vp8 => "VP8",
            Codec::Vp9 => "VP9",
            Codec::H264 => "H264",
            Codec::H265 => "H265",
            Codec::Av1 => "AV1",
        }
    }

    /// Which kind of m-section the codec belongs in.
    pub fn kind(self) -> MediaKind {
        match self {
            Codec::Opus | Codec::Red | Codec::Pcmu | Codec::Pcma => MediaKind::Audio,
            _ => MediaKind::Video,
        }
    }
}

impl fmt::Display for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.encoding_name())
    }
}

/// H264 profiles that are told apart (RFC 6184 §8.1, table 5), the simplest first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[allow(missing_docs, reason = "the names are the standard's own")]
pub enum H264Profile {
    ConstrainedBaseline,
    Baseline,
    Main,
    Extended,
    ConstrainedHigh,
    High,
    /// High 10, 4:2:2, 4:4:4 and whatever else has a profile_idc of its own.
    Other(u8),
}

impl H264Profile {
    /// The profile of the first two bytes of `profile-level-id`: profile_idc and the constraint flags.
    pub fn from_idc(profile_idc: u8, constraints: u8) -> H264Profile {
        let set1 = constraints & 0x40 != 0;
        match profile_idc {
            0x42 if set1 => H264Profile::ConstrainedBaseline,
            0x42 => H264Profile::Baseline,
            0x4d if constraints & 0x80 != 0 => H264Profile::ConstrainedBaseline,
            0x4d => H264Profile::Main,
            0x58 if constraints & 0xc0 == 0xc0 => H264Profile::ConstrainedBaseline,
            0x58 => H264Profile::Extended,
            0x64 if constraints & 0x0c == 0x0c => H264Profile::ConstrainedHigh,
            0x64 => H264Profile::High,
            other => H264Profile::Other(other),
        }
    }
}

/// What tells formats of one codec apart where a decoder cares.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Variant {
    /// The codec has no such parameter, or it does not matter to a receiver.
    Plain,
    /// H264: profile and `packetization-mode` (0 or 1).
    H264 {
        /// From `profile-level-id`.
        profile: H264Profile,
        /// `packetization-mode`, 0 when it is not given.
        packetization_mode: u8,
    },
    /// A numbered profile: VP9 `profile-id`.
    Profile(u8),
    /// A profile, and how much of it: AV1 `profile`, `tier` and `level-idx`; H265 `profile-id`, `tier-flag` and `level-id`.
    Tiered {
        /// Which tools of the codec are used.
        profile: u8,
        /// 0 main, 1 high.
        tier: u8,
        /// How large and fast, in the codec's own numbers.
        level: u8,
    },
}

/// A payload format: what an `a=rtpmap` and its `a=fmtp` say, as far as forwarding depends on it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Format {
    /// The codec.
    pub codec: Codec,
    /// RTP clock rate in Hz.
    pub clock_rate: u32,
    /// What else a decoder cares about.
    pub variant: Variant,
}

impl Format {
    /// How well a receiver of this format can take what is sent as `sent`: `None` not at all, and the lower
    /// the better. An H264 receiver is taken at a better or, at the worst, another profile of the same
    /// packetization mode: browsers decode more profiles than they list, and a stream that they might not show is worth more
    /// to a viewer than a refusal. Packetization mode 1 receives mode 0 (RFC 6184 §8.1). The levels of AV1 and H265 are taken as
    /// leniently: a publisher names the most that it might send, and seldom sends it. Their profiles and tiers have to do. A receiver of
    /// Opus takes redundant Opus, of which it is given each packet's own block.
    pub fn fitness_for(&self, sent: &Format) -> Option<u8> {
        if (self.codec, sent.codec) == (Codec::Opus, Codec::Red) && self.clock_rate == sent.clock_rate {
            return Some(1);
        }
        if self.codec != sent.codec || self.clock_rate != sent.clock_rate {
            return None;
        }
        match (self.variant, sent.variant) {
            (
                Variant::H264 { profile, packetization_mode },
                Variant::H264 { profile: sent_profile, packetization_mode: sent_mode },
            ) => {
                if packetization_mode < sent_mode {
                    return None;
                }
                let mode_cost = packetization_mode - sent_mode;
                let profile_cost = match profile.cmp(&sent_profile) {
                    std::cmp::Ordering::Equal => 0,
                    std::cmp::Ordering::Greater => 2,
                    std::cmp::Ordering::Less => 4,
                };
                Some(mode_cost + profile_cost)
            }
            (
                Variant::Tiered { profile, tier, level },
                Variant::Tiered { profile: sent_profile, tier: sent_tier, level: sent_level },
            ) => {
                if profile != sent_profile || tier < sent_tier {
                    return None;
                }
                let level_cost = if level < sent_level { 2 } else { 0 };
                Some(level_cost + (tier - sent_tier).min(1))
            }
            (mine, theirs) => (mine == theirs).then_some(0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn h264(profile: H264Profile, packetization_mode: u8) -> Format {
        Format { codec: Codec::H264, clock_rate: 90_000, variant: Variant::H264 { profile, packetization_mode } }
    }

    #[test]
    fn constrained_baseline_has_three_spellings() {
        for (idc, flags) in [(0x42, 0xe0), (0x42, 0x40), (0x4d, 0x80), (0x58, 0xc0)] {
            assert_eq!(H264Profile::from_idc(idc, flags), H264Profile::ConstrainedBaseline);
        }
    }

    #[test]
    fn the_same_profile_fits_best_and_mode_1_receives_mode_0() {
        let sent = h264(H264Profile::Main, 0);
        let exact = h264(H264Profile::Main, 0).fitness_for(&sent);
        let mode_1 = h264(H264Profile::Main, 1).fitness_for(&sent);
        let higher = h264(H264Profile::High, 0).fitness_for(&sent);
        let lower = h264(H264Profile::ConstrainedBaseline, 0).fitness_for(&sent);
        assert!(exact < mode_1 && mode_1 < higher && higher < lower);
        assert!(exact.is_some());
        assert_eq!(h264(H264Profile::Main, 0).fitness_for(&h264(H264Profile::Main, 1)), None);
    }

    #[test]
    fn a_tier_has_to_do_and_a_level_counts_for_less() {
        let av1 = |profile, tier, level| {
            let variant = Variant::Tiered { profile, tier, level };
            Format { codec: Codec::Av1, clock_rate: 90_000, variant }
        };
        let sent = av1(0, 0, 8);
        let exact = av1(0, 0, 8).fitness_for(&sent);
        let high_tier = av1(0, 1, 9).fitness_for(&sent);
        let low_level = av1(0, 0, 5).fitness_for(&sent);
        assert!(exact.is_some() && exact < high_tier && high_tier < low_level);
        assert_eq!(av1(1, 0, 8).fitness_for(&sent), None);
        assert_eq!(av1(0, 0, 8).fitness_for(&av1(0, 1, 8)), None);
    }

    #[test]
    fn plain_opus_takes_redundant_opus_and_not_the_other_way_round() {
        let audio = |codec| Format { codec, clock_rate: 48_000, variant: Variant::Plain };
        let (opus, red) = (audio(Codec::Opus), audio(Codec::Red));
        assert!(red.fitness_for(&red) < opus.fitness_for(&red));
        assert_eq!(red.fitness_for(&opus), None);
    }

    #[test]
    fn names_are_found_in_any_case() {
        assert_eq!(Codec::from_encoding_name("OPUS"), Some(Codec::Opus));
        assert_eq!(Codec::from_encoding_name("telephone-event"), None);
    }
}
