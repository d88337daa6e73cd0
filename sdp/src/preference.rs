//! The codecs of one request: `?video=h264,vp8` orders and restricts those of one kind that the configuration allows.

use oneport_rtp::payload::{Codec, MediaKind};

use crate::rejection::list;

/// How much of a name is repeated to the client.
const QUOTED: usize = 40;

/// Why a request's list of codecs cannot be followed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[allow(missing_docs, reason = "each variant's sentence says what it and its fields are")]
pub enum PreferenceError {
    #[error("\"{}\" is no {kind} codec that is known here; allowed are {}", name.escape_debug(), list(allowed))]
    Unknown { name: String, kind: MediaKind, allowed: Vec<Codec> },

    #[error("{codec} is not allowed here as a {kind} codec; allowed are {}", list(allowed))]
    NotAllowed { codec: Codec, kind: MediaKind, allowed: Vec<Codec> },

    #[error("the list of {kind} codecs names none; allowed are {}", list(allowed))]
    Empty { kind: MediaKind, allowed: Vec<Codec> },

    #[error("red repeats Opus and cannot be used without it: ask for opus,red")]
    RedAlone,
}

/// The codecs that a request names for one kind, with commas between, in any case and in the order of preference. Each has to be one
/// of `allowed`; one that is named twice counts once.
pub fn preference(text: &str, allowed: &[Codec], kind: MediaKind) -> Result<Vec<Codec>, PreferenceError> {
    let allowed: Vec<Codec> = allowed.iter().copied().filter(|codec| codec.kind() == kind).collect();
    let mut preferred = Vec::new();
    for name in text.split(',').map(str::trim).filter(|name| !name.is_empty()) {
        let known = Codec::from_encoding_name(name).filter(|codec| codec.kind() == kind);
        let Some(codec) = known else {
            let name = name.chars().take(QUOTED).collect();
            return Err(PreferenceError::Unknown { name, kind, allowed });
        };
        if !allowed.contains(&codec) {
            return Err(PreferenceError::NotAllowed { codec, kind, allowed });
        }
        if !preferred.contains(&codec) {
            preferred.push(codec);
        }
    }
    match preferred.as_slice() {
        [] => Err(PreferenceError::Empty { kind, allowed }),
        [Codec::Red] => Err(PreferenceError::RedAlone),
        _ => Ok(preferred),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALLOWED: [Codec; 5] = [Codec::Opus, Codec::Red, Codec::Vp8, Codec::H264, Codec::Av1];

    fn video(text: &str) -> Result<Vec<Codec>, String> {
        preference(text, &ALLOWED, MediaKind::Video).map_err(|error| error.to_string())
    }

    #[test]
    fn the_order_is_the_requests_and_the_rest_is_left_out() {
        assert_eq!(video("h264, VP8,,h264"), Ok(vec![Codec::H264, Codec::Vp8]));
        assert_eq!(preference("opus", &ALLOWED, MediaKind::Audio), Ok(vec![Codec::Opus]));
    }

    #[test]
    fn what_cannot_be_had_is_named() {
        assert_eq!(
            video("vp8,opus").unwrap_err(),
            "\"opus\" is no video codec that is known here; allowed are VP8, H264, AV1"
        );
        assert_eq!(video("vp9").unwrap_err(), "VP9 is not allowed here as a video codec; allowed are VP8, H264, AV1");
        assert_eq!(video(" ,").unwrap_err(), "the list of video codecs names none; allowed are VP8, H264, AV1");
        assert_eq!(preference("red", &ALLOWED, MediaKind::Audio), Err(PreferenceError::RedAlone));
    }

    #[test]
    fn a_long_or_odd_name_is_repeated_in_part() {
        let sentence = video(&"\u{7}x".repeat(10_000)).unwrap_err();
        assert!(sentence.len() < 300 && !sentence.contains('\u{7}'), "{sentence}");
    }
}
