//! A response and its bytes on the wire (RFC 9112 §4, RFC 9110 §8.6).

use super::request::Method;
use std::borrow::Cow;
use std::fmt::Write;
use std::time::SystemTime;

/// The bytes of a response: made for it, or embedded in the binary.
pub type Body = Cow<'static, [u8]>;

/// A response. `Content-Length`, `Connection`, `Date` and `Server` are the server's business.
#[derive(Clone, Debug)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// The header fields, in the order in which they are sent.
    pub headers: Vec<(&'static str, Cow<'static, str>)>,
    /// The body. Not sent in answer to HEAD, and with 204 and 304.
    pub body: Body,
}

impl Response {
    /// A response without a body.
    pub fn new(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Cow::Borrowed(&[]) }
    }

    /// With one more header field.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<Cow<'static, str>>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// With this body of this media type.
    #[must_use]
    pub fn with_body(mut self, media_type: &'static str, body: impl Into<Body>) -> Self {
        self.body = body.into();
        self.with("Content-Type", media_type)
    }

    /// The value of the first field of a name, in the case in which it was added.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(have, _)| *have == name).map(|(_, value)| value.as_ref())
    }

    /// The status line and the header fields with the empty line behind them.
    pub fn encode_head(&self, keep_alive: bool, now: SystemTime) -> Vec<u8> {
        let mut text = String::with_capacity(512);
        let _ = write!(text, "HTTP/1.1 {} {}\r\n", self.status, reason_phrase(self.status));
        let _ = write!(text, "Date: {}\r\nServer: oneport\r\n", httpdate::fmt_http_date(now));
        if self.may_have_body() {
            let _ = write!(text, "Content-Length: {}\r\n", self.body.len());
        }
        if !keep_alive {
            text.push_str("Connection: close\r\n");
        }
        for (name, value) in &self.headers {
            let _ = write!(text, "{name}: ");
            text.extend(value.chars().map(|c| if c.is_control() { ' ' } else { c }));
            text.push_str("\r\n");
        }
        text.push_str("\r\n");
        text.into_bytes()
    }

    /// The bytes that follow the head in answer to a request of this method, or to none that could be read.
    pub fn body_for(&self, method: Option<Method>) -> &[u8] {
        if method == Some(Method::Head) || !self.may_have_body() { &[] } else { &self.body }
    }

    fn may_have_body(&self) -> bool {
        !matches!(self.status, 100..=199 | 204 | 304)
    }
}

/// The reason phrases of RFC 9110 §15 and RFC 6585, for the codes that are sent here.
pub(crate) fn reason_phrase(status: u16) -> &'static str {
    match status {
        100 => "Continue",
        200 => "OK",
        201 => "Created",
        204 => "No Content",
        304 => "Not Modified",
        307 => "Temporary Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        408 => "Request Timeout",
        409 => "Conflict",
        413 => "Content Too Large",
        414 => "URI Too Long",
        415 => "Unsupported Media Type",
        417 => "Expectation Failed",
        422 => "Unprocessable Content",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        503 => "Service Unavailable",
        505 => "HTTP Version Not Supported",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(response: &Response, keep_alive: bool) -> String {
        String::from_utf8(response.encode_head(keep_alive, SystemTime::UNIX_EPOCH)).unwrap()
    }

    #[test]
    fn head_is_what_rfc_9112_says() {
        let response =
            Response::new(201).with_body("application/sdp", b"v=0\r\n".to_vec()).with("Location", "/session/a");
        assert_eq!(
            head(&response, true),
            "HTTP/1.1 201 Created\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\nServer: oneport\r\nContent-Length: 5\r\n\
             Content-Type: application/sdp\r\nLocation: /session/a\r\n\r\n"
        );
        assert!(head(&response, false).contains("\r\nConnection: close\r\n"));
    }

    #[test]
    fn only_answers_that_may_have_a_body_have_a_length() {
        for (status, has_length) in [(200, true), (204, false), (304, false), (404, true)] {
            let response = Response::new(status).with_body("text/plain", b"x".to_vec());
            assert_eq!(head(&response, true).contains("Content-Length: 1\r\n"), has_length, "{status}");
            assert_eq!(!response.body_for(Some(Method::Get)).is_empty(), has_length, "{status}");
            assert!(response.body_for(Some(Method::Head)).is_empty());
        }
    }

    #[test]
    fn a_value_cannot_add_a_field() {
        let text = head(&Response::new(200).with("Location", "/a\r\nSet-Cookie: b"), true);
        assert!(text.contains("Location: /a  Set-Cookie: b\r\n"));
    }
}
