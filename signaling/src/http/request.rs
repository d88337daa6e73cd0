//! A request as a handler sees it (RFC 9110 §6, §9): read to its end, within the limits, its framing gone.

use std::net::SocketAddr;

/// The request methods of RFC 9110 §9 and RFC 5789.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[allow(missing_docs, reason = "the names are the methods' own")]
pub enum Method {
    Get,
    Head,
    Post,
    Put,
    Patch,
    Delete,
    Options,
    Trace,
    Connect,
    /// Any other token.
    Unknown,
}

impl Method {
    /// The method of a token; methods are case-sensitive.
    pub fn from_token(token: &str) -> Method {
        match token {
            "GET" => Method::Get,
            "HEAD" => Method::Head,
            "POST" => Method::Post,
            "PUT" => Method::Put,
            "PATCH" => Method::Patch,
            "DELETE" => Method::Delete,
            "OPTIONS" => Method::Options,
            "TRACE" => Method::Trace,
            "CONNECT" => Method::Connect,
            _ => Method::Unknown,
        }
    }
}

/// Header fields in the order in which they came. Names are kept in lower case.
#[derive(Clone, Default, Debug)]
pub struct Headers(Vec<(String, String)>);

impl Headers {
    /// Adds a field. Octets of the value that are not UTF-8 are replaced: no field that is read here may have any.
    pub(crate) fn push(&mut self, name: &str, value: &[u8]) {
        self.0.push((name.to_ascii_lowercase(), String::from_utf8_lossy(value).trim_matches([' ', '\t']).to_owned()));
    }

    /// The value of the first field of a name, which is given in lower case.
    pub fn first(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(have, _)| have == name).map(|(_, value)| value.as_str())
    }

    /// The values of all fields of a name, which is given in lower case.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(have, _)| have == name).map(|(_, value)| value.as_str())
    }

    /// Whether a field that is a list of tokens (`Connection`) has one, in any case.
    pub fn has_token(&self, name: &str, token: &str) -> bool {
        self.all(name)
            .flat_map(|value| value.split(','))
            .any(|item| item.trim_matches([' ', '\t']).eq_ignore_ascii_case(token))
    }
}

/// A whole request.
#[derive(Clone, Debug)]
pub struct Request {
    /// What is asked.
    pub method: Method,
    /// The path, still percent-encoded; it begins with `/`, or is `*`.
    pub path: String,
    /// What follows the first `?`, still percent-encoded.
    pub query: Option<String>,
    /// The header fields.
    pub headers: Headers,
    /// The body; empty when there is none.
    pub body: Vec<u8>,
    /// Whether the connection may serve another request.
    pub keep_alive: bool,
    /// The client's address, an IPv4-mapped one as IPv4.
    pub peer: Option<SocketAddr>,
}

impl Request {
    /// The first value of a parameter in the query, decoded as forms encode it.
    pub fn parameter(&self, name: &str) -> Option<String> {
        let query = self.query.as_deref()?;
        let mut pairs = form_urlencoded::parse(query.as_bytes());
        pairs.find(|(have, _)| have == name).map(|(_, value)| value.into_owned())
    }

    /// Whether nothing is said of the body's type.
    pub fn has_no_content_type(&self) -> bool {
        self.headers.first("content-type").is_none()
    }

    /// Whether the `Content-Type` is this media type; its case and its parameters are ignored (RFC 9110 §8.3.1).
    pub fn has_content_type(&self, media_type: &str) -> bool {
        let mut types = self.headers.all("content-type");
        let (Some(value), None) = (types.next(), types.next()) else {
            return false;
        };
        value.split(';').next().is_some_and(|have| have.trim().eq_ignore_ascii_case(media_type))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(headers: &[(&str, &str)]) -> Request {
        let mut fields = Headers::default();
        headers.iter().for_each(|(name, value)| fields.push(name, value.as_bytes()));
        let (method, path) = (Method::Post, "/".to_owned());
        Request { method, path, query: None, headers: fields, body: Vec::new(), keep_alive: true, peer: None }
    }

    #[test]
    fn content_type_ignores_case_and_parameters() {
        for good in ["application/sdp", "Application/SDP", "application/sdp;charset=utf-8", "application/sdp ; a=b"] {
            assert!(with(&[("Content-Type", good)]).has_content_type("application/sdp"), "{good}");
        }
        for bad in ["application/sdpx", "text/plain", "", "text/plain;application/sdp"] {
            assert!(!with(&[("Content-Type", bad)]).has_content_type("application/sdp"), "{bad}");
        }
        assert!(!with(&[]).has_content_type("application/sdp"));
        let two = [("Content-Type", "application/sdp"), ("content-type", "text/plain")];
        assert!(!with(&two).has_content_type("application/sdp"));
    }

    #[test]
    fn tokens_are_found_in_any_list_and_case() {
        let request = with(&[("Connection", "Upgrade"), ("connection", "foo,  CLOSE")]);
        assert!(request.headers.has_token("connection", "close"));
        assert!(!request.headers.has_token("connection", "keep-alive"));
    }
}
