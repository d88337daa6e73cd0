//! `If-Match` (RFC 9110 §13.1.1) as a PATCH of a WHIP or WHEP session uses it (RFC 9725 §4.3.1).
//!
//! The RFC's own example has the wildcard in quotes, some clients mark the tag as weak, and both are taken for what they mean.

use crate::http::Headers;
use crate::problem::Problem;

/// What a request says of the present ICE session.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum IfMatch {
    /// `*`: whichever it is.
    Any,
    /// It is this one.
    This,
}

impl IfMatch {
    /// Measures a request against the present entity tag, which is given without its quotes.
    pub(crate) fn of(headers: &Headers, present: &str) -> Result<IfMatch, Problem> {
        let mut fields = headers.all("if-match").peekable();
        if fields.peek().is_none() {
            return Err(Problem::PreconditionRequired);
        }
        // No tag of ours has a comma in it.
        for tag in fields.flat_map(|field| field.split(',')).map(opaque) {
            match tag {
                "*" => return Ok(IfMatch::Any),
                tag if tag == present => return Ok(IfMatch::This),
                _ => {}
            }
        }
        Err(Problem::PreconditionFailed)
    }
}

/// A tag without `W/`, quotes and white space.
fn opaque(tag: &str) -> &str {
    let tag = tag.trim();
    let tag = tag.strip_prefix("W/").unwrap_or(tag);
    tag.strip_prefix('"').and_then(|tag| tag.strip_suffix('"')).unwrap_or(tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(fields: &[&str]) -> Result<IfMatch, Problem> {
        let mut headers = Headers::default();
        fields.iter().for_each(|field| headers.push("If-Match", field.as_bytes()));
        IfMatch::of(&headers, "ab+/12")
    }

    #[test]
    fn a_tag_is_found_strong_or_weak_alone_or_among_others() {
        for fields in
            [&["\"ab+/12\""][..], &["W/\"ab+/12\""], &["\"x\", \"ab+/12\""], &["\"x\"", "\"ab+/12\""], &["ab+/12"]]
        {
            assert_eq!(measured(fields), Ok(IfMatch::This), "{fields:?}");
        }
    }

    #[test]
    fn the_wildcard_may_be_in_quotes() {
        for field in ["*", "\"*\"", " * "] {
            assert_eq!(measured(&[field]), Ok(IfMatch::Any));
        }
    }

    #[test]
    fn another_tag_fails_and_none_is_asked_for() {
        for field in ["\"ab+/13\"", "", "\"", "\"ab+/12"] {
            assert_eq!(measured(&[field]), Err(Problem::PreconditionFailed), "{field:?}");
        }
        assert_eq!(measured(&[]), Err(Problem::PreconditionRequired));
    }
}
