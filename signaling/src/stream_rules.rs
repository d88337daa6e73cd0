//! Which codecs a stream may have: the server's, or those of the first rule for its name. The order is that of preference.

use crate::name::StreamName;
use crate::stream_glob::StreamGlob;
use oneport_rtp::payload::Codec;
use std::fmt;
use std::str::FromStr;

/// One rule: `app/stream-pattern codec,codec`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StreamRule {
    glob: StreamGlob,
    codecs: Vec<Codec>,
}

/// All rules; the first that fits counts. Empty by default.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct StreamRules(pub Vec<StreamRule>);

impl StreamRules {
    /// The codecs of a stream, the preferred ones first; `None` when no rule is for it and the server's count.
    pub fn codecs(&self, name: &StreamName) -> Option<Vec<Codec>> {
        self.0.iter().find(|rule| rule.glob.matches(name)).map(|rule| rule.codecs.clone())
    }
}

impl FromStr for StreamRule {
    type Err = String;

    fn from_str(written: &str) -> Result<StreamRule, String> {
        let words: Vec<&str> = written.split_whitespace().collect();
        let [glob, names] = words.as_slice() else {
            return Err(format!("\"{}\" is no rule such as \"live/cam* h264,vp8,opus\"", written.escape_debug()));
        };
        let mut codecs = Vec::new();
        for name in names.split(',') {
            let codec = Codec::from_encoding_name(name).ok_or_else(|| {
                let known = Codec::ALL.map(Codec::encoding_name).join(", ");
                format!("\"{}\" is no codec; those are {known}", name.escape_debug())
            })?;
            if codecs.contains(&codec) {
                return Err(format!("\"{}\" has {codec} twice", written.escape_debug()));
            }
            codecs.push(codec);
        }
        Ok(StreamRule { glob: glob.parse()?, codecs })
    }
}

impl fmt::Display for StreamRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.codecs.iter().map(|codec| codec.encoding_name()).collect();
        write!(f, "{} {}", self.glob, names.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_rule_that_fits_counts_and_keeps_its_order() {
        let rules = ["live/cam* h264,vp8,opus", "live/* OPUS"].map(|rule| rule.parse().unwrap());
        let rules = StreamRules(rules.to_vec());
        let codecs = |app, stream| rules.codecs(&StreamName::new(app, stream).unwrap());
        assert_eq!(codecs("live", "cam1"), Some(vec![Codec::H264, Codec::Vp8, Codec::Opus]));
        assert_eq!(codecs("live", "radio"), Some(vec![Codec::Opus]));
        assert_eq!(codecs("studio", "cam1"), None);
    }

    #[test]
    fn a_wrong_rule_is_told_what_is_wrong() {
        for (written, sentence) in [
            ("", "\"\" is no rule such as \"live/cam* h264,vp8,opus\""),
            ("live/* h264, vp8", "\"live/* h264, vp8\" is no rule such as \"live/cam* h264,vp8,opus\""),
            ("live/* aac", "\"aac\" is no codec; those are opus, red, PCMU, PCMA, VP8, VP9, H264, H265, AV1"),
            ("live/* h264,", "\"\" is no codec; those are opus, red, PCMU, PCMA, VP8, VP9, H264, H265, AV1"),
            ("live/* vp8,VP8", "\"live/* vp8,VP8\" has VP8 twice"),
            ("a/b/c vp8", "\"a/b/c\" is no pattern of streams such as \"live/cam*\""),
        ] {
            assert_eq!(written.parse::<StreamRule>(), Err(sentence.to_owned()));
        }
    }
}
