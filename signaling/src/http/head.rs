//! The request line and the header fields (RFC 9112 §3 and §5), and what they say about the body's length (§6).
//!
//! httparse takes the lines apart. It is lenient where a proxy in front may read the same bytes differently, so the octets are
//! checked before (`reader`) and the framing fields after it.

use super::error::HttpError;
use super::request::{Headers, Method};

/// Header fields in one request. Browsers send fewer than 20.
const MAX_HEADERS: usize = 64;

/// How the end of a body is found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Framing {
    Length(usize),
    Chunked,
}

/// All of a request but its body.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) query: Option<String>,
    pub(super) headers: Headers,
    pub(super) framing: Framing,
    pub(super) keep_alive: bool,
    /// The client waits for `100 Continue` before it sends the body.
    pub(super) expects_continue: bool,
}

impl Head {
    /// Parses a head that ends with its empty line. A body longer than `max_body` is refused here when its length is given.
    pub(super) fn parse(bytes: &[u8], max_body: usize) -> Result<Head, HttpError> {
        let mut fields = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let mut parsed = httparse::Request::new(&mut fields);
        match parsed.parse(bytes) {
            Ok(httparse::Status::Complete(length)) if length == bytes.len() => {}
            Ok(_) => return Err(HttpError::Malformed("its header fields end too early")),
            Err(error) => return Err(refusal(error, bytes)),
        }
        let (Some(method), Some(target), Some(minor)) = (parsed.method, parsed.path, parsed.version) else {
            return Err(HttpError::Malformed("its request line is incomplete"));
        };
        let mut headers = Headers::default();
        parsed.headers.iter().for_each(|field| headers.push(field.name, field.value));
        Head::check(Method::from_token(method), target, minor, headers, max_body)
    }

    fn check(method: Method, target: &str, minor: u8, headers: Headers, max_body: usize) -> Result<Head, HttpError> {
        if method == Method::Connect {
            return Err(HttpError::NotImplemented("CONNECT"));
        }
        let (path, query) = split_target(target, method)?;
        check_host(&headers, minor)?;
        let framing = framing(&headers, minor, max_body)?;
        let expects_continue = minor == 1 && expects_continue(&headers)?;
        let keep_alive = minor == 1 && !headers.has_token("connection", "close");
        Ok(Head { method, path, query, headers, framing, keep_alive, expects_continue })
    }
}

fn refusal(error: httparse::Error, bytes: &[u8]) -> HttpError {
    match error {
        httparse::Error::TooManyHeaders => HttpError::TooManyHeaders,
        httparse::Error::Version if names_other_version(bytes) => HttpError::VersionNotSupported,
        httparse::Error::Version => HttpError::Malformed("its HTTP version cannot be read"),
        httparse::Error::HeaderName => HttpError::Malformed("a header field's name holds what no name may hold"),
        httparse::Error::HeaderValue => HttpError::Malformed("a header field's value holds what no value may hold"),
        _ => HttpError::Malformed("its request line cannot be read"),
    }
}

/// Whether the request line has three words of which the last is a version (`HTTP/` digit `.` digit), and not one of ours.
fn names_other_version(bytes: &[u8]) -> bool {
    let line = bytes.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let mut words = line.split(|byte| *byte == b' ').skip(2);
    let (Some([b'H', b'T', b'T', b'P', b'/', major, b'.', minor]), None) = (words.next(), words.next()) else {
        return false;
    };
    major.is_ascii_digit() && minor.is_ascii_digit() && !matches!((major, minor), (b'1', b'0' | b'1'))
}

