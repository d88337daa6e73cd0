//! Format parameters (`a=fmtp`, RFC 8866 §6.15): read for what tells two formats apart, written as far as they describe a server
//! that only forwards.
//!
//! A parameter of an offer says what the *client* wants to receive. Repeated in an answer it says what *we* want to receive, so
//! that a limit such as VP8's `max-fs` or Opus' `maxaveragebitrate` would hold down a publisher in our name. Only what names the
//! format itself, or asks for a mode that we pass through, is repeated.

use oneport_rtp::payload::{Codec, H264Profile};

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
        Codec::Vp8 | Codec::Pcmu | Codec::Pcma => &[],
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

    fn value(self, name: &str) -> Option<&'a str> {
        self.iter().find(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// The parameter as a number; `None` when it is given and is none.
    pub(crate) fn number(self, name: &str, default: u8) -> Option<u8> {
        self.value(name).map_or(Some(default), |value| value.parse().ok())
    }

    /// The profile of `profile-level-id`; Baseline when it is not given (RFC 6184 §8.1) or cannot be read.
    pub(crate) fn h264_profile(self) -> H264Profile {
        let id = self.value("profile-level-id").filter(|id| id.len() == 6);
        let id = id.and_then(|id| u32::from_str_radix(id, 16).ok()).unwrap_or(0x42_00_0a);
        let [_, idc, constraints, _] = id.to_be_bytes();
        H264Profile::from_idc(idc, constraints)
    }

    /// What the answer says of the format: the parameters that are repeated for its codec, each once, in the offer's order and
    /// spelling. `None` when there are none.
    pub(crate) fn answered(self, codec: Codec) -> Option<String> {
        let mut left = repeated(codec).to_vec();
        let mut kept: Vec<String> = Vec::new();
        for (name, value) in self.iter() {
            let Some(at) = left.iter().position(|repeated| repeated.eq_ignore_ascii_case(name)) else { continue };
            left.swap_remove(at);
            if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_graphic()) {
                kept.push(format!("{name}={value}"));
            }
        }
        (!kept.is_empty()).then(|| kept.join(";"))
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
            assert_eq!(Parameters(fmtp).answered(codec).as_deref(), Some(fmtp));
        }
    }

    #[test]
    fn limits_of_the_clients_own_receiver_are_not_repeated() {
        assert_eq!(Parameters("max-fs=12288;max-fr=60").answered(Codec::Vp8), None);
        let opus = "maxplaybackrate=48000;stereo=1;maxaveragebitrate=96000;useinbandfec=1";
        assert_eq!(Parameters(opus).answered(Codec::Opus).as_deref(), Some("stereo=1;useinbandfec=1"));
        let h264 = "profile-level-id=42e01f;max-br=500;sprop-parameter-sets=Z0LAH,aM4=";
        assert_eq!(Parameters(h264).answered(Codec::H264).as_deref(), Some("profile-level-id=42e01f"));
    }

    #[test]
    fn a_parameter_is_repeated_once_and_only_with_a_value_that_can_be_written() {
        let odd = " Stereo = 1 ; stereo=0;; usedtx=;minptime=1\u{0}0;useinbandfec";
        assert_eq!(Parameters(odd).answered(Codec::Opus).as_deref(), Some("Stereo=1"));
    }
}
