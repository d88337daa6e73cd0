//! Request bodies: of a given length, or chunked (RFC 9112 §7.1). Chunk extensions and trailer fields are discarded.

use super::error::HttpError;
use super::head::Framing;

/// Longest chunk-size line, extensions included. No client sends extensions.
const MAX_SIZE_LINE: usize = 256;
/// All trailer fields of a request together.
const MAX_TRAILER: usize = 4 * 1024;

/// Takes a body out of the bytes that follow a head.
#[derive(Debug)]
pub(super) struct BodyReader {
    state: State,
    body: Vec<u8>,
    max_body: usize,
}

#[derive(Debug)]
enum State {
    /// So many octets are missing, and then the body is whole.
    Length(usize),
    ChunkSize,
    /// So many octets of a chunk are missing.
    ChunkData(usize),
    ChunkEnd,
    /// So many octets of trailer fields have been discarded.
    Trailer(usize),
    Whole,
}

impl BodyReader {
    pub(super) fn new(framing: Framing, max_body: usize) -> Self {
        let state = match framing {
            Framing::Length(0) => State::Whole,
            Framing::Length(length) => State::Length(length),
            Framing::Chunked => State::ChunkSize,
        };
        Self { state, body: Vec::new(), max_body }
    }

    /// Whether nothing is missing.
    pub(super) fn is_whole(&self) -> bool {
        matches!(self.state, State::Whole)
    }

    /// The body.
    pub(super) fn into_body(self) -> Vec<u8> {
        self.body
    }

    /// Takes what it can from the front of `input`, and says how much that was.
    pub(super) fn consume(&mut self, input: &[u8]) -> Result<usize, HttpError> {
        let mut taken = 0;
        while !self.is_whole() {
            match self.step(&input[taken..])? {
                0 => break,
                more => taken += more,
            }
        }
        Ok(taken)
    }

    fn step(&mut self, input: &[u8]) -> Result<usize, HttpError> {
        match self.state {
            State::Length(missing) => {
                let taken = self.keep(input, missing);
                self.state = if taken == missing { State::Whole } else { State::Length(missing - taken) };
                Ok(taken)
            }
            State::ChunkData(missing) => {
                let taken = self.keep(input, missing);
                self.state = if taken == missing { State::ChunkEnd } else { State::ChunkData(missing - taken) };
                Ok(taken)
            }
            State::ChunkSize => self.chunk_size(input),
            State::ChunkEnd => self.chunk_end(input),
            State::Trailer(discarded) => self.trailer(input, discarded),
            State::Whole => Ok(0),
        }
    }

    fn keep(&mut self, input: &[u8], missing: usize) -> usize {
        let taken = missing.min(input.len());
        self.body.extend_from_slice(&input[..taken]);
        taken
    }

    fn chunk_size(&mut self, input: &[u8]) -> Result<usize, HttpError> {
        let too_long = HttpError::Malformed("a chunk-size line is too long");
        let Some(line) = line(input, MAX_SIZE_LINE, too_long)? else {
            return Ok(0);
        };
        let size = parse_chunk_size(line)?;
        if size > self.max_body - self.body.len() {
            return Err(HttpError::BodyTooLarge);
        }
        self.state = if size == 0 { State::Trailer(0) } else { State::ChunkData(size) };
        Ok(line.len() + 2)
    }

    fn chunk_end(&mut self, input: &[u8]) -> Result<usize, HttpError> {
        match input {
            [b'\r', b'\n', ..] => {
                self.state = State::ChunkSize;
                Ok(2)
            }
            [] | [b'\r'] => Ok(0),
            _ => Err(HttpError::Malformed("a chunk is longer than its size")),
        }
    }

    fn trailer(&mut self, input: &[u8], discarded: usize) -> Result<usize, HttpError> {
        let Some(line) = line(input, MAX_TRAILER - discarded, HttpError::HeadTooLarge)? else {
            return Ok(0);
        };
        let taken = line.len() + 2;
        self.state = match (line.is_empty(), discarded + taken) {
            (true, _) => State::Whole,
            (false, total) if total <= MAX_TRAILER => State::Trailer(total),
            _ => return Err(HttpError::HeadTooLarge),
        };
        Ok(taken)
    }
}

/// The line at the front of `input` without its CRLF, or `None` while it is not whole.
fn line(input: &[u8], longest: usize, too_long: HttpError) -> Result<Option<&[u8]>, HttpError> {
    let visible = &input[..input.len().min(longest + 2)];
    let Some(end) = visible.iter().position(|byte| is_forbidden(*byte)) else {
        return if visible.len() == longest + 2 { Err(too_long) } else { Ok(None) };
    };
    match &visible[end..] {
        [b'\r', b'\n', ..] => Ok(Some(&visible[..end])),
        [b'\r'] if visible.len() == input.len() => Ok(None),
        [b'\r'] => Err(too_long),
        _ => Err(HttpError::Malformed("a line of its chunked body does not end with CR LF")),
    }
}

/// Control octets have no place in a line; CR ends it.
fn is_forbidden(byte: u8) -> bool {
    byte.is_ascii_control() && byte != b'\t'
}

fn parse_chunk_size(line: &[u8]) -> Result<usize, HttpError> {
    let bad = HttpError::Malformed("a chunk's size is not a hexadecimal number");
    let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
    let (size, rest) = line.split_at(digits);
    let extension = rest.iter().find(|byte| !matches!(byte, b' ' | b'\t'));
    let ends_well = rest.is_empty() || extension == Some(&b';');
    if digits == 0 || digits > 16 || !ends_well {
        return Err(bad);
    }
    let text = std::str::from_utf8(size).map_err(|_| bad)?;
    let size = u64::from_str_radix(text, 16).map_err(|_| bad)?;
    usize::try_from(size).map_err(|_| HttpError::BodyTooLarge)
}