/// Path and query of origin-form, absolute-form and asterisk-form (RFC 9112 §3.2). In absolute-form the authority
/// stands for `Host`, and nothing here depends on either.
fn split_target(target: &str, method: Method) -> Result<(String, Option<String>), HttpError> {
    if !target.bytes().all(|byte| byte.is_ascii_graphic()) || target.contains('#') {
        return Err(HttpError::Malformed("its target holds what no URI may hold"));
    }
    if target == "*" && method == Method::Options {
        return Ok((target.to_owned(), None));
    }
    let origin = if target.starts_with('/') { target } else { after_authority(target)? };
    let (path, query) = match origin.split_once('?') {
        Some((path, query)) => (path, Some(query.to_owned())),
        None => (origin, None),
    };
    let path = if path.is_empty() { "/" } else { path };
    Ok((path.to_owned(), query))
}

fn after_authority(target: &str) -> Result<&str, HttpError> {
    let bad = HttpError::Malformed("its target is neither a path nor an http URI");
    let (scheme, rest) = target.split_once("://").ok_or(bad)?;
    if !scheme.eq_ignore_ascii_case("http") && !scheme.eq_ignore_ascii_case("https") {
        return Err(bad);
    }
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, origin) = rest.split_at(end);
    if authority.is_empty() || !is_authority(authority) { Err(bad) } else { Ok(origin) }
}

/// Exactly one `Host` in HTTP/1.1, at most one in HTTP/1.0 (RFC 9112 §3.2).
fn check_host(headers: &Headers, minor: u8) -> Result<(), HttpError> {
    let mut hosts = headers.all("host");
    match (hosts.next(), hosts.next()) {
        (None, _) if minor == 1 => Err(HttpError::Malformed("HTTP/1.1 needs a Host field")),
        (_, Some(_)) => Err(HttpError::Malformed("it has more than one Host field")),
        (Some(host), None) if !is_authority(host) => Err(HttpError::Malformed("its Host field names no host")),
        _ => Ok(()),
    }
}

/// The characters of `uri-host [":" port]` (RFC 3986 §3.2.2); user information has no place in HTTP.
fn is_authority(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+,;=:[]".contains(&byte))
}

/// The body's length (RFC 9112 §6.3). Whatever two readers could take differently is refused.
fn framing(headers: &Headers, minor: u8, max_body: usize) -> Result<Framing, HttpError> {
    let codings = headers.all("transfer-encoding").count();
    let lengths = headers.all("content-length").count();
    match (codings, lengths) {
        (0, 0) => Ok(Framing::Length(0)),
        (0, 1) => content_length(headers.first("content-length").unwrap_or_default(), max_body).map(Framing::Length),
        (0, _) => Err(HttpError::Malformed("it has more than one Content-Length")),
        (1, 0) => transfer_coding(headers.first("transfer-encoding").unwrap_or_default(), minor),
        (_, 0) => Err(HttpError::Malformed("it has more than one Transfer-Encoding")),
        _ => Err(HttpError::Malformed("it has both Transfer-Encoding and Content-Length")),
    }
}

fn content_length(value: &str, max_body: usize) -> Result<usize, HttpError> {
    if value.is_empty() || !value.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(HttpError::Malformed("its Content-Length is not a number"));
    }
    match value.parse() {
        Ok(length) if length <= max_body => Ok(length),
        _ => Err(HttpError::BodyTooLarge),
    }
}

fn transfer_coding(value: &str, minor: u8) -> Result<Framing, HttpError> {
    if minor == 0 {
        return Err(HttpError::Malformed("HTTP/1.0 has no Transfer-Encoding"));
    }
    if value.eq_ignore_ascii_case("chunked") {
        return Ok(Framing::Chunked);
    }
    let last = value.rsplit(',').next().unwrap_or_default().trim_matches([' ', '\t']);
    if last.eq_ignore_ascii_case("chunked") && value.contains(',') {
        return Err(HttpError::NotImplemented("transfer codings other than chunked"));
    }
    Err(HttpError::Malformed("its Transfer-Encoding does not end with chunked"))
}

fn expects_continue(headers: &Headers) -> Result<bool, HttpError> {
    let mut expected = false;
    for value in headers.all("expect") {
        if !value.eq_ignore_ascii_case("100-continue") {
            return Err(HttpError::ExpectationFailed);
        }
        expected = true;
    }
    Ok(expected)
}
