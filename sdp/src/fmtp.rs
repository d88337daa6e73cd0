//! Format parameters (`a=fmtp`, RFC 8866 §6.15): read for what tells two formats apart, written as far as they describe a server
//! that only forwards.
//!
//! A parameter of an offer says what the *client* wants to receive. Repeated in an answer it says what *we* want to receive, so
//! that a limit such as VP8's `max-fs` or Opus' `maxaveragebitrate` would hold down a publisher in our name. Only what names the
//! format itself, or asks for a mode that we pass through, is repeated.

use std::borrow::Cow;

use oneport_rtp::ids::PayloadType;
use oneport_rtp::payload::{Codec, H264Profile};

use crate::media::Direction;
use crate::profile_level_id::ProfileLevelId;

/// The parameters that are repeated in an answer, by their names in lower case.
fn repeated(codec: Codec) -> &'static [&'static str] {
    match codec {
        // RFC 7587 §7.1
        Codec::Opus => &["minptime", "stereo", "sprop-stereo", "useinbandfec", "usedtx"],
        // RFC 6184 §8.2.2
        Codec::H264 => &["profile-level-id", "packetization-mode", "level-asymmetry-allowed"],
        // RFC 7798 §7.2.2
        Codec::H265 => &["profile-space", "profile-id", "tier-flag", "level-id", "tx-mode"],
        // RFC 9628
        Codec::Vp9 => &["profile-id"],
        // RTP Payload Format For AV1
        Codec::Av1 => &["profile", "level-idx", "tier"],
        Codec::Vp8 | Codec::Red | Codec::Pcmu | Codec::Pcma => &[],
    }
}

/// `name=value` with semicolons between.
#[derive(Clone, Copy)]
pub(crate) struct Parameters<'a>(pub(crate) &'a str);

impl<'a> Parameters<'a> {
    fn iter(self) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.0.split(';').filter_map(|parameter| {
            let (name, value) = parameter.split_once('=')?;
            Some((name.trim(), value.trim()))
        })
    }

    pub(crate) fn value(self, name: &str) -> Option<&'a str> {
        self.iter().find(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// The parameter as a number; `None` when it is given and is none.
    pub(crate) fn number(self, name: &str, default: u8) -> Option<u8> {
        self.value(name).map_or(Some(default), |value| value.parse().ok())
    }

    /// The profile of `profile-level-id`; Baseline when it is not given (RFC 6184 §8.1) or cannot be read.
    pub(crate) fn h264_profile(self) -> H264Profile {
        let id = self.value("profile-level-id").and_then(ProfileLevelId::parse);
        id.unwrap_or(ProfileLevelId::DEFAULT).profile()
    }

    /// The payload types between the slashes of RED's `111/111` (RFC 2198 §5), the primary one first. Empty if it is anything else.
    pub(crate) fn redundant(self) -> Vec<PayloadType> {
        let numbers: Option<Vec<u8>> = self.0.trim().split('/').map(|number| number.parse().ok()).collect();
        numbers.unwrap_or_default().into_iter().map(PayloadType).collect()
    }

    /// What the answer says of the format: the parameters that are repeated for its codec, each once, in the offer's order and
    /// spelling, with those changed that depend on who sends. `None` when there are none.
    pub(crate) fn answered(self, codec: Codec, direction: Direction) -> Option<String> {
        if codec == Codec::Red {
            let numbers: Vec<String> = self.redundant().iter().map(|number| number.0.to_string()).collect();
            return (!numbers.is_empty()).then(|| numbers.join("/"));
        }
        let mut kept = self.kept(codec);
        match codec {
            Codec::H264 if direction.receives() => raise_level(&mut kept),
            Codec::Opus => mirror_stereo(&mut kept, direction),
            _ => {}
        }
        let written: Vec<String> = kept.iter().map(|(name, value)| format!("{name}={value}")).collect();
        (!written.is_empty()).then(|| written.join(";"))
    }

    /// The parameters that are repeated, as far as they can be written.
    fn kept(self, codec: Codec) -> Vec<(&'a str, Cow<'a, str>)> {
        let mut left = repeated(codec).to_vec();
        let mut kept = Vec::new();
        for (name, value) in self.iter() {
            let Some(at) = left.iter().position(|repeated| repeated.eq_ignore_ascii_case(name)) else { continue };
            left.swap_remove(at);
            if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_graphic()) {
                kept.push((name, Cow::Borrowed(value)));
            }
        }
        kept
    }
}

