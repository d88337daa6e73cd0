//! What streams are called: an application and a stream name, from one or two segments of a path.

use percent_encoding::percent_decode_str;
use std::fmt;

/// The application of a path that names none.
pub const DEFAULT_APP: &str = "live";
/// Longest application or stream name in bytes, decoded.
const MAX_PART: usize = 128;

/// A stream's name.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct StreamName {
    app: String,
    stream: String,
}

/// Why a segment of a path is no name.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NameFault {
    /// A `%` without two hexadecimal digits, or octets that are not UTF-8.
    #[error("The path is not percent-encoded UTF-8.")]
    NotEncoded,
    /// Nothing between two slashes, or `.` or `..`.
    #[error("A name in the path is empty, or one of . and ..")]
    Empty,
    /// Longer than 128 bytes.
    #[error("A name in the path is longer than 128 bytes.")]
    TooLong,
    /// A slash or a control character.
    #[error("A name in the path holds a slash or a control character.")]
    Forbidden,
}

impl StreamName {
    /// The name of two parts that are decoded already.
    pub fn new(app: &str, stream: &str) -> Result<StreamName, NameFault> {
        check(app)?;
        check(stream)?;
        Ok(StreamName { app: app.to_owned(), stream: stream.to_owned() })
    }

    /// The name of the encoded segments that follow `/whip`, `/play` and the like: application and stream, or the stream alone.
    /// `None` when there are more or fewer.
    pub fn from_segments(segments: &[&str]) -> Option<Result<StreamName, NameFault>> {
        let (app, stream) = match segments {
            [stream] => (DEFAULT_APP, stream),
            [app, stream] => (*app, stream),
            _ => return None,
        };
        Some(decode(app).and_then(|app| StreamName::new(&app, &decode(stream)?)))
    }

    /// The application.
    pub fn app(&self) -> &str {
        &self.app
    }

    /// The name within the application.
    pub fn stream(&self) -> &str {
        &self.stream
    }
}

impl fmt::Display for StreamName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.app, self.stream)
    }
}

/// Decodes one segment, once: what is still encoded behind it is meant so.
pub(crate) fn decode(segment: &str) -> Result<String, NameFault> {
    let mut rest = segment;
    while let Some((_, behind)) = rest.split_once('%') {
        let is_encoded = behind.as_bytes().iter().take(2).filter(|byte| byte.is_ascii_hexdigit()).count() == 2;
        if !is_encoded {
            return Err(NameFault::NotEncoded);
        }
        rest = behind;
    }
    percent_decode_str(segment).decode_utf8().map(String::from).map_err(|_| NameFault::NotEncoded)
}

fn check(part: &str) -> Result<(), NameFault> {
    if matches!(part, "" | "." | "..") {
        return Err(NameFault::Empty);
    }
    if part.len() > MAX_PART {
        return Err(NameFault::TooLong);
    }
    let is_forbidden = |c: char| c.is_control() || matches!(c, '/' | '\\' | '\u{2028}' | '\u{2029}');
    if part.contains(is_forbidden) { Err(NameFault::Forbidden) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(path: &str) -> Option<Result<String, NameFault>> {
        let segments: Vec<&str> = path.split('/').collect();
        StreamName::from_segments(&segments).map(|name| name.map(|name| name.to_string()))
    }

    #[test]
    fn the_application_may_be_left_out() {
        assert_eq!(parse("cam"), Some(Ok("live/cam".into())));
        assert_eq!(parse("studio/cam"), Some(Ok("studio/cam".into())));
        assert_eq!(parse("a/b/c"), None);
    }

    #[test]
    fn segments_are_decoded_once() {
        assert_eq!(parse("b%C3%BChne"), Some(Ok("live/bühne".into())));
        assert_eq!(parse("a%2525b"), Some(Ok("live/a%25b".into())));
        assert_eq!(parse("100%25"), Some(Ok("live/100%".into())));
    }

    #[test]
    fn what_is_no_name_is_refused() {
        let long = "x".repeat(129);
        let cases = [
            ("", NameFault::Empty),
            ("live/", NameFault::Empty),
            ("%2e%2E", NameFault::Empty),
            ("./cam", NameFault::Empty),
            ("a%2Fb", NameFault::Forbidden),
            ("a%5Cb", NameFault::Forbidden),
            ("a%00b", NameFault::Forbidden),
            ("a%0D%0Ab", NameFault::Forbidden),
            ("a%C2%85b", NameFault::Forbidden),
            ("a%", NameFault::NotEncoded),
            ("a%4", NameFault::NotEncoded),
            ("a%zz", NameFault::NotEncoded),
            ("%C3%28", NameFault::NotEncoded),
            ("%ED%A0%80", NameFault::NotEncoded),
            (&long, NameFault::TooLong),
        ];
        for (path, fault) in cases {
            assert_eq!(parse(path), Some(Err(fault)), "{path}");
        }
        assert!(parse(&"x".repeat(128)).unwrap().is_ok());
    }
}
