//! Which streams a rule of the configuration is for: `live/cam*`.
//!
//! The application and the name are matched each by itself, so that `*` (any text, also none) and `?` (any one character) never
//! reach across the slash. A pattern without a slash is for the default application, as a path without one is.

use crate::name::{DEFAULT_APP, StreamName};
use std::fmt;
use std::str::FromStr;
use wildmatch::WildMatch;

/// Longest pattern in bytes: as long as two parts of a name.
const MAX_GLOB: usize = 257;

/// A pattern of stream names.
#[derive(Clone, PartialEq, Debug)]
pub struct StreamGlob {
    app: WildMatch,
    stream: WildMatch,
}

impl Eq for StreamGlob {}

impl StreamGlob {
    /// Whether it covers a stream.
    pub fn matches(&self, name: &StreamName) -> bool {
        self.app.matches(name.app()) && self.stream.matches(name.stream())
    }
}

impl FromStr for StreamGlob {
    type Err = String;

    fn from_str(written: &str) -> Result<StreamGlob, String> {
        let (app, stream) = written.split_once('/').unwrap_or((DEFAULT_APP, written));
        let is_wrong = app.is_empty() || stream.is_empty() || stream.contains('/') || written.len() > MAX_GLOB;
        if is_wrong {
            let shown: String = written.chars().take(40).collect();
            return Err(format!("\"{}\" is no pattern of streams such as \"live/cam*\"", shown.escape_debug()));
        }
        Ok(StreamGlob { app: WildMatch::new(app), stream: WildMatch::new(stream) })
    }
}

impl fmt::Display for StreamGlob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.app.pattern(), self.stream.pattern())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(glob: &str, app: &str, stream: &str) -> bool {
        glob.parse::<StreamGlob>().unwrap().matches(&StreamName::new(app, stream).unwrap())
    }

    #[test]
    fn each_part_is_matched_by_itself() {
        for glob in ["live/cam7", "cam7", "cam*", "live/*", "*/*", "*/cam?", "l*e/c*7", "live/cam7*"] {
            assert!(matches(glob, "live", "cam7"), "{glob}");
        }
        for glob in ["live/cam", "Live/cam7", "studio/*", "*/cam7?", "*/7", "l/*"] {
            assert!(!matches(glob, "live", "cam7"), "{glob}");
        }
        assert!(matches("live/b*e", "live", "bühne"));
        assert!(!matches("cam*", "studio", "cam7"), "no application is the default one");
    }

    #[test]
    fn a_hostile_name_takes_no_time() {
        let glob = format!("live/{}b", "*a".repeat(60));
        assert!(!matches(&glob, "live", &"a".repeat(128)));
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        for wrong in ["", "/", "live/", "/cam", "a/b/c", &"x".repeat(300)] {
            assert!(wrong.parse::<StreamGlob>().unwrap_err().contains("is no pattern of streams"), "{wrong}");
        }
    }
}