fn of_name<'k, 'a>(kept: &'k mut [(&'a str, Cow<'a, str>)], name: &str) -> Option<&'k mut Cow<'a, str>> {
    kept.iter_mut().find(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

/// Where both sides allow levels to differ, our side's is the highest, so that nothing of ours holds an encoder down. Otherwise the
/// offered level stays: an answer must not go above it (RFC 6184 §8.2.2).
fn raise_level<'a>(kept: &mut [(&'a str, Cow<'a, str>)]) {
    let asymmetric = of_name(kept, "level-asymmetry-allowed").is_some_and(|value| value == "1");
    let Some(id) = of_name(kept, "profile-level-id").filter(|_| asymmetric) else { return };
    if let Some(offered) = ProfileLevelId::parse(id) {
        *id = Cow::Owned(offered.at_highest_level().to_string());
    }
}

/// `sprop-stereo` says what is sent, `stereo` what one likes to receive (RFC 7587 §6.1). A publisher that will send stereo is told that
/// we like it, since Chromium sends mono otherwise; a viewer that likes stereo is told that it will come.
fn mirror_stereo<'a>(kept: &mut Vec<(&'a str, Cow<'a, str>)>, direction: Direction) {
    let (asked, told) = if direction.receives() { ("sprop-stereo", "stereo") } else { ("stereo", "sprop-stereo") };
    if of_name(kept, asked).is_none_or(|value| value != "1") {
        return;
    }
    match of_name(kept, told) {
        Some(value) => *value = Cow::Borrowed("1"),
        None => kept.push((told, Cow::Borrowed("1"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_names_the_format_is_repeated_in_the_order_of_the_offer() {
        for (codec, fmtp) in [
            (Codec::H264, "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f"),
            (Codec::H265, "level-id=93;profile-id=1;tier-flag=0;tx-mode=SRST"),
            (Codec::Vp9, "profile-id=2"),
            (Codec::Av1, "level-idx=5;profile=0;tier=0"),
            (Codec::Opus, "minptime=10;useinbandfec=1;stereo=1;sprop-stereo=1;usedtx=1"),
        ] {
            assert_eq!(Parameters(fmtp).answered(codec, Direction::SendOnly).as_deref(), Some(fmtp));
        }
    }

    #[test]
    fn limits_of_the_clients_own_receiver_are_not_repeated() {
        assert_eq!(Parameters("max-fs=12288;max-fr=60").answered(Codec::Vp8, Direction::RecvOnly), None);
        let opus = "maxplaybackrate=48000;stereo=1;maxaveragebitrate=96000;useinbandfec=1";
        assert_eq!(
            Parameters(opus).answered(Codec::Opus, Direction::RecvOnly).as_deref(),
            Some("stereo=1;useinbandfec=1")
        );
        let h264 = "profile-level-id=42e01f;max-br=500;sprop-parameter-sets=Z0LAH,aM4=";
        assert_eq!(
            Parameters(h264).answered(Codec::H264, Direction::RecvOnly).as_deref(),
            Some("profile-level-id=42e01f")
        );
    }

    #[test]
    fn a_parameter_is_repeated_once_and_only_with_a_value_that_can_be_written() {
        let odd = " Stereo = 1 ; stereo=0;; usedtx=;minptime=1\u{0}0;useinbandfec";
        assert_eq!(Parameters(odd).answered(Codec::Opus, Direction::RecvOnly).as_deref(), Some("Stereo=1"));
    }

    #[test]
    fn levels_that_may_differ_are_raised_towards_a_publisher_only() {
        let h264 = |fmtp, direction| Parameters(fmtp).answered(Codec::H264, direction).unwrap();
        let asymmetric = "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f";
        assert_eq!(h264(asymmetric, Direction::RecvOnly), asymmetric.replace("1f", "34"));
        assert_eq!(h264(asymmetric, Direction::SendOnly), asymmetric);
        for symmetric in ["profile-level-id=42e01f", "level-asymmetry-allowed=0;profile-level-id=42e01f"] {
            assert_eq!(h264(symmetric, Direction::RecvOnly), symmetric);
        }
    }

    #[test]
    fn stereo_that_one_side_has_the_other_agrees_to() {
        let opus = |fmtp, direction| Parameters(fmtp).answered(Codec::Opus, direction).unwrap();
        assert_eq!(opus("sprop-stereo=1", Direction::RecvOnly), "sprop-stereo=1;stereo=1");
        assert_eq!(opus("stereo=0;sprop-stereo=1", Direction::RecvOnly), "stereo=1;sprop-stereo=1");
        assert_eq!(opus("stereo=1", Direction::RecvOnly), "stereo=1");
        assert_eq!(opus("stereo=1;useinbandfec=1", Direction::SendOnly), "stereo=1;useinbandfec=1;sprop-stereo=1");
        assert_eq!(opus("stereo=0", Direction::SendOnly), "stereo=0");
    }

    #[test]
    fn redundancy_names_payload_types_only() {
        let red = |fmtp| Parameters(fmtp).answered(Codec::Red, Direction::RecvOnly);
        assert_eq!(red("111/111").as_deref(), Some("111/111"));
        assert_eq!(red(" +5/6").as_deref(), Some("5/6"), "written anew");
        assert_eq!((red(""), red("111/x"), red("111//111"), red("400")), (None, None, None, None));
    }
}
