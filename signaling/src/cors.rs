//! Cross-origin answers (the Fetch standard, §3.2) for WHIP, WHEP and session URLs: which origins' pages may publish and play.
//!
//! Nothing of this server depends on a cookie, so no answer allows credentials; a bearer token is the page's own to send.

use crate::authority::is_host_and_port;
use crate::http::{Request, Response};
use std::fmt;
use std::str::FromStr;

/// Without this a page cannot read them, `Location` first of all.
const EXPOSED: &str = "Location, ETag, Link, Retry-After, Accept-Post, Accept-Patch, Allow, WWW-Authenticate";
/// The same for all resources: the browser keeps it, and the resource says 405 for what it does not have.
const METHODS: &str = "POST, PATCH, DELETE, OPTIONS, GET, HEAD";
const REQUEST_HEADERS: &str = "Authorization, Content-Type, If-Match, Link";
/// Seconds for which a browser need not ask again; Chromium keeps it no longer than two hours.
const MAX_AGE: &str = "7200";
/// Further request fields that are allowed when they are asked for, and the longest name of one.
const MAX_ASKED: usize = 16;
const MAX_FIELD_NAME: usize = 64;

/// An origin that is allowed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum AllowedOrigin {
    /// `*`: any.
    Any,
    /// This one, as browsers serialize it.
    One(String),
}

/// Whose pages may use what is open. Any by default; none of them when empty.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AllowedOrigins(pub Vec<AllowedOrigin>);

impl Default for AllowedOrigins {
    fn default() -> AllowedOrigins {
        AllowedOrigins(vec![AllowedOrigin::Any])
    }
}

/// Whether pages of other origins may use what is at a path: endpoints, sessions, and what is below a session.
pub(crate) fn is_open(path: &str) -> bool {
    ["/whip/", "/whep/", "/session/"].iter().any(|prefix| path.starts_with(prefix))
}

impl AllowedOrigins {
    /// Lets a page of an allowed origin read an answer.
    pub(crate) fn expose(&self, response: Response, request: &Request) -> Response {
        if self.0.contains(&AllowedOrigin::Any) {
            return exposed(response, "*".to_owned());
        }
        // Also without an origin that is allowed: a cache must not give this answer to another one.
        let response = response.with("Vary", "Origin");
        match self.listed(request) {
            Some(origin) => exposed(response, origin),
            None => response,
        }
    }

    /// Adds what a preflight asks for.
    pub(crate) fn preflight(&self, response: Response, request: &Request) -> Response {
        let is_allowed = self.0.contains(&AllowedOrigin::Any) || self.listed(request).is_some();
        if !is_allowed || request.headers.first("access-control-request-method").is_none() {
            return response;
        }
        let response = response
            .with("Access-Control-Allow-Methods", METHODS)
            .with("Access-Control-Allow-Headers", allowed_headers(request))
            .with("Access-Control-Max-Age", MAX_AGE);
        match request.headers.first("access-control-request-private-network") {
            Some("true") => response.with("Access-Control-Allow-Private-Network", "true"),
            _ => response,
        }
    }

    /// The request's one origin, if it is on the list.
    fn listed(&self, request: &Request) -> Option<String> {
        let mut origins = request.headers.all("origin");
        let (Some(origin), None) = (origins.next(), origins.next()) else { return None };
        let is_listed = |allowed: &AllowedOrigin| matches!(allowed, AllowedOrigin::One(one) if one == origin);
        self.0.iter().any(is_listed).then(|| origin.to_owned())
    }
}

fn exposed(response: Response, origin: String) -> Response {
    response.with("Access-Control-Allow-Origin", origin).with("Access-Control-Expose-Headers", EXPOSED)
}

/// Fields that this server does not read do no harm, except those that a proxy would believe.
fn allowed_headers(request: &Request) -> String {
    let asked = request.headers.all("access-control-request-headers").flat_map(|value| value.split(','));
    let harmless = |name: &&str| {
        let is_name = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
        let lower = name.to_ascii_lowercase();
        let is_of_proxies = ["forwarded", "x-forwarded-", "x-real-ip"].iter().any(|prefix| lower.starts_with(prefix));
        let is_known = REQUEST_HEADERS.split(", ").any(|known| known.eq_ignore_ascii_case(name));
        is_name && (1..=MAX_FIELD_NAME).contains(&name.len()) && !is_of_proxies && !is_known
    };
    let names = asked.map(|name| name.trim_matches([' ', '\t'])).filter(harmless).take(MAX_ASKED);
    std::iter::once(REQUEST_HEADERS).chain(names).collect::<Vec<_>>().join(", ")
}

impl FromStr for AllowedOrigin {
    type Err = String;

    /// An origin as browsers write it: in lower case, and without the port that the scheme has anyway.
    fn from_str(written: &str) -> Result<AllowedOrigin, String> {
        if written == "*" {
            return Ok(AllowedOrigin::Any);
        }
        let is_lower = !written.bytes().any(|byte| byte.is_ascii_uppercase());
        let parts = written.split_once("://").filter(|(_, authority)| is_lower && is_host_and_port(authority));
        match parts {
            Some(("http", authority)) if authority.ends_with(":80") => Err(needless_port(written)),
            Some(("https", authority)) if authority.ends_with(":443") => Err(needless_port(written)),
            // Not only the web's: pages within an app or an extension have schemes of their own.
            Some((scheme, _)) if is_scheme(scheme) => Ok(AllowedOrigin::One(written.to_owned())),
            _ => {
                let example = "\"https://www.example.com\" (lower case, no path) or \"*\"";
                Err(format!("\"{}\" is no origin such as {example}", written.escape_debug()))
            }
        }
    }
}

fn is_scheme(text: &str) -> bool {
    let is_of_scheme = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
    text.starts_with(|c: char| c.is_ascii_alphabetic()) && text.bytes().all(is_of_scheme)
}

fn needless_port(written: &str) -> String {
    format!("\"{written}\" has the port that its scheme has anyway: leave it out")
}

impl fmt::Display for AllowedOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AllowedOrigin::Any => f.write_str("*"),
            AllowedOrigin::One(origin) => f.write_str(origin),
        }
    }
}

#[cfg(test)]
#[path = "tests/cors.rs"]
mod tests;
