//! From text to lines (RFC 8866 §5): what real clients write is repaired here, the grammar itself is sdp-types' business.
//!
//! Only the lines that an answer depends on (`v=`, `m=`, `a=`) reach the grammar. Addresses, bandwidths and times of an offer are
//! never used, so that a fault in one of them is no reason to turn a client away.

use std::collections::HashSet;

use oneport_rtp::ids::Mid;
use sdp_types::{ParserError, Session};

use crate::offer::{MAX_OFFER, MAX_SECTIONS};

/// How much of a faulty line is repeated to the client.
const QUOTED: usize = 80;

/// Why a text is not an offer. The display of each is fit to be shown to the client's developer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SdpError {
    /// More than [`MAX_OFFER`] bytes.
    #[error("the offer is {0} bytes long, at most {MAX_OFFER} are read")]
    TooLong(usize),
    /// More than [`MAX_SECTIONS`] m-lines.
    #[error("the offer has more than {MAX_SECTIONS} m-lines; line {number} is one too many: \"{text}\"")]
    TooManySections {
        /// Line number, from 1.
        number: usize,
        /// The line, shortened.
        text: String,
    },
    /// No m-line at all.
    #[error("the offer has no m-line, so that there is nothing to answer")]
    NoMedia,
    /// The first line is not `v=0`.
    #[error("the offer does not begin with the line \"v=0\"; is the body of the request an SDP?")]
    NoVersion,
    /// A line that does not follow the grammar.
    #[error("line {number} of the offer, \"{text}\": {reason}")]
    Line {
        /// Line number, from 1.
        number: usize,
        /// The line, shortened.
        text: String,
        /// What is wrong with it.
        reason: String,
    },
}

/// A line that is kept, with its number in the text as it came.
struct Line<'t> {
    number: usize,
    text: &'t str,
}

impl Line<'_> {
    fn quoted(&self) -> String {
        self.text.chars().filter(|c| !c.is_control()).take(QUOTED).collect()
    }

    fn fault(&self, reason: impl Into<String>) -> SdpError {
        SdpError::Line { number: self.number, text: self.quoted(), reason: reason.into() }
    }
}

/// An offer by its grammar.
pub(crate) struct Parsed {
    pub(crate) session: Session,
    /// The line number of each m-line, from 1, in the text as it came.
    pub(crate) m_lines: Vec<usize>,
}

/// The session of an offer's text.
pub(crate) fn parse(text: &str) -> Result<Parsed, SdpError> {
    if text.len() > MAX_OFFER {
        return Err(SdpError::TooLong(text.len()));
    }
    let lines = kept_lines(text)?;
    check_sections(&lines)?;
    let repaired: Vec<&str> = lines.iter().map(|line| line.text).collect();
    let session = Session::parse(repaired.join("\n").as_bytes()).map_err(|error| in_words(&error, &lines))?;
    let m_lines = lines.iter().filter(|line| line.text.starts_with("m=")).map(|line| line.number).collect();
    Ok(Parsed { session, m_lines })
}

/// The lines that matter, without what clients are known to leave in: a byte order mark, blank lines, spaces at the end, a bare `a=`.
fn kept_lines(text: &str) -> Result<Vec<Line<'_>>, SdpError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut kept = Vec::new();
    for (index, raw) in text.split('\n').enumerate() {
        let line = Line { number: index + 1, text: raw.trim_end() };
        if line.text.is_empty() || line.text == "a=" {
            continue;
        }
        match line.text.as_bytes() {
            [b'v' | b'm' | b'a', b'=', ..] => kept.push(line),
            [b'a'..=b'z', b'=', ..] if !kept.is_empty() => {}
            _ if kept.is_empty() => return Err(SdpError::NoVersion),
            _ => return Err(line.fault("a line of SDP begins with one small letter and \"=\"")),
        }
    }
    Ok(kept)
}

/// Bounds the number of m-lines, and sees to it that each mid can be told from the others.
fn check_sections(lines: &[Line<'_>]) -> Result<(), SdpError> {
    let mut sections = 0;
    let mut mids = HashSet::new();
    for line in lines {
        if line.text.starts_with("m=") {
            sections += 1;
            if sections > MAX_SECTIONS {
                return Err(SdpError::TooManySections { number: line.number, text: line.quoted() });
            }
        } else if let Some(mid) = line.text.strip_prefix("a=mid:") {
            let mid = Mid::new(mid.trim().as_bytes())
                .ok_or_else(|| line.fault("a mid has 1 to 16 printable ASCII characters and no space"))?;
            if !mids.insert(mid) {
                return Err(line.fault("another m-section has the same mid"));
            }
        }
    }
    if sections == 0 && lines.first().is_some_and(|line| line.text == "v=0") {
        return Err(SdpError::NoMedia);
    }
    Ok(())
}

/// The grammar's error, with the line as it came and its number in the text as it came.
fn in_words(error: &ParserError, lines: &[Line<'_>]) -> SdpError {
    let (at, reason) = match error {
        ParserError::InvalidLineFormat(at, why) => (*at, (*why).to_owned()),
        ParserError::InvalidFieldEncoding(at, field) => (*at, format!("{field} is not UTF-8")),
        ParserError::InvalidFieldFormat(at, field) => (*at, format!("{field} is not what it should be")),
        ParserError::MissingField(at, field) => (*at, format!("{field} is missing")),
        ParserError::FieldTrailingData(at, field) => (*at, format!("there is something after {field}")),
        _ => return SdpError::NoVersion,
    };
    match lines.get(at.saturating_sub(1)) {
        Some(line) => line.fault(reason),
        None => SdpError::NoVersion,
    }
}
